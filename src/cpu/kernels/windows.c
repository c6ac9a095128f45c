/* windows.c - means and maxima over windows of pixels of [N,H,W,C], and their derivatives; see
 * ops/pooling.c.  A task is a row of pixels of the result; sums are f32. */
#include "cpu/kernels/vec.h"

enum { BLOCK = 256 }; /* channels at a time */

/* One dimension of the windows: its part of the image for window i, which is never empty. */
typedef struct span {
    int64_t begin, end;
} span;

static span span_of(const cm_attr *a, int64_t i, int64_t side)
{
    const int64_t first = i * a->pool.stride - a->pool.pad, last = first + a->pool.k;
    return (span){first < 0 ? 0 : first, cm_min(last, side)};
}

/* The windows that pixel i is in. */
static span windows_of(const cm_attr *a, int64_t i, int64_t count)
{
    const int64_t s = a->pool.stride, at = i + a->pool.pad, before = at - a->pool.k + 1;
    return (span){before <= 0 ? 0 : cm_ceil_div(before, s), cm_min(at / s + 1, count)};
}

/* ---- mean ---- */

/* y of one pixel, channels k to k + n - 1; x is the image. */
CM_INLINE void mean_of(float *sum, const void *x, span r, span c, int64_t w, int64_t ch, int64_t k,
                       int64_t n, int bf16)
{
    const float share = 1.0f / (float)((r.end - r.begin) * (c.end - c.begin));
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = r.begin; i < r.end; i++)
        for (int64_t j = c.begin; j < c.end; j++) {
            const void *from = cm_at(x, (i * w + j) * ch + k, bf16);
            CM_SIMD
            for (int64_t q = 0; q < n; q++)
                sum[q] += cm_get(from, q, bf16);
        }
    CM_SIMD
    for (int64_t q = 0; q < n; q++)
        sum[q] *= share;
}

void CM_K(avg_pool2d)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0), *y = &c->node->type;
    const cm_attr *a = &c->node->attr;
    const int64_t ch = x->dim[3], image = x->dim[1] * x->dim[2] * ch, rows = y->dim[0] * y->dim[1];
    const int bf16 = x->dtype == CM_BF16;
    float sum[BLOCK];
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(x)), row, rows, 1) {
        const void *from = cm_at(c->in[0], row / y->dim[1] * image, bf16);
        const span r = span_of(a, row % y->dim[1], x->dim[1]);
        for (int64_t j = 0; j < y->dim[2]; j++) {
            const span s = span_of(a, j, x->dim[2]);
            for (int64_t k = 0; k < ch; k += BLOCK) {
                const int64_t n = cm_min(BLOCK, ch - k);
                bf16 ? mean_of(sum, from, r, s, x->dim[2], ch, k, n, 1)
                     : mean_of(sum, from, r, s, x->dim[2], ch, k, n, 0);
                cm_save(c->out, y->dtype, (row * y->dim[2] + j) * ch + k, sum, n);
            }
        }
    }
}

/* dx of a pixel: of each window that it is in, dy over the window's pixels. */
void CM_K(avg_pool2d_grad)(const cm_call *c)
{
    const cm_type *y = cm_in_type(c, 0), *x = &c->node->type;
    const cm_attr *a = &c->node->attr;
    const int64_t ch = x->dim[3], h = x->dim[1], w = x->dim[2], rows = x->dim[0] * h;
    const int bf16 = x->dtype == CM_BF16;
    float sum[BLOCK];
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(x)), row, rows, 1) {
        const void *dy = cm_at(c->in[0], row / h * y->dim[1] * y->dim[2] * ch, bf16);
        const span r = windows_of(a, row % h, y->dim[1]);
        for (int64_t at = 0; at < w * ch; at += cm_min(BLOCK, ch - at % ch)) {
            const int64_t n = cm_min(BLOCK, ch - at % ch);
            const span s = windows_of(a, at / ch, y->dim[2]);
            memset(sum, 0, sizeof sum);
            for (int64_t i = r.begin; i < r.end; i++)
                for (int64_t j = s.begin; j < s.end; j++) {
                    const span u = span_of(a, i, h), v = span_of(a, j, w);
                    const float share = 1.0f / (float)((u.end - u.begin) * (v.end - v.begin));
                    const void *from = cm_at(dy, (i * y->dim[2] + j) * ch + at % ch, bf16);
                    CM_SIMD
                    for (int64_t q = 0; q < n; q++)
                        sum[q] = cm_fma(share, cm_get(from, q, bf16), sum[q]);
                }
            cm_save(c->out, x->dtype, row * w * ch + at, sum, n);
        }
    }
}

/* ---- maximum ---- */

