/* dnnl_kernels.c - by oneDNN: the convolutions that kernels/winograd*.c and kernels/narrow*.c,
 * and the matrix products that kernels/matmul.c leave to it
 *
 * The work is cut into slices, each a primitive for one thread:
 *  - a convolution and the gradient of its input by samples, one slice a worker; an image or two
 *    also by rows of the output, whose halo of input rows is the padding's in part;
 *  - a gradient of weights by samples, a product that sums over samples by those, into as many
 *    slices as the shape says, whose sums are added in order: the same bits for any number of
 *    workers.
 *
 * Weights are f32 [O,I,kh,kw] outside; pack() reorders them to the primitive's
 * own layout and dtype, once where they are constant, else just before use; steps
 * that want the same weights in the same layout share them then.  The weight gradient
 * is reordered back. */
#include "cpu/dnnl_help.h"

#include "base/memory.h"

#include <string.h>

typedef struct slice {
    cm_dnnl main;
    size_t a, b;  /* byte offsets into its two large operands, in the order it takes them */
    size_t bytes; /* of a forward convolution's output */
} slice;

typedef struct sliced {
    int n, room;     /* slices; primitives made */
    int product;     /* no reorder */
    int swapped;     /* the large operands are inputs 1 and 0 */
    size_t scratch;  /* of a worker */
    size_t sum;      /* bytes of a slice's sums, 64-byte aligned; 0: there is one slice, which
                        writes the output */
    cm_dnnl reorder; /* weights in, or weight gradient out */
    slice slice[];
} sliced;

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static sliced *sliced_new(int n)
{
    sliced *s = cm_alloc(sizeof *s + (size_t)n * sizeof *s->slice);
    if (s)
        s->n = s->room = n;
    return s;
}

static void release(void *state)
{
    sliced *s = state;
    for (int i = 0; i < s->room; i++)
        cm_dnnl_release(&s->slice[i].main);
    cm_dnnl_release(&s->reorder);
    cm_free(s);
}

/* Workspace: [workers][scratch] [n][sum] */
static void *scratch_of(const cm_call *c, const sliced *s)
{
    return (char *)c->workspace + (size_t)c->worker * s->scratch;
}

static void *sum_of(const cm_call *c, const sliced *s, int64_t i)
{
    return (char *)c->workspace + (size_t)c->workers * s->scratch + (size_t)i * s->sum;
}

/* Slices of a sum over n terms, of which each slice should have `least`.  More of them would let
 * more workers share it, and take more memory and time to add up. */
static int sum_cuts(int64_t n, int64_t least)
{
    enum { MOST = 16 };
    const int64_t cuts = n / least;
    return cuts < 1 ? 1 : cuts < MOST ? (int)cuts : MOST;
}

/* ---- where convolutions are cut ---- */

/* Samples and rows of one slice. */
typedef struct cut {
    int64_t sample, samples;
    int64_t x, x_rows, y, y_rows;
    int pad_top;
} cut;

/* In the output's rows of an image: with fewer images than workers, forward only, since
 * what is trained has more. */
static int row_cuts(const cm_dnnl_conv_spec *spec, int threads)
{
    enum { LEAST_ROWS = 2 };
    const int64_t most = spec->y->dim[1] / LEAST_ROWS, n = spec->x->dim[0];
    const int64_t wanted = spec->pass == CM_CONV_FORWARD && n > 0 ? threads / n : 1;
    return (int)(wanted < 1 || most < 1 ? 1 : wanted < most ? wanted : most);
}

static int count_cuts(const cm_dnnl_conv_spec *spec, int threads)
{
    const int64_t n = spec->x->dim[0];
    if (spec->pass == CM_CONV_WEIGHT)
        return sum_cuts(n, 1);
    return n < 1 ? 1 : n >= threads ? threads : (int)n * row_cuts(spec, threads);
}

