/* neighbours.c */
#include "eval/neighbours.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { K = CM_NEIGHBOURS };

/* ---- the nearest ---- */

cm_status cm_neighbours_start(cm_neighbours *nn, int64_t n, cm_error *err)
{
    *nn = (cm_neighbours){.n = n};
    nn->distance2 = cm_alloc_array((size_t)n * K + 1, sizeof *nn->distance2);
    nn->index = cm_alloc_array((size_t)n * K + 1, sizeof *nn->index);
    if (!nn->distance2 || !nn->index) {
        cm_neighbours_clear(nn);
        return cm_fail(err, CM_ERR_MEMORY, "neighbours: out of memory for %lld images",
                       (long long)n);
    }
    for (int64_t i = 0; i < n * K; i++) {
        nn->distance2[i] = HUGE_VAL;
        nn->index[i] = -1;
    }
    return CM_OK;
}

void cm_neighbours_clear(cm_neighbours *nn)
{
    cm_free(nn->distance2);
    cm_free(nn->index);
    *nn = (cm_neighbours){0};
}

static void insert(double *distance2, int64_t *index, double d2, int64_t j)
{
    int at = K - 1;
    for (; at > 0 && distance2[at - 1] > d2; at--) {
        distance2[at] = distance2[at - 1];
        index[at] = index[at - 1];
    }
    distance2[at] = d2;
    index[at] = j;
}

typedef struct visit {
    cm_neighbours *nn;
    const cm_tile *tile;
} visit;

/* Each worker's share of the rows, or of the columns. */
static void visit_rows(void *context, int worker, int workers)
{
    const visit *v = context;
    const cm_tile *t = v->tile;
    const int64_t self = t->x == t->y ? t->row - t->column : CM_TILE; /* j - i of itself */
    for (int i = worker; i < t->rows; i += workers) {
        double *d = v->nn->distance2 + (t->row + i) * K;
        int64_t *index = v->nn->index + (t->row + i) * K;
        for (int j = 0; j < t->columns; j++) {
            const double d2 = cm_tile_distance2(t, i, j);
            if (d2 < d[K - 1] && j != i + self)
                insert(d, index, d2, t->column + j);
        }
    }
}

static void visit_columns(void *context, int worker, int workers)
{
    const visit *v = context;
    const cm_tile *t = v->tile;
    const int first = t->columns * worker / workers, last = t->columns * (worker + 1) / workers;
    for (int i = 0; i < t->rows; i++)
        for (int j = first; j < last; j++) {
            const double d2 = cm_tile_distance2(t, i, j);
            double *d = v->nn->distance2 + (t->column + j) * K;
            if (d2 < d[K - 1])
                insert(d, v->nn->index + (t->column + j) * K, d2, t->row + i);
        }
}

void cm_neighbours_visit(void *user, const cm_tile *tile)
{
    visit v = {user, tile};
    cm_pool_run(tile->pool, visit_rows, &v);
    if (tile->x == tile->y && tile->row != tile->column)
        cm_pool_run(tile->pool, visit_columns, &v);
}

void cm_neighbours_refine(cm_neighbours *nn, const cm_feature_set *x, const cm_feature_set *y)
{
    for (int64_t i = 0; i < nn->n; i++) {
        double distance2[K];
        int64_t index[K];
        int count = 0;
        for (; count < K && nn->index[i * K + count] >= 0; count++) {
            index[count] = nn->index[i * K + count];
            distance2[count] = cm_feature_distance2(x, i, y, index[count]);
        }
        for (int k = 0; k < count; k++)
            nn->distance2[i * K + k] = HUGE_VAL;
        for (int k = 0; k < count; k++)
            insert(nn->distance2 + i * K, nn->index + i * K, distance2[k], index[k]);
    }
}

/* ---- what two sets have in common ---- */

cm_status cm_overlap_start(cm_overlap *o, const cm_neighbours *real, const cm_neighbours *samples,
                           cm_error *err)
{
    *o = (cm_overlap){.real = real, .samples = samples};
    o->precise = cm_alloc((size_t)samples->n + 1);
    o->recalled = cm_alloc((size_t)real->n + 1);
    o->covered = cm_alloc((size_t)real->n + 1);
    o->inside = cm_alloc_array((size_t)real->n + 1, sizeof *o->inside);
    if (o->precise && o->recalled && o->covered && o->inside)
        return CM_OK;
    cm_overlap_clear(o);
    return cm_fail(err, CM_ERR_MEMORY, "precision and recall: out of memory");
}

void cm_overlap_clear(cm_overlap *o)
{
    cm_free(o->precise);
    cm_free(o->recalled);
    cm_free(o->covered);
    cm_free(o->inside);
    *o = (cm_overlap){0};
}

static double radius2(const cm_neighbours *nn, int64_t i, int k)
{
    return nn->distance2[i * K + k - 1];
}

typedef struct overlap_visit {
    cm_overlap *o;
    const cm_tile *tile;
} overlap_visit;

static void visit_real(void *context, int worker, int workers)
{
    const overlap_visit *v = context;
    const cm_tile *t = v->tile;
    for (int i = worker; i < t->rows; i += workers) {
        const double ball = radius2(v->o->real, t->row + i, CM_DENSITY_K);
        int64_t inside = 0;
        int recalled = 0;
        for (int j = 0; j < t->columns; j++) {
            const double d2 = cm_tile_distance2(t, i, j);
            inside += d2 < ball;
            recalled |= d2 <= radius2(v->o->samples, t->column + j, CM_PRECISION_K);
        }
        v->o->inside[t->row + i] += inside;
        v->o->recalled[t->row + i] |= (uint8_t)recalled;
        v->o->covered[t->row + i] |= inside > 0;
    }
}

static void visit_samples(void *context, int worker, int workers)
{
    const overlap_visit *v = context;
    const cm_tile *t = v->tile;
    const int first = t->columns * worker / workers, last = t->columns * (worker + 1) / workers;
    for (int i = 0; i < t->rows; i++) {
        const double ball = radius2(v->o->real, t->row + i, CM_PRECISION_K);
        for (int j = first; j < last; j++)
            v->o->precise[t->column + j] |= cm_tile_distance2(t, i, j) <= ball;
    }
}

void cm_overlap_visit(void *user, const cm_tile *tile)
{
    overlap_visit v = {user, tile};
    cm_pool_run(tile->pool, visit_real, &v);
    cm_pool_run(tile->pool, visit_samples, &v);
}

static double share(const uint8_t *is, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += is[i];
    return (double)count / (double)n;
}

cm_overlap_scores cm_overlap_finish(const cm_overlap *o)
{
    const int64_t n = o->real->n, m = o->samples->n;
    double inside = 0;
    for (int64_t i = 0; i < n; i++)
        inside += (double)o->inside[i];
    return (cm_overlap_scores){.precision = share(o->precise, m),
                               .recall = share(o->recalled, n),
                               .density = inside / (double)(CM_DENSITY_K * m),
                               .coverage = share(o->covered, n)};
}
