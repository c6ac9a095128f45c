/* suggest.h - which preset suits a data set */
#ifndef CM_TRAIN_SUGGEST_H
#define CM_TRAIN_SUGGEST_H

#include "cm.h"
#include "data/dataset.h"

/* Call line once a preset: what it is for, how large its network would be for these images,
 * and which is the nearest.  params: the other settings. */
void cm_suggest_presets(const cm_train_params *params, const cm_dataset *data,
                        void (*line)(void *user, const char *text), void *user);

#endif
