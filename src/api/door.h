/* door.h - checks of what comes in through cm.h, before anything is begun.
 *
 * Every message names the argument or field, what was expected and what was found. */
#ifndef CM_API_DOOR_H
#define CM_API_DOOR_H

#include "cm.h"

typedef struct cm_door_pointer {
    const char *name;
    const void *pointer;
} cm_door_pointer;

/* cm_door_need(err, {"model", model}, {"images", images}): none of them is NULL. */
#define cm_door_need(err, ...) \
    cm_door_pointers((const cm_door_pointer[]){__VA_ARGS__, {NULL, NULL}}, err)
cm_status cm_door_pointers(const cm_door_pointer *list, cm_error *err);

cm_status cm_door_size(const char *what, size_t found, size_t expected, cm_error *err);
cm_status cm_door_range(const char *what, int64_t found, int64_t min, int64_t max, cm_error *err);
/* Text of 1 to 4095 bytes: a path, a name. */
cm_status cm_door_text(const char *what, const char *text, cm_error *err);
/* The name of an option of the table, which is of `of`, e.g. "training". */
cm_status cm_door_option(const cm_option *table, const char *of, const char *name, cm_error *err);

/* Structs, with their pointers. */
cm_status cm_door_train_params(const cm_train_params *params, cm_error *err);
cm_status cm_door_sample_params(const cm_sample_params *params, cm_error *err);
cm_status cm_door_plot_params(const cm_plot_params *params, cm_error *err);
cm_status cm_door_eval_params(const cm_eval_params *params, cm_error *err);
cm_status cm_door_tune_params(const cm_tune_params *params, cm_error *err);
cm_status cm_door_request(const cm_request *request, cm_error *err);
/* Its numbers; cm_door_images asks for the pointers too. */
cm_status cm_door_shape(const cm_images *images, cm_error *err);
cm_status cm_door_images(const cm_images *images, cm_error *err);
cm_status cm_door_layout(const cm_layout *layout, cm_error *err);
/* n texts, or none: UTF-8 without control characters. */
cm_status cm_door_texts(const char *const *texts, int64_t n, cm_error *err);
/* Each is -1 or a class of the model, of which NULL knows none. */
cm_status cm_door_labels(const cm_images *images, const cm_model *model, cm_error *err);
cm_status cm_door_work(const cm_work *work, cm_error *err);

#endif
