/* linear.h - products of double matrices by several workers
 *
 * Column-major, as BLAS has it: what is [n,d] row by row in C is d x n here.  A result is the
 * same bits for any number of workers: they share out panels of columns whose width is fixed. */
#ifndef CM_EVAL_LINEAR_H
#define CM_EVAL_LINEAR_H

#include "base/pool.h"
#include "eval/blas.h"

typedef struct cm_linear {
    cm_blas blas;
    cm_pool *pool;
    int workers;
} cm_linear;

/* threads: at least 1, of which CM_BLAS_MOST_WORKERS are used.
 * Errors: as cm_blas_open and cm_pool_new. */
cm_status cm_linear_open(int threads, cm_linear *linear, cm_error *err);
void cm_linear_close(cm_linear *linear); /* also of one that is all zero */

/* The lower triangle of C [d,d] += X X^T, X [d,n]. */
void cm_linear_add_outer(const cm_linear *linear, int d, int n, const double *x, double *c);
/* C [m,n] = A^T B, A [d,m], B [d,n]. */
void cm_linear_inner(const cm_linear *linear, int m, int n, int d, const double *a, const double *b,
                     double *c);

#endif
