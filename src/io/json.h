/* json.h - configuration in JSON: strict parsing (RFC 8259, UTF-8, no key twice, at most 256
 * levels; json_parse.c) and typed fields with ranges, so that every mistake names the file,
 * the key, what was expected and what was found. */
#ifndef CM_IO_JSON_H
#define CM_IO_JSON_H

#include "cm_status.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { CM_JSON_MAX_BYTES = 16 << 20 };

/* The same, and an array will do. */
cm_status cm_json_parse_any(const void *text, size_t size, const char *name, json_t **json,
                            cm_error *err);

/* Read a file that holds one JSON object.  *json is freed with json_decref.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT ("path:line:column: ..."), CM_ERR_MEMORY. */
cm_status cm_json_load(const char *path, json_t **json, cm_error *err);

/* The same from memory, of any size; name is for messages. */
cm_status cm_json_parse(const void *text, size_t size, const char *name, json_t **json,
                        cm_error *err);

/* Fields.  file is for messages.  When an optional key is absent, *out keeps the
 * default the caller put there; null is not absent.  Nothing is written on an
 * error.  Errors: CM_ERR_FORMAT. */
typedef enum cm_json_need { CM_JSON_OPTIONAL, CM_JSON_REQUIRED } cm_json_need;

cm_status cm_json_int(const json_t *obj, const char *file, const char *key, int64_t min,
                      int64_t max, cm_json_need need, int64_t *out, cm_error *err);
/* An integer from 0 to max; null and -1 stand for none, 0.  Optional. */
cm_status cm_json_int_or_none(const json_t *obj, const char *file, const char *key, int64_t max,
                              int *out, cm_error *err);
/* Also takes integers.  A value is never infinite or NaN. */
cm_status cm_json_real(const json_t *obj, const char *file, const char *key, double min, double max,
                       cm_json_need need, double *out, cm_error *err);
cm_status cm_json_bool(const json_t *obj, const char *file, const char *key, cm_json_need need,
                       int *out, cm_error *err);
/* *out belongs to obj. */
cm_status cm_json_text(const json_t *obj, const char *file, const char *key, cm_json_need need,
                       const char **out, cm_error *err);
/* A list of at most max_n integers.  An absent key is an empty list. */
cm_status cm_json_int_list(const json_t *obj, const char *file, const char *key, int max_n,
                           int64_t *out, int *n, cm_error *err);

/* The text of an object or array, flags being jansson's; freed with cm_free.  NULL: json is
 * NULL, or out of memory. */
char *cm_json_dump(const json_t *json, size_t flags);
/* The same as it is printed: two columns a level, ASCII without control characters. */
char *cm_json_for_machines(const json_t *json);

/* A value as one line for a message: compact, escaped, cut to fit.  Returns buf. */
const char *cm_json_show(char *buf, size_t size, const json_t *value);

/* Refuse keys outside the NULL-ended list. */
cm_status cm_json_only(json_t *obj, const char *file, const char *const *keys, cm_error *err);

#endif
