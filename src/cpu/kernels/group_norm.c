/* group_norm.c - group norm with affine and SiLU, its cotangents, its tangent, and the cotangents
 * of that; the formulas are in ops/group_norm.c.
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
 * else the chunks of one sample after the other.
 *
 * The gradient goes over a sample twice: dz = act'(z) dy with its sums, kept in f32, then dx
 * from dz.  dz lies where dx will, in the workspace only where that has no room for f32.
 * Where dx is in two parts (cm_node.split) each has its rows of both.
 *
 * Memory is waited for while SiLU is computed: what is written is asked for some rows before,
 * and so is what is read once; forward asks for the next sample, whose sums are quick. */
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
static int x_input(const cm_node *n)
{
    return n->op == CM_OP_GROUP_NORM_GRAD || n->op == CM_OP_GROUP_NORM_JVP_GRAD;
}

/* of xdot; x itself where there is none */
static int xdot_input(const cm_node *n)
{
    const int has = n->op == CM_OP_GROUP_NORM_JVP || n->op == CM_OP_GROUP_NORM_JVP_GRAD;
    return x_input(n) + (has ? 3 : 0);
}

static norm norm_make(const cm_node *n)
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

static int64_t scratch_floats(const norm *d, const cm_node *n)
{
    const int64_t dz = n->op == CM_OP_GROUP_NORM_GRAD && d->bf16 ? d->rows : 0;
    return cm_ceil_div((COEFS + SUMS * d->chunks + dz) * d->ch, CM_LANES) * CM_LANES;
}

cm_status CM_K(group_norm_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const norm d = norm_make(n);
    const cm_dtype t = n->in[x_input(n)]->type.dtype;
    const int others[] = {0, xdot_input(n)}; /* dy and xdot, or x itself */
    for (int i = 0; i < 2; i++)
        if (n->in[others[i]]->type.dtype != t)
            return cm_fail(err, CM_ERR_UNSUPPORTED, "%s: x is %s, expected %s like operand %d",
                           cm_ops[n->op]->name, cm_dtype_name(t),
                           cm_dtype_name(n->in[others[i]]->type.dtype), others[i]);
    *p =
        (cm_prepared){.workspace = (size_t)threads * (size_t)scratch_floats(&d, n) * sizeof(float)};
    return CM_OK;
}

typedef void sample_fn(const norm *d, scratch w, int64_t s);
typedef void chunk_fn(const norm *d, scratch w, int64_t s, int64_t k);

static void each_sample(const cm_call *c, sample_fn *f)
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

static void each_chunk(const norm *d, scratch w, int64_t s, chunk_fn *f)
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
static int is_first(const norm *d)
{
    return d->team == 1 || !d->call->worker;
}

/* pixels of chunk k, and the offset of its first element in a tensor like x */
static int64_t chunk_rows(const norm *d, int64_t k)
{
    return cm_min(d->chunk, d->rows - k * d->chunk);
}

static int64_t chunk_at(const norm *d, int64_t s, int64_t k)
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
    memset(s, 0, (size_t)(SUMS * ch) * sizeof *s);
    for (; r + STEP <= rows; r += STEP)
        sum_rows(s, x0, cm_at(x, r * ch, bf16), tangent ? cm_at(xdot, r * ch, bf16) : NULL, ch,
                 STEP, bf16, tangent);
    for (; r < rows; r++)
        sum_rows(s, x0, cm_at(x, r * ch, bf16), tangent ? cm_at(xdot, r * ch, bf16) : NULL, ch, 1,
                 bf16, tangent);
}

static void sum_chunk(const norm *d, scratch w, int64_t s, int64_t k)
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
static double total(const norm *d, scratch w, int which, int64_t i)
{
    double t = 0.0;
    for (int64_t k = 0; k < d->chunks; k++)
        t += (double)w.sum[(k * SUMS + which) * d->ch + i];
    return t;
}

static void set(float *coef, int64_t begin, int64_t n, double v)
{
    for (int64_t i = begin; i < begin + n; i++)
        coef[i] = (float)v;
}

/* Mean and 1/sigma of the group that begins at channel c, from the sums: the
 * mean is x0 + m of each channel, its squares are recentred on the group's. */