/* The largest of a window, and value of the pixel where it first is (pick: of xdot, else of x);
 * NaN is larger than any number, so that it is not lost. */
CM_INLINE void most_of(float *most, float *picked, const void *x, const void *pick, span r, span c,
                       int64_t w, int64_t ch, int64_t k, int64_t n, int bf16, int pick_bf16)
{
    for (int64_t i = r.begin; i < r.end; i++)
        for (int64_t j = c.begin; j < c.end; j++) {
            const int first = i == r.begin && j == c.begin;
            const int64_t at = (i * w + j) * ch + k;
            CM_SIMD
            for (int64_t q = 0; q < n; q++) {
                const float v = cm_get(x, at + q, bf16), p = cm_get(pick, at + q, pick_bf16);
                const int larger = first | !(v <= most[q]);
                most[q] = larger ? v : most[q];
                picked[q] = larger ? p : picked[q];
            }
        }
}

/* Of each window the value of in[0] where in[x] is largest. */
static void pick(const cm_call *c, int x_input)
{
    const cm_type *x = cm_in_type(c, x_input), *y = &c->node->type;
    const cm_attr *a = &c->node->attr;
    const int64_t ch = x->dim[3], image = x->dim[1] * x->dim[2] * ch, rows = y->dim[0] * y->dim[1];
    const int bf16 = x->dtype == CM_BF16, of_bf16 = cm_in_type(c, 0)->dtype == CM_BF16;
    float most[BLOCK], picked[BLOCK];
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(x)), row, rows, 1) {
        const void *from = cm_at(c->in[x_input], row / y->dim[1] * image, bf16);
        const void *of = cm_at(c->in[0], row / y->dim[1] * image, of_bf16);
        const span r = span_of(a, row % y->dim[1], x->dim[1]);
        for (int64_t j = 0; j < y->dim[2]; j++)
            for (int64_t k = 0; k < ch; k += BLOCK) {
                const int64_t n = cm_min(BLOCK, ch - k);
                const span s = span_of(a, j, x->dim[2]);
                if (!bf16 && !of_bf16)
                    most_of(most, picked, from, of, r, s, x->dim[2], ch, k, n, 0, 0);
                else
                    most_of(most, picked, from, of, r, s, x->dim[2], ch, k, n, bf16, of_bf16);
                cm_save(c->out, y->dtype, (row * y->dim[2] + j) * ch + k, picked, n);
            }
    }
}

void CM_K(max_pool2d)(const cm_call *c)
{
    pick(c, 0);
}

void CM_K(max_pool2d_jvp)(const cm_call *c)
{
    pick(c, 1);
}

/* The pixel of a window, counted over the image, at which channel k of x is first largest. */
static int64_t place_of(const void *x, span r, span c, int64_t w, int64_t ch, int64_t k, int bf16)
{
    int64_t best = r.begin * w + c.begin;
    for (int64_t i = r.begin; i < r.end; i++)
        for (int64_t j = c.begin; j < c.end; j++)
            if (!(cm_get(x, (i * w + j) * ch + k, bf16) <= cm_get(x, best * ch + k, bf16)))
                best = i * w + j;
    return best;
}

/* dx of a pixel: dy of the windows in which it is the first largest.  Not made to be fast: no
 * network that is trained has it. */
void CM_K(max_pool2d_grad)(const cm_call *c)
{
    const cm_type *y = cm_in_type(c, 0), *x = &c->node->type;
    const cm_attr *a = &c->node->attr;
    const int64_t ch = x->dim[3], h = x->dim[1], w = x->dim[2], pixels = h * w;
    const int bf16 = cm_in_type(c, 1)->dtype == CM_BF16, dy_bf16 = y->dtype == CM_BF16;
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(x)), row, x->dim[0] * h, 1) {
        const void *from = cm_at(c->in[1], row / h * pixels * ch, bf16);
        const void *dy = cm_at(c->in[0], row / h * y->dim[1] * y->dim[2] * ch, dy_bf16);
        const span r = windows_of(a, row % h, y->dim[1]);
        for (int64_t at = 0; at < w * ch; at++) {
            const int64_t k = at % ch, pixel = row % h * w + at / ch;
            const span s = windows_of(a, at / ch, y->dim[2]);
            float sum = 0.0f;
            for (int64_t i = r.begin; i < r.end; i++)
                for (int64_t j = s.begin; j < s.end; j++)
                    if (place_of(from, span_of(a, i, h), span_of(a, j, w), w, ch, k, bf16) == pixel)
                        sum += cm_get(dy, (i * y->dim[2] + j) * ch + k, dy_bf16);
            cm_put(c->out, row * w * ch + at, dy_bf16, sum);
        }
    }
}
