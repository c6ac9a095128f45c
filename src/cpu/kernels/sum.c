/* sum.c - sum_to and sum_squares
 *
 * Reduced and kept axes alternate once neighbours of a kind are merged, so a
 * tensor of rank 4 has the form [K0, R1, K2, R3, K4] with some lengths 1.  Where
 * K4 = 1 the innermost sums run along memory; else whole rows of K4 are added.
 * Sums are f32 over at most a few hundred terms, then double.  The range of
 * each output is cut into parts given by the shape alone, so that few outputs
 * still feed many threads and their number does not change the result. */
#include "cpu/kernels/vec.h"

enum {
    COLUMNS = 512, /* of K4 a task */
    FLUSH = 64,    /* rows added in f32 */
    RUN = 1024,    /* contiguous elements added in f32 */
    TASKS = 64,    /* cut into parts to have this many */
};

typedef struct sum_plan {
    int64_t k0, r1, k2, r3, k4;
    int64_t units; /* additions an output: rows of k4, or runs of memory */
    int64_t blocks, parts;
} sum_plan;

static sum_plan sum_make(const cm_type *x, const cm_type *y)
{
    int64_t dim[5] = {1, 1, 1, 1, 1};
    int at = 4; /* even: kept, odd: reduced */
    for (int i = x->rank - 1; i >= 0; i--) {
        const int reduced = x->dim[i] != y->dim[i];
        if (x->dim[i] == 1)
            continue;
        if (at % 2 != reduced)
            at--;
        dim[at] *= x->dim[i];
    }
    sum_plan s = {.k0 = dim[0], .r1 = dim[1], .k2 = dim[2], .r3 = dim[3], .k4 = dim[4]};
    s.units = s.k4 > 1 ? s.r1 * s.r3 : s.r1 * cm_ceil_div(s.r3, RUN);
    s.blocks = cm_ceil_div(s.k4, COLUMNS);
    const int64_t tasks = s.k0 * s.k2 * s.blocks, most = cm_ceil_div(s.units, s.k4 > 1 ? FLUSH : 1);
    s.parts = tasks > 0 ? cm_min(cm_ceil_div(TASKS, tasks), most) : 0;
    return s;
}

cm_status CM_K(sum_to_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    (void)threads, (void)err;
    const sum_plan s = sum_make(&n->in[0]->type, &n->type);
    *p = (cm_prepared){.workspace = (size_t)(s.k0 * s.k2 * s.parts * s.k4) * sizeof(double)};
    return CM_OK;
}

CM_INLINE float run_sum(const void *x, int64_t n, int bf16)
{
    float s[CM_LANES] = {0};
    int64_t i = 0;
    for (; i + CM_LANES <= n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            s[k] += cm_get(x, i + k, bf16);
    }
    for (int k = 0; i + k < n; k++)
        s[k] += cm_get(x, i + k, bf16);
    return cm_sum_lanes(s);
}

/* K4 = 1: units [from, to) of output o */
static double sum_runs(const sum_plan *s, const void *x, int bf16, int64_t o, int64_t from,
                       int64_t to)
{
    const int64_t runs = cm_ceil_div(s->r3, RUN);
    double sum = 0.0;
    for (int64_t u = from; u < to; u++) {
        const int64_t r1 = u / runs, begin = u % runs * RUN, n = cm_min(RUN, s->r3 - begin);
        const int64_t at = ((o / s->k2 * s->r1 + r1) * s->k2 + o % s->k2) * s->r3 + begin;
        sum += (double)(bf16 ? run_sum(cm_at(x, at, 1), n, 1) : run_sum(cm_at(x, at, 0), n, 0));
    }
    return sum;
}

/* f += the `rows` rows (at most 8) of n elements that start at x */
CM_INLINE void add_rows(float *restrict f, const void *x, int64_t pitch, int rows, int64_t n,
                        int bf16)
{
    if (rows == 8) {
        CM_SIMD
        for (int64_t i = 0; i < n; i++) {
            const float a = cm_get(x, i, bf16) + cm_get(x, pitch + i, bf16);
            const float b = cm_get(x, 2 * pitch + i, bf16) + cm_get(x, 3 * pitch + i, bf16);
            const float c = cm_get(x, 4 * pitch + i, bf16) + cm_get(x, 5 * pitch + i, bf16);
            const float d = cm_get(x, 6 * pitch + i, bf16) + cm_get(x, 7 * pitch + i, bf16);
            f[i] += (a + b) + (c + d);
        }
        return;
    }
    for (int r = 0; r < rows; r++) {
        CM_SIMD
        for (int64_t i = 0; i < n; i++)
            f[i] += cm_get(x, r * pitch + i, bf16);
    }
}

