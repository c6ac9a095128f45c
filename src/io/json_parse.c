/* json_parse.c - a JSON text (RFC 8259, UTF-8, no key twice) as a tree of jansson's values.
 * Jansson's own reader loses characters, and then leaves its buffers, where it has no memory
 * for a long string: docs/decisions/017-no-memory.md. */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "io/json.h"

#include <string.h>

#define DIGITS "0123456789"

enum { MAX_DEPTH = 256 };

/* Strings are decoded where they stand, which never takes more room. */
typedef struct json_reader {
    char *at, *copy;  /* of the text, ended by a zero */
    const char *text; /* as it was given: for messages */
    size_t size;
    int depth;
    const char *name;
    cm_error *err;
} json_reader;

static cm_status no_memory(const json_reader *r)
{
    return cm_fail(r->err, CM_ERR_MEMORY, "%s: out of memory", r->name);
}

/* Not what is expected at r->at. */
static cm_status bad(const json_reader *r, const char *expected)
{
    enum { SHOWN = 20 };
    char found[SHOWN + 1] = "", shown[4 * SHOWN + 1];
    const size_t offset = (size_t)(r->at - r->copy), left = r->size - offset;
    int line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        column = r->text[i] == '\n' ? 1 : column + 1;
        line += r->text[i] == '\n';
    }
    memcpy(found, r->text + offset, left < SHOWN ? left : SHOWN);
    return cm_fail(r->err, CM_ERR_FORMAT, "%s:%d:%d: not valid JSON: expected %s, found %s%s%s",
                   r->name, line, column, expected, left ? "'" : "the end",
                   cm_escape(shown, sizeof shown, found), left ? "'" : "");
}

static void skip_blanks(json_reader *r)
{
    r->at += strspn(r->at, " \t\n\r");
}

/* ---- strings ------------------------------------------------------------ */

static int four_digits(const char *p, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return 0;
        *code = *code << 4 | (uint32_t)digit;
    }
    return 1;
}

/* Of the digits after \u; two surrogates are one character. */
static cm_status read_code(json_reader *r, uint32_t *code)
{
    uint32_t low;
    if (!four_digits(r->at, code) || !*code) /* a C string cannot hold a zero */
        return bad(r, "four hexadecimal digits, not all 0");
    if (*code < 0xd800 || *code > 0xdfff) {
        r->at += 4;
        return CM_OK;
    }
    if (*code > 0xdbff || r->at[4] != '\\' || r->at[5] != 'u' || !four_digits(r->at + 6, &low) ||
        low < 0xdc00 || low > 0xdfff)
        return bad(r, "a pair of surrogates");
    *code = 0x10000 + ((*code - 0xd800) << 10 | (low - 0xdc00));
    r->at += 10;
    return CM_OK;
}

static char *put_utf8(char *out, uint32_t code)
{
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(first[more] | code >> 6 * more);
    for (int i = more - 1; i >= 0; i--)
        *out++ = (char)(0x80 | (code >> 6 * i & 0x3f));
    return out;
}

/* What follows a backslash. */
static cm_status read_escape(json_reader *r, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint32_t code;
    if (*r->at == 'u') {
        r->at++;
        const cm_status s = read_code(r, &code);
        if (!s)
            *out = put_utf8(*out, code);
        return s;
    }
    const char *name = *r->at ? strchr(names, *r->at) : NULL;
    if (!name)
        return bad(r, "one of \"\\/bfnrtu");
    r->at++;
    *(*out)++ = values[name - names];
    return CM_OK;
}

/* From its first quote on; *text is ended by a zero and holds no other. */
static cm_status read_text(json_reader *r, char **text)
{
    char *out = *text = ++r->at;
    while (*r->at != '"') {
        uint32_t code;
        if (*r->at == '\\') {
            r->at++;
            const cm_status s = read_escape(r, &out);
            if (s)
                return s;
            continue;
        }
        const int n = (unsigned char)*r->at < ' ' ? 0 : cm_utf8_next(r->at, &code);
        if (!n)
            return bad(r, "UTF-8 text and a quote");
        memmove(out, r->at, (size_t)n);
        out += n;
        r->at += n;
    }
    r->at++;
    *out = '\0';
    return CM_OK;
}

/* ---- values ------------------------------------------------------------- */

static cm_status read_string(json_reader *r, json_t **value)
{
    char *text;
    const cm_status s = read_text(r, &text);
    if (s)
        return s;
    *value = json_string_nocheck(text);
    return *value ? CM_OK : no_memory(r);
}

/* Past digits of which there must be some; NULL: none. */
static char *skip_digits(char *p)
{
    const size_t n = strspn(p, DIGITS);
    return n ? p + n : NULL;
}

