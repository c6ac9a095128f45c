/* terminal.c - what reaches a terminal: text is UTF-8 without control characters and changes of
 * direction, which could forge what is shown; where the locale is of another character set,
 * ASCII only.  The rest is escaped as \\xNN, as the library does. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- characters ------------------------------------------------------------- */

/* Bytes of the character at c, and what it is; 0: not UTF-8, or longer than it need be. */
static int read_character(const unsigned char *c, unsigned *code)
{
    /* By the upper four bits of the first byte. */
    static const unsigned char length[16] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4};
    static const unsigned smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    const int n = length[c[0] >> 4];
    *code = n < 2 ? c[0] : c[0] & (0xffu >> n);
    for (int i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (c[i] & 0x3fu);
    }
    return *code < smallest[n] || *code > 0x10ffff || *code >> 11 == 0x1b ? 0 : n; /* surrogates */
}

/* Control characters (C0, DEL, C1) and changes of direction could forge what is shown. */
static int forges(unsigned code)
{
    return code < ' ' || (code >= 0x7f && code <= 0x9f) || code == 0x61c ||
           (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

void cli_escape(char *to, size_t size, const char *text)
{
    unsigned code = 0;
    size_t at = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        const int n = read_character(c, &code), bytes = n ? n : 1, bad = !n || forges(code);
        if (at + (bad ? 4 : 1) * (size_t)bytes >= size)
            break;
        for (int i = 0; i < bytes; i++, c++)
            at += (size_t)snprintf(to + at, size - at, bad ? "\\x%02x" : "%c", *c);
    }
    to[at] = '\0';
}

/* What decides of the characters of programs, by its name: "de_DE.UTF-8", "C.utf8". */
static int is_utf8_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *locale = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !(locale && *locale); i++)
        locale = getenv(names[i]);
    const char *set = locale ? strchr(locale, '.') : NULL;
    return set && (!strncasecmp(set, ".utf-8", 6) || !strncasecmp(set, ".utf8", 5));
}

void cli_print(FILE *f, const char *text)
{
    const int ascii = !is_utf8_locale();
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        fprintf(f, ascii && *c >= 0x80 ? "\\x%02x" : "%c", *c);
}

/* ---- lines ------------------------------------------------------------------- */

cm_status cli_fail(cm_error *err, cm_status s, const char *fmt, ...)
{
    char raw[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    err->status = s;
    cli_escape(err->message, sizeof err->message, raw);
    return s;
}

void cli_say(FILE *f, const char *fmt, ...)
{
    char raw[sizeof(cm_text) + 512], line[2 * sizeof raw];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    cli_escape(line, sizeof line, raw);
    cli_print(f, line);
    fputc('\n', f);
}

void cli_print_text(char *text)
{
    cli_print(stdout, text);
    cm_string_free(text);
}
