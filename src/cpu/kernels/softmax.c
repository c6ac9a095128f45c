/* softmax.c - softmax over the last axis, e^(x - max) / sum, its derivative
 * y (dy - sum(y dy)), and its logarithm x - max - log sum; row by row, in f32 */
#include "cpu/kernels/vec.h"

/* Rows are padded to a multiple of CM_LANES. */
static int64_t row_floats(int64_t n)
{
    return cm_ceil_div(n, CM_LANES) * CM_LANES;
}

cm_status CM_K(softmax_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    (void)err;
    const size_t rows = n->op == CM_OP_SOFTMAX_GRAD ? 2 : 1;
    *p = (cm_prepared){.workspace = (size_t)threads * rows * (size_t)row_floats(cm_last(&n->type)) *
                                    sizeof(float)};
    return CM_OK;
}

/* e^x for x <= 0, without the denormal range: 0 below e^-87; NaN stays NaN */
CM_INLINE float exp_negative(float x)
{
    return x >= -87.0f ? cm_exp_mid(x) : x < -87.0f ? 0.0f : x;
}

/* Of a row; n: padded; the padding is -infinity, so it adds nothing. */
CM_INLINE float most_of(const float *x, int64_t n)
{
    float top[CM_LANES];
    memcpy(top, x, sizeof top);
    for (int64_t i = CM_LANES; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            top[k] = x[i + k] > top[k] ? x[i + k] : top[k];
    }
    for (int k = 1; k < CM_LANES; k++)
        top[0] = top[k] > top[0] ? top[k] : top[0];
    return top[0];
}

static void softmax_row(float *x, int64_t n)
{
    float sum[CM_LANES] = {0};
    const float most = most_of(x, n);
    for (int64_t i = 0; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++) {
            x[i + k] = exp_negative(x[i + k] - most);
            sum[k] += x[i + k];
        }
    }
    const float scale = 1.0f / cm_sum_lanes(sum);
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale;
}

static void log_softmax_row(float *x, int64_t n)
{
    float sum[CM_LANES] = {0};
    const float most = most_of(x, n);
    for (int64_t i = 0; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            sum[k] += exp_negative(x[i + k] - most);
    }
    const float log_sum = logf(cm_sum_lanes(sum));
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] - most - log_sum;
}

/* n: padded, with zeros */
static void softmax_grad_row(float *dy, const float *y, int64_t n)
{
    float lanes[CM_LANES] = {0};
    for (int64_t i = 0; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            lanes[k] = cm_fma(y[i + k], dy[i + k], lanes[k]);
    }
    const float dot = cm_sum_lanes(lanes);
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        dy[i] = y[i] * (dy[i] - dot);
}

CM_INLINE void each_row(const cm_call *c, void (*row)(float *x, int64_t padded))
{
    const cm_type *t = &c->node->type;
    const int64_t count = cm_type_count(t), n = cm_last(t);
    const int64_t padded = row_floats(n);
    float *buffer = c->workspace; /* [workers][padded] */
    CM_EACH_SHARE (c, cm_team(c, count), i, count, n) {
        float *x = buffer + c->worker * padded;
        cm_load(x, c->in[0], t->dtype, i, n);
        for (int64_t k = n; k < padded; k++)
            x[k] = -INFINITY;
        row(x, padded);
        cm_save(c->out, t->dtype, i, x, n);
    }
}

void CM_K(softmax)(const cm_call *c)
{
    each_row(c, softmax_row);
}

void CM_K(log_softmax)(const cm_call *c)
{
    each_row(c, log_softmax_row);
}

void CM_K(softmax_grad)(const cm_call *c)
{
    const cm_type *t = &c->node->type;
    const int64_t count = cm_type_count(t), n = cm_last(t);
    const int64_t padded = row_floats(n);
    float *buffer = c->workspace; /* [workers][2][padded] */
    CM_EACH_SHARE (c, cm_team(c, count), i, count, n) {
        float *dy = buffer + c->worker * 2 * padded, *y = dy + padded;
        cm_load(dy, c->in[0], t->dtype, i, n);
        cm_load(y, c->in[1], t->dtype, i, n);
        for (int64_t k = n; k < padded; k++)
            dy[k] = y[k] = 0.0f;
        softmax_grad_row(dy, y, padded);
        cm_save(c->out, t->dtype, i, dy, n);
    }
}
