/* tune_points.h - the search for the noise levels of sampling by a consistency model, which the
 * model file then has as its own (sample/own_levels.h) */
#ifndef CM_EVAL_TUNE_POINTS_H
#define CM_EVAL_TUNE_POINTS_H

#include "cm.h"

/* As cm_tune (cm.h) with the task sample; arguments are in range. */
cm_status cm_tune_points(const cm_tune_params *params, const cm_eval_hooks *hooks,
                         void (*line)(void *user, const char *text), void *user, cm_error *err);

#endif
