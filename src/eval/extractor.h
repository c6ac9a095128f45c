/* extractor.h - the features of images by a network, a batch at a time */
#ifndef CM_EVAL_EXTRACTOR_H
#define CM_EVAL_EXTRACTOR_H

#include "model/model.h"
#include "nn/features/features.h"

/* A network with its weights, compiled for one batch of images of one size; compiled again
 * where they have another.  One thread uses it at a time. */
typedef struct cm_extractor cm_extractor;

/* name says the network, weights its file, which may be safetensors or PyTorch's; empty: that of
 * the name it is published under:
 *   inception          that of the Frechet inception distance, as TensorFlow has it: images of
 *                      any size, RGB or gray; its weights under the names they have in
 *                      pt_inception-2015-12-05-6726825d.pth
 *   inception-pytorch  the same behind pytorch-fid's resizing, whose scores are others
 *   small              a classifier that cm train --method classifier made: a file or a run
 * batch images at once; threads 0: the cores this process may use.
 * Errors: CM_ERR_ARGUMENT (no network of that name; not a classifier), CM_ERR_IO (of a file
 * that is missing: what it is and who publishes it), CM_ERR_FORMAT (tensors that are missing, of
 * another shape, or not of this network), CM_ERR_MEMORY. */
cm_status cm_extractor_open(const char *name, const char *weights, int batch, int threads,
                            cm_extractor **out, cm_error *err);
/* Of a classifier that is open, and outlives the extractor. */
cm_status cm_extractor_of(const cm_model *classifier, int batch, int threads, cm_extractor **out,
                          cm_error *err);
void cm_extractor_close(cm_extractor *e); /* NULL is allowed */

cm_feature_dims cm_extractor_dims(const cm_extractor *e);
/* The network's name, of one of ours also which weights (statistics are of both), and what its
 * distances are called: FID is that of one network alone. */
typedef struct cm_score_names {
    char network[128];            /* "inception", "FD-fashion 0123456789abcdef" */
    char distance[CM_SCORE_NAME]; /* "FID", "FD-fashion" */
    char kernel[CM_SCORE_NAME];   /* "KID", "KD-fashion" */
} cm_score_names;
cm_score_names cm_extractor_names(const cm_extractor *e);
/* The classifier of "small"; NULL: another network. */
const cm_model *cm_extractor_model(const cm_extractor *e);

/* Whether it takes images of this size; `of` says whose they are.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_extractor_check(const cm_extractor *e, const char *of, int h, int w, int c,
                             cm_error *err);
/* The features of n images, pixels [n,h,w,c], which may be more than a batch: to features
 * [n,dims.features], spatial [n,dims.spatial] and logits [n,dims.logits], each of which may be
 * NULL.  What an image gives does not depend on those beside it.  Allocates where the size is
 * another than before only.
 * Errors: CM_ERR_ARGUMENT (images that the network does not take), CM_ERR_MEMORY,
 * CM_ERR_NUMERIC (weights that give no finite numbers). */
cm_status cm_extractor_run(cm_extractor *e, int64_t n, const uint8_t *pixels, int h, int w, int c,
                           float *features, float *spatial, float *logits, cm_error *err);

#endif
