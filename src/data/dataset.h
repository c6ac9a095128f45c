/* dataset.h - a set of training images, wholly in memory as bytes.
 *
 * Images stay 8-bit until the loader turns a batch into floats: a quarter of
 * the memory, and exactly the bytes of the files. */
#ifndef CM_DATA_DATASET_H
#define CM_DATA_DATASET_H

#include "cm_status.h"

#include <stdint.h>

/* Which labels a folder of images has. */
typedef enum cm_label_source {
    CM_LABELS_FOLDER,  /* the first-level subfolder */
    CM_LABELS_NAMES,   /* cat_0001.png: the text before the last _ and digits */
    CM_LABELS_SAMPLES, /* the subfolder, else 000012_cat.png as cm sample writes it; -1: neither */
    CM_LABELS_NONE
} cm_label_source;

typedef struct cm_dataset_options {
    int h, w;              /* of the images; 0: their own */
    int channels;          /* 1 or 3: converted to; 0: as found */
    uint8_t background[3]; /* what transparent images show */
    cm_label_source labels;
    int strict;        /* a damaged image is an error, not left out */
    int is_trained_on; /* messages may name the options of cm train and cm data */
} cm_dataset_options;

/* What the source held: kinds of images, and what is not in the set, with the reason. */
typedef struct cm_kind_count {
    const char *kind; /* "PNG"; of what was left out "text", "damaged", "hidden" */
    int64_t n;
} cm_kind_count;
enum { CM_FOUND_KINDS = 24 };
typedef struct cm_found {
    cm_kind_count kinds[CM_FOUND_KINDS], left_out[CM_FOUND_KINDS]; /* end with a NULL kind */
    char **notes; /* [n_notes], a line for each file left out, escaped; owned */
    int64_t n_notes;
    int least_h, least_w, most_h, most_w; /* of the images before resizing; 0: not known */
    int64_t recoloured;                   /* images whose channels were converted */
    int64_t transparent;                  /* images that show some of the background */
    uint8_t background[3];
} cm_found;

typedef struct cm_dataset {
    int64_t n;          /* images, at least 1 */
    int h, w, c;        /* of every image; c is 1 (grey) or 3 (RGB) */
    int classes;        /* 0: no labels */
    uint8_t *pixels;    /* [n,h,w,c] */
    int32_t *labels;    /* [n], 0..classes-1 (CM_LABELS_SAMPLES: or -1); NULL without labels */
    char **class_names; /* [classes], UTF-8; NULL when there are none */
    cm_found found;
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
 *   a .safetensors file   as cm_dataset_pack writes it;
 *   a folder          its PNG, JPEG and WebP images at any depth, in sorted order,
 *                     known by their first bytes.  Classes are numbered in sorted
 *                     order; with labels by folder, images directly in the folder
 *                     have none.  Whatever is left out is noted in `found`.
 *
 * Without a size the images keep their own, which must be the same for all.  Else each
 * is resized to just cover it and cropped around the centre (see resize.h).  28 x 28
 * images are special: without a size, or with 32, they get a border of 2 zero pixels,
 * since the networks halve the side several times.
 *
 * o NULL: all as found, on white.  The set is the caller's: cm_dataset_free.
 * Errors: CM_ERR_ARGUMENT (size), CM_ERR_IO, CM_ERR_FORMAT (a bad file, images that
 * differ, loose images beside classes, a class name that is not UTF-8),
 * CM_ERR_UNSUPPORTED (more than 16 GiB), CM_ERR_MEMORY. */
cm_status cm_dataset_open(const char *what, const cm_dataset_options *o, cm_dataset **out,
                          cm_error *err);
void cm_dataset_free(cm_dataset *data);

/* Move every n-th image, of which there must be one, to a set of its own without names, which
 * is the caller's; the fingerprint of data stays that of all.  Errors: CM_ERR_MEMORY. */
cm_status cm_dataset_hold_out(cm_dataset *data, int every, cm_dataset **held, cm_error *err);

/* Whether path is new, empty, or a packed set, which is replaced: for before the work.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_IO. */
cm_status cm_dataset_pack_check(const char *path, cm_error *err);

/* Write it as one safetensors file: `images` uint8 [N,H,W,C], `labels` int64 [N] where there
 * are some, and the names of the classes in the metadata. */
cm_status cm_dataset_pack(const cm_dataset *data, const char *path, cm_error *err);

#endif
