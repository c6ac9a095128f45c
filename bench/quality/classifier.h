/* classifier.h - a small convolutional classifier of 32 x 32 grey images in ten
 * classes, the judge of generated images.
 *
 * Three levels of [3x3 convolution, group norm, SiLU, 2x2 mean] and a linear
 * layer to the logits; trained by cross-entropy with AdamW and a learning rate
 * that falls linearly to 0. */
#ifndef CM_QUALITY_CLASSIFIER_H
#define CM_QUALITY_CLASSIFIER_H

#include "data/dataset.h"

enum { CM_CLASSIFIER_SIDE = 32, CM_CLASSIFIER_CLASSES = 10 };

typedef struct cm_classifier cm_classifier;

typedef struct cm_classifier_training {
    int epochs, batch;
    double lr; /* of the first step */
    uint64_t seed;
    int threads;
    /* After each epoch, with its mean loss; NULL allowed. */
    void (*epoch_done)(int epoch, double loss);
} cm_classifier_training;

/* Train one on labelled images of the right shape.  Errors: CM_ERR_ARGUMENT (other
 * images), CM_ERR_NUMERIC, CM_ERR_MEMORY, CM_ERR_IO. */
cm_status cm_classifier_train(const cm_dataset *data, const cm_classifier_training *how,
                              cm_classifier **out, cm_error *err);

/* A safetensors file of its parameters.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_classifier_read(const char *path, int threads, cm_classifier **out, cm_error *err);
cm_status cm_classifier_write(const cm_classifier *c, const char *path, cm_error *err);
void cm_classifier_free(cm_classifier *c);

/* The most likely class of each image; pixels [n,32,32,1], label [n]. */
void cm_classifier_predict(cm_classifier *c, int64_t n, const uint8_t *pixels, int32_t *label);

#endif
