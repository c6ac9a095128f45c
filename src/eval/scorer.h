/* scorer.h - the distance of a model that goes on changing from a reference that stays */
#ifndef CM_EVAL_SCORER_H
#define CM_EVAL_SCORER_H

#include "cm.h"
#include "data/dataset.h"
#include "model/model.h"

/* A network of features with its weights, and the statistics of the reference, which are all
 * that is kept of it.  One thread uses it at a time. */
typedef struct cm_scorer cm_scorer;

typedef struct cm_scorer_config {
    const char *features, *weights; /* as of cm_extractor_open */
    const char *ref;                /* real images, or statistics of some; empty: data */
    const cm_dataset *data;         /* used while it is opened; its size is that of the samples */
    const char *name;               /* of data, for messages */
    const char *of;                 /* whose size that is, likewise; NULL: the data's */
    int threads;
} cm_scorer_config;

/* Open the network; the reference comes next.  Errors: those of cm_extractor_open,
 * CM_ERR_ARGUMENT (images of a size that the network does not take), CM_ERR_UNSUPPORTED (no
 * OpenBLAS). */
cm_status cm_scorer_open(const cm_scorer_config *config, cm_scorer **scorer, cm_error *err);
/* Read the statistics of the reference, or take them of its images, which is work; hooks may be
 * NULL.  Errors: those of cm_image_source_open and cm_statistics_read, CM_INTERRUPTED. */
cm_status cm_scorer_take_reference(cm_scorer *s, const cm_scorer_config *config,
                                   const cm_eval_hooks *hooks, cm_error *err);
void cm_scorer_close(cm_scorer *s); /* NULL is allowed */

const char *cm_scorer_name(const cm_scorer *s);    /* of the distance: "FD-fashion" */
const char *cm_scorer_network(const cm_scorer *s); /* also which weights it has */
int64_t cm_scorer_features(const cm_scorer *s);    /* as many images, or fewer, are too few */

typedef struct cm_model_scores {
    double distance;
    double agreement; /* share of samples taken for their class; NaN: cannot be told */
} cm_model_scores;

/* In process 0, where hooks have a group; all its processes call it, and cm_scorer_open.  What
 * cm_eval says of sampling->num images of the model with these settings, whatever
 * sampling->batch.  Errors: those of cm_sampler_new and cm_sampler_run, CM_INTERRUPTED. */
cm_status cm_scorer_run(cm_scorer *s, const cm_model *model, const cm_sample_params *sampling,
                        const cm_eval_hooks *hooks, cm_model_scores *scores, cm_error *err);

#endif