/* K4 > 1: d[n] += rows [from, to) of output o, columns from c0 on */
static void sum_rows(const sum_plan *s, const void *x, int bf16, int64_t o, int64_t c0, int64_t n,
                     int64_t from, int64_t to, double *d)
{
    float f[COLUMNS];
    for (int64_t u = from; u < to;) {
        memset(f, 0, sizeof f);
        const int64_t stop = cm_min(to, u + FLUSH);
        while (u < stop) {
            const int64_t r1 = u / s->r3, r3 = u % s->r3;
            const int64_t k = cm_min(cm_min(stop - u, s->r3 - r3), 8);
            const int64_t at =
                (((o / s->k2 * s->r1 + r1) * s->k2 + o % s->k2) * s->r3 + r3) * s->k4 + c0;
            if (bf16)
                add_rows(f, cm_at(x, at, 1), s->k4, (int)k, n, 1);
            else
                add_rows(f, cm_at(x, at, 0), s->k4, (int)k, n, 0);
            u += k;
        }
        for (int64_t i = 0; i < n; i++)
            d[i] += (double)f[i];
    }
}

void CM_K(sum_to)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0), *y = &c->node->type;
    const sum_plan s = sum_make(x, y);
    const int bf16 = x->dtype == CM_BF16;
    const int64_t outs = s.k0 * s.k2, n_out = outs * s.k4;
    double *part = c->workspace; /* [parts][k0 k2][k4] */
    const int team = cm_team(c, cm_type_count(x));
    CM_EACH_SHARE (c, team, task, s.parts * outs * s.blocks, 1) {
        const int64_t p = task / (outs * s.blocks), o = task / s.blocks % outs;
        const int64_t c0 = task % s.blocks * COLUMNS, n = cm_min(COLUMNS, s.k4 - c0);
        const int64_t from = s.units * p / s.parts, to = s.units * (p + 1) / s.parts;
        double *d = part + (p * outs + o) * s.k4 + c0;
        memset(d, 0, (size_t)n * sizeof *d);
        if (s.k4 > 1)
            sum_rows(&s, c->in[0], bf16, o, c0, n, from, to, d);
        else
            d[0] = sum_runs(&s, c->in[0], bf16, o, from, to);
    }
    if (team > 1)
        cm_pool_barrier(c->pool);
    CM_EACH_SHARE (c, team, i, n_out, COLUMNS) {
        float f[COLUMNS];
        const int64_t n = cm_min(COLUMNS, n_out - i);
        for (int64_t k = 0; k < n; k++) {
            double sum = 0.0;
            for (int64_t p = 0; p < s.parts; p++)
                sum += part[p * n_out + i + k];
            f[k] = (float)sum;
        }
        cm_save(c->out, y->dtype, i, f, n);
    }
}

/* ---- sums of squares ---- */

enum { SQUARES_LANES = 16 };

static double run_squares(const float x[CM_SQUARES])
{
    double s[SQUARES_LANES] = {0}, sum = 0.0;
    for (int64_t i = 0; i < CM_SQUARES; i += SQUARES_LANES) {
        CM_SIMD
        for (int k = 0; k < SQUARES_LANES; k++)
            s[k] += (double)x[i + k] * (double)x[i + k];
    }
    for (int k = 0; k < SQUARES_LANES; k++)
        sum += s[k];
    return sum;
}

void CM_K(sum_squares)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0);
    const int64_t n = cm_type_count(x);
    float *y = c->out;
    CM_EACH_SHARE (c, cm_team(c, n), r, cm_ceil_div(n, CM_SQUARES), 1) {
        float f[CM_SQUARES];
        const int64_t m = cm_min(CM_SQUARES, n - r * CM_SQUARES);
        cm_load(f, c->in[0], x->dtype, r * CM_SQUARES, m);
        for (int64_t k = m; k < CM_SQUARES; k++)
            f[k] = 0.0f;
        y[r] = (float)run_squares(f);
    }
}
