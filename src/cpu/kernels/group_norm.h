/* group_norm.h - what group norm, its cotangents (group_norm.c), its tangent and the cotangents of
 * that (group_norm_tangent.c) share; the formulas are in ops/group_norm.c.
 *
 * A sample is worked on as a whole while it is in cache: sums over its pixels
 * for each channel, folded to a mean and a variance for each group, then one
 * pass that writes.  All loops run along channels, which are contiguous, so
 * what differs between groups is expanded to arrays of C coefficients first.
 *
 * The sums are of x - x0, x0 the sample's first pixel: that is what makes one
 * pass in f32 accurate when the mean is large.  Pixels are summed in chunks given
 * by the shape (f32), chunks in double; so the result does not depend on which
 * workers did it.  They share out samples where there are enough of them,
 * else the chunks of one sample after the other. */
#ifndef CM_CPU_KERNELS_GROUP_NORM_H
#define CM_CPU_KERNELS_GROUP_NORM_H

#include "cpu/kernels/vec.h"

enum {
    CHUNK_ELEMENTS = 16384, /* 32 KiB of bf16 */
    CHUNK_ROWS = 512,       /* at most, for the sake of f32 sums */
    SUMS = 5,               /* f32 sums a channel and chunk, at most */
    COEFS = 14,
};

/* Indices of coefficient arrays. */
enum { X0, MEAN, RSTD, A, B, K, M1, M2, ADOT, BDOT, E0, E1, F0, F1, DA = ADOT, DB = BDOT };

typedef struct norm {
    const cm_call *call;
    int64_t n, rows, ch, group; /* samples, pixels, channels, channels a group */
    int64_t chunk, chunks;      /* pixels a chunk, and how many chunks */
    int bf16, silu, team;       /* team: workers inside one sample */
    float eps;
    const void *x, *dy, *xdot; /* a cotangent of the result, a tangent of x; or NULL */
    const void *r;             /* added to dx, or NULL */
    const float *a, *b;
    int64_t ab_pitch; /* 0: a and b are shared by the samples */
} norm;

/* What works on one sample: where several workers do, the sums and dz are the first's. */
typedef struct scratch {
    float *coef; /* [COEFS][C] */
    float *sum;  /* [chunks][SUMS][C] */
    float *dz;   /* [pixels][C], for the gradient of bf16 */
} scratch;

/* position of x among the inputs: dy comes first in the cotangents */
static inline int x_input(const cm_node *n)
{
    return n->op == CM_OP_GROUP_NORM_GRAD || n->op == CM_OP_GROUP_NORM_JVP_GRAD;
}

/* of xdot; x itself where there is none */
static inline int xdot_input(const cm_node *n)
{
    const int has = n->op == CM_OP_GROUP_NORM_JVP || n->op == CM_OP_GROUP_NORM_JVP_GRAD;
    return x_input(n) + (has ? 3 : 0);
}

static inline norm norm_make(const cm_node *n)
{
    const cm_type *x = &n->in[x_input(n)]->type, *a = &n->in[x_input(n) + 1]->type;
    norm d = {.n = x->dim[0],
              .rows = x->dim[1] * x->dim[2],
              .ch = x->dim[3],
              .bf16 = x->dtype == CM_BF16,
              .silu = n->attr.norm.silu,
              .eps = n->attr.norm.eps};
    d.group = d.ch / n->attr.norm.groups;
    d.chunk = cm_min(cm_ceil_div(CHUNK_ELEMENTS, d.ch), CHUNK_ROWS);
    d.chunks = cm_ceil_div(d.rows, d.chunk);
    d.ab_pitch = a->dim[0] == 1 ? 0 : d.ch;
    return d;
}

static inline int64_t scratch_floats(const norm *d, const cm_node *n)
{
    const int64_t dz = n->op == CM_OP_GROUP_NORM_GRAD && d->bf16 ? d->rows : 0;
    return cm_ceil_div((COEFS + SUMS * d->chunks + dz) * d->ch, CM_LANES) * CM_LANES;
}

