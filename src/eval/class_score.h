/* class_score.h - the Inception score, as the logits come
 *
 *     IS = exp( mean_i KL(p_i || q) ),   p_i = softmax(logits_i),  q = mean_i p_i
 *
 * of each run of 5,000 images in their order, and the mean over the runs; the last one may be
 * shorter.  As mean_i KL(p_i || q) = mean_i sum p_i ln p_i - sum q ln q, two sums are enough.
 * The logits are those without bias, as the reference's.
 * Source: Salimans et al. 2016 (arXiv 1606.03498); guided-diffusion, evaluator.py. */
#ifndef CM_EVAL_CLASS_SCORE_H
#define CM_EVAL_CLASS_SCORE_H

#include "cm_status.h"

#include <stdint.h>

enum { CM_CLASS_SCORE_SPLIT = 5000 };

typedef struct cm_class_score {
    int64_t classes, in_split, splits;
    double *q;      /* [classes], sum of p_i in this split */
    double *p;      /* [classes], of one image */
    double entropy; /* sum p_i ln p_i in this split */
    double sum;     /* of the scores of the splits before */
} cm_class_score;

/* Errors: CM_ERR_MEMORY. */
cm_status cm_class_score_start(cm_class_score *s, int64_t classes, cm_error *err);
void cm_class_score_clear(cm_class_score *s);                               /* or all zero */
void cm_class_score_add(cm_class_score *s, int64_t n, const float *logits); /* [n,classes] */
/* NaN: of no image. */
double cm_class_score_finish(cm_class_score *s);

#endif
