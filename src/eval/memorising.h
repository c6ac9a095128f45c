/* memorising.h - whether samples are copies of what the model was trained on
 *
 * Distances between features, from each sample to the training image that is nearest to it, and
 * the same from images of a test set, which no model has seen:
 *
 *     nearer = #{ (sample, test image) : d(sample, training set) < d(test image, training set) }
 *              / (samples x test images),  equal ones by half
 *
 * is about a half where samples are to the training set as new images are, and near 1 where they
 * are copies.  Source: Meehan, Chaudhuri, Dasgupta 2020 (arXiv 2004.05675), the statistic of its
 * test for data-copying over the whole space. */
#ifndef CM_EVAL_MEMORISING_H
#define CM_EVAL_MEMORISING_H

#include "eval/collect.h"
#include "eval/evaluate.h"

/* The samples, and what they are compared by. */
typedef struct cm_memorising_task {
    const cm_eval_params *params; /* train, test, nearest, kept */
    const cm_eval_hooks *hooks;
    cm_extractor *extractor;
    int batch, threads;
    cm_image_source *samples;
    const cm_feature_set *kept; /* features of the first samples, centred */
    const double *centre;       /* about this */
} cm_memorising_task;

/* Fill in nearest, nearest_test and nearer of *scores, and write the picture params->nearest: the
 * samples that are nearest to the training set, each before the training images nearest to it.
 * Of the training set all features are kept, of the test set params->kept.
 * Errors: as of cm_image_source_open and cm_collect. */
cm_status cm_memorising(const cm_memorising_task *task, cm_scores *scores, cm_error *err);

#endif
