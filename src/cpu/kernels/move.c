/* move.c - kernels that move elements: concat, slice, pad, swap12, gather,
 * store; and scatter_add.  Types are equal on both sides, so they move bytes. */
#include "cpu/kernels/vec.h"

#include <math.h>

/* rows x n bytes between two pitches; n, pitches in bytes */
typedef struct block {
    char *y;
    const char *x;
    int64_t rows, n, y_pitch, x_pitch;
    int64_t y_ahead, x_ahead; /* bytes to the row that is asked for at this one */
} block;

static block block_make(void *y, const void *x, int64_t rows, int64_t n, int64_t y_pitch,
                        int64_t x_pitch)
{
    return (block){.y = y,
                   .x = x,
                   .rows = rows,
                   .n = n,
                   .y_pitch = y_pitch,
                   .x_pitch = x_pitch,
                   .y_ahead = (CM_AHEAD / (y_pitch + 1) + 1) * y_pitch,
                   .x_ahead = (CM_AHEAD / (x_pitch + 1) + 1) * x_pitch};
}

CM_INLINE void copy_row(const block *b, int64_t r)
{
    char *y = b->y + r * b->y_pitch;
    const char *x = b->x + r * b->x_pitch;
    cm_prefetch(x, b->x_ahead, b->n);
    cm_prefetch(y, b->y_ahead, b->n);
    cm_copy(y, x, b->n, 64);
}

/* The blocks have as many rows; a row of all before the next one, for they may be parts of it. */
static void copy_rows(const cm_call *c, const block *b, int blocks)
{
    const int64_t bytes = b[0].n + (blocks > 1 ? b[1].n : 0);
    const int64_t step = bytes < 8192 ? 8192 / (bytes + 1) + 1 : 1;
    CM_EACH_SHARE (c, cm_team(c, b->rows * bytes / 2), first, b->rows, step)
        for (int64_t r = first; r < cm_min(first + step, b->rows); r++)
            for (int k = 0; k < blocks; k++)
                copy_row(&b[k], r);
}

static void zero_rows(const cm_call *c, char *y, int64_t rows, int64_t n, int64_t pitch)
{
    CM_EACH_SHARE (c, cm_team(c, rows * n / 2), r, rows, 1)
        memset(y + r * pitch, 0, (size_t)n);
}

/* bytes of the last axis, and how many such rows there are */
static int64_t row_bytes(const cm_type *t)
{
    return cm_last(t) * (int64_t)cm_dtype_bytes(t->dtype);
}

static int64_t row_count(const cm_type *t)
{
    return cm_last(t) ? cm_type_count(t) / cm_last(t) : 0;
}

void CM_K(concat)(const cm_call *c)
{
    const cm_type *y = &c->node->type;
    const int64_t a = row_bytes(cm_in_type(c, 0)), b = row_bytes(cm_in_type(c, 1));
    const int64_t rows = row_count(y);
    const block both[] = {block_make(c->out, c->in[0], rows, a, a + b, a),
                          block_make((char *)c->out + a, c->in[1], rows, b, a + b, b)};
    copy_rows(c, both, 2);
}

void CM_K(slice)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0), *y = &c->node->type;
    const int64_t skip = c->node->attr.range.begin * (int64_t)cm_dtype_bytes(x->dtype);
    const int64_t n = row_bytes(y);
    const void *from = (const char *)c->in[0] + skip;
    const block part = block_make(c->out, from, row_count(y), n, n, row_bytes(x));
    copy_rows(c, &part, 1);
}

void CM_K(pad)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0), *y = &c->node->type;
    const int64_t skip = c->node->attr.range.begin * (int64_t)cm_dtype_bytes(x->dtype);
    const int64_t n = row_bytes(x), pitch = row_bytes(y), rows = row_count(y);
    char *out = c->out;
    const block inner = block_make(out + skip, c->in[0], rows, n, pitch, n);
    if (skip > 0)
        zero_rows(c, out, rows, skip, pitch);
    copy_rows(c, &inner, 1);
    if (skip + n < pitch)
        zero_rows(c, out + skip + n, rows, pitch - skip - n, pitch);
}

void CM_K(swap12)(const cm_call *c)
{
    const cm_type *x = cm_in_type(c, 0);
    const int64_t n1 = x->dim[1], n2 = x->dim[2], size = row_bytes(x);
    CM_EACH_SHARE (c, cm_team(c, cm_type_count(x)), row, x->dim[0] * n2, 1) {
        const int64_t i = row / n2, k = row % n2;
        for (int64_t j = 0; j < n1; j++)
            memcpy((char *)c->out + (row * n1 + j) * size,
                   (const char *)c->in[0] + ((i * n1 + j) * n2 + k) * size, (size_t)size);
    }
}

void CM_K(store)(const cm_call *c)
{
    const int64_t bytes = (int64_t)cm_type_bytes(&c->node->type), step = 1 << 16;
    if (c->out == c->in[0])
        return;
    CM_EACH_SHARE (c, cm_team(c, bytes / 4), i, bytes, step)
        memcpy((char *)c->out + i, (const char *)c->in[0] + i, (size_t)cm_min(step, bytes - i));
}

/* ---- rows by index ----
 * Indices come from outside: one that is out of range reads and writes nothing;
 * gather then returns NaN, so that it is noticed. */

void CM_K(gather)(const cm_call *c)
{
    const cm_type *table = cm_in_type(c, 0);
    const int32_t *index = c->in[1];
    const int64_t n = c->node->type.dim[0], d = table->dim[1];
    const cm_dtype to = c->node->type.dtype;
    float f[256];
    CM_EACH_SHARE (c, cm_team(c, n * d), i, n, 1)
        for (int64_t k = 0; k < d; k += 256) {
            const int64_t m = cm_min(256, d - k);
            const int ok = index[i] >= 0 && index[i] < table->dim[0];
            if (ok)
                cm_load(f, c->in[0], table->dtype, index[i] * d + k, m);
            for (int64_t j = 0; j < m && !ok; j++)
                f[j] = NAN;
            cm_save(c->out, to, i * d + k, f, m);
        }
}

/* Each thread owns columns and adds the rows in order. */
void CM_K(scatter_add)(const cm_call *c)
{
    enum { COLUMNS = 64 };
    const cm_type *dy = cm_in_type(c, 0), *table = &c->node->type;
    const int32_t *index = c->in[1];
    const int64_t n = dy->dim[0], d = dy->dim[1], rows = table->dim[0];
    float *out = c->out;
    CM_EACH_SHARE (c, cm_team(c, (rows + n) * d), c0, d, COLUMNS) {
        const int64_t m = cm_min(COLUMNS, d - c0);
        float f[COLUMNS];
        for (int64_t k = 0; k < rows; k++)
            memset(out + k * d + c0, 0, (size_t)m * sizeof *out);
        for (int64_t i = 0; i < n; i++) {
            if (index[i] < 0 || index[i] >= rows)
                continue;
            float *to = out + index[i] * d + c0;
            cm_load(f, c->in[0], dy->dtype, i * d + c0, m);
            CM_SIMD
            for (int64_t j = 0; j < m; j++)
                to[j] += f[j];
        }
    }
}