typedef void sample_fn(const norm *d, scratch w, int64_t s);
typedef void chunk_fn(const norm *d, scratch w, int64_t s, int64_t k);

static inline void each_sample(const cm_call *c, sample_fn *f)
{
    norm d = norm_make(c->node);
    const int x = x_input(c->node), team = cm_team(c, d.n * d.rows * d.ch);
    const int apart = team == 1 || d.n % team == 0 || d.n >= 4 * team; /* a sample, a worker */
    const int64_t floats = scratch_floats(&d, c->node);
    float *own = (float *)c->workspace + c->worker * floats;
    float *sum = (apart ? own : (float *)c->workspace) + COEFS * d.ch;
    const scratch w = {own, sum, sum + SUMS * d.chunks * d.ch};
    d.call = c;
    d.x = c->in[x];
    d.a = c->in[x + 1];
    d.b = c->in[x + 2];
    d.dy = x ? c->in[0] : NULL;
    d.xdot = xdot_input(c->node) > x ? c->in[xdot_input(c->node)] : NULL;
    d.r = c->node->op == CM_OP_GROUP_NORM_GRAD && c->node->n_in == 6 ? c->in[5] : NULL;
    d.team = apart ? 1 : team;
    if (!apart)
        for (int64_t s = 0; s < d.n; s++)
            f(&d, w, s);
    else
        CM_EACH_SHARE (c, team, s, d.n, 1)
            f(&d, w, s);
}

static inline void each_chunk(const norm *d, scratch w, int64_t s, chunk_fn *f)
{
    if (d->team == 1) {
        for (int64_t k = 0; k < d->chunks; k++)
            f(d, w, s, k);
        return;
    }
    CM_EACH_SHARE (d->call, d->team, k, d->chunks, 1)
        f(d, w, s, k);
    cm_pool_barrier(d->call->pool);
}

/* Whether this worker writes what belongs to the sample as a whole. */
static inline int is_first(const norm *d)
{
    return d->team == 1 || !d->call->worker;
}

/* pixels of chunk k, and the offset of its first element in a tensor like x */
static inline int64_t chunk_rows(const norm *d, int64_t k)
{
    return cm_min(d->chunk, d->rows - k * d->chunk);
}

static inline int64_t chunk_at(const norm *d, int64_t s, int64_t k)
{
    return (s * d->rows + k * d->chunk) * d->ch;
}

/* ---- statistics ---- */

/* s[0] += x - x0, s[1] += (x - x0)^2; with a tangent also s[2] += xdot,
 * s[3] += (x - x0) xdot.  Some rows at a time: less traffic on the sums. */
CM_INLINE void sum_rows(float *restrict s, const float *restrict x0, const void *x,
                        const void *xdot, int64_t ch, int rows, int bf16, int tangent)
{
    CM_SIMD
    for (int64_t i = 0; i < ch; i++) {
        float sum[4] = {0};
        for (int r = 0; r < rows; r++) {
            const float u = cm_get(x, r * ch + i, bf16) - x0[i];
            const float t = tangent ? cm_get(xdot, r * ch + i, bf16) : 0.0f;
            sum[0] += u;
            sum[1] = cm_fma(u, u, sum[1]);
            sum[2] += t;
            sum[3] = cm_fma(u, t, sum[3]);
        }
        for (int k = 0; k < (tangent ? 4 : 2); k++)
            s[k * ch + i] += sum[k];
    }
}

CM_INLINE void sum_pass(float *s, const float *x0, const void *x, const void *xdot, int64_t rows,
                        int64_t ch, int bf16, int tangent)
{
    enum { STEP = 4 };
    int64_t r = 0;
    memset(s, 0, (size_t)((tangent ? 4 : 2) * ch) * sizeof *s);
    for (; r + STEP <= rows; r += STEP)
        sum_rows(s, x0, cm_at(x, r * ch, bf16), tangent ? cm_at(xdot, r * ch, bf16) : NULL, ch,
                 STEP, bf16, tangent);
    for (; r < rows; r++)
        sum_rows(s, x0, cm_at(x, r * ch, bf16), tangent ? cm_at(xdot, r * ch, bf16) : NULL, ch, 1,
                 bf16, tangent);
}

