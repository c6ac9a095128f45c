/* tune_check.h - which settings of a search for the levels of edits go together */
#ifndef CM_EVAL_TUNE_CHECK_H
#define CM_EVAL_TUNE_CHECK_H

#include "cm.h"
#include "model/model.h"

/* Tasks to search for, bit i for cm_edit_tasks[i], and that most leaves a list to judge, of
 * `fewest` evaluations.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_tune_check(const cm_tune_params *params, const cm_model *model, int fewest,
                        unsigned *tasks, cm_error *err);
/* That the paths that any search needs are given.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_tune_check_needed(const cm_tune_params *params, cm_error *err);
/* That out, which is not empty, replaces the model or nothing.  Errors: CM_ERR_ARGUMENT, CM_ERR_IO.
 */
cm_status cm_tune_check_out(const cm_tune_params *params, cm_error *err);
/* Write it: the model with this text as its "edits" or "sampling". */
cm_status cm_tune_write_out(const cm_tune_params *params, const cm_model *model, const char *key,
                            char *text, cm_error *err);

#endif
