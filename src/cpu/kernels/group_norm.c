/* group_norm.c - group norm with affine and SiLU, and its cotangents (group_norm.h)
 *
 * The gradient goes over a sample twice: dz = act'(z) dy with its sums, kept in f32, then dx
 * from dz.  dz lies where dx will, in the workspace only where that has no room for f32.
 * Where dx is in two parts (cm_node.split) each has its rows of both.
 *
 * Memory is waited for while SiLU is computed: what is written is asked for some rows before,
 * and so is what is read once; forward asks for the next sample, whose sums are quick. */
#include "cpu/kernels/group_norm.h"

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

/* ---- passes over one chunk; `bf16` and `silu` are constants ---- */

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

/* What a row of the gradient adds to and, of bf16, where it goes. */
CM_INLINE void fetch_ahead(const pass *p, const part *t, const void *r, const void *dx, int bf16)
{
    if (r && !t->from)
        cm_prefetch(r, CM_AHEAD, bytes_of(p->ch, bf16));
    if (bf16)
        cm_prefetch(dx, CM_AHEAD, bytes_of(t->n, bf16));
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
        fetch_ahead(p, t, r, dx, bf16);
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

CHUNK(forward)
CHUNK(slope)
CHUNK(grad)

/* ---- samples ---- */

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

void CM_K(group_norm)(const cm_call *c)
{
    each_sample(c, sample_forward);
}

void CM_K(group_norm_grad)(const cm_call *c)
{
    each_sample(c, sample_grad);
}
