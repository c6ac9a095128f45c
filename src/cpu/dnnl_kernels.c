/* dnnl_kernels.c - convolutions and matrix products by oneDNN
 *
 * Weights are f32 [O,I,kh,kw] outside; pack() reorders them to the primitive's
 * own layout and dtype, once where they are constant, else just before use; the
 * weight gradient is reordered back. */
#include "cpu/dnnl_help.h"

#include "base/memory.h"

#include <omp.h>

struct conv {
    cm_dnnl main, reorder; /* reorder: weights in, or weight gradient out */
    size_t dw_offset;      /* of the blocked weight gradient in the workspace */
};

static cm_status make_conv(const cm_node *n, cm_conv_pass pass, const cm_type *x, const cm_type *w,
                           const cm_type *y, struct conv *s, cm_prepared *p, cm_error *err)
{
    const dnnl_memory_desc_t mx = cm_dnnl_image(x), my = cm_dnnl_image(y);
    const dnnl_memory_desc_t plain = cm_dnnl_weights(w);
    const cm_dtype compute = pass == CM_CONV_INPUT ? y->dtype : x->dtype;
    dnnl_memory_desc_t mw = cm_dnnl_weights_any(w, pass == CM_CONV_WEIGHT ? CM_F32 : compute), bias;
    const int has_bias = pass == CM_CONV_FORWARD && n->n_in == 3;
    if (has_bias) {
        const dnnl_dims_t dims = {w->dim[0]};
        dnnl_memory_desc_init_by_tag(&bias, 1, dims, dnnl_f32, dnnl_a);
    }
    size_t scratch;
    cm_status status =
        cm_dnnl_conv(pass, &mx, &mw, has_bias ? &bias : NULL, &my, n->attr.conv.stride,
                     n->attr.conv.pad, &s->main, &scratch, &p->impl, err);
    if (!status)
        status = pass == CM_CONV_WEIGHT ? cm_dnnl_reorder(&mw, &plain, &s->reorder, err)
                                        : cm_dnnl_reorder(&plain, &mw, &s->reorder, err);
    if (status)
        return status;
    s->dw_offset = (scratch + 63) / 64 * 64;
    p->workspace = pass == CM_CONV_WEIGHT ? s->dw_offset + dnnl_memory_desc_get_size(&mw) : scratch;
    p->packed = pass == CM_CONV_WEIGHT ? 0 : dnnl_memory_desc_get_size(&mw);
    p->packs = 1;
    return CM_OK;
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
    omp_set_num_threads(threads);
    if (n->op == CM_OP_CONV2D)
        status = make_conv(n, CM_CONV_FORWARD, in0, in1, out, s, p, err);
    else if (n->op == CM_OP_CONV2D_GRAD_INPUT)
        status = make_conv(n, CM_CONV_INPUT, out, in1, in0, s, p, err);
    else
        status = make_conv(n, CM_CONV_WEIGHT, in1, out, in0, s, p, err);
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
    cm_dnnl_run(&s->reorder, c->threads, (const void *[]){c->in[1], c->packed}, NULL);
}

static void run_conv(const cm_call *c)
{
    const struct conv *s = c->state;
    const void *memory[4] = {c->in[0], c->packed, c->out, NULL};
    if (c->node->n_in == 3) {
        memory[2] = c->in[2];
        memory[3] = c->out;
    }
    cm_dnnl_run(&s->main, c->threads, memory, c->workspace);
}

static void run_grad_weight(const cm_call *c)
{
    const struct conv *s = c->state;
    const void *dw = (char *)c->workspace + s->dw_offset;
    cm_dnnl_run(&s->main, c->threads, (const void *[]){c->in[1], c->in[0], dw}, c->workspace);
    cm_dnnl_run(&s->reorder, c->threads, (const void *[]){dw, c->out}, NULL);
}

/* ---- matrix products ---- */

/* The logical operand op(m): strides swap where it is read transposed. */
static dnnl_memory_desc_t matrix(const cm_type *t, int transposed)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {0}, strides = {0};
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        dims[i] = t->dim[i];
        strides[i] = stride;
        stride *= t->dim[i];
    }
    if (transposed) {
        const int a = t->rank - 2, b = t->rank - 1;
        const int64_t d = dims[a], s = strides[a];
        dims[a] = dims[b];
        dims[b] = d;
        strides[a] = strides[b];
        strides[b] = s;
    }
    dnnl_memory_desc_init_by_strides(&md, t->rank, dims, cm_dnnl_dtype(t->dtype), strides);
    return md;
}

static void release_matmul(void *state)
{
    cm_dnnl_release(state);
    cm_free(state);
}

static cm_status prepare_matmul(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const dnnl_memory_desc_t a = matrix(&n->in[0]->type, n->attr.matmul.ta),
                             b = matrix(&n->in[1]->type, n->attr.matmul.tb),
                             y = matrix(&n->type, 0);
    const int saved = omp_get_max_threads();
    cm_dnnl *d = cm_alloc(sizeof *d);
    if (!d)
        return cm_fail(err, CM_ERR_MEMORY, "matmul: out of memory");
    omp_set_num_threads(threads);
    const cm_status status = cm_dnnl_matmul(&a, &b, &y, d, &p->workspace, &p->impl, err);
    omp_set_num_threads(saved);
    p->state = d;
    if (status) {
        release_matmul(d);
        p->state = NULL;
    }
    return status;
}

static void run_matmul(const cm_call *c)
{
    cm_dnnl_run(c->state, c->threads, (const void *[]){c->in[0], c->in[1], c->out}, c->workspace);
}

const cm_kernel cm_kernels_dnnl[CM_OP_COUNT] = {
    [CM_OP_CONV2D] = {"oneDNN", prepare_conv, pack_conv, run_conv, release_conv},
    [CM_OP_CONV2D_GRAD_INPUT] = {"oneDNN", prepare_conv, pack_conv, run_conv, release_conv},
    [CM_OP_CONV2D_GRAD_WEIGHT] = {"oneDNN", prepare_conv, NULL, run_grad_weight, release_conv},
    [CM_OP_MATMUL] = {"oneDNN", prepare_matmul, NULL, run_matmul, release_matmul},
};
