/* error.h - how a failure of the world travels: a status, and one line in the
 * caller's cm_error that names the file, the field, what was expected and what
 * was found.  (Our own bugs are cm_assert; wrong graph building is the graph's
 * sticky error.) */
#ifndef CM_BASE_ERROR_H
#define CM_BASE_ERROR_H

#include "cm.h"

#include <stdarg.h>

/* Fill *err (NULL allowed) and return s, so callers write
 *     return cm_fail(err, CM_ERR_FORMAT, "%s: ...", path);            */
cm_status cm_fail(cm_error *err, cm_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Copy text with control bytes and non-ASCII escaped as \xNN: names from files
 * must not reach a terminal raw.  Returns buf. */
const char *cm_escape(char *buf, size_t size, const char *text);

_Noreturn void cm_assert_failed(const char *expr, const char *file, int line);
#define cm_assert(e) ((e) ? (void)0 : cm_assert_failed(#e, __FILE__, __LINE__))

#endif
