/* attention_rows.c - the rows of attention: softmax(scale s), its derivative, and the way
 * between [T,C] and the dense matrices of one head; in f32, see cpu/attention.h */
#include "cpu/attention.h"
#include "cpu/kernels/vec.h"

/* Some rows go through each stage together, which hides the latency of their sums, if
 * they stay in the first cache; and the partial sums of a row go through memory, or compilers add
 * them one by one. */
enum { TILE = 8, TILE_FLOATS = 1024 };
typedef float lanes[TILE][CM_LANES];

/* e^x, x at most about 0; e^-87 below -87; NaN stays NaN.  As cm_exp_mid(), but the
 * power of two is a factor, which keeps any NaN. */
CM_INLINE float exp_down(float x)
{
    const float magic = 0x1.8p23f, log2e = 1.44269504088896341f;
    x = x < -87.0f ? -87.0f : x;
    const float t = cm_fma(x, log2e, magic);
    const float p = cm_exp2_part(cm_fma(x, log2e, magic - t));
    return p * cm_from_bits((cm_to_bits(t) << 23) + 0x3f800000u);
}

static void max_lanes(float *out, const float *s, int64_t n)
{
    float top[CM_LANES];
    memcpy(top, s, sizeof top);
    for (int64_t i = CM_LANES; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            top[k] = s[i + k] > top[k] ? s[i + k] : top[k];
    }
    memcpy(out, top, sizeof top);
}

static void exp_lanes(float *out, float *s, int64_t n, float scale, float shift)
{
    float sum[CM_LANES] = {0};
    for (int64_t i = 0; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++) {
            s[i + k] = exp_down(cm_fma(s[i + k], scale, shift));
            sum[k] += s[i + k];
        }
    }
    memcpy(out, sum, sizeof sum);
}

static void dot_lanes(float *out, const float *s, const float *u, int64_t n)
{
    float sum[CM_LANES] = {0};
    for (int64_t i = 0; i < n; i += CM_LANES) {
        CM_SIMD
        for (int k = 0; k < CM_LANES; k++)
            sum[k] = cm_fma(s[i + k], u[i + k], sum[k]);
    }
    memcpy(out, sum, sizeof sum);
}

static void max_of(float *out, const float (*x)[CM_LANES], int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        float half[8], top = x[i][0];
        CM_SIMD
        for (int k = 0; k < 8; k++)
            half[k] = x[i][k] > x[i][k + 8] ? x[i][k] : x[i][k + 8];
        for (int k = 0; k < 8; k++)
            top = half[k] > top ? half[k] : top;
        out[i] = top;
    }
}

static void sum_of(float *out, const float (*x)[CM_LANES], int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        float half[8], quarter[4];
        CM_SIMD
        for (int k = 0; k < 8; k++)
            half[k] = x[i][k] + x[i][k + 8];
        CM_SIMD
        for (int k = 0; k < 4; k++)
            quarter[k] = half[k] + half[k + 4];
        out[i] = (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
    }
}

static int64_t tile_rows(const cm_attention_rows *r, int64_t row)
{
    return cm_min(cm_min(TILE, 1 + TILE_FLOATS / r->padded), r->n - row);
}

/* s = e^(scale (s - max)) of rows from `row` on; and their sums */
static void exp_rows(const cm_attention_rows *r, int64_t row, int64_t rows, float *sum)
{
    const int64_t n = r->padded;
    lanes part;
    float most[TILE];
    for (int64_t i = 0; i < rows; i++) {
        float *s = r->s + (row + i) * n;
        for (int64_t k = r->length; k < n; k++)
            s[k] = -INFINITY;
        max_lanes(part[i], s, n);
    }
    max_of(most, (const float(*)[CM_LANES])part, rows);
    for (int64_t i = 0; i < rows; i++)
        exp_lanes(part[i], r->s + (row + i) * n, n, r->scale, -r->scale * most[i]);
    sum_of(sum, (const float(*)[CM_LANES])part, rows);
}

/* The sum is normalised later, in the product with V, which is shorter. */
static void softmax(const cm_attention_rows *r)
{
    float sum[TILE];
    for (int64_t row = 0, rows; row < r->n; row += rows) {
        rows = tile_rows(r, row);
        exp_rows(r, row, rows, sum);
        for (int64_t i = 0; i < rows; i++)
            r->inverse[row + i] = 1.0f / sum[i];
        if (r->bf16)
            cm_save(r->p, CM_BF16, row * r->padded, r->s + row * r->padded, rows * r->padded);
    }
}

static void grad_row(float *s, float *u, int64_t n, float inverse, float mean, float scale)
{
    CM_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float p = inverse * s[i], w = scale * p * (u[i] - mean);
        s[i] = p;
        u[i] = w;
    }
}

static void softmax_grad(const cm_attention_rows *r)
{
    const int64_t n = r->padded;
    lanes part;
    float sum[TILE], dot[TILE];
    for (int64_t row = 0, rows; row < r->n; row += rows) {
        const int64_t at = row * n;
        float *s = r->s + at, *u = r->u + at;
        rows = tile_rows(r, row);
        exp_rows(r, row, rows, sum);
        for (int64_t i = 0; i < rows; i++)
            dot_lanes(part[i], s + i * n, u + i * n, n);
        sum_of(dot, (const float(*)[CM_LANES])part, rows);
        for (int64_t i = 0; i < rows; i++)
            grad_row(s + i * n, u + i * n, n, 1.0f / sum[i], dot[i] / sum[i], r->scale);
        if (r->bf16) {
            cm_save(r->p, CM_BF16, at, s, rows * n);
            cm_save(r->w, CM_BF16, at, u, rows * n);
        }
    }
}

static void gather(const cm_attention_heads *h, void *dst, const void *src)
{
    const int64_t bytes = h->d * (h->bf16 ? 2 : 4), head = h->padded * bytes;
    for (int64_t r = 0; r < h->rows; r++)
        for (int64_t i = 0; i < h->n; i++)
            cm_copy((char *)dst + i * head + r * bytes,
                    (const char *)cm_at(src, r * h->pitch, h->bf16) + i * bytes, bytes, 32);
    for (int64_t i = 0; i < h->n; i++)
        memset((char *)dst + i * head + h->rows * bytes, 0, (size_t)(head - h->rows * bytes));
}

CM_INLINE void put_row(void *y, const float *x, float f, int64_t d, int bf16)
{
    CM_SIMD
    for (int64_t i = 0; i < d; i++)
        cm_put(y, i, bf16, f * x[i]);
}

static void scatter(const cm_attention_heads *h, void *dst, const float *src, const float *factor)
{
    for (int64_t r = 0; r < h->rows; r++)
        for (int64_t i = 0; i < h->n; i++) {
            const float f = factor ? factor[i * h->padded + r] : 1.0f;
            const float *x = src + (i * h->padded + r) * h->d;
            void *y = cm_at_out(dst, r * h->pitch + i * h->d, h->bf16);
            h->bf16 ? put_row(y, x, f, h->d, 1) : put_row(y, x, f, h->d, 0);
        }
}

#define NAME_PASTE(suffix)  cm_attention_##suffix
#define NAME_EXPAND(suffix) NAME_PASTE(suffix)
const cm_attention_kernels NAME_EXPAND(CM_ISA_SUFFIX) = {softmax, softmax_grad, gather, scatter};