static cut cut_of(const cm_dnnl_conv_spec *spec, int n, int rows, int i)
{
    const int64_t samples = spec->x->dim[0], height = spec->x->dim[1], y_rows = spec->y->dim[1];
    const int64_t parts = n / rows, p = i / rows, r = i % rows;
    cut c = {.sample = samples * p / parts, .y = y_rows * r / rows};
    c.samples = samples * (p + 1) / parts - c.sample;
    c.y_rows = y_rows * (r + 1) / rows - c.y;
    const int64_t above = c.y * spec->stride - spec->pad_top;
    const int64_t below = (c.y + c.y_rows - 1) * spec->stride - spec->pad_top + spec->w->dim[2];
    c.x = above < 0 ? 0 : above;
    c.x_rows = (rows == 1 || below > height ? height : below) - c.x;
    c.pad_top = (int)(c.x - above);
    return c;
}

static size_t offset_of(const cm_type *t, int64_t sample, int64_t row)
{
    return (size_t)((sample * t->dim[1] + row) * t->dim[2] * t->dim[3]) * cm_dtype_bytes(t->dtype);
}

static cm_status make_slice(const cm_dnnl_conv_spec *spec, const cut *c, slice *out, cm_error *err)
{
    const cm_type *x = spec->x, *y = spec->y;
    const cm_type sx = CM_TYPE(x->dtype, c->samples, c->x_rows, x->dim[2], x->dim[3]);
    const cm_type sy = CM_TYPE(y->dtype, c->samples, c->y_rows, y->dim[2], y->dim[3]);
    cm_dnnl_conv_spec s = *spec;
    s.x = &sx;
    s.y = &sy;
    s.pad_top = c->pad_top;
    const size_t at_x = offset_of(x, c->sample, c->x), at_y = offset_of(y, c->sample, c->y);
    out->a = spec->pass == CM_CONV_INPUT ? at_y : at_x;
    out->b = spec->pass == CM_CONV_INPUT ? at_x : at_y;
    out->bytes = cm_type_bytes(&sy);
    return cm_dnnl_conv(&s, &out->main, err);
}

/* The slices must want the same layout of weights, as they share them. */
static cm_status make_slices(const cm_dnnl_conv_spec *spec, int n, int rows, sliced *s, int *agree,
                             cm_error *err)
{
    cm_status status = CM_OK;
    *agree = 1;
    for (int i = 0; i < n && !status && *agree; i++) {
        const cut c = cut_of(spec, n, rows, i);
        status = make_slice(spec, &c, &s->slice[i], err);
        if (!status && i)
            *agree = cm_dnnl_same_weights(&s->slice[0].main, &s->slice[i].main);
        s->scratch = larger(s->scratch, round_up(s->slice[i].main.scratch_bytes));
    }
    return status;
}

static cm_status make_conv(const cm_dnnl_conv_spec *spec, int threads, sliced *s, cm_prepared *p,
                           cm_error *err)
{
    const int is_gradient = spec->pass == CM_CONV_WEIGHT;
    int agree;
    cm_status status = make_slices(spec, s->n, s->n > spec->x->dim[0] ? row_cuts(spec, threads) : 1,
                                   s, &agree, err);
    if (!status && !agree) {
        for (int i = 0; i < s->n; i++)
            cm_dnnl_release(&s->slice[i].main);
        s->n = 1;
        status = make_slices(spec, 1, 1, s, &agree, err);
    }
    const cm_dnnl *first = &s->slice[0].main;
    if (!status)
        status = is_gradient ? cm_dnnl_unpack(first, spec->w, &s->reorder, err)
                             : cm_dnnl_pack(first, spec->w, &s->reorder, err);
    if (status)
        return status;
    s->scratch = larger(s->scratch, round_up(s->reorder.scratch_bytes));
    s->swapped = is_gradient;
    s->sum = is_gradient ? round_up(first->weights_bytes) : 0;
    p->impl = first->impl;
    p->workspace = (size_t)threads * s->scratch + (size_t)s->n * s->sum;
    p->packed = is_gradient ? 0 : first->weights_bytes;
    p->packs = 1;
    return CM_OK;
}

/* ---- products that sum over samples, a^T b ---- */

