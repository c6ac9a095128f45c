/* dnnl_kernels.c - convolutions by oneDNN, and the matrix products that kernels/matmul.c
 * leaves to it
 *
 * Weights are f32 [O,I,kh,kw] outside; pack() reorders them to the primitive's
 * own layout and dtype, once where they are constant, else just before use; steps
 * that want the same weights in the same layout share them then.  The weight gradient
 * is reordered back. */
#include "cpu/dnnl_help.h"

#include "base/memory.h"

#include <omp.h>
#include <string.h>

struct conv {
    cm_dnnl main, reorder; /* reorder: weights in, or weight gradient out */
    size_t dw_offset;      /* of the blocked weight gradient in the workspace */
    int product;           /* a weight gradient as dy^T x; no reorder */
    int threads;
};

static int has_bias(const cm_node *n)
{
    return n->n_in - n->attr.conv.residual == 3;
}

static cm_status make_conv(const cm_dnnl_conv_spec *spec, struct conv *s, cm_prepared *p,
                           cm_error *err)
{
    const int is_gradient = spec->pass == CM_CONV_WEIGHT;
    cm_status status = cm_dnnl_conv(spec, &s->main, err);
    if (!status)
        status = is_gradient ? cm_dnnl_unpack(&s->main, spec->w, &s->reorder, err)
                             : cm_dnnl_pack(&s->main, spec->w, &s->reorder, err);
    if (status)
        return status;
    const size_t scratch = s->main.scratch_bytes > s->reorder.scratch_bytes
                               ? s->main.scratch_bytes
                               : s->reorder.scratch_bytes;
    s->dw_offset = (scratch + 63) / 64 * 64;
    p->impl = s->main.impl;
    p->workspace = s->dw_offset + (is_gradient ? s->main.weights_bytes : 0);
    p->packed = is_gradient ? 0 : s->main.weights_bytes;
    p->packs = 1;
    return CM_OK;
}

/* dw of a 1x1 convolution is dy^T x over the pixels.  In bf16 it is computed as that:
 * oneDNN's convolution does not use AMX for it, its product does; without AMX the two take
 * the same time (docs/speed.md). */
static int is_product(const cm_node *n)
{
    const cm_type *w = &n->type;
    return n->op == CM_OP_CONV2D_GRAD_WEIGHT && w->dim[2] == 1 && w->dim[3] == 1 &&
           n->attr.conv.stride == 1 && !n->attr.conv.pad && n->in[0]->type.dtype == CM_BF16;
}

static cm_status make_product(const cm_node *n, struct conv *s, cm_prepared *p, cm_error *err)
{
    const cm_type *x = &n->in[1]->type, *w = &n->type;
    const int64_t pixels = x->dim[0] * x->dim[1] * x->dim[2];
    const cm_type a = CM_TYPE(CM_BF16, pixels, w->dim[0]), b = CM_TYPE(CM_BF16, pixels, w->dim[1]);
    const cm_type dw = CM_TYPE(CM_F32, w->dim[0], w->dim[1]);
    const cm_dnnl_matmul_spec spec = {.a = &a, .b = &b, .y = &dw, .ta = 1};
    const cm_status status = cm_dnnl_matmul(&spec, &s->main, err);
    s->product = 1;
    p->impl = s->main.impl;
    p->workspace = s->main.scratch_bytes;
    return status;
}

/* oneDNN 2.6's weight gradient of a strided 1x1 convolution for AVX2 loses a thread's part
 * now and then, on a busy machine (seen at [4,3,1,1], two samples, two threads; the cause
 * is not known).  No network here has one. */
static int threads_of(const cm_node *n, int threads)
{
    const cm_type *w = &n->type;
    return n->op == CM_OP_CONV2D_GRAD_WEIGHT && w->dim[2] == 1 && w->dim[3] == 1 &&
                   n->attr.conv.stride > 1
               ? 1
               : threads;
}

static void release_conv(void *state)
{
    struct conv *s = state;
    cm_dnnl_release(&s->main);
    cm_dnnl_release(&s->reorder);
    cm_free(s);
}

