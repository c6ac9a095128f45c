/* unused.h - settings that would change nothing */
#ifndef CM_TRAIN_UNUSED_H
#define CM_TRAIN_UNUSED_H

#include "cm.h"

/* As cm_train_check_used (cm.h). */
cm_status cm_check_used(const cm_train_params *config, int resume, const char *option,
                        cm_error *err);

#endif
