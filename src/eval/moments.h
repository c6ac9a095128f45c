/* moments.h - mean and covariance of features, as they come
 *
 *     mu = sum x / n,   Sigma = sum (x - mu)(x - mu)^T / (n - 1)
 *
 * in double, by blocks of rows: the memory is that of the matrix, whatever the number of rows.
 * Sums are taken about the mean of the first block, so that nothing cancels. */
#ifndef CM_EVAL_MOMENTS_H
#define CM_EVAL_MOMENTS_H

#include "eval/linear.h"

#include <stdint.h>

/* What is left in the end; n 0: not known, as in files of others. */
typedef struct cm_statistics {
    int64_t n, d;
    double *mean;       /* [d] */
    double *covariance; /* [d,d] */
} cm_statistics;
void cm_statistics_clear(cm_statistics *s); /* also of one that is all zero */

typedef struct cm_moments cm_moments;

/* Of d features; linear must outlive it.  Errors: CM_ERR_MEMORY. */
cm_status cm_moments_new(const cm_linear *linear, int d, cm_moments **moments, cm_error *err);
void cm_moments_free(cm_moments *moments); /* NULL is allowed */

/* rows [n,d] */
void cm_moments_add(cm_moments *moments, int64_t n, const float *rows);
/* Of all rows so far.  *s is the caller's.  Errors: CM_ERR_ARGUMENT (fewer than two),
 * CM_ERR_NUMERIC (not finite), CM_ERR_MEMORY. */
cm_status cm_moments_finish(cm_moments *moments, cm_statistics *s, cm_error *err);

#endif
