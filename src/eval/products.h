/* products.h - the products x_i . y_j of two sets of features, a tile at a time
 *
 * What compares every image with every other one takes its numbers from here, so that each
 * product is computed once: distances, kernels.  Memory: a tile, however large the sets.  The
 * products are the device's, in single precision. */
#ifndef CM_EVAL_PRODUCTS_H
#define CM_EVAL_PRODUCTS_H

#include "base/pool.h"
#include "eval/feature_set.h"

enum { CM_TILE = 1024 }; /* rows, columns */

typedef struct cm_tile {
    const cm_feature_set *x, *y; /* of rows, of columns; of one set: the same pointer */
    int64_t row, column;         /* the first of each in its set, a multiple of CM_TILE */
    int rows, columns;
    const float *dot; /* [rows][CM_TILE], (x_i - c) . (y_j - c) */
    cm_pool *pool;    /* to share out what is done with it */
} cm_tile;

/* |x_i - y_j|^2, i and j within the tile. */
static inline double cm_tile_distance2(const cm_tile *t, int i, int j)
{
    const double d2 = t->x->squares[t->row + i] + t->y->squares[t->column + j] -
                      2 * (double)t->dot[i * CM_TILE + j];
    return d2 > 0 ? d2 : 0;
}

/* x_i . y_j, of what was not centred. */
static inline double cm_tile_product(const cm_tile *t, int i, int j)
{
    return t->x->along[t->row + i] + t->y->along[t->column + j] + (double)t->dot[i * CM_TILE + j];
}

/* What is told of each tile. */
typedef struct cm_tile_visitor {
    void (*visit)(void *user, const cm_tile *tile);
    void *user;
} cm_tile_visitor;

typedef struct cm_products cm_products;

/* Of d features.  Errors: CM_ERR_MEMORY, CM_ERR_ARGUMENT (the device). */
cm_status cm_products_new(int64_t d, int threads, cm_products **products, cm_error *err);
void cm_products_free(cm_products *products); /* NULL is allowed */

/* Show every tile to all visitors, the last of which has a NULL visit.  Of one set (x == y) only
 * those on and right of the diagonal: a visitor takes i, j for j, i too.  after, NULL allowed, is
 * asked after each tile with its number of products; not CM_OK: stop with that. */
cm_status cm_products_each(cm_products *products, const cm_feature_set *x, const cm_feature_set *y,
                           const cm_tile_visitor *visitors,
                           cm_status (*after)(void *user, double products, cm_error *err),
                           void *user, cm_error *err);

#endif
