/* error.h - how a failure of the world travels: a status, and one line in the
 * caller's cm_error that names the file, the field, what was expected and what
 * was found.  (Our own bugs are cm_assert; wrong graph building is the graph's
 * sticky error.) */
#ifndef CM_BASE_ERROR_H
#define CM_BASE_ERROR_H

#include "cm_status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Fill *err (NULL allowed) and return s, so callers write
 *     return cm_fail(err, CM_ERR_FORMAT, "%s: ...", path);            */
#define cm_fail(err, s, ...) (cm_error_set(err, s, __VA_ARGS__), cm_failed(s))
void cm_error_set(cm_error *err, cm_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* s, where the analyser of one file can see that it is the status given. */
static inline cm_status cm_failed(cm_status s)
{
    return s;
}

/* Copy text with what a terminal must not see (utf8.h: control characters and the like, bytes
 * that are not UTF-8) escaped as \xNN: names from files must not reach one raw.  What does not
 * fit is cut before a character and marked by "...".  Returns buf. */
const char *cm_escape(char *buf, size_t size, const char *text);
void cm_print_escaped(FILE *f, const char *text);

_Noreturn void cm_assert_failed(const char *expr, const char *file, int line);
#define cm_assert(e) ((e) ? (void)0 : cm_assert_failed(#e, __FILE__, __LINE__))

#endif
