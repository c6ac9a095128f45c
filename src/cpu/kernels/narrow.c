/* narrow.c - convolutions to few channels, and the gradients of inputs that have few (narrow.h)
 *
 * A task is some rows of an image of `out`.  For each row of `in` that they need, the product
 *
 *     z[x][tap,k] = sum_c in[x][c] w[c][tap,k]
 *
 * is made once, into a ring of as many rows as there are of taps; a row of `out` is the sum over
 * taps of what lies in the ring, in order.  No sum depends on another image or on the task. */
#include "cpu/kernels/narrow.h"

#include "base/memory.h"

enum { LEAST_ROWS = 4 }; /* of a task: the rows of z above and below are made again */

typedef struct narrow {
    taps taps;
    int64_t h, w, c, out_h, out_w, k; /* in, out */
    int64_t stride, panels;
    int turned; /* the gradient of the input */
} narrow;

/* Floats of a worker: a row of out, rows of z [panel][x][PANEL] in a ring, a row of in. */
static int64_t sum_of(const narrow *s)
{
    return cm_ceil_div(s->out_w * s->k, PANEL) * PANEL;
}

static int64_t row_of(const narrow *s)
{
    return s->panels * s->w * PANEL;
}

static int64_t ring_of(const narrow *s)
{
    return s->taps.h * row_of(s);
}

static int64_t room_of(const narrow *s)
{
    return sum_of(s) + ring_of(s) + cm_ceil_div(s->w * s->c, PANEL) * PANEL;
}

int CM_K(narrow_suits)(const cm_node *n)
{
    return is_narrow(n, &n->in[1]->type, n->type.dim[3]) &&
           (n->op == CM_OP_CONV2D_GRAD_INPUT || n->attr.conv.stride == 1);
}

cm_status CM_K(narrow_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *in = &n->in[0]->type, *w = &n->in[1]->type, *out = &n->type;
    const int turned = n->op == CM_OP_CONV2D_GRAD_INPUT;
    narrow *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    *s = (narrow){.taps = make_taps(n, w, turned),
                  .h = in->dim[1],
                  .w = in->dim[2],
                  .c = in->dim[3],
                  .out_h = out->dim[1],
                  .out_w = out->dim[2],
                  .k = out->dim[3],
                  .stride = n->attr.conv.stride,
                  .turned = turned};
    s->panels = cm_ceil_div(taps_of(&s->taps) * s->k, PANEL);
    p->state = s;
    p->packs = 1;
    p->packed = (size_t)(s->panels * s->c * PANEL) * sizeof(float);
    p->workspace = (size_t)(threads * room_of(s)) * sizeof(float);
    p->impl = NARROW_NAME;
    return CM_OK;
}

int CM_K(narrow_same_packed)(const void *a, const void *b)
{
    const narrow *s = a, *t = b;
    return s->c == t->c && s->k == t->k && s->turned == t->turned && s->taps.h == t->taps.h &&
           s->taps.w == t->taps.w;
}

/* To [panel][c][PANEL], zeros beyond the last tap: weights [k,c,tap] or, turned, [c,k,tap]. */
void CM_K(narrow_pack)(const cm_call *c)
{
    const narrow *s = c->state;
    const int64_t all = taps_of(&s->taps), rows = s->panels * s->c;
    const float *w = c->in[1];
    CM_EACH_SHARE (c, cm_team(c, rows * PANEL), i, rows, 1)
        for (int64_t j = 0; j < PANEL; j++) {
            const int64_t n = i / s->c * PANEL + j, ci = i % s->c, k = n % s->k, tap = n / s->k;
            float *to = (float *)c->packed + i * PANEL + j;
            if (tap >= all)
                *to = 0;
            else
                *to = s->turned ? w[(ci * s->k + k) * all + all - 1 - tap]
                                : w[(k * s->c + ci) * all + tap];
        }
}

/* ---- a row of z ---- */

