/* text.c - strict number and list parsing, writing of numbers, edit distance */
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { item_max = 63, word_max = 63 };

/* ---- locale ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale; /* written once, then only read */

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* strtod and printf take the decimal point from the thread's locale: the C one between
 * enter and leave.  Out of memory, it stays as it is. */
static locale_t enter_c_locale(void)
{
    pthread_once(&once, make_locale);
    return c_locale ? uselocale(c_locale) : (locale_t)0;
}

static void leave_c_locale(locale_t before)
{
    if (before)
        uselocale(before);
}

/* ---- numbers ---- */

const char *cm_text_from_real(char buf[CM_REAL_TEXT], double value)
{
    const locale_t before = enter_c_locale();
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, CM_REAL_TEXT, "%.*g", digits, value);
        if (strtod(buf, NULL) == value)
            break;
    }
    leave_c_locale(before);
    return buf;
}

const char *cm_text_rounded(char buf[CM_REAL_TEXT], double value, int digits)
{
    const locale_t before = enter_c_locale();
    snprintf(buf, CM_REAL_TEXT, "%.*g", digits, value);
    leave_c_locale(before);
    return buf;
}

int cm_text_to_real(const char *text, double *value)
{
    if (!*text || text[strspn(text, "+-.0123456789eE")])
        return 0;
    char *end;
    const locale_t before = enter_c_locale();
    const double v = strtod(text, &end);
    leave_c_locale(before);
    if (end == text || *end || !isfinite(v))
        return 0;
    *value = v;
    return 1;
}

int cm_text_to_int(const char *text, int64_t *value)
{
    if (!*text || text[strspn(text, "+-0123456789")])
        return 0;
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return 0;
    *value = v;
    return 1;
}

/* Copy the text up to the next comma and move *text behind it: NULL when that was
 * the last item.  0 when the item is too long to be a number. */
static int next_item(const char **text, char item[item_max + 1])
{
    const size_t len = strcspn(*text, ",");
    if (len > item_max)
        return 0;
    memcpy(item, *text, len);
    item[len] = '\0';
    *text = (*text)[len] ? *text + len + 1 : NULL;
    return 1;
}

static cm_status fail_item(cm_error *err, const char *what, int i, const char *expected,
                           const char *rest)
{
    char found[4 * item_max + 8];
    cm_escape(found, sizeof found, rest);
    found[strcspn(found, ",")] = '\0';
    return cm_fail(err, CM_ERR_ARGUMENT, "%s: item %d: expected %s, found '%s'", what, i + 1,
                   expected, found);
}

/* One loop for both types: exactly one of reals and ints is not NULL. */
static cm_status parse_list(const char *text, int max, double *reals, int *ints, int *n,
                            const char *what, cm_error *err)
{
    char item[item_max + 1];
    int count = 0;
    for (const char *rest = *text ? text : NULL, *here = rest; rest; here = rest, count++) {
        if (count == max)
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected at most %d numbers, found more",
                           what, max);
        int64_t whole = 0;
        const int read = next_item(&rest, item) && (reals ? cm_text_to_real(item, &reals[count])
                                                          : cm_text_to_int(item, &whole));
        if (!read || whole < INT_MIN || whole > INT_MAX)
            return fail_item(err, what, count, reals ? "a number" : "a whole number", here);
        if (ints)
            ints[count] = (int)whole;
    }
    *n = count;
    return CM_OK;
}

cm_status cm_parse_real_list(const char *text, int max, double *values, int *n, const char *what,
                             cm_error *err)
{
    return parse_list(text, max, values, NULL, n, what, err);
}

cm_status cm_parse_int_list(const char *text, int max, int *values, int *n, const char *what,
                            cm_error *err)
{
    return parse_list(text, max, NULL, values, n, what, err);
}

int cm_edit_distance(const char *a, const char *b)
{
    int row[word_max + 1]; /* row[j]: distance from the read part of a to b[0..j) */
    const size_t len = strlen(b);
    if (len > word_max)
        return INT_MAX;
    for (size_t j = 0; j <= len; j++)
        row[j] = (int)j;
    for (; *a; a++) {
        int diagonal = row[0];
        row[0]++;
        for (size_t j = 1; j <= len; j++) {
            const int replaced = diagonal + (*a != b[j - 1]);
            const int one_off = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = replaced < one_off ? replaced : one_off;
        }
    }
    return row[len];
}
