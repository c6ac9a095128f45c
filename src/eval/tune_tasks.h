/* tune_tasks.h - the searches for noise levels */
#ifndef CM_EVAL_TUNE_TASKS_H
#define CM_EVAL_TUNE_TASKS_H

#include "cm.h"

/* As cm_tune (cm.h), whose arguments are in range. */
cm_status cm_tune_task(const cm_tune_params *params, const cm_eval_hooks *hooks,
                       void (*line)(void *user, const char *text), void *user, cm_error *err);

#endif
