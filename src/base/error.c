/* error.c - status names, cm_fail, cm_assert */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

const char *cm_status_name(cm_status s)
{
    static const char *const names[] = {
        [CM_OK] = "ok",
        [CM_ERR_ARGUMENT] = "wrong argument",
        [CM_ERR_MEMORY] = "out of memory",
        [CM_ERR_SHAPE] = "shapes do not fit",
        [CM_ERR_UNSUPPORTED] = "not supported here",
        [CM_ERR_IO] = "input/output error",
        [CM_ERR_FORMAT] = "bad input file",
        [CM_ERR_NUMERIC] = "not a number",
        [CM_ERR_INTERNAL] = "fault of this program",
        [CM_INTERRUPTED] = "interrupted",
    };
    const size_t i = (size_t)s;
    return i < sizeof names / sizeof *names ? names[i] : "unknown status";
}

/* Bytes from 0x20 up to, but without, `end` stand for themselves, DEL never. */
static const char *escape(char *buf, size_t size, const char *text, unsigned end)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < size; p++) {
        if (*p >= 0x20 && *p < end && *p != 0x7f)
            buf[n++] = (char)*p;
        else
            n += (size_t)snprintf(buf + n, size - n, "\\x%02x", *p);
    }
    buf[n] = '\0';
    return buf;
}

void cm_error_set(cm_error *err, cm_status s, const char *fmt, ...)
{
    if (err) {
        char raw[sizeof err->message];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(raw, sizeof raw, fmt, ap);
        va_end(ap);
        err->status = s;
        escape(err->message, sizeof err->message, raw, 0x100); /* file names may be UTF-8 */
    }
}

const char *cm_escape(char *buf, size_t size, const char *text)
{
    return escape(buf, size, text, 0x7f);
}

void cm_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: internal error: %s does not hold\n", file, line, expr);
    abort();
}
