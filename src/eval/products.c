/* products.c - x y^T as a compiled plan of one tile */
#include "eval/products.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/plan.h"
#include "model/compute.h"

struct cm_products {
    cm_graph *g;
    cm_plan *plan;
    cm_node *x, *y, *dot;
    float *tile;
    cm_pool *pool;
};

static cm_status compile(cm_products *p, int64_t d, int threads, cm_error *err)
{
    const cm_device *device;
    cm_status s = cm_device_open(&device, err);
    if (s)
        return s;
    p->x = cm_input(p->g, "x", CM_TYPE(CM_F32, CM_TILE, d));
    p->y = cm_input(p->g, "y", CM_TYPE(CM_F32, CM_TILE, d));
    p->dot = cm_matmul(p->g, p->x, p->y, 0, 1);
    return cm_plan_compile(p->g, 1, &p->dot, device, threads, &p->plan, err);
}

cm_status cm_products_new(int64_t d, int threads, cm_products **products, cm_error *err)
{
    cm_products *p = cm_alloc(sizeof *p);
    if (p) {
        p->g = cm_graph_new();
        p->tile = cm_alloc_array((size_t)CM_TILE * CM_TILE, sizeof *p->tile);
    }
    cm_status s = p && p->g && p->tile
                      ? compile(p, d, threads, err)
                      : cm_fail(err, CM_ERR_MEMORY, "products of features: out of memory");
    if (!s)
        s = cm_pool_new(threads, &p->pool, err);
    if (s)
        cm_products_free(p);
    else
        *products = p;
    return s;
}

void cm_products_free(cm_products *p)
{
    if (!p)
        return;
    cm_plan_free(p->plan);
    cm_graph_free(p->g);
    cm_pool_free(p->pool);
    cm_free(p->tile);
    cm_free(p);
}

static int least(int64_t left)
{
    return left < CM_TILE ? (int)left : CM_TILE;
}

/* What is beyond a short tile is of before. */
static void compute(cm_products *p, cm_tile *t)
{
    cm_plan_write_part(p->plan, p->y, 0, t->columns * t->y->d, t->y->values + t->column * t->y->d);
    cm_plan_run(p->plan);
    cm_plan_read_part(p->plan, p->dot, 0, (int64_t)t->rows * CM_TILE, p->tile);
}

cm_status cm_products_each(cm_products *p, const cm_feature_set *x, const cm_feature_set *y,
                           const cm_tile_visitor *visitors,
                           cm_status (*after)(void *user, double products, cm_error *err),
                           void *user, cm_error *err)
{
    cm_tile t = {.x = x, .y = y, .dot = p->tile, .pool = p->pool};
    cm_status s = CM_OK;
    for (t.row = 0; t.row < x->n && !s; t.row += CM_TILE) {
        t.rows = least(x->n - t.row);
        cm_plan_write_part(p->plan, p->x, 0, t.rows * x->d, x->values + t.row * x->d);
        for (t.column = x == y ? t.row : 0; t.column < y->n && !s; t.column += CM_TILE) {
            t.columns = least(y->n - t.column);
            compute(p, &t);
            for (const cm_tile_visitor *v = visitors; v->visit; v++)
                v->visit(v->user, &t);
            if (after)
                s = after(user, (double)t.rows * t.columns, err);
        }
    }
    return s;
}
