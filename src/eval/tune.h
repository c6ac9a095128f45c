/* tune.h - the search for the noise levels of edits, which a model file then has as its own
 * (sample/edit_levels.h) */
#ifndef CM_EVAL_TUNE_H
#define CM_EVAL_TUNE_H

#include "cm.h"

/* As cm_tune (cm.h) with tasks of edits; arguments are in range and paths are given. */
cm_status cm_tune_edits(const cm_tune_params *params, const cm_eval_hooks *hooks,
                        void (*line)(void *user, const char *text), void *user, cm_error *err);

#endif
