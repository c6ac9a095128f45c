/* session.h - a model's denoiser D(x, sigma, y), compiled for a batch, and its memory.
 *
 * Images do not meet in the network, so a batch may be run in parts, the micro-batches.
 * Their size is what keeps the activations and the packed weights in the last cache;
 * a network whose weights alone do not fit runs the batch at once, as parts would only
 * read them again (docs/speed.md). */
#ifndef CM_SAMPLE_SESSION_H
#define CM_SAMPLE_SESSION_H

#include "graph/plan.h"
#include "model/model.h"

typedef struct cm_session {
    cm_graph *g;
    cm_plan *plan; /* of a part */
    int batch, micro;
    int sized_only;             /* the plan is asked what it takes, and has no memory */
    int64_t image;              /* floats an image */
    cm_node *x, *sigma, *y, *D; /* y NULL: not class-conditional */
    float *images, *levels;     /* [micro, image], [micro]: on their way in and out */
    int32_t *labels;            /* [micro] */
} cm_session;

/* For batches of at most `batch` images, `micro` at a time (0: as many as the caches
 * hold); the last part of a batch may have some to spare.
 * Errors: CM_ERR_MEMORY, CM_ERR_UNSUPPORTED. */
cm_status cm_session_new(const cm_model *model, int batch, int micro, cm_dtype dtype, int threads,
                         cm_session **session, cm_error *err);
void cm_session_free(cm_session *session); /* NULL is allowed */

/* denoised = D(x, sigma, labels) of the first count images of a batch; x and denoised are
 * [count, image], labels [count] (read where the network has classes). */
void cm_session_denoise(cm_session *s, int count, const double *x, double sigma,
                        const int64_t *labels, double *denoised);

/* Of the model's weights and the plan. */
size_t cm_session_bytes(const cm_session *s, const cm_model *model);

/* What cm_session_new would take, found without allocating it. */
typedef struct cm_session_needs {
    int micro;     /* images at a time */
    size_t bytes;  /* as of cm_session_bytes */
    size_t packed; /* of them, weights as kernels want them, beside the model's own */
} cm_session_needs;
cm_status cm_session_needs_of(const cm_model *model, int batch, cm_dtype dtype, int threads,
                              cm_session_needs *needs, cm_error *err);

int cm_session_parts(const cm_session *s); /* of a whole batch */

#endif
