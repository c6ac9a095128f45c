/* loader.h - batches of shuffled training images, made ahead by one thread.
 *
 * The batch of step k is a function of (seed, k) alone.  Sample j of it has
 * position p = k batch + j in an endless sequence that goes through the data
 * once an epoch (epoch = p / n), each time in another order; it is mirrored, if
 * asked for, by a coin of p.  So a run resumed at step k needs no saved state. */
#ifndef CM_DATA_LOADER_H
#define CM_DATA_LOADER_H

#include "data/dataset.h"

typedef struct cm_loader cm_loader;

/* The samples j of a batch that are read: first to first + count - 1. */
typedef struct cm_loader_slice {
    int first, count;
} cm_loader_slice;

/* Start at first_step.  data is borrowed and must outlive the loader.  flip:
 * mirror every image left to right with probability 1/2.  All memory is taken
 * here.  Errors: CM_ERR_ARGUMENT, CM_ERR_MEMORY, CM_ERR_IO (no thread). */
cm_status cm_loader_new(const cm_dataset *data, int batch, cm_loader_slice slice, uint64_t seed,
                        int flip, int64_t first_step, cm_loader **out, cm_error *err);

/* The slice of the next batch: x [count,h,w,c] in [-1,1], which is v / 127.5 - 1; y [count]
 * labels, -1 where the data has none (y may be NULL). */
void cm_loader_next(cm_loader *l, float *x, int32_t *y);

void cm_loader_free(cm_loader *l);

#endif
