/* neighbours.h - the nearest images of each image, and the scores that count them
 *
 * With NND_k(x) the distance from x to its k-th nearest neighbour in its own set, itself left
 * out, N real images x_i and M samples y_j:
 *
 *     precision = 1/M #{ j : |y_j - x_i| <= NND_3(x_i) for some i }
 *     recall    = 1/N #{ i : |x_i - y_j| <= NND_3(y_j) for some j }
 *     density   = 1/(5M) sum_j #{ i : |y_j - x_i| < NND_5(x_i) }
 *     coverage  = 1/N #{ i : |x_i - y_j| < NND_5(x_i) for some j }
 *
 * The two inequalities are those of the papers' own programs.
 * Sources: Kynkaanniemi et al. 2019 (arXiv 1904.06991); Naeem et al. 2020 (arXiv 2002.09797). */
#ifndef CM_EVAL_NEIGHBOURS_H
#define CM_EVAL_NEIGHBOURS_H

#include "eval/products.h"

enum { CM_PRECISION_K = 3, CM_DENSITY_K = 5, CM_NEIGHBOURS = 5 };

/* The CM_NEIGHBOURS nearest of each of n images, the nearest first. */
typedef struct cm_neighbours {
    int64_t n;
    double *distance2; /* [n][CM_NEIGHBOURS], squared; infinite: there is none */
    int64_t *index;    /* [n][CM_NEIGHBOURS], in the other set; -1: there is none */
} cm_neighbours;

/* Errors: CM_ERR_MEMORY. */
cm_status cm_neighbours_start(cm_neighbours *nn, int64_t n, cm_error *err);
void cm_neighbours_clear(cm_neighbours *nn); /* also of one that is all zero */
/* A visitor of tiles: the nearest of y for each of x, an image itself left out where they are
 * one set.  user is the cm_neighbours of x. */
void cm_neighbours_visit(void *user, const cm_tile *tile);
/* Compute the distances again in double precision, and sort by them; x are what is near to y. */
void cm_neighbours_refine(cm_neighbours *nn, const cm_feature_set *x, const cm_feature_set *y);

/* What real images x and samples y have in common, for tiles of one and the other. */
typedef struct cm_overlap {
    const cm_neighbours *real, *samples; /* of each set in itself */
    uint8_t *precise, *recalled, *covered;
    int64_t *inside; /* [N], samples in the ball of each real image */
} cm_overlap;
typedef struct cm_overlap_scores {
    double precision, recall, density, coverage;
} cm_overlap_scores;

/* Errors: CM_ERR_MEMORY. */
cm_status cm_overlap_start(cm_overlap *o, const cm_neighbours *real, const cm_neighbours *samples,
                           cm_error *err);
void cm_overlap_clear(cm_overlap *o); /* also of one that is all zero */
void cm_overlap_visit(void *user, const cm_tile *tile);
cm_overlap_scores cm_overlap_finish(const cm_overlap *o);

#endif
