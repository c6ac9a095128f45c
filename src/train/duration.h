/* duration.h - how many steps a given time holds */
#ifndef CM_TRAIN_DURATION_H
#define CM_TRAIN_DURATION_H

#include "train/step.h"

/* At least 1.  Runs the step on noise alone for a few seconds: afterwards its weights and
 * averages are those of no run.  stop is asked before each of its runs; 0: it said so. */
int64_t cm_steps_within(cm_train_step *step, const cm_objective_settings *settings, double seconds,
                        int (*stop)(void *user), void *user);

#endif
