/* collect.h - one pass over a set of images: their features, and what is made of them
 *
 * Several processes take batches in turn; their features go to process 0, which alone makes
 * something of them, in the order of the images.  So the bits are those of a process alone. */
#ifndef CM_EVAL_COLLECT_H
#define CM_EVAL_COLLECT_H

#include "eval/agreement.h"
#include "eval/class_score.h"
#include "eval/extractor.h"
#include "eval/feature_set.h"
#include "eval/image_source.h"
#include "eval/moments.h"

/* A piece of work that is shown while it goes on. */
typedef struct cm_eval_phase {
    const cm_eval_hooks *hooks; /* NULL: nobody looks */
    const char *what;           /* "samples: features" */
    double done, all, begun;    /* in units of the phase; seconds */
} cm_eval_phase;
/* Who shares the work; NULL: nobody. */
cm_group *cm_eval_group(const cm_eval_hooks *hooks);
cm_eval_phase cm_eval_phase_begin(const cm_eval_hooks *hooks, const char *what, double all);
/* Errors: CM_INTERRUPTED. */
cm_status cm_eval_phase_add(cm_eval_phase *phase, double done, cm_error *err);

/* What the features of a pass go to; NULL: not wanted. */
typedef struct cm_collection {
    const cm_linear *linear;           /* for: */
    cm_statistics *features, *spatial; /* mean and covariance; the caller's afterwards */
    cm_class_score *score;             /* of logits */
    cm_feature_set *kept;
    int64_t most_kept;       /* images: the first of them */
    cm_agreement *agreement; /* which was started */
} cm_collection;

/* What can be known before: that the network takes the images of the source, and, where their
 * covariance is wanted, that there are two.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_collect_check(const cm_extractor *extractor, const cm_image_source *source,
                           int wants_covariance, cm_error *err);
/* All images of the source, from the first.  All processes come here, and with the same images;
 * `to` is filled in process 0 alone.  Errors, which all agree on: those of cm_collect_check,
 * cm_image_source_next, cm_extractor_run and cm_moments_finish, CM_INTERRUPTED, CM_ERR_MEMORY,
 * CM_ERR_FORMAT (not the same images). */
cm_status cm_collect(cm_extractor *extractor, int batch, cm_image_source *source, cm_collection *to,
                     cm_eval_phase *phase, cm_error *err);

#endif
