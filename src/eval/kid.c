/* kid.c */
#include "eval/kid.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/shuffle.h"

#include <math.h>
#include <stdlib.h>

enum { STREAM_REAL = 0, STREAM_SAMPLES = 1 << 20 };

static int rising(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void draw(int64_t *members, int64_t size, int64_t n, uint64_t seed, uint64_t stream)
{
    for (int s = 0; s < CM_KID_SUBSETS; s++, members += size) {
        for (int64_t i = 0; i < size; i++)
            members[i] =
                (int64_t)cm_shuffle_index(seed, stream + (uint64_t)s, (uint64_t)n, (uint64_t)i);
        qsort(members, (size_t)size, sizeof *members, rising);
    }
}

cm_status cm_kid_start(cm_kid *kid, int64_t n, int64_t samples, uint64_t seed, cm_error *err)
{
    const int64_t fewer = n < samples ? n : samples;
    *kid = (cm_kid){.size = fewer < CM_KID_SIZE ? fewer : CM_KID_SIZE, .n = n, .samples = samples};
    const size_t all = CM_KID_SUBSETS * (size_t)kid->size;
    kid->real = cm_alloc_array(all + 1, sizeof *kid->real);
    kid->own = cm_alloc_array(all + 1, sizeof *kid->own);
    if (!kid->real || !kid->own) {
        cm_kid_clear(kid);
        return cm_fail(err, CM_ERR_MEMORY, "KID: out of memory");
    }
    draw(kid->real, kid->size, n, seed, STREAM_REAL);
    draw(kid->own, kid->size, samples, seed, STREAM_SAMPLES);
    return CM_OK;
}

void cm_kid_clear(cm_kid *kid)
{
    cm_free(kid->real);
    cm_free(kid->own);
    *kid = (cm_kid){0};
}

/* ---- tiles ---- */

typedef struct visit {
    const cm_tile *tile;
    const int64_t *x, *y; /* members of rows, of columns */
    int64_t size;
    double *sums; /* [CM_KID_SUBSETS] */
} visit;

/* Those of members within [first, first + n): *count from the returned one on. */
static const int64_t *within(const int64_t *members, int64_t size, int64_t first, int64_t n,
                             int64_t *count)
{
    int64_t from = 0, to;
    while (from < size && members[from] < first)
        from++;
    for (to = from; to < size && members[to] < first + n;)
        to++;
    *count = to - from;
    return members + from;
}

static double sum_of_subset(const visit *v, int subset)
{
    const cm_tile *t = v->tile;
    const int diagonal = t->x == t->y && t->row == t->column;
    const double d = (double)t->x->d;
    int64_t nx, ny;
    const int64_t *x = within(v->x + subset * v->size, v->size, t->row, t->rows, &nx);
    const int64_t *y = within(v->y + subset * v->size, v->size, t->column, t->columns, &ny);
    double sum = 0;
    for (int64_t a = 0; a < nx; a++)
        for (int64_t b = 0; b < ny; b++) {
            if (diagonal && x[a] == y[b])
                continue;
            const double k =
                cm_tile_product(t, (int)(x[a] - t->row), (int)(y[b] - t->column)) / d + 1;
            sum += k * k * k;
        }
    return t->x == t->y && !diagonal ? 2 * sum : sum; /* its mirror image is not shown */
}

static void visit_share(void *context, int worker, int workers)
{
    const visit *v = context;
    for (int s = worker; s < CM_KID_SUBSETS; s += workers)
        v->sums[s] += sum_of_subset(v, s);
}

static void run(const cm_tile *tile, cm_kid *kid, const int64_t *x, const int64_t *y, double *sums)
{
    visit v = {.tile = tile, .x = x, .y = y, .size = kid->size};
    v.sums = sums;
    cm_pool_run(tile->pool, visit_share, &v);
}

void cm_kid_visit_real(void *user, const cm_tile *tile)
{
    cm_kid *kid = user;
    run(tile, kid, kid->real, kid->real, kid->same);
}

void cm_kid_visit_samples(void *user, const cm_tile *tile)
{
    cm_kid *kid = user;
    run(tile, kid, kid->own, kid->own, kid->same);
}

void cm_kid_visit_both(void *user, const cm_tile *tile)
{
    cm_kid *kid = user;
    run(tile, kid, kid->real, kid->own, kid->across);
}

void cm_kid_finish(const cm_kid *kid, double *mean, double *deviation)
{
    const double m = (double)kid->size;
    double value[CM_KID_SUBSETS], sum = 0, squares = 0;
    for (int s = 0; s < CM_KID_SUBSETS; s++) {
        value[s] = kid->same[s] / (m * (m - 1)) - 2 * kid->across[s] / (m * m);
        sum += value[s] / CM_KID_SUBSETS;
    }
    for (int s = 0; s < CM_KID_SUBSETS; s++)
        squares += (value[s] - sum) * (value[s] - sum);
    *mean = sum;
    *deviation = sqrt(squares / CM_KID_SUBSETS);
}
