/* utf8.h - reading UTF-8 strictly, and what of it a terminal may see */
#ifndef CM_BASE_UTF8_H
#define CM_BASE_UTF8_H

#include <stdint.h>

/* Bytes of the character at p and its *code; 0: not UTF-8 (cut short, too long, a
 * surrogate, above U+10FFFF).  p is not the final zero. */
static inline int cm_utf8_next(const char *p, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)*p;
    const int n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (!n || first > 0xf4)
        return 0;
    uint32_t c = n == 1 ? first : first & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        const unsigned char next = (unsigned char)p[i];
        if ((next & 0xc0) != 0x80) /* the final zero too */
            return 0;
        c = c << 6 | (next & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *code = c;
    return n;
}

static inline int cm_utf8_ok(const char *text)
{
    uint32_t code;
    for (int n; *text; text += n)
        if (!(n = cm_utf8_next(text, &code)))
            return 0;
    return 1;
}

/* Columns that text takes, about: its characters. */
static inline int cm_utf8_width(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* No control character (C0, DEL, C1), line separator or change of direction: those could
 * forge what a terminal shows. */
static inline int cm_is_shown(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && code != 0x61c &&
           !(code >= 0x200e && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
           !(code >= 0x2066 && code <= 0x2069);
}

#endif
