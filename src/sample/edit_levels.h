/* edit_levels.h - the noise levels of an edit: the user's, else those that a search chose for
 * this model, else the task's own.
 *
 * The model file's metadata has, under "edits", a JSON object of
 *
 *     "inpaint": {"sigmas": "80,24.4,5.84", "score": 0.93, ...}
 *
 * Consistency models have sigmas, as --sigmas, teachers in their place steps, as --steps; what else
 * there is says how they were chosen.  That may be missing, and so may tasks. */
#ifndef CM_SAMPLE_EDIT_LEVELS_H
#define CM_SAMPLE_EDIT_LEVELS_H

#include "cm.h"
#include "model/model.h"
#include "sample/edits.h"
#include "sample/recipe.h"

enum { CM_EDIT_MOST_LEVELS = 256, CM_EDIT_MOST_TASKS = 16 };

/* What the model file says; owned by the session. */
typedef struct cm_edit_search {
    int n[CM_EDIT_MOST_TASKS]; /* of sigma; 0: not searched */
    int steps[CM_EDIT_MOST_TASKS];
    double sigma[CM_EDIT_MOST_TASKS][CM_EDIT_MOST_LEVELS];
} cm_edit_search;

/* Errors: CM_ERR_FORMAT names the key, CM_ERR_MEMORY. */
cm_status cm_edit_search_read(const cm_model *model, cm_edit_search *search, cm_error *err);

/* n levels of a task as it has them without a search: even on the grid, from the one that leaves
 * the share 1 - strength of it undone to the one that leaves 1 - task->last. */
void cm_edit_ladder(const cm_noise_schedule *schedule, const cm_edit_task *task, double strength,
                    int n, double *sigma);

/* The method and levels for this edit; levels->sigma has the room of a recipe's.
 * Errors: CM_ERR_ARGUMENT (settings that do not go together). */
cm_status cm_edit_levels(const cm_recipe *recipe, const cm_edit_search *search,
                         const cm_edit_task *task, const cm_edit *edit,
                         const cm_sampling_method **method, cm_levels *levels, cm_error *err);

#endif
