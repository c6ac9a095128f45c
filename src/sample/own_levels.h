/* own_levels.h - the noise levels with which a consistency model samples best in K evaluations, as
 * cm tune --task sample has found them.
 *
 * The model file's metadata has, under "sampling", a JSON object of
 *
 *     "2": {"sigmas": "80,3.9", "score": 0.52, ...}, "3": ...
 *
 * What else there is says how they were chosen.  That may be missing, and so may numbers. */
#ifndef CM_SAMPLE_OWN_LEVELS_H
#define CM_SAMPLE_OWN_LEVELS_H

#include "model/model.h"

enum { CM_MOST_OWN_LEVELS = 256 };

/* Those for K evaluations, 2 to CM_MOST_OWN_LEVELS: sigma[K]; *found 0: the model has none.
 * Errors: CM_ERR_FORMAT names the key, CM_ERR_MEMORY. */
cm_status cm_own_levels(const cm_model *model, int64_t K, double *sigma, int *found, cm_error *err);
/* That all that is there can be read. */
cm_status cm_own_levels_check(const cm_model *model, cm_error *err);

#endif
