/* binary.c - add, mul and broadcast_to: element by element with operands
 * repeated along axes where their length is 1.
 *
 * The axes of the output are merged as far as every operand allows, so most
 * calls are a handful of long rows; along a row an operand has stride 1 or 0. */
#include "cpu/kernels/vec.h"

enum { ROW_MAX = 1024 };

/* An index space of the output, row-major, with strides of each operand. */
typedef struct nest {
    int64_t dim[CM_MAX_RANK];
    int64_t stride[2][CM_MAX_RANK]; /* 0 where the operand is repeated */
} nest;

static int can_merge(const nest *t, int axis, const int64_t stride[2])
{
    return stride[0] == t->stride[0][axis] * t->dim[axis] &&
           stride[1] == t->stride[1][axis] * t->dim[axis];
}

static nest nest_make(const cm_type *out, const cm_type *a, const cm_type *b)
{
    nest t = {.dim = {1, 1, 1, 1}};
    const cm_type *in[2] = {a, b};
    int64_t step[2] = {1, 1};
    int axis = CM_MAX_RANK;
    for (int i = out->rank - 1; i >= 0; i--) {
        int64_t stride[2];
        for (int k = 0; k < 2; k++) {
            stride[k] = in[k]->dim[i] == 1 ? 0 : step[k];
            step[k] *= in[k]->dim[i];
        }
        if (out->dim[i] == 1)
            continue;
        if (axis < CM_MAX_RANK && can_merge(&t, axis, stride)) {
            t.dim[axis] *= out->dim[i];
            continue;
        }
        axis--;
        t.dim[axis] = out->dim[i];
        t.stride[0][axis] = stride[0];
        t.stride[1][axis] = stride[1];
    }
    /* the last axis of the space is the one found first */
    return t;
}

/* Offset of row r in operand k. */
static int64_t nest_offset(const nest *t, int k, int64_t r)
{
    int64_t offset = 0;
    for (int i = CM_MAX_RANK - 2; i >= 0; i--) {
        offset += r % t->dim[i] * t->stride[k][i];
        r /= t->dim[i];
    }
    return offset;
}

/* ---- rows ---- */

typedef struct row {
    void *y;
    const void *a, *b;
    int64_t y0, a0, b0, n; /* first elements, and how many */
    int sa, sb;            /* strides, 0 or 1 */
    cm_dtype ty, ta, tb;
} row;

CM_INLINE float operand(const void *p, int64_t i, int half, int stride, float first)
{
    return stride ? cm_get(p, i, half) : first;
}

CM_INLINE float combine(float u, float v, int mul)
{
    return mul ? u * v : u + v;
}

/* One pass over memory, for operands of type `ha` and `hb` (bf16 or f32). */
CM_INLINE void row_loop(const row *r, int ha, int hb, int hy, int sa, int sb, int mul)
{
    void *y = cm_at_out(r->y, r->y0, hy);
    const void *a = cm_at(r->a, r->a0, ha), *b = cm_at(r->b, r->b0, hb);
    const float a0 = cm_get(a, 0, ha), b0 = cm_get(b, 0, hb);
    CM_PUT_EACH(y, r->n, hy, i, combine(operand(a, i, ha, sa, a0), operand(b, i, hb, sb, b0), mul));
}

/* bf16 rows with an f32 or bf16 operand, f32 rows; stride pairs that occur */
CM_INLINE int row_direct(const row *r, int mul)
{
    if (r->ta != r->ty || !r->sa)
        return 0;
    if (r->ty == CM_F32 && r->tb == CM_F32)
        r->sb ? row_loop(r, 0, 0, 0, 1, 1, mul) : row_loop(r, 0, 0, 0, 1, 0, mul);
    else if (r->ty == CM_BF16 && r->tb == CM_BF16)
        r->sb ? row_loop(r, 1, 1, 1, 1, 1, mul) : row_loop(r, 1, 1, 1, 1, 0, mul);
    else if (r->ty == CM_BF16 && r->tb == CM_F32)
        r->sb ? row_loop(r, 1, 0, 1, 1, 1, mul) : row_loop(r, 1, 0, 1, 1, 0, mul);
    else
        return 0;
    return 1;
}

