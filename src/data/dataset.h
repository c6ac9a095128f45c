/* dataset.h - a set of training images, wholly in memory as bytes.
 *
 * Images stay 8-bit until the loader turns a batch into floats: a quarter of
 * the memory, and exactly the bytes of the files. */
#ifndef CM_DATA_DATASET_H
#define CM_DATA_DATASET_H

#include "cm_status.h"

#include <stdint.h>

typedef struct cm_dataset {
    int64_t n;            /* images, at least 1 */
    int h, w, c;          /* of every image; c is 1 (grey) or 3 (RGB) */
    int classes;          /* 0: no labels */
    uint8_t *pixels;      /* [n,h,w,c] */
    int32_t *labels;      /* [n], 0..classes-1; NULL without labels */
    char **class_names;   /* [classes], folder names; NULL when there are none */
    uint64_t fingerprint; /* XXH3 of shape, pixels and labels: a run records it, so
                             that resuming it on other data is noticed */
} cm_dataset;

/* Open `what`:
 *   fashion-mnist, fashion-mnist-test   the two halves of Debian's package
 *                     dataset-fashion-mnist (write ./fashion-mnist for a path);
 *   a file            IDX images (.gz too), rank 3 [n,h,w] or rank 4 [n,h,w,c].
 *                     Labels come from the file beside it whose name has
 *                     "labels" for "images" and "idx1" for "idx3" or "idx4"; no
 *                     such file, no labels;
 *   a folder          its PNG images at any depth, in sorted order.  The
 *                     first-level subfolders that hold images are the classes,
 *                     numbered in sorted order; images directly in the folder
 *                     have no labels.  Hidden files are skipped.
 *
 * size 0 keeps the images' own size, which must be the same for all.  Else the
 * shorter side is resized to `size` and the longer one cropped to it around the
 * centre (see resize.h).  28 x 28 images are special: with size 0 or 32 they get
 * a border of 2 zero pixels, since the networks halve the side several times.
 *
 * The set is the caller's: cm_dataset_free.  Errors: CM_ERR_ARGUMENT (size),
 * CM_ERR_IO, CM_ERR_FORMAT (a bad file, images that differ, folders that mix
 * loose images and classes), CM_ERR_UNSUPPORTED (more than 16 GiB),
 * CM_ERR_MEMORY. */
cm_status cm_dataset_open(const char *what, int size, cm_dataset **out, cm_error *err);
void cm_dataset_free(cm_dataset *data);

#endif