static cm_status prepare_conv(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *in0 = &n->in[0]->type, *in1 = &n->in[1]->type, *out = &n->type;
    const int saved = omp_get_max_threads(); /* primitives keep the count they are made under */
    struct conv *s = cm_alloc(sizeof *s);
    cm_status status;
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    cm_dnnl_conv_spec spec = {
        CM_CONV_FORWARD,      in0, in1, out, has_bias(n), n->attr.conv.stride, n->attr.conv.pad,
        n->attr.conv.residual};
    if (n->op == CM_OP_CONV2D_GRAD_INPUT)
        spec = (cm_dnnl_conv_spec){CM_CONV_INPUT, out, in1, in0, 0, spec.stride, spec.pad, 0};
    else if (n->op == CM_OP_CONV2D_GRAD_WEIGHT)
        spec = (cm_dnnl_conv_spec){CM_CONV_WEIGHT, in1, out, in0, 0, spec.stride, spec.pad, 0};
    s->threads = threads_of(n, threads);
    omp_set_num_threads(s->threads);
    status = is_product(n) ? make_product(n, s, p, err) : make_conv(&spec, s, p, err);
    omp_set_num_threads(saved);
    p->state = s;
    if (status) {
        release_conv(s);
        p->state = NULL;
    }
    return status;
}

static void pack_conv(const cm_call *c)
{
    const struct conv *s = c->state;
    cm_dnnl_run(&s->reorder, c->threads, (const void *[]){c->in[1], c->packed}, c->workspace);
}

static int same_packed(const void *a, const void *b)
{
    const struct conv *s = a, *t = b;
    return cm_dnnl_same_weights(&s->main, &t->main);
}

/* The output begins as the residual, unless the planner put it there. */
static void copy_residual(const cm_call *c)
{
    const char *from = c->in[c->node->n_in - 1];
    const size_t bytes = cm_type_bytes(&c->node->type), step = 1 << 16;
    if (from == c->out)
        return;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (size_t i = 0; i < bytes; i += step)
        memcpy((char *)c->out + i, from + i, bytes - i < step ? bytes - i : step);
}

static void run_conv(const cm_call *c)
{
    const struct conv *s = c->state;
    const void *memory[4] = {c->in[0], c->packed, c->out, NULL};
    if (has_bias(c->node)) {
        memory[2] = c->in[2];
        memory[3] = c->out;
    }
    if (c->node->attr.conv.residual)
        copy_residual(c);
    cm_dnnl_run(&s->main, c->threads, memory, c->workspace);
}

static void run_grad_weight(const cm_call *c)
{
    const struct conv *s = c->state;
    const void *dw = (char *)c->workspace + s->dw_offset;
    if (s->product) {
        cm_dnnl_run(&s->main, s->threads, (const void *[]){c->in[0], c->in[1], c->out},
                    c->workspace);
        return;
    }
    cm_dnnl_run(&s->main, s->threads, (const void *[]){c->in[1], c->in[0], dw}, c->workspace);
    cm_dnnl_run(&s->reorder, s->threads, (const void *[]){dw, c->out}, c->workspace);
}

/* ---- matrix products ---- */

static void release_matmul(void *state)
{
    cm_dnnl_release(state);
    cm_free(state);
}

static cm_status prepare_matmul(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const int saved = omp_get_max_threads();
    const cm_dnnl_matmul_spec spec = {.a = &n->in[0]->type,
                                      .b = &n->in[1]->type,
                                      .y = &n->type,
                                      .ta = n->attr.matmul.ta,
                                      .tb = n->attr.matmul.tb,
                                      .bias = n->n_in == 3};
    cm_dnnl *d = cm_alloc(sizeof *d);
    if (!d)
        return cm_fail(err, CM_ERR_MEMORY, "matmul: out of memory");
    omp_set_num_threads(threads);
    const cm_status status = cm_dnnl_matmul(&spec, d, err);
    omp_set_num_threads(saved);
    p->state = d;
    p->impl = d->impl;
    p->workspace = d->scratch_bytes;
    if (status) {
        release_matmul(d);
        p->state = NULL;
    }
    return status;
}

static void run_matmul(const cm_call *c)
{
    const void *memory[4] = {c->in[0], c->in[1], c->out, NULL};
    if (c->node->n_in == 3) {
        memory[2] = c->in[2];
        memory[3] = c->out;
    }
    cm_dnnl_run(c->state, c->threads, memory, c->workspace);
}

const cm_kernel cm_kernels_dnnl[CM_OP_COUNT] = {
    [CM_OP_CONV2D] = {"oneDNN", prepare_conv, pack_conv, run_conv, release_conv, same_packed},
    [CM_OP_CONV2D_GRAD_INPUT] = {"oneDNN", prepare_conv, pack_conv, run_conv, release_conv,
                                 same_packed},
    [CM_OP_CONV2D_GRAD_WEIGHT] = {"oneDNN", prepare_conv, NULL, run_grad_weight, release_conv},
    [CM_OP_MATMUL] = {"oneDNN", prepare_matmul, NULL, run_matmul, release_matmul},
};
