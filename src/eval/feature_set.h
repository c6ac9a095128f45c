/* feature_set.h - the features of some images, kept, for what compares images in pairs */
#ifndef CM_EVAL_FEATURE_SET_H
#define CM_EVAL_FEATURE_SET_H

#include "cm_status.h"

#include <stdint.h>

/* x_i - c, with a centre c common to all sets that are compared: distances are as before, and
 * single precision is spent on what differs. */
typedef struct cm_feature_set {
    int64_t n, d, capacity;
    float *values;   /* [n,d], x_i - c */
    double *squares; /* [n], |x_i - c|^2 */
    double *along;   /* [n], c . x_i - |c|^2 / 2, so that x . y = (x-c).(y-c) + both of them */
} cm_feature_set;

/* Zero it before.  rows [n,d].  Errors: CM_ERR_MEMORY. */
cm_status cm_feature_set_add(cm_feature_set *set, int64_t d, int64_t n, const float *rows,
                             cm_error *err);
/* Once, after the last row; centre [d].  Errors: CM_ERR_MEMORY. */
cm_status cm_feature_set_centre(cm_feature_set *set, const double *centre, cm_error *err);
void cm_feature_set_clear(cm_feature_set *set);

/* |x_i - y_j|^2 in double precision. */
double cm_feature_distance2(const cm_feature_set *x, int64_t i, const cm_feature_set *y, int64_t j);

#endif