static inline void sum_chunk(const norm *d, scratch w, int64_t s, int64_t k)
{
    const int64_t at = chunk_at(d, s, k), rows = chunk_rows(d, k), ch = d->ch;
    const int tangent = d->xdot != NULL;
    const float *x0 = w.coef + X0 * ch;
    float *sum = w.sum + k * SUMS * ch;
    const void *x = cm_at(d->x, at, d->bf16), *t = tangent ? cm_at(d->xdot, at, d->bf16) : NULL;
    if (d->bf16)
        tangent ? sum_pass(sum, x0, x, t, rows, ch, 1, 1) : sum_pass(sum, x0, x, t, rows, ch, 1, 0);
    else
        tangent ? sum_pass(sum, x0, x, t, rows, ch, 0, 1) : sum_pass(sum, x0, x, t, rows, ch, 0, 0);
}

/* sum `which` of channel i over the chunks */
static inline double total(const norm *d, scratch w, int which, int64_t i)
{
    double t = 0.0;
    for (int64_t k = 0; k < d->chunks; k++)
        t += (double)w.sum[(k * SUMS + which) * d->ch + i];
    return t;
}

static inline void set(float *coef, int64_t begin, int64_t n, double v)
{
    for (int64_t i = begin; i < begin + n; i++)
        coef[i] = (float)v;
}

/* Mean and 1/sigma of the group that begins at channel c, from the sums: the
 * mean is x0 + m of each channel, its squares are recentred on the group's. */
static inline void fold_group(const norm *d, scratch w, int64_t c)
{
    const float *x0 = w.coef + X0 * d->ch;
    const double rows = (double)d->rows, one_rows = 1.0 / rows, one_m = one_rows / (double)d->group;
    double mean = 0.0, squares = 0.0;
    for (int64_t i = c; i < c + d->group; i++)
        mean += rows * (double)x0[i] + total(d, w, 0, i);
    mean *= one_m;
    for (int64_t i = c; i < c + d->group; i++) {
        const double own = total(d, w, 0, i) * one_rows, off = (double)x0[i] + own - mean;
        squares += total(d, w, 1, i) - rows * own * own + rows * off * off;
    }
    const double var = squares > 0.0 ? squares * one_m : squares * 0.0; /* NaN stays */
    set(w.coef + MEAN * d->ch, c, d->group, mean);
    set(w.coef + RSTD * d->ch, c, d->group, 1.0 / sqrt(var + (double)d->eps));
}

/* mean(xdot) and mean(xh xdot) of the group, over sigma */
static inline void fold_group_tangent(const norm *d, scratch w, int64_t c)
{
    const float *x0 = w.coef + X0 * d->ch;
    const double m = (double)d->rows * (double)d->group, mean = (double)w.coef[MEAN * d->ch + c],
                 rstd = (double)w.coef[RSTD * d->ch + c];
    double m1 = 0.0, m2 = 0.0;
    for (int64_t i = c; i < c + d->group; i++) {
        const double t = total(d, w, 2, i);
        m1 += t;
        m2 += total(d, w, 3, i) + ((double)x0[i] - mean) * t;
    }
    set(w.coef + M1 * d->ch, c, d->group, m1 / m * rstd);
    set(w.coef + M2 * d->ch, c, d->group, m2 * rstd / m * rstd);
}

/* The sample's a and b, and k = a / sigma. */
static inline void set_affine(const norm *d, scratch w, int64_t s)
{
    const int64_t ch = d->ch;
    const float *a = d->a + s * d->ab_pitch, *b = d->b + s * d->ab_pitch;
    for (int64_t i = 0; i < ch; i++) {
        w.coef[A * ch + i] = a[i];
        w.coef[B * ch + i] = b[i];
        w.coef[K * ch + i] = a[i] * w.coef[RSTD * ch + i];
    }
}