static void fold_group(const norm *d, scratch w, int64_t c)
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
static void fold_group_tangent(const norm *d, scratch w, int64_t c)
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
static void set_affine(const norm *d, scratch w, int64_t s)
{
    const int64_t ch = d->ch;
    const float *a = d->a + s * d->ab_pitch, *b = d->b + s * d->ab_pitch;
    for (int64_t i = 0; i < ch; i++) {
        w.coef[A * ch + i] = a[i];
        w.coef[B * ch + i] = b[i];
        w.coef[K * ch + i] = a[i] * w.coef[RSTD * ch + i];
    }
}

static void begin_sample(const norm *d, scratch w, int64_t s)
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

/* ---- passes over one chunk; `bf16` and `silu` are constants ---- */

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
    float *sum; /* of the gradient; likewise */
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

CM_INLINE void forward(const pass *p, int bf16, int silu)
{
    const int64_t ch = p->ch;
    const float *mean = p->coef + MEAN * ch, *k = p->coef + K * ch, *b = p->coef + B * ch;
    for (int64_t r = 0; r < p->rows; r++) {
        const void *x = cm_at(p->x, r * ch, bf16);
        void *y = cm_at_out(p->y, r * ch, bf16);
        cm_prefetch(y, CM_AHEAD, bytes_of(ch, bf16));
        cm_prefetch(x, p->sample, bytes_of(ch, bf16));
        CM_PUT_EACH(y, ch, bf16, i,
                    activation(cm_fma(cm_get(x, i, bf16) - mean[i], k[i], b[i]), silu));
    }
}

/* dz of some rows, and what they add to the sums da and db */
CM_INLINE void slope_rows(const pass *p, const part *t, int64_t row, int rows, int bf16, int silu)
{
    const int64_t ch = p->ch, n = t->n, first = row * ch + t->from;
    const float *coef = p->coef + t->from, *mean = coef + MEAN * ch, *rstd = coef + RSTD * ch;
    const float *a = coef + A * ch, *b = coef + B * ch;
    const void *x = cm_at(p->x, first, bf16), *dy = cm_at(p->dy, first, bf16);
    float *restrict da = p->sum + t->from, *restrict db = da + ch, *restrict dz = t->dz + row * n;
    if (!t->from) { /* for both parts */
        cm_prefetch(x, CM_AHEAD, bytes_of(rows * ch, bf16));
        cm_prefetch(dy, CM_AHEAD, bytes_of(rows * ch, bf16));
    }
    cm_prefetch(dz, CM_AHEAD, bytes_of(rows * n, 0));
    CM_SIMD
    for (int64_t i = 0; i < n; i++) {
        float sa = 0.0f, sb = 0.0f;
        for (int r = 0; r < rows; r++) {
            const float xh = (cm_get(x, r * ch + i, bf16) - mean[i]) * rstd[i];
            const float d = cm_get(dy, r * ch + i, bf16);
            const float z = silu ? d * cm_silu_slope(cm_fma(a[i], xh, b[i])) : d;
            dz[r * n + i] = z;
            sa = cm_fma(z, xh, sa);
            sb += z;
        }
        da[i] += sa;
        db[i] += sb;
    }
}

CM_INLINE void slope_band(const pass *p, const part *t, int64_t first, int64_t end, int bf16,
                          int silu)
{
    enum { STEP = 2 };
    int64_t r = first;
    for (; r + STEP <= end; r += STEP)
        slope_rows(p, t, r, STEP, bf16, silu);
    for (; r < end; r++)
        slope_rows(p, t, r, 1, bf16, silu);
}

/* Some rows of one part, then of the other: what is read is read in order. */
CM_INLINE void slope(const pass *p, int bf16, int silu)
{
    memset(p->sum, 0, (size_t)(2 * p->ch) * sizeof(float));
    for (int64_t first = 0; first < p->rows; first += p->band)
        for (int k = 0; k < p->parts; k++)
            slope_band(p, &p->part[k], first, cm_min(first + p->band, p->rows), bf16, silu);
}

CM_INLINE float grad_at(const float *coef, int64_t ch, int64_t i, float x, float dz)
{
    const float xh = (x - coef[MEAN * ch + i]) * coef[RSTD * ch + i];
    const float m = cm_fma(xh, coef[M2 * ch + i], coef[M1 * ch + i]);
    return cm_fma(coef[K * ch + i], dz, -m);
}

CM_INLINE float plus(float d, const void *r, int64_t i, int bf16)
{
    return r ? d + cm_get(r, i, bf16) : d;
}

