/* resample.c - upsample2 and sumpool2 of [N,H,W,C], adjoint of each other */
#include "cpu/kernels/vec.h"

/* One input row of `w` pixels to the two output rows at y. */
CM_INLINE void up_row(void *y, const void *x, int64_t w, int64_t ch, float scale, int bf16)
{
    const int64_t pitch = 2 * w * ch;
    for (int64_t j = 0; j < w; j++) {
        const void *from = cm_at(x, j * ch, bf16);
        void *to = cm_at_out(y, 2 * j * ch, bf16);
        CM_SIMD
        for (int64_t k = 0; k < ch; k++)
            cm_put(to, k, bf16, scale * cm_get(from, k, bf16));
        memcpy(cm_at_out(to, ch, bf16), to, (size_t)(ch * (bf16 ? 2 : 4)));
    }
    memcpy(cm_at_out(y, pitch, bf16), y, (size_t)(pitch * (bf16 ? 2 : 4)));
}

/* Two input rows at x, of 2w pixels, to one output row. */
CM_INLINE void down_row(void *y, const void *x, int64_t w, int64_t ch, float scale, int bf16)
{
    const int64_t pitch = 2 * w * ch;
    for (int64_t j = 0; j < w; j++) {
        const void *a = cm_at(x, 2 * j * ch, bf16), *b = cm_at(a, pitch, bf16);
        void *to = cm_at_out(y, j * ch, bf16);
        CM_SIMD
        for (int64_t k = 0; k < ch; k++) {
            const float top = cm_get(a, k, bf16) + cm_get(a, ch + k, bf16);
            const float bottom = cm_get(b, k, bf16) + cm_get(b, ch + k, bf16);
            cm_put(to, k, bf16, scale * (top + bottom));
        }
    }
}

void CM_K(upsample2)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0);
    const int64_t rows = x->dim[0] * x->dim[1], w = x->dim[2], ch = x->dim[3];
    const float scale = c->node->attr.affine.scale;
    const int bf16 = x->dtype == CM_BF16;
    CM_EACH_SHARE (c, cm_team(c, 4 * rows * w * ch), r, rows, 1) {
        const void *from = cm_at(c->in[0], r * w * ch, bf16);
        void *to = cm_at_out(c->out, 4 * r * w * ch, bf16);
        bf16 ? up_row(to, from, w, ch, scale, 1) : up_row(to, from, w, ch, scale, 0);
    }
}

void CM_K(sumpool2)(const cm_call *c)
{
    const cm_type *y = &c->node->type;
    const int64_t rows = y->dim[0] * y->dim[1], w = y->dim[2], ch = y->dim[3];
    const float scale = c->node->attr.affine.scale;
    const int bf16 = y->dtype == CM_BF16;
    CM_EACH_SHARE (c, cm_team(c, 4 * rows * w * ch), r, rows, 1) {
        const void *from = cm_at(c->in[0], 4 * r * w * ch, bf16);
        void *to = cm_at_out(c->out, r * w * ch, bf16);
        bf16 ? down_row(to, from, w, ch, scale, 1) : down_row(to, from, w, ch, scale, 0);
    }
}
