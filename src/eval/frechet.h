/* frechet.h - the Frechet distance of two Gaussians
 *
 *     d^2 = |mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2)
 *
 * The eigenvalues of S1 S2 are those of S1^1/2 S2 S1^1/2, and so, with any factors
 * S1 = A1 A1^T and S2 = A2 A2^T, the squares of the singular values of A1^T A2:
 *
 *     tr sqrt(S1 S2) = sum of the singular values of A1^T A2
 *
 * No root is taken of a small eigenvalue, which would make its rounding error large, and a
 * matrix without full rank is as good as any: its factor has fewer columns.
 * Source: Dowson, Landau 1982; Heusel et al. 2017 (arXiv 1706.08500). */
#ifndef CM_EVAL_FRECHET_H
#define CM_EVAL_FRECHET_H

#include "eval/moments.h"

/* name1 and name2 say whose statistics they are.  Takes room for four matrices.
 * Errors: CM_ERR_ARGUMENT (different numbers of features), CM_ERR_FORMAT (no covariance: it has a
 * negative eigenvalue), CM_ERR_NUMERIC (LAPACK gives up), CM_ERR_MEMORY. */
cm_status cm_frechet(const cm_linear *linear, const cm_statistics *s1, const char *name1,
                     const cm_statistics *s2, const char *name2, double *distance, cm_error *err);

#endif
