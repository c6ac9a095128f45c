/* error.c - status names, cm_fail, cm_assert */
#include "base/error.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum { PIECE = 20 }; /* bytes of one character, escaped, and a zero */

/* Write the character at p, or its escaped bytes, to piece; returns how many bytes of p. */
static int escape_one(const char *p, int ascii, char piece[PIECE])
{
    uint32_t code = 0;
    const int length = cm_utf8_next(p, &code), n = length ? length : 1;
    const int shown = length && cm_is_shown(code) && (code < 0x80 || !ascii);
    for (int i = 0; i < n; i++)
        if (shown)
            piece[i] = p[i];
        else
            snprintf(piece + 4 * i, PIECE - 4 * (size_t)i, "\\x%02x", (unsigned char)p[i]);
    if (shown)
        piece[n] = '\0';
    return n;
}

static const char *escape(char *buf, size_t size, const char *text, int ascii)
{
    char piece[PIECE];
    size_t used = 0;
    for (const char *p = text; *p;) {
        p += escape_one(p, ascii, piece);
        const size_t n = strlen(piece);
        if (used + n + 1 > size)
            break;
        memcpy(buf + used, piece, n);
        used += n;
    }
    buf[used] = '\0';
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
        escape(err->message, sizeof err->message, raw, 0); /* file names may be UTF-8 */
    }
}

const char *cm_escape(char *buf, size_t size, const char *text)
{
    return escape(buf, size, text, 1);
}

const char *cm_escape_utf8(char *buf, size_t size, const char *text)
{
    return escape(buf, size, text, 0);
}

void cm_print_escaped(FILE *f, const char *text)
{
    char piece[PIECE];
    for (const char *p = text; *p;) {
        p += escape_one(p, 0, piece);
        fputs(piece, f);
    }
}

void cm_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: internal error: %s does not hold\n", file, line, expr);
    abort();
}