/* a [K,M], b [K,N] or, where one slice does all, whatever the spec says. */
static cm_status make_product(const cm_dnnl_matmul_spec *spec, int threads, sliced *s,
                              cm_prepared *p, cm_error *err)
{
    cm_status status = CM_OK;
    s->product = 1;
    for (int i = 0; i < s->n && !status; i++) {
        const int64_t k = spec->a->dim[0], first = k * i / s->n, n = k * (i + 1) / s->n - first;
        cm_type a = *spec->a, b = *spec->b;
        cm_dnnl_matmul_spec part = *spec;
        slice *to = &s->slice[i];
        if (s->n > 1) {
            a.dim[0] = b.dim[0] = n;
            to->a = (size_t)(first * a.dim[1]) * cm_dtype_bytes(a.dtype);
            to->b = (size_t)(first * b.dim[1]) * cm_dtype_bytes(b.dtype);
        }
        part.a = &a;
        part.b = &b;
        status = cm_dnnl_matmul(&part, &to->main, err);
        s->scratch = larger(s->scratch, round_up(to->main.scratch_bytes));
    }
    s->sum = s->n > 1 ? round_up(cm_type_bytes(spec->y)) : 0;
    p->impl = s->slice[0].main.impl;
    p->workspace = (size_t)threads * s->scratch + (size_t)s->n * s->sum;
    return status;
}

/* Sums worth cutting: the slices' are added up afterwards. */
static int product_cuts(const cm_dnnl_matmul_spec *spec)
{
    enum { LEAST = 64 };
    const int whole =
        spec->a->rank != 2 || !spec->ta || spec->tb || spec->bias || spec->y->dtype != CM_F32;
    return whole ? 1 : sum_cuts(spec->a->dim[0], LEAST);
}

/* Each slice, then the sum of them. */
static void run_sums(const cm_call *c)
{
    const sliced *s = c->state;
    const char *a = c->in[s->swapped], *b = c->in[!s->swapped];
    const cm_share share = cm_share_of(c, c->workers, s->n, 1);
    for (int64_t i = share.begin; i < share.end; i++) {
        const slice *t = &s->slice[i];
        const void *to = s->sum ? sum_of(c, s, i) : c->out;
        const void *bias = c->node->n_in == 3 ? c->in[2] : to; /* of one slice */
        cm_dnnl_run(&t->main, (const void *[]){a + t->a, b + t->b, bias, to}, scratch_of(c, s));
    }
    float *out = s->product ? c->out : sum_of(c, s, 0);
    const int64_t n = (int64_t)((s->product ? cm_type_bytes(&c->node->type) : s->sum) / 4);
    const cm_share part = cm_share_of(c, c->workers, n, 1024);
    if (s->sum)
        cm_pool_barrier(c->pool);
    for (int k = 1; k < s->n; k++) {
        const float *first = k > 1 ? out : sum_of(c, s, 0), *more = sum_of(c, s, k);
        for (int64_t i = part.begin; i < part.end; i++)
            out[i] = first[i] + more[i];
    }
    if (s->product)
        return;
    if (s->n > 1)
        cm_pool_barrier(c->pool);
    if (!c->worker)
        cm_dnnl_run(&s->reorder, (const void *[]){out, c->out}, scratch_of(c, s));
}

/* ---- convolutions ---- */

static int has_bias(const cm_node *n)
{
    return n->op == CM_OP_CONV2D && n->n_in - n->attr.conv.residual == 3;
}

/* dw of a 1x1 convolution is dy^T x over the pixels.  In bf16 it is computed as that:
 * oneDNN's convolution does not use AMX for it, its product does; without AMX the two take
 * the same time (docs/speed.md). */
static int is_product(const cm_node *n)
{
    const cm_type *w = &n->type;
    return n->op == CM_OP_CONV2D_GRAD_WEIGHT && w->dim[2] == 1 && w->dim[3] == 1 &&
           n->attr.conv.stride == 1 && !n->attr.conv.pad_h && !n->attr.conv.pad_w &&
           n->in[0]->type.dtype == CM_BF16;
}

