/* recipe.h - what sampling with some settings does to a model: its method, noise levels and
 * classes */
#ifndef CM_SAMPLE_RECIPE_H
#define CM_SAMPLE_RECIPE_H

#include "cm.h"
#include "model/model.h"
#include "sample/sampler.h"

enum { CM_MAX_LABELS = sizeof(cm_text) / 2, CM_MOST_NOISE_LEVELS = 10000 };

typedef struct cm_recipe {
    const cm_sampling_method *method;
    cm_levels levels;
    int list_given; /* the noise levels are the user's own */
    int ts_given;   /* as points of a grid */
    int one_step;   /* and so is their number */
    int steps_given;
    int few_steps; /* that the model was distilled to; 0: any */
    enum { CM_LABEL_ALL, CM_LABEL_RANDOM, CM_LABEL_LIST, CM_LABEL_AUTO } label_rule;
    int64_t label[CM_MAX_LABELS]; /* CM_LABEL_LIST: an equal share each, in order */
    int n_labels;
    int classes;
    int64_t of; /* images of the set that requests are parts of; 0: each is a set */
} cm_recipe;

/* params are in range; the model must outlive the recipe.  Errors: CM_ERR_ARGUMENT (settings
 * that do not fit the model or each other), CM_ERR_MEMORY. */
cm_status cm_recipe_make(const cm_model *model, const cm_sample_params *params, cm_recipe *recipe,
                         cm_error *err);
void cm_recipe_clear(cm_recipe *recipe);

/* As cm_sample_check_used (cm.h). */
cm_status cm_recipe_check_used(const cm_model *model, const cm_sample_params *params,
                               const char *option, cm_error *err);

/* Whether images first to first + num - 1 are of the set.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_recipe_check_set(const cm_recipe *r, int64_t first, int64_t num, cm_error *err);

/* "80,57.6,...,0", the noise levels, freed with cm_free; NULL: out of memory. */
char *cm_recipe_levels(const cm_recipe *r);

/* The class of image i of num images, which has this index among all of its seed, and of a set in
 * that; -1: the model has none, or it is to be told from the picture. */
int64_t cm_recipe_label(const cm_recipe *r, uint64_t seed, int64_t index, int64_t i, int64_t num);

#endif
