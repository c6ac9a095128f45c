/* blas.h - the products and factorisations of double matrices, from Debian's OpenBLAS
 *
 * The serial flavour, loaded when it is wanted and out of sight of the rest of the program:
 * it has no threads, and the host's own BLAS, if any, is left as it is
 * (docs/decisions/020-openblas-in-private.md).  Our own workers share the work out.
 *
 * Matrices are column-major, as there; a symmetric one is its lower triangle. */
#ifndef CM_EVAL_BLAS_H
#define CM_EVAL_BLAS_H

#include "cm_status.h"

#include <stddef.h>

/* Of cblas.h, whose names these are. */
enum { CM_BLAS_COLUMNS = 102, CM_BLAS_AS_IS = 111, CM_BLAS_TRANSPOSED = 112, CM_BLAS_LOWER = 122 };

typedef struct cm_blas {
    void *library;
    /* C = alpha op(A) op(B) + beta C */
    void (*dgemm)(int order, int op_a, int op_b, int m, int n, int k, double alpha, const double *a,
                  int lda, const double *b, int ldb, double beta, double *c, int ldc);
    /* C = alpha A A^T + beta C (as is), A^T A (transposed) */
    void (*dsyrk)(int order, int uplo, int op, int n, int k, double alpha, const double *a, int lda,
                  double beta, double *c, int ldc);
    /* P^T A P = L L^T up to the rank that the tolerance leaves */
    void (*dpstrf)(const char *uplo, const int *n, double *a, const int *lda, int *pivot, int *rank,
                   const double *tol, double *work, int *info, size_t uplo_length);
    /* Singular values, and vectors where job asks for them. */
    void (*dgesdd)(const char *job, const int *m, const int *n, double *a, const int *lda,
                   double *s, double *u, const int *ldu, double *vt, const int *ldvt, double *work,
                   const int *lwork, int *iwork, int *info, size_t job_length);
} cm_blas;

/* Workers that may call it at once: its table of buffers has 50 places. */
enum { CM_BLAS_MOST_WORKERS = 32 };

/* Errors: CM_ERR_UNSUPPORTED (it is not installed, or not the serial flavour). */
cm_status cm_blas_open(cm_blas *blas, cm_error *err);
void cm_blas_close(cm_blas *blas); /* also of one that is all zero */

#endif