CM_INLINE void grad_band(const pass *p, const part *t, int64_t first, int64_t end, int bf16,
                         int residual)
{
    const int64_t ch = p->ch, n = t->n;
    const float *coef = p->coef + t->from;
    for (int64_t row = first; row < end; row++) {
        const void *x = cm_at(p->x, row * ch + t->from, bf16);
        const void *r = residual ? cm_at(p->r, row * ch + t->from, bf16) : NULL;
        const float *dz = t->dz + row * n;
        void *dx = cm_at_out(t->dx, row * n, bf16);
        if (residual && !t->from)
            cm_prefetch(r, CM_AHEAD, bytes_of(ch, bf16));
        if (bf16)
            cm_prefetch(dx, CM_AHEAD, bytes_of(n, bf16));
        CM_PUT_EACH(dx, n, bf16, i,
                    plus(grad_at(coef, ch, i, cm_get(x, i, bf16), dz[i]), r, i, bf16));
    }
}

CM_INLINE void grad(const pass *p, int bf16, int silu)
{
    (void)silu;
    for (int64_t first = 0; first < p->rows; first += p->band)
        for (int k = 0; k < p->parts; k++) {
            const int64_t end = cm_min(first + p->band, p->rows);
            p->r ? grad_band(p, &p->part[k], first, end, bf16, 1)
                 : grad_band(p, &p->part[k], first, end, bf16, 0);
        }
}

CM_INLINE float jvp_at(const float *coef, int64_t ch, int64_t i, float x, float xdot, int silu)
{
    const float a = coef[A * ch + i], rstd = coef[RSTD * ch + i];
    const float xh = (x - coef[MEAN * ch + i]) * rstd;
    const float xhdot = cm_fma(xdot, rstd, -cm_fma(xh, coef[M2 * ch + i], coef[M1 * ch + i]));
    const float zdot = cm_fma(coef[ADOT * ch + i], xh, cm_fma(a, xhdot, coef[BDOT * ch + i]));
    return silu ? zdot * cm_silu_slope(cm_fma(a, xh, coef[B * ch + i])) : zdot;
}

CM_INLINE void jvp(const pass *p, int bf16, int silu)
{
    const int64_t ch = p->ch;
    for (int64_t r = 0; r < p->rows; r++) {
        const void *x = cm_at(p->x, r * ch, bf16), *xdot = cm_at(p->xdot, r * ch, bf16);
        void *ydot = cm_at_out(p->y, r * ch, bf16);
        CM_PUT_EACH(ydot, ch, bf16, i,
                    jvp_at(p->coef, ch, i, cm_get(x, i, bf16), cm_get(xdot, i, bf16), silu));
    }
}

/* What the cotangent d of a tangent makes of one element: see ops/group_norm.c. */
typedef struct second {
    float xh, xhdot, dz, dzdot;
} second;

CM_INLINE second second_at(const float *coef, int64_t ch, int64_t i, float x, float xdot, float d,
                           int silu)
{
    const float a = coef[A * ch + i], rstd = coef[RSTD * ch + i];
    const float xh = (x - coef[MEAN * ch + i]) * rstd;
    const float xhdot = cm_fma(xdot, rstd, -cm_fma(xh, coef[M2 * ch + i], coef[M1 * ch + i]));
    if (!silu)
        return (second){xh, xhdot, d, 0.0f};
    const float z = cm_fma(a, xh, coef[B * ch + i]);
    const float zdot = cm_fma(coef[ADOT * ch + i], xh, cm_fma(a, xhdot, coef[BDOT * ch + i]));
    return (second){xh, xhdot, d * cm_silu_slope(z), d * zdot * cm_silu_bend(z)};
}

CM_INLINE void second_sums(const pass *p, int bf16, int silu)
{
    const int64_t ch = p->ch;
    float *restrict s = p->sum;
    memset(s, 0, (size_t)(SUMS * ch) * sizeof *s);
    for (int64_t r = 0; r < p->rows; r++) {
        const void *x = cm_at(p->x, r * ch, bf16), *xdot = cm_at(p->xdot, r * ch, bf16);
        const void *d = cm_at(p->dy, r * ch, bf16);
        CM_SIMD
        for (int64_t i = 0; i < ch; i++) {
            const second q = second_at(p->coef, ch, i, cm_get(x, i, bf16), cm_get(xdot, i, bf16),
                                       cm_get(d, i, bf16), silu);
            s[i] += q.dz;
            s[ch + i] = cm_fma(q.dz, q.xh, s[ch + i]);
            s[2 * ch + i] += q.dzdot;
            s[3 * ch + i] = cm_fma(q.dzdot, q.xh, s[3 * ch + i]);
            s[4 * ch + i] = cm_fma(q.dz, q.xhdot, s[4 * ch + i]);
        }
    }
}

