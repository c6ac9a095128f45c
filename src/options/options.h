/* options.h - settings as tables, beyond the public functions of cm.h */
#ifndef CM_OPTIONS_OPTIONS_H
#define CM_OPTIONS_OPTIONS_H

#include "cm.h"

#include <jansson.h>

/* Ranges of the tables that hold elsewhere too. */
enum { CM_MOST_BATCH = 65536, CM_MOST_IMAGES = 10000000 };
#define CM_MOST_SEED  INT64_C(9000000000000000)
#define CM_MOST_FIRST INT64_C(4000000000)

/* All fields of config as a JSON object in the order of the table; cm_options_read
 * takes it back to the same values.  Freed with json_decref.  NULL: out of memory. */
json_t *cm_options_to_json(const cm_option *table, const void *config);

/* cm_options_read of an object from the file at path. */
cm_status cm_options_from_json(const cm_option *table, void *config, json_t *object,
                               const char *path, cm_error *err);

/* An option and the text of its value. */
typedef struct cm_option_value {
    const char *name, *value;
} cm_option_value;

/* The option called name, or NULL. */
const cm_option *cm_option_find(const cm_option *table, const char *name);

/* Every field of config within its range, one of its choices, and ended text: as
 * cm_options_set would have left it.  Errors: CM_ERR_ARGUMENT names the first that is not. */
cm_status cm_options_check(const cm_option *table, const void *config, cm_error *err);

#endif
