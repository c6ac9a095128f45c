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

/* Fill in nearest, nearest_test and nearer of *scores, of params->train and params->test, and
 * write the picture params->nearest: the samples that are nearest to the training set, each
 * before the training images nearest to it.  kept: the features of the first images of
 * `samples`, centred about `centre`.  Of the training set all are kept, of the test set
 * params->kept. */
cm_status cm_memorising(const cm_eval_params *params, cm_extractor *extractor, int batch,
                        int threads, const cm_eval_hooks *hooks, cm_image_source *samples,
                        const cm_feature_set *kept, const double *centre, cm_scores *scores,
                        cm_error *err);

#endif
