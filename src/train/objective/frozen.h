/* frozen.h - the weights of a network that a distance looks through, which no step changes */
#ifndef CM_TRAIN_OBJECTIVE_FROZEN_H
#define CM_TRAIN_OBJECTIVE_FROZEN_H

#include "cm.h"
#include "model/model.h"

typedef struct cm_frozen_weights {
    cm_params *params; /* NULL: there is no such network */
    float *flat;       /* [cm_params_floats] */
    cm_model *model;   /* where it is a classifier, whose both are; else NULL: they are its own */
} cm_frozen_weights;

/* A kind of such networks. */
typedef struct cm_frozen_kind {
    /* From the files that the options name; cleared after an error.  Errors: CM_ERR_ARGUMENT,
     * CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
    cm_status (*open)(const cm_train_params *o, cm_frozen_weights *f, cm_error *err);
    /* Whether it takes the images of this network.  Errors: CM_ERR_ARGUMENT. */
    cm_status (*check)(const cm_frozen_weights *f, const cm_train_params *o,
                       const cm_net_config *images, cm_error *err);
} cm_frozen_kind;

extern const cm_frozen_kind cm_frozen_vgg, cm_frozen_classifier;

void cm_frozen_clear(cm_frozen_weights *f);

#endif
