/* kid.h - the kernel Inception distance
 *
 * The unbiased estimate of the squared maximum mean discrepancy, with k(x,y) = (x.y / d + 1)^3,
 * of m images of each set:
 *
 *     1/(m(m-1)) sum_{i != j} [ k(x_i,x_j) + k(y_i,y_j) ]  -  2/m^2 sum_{i,j} k(x_i,y_j)
 *
 * Mean and standard deviation over 100 draws of m = 1,000 without replacement, or of as many as
 * the smaller set has.  All draws take their products from the same tiles.
 * Source: Binkowski et al. 2018 (arXiv 1801.01401). */
#ifndef CM_EVAL_KID_H
#define CM_EVAL_KID_H

#include "eval/products.h"

enum { CM_KID_SUBSETS = 100, CM_KID_SIZE = 1000 };

typedef struct cm_kid {
    int64_t size;        /* m */
    int64_t n, samples;  /* images in each set */
    int64_t *real, *own; /* [CM_KID_SUBSETS][m], the members of x and y, rising */
    double same[CM_KID_SUBSETS], across[CM_KID_SUBSETS]; /* sums of k */
} cm_kid;

/* Of n real images and as many samples.  Errors: CM_ERR_MEMORY. */
cm_status cm_kid_start(cm_kid *kid, int64_t n, int64_t samples, uint64_t seed, cm_error *err);
void cm_kid_clear(cm_kid *kid); /* also of one that is all zero */
/* Visitors for tiles of the real images, of the samples, and of one and the other. */
void cm_kid_visit_real(void *user, const cm_tile *tile);
void cm_kid_visit_samples(void *user, const cm_tile *tile);
void cm_kid_visit_both(void *user, const cm_tile *tile);
void cm_kid_finish(const cm_kid *kid, double *mean, double *deviation);

#endif