static void fetch(float *x, const void *p, cm_dtype t, int64_t first, int stride, int64_t n)
{
    cm_load(x, p, t, first, stride ? n : 1);
    if (!stride)
        for (int64_t i = 1; i < n; i++)
            x[i] = x[0];
}

/* Any types and strides, through f32 buffers. */
CM_INLINE void row_buffered(const row *r, int mul)
{
    float a[ROW_MAX], b[ROW_MAX];
    for (int64_t i = 0; i < r->n; i += ROW_MAX) {
        const int64_t m = cm_min(ROW_MAX, r->n - i);
        fetch(a, r->a, r->ta, r->a0 + i * r->sa, r->sa, m);
        fetch(b, r->b, r->tb, r->b0 + i * r->sb, r->sb, m);
        CM_SIMD
        for (int64_t k = 0; k < m; k++)
            a[k] = mul ? a[k] * b[k] : a[k] + b[k];
        cm_save(r->y, r->ty, r->y0 + i, a, m);
    }
}

static void row_add(const row *r)
{
    if (!row_direct(r, 0))
        row_buffered(r, 0);
}

static void row_mul(const row *r)
{
    if (!row_direct(r, 1))
        row_buffered(r, 1);
}

static void row_repeat(const row *r)
{
    float x[ROW_MAX];
    const int64_t size = (int64_t)cm_dtype_bytes(r->ty);
    if (r->sa && r->ta == r->ty) {
        memcpy((char *)r->y + r->y0 * size, (const char *)r->a + r->a0 * size,
               (size_t)(r->n * size));
        return;
    }
    for (int64_t i = 0; i < r->n; i += ROW_MAX) {
        const int64_t m = cm_min(ROW_MAX, r->n - i);
        if (r->sa || i == 0)
            fetch(x, r->a, r->ta, r->a0 + i * r->sa, r->sa, m);
        cm_save(r->y, r->ty, r->y0 + i, x, m);
    }
}

/* ---- the walk: tasks of about CM_CHUNK elements, pieces of long rows or
 * several short ones ---- */

static void walk(const cm_call *c, void (*f)(const row *r))
{
    const cm_type *out = &c->node->type, *a = cm_in_type(c, 0);
    const int ib = c->node->n_in > 1 ? 1 : 0;
    const nest t = nest_make(out, a, cm_in_type(c, ib));
    const int last = CM_MAX_RANK - 1;
    const int64_t count = cm_type_count(out), n = t.dim[last];
    const int64_t rows = n ? count / n : 0, step = n && n < CM_CHUNK ? CM_CHUNK / n : 1;
    const int64_t pieces = cm_ceil_div(n, CM_CHUNK), blocks = cm_ceil_div(rows, step);
    CM_EACH_SHARE (c, cm_team(c, count), task, blocks * pieces, 1) {
        const int64_t begin = task % pieces * CM_CHUNK, first = task / pieces * step;
        row r = {.y = c->out,
                 .a = c->in[0],
                 .b = c->in[ib],
                 .n = cm_min(CM_CHUNK, n - begin),
                 .sa = (int)t.stride[0][last],
                 .sb = (int)t.stride[1][last],
                 .ty = out->dtype,
                 .ta = a->dtype,
                 .tb = cm_in_type(c, ib)->dtype};
        for (int64_t k = first; k < cm_min(first + step, rows); k++) {
            if (k == first || k % t.dim[last - 1] == 0) {
                r.a0 = nest_offset(&t, 0, k) + begin * r.sa;
                r.b0 = nest_offset(&t, 1, k) + begin * r.sb;
            } else {
                r.a0 += t.stride[0][last - 1];
                r.b0 += t.stride[1][last - 1];
            }
            r.y0 = k * n + begin;
            f(&r);
        }
    }
}

void CM_K(add)(const cm_call *c)
{
    walk(c, row_add);
}

void CM_K(mul)(const cm_call *c)
{
    walk(c, row_mul);
}

void CM_K(broadcast_to)(const cm_call *c)
{
    walk(c, row_repeat);
}
