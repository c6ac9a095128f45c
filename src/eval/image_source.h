/* image_source.h - images to be judged, one batch after another, wherever they come from
 *
 *     a data set     a folder, an IDX file, a packed set, fashion-mnist: in memory, as bytes
 *     an .npz file   arr_0 uint8 [N,H,W,C] and, where it is there, arr_1, integers [N]: streamed
 *     a model        drawn as they are asked for, as cm sample draws them */
#ifndef CM_EVAL_IMAGE_SOURCE_H
#define CM_EVAL_IMAGE_SOURCE_H

#include "cm.h"
#include "data/dataset.h"
#include "data/summary.h"

#include <jansson.h>

typedef struct cm_image_source {
    char name[512];             /* for messages */
    char left_out[CM_LEFT_OUT]; /* which files are not among the images, and why; empty: none */
    int64_t n, done;
    int h, w, c;
    int classes;   /* 0: no labels */
    json_t *names; /* of the classes; NULL: none */
    const struct cm_source_kind *kind;
    void *state;
} cm_image_source;

typedef struct cm_image_shape {
    int h, w, c;
    const char *of; /* who has it, for messages: "the samples s.npz" */
} cm_image_shape;

/* as: what a data set is brought to, NULL: its own; others must have it already.  Images of a
 * folder have the class of their subfolder, else that of their name where it is one of cm sample.
 * strict: a damaged image in a folder is an error, else it is left out.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (a bad file; no images in it; another size), CM_ERR_MEMORY. */
cm_status cm_image_source_open(const char *path, const cm_image_shape *as, int strict,
                               cm_image_source *source, cm_error *err);
/* sampling->num images of the model at path.  Errors: those of cm_sampler_new, CM_ERR_IO. */
cm_status cm_image_source_draw(const char *path, const cm_sample_params *sampling,
                               cm_image_source *source, cm_error *err);
/* The same of a set and a model that are there and outlive the source; name is for messages. */
cm_status cm_image_source_of(const cm_dataset *data, const char *name, cm_image_source *source,
                             cm_error *err);
cm_status cm_image_source_draw_of(const cm_model *model, const char *name,
                                  const cm_sample_params *sampling, cm_image_source *source,
                                  cm_error *err);
void cm_image_source_close(cm_image_source *source); /* also of one that is all zero */

/* A hash of what tells these images from others: of those of an archive their number and shape
 * alone. */
uint64_t cm_image_source_fingerprint(const cm_image_source *source);

/* The next count images, of those that are left; labels [count], -1: none.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (cut short, damaged), CM_ERR_NUMERIC, CM_ERR_MEMORY. */
cm_status cm_image_source_next(cm_image_source *source, int64_t count, uint8_t *pixels,
                               int64_t *labels, cm_error *err);
/* Image i again; what comes next is not changed. */
cm_status cm_image_source_pick(cm_image_source *source, int64_t i, uint8_t *pixels, cm_error *err);

#endif
