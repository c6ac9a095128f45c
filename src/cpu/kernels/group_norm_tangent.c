/* group_norm_tangent.c - the tangent of group norm, and the cotangents of that (group_norm.h) */
#include "cpu/kernels/group_norm.h"

/* ---- passes over one chunk; `bf16` and `silu` are constants ---- */

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

CHUNK(jvp)
CHUNK(second_sums)
CHUNK(second_rows)

/* ---- samples ---- */

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

void CM_K(group_norm_jvp)(const cm_call *c)
{
    each_sample(c, sample_jvp);
}

void CM_K(group_norm_jvp_grad)(const cm_call *c)
{
    each_sample(c, sample_jvp_grad);
}
