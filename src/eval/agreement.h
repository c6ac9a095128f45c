/* agreement.h - the share of images that a classifier takes for their class
 *
 * The classes of the images are found among those that the network tells apart by their names, as
 * folders and the files of cm sample bear them; where one side has no names, by their numbers.
 * Classes that are none of the network's, and labels beyond it, leave no share but a reason. */
#ifndef CM_EVAL_AGREEMENT_H
#define CM_EVAL_AGREEMENT_H

#include "eval/extractor.h"
#include "eval/image_source.h"

typedef struct cm_agreement {
    const cm_image_source *source;
    int64_t classes;   /* of the network; 0: nothing is counted */
    int64_t *class_of; /* of each class of the source, the network's; NULL: the same */
    int64_t seen, with_class, agree;
    char known[144];   /* the network's classes, for messages */
    char why_not[480]; /* why there is no share, or of how many images it is; empty: of all */
} cm_agreement;

/* The extractor and the source outlive it.  Errors: CM_ERR_MEMORY. */
cm_status cm_agreement_start(cm_agreement *a, const cm_extractor *extractor,
                             const cm_image_source *source, cm_error *err);
/* The class of the largest of n logits; of equal ones the first. */
int64_t cm_largest(const float *logits, int64_t n);
/* The next n images of the source: logits [n,classes], labels [n], -1: none. */
void cm_agreement_add(cm_agreement *a, int64_t n, const float *logits, const int64_t *labels);
/* NaN: of none. */
double cm_agreement_finish(cm_agreement *a);
void cm_agreement_clear(cm_agreement *a); /* also of one that is all zero */

#endif
