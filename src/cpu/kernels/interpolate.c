/* interpolate.c - bilinear resizing of f32 [N,H,W,C], and its adjoint; see ops/interpolate.c */
#include "cpu/kernels/vec.h"

/* Where a row or column of the result reads: (1 - f) x[a] + f x[b]. */
typedef struct blend {
    int64_t a, b;
    float f;
} blend;

/* In fractions of 2 `to`, which whole numbers hold to all their digits. */
static blend blend_of(int64_t i, int64_t from, int64_t to, int half_pixel)
{
    const int64_t at = half_pixel ? (2 * i + 1) * from - to : 2 * i * from, unit = 2 * to;
    const int64_t a = at < 0 ? 0 : at / unit, rest = at < 0 ? 0 : at % unit;
    return (blend){a, cm_min(a + 1, from - 1), (float)rest / (float)unit};
}

void CM_K(resize_bilinear)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0), *y = &c->node->type;
    const int half = c->node->attr.resize.half_pixel;
    const int64_t ch = x->dim[3], h = x->dim[1], w = x->dim[2];
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(y)), row, y->dim[0] * y->dim[1], 1) {
        const float *image = (const float *)c->in[0] + row / y->dim[1] * h * w * ch;
        const blend r = blend_of(row % y->dim[1], h, y->dim[1], half);
        const float *above = image + r.a * w * ch, *below = image + r.b * w * ch;
        float *to = (float *)c->out + row * y->dim[2] * ch;
        for (int64_t j = 0; j < y->dim[2]; j++, to += ch) {
            const blend s = blend_of(j, w, y->dim[2], half);
            for (int64_t k = 0; k < ch; k++) {
                const float left = above[s.a * ch + k], right = above[s.b * ch + k];
                const float low_left = below[s.a * ch + k], low_right = below[s.b * ch + k];
                const float top = cm_fma(right - left, s.f, left);
                const float bottom = cm_fma(low_right - low_left, s.f, low_left);
                to[k] = cm_fma(bottom - top, r.f, top);
            }
        }
    }
}

/* A share of one pixel dy [C] onto the two of a row of dx that it lies between. */
static void spread_pixel(const float *dy, int64_t ch, float share, const blend *between, float *row)
{
    float *a = row + between->a * ch, *b = row + between->b * ch;
    for (int64_t q = 0; q < ch; q++) {
        a[q] += share * (1.0f - between->f) * dy[q];
        b[q] += share * between->f * dy[q];
    }
}

/* dy [H',W',C] of one image onto dx [H,W,C] */
static void spread(const cm_type *y, const cm_type *x, int half, const float *dy, float *dx)
{
    const int64_t ch = x->dim[3], w = x->dim[2];
    memset(dx, 0, (size_t)(x->dim[1] * w * ch) * sizeof *dx);
    for (int64_t i = 0; i < y->dim[1]; i++) {
        const blend r = blend_of(i, x->dim[1], y->dim[1], half);
        for (int64_t j = 0; j < y->dim[2]; j++, dy += ch) {
            const blend s = blend_of(j, w, y->dim[2], half);
            spread_pixel(dy, ch, 1.0f - r.f, &s, dx + r.a * w * ch);
            spread_pixel(dy, ch, r.f, &s, dx + r.b * w * ch);
        }
    }
}

/* A task is an image, so that no two meet in a pixel. */
void CM_K(resize_bilinear_grad)(const cm_call *c)
{
    const cm_type *y = cm_in_type(c, 0), *x = &c->node->type;
    const int64_t of_y = y->dim[1] * y->dim[2] * y->dim[3],
                  of_x = x->dim[1] * x->dim[2] * x->dim[3];
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(y)), n, x->dim[0], 1)
        spread(y, x, c->node->attr.resize.half_pixel, (const float *)c->in[0] + n * of_y,
               (float *)c->out + n * of_x);
}