static cm_dnnl_conv_spec spec_of(const cm_node *n)
{
    const cm_type *in0 = &n->in[0]->type, *in1 = &n->in[1]->type, *out = &n->type;
    cm_dnnl_conv_spec s = {.stride = n->attr.conv.stride,
                           .pad_top = n->attr.conv.pad_h,
                           .pad_left = n->attr.conv.pad_w};
    s.pass = n->op == CM_OP_CONV2D              ? CM_CONV_FORWARD
             : n->op == CM_OP_CONV2D_GRAD_INPUT ? CM_CONV_INPUT
                                                : CM_CONV_WEIGHT;
    s.x = s.pass == CM_CONV_FORWARD ? in0 : s.pass == CM_CONV_INPUT ? out : in1;
    s.w = s.pass == CM_CONV_WEIGHT ? out : in1;
    s.y = s.pass == CM_CONV_FORWARD ? out : in0;
    s.bias = has_bias(n);
    s.residual = s.pass == CM_CONV_FORWARD && n->attr.conv.residual;
    s.relu = s.pass == CM_CONV_FORWARD && n->attr.conv.relu;
    return s;
}

static cm_status prepare_conv(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_dnnl_conv_spec spec = spec_of(n);
    const cm_type *x = spec.x, *w = spec.w;
    const int64_t pixels = x->dim[0] * x->dim[1] * x->dim[2];
    const cm_type a = CM_TYPE(CM_BF16, pixels, w->dim[0]), b = CM_TYPE(CM_BF16, pixels, w->dim[1]);
    const cm_type dw = CM_TYPE(CM_F32, w->dim[0], w->dim[1]);
    const cm_dnnl_matmul_spec product = {.a = &a, .b = &b, .y = &dw, .ta = 1};
    const int as_product = is_product(n);
    sliced *s = sliced_new(as_product ? product_cuts(&product) : count_cuts(&spec, threads));
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    const cm_status status = as_product ? make_product(&product, threads, s, p, err)
                                        : make_conv(&spec, threads, s, p, err);
    p->state = s;
    if (status) {
        release(s);
        p->state = NULL;
    }
    return status;
}

static void pack_conv(const cm_call *c)
{
    const sliced *s = c->state;
    if (!c->worker)
        cm_dnnl_run(&s->reorder, (const void *[]){c->in[1], c->packed}, c->workspace);
}

static int same_packed(const void *a, const void *b)
{
    const sliced *s = a, *t = b;
    return cm_dnnl_same_weights(&s->slice[0].main, &t->slice[0].main);
}

static void run_conv(const cm_call *c)
{
    const sliced *s = c->state;
    const cm_share share = cm_share_of(c, c->workers, s->n, 1);
    for (int64_t i = share.begin; i < share.end; i++) {
        const slice *t = &s->slice[i];
        char *out = (char *)c->out + t->b;
        const void *memory[4] = {(const char *)c->in[0] + t->a, c->packed, out, out};
        if (has_bias(c->node))
            memory[2] = c->in[2];
        /* The output begins as the residual, unless the planner put it there. */
        if (c->node->op == CM_OP_CONV2D && c->node->attr.conv.residual) {
            const char *residual = c->in[c->node->n_in - 1];
            if (residual != c->out)
                memcpy(out, residual + t->b, t->bytes);
        }
        cm_dnnl_run(&t->main, memory, scratch_of(c, s));
    }
}

/* ---- matrix products ---- */

static cm_status prepare_matmul(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_dnnl_matmul_spec spec = {.a = &n->in[0]->type,
                                      .b = &n->in[1]->type,
                                      .y = &n->type,
                                      .ta = n->attr.matmul.ta,
                                      .tb = n->attr.matmul.tb,
                                      .bias = n->n_in == 3};
    sliced *s = sliced_new(product_cuts(&spec));
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "matmul: out of memory");
    const cm_status status = make_product(&spec, threads, s, p, err);
    p->state = s;
    if (status) {
        release(s);
        p->state = NULL;
    }
    return status;
}

const cm_kernel cm_kernels_dnnl[CM_OP_COUNT] = {
    [CM_OP_CONV2D] = {"oneDNN", prepare_conv, pack_conv, run_conv, release, same_packed},
    [CM_OP_CONV2D_GRAD_INPUT] = {"oneDNN", prepare_conv, pack_conv, run_conv, release, same_packed},
    [CM_OP_CONV2D_GRAD_WEIGHT] = {"oneDNN", prepare_conv, NULL, run_sums, release},
    [CM_OP_MATMUL] = {"oneDNN", prepare_matmul, NULL, run_sums, release},
};
