/* class_names.h - the classes of a model by name or number */
#ifndef CM_MODEL_CLASS_NAMES_H
#define CM_MODEL_CLASS_NAMES_H

#include "model/model.h"

#include <jansson.h>

enum { CM_NO_NAME = ':' }; /* what follows is no name: ":3" is class 3, whatever is called 3 */

/* names is the list of cm_model_class_names.
 * The number of the class that is named so; -1: none. */
int64_t cm_class_named(const json_t *names, const char *text);
/* *label becomes that of the class that is named so, else of the number that the text is.
 * Errors: CM_ERR_ARGUMENT (there is none; the name of one is the number of another). */
cm_status cm_model_find_class(const cm_model *model, const json_t *names, const char *text,
                              int64_t *label, cm_error *err);
/* "0 to 9", or the names, for a message; cut to size.  Returns buf. */
const char *cm_model_show_classes(const cm_model *model, const json_t *names, char *buf,
                                  size_t size);

/* *names becomes the list of names, freed with json_decref; NULL where the model, which may
 * be NULL, has none.  Errors: CM_ERR_MEMORY. */
cm_status cm_model_class_names(const cm_model *model, json_t **names, cm_error *err);
/* Of a list, which may be NULL, the name of class k; NULL: it has none. */
const char *cm_class_name(const json_t *names, int64_t k);

#endif