static void multiply(const cm_call *c, int64_t image, int64_t y, float *z)
{
    const narrow *s = c->state;
    const int bf16 = c->node->type.dtype == CM_BF16;
    const int64_t at = (image * s->h + y) * s->w * s->c;
    float *wide = (float *)c->workspace + c->worker * room_of(s) + sum_of(s) + ring_of(s);
    if (bf16)
        cm_load(wide, c->in[0], CM_BF16, at, s->w * s->c);
    for (int64_t i = 0; i < s->w * s->c && y + 1 < s->h; i += CM_LANES) /* the row after it */
        __builtin_prefetch(cm_at(c->in[0], at + s->w * s->c + i, bf16));
    for (int64_t panel = 0; panel < s->panels; panel++)
        for (int64_t k = 0; k < s->c; k += DEPTH) {
            float *sum = z + panel * s->w * PANEL;
            const panel_sum t = {.a = (bf16 ? wide : (const float *)c->in[0] + at) + k,
                                 .b = (const float *)c->packed + (panel * s->c + k) * PANEL,
                                 .row = s->c,
                                 .step = 1,
                                 .pitch = PANEL,
                                 .depth = cm_min(DEPTH, s->c - k),
                                 .sum = sum,
                                 .apart = PANEL};
            sum_panel(&t, s->w, !k);
        }
}

/* ---- a row of out ---- */

/* One tap of a row of z, to the pixels of the row of out that have it. */
CM_INLINE void add_tap(const narrow *s, const float *z, int64_t tap, int64_t k, float *sum)
{
    const int64_t shift = tap % s->taps.w - s->taps.pad_w; /* stride in - out */
    const int64_t begin = shift > 0 ? cm_ceil_div(shift, s->stride) : 0;
    const int64_t end = cm_min(s->w, cm_ceil_div(s->out_w + shift, s->stride));
    for (int64_t i = 0; i < k; i++) {
        const int64_t n = tap * k + i;
        const float *from = z + n / PANEL * s->w * PANEL + n % PANEL;
        for (int64_t x = begin; x < end; x++)
            sum[(x * s->stride - shift) * k + i] += from[x * PANEL];
    }
}

static void sum_taps(const narrow *s, const float *ring, int64_t y, float *sum)
{
    memset(sum, 0, (size_t)(s->out_w * s->k) * sizeof *sum);
    for (int64_t tap = 0; tap < taps_of(&s->taps); tap++) {
        const int64_t at = y + tap / s->taps.w - s->taps.pad_h, row = at / s->stride;
        if (at < 0 || at % s->stride || row >= s->h)
            continue;
        const float *z = ring + row % s->taps.h * row_of(s);
        if (s->k == 1)
            add_tap(s, z, tap, 1, sum);
        else
            add_tap(s, z, tap, s->k, sum);
    }
}

/* With bias, residual and ReLU, to elements at.. of out. */
static void finish_row(const cm_call *c, int64_t at, float *sum)
{
    const narrow *s = c->state;
    const cm_node *n = c->node;
    const int forward = n->op == CM_OP_CONV2D, residual = forward && n->attr.conv.residual;
    const float *bias = forward && n->n_in - residual == 3 ? c->in[2] : NULL;
    const int64_t all = s->out_w * s->k;
    for (int64_t i = 0; i < all && bias; i++)
        sum[i] += bias[i % s->k];
    for (int64_t i = 0; i < all && residual; i++)
        sum[i] += cm_get(c->in[n->n_in - 1], at + i, n->type.dtype == CM_BF16);
    for (int64_t i = 0; i < all && forward && n->attr.conv.relu; i++)
        sum[i] = sum[i] < 0 ? 0 : sum[i];
    cm_save(c->out, n->type.dtype, at, sum, all);
}

/* ---- tasks ---- */

static void run_rows(const cm_call *c, int64_t image, int64_t first, int64_t last)
{
    const narrow *s = c->state;
    float *sum = (float *)c->workspace + c->worker * room_of(s), *ring = sum + sum_of(s);
    const int64_t above = first - s->taps.pad_h; /* stride times the first row of in */
    int64_t next = above > 0 ? cm_ceil_div(above, s->stride) : 0;
    for (int64_t y = first; y < last; y++) {
        const int64_t below = y + s->taps.h - 1 - s->taps.pad_h;
        for (; next < s->h && next * s->stride <= below; next++)
            multiply(c, image, next, ring + next % s->taps.h * row_of(s));
        sum_taps(s, ring, y, sum);
        finish_row(c, (image * s->out_h + y) * s->out_w * s->k, sum);
    }
}

void CM_K(narrow)(const cm_call *c)
{
    const narrow *s = c->state;
    const int64_t images = c->node->type.dim[0], most = cm_ceil_div(s->out_h, LEAST_ROWS);
    const int64_t parts = images < c->workers ? cm_min(most, c->workers) : 1; /* of an image */
    CM_EACH_SHARE (c, c->workers, i, images * parts, 1) {
        const int64_t part = i % parts;
        run_rows(c, i / parts, s->out_h * part / parts, s->out_h * (part + 1) / parts);
    }
}