static inline void begin_sample(const norm *d, scratch w, int64_t s)
{
    const int64_t ch = d->ch;
    cm_load(w.coef + X0 * ch, d->x, d->bf16 ? CM_BF16 : CM_F32, s * d->rows * ch, ch);
    each_chunk(d, w, s, sum_chunk);
    for (int64_t c = 0; c < ch; c += d->group) {
        fold_group(d, w, c);
        if (d->xdot)
            fold_group_tangent(d, w, c);
    }
    set_affine(d, w, s);
}

/* ---- one chunk ---- */

/* Channels [from, from + n) of the gradient: rows of n. */
typedef struct part {
    int64_t from, n;
    void *dx;
    float *dz;
} part;

typedef struct pass {
    void *y;
    const void *x, *dy, *xdot, *r;
    const float *coef;
    float *sum; /* of this chunk */
    part part[2];
    int parts;
    int64_t band; /* rows of one part before those of the other */
    int64_t rows, ch;
    int64_t sample; /* bytes from a sample to the next */
} pass;

CM_INLINE int64_t bytes_of(int64_t n, int bf16)
{
    return n * (bf16 ? 2 : 4);
}

CM_INLINE float activation(float z, int silu)
{
    return silu ? z * cm_sigmoid(z) : z;
}

static inline part part_make(const norm *d, scratch w, int64_t s, int64_t k, int64_t from,
                             int64_t n)
{
    const int64_t row = s * d->rows + k * d->chunk;
    void *dx = cm_at_out(d->call->out, d->n * d->rows * from + row * n, d->bf16);
    float *dz = d->bf16 ? w.dz + k * d->chunk * d->ch + chunk_rows(d, k) * from : dx;
    return (part){from, n, dx, dz};
}

static inline pass pass_make(const norm *d, scratch w, int64_t s, int64_t k)
{
    const int64_t at = chunk_at(d, s, k), split = d->call->node->split;
    const int64_t first = split ? split : d->ch;
    return (pass){
        .y = cm_at_out(d->call->out, at, d->bf16),
        .x = cm_at(d->x, at, d->bf16),
        .dy = d->dy ? cm_at(d->dy, at, d->bf16) : NULL,
        .xdot = d->xdot ? cm_at(d->xdot, at, d->bf16) : NULL,
        .r = d->r ? cm_at(d->r, at, d->bf16) : NULL,
        .coef = w.coef,
        .sum = w.sum + k * SUMS * d->ch,
        .part = {part_make(d, w, s, k, 0, first), part_make(d, w, s, k, first, d->ch - first)},
        .parts = split ? 2 : 1,
        .band = split ? 2 : chunk_rows(d, k),
        .rows = chunk_rows(d, k),
        .ch = d->ch,
        .sample = bytes_of(d->rows * d->ch, d->bf16)};
}

#define CHUNK(f)                                                          \
    static void f##_chunk(const norm *d, scratch w, int64_t s, int64_t k) \
    {                                                                     \
        const pass p = pass_make(d, w, s, k);                             \
        if (d->bf16)                                                      \
            d->silu ? f(&p, 1, 1) : f(&p, 1, 0);                          \
        else                                                              \
            d->silu ? f(&p, 0, 1) : f(&p, 0, 0);                          \
    }

/* [N,2C] behind the output: mean and 1/sigma, or da and db */
static inline float *aux(const norm *d, int64_t s)
{
    const size_t offset = cm_aux_offset(d->call->node);
    return (float *)(void *)((char *)d->call->out + offset) + s * 2 * d->ch;
}

static inline void keep_statistics(const norm *d, scratch w, int64_t s)
{
    const size_t bytes = (size_t)d->ch * sizeof(float);
    if (!cm_has_aux(d->call->node) || !is_first(d))
        return;
    memcpy(aux(d, s), w.coef + MEAN * d->ch, bytes);
    memcpy(aux(d, s) + d->ch, w.coef + RSTD * d->ch, bytes);
}

#endif
