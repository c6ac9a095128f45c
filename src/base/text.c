/* text.c - strict number and list parsing, edit distance */
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { item_max = 63, word_max = 63 };

int cm_text_to_real(const char *text, double *value)
{
    if (!*text || text[strspn(text, "+-.0123456789eE")])
        return 0;
    char *end;
    const double v = strtod(text, &end);
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
