/* collect.h - one pass over a set of images: their features, and what is made of them */
#ifndef CM_EVAL_COLLECT_H
#define CM_EVAL_COLLECT_H

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
cm_eval_phase cm_eval_phase_begin(const cm_eval_hooks *hooks, const char *what, double all);
/* Errors: CM_INTERRUPTED. */
cm_status cm_eval_phase_add(cm_eval_phase *phase, double done, cm_error *err);

/* What the features of a pass go to; NULL: not wanted. */
typedef struct cm_collection {
    const cm_linear *linear;           /* for: */
    cm_statistics *features, *spatial; /* mean and covariance; the caller's afterwards */
    cm_class_score *score;             /* of logits */
    cm_feature_set *kept;
    int64_t most_kept; /* images: the first of them */
    /* Images whose class is that of the largest logit, of those with a class. */
    int64_t classes, agree, with_class;
} cm_collection;

/* The classes of the source's images where they are those that the network tells apart, else 0. */
int64_t cm_collect_classes(const cm_extractor *extractor, const cm_image_source *source);
/* The share that is taken for its class; NaN: none has one. */
double cm_collect_agreement(const cm_collection *c);

/* All images of the source, from the first.  Errors: those of cm_image_source_next,
 * cm_extractor_run and cm_moments_finish, CM_INTERRUPTED, CM_ERR_MEMORY. */
cm_status cm_collect(cm_extractor *extractor, int batch, cm_image_source *source, cm_collection *to,
                     cm_eval_phase *phase, cm_error *err);

#endif
