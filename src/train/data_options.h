/* data_options.h - the options of the data set */
#ifndef CM_TRAIN_DATA_OPTIONS_H
#define CM_TRAIN_DATA_OPTIONS_H

#include "cm.h"
#include "data/dataset.h"
#include "nn/network.h"

/* Open config->data as its options ask; with a network given (NULL: none) in its channels
 * and, unless image-size says another, its size.  Errors: those of cm_dataset_open;
 * CM_ERR_ARGUMENT (image-size, background). */
cm_status cm_data_from_options(const cm_train_params *config, const cm_net_config *net,
                               cm_dataset **data, cm_error *err);

/* Both lists of names are JSON texts or NULL, which fits any: the first difference is an
 * error that names it.  a, b say whose they are.  Errors: CM_ERR_FORMAT. */
cm_status cm_class_names_equal(const char *a, const char *names_a, const char *b,
                               const char *names_b, cm_error *err);
/* The names of a data set as that text, to be freed with cm_free; NULL without names. */
cm_status cm_class_names_of(const cm_dataset *data, char **names, cm_error *err);

#endif
