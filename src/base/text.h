/* text.h - strict readers of numbers and lists of numbers, their writer, and the
 * nearest name for "did you mean".  The decimal point is '.', whatever the locale of
 * the program.
 *
 * Strict: the whole text is one decimal number, finite and in range; no blanks,
 * no hexadecimal, no "inf" or "nan". */
#ifndef CM_BASE_TEXT_H
#define CM_BASE_TEXT_H

#include "base/error.h"

#include <stdint.h>

/* 1 and *value on success; 0, and *value untouched, when text is not a number. */
int cm_text_to_real(const char *text, double *value);
int cm_text_to_int(const char *text, int64_t *value);

/* Write the shortest decimal that reads back as value, e.g. "0.9999"; returns buf. */
enum { CM_REAL_TEXT = 32 };
const char *cm_text_from_real(char buf[CM_REAL_TEXT], double value);
/* Write it with so many digits, 1 to 17; returns buf. */
const char *cm_text_rounded(char buf[CM_REAL_TEXT], double value, int digits);

/* "image" and this: "1 image", "2 images". */
static inline const char *cm_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* Read "80,0.8": numbers with single commas between them.  Empty text is the
 * empty list.  Writes at most max values, and *n only on success.  what names the
 * list in messages, e.g. "sigmas".  Errors: CM_ERR_ARGUMENT. */
cm_status cm_parse_real_list(const char *text, int max, double *values, int *n, const char *what,
                             cm_error *err);
cm_status cm_parse_int_list(const char *text, int max, int *values, int *n, const char *what,
                            cm_error *err);

/* Levenshtein distance: the fewest insertions, deletions and replacements that
 * turn a into b.  INT_MAX where b is longer than 63 bytes. */
int cm_edit_distance(const char *a, const char *b);

#endif
