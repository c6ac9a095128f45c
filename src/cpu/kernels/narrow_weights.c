/* narrow_weights.c - gradients of the weights of convolutions to few channels (narrow.h)
 *
 *     dw[k][c][tap] = sum_pixel columns[pixel][tap',k] x[pixel][c]
 *
 * where a pixel of x has in its row of columns the dy [tap'][k] around it.  Pixels are cut into
 * parts, as the shape says, and those into blocks:
 *
 *     sum[panel][tap',k][n] += sum_{pixel in block} columns[pixel][tap',k] x[pixel][n]
 *
 * The sums of the parts are added in order, so dw is the same bits for any number of workers. */
#include "cpu/kernels/narrow.h"

#include "base/memory.h"

enum {
    BLOCK = 64, /* pixels */
    TAPS = 3,
    PARTS = 8,
};

typedef struct gradient {
    taps taps;                      /* turned */
    int64_t h, w, c, dy_h, dy_w, k; /* x, dy */
    int64_t pixels, rows, panels;   /* of x; of the sums */
} gradient;

/* Floats of a worker: columns, and pixels of x in whole panels. */
static int64_t room_of(const gradient *s)
{
    return BLOCK * (s->rows + s->panels * PANEL);
}

static int64_t sums_of(const gradient *s)
{
    return s->panels * PANEL * s->rows;
}

int CM_K(narrow_weight_suits)(const cm_node *n)
{
    return is_narrow(n, &n->type, n->in[0]->type.dim[3]) && n->attr.conv.stride == 1;
}

cm_status CM_K(narrow_weight_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *dy = &n->in[0]->type, *x = &n->in[1]->type;
    gradient *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    *s = (gradient){.taps = make_taps(n, &n->type, 1),
                    .h = x->dim[1],
                    .w = x->dim[2],
                    .c = x->dim[3],
                    .dy_h = dy->dim[1],
                    .dy_w = dy->dim[2],
                    .k = dy->dim[3],
                    .pixels = x->dim[0] * x->dim[1] * x->dim[2],
                    .panels = cm_ceil_div(x->dim[3], PANEL)};
    s->rows = taps_of(&s->taps) * s->k;
    p->state = s;
    p->workspace = (size_t)(threads * room_of(s) + PARTS * sums_of(s)) * sizeof(float);
    p->impl = NARROW_NAME;
    return CM_OK;
}

/* ---- what is multiplied ---- */

/* A row of taps around pixel x of a row of x: `run` values of the row of dy that begins at `at`,
 * zeros where there are none (at < 0). */
CM_INLINE void gather_row(const gradient *s, const void *dy, int64_t at, int64_t x, int64_t run,
                          int bf16, float *to)
{
    const int64_t left = (x - s->taps.pad_w) * s->k, end = at < 0 ? 0 : s->dy_w * s->k;
    if (left >= 0 && left + run <= end)
        for (int64_t i = 0; i < run; i++)
            to[i] = cm_get(dy, at + left + i, bf16);
    else
        for (int64_t i = 0; i < run; i++)
            to[i] = left + i < 0 || left + i >= end ? 0 : cm_get(dy, at + left + i, bf16);
}

CM_INLINE void gather(const gradient *s, const void *dy, int64_t first, int64_t n, int64_t run,
                      int bf16, float *to)
{
    int64_t x = first % s->w, y = first / s->w % s->h, image = first / s->w / s->h;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t r = 0; r < s->taps.h; r++, to += run) {
            const int64_t row = y - s->taps.pad_h + r;
            const int outside = row < 0 || row >= s->dy_h;
            const int64_t at = outside ? -1 : (image * s->dy_h + row) * s->dy_w * s->k;
            gather_row(s, dy, at, x, run, bf16, to);
        }
        if (++x < s->w)
            continue;
        x = 0;
        if (++y < s->h)
            continue;
        y = 0;
        image++;
    }
}

static void take_columns(const cm_call *c, int64_t first, int64_t n, float *to)
{
    const gradient *s = c->state;
    const int64_t run = s->taps.w * s->k;
    if (c->node->in[0]->type.dtype == CM_BF16)
        gather(s, c->in[0], first, n, run, 1, to);
    else if (run == TAPS) /* one channel, most often; a loop of no known length costs more */
        gather(s, c->in[0], first, n, TAPS, 0, to);
    else
        gather(s, c->in[0], first, n, run, 0, to);
}

/* Pixels of x: in place where they are f32 and fill their panels. */
static const float *take_pixels(const cm_call *c, int64_t first, int64_t n, float *room)
{
    const gradient *s = c->state;
    const cm_dtype dtype = c->node->in[1]->type.dtype;
    const int64_t pitch = s->panels * PANEL;
    if (dtype == CM_F32 && pitch == s->c)
        return (const float *)c->in[1] + first * pitch;
    for (int64_t i = 0; i < n; i++) {
        cm_load(room + i * pitch, c->in[1], dtype, (first + i) * s->c, s->c);
        memset(room + i * pitch + s->c, 0, (size_t)(pitch - s->c) * sizeof *room);
    }
    return room;
}

/* ---- parts ---- */

static void sum_part(const cm_call *c, int64_t part, float *sums)
{
    const gradient *s = c->state;
    float *columns = (float *)c->workspace + c->worker * room_of(s);
    const int64_t begin = s->pixels * part / PARTS, end = s->pixels * (part + 1) / PARTS;
    if (begin == end)
        memset(sums, 0, (size_t)sums_of(s) * sizeof *sums);
    for (int64_t first = begin; first < end; first += BLOCK) {
        const int64_t n = cm_min(BLOCK, end - first);
        const float *x = take_pixels(c, first, n, columns + BLOCK * s->rows);
        take_columns(c, first, n, columns);
        for (int64_t panel = 0; panel < s->panels; panel++) {
            const panel_sum t = {.a = columns,
                                 .b = x + panel * PANEL,
                                 .row = 1,
                                 .step = s->rows,
                                 .pitch = s->panels * PANEL,
                                 .depth = n,
                                 .sum = sums + panel * s->rows * PANEL,
                                 .apart = PANEL};
            sum_panel(&t, s->rows, first == begin);
        }
    }
}

/* Row (tap', k) of the sums to dw. */
static void finish(const cm_call *c, const float *sums, int64_t row)
{
    const gradient *s = c->state;
    const int64_t all = taps_of(&s->taps), k = row % s->k, tap = all - 1 - row / s->k;
    for (int64_t n = 0; n < s->c; n++) {
        const float *from = sums + (n / PANEL * s->rows + row) * PANEL + n % PANEL;
        float sum = from[0];
        for (int64_t p = 1; p < PARTS; p++)
            sum += from[p * sums_of(s)];
        ((float *)c->out)[(k * s->c + n) * all + tap] = sum;
    }
}

void CM_K(narrow_weight)(const cm_call *c)
{
    const gradient *s = c->state;
    float *sums = (float *)c->workspace + c->workers * room_of(s);
    CM_EACH_SHARE (c, c->workers, part, PARTS, 1)
        sum_part(c, part, sums + part * sums_of(s));
    cm_pool_barrier(c->pool);
    CM_EACH_SHARE (c, c->workers, row, s->rows, 1)
        finish(c, sums, row);
}