/* The end of the number at p; NULL: none. */
static char *number_end(char *p, int *real)
{
    p += *p == '-';
    char *end = *p == '0' ? p + 1 : skip_digits(p);
    *real = 0;
    if (end && *end == '.') {
        *real = 1;
        end = skip_digits(end + 1);
    }
    if (end && (*end == 'e' || *end == 'E')) {
        *real = 1;
        end = skip_digits(end + 1 + (end[1] == '+' || end[1] == '-'));
    }
    return end;
}

static cm_status read_number(json_reader *r, json_t **value)
{
    int real;
    int64_t whole = 0;
    double number = 0;
    char *end = number_end(r->at, &real);
    if (!end)
        return bad(r, "a number");
    const char after = *end;
    *end = '\0';
    const int ok = real ? cm_text_to_real(r->at, &number) : cm_text_to_int(r->at, &whole);
    *end = after;
    if (!ok)
        return bad(r, real ? "a finite number" : "a whole number of 64 bits");
    r->at = end;
    *value = real ? json_real(number) : json_integer(whole);
    return *value ? CM_OK : no_memory(r);
}

static cm_status read_word(json_reader *r, json_t **value)
{
    if (!strncmp(r->at, "true", 4))
        *value = json_true();
    else if (!strncmp(r->at, "false", 5))
        *value = json_false();
    else if (!strncmp(r->at, "null", 4))
        *value = json_null();
    else
        return bad(r, "a value");
    r->at += json_is_false(*value) ? 5 : 4;
    return CM_OK;
}

static cm_status read_value(json_reader *r, json_t **value);

static cm_status read_item(json_reader *r, json_t *list)
{
    json_t *value = NULL;
    const cm_status s = read_value(r, &value);
    if (s)
        return s;
    return json_array_append_new(list, value) ? no_memory(r) : CM_OK;
}

static cm_status read_pair(json_reader *r, json_t *object)
{
    char *key = NULL;
    json_t *value = NULL;
    skip_blanks(r);
    if (*r->at != '"')
        return bad(r, "a key in quotes");
    cm_status s = read_text(r, &key);
    if (s)
        return s;
    if (json_object_get(object, key)) {
        r->at = key;
        return bad(r, "no duplicate object key");
    }
    skip_blanks(r);
    if (*r->at != ':')
        return bad(r, "':'");
    r->at++;
    if ((s = read_value(r, &value)))
        return s;
    return json_object_set_new_nocheck(object, key, value) ? no_memory(r) : CM_OK;
}

/* From the opening bracket to the closing one. */
static cm_status read_items(json_reader *r, json_t *into)
{
    const int list = json_is_array(into);
    const char close = list ? ']' : '}';
    r->at++;
    skip_blanks(r);
    for (int first = 1; *r->at != close; first = 0) {
        if (!first) {
            if (*r->at != ',')
                return bad(r, list ? "',' or ']'" : "',' or '}'");
            r->at++;
        }
        const cm_status s = list ? read_item(r, into) : read_pair(r, into);
        if (s)
            return s;
        skip_blanks(r);
    }
    r->at++;
    return CM_OK;
}

static cm_status read_nested(json_reader *r, json_t **value)
{
    if (r->depth == MAX_DEPTH)
        return bad(r, "at most 256 levels");
    json_t *made = *r->at == '[' ? json_array() : json_object();
    if (!made)
        return no_memory(r);
    r->depth++;
    const cm_status s = read_items(r, made);
    r->depth--;
    if (s)
        json_decref(made);
    else
        *value = made;
    return s;
}

static cm_status read_value(json_reader *r, json_t **value)
{
    skip_blanks(r);
    if (*r->at == '[' || *r->at == '{')
        return read_nested(r, value);
    if (*r->at == '"')
        return read_string(r, value);
    if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))
        return read_number(r, value);
    return read_word(r, value);
}

static cm_status read_whole(json_reader *r, json_t **value)
{
    json_t *made = NULL;
    skip_blanks(r);
    if (*r->at != '[' && *r->at != '{')
        return bad(r, "'{' or '['");
    const cm_status s = read_nested(r, &made);
    if (s)
        return s;
    skip_blanks(r);
    if (r->at != r->copy + r->size) {
        json_decref(made);
        return bad(r, "the end");
    }
    *value = made;
    return CM_OK;
}

cm_status cm_json_parse_any(const void *text, size_t size, const char *name, json_t **json,
                            cm_error *err)
{
    json_reader r = {.text = text, .size = size, .name = name, .err = err};
    r.at = r.copy = size < SIZE_MAX ? cm_alloc(size + 1) : NULL;
    if (!r.copy)
        return no_memory(&r);
    memcpy(r.copy, text, size);
    const cm_status s = read_whole(&r, json);
    cm_free(r.copy);
    return s;
}