CM_INLINE float second_dx(const float *coef, int64_t ch, int64_t i, second q)
{
    const float a = coef[A * ch + i], e1 = coef[E1 * ch + i], e = a * q.dz;
    const float edot = cm_fma(coef[ADOT * ch + i], q.dz, a * q.dzdot);
    const float u = edot - coef[F0 * ch + i] - cm_fma(q.xhdot, e1, q.xh * coef[F1 * ch + i]);
    const float v = e - coef[E0 * ch + i] - q.xh * e1;
    return coef[RSTD * ch + i] * cm_fma(-coef[M2 * ch + i], v, u);
}

CM_INLINE void second_rows(const pass *p, int bf16, int silu)
{
    const int64_t ch = p->ch;
    for (int64_t r = 0; r < p->rows; r++) {
        const void *x = cm_at(p->x, r * ch, bf16), *xdot = cm_at(p->xdot, r * ch, bf16);
        const void *d = cm_at(p->dy, r * ch, bf16);
        void *dx = cm_at_out(p->y, r * ch, bf16);
        CM_PUT_EACH(dx, ch, bf16, i,
                    second_dx(p->coef, ch, i,
                              second_at(p->coef, ch, i, cm_get(x, i, bf16), cm_get(xdot, i, bf16),
                                        cm_get(d, i, bf16), silu)));
    }
}

static part part_make(const norm *d, scratch w, int64_t s, int64_t k, int64_t from, int64_t n)
{
    const int64_t row = s * d->rows + k * d->chunk;
    void *dx = cm_at_out(d->call->out, d->n * d->rows * from + row * n, d->bf16);
    float *dz = d->bf16 ? w.dz + k * d->chunk * d->ch + chunk_rows(d, k) * from : dx;
    return (part){from, n, dx, dz};
}

static pass pass_make(const norm *d, scratch w, int64_t s, int64_t k)
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

/* ---- samples ---- */

#define CHUNK(f)                                                          \
    static void f##_chunk(const norm *d, scratch w, int64_t s, int64_t k) \
    {                                                                     \
        const pass p = pass_make(d, w, s, k);                             \
        if (d->bf16)                                                      \
            d->silu ? f(&p, 1, 1) : f(&p, 1, 0);                          \
        else                                                              \
            d->silu ? f(&p, 0, 1) : f(&p, 0, 0);                          \
    }
CHUNK(forward)
CHUNK(slope)
CHUNK(grad)
CHUNK(jvp)
CHUNK(second_sums)
CHUNK(second_rows)

/* [N,2C] behind the output: mean and 1/sigma, or da and db */
static float *aux(const norm *d, int64_t s)
{
    const size_t offset = cm_aux_offset(d->call->node);
    return (float *)(void *)((char *)d->call->out + offset) + s * 2 * d->ch;
}

static void keep_statistics(const norm *d, scratch w, int64_t s)
{
    const size_t bytes = (size_t)d->ch * sizeof(float);
    if (!cm_has_aux(d->call->node) || !is_first(d))
        return;
    memcpy(aux(d, s), w.coef + MEAN * d->ch, bytes);
    memcpy(aux(d, s) + d->ch, w.coef + RSTD * d->ch, bytes);
}

static void sample_forward(const norm *d, scratch w, int64_t s)
{
    begin_sample(d, w, s);
    keep_statistics(d, w, s);
    each_chunk(d, w, s, forward_chunk);
}

/* S1 = sum_c a db, S2 = sum_c a da over the group; m1, m2 = S / (m sigma) */
static void fold_gradient(const norm *d, scratch w, const float *da, const float *db)
{
    const int64_t ch = d->ch;
    const double one_m = 1.0 / ((double)d->rows * (double)d->group);
    for (int64_t c = 0; c < ch; c += d->group) {
        const double scale = (double)w.coef[RSTD * ch + c] * one_m;
        double s1 = 0.0, s2 = 0.0;
        for (int64_t i = c; i < c + d->group; i++) {
            s1 += (double)w.coef[A * ch + i] * (double)db[i];
            s2 += (double)w.coef[A * ch + i] * (double)da[i];
        }
        set(w.coef + M1 * ch, c, d->group, s1 * scale);
        set(w.coef + M2 * ch, c, d->group, s2 * scale);
    }
}

