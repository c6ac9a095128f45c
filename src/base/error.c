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
static int escape_one(const char *p, char piece[PIECE])
{
    uint32_t code = 0;
    const int length = cm_utf8_next(p, &code), n = length ? length : 1;
    const int shown = length && cm_is_shown(code);
    for (int i = 0; i < n; i++)
        if (shown)
            piece[i] = p[i];
        else
            snprintf(piece + 4 * i, PIECE - 4 * (size_t)i, "\\x%02x", (unsigned char)p[i]);
    if (shown)
        piece[n] = '\0';
    return n;
}

const char *cm_escape(char *buf, size_t size, const char *text)
{
    static const char mark[] = "...";
    char piece[PIECE];
    size_t used = 0, before_mark = 0; /* where it can be cut */
    for (const char *p = text; *p;) {
        p += escape_one(p, piece);
        const size_t n = strlen(piece);
        if (used + n + 1 > size) {
            used = before_mark;
            if (used + sizeof mark <= size)
                memcpy(buf + used, mark, sizeof mark - 1), used += sizeof mark - 1;
            break;
        }
        memcpy(buf + used, piece, n);
        used += n;
        if (used + sizeof mark <= size)
            before_mark = used;
    }
    buf[used] = '\0';
    return buf;
}

void cm_error_set(cm_error *err, cm_status s, const char *fmt, ...)
{
    if (err) {
        char raw[2 * sizeof err->message]; /* so that a cut is marked */
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(raw, sizeof raw, fmt, ap);
        va_end(ap);
        err->status = s;
        cm_escape(err->message, sizeof err->message, raw);
    }
}

void cm_print_escaped(FILE *f, const char *text)
{
    char piece[PIECE];
    for (const char *p = text; *p;) {
        p += escape_one(p, piece);
        fputs(piece, f);
    }
}

void cm_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: internal error: %s does not hold\n", file, line, expr);
    abort();
}
