/* options.h - the option tables of cm.h, beyond its public functions */
#ifndef CM_TRAIN_OPTIONS_H
#define CM_TRAIN_OPTIONS_H

#include "cm.h"

#include <jansson.h>

/* All fields of config as a JSON object in the order of the table; cm_options_read
 * takes it back to the same values.  Freed with json_decref.  NULL: out of memory. */
json_t *cm_options_to_json(const cm_option *table, const void *config);

/* The option called name, or NULL. */
const cm_option *cm_option_find(const cm_option *table, const char *name);

#endif