static void sample_grad(const norm *d, scratch w, int64_t s)
{
    const int64_t ch = d->ch;
    const float *statistics = (const float *)d->call->in[4] + s * 2 * ch;
    float *da = w.coef + DA * ch, *db = w.coef + DB * ch; /* one behind the other, as in aux */
    memcpy(w.coef + MEAN * ch, statistics, (size_t)ch * sizeof(float));
    memcpy(w.coef + RSTD * ch, statistics + ch, (size_t)ch * sizeof(float));
    set_affine(d, w, s);
    each_chunk(d, w, s, slope_chunk);
    for (int64_t i = 0; i < ch; i++) {
        da[i] = (float)total(d, w, 0, i);
        db[i] = (float)total(d, w, 1, i);
    }
    if (cm_has_aux(d->call->node) && is_first(d))
        memcpy(aux(d, s), da, 2 * (size_t)ch * sizeof *da);
    fold_gradient(d, w, da, db);
    each_chunk(d, w, s, grad_chunk);
}

/* Statistics, and the tangents of a and b, which come behind that of x. */
static void begin_tangent(const norm *d, scratch w, int64_t s)
{
    const int at = xdot_input(d->call->node);
    const float *adot = (const float *)d->call->in[at + 1] + s * d->ab_pitch;
    const float *bdot = (const float *)d->call->in[at + 2] + s * d->ab_pitch;
    begin_sample(d, w, s);
    memcpy(w.coef + ADOT * d->ch, adot, (size_t)d->ch * sizeof(float));
    memcpy(w.coef + BDOT * d->ch, bdot, (size_t)d->ch * sizeof(float));
}

static void sample_jvp(const norm *d, scratch w, int64_t s)
{
    begin_tangent(d, w, s);
    keep_statistics(d, w, s);
    each_chunk(d, w, s, jvp_chunk);
}

/* The four means over the group at channel c: of e, e xh, edot, and edot xh + e xhdot */
static void fold_second(const norm *d, scratch w, int64_t c)
{
    const double one_m = 1.0 / ((double)d->rows * (double)d->group);
    double e0 = 0.0, e1 = 0.0, f0 = 0.0, f1 = 0.0;
    for (int64_t i = c; i < c + d->group; i++) {
        const double a = (double)w.coef[A * d->ch + i], adot = (double)w.coef[ADOT * d->ch + i];
        const double dz = total(d, w, 0, i), dz_xh = total(d, w, 1, i);
        e0 += a * dz;
        e1 += a * dz_xh;
        f0 += adot * dz + a * total(d, w, 2, i);
        f1 += adot * dz_xh + a * (total(d, w, 3, i) + total(d, w, 4, i));
    }
    set(w.coef + E0 * d->ch, c, d->group, e0 * one_m);
    set(w.coef + E1 * d->ch, c, d->group, e1 * one_m);
    set(w.coef + F0 * d->ch, c, d->group, f0 * one_m);
    set(w.coef + F1 * d->ch, c, d->group, f1 * one_m);
}

static void sample_jvp_grad(const norm *d, scratch w, int64_t s)
{
    const int64_t ch = d->ch;
    begin_tangent(d, w, s);
    if (d->team > 1)
        cm_pool_barrier(d->call->pool); /* the sums are used again */
    each_chunk(d, w, s, second_sums_chunk);
    for (int64_t c = 0; c < ch; c += d->group)
        fold_second(d, w, c);
    for (int64_t i = 0; i < ch && cm_has_aux(d->call->node) && is_first(d); i++) {
        aux(d, s)[i] = (float)(total(d, w, 3, i) + total(d, w, 4, i));
        aux(d, s)[ch + i] = (float)total(d, w, 2, i);
    }
    each_chunk(d, w, s, second_rows_chunk);
}

void CM_K(group_norm)(const cm_call *c)
{
    each_sample(c, sample_forward);
}

void CM_K(group_norm_grad)(const cm_call *c)
{
    each_sample(c, sample_grad);
}

void CM_K(group_norm_jvp)(const cm_call *c)
{
    each_sample(c, sample_jvp);
}

void CM_K(group_norm_jvp_grad)(const cm_call *c)
{
    each_sample(c, sample_jvp_grad);
}
