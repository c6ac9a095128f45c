/* loop.h - a training run from its first step to the exported model */
#ifndef CM_TRAIN_LOOP_H
#define CM_TRAIN_LOOP_H

#include "cm.h"

/* As cm_train (cm.h); config is in range. */
cm_status cm_train_run(const cm_train_params *config, int resume, const cm_train_hooks *hooks,
                       cm_error *err);

#endif
