/* released.h - the checkpoints that came with the paper: twelve .pt files with nothing in them
 * but weights.  What the shapes do not tell of a network stands in the name:
 *
 *     edm_FAMILY...                a diffusion teacher
 *     cd_FAMILY..., ct_FAMILY...   a consistency model, distilled or trained alone
 *
 * where FAMILY is imagenet64, bedroom256 or cat256: the size of the images, heads of 64 channels.
 * Source: github.com/openai/consistency_models, README and scripts/launch.sh. */
#ifndef CM_MODEL_RELEASED_H
#define CM_MODEL_RELEASED_H

#include "model/model.h"

/* Whether a file of this path has such a name; folders before it do not count. */
int cm_released_is(const char *path);

/* Set network, preconditioning and grid of m by the name of the file and the shapes in it.
 * Errors: CM_ERR_FORMAT (another name; no such network), CM_ERR_MEMORY. */
cm_status cm_released_config(const char *path, const cm_st_file *file, cm_model *m, cm_error *err);

#endif
