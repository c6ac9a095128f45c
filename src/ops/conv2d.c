/* conv2d.c - y = x * w + bias, and the two adjoints
 *
 * One trilinear form T(x, w, dy) = <dy, x * w> has three faces: conv2d is its
 * gradient in dy, conv2d_grad_input in x, conv2d_grad_weight in w.  So every
 * derivative of each is one of the three.  Activations are [N,H,W,C] in f32 or
 * bf16; weights are f32 [O,I,kh,kw], the layout of the checkpoints; devices
 * repack them. */
#include "graph/op.h"

static int64_t conv_out(int64_t in, int64_t k, int stride, int pad)
{
    return (in + 2 * pad - k) / stride + 1;
}

static void conv2d_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[0]->type, *w = &n->in[1]->type;
    const int stride = n->attr.conv.stride, ph = n->attr.conv.pad_h, pw = n->attr.conv.pad_w;
    char sx[96], sw[96], sb[96];
    const int ok = x->rank == 4 && w->rank == 4 && w->dtype == CM_F32 && x->dim[3] == w->dim[1] &&
                   x->dim[1] + 2 * ph >= w->dim[2] && x->dim[2] + 2 * pw >= w->dim[3] &&
                   (n->n_in < 3 || (n->in[2]->type.rank == 1 && n->in[2]->type.dtype == CM_F32 &&
                                    n->in[2]->type.dim[0] == w->dim[0]));
    if (!ok) {
        cm_graph_fail(g, CM_ERR_SHAPE, "conv2d: x %s with w %s%s%s", cm_type_text(sx, sizeof sx, x),
                      cm_type_text(sw, sizeof sw, w), n->n_in < 3 ? "" : " and bias ",
                      n->n_in < 3 ? "" : cm_type_text(sb, sizeof sb, &n->in[2]->type));
        return;
    }
    *out = CM_TYPE(x->dtype, x->dim[0], conv_out(x->dim[1], w->dim[2], stride, ph),
                   conv_out(x->dim[2], w->dim[3], stride, pw), w->dim[0]);
}

/* A face of the form that n is one of, on other operands; type is that of the result where
 * the operands do not give it. */
static cm_node *face(cm_graph *g, const cm_node *n, cm_op_id op, cm_node *a, cm_node *b,
                     cm_type type)
{
    cm_attr attr = n->attr;
    attr.conv.type = type;
    return cm_node_new(g, op, attr, 2, (cm_node *[]){a, b});
}

static void conv2d_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *x = n->in[0], *w = n->in[1];
    const cm_type *t = &n->type;
    dx[0] = face(g, n, CM_OP_CONV2D_GRAD_INPUT, dy, w, x->type);
    dx[1] = face(g, n, CM_OP_CONV2D_GRAD_WEIGHT, dy, x, w->type);
    if (n->n_in == 3) {
        cm_node *rows = CM_RESHAPE(g, dy, t->dim[0] * t->dim[1] * t->dim[2], t->dim[3]);
        cm_node *sum = cm_sum_to(g, rows, CM_TYPE(CM_F32, 1, t->dim[3]));
        dx[2] = CM_RESHAPE(g, sum, t->dim[3]);
    }
}

static cm_node *conv2d_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    cm_node *a = xdot[0] ? face(g, n, CM_OP_CONV2D, xdot[0], n->in[1], n->type) : NULL;
    cm_node *b = xdot[1] ? face(g, n, CM_OP_CONV2D, n->in[0], xdot[1], n->type) : NULL;
    cm_node *ydot = cm_add_or_null(g, a, b);
    if (n->n_in < 3 || !xdot[2])
        return ydot;
    cm_node *bias = CM_RESHAPE(g, xdot[2], 1, 1, 1, n->type.dim[3]);
    return ydot ? cm_add(g, ydot, bias) : cm_broadcast_to(g, bias, n->type);
}

cm_node *cm_conv2d_padded(cm_graph *g, cm_node *x, cm_node *w, cm_node *bias, int stride, int pad_h,
                          int pad_w)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad_h = pad_h, .pad_w = pad_w}};
    return cm_node_new(g, CM_OP_CONV2D, attr, bias ? 3 : 2, (cm_node *[]){x, w, bias});
}

cm_node *cm_conv2d(cm_graph *g, cm_node *x, cm_node *w, cm_node *bias, int stride, int pad)
{
    return cm_conv2d_padded(g, x, w, bias, stride, pad, pad);
}

/* ---- adjoints; dx = grad_input(dy, w), dw = grad_weight(dy, x) ---- */

static void grad_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->attr.conv.type;
}

static void grad_input_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    dx[0] = face(g, n, CM_OP_CONV2D, d, n->in[1], n->in[0]->type);
    dx[1] = face(g, n, CM_OP_CONV2D_GRAD_WEIGHT, n->in[0], d, n->in[1]->type);
}

static cm_node *grad_jvp(cm_graph *g, cm_node *n, cm_node *const *dot)
{
    return cm_add_or_null(g, dot[0] ? face(g, n, n->op, dot[0], n->in[1], n->type) : NULL,
                          dot[1] ? face(g, n, n->op, n->in[0], dot[1], n->type) : NULL);
}

static void grad_weight_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    dx[0] = face(g, n, CM_OP_CONV2D, n->in[1], d, n->in[0]->type);
    dx[1] = face(g, n, CM_OP_CONV2D_GRAD_INPUT, n->in[0], d, n->in[1]->type);
}

cm_node *cm_conv2d_grad_input(cm_graph *g, cm_node *dy, cm_node *w, cm_type x, int stride, int pad)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad_h = pad, .pad_w = pad, .type = x}};
    return cm_node_new(g, CM_OP_CONV2D_GRAD_INPUT, attr, 2, (cm_node *[]){dy, w});
}

cm_node *cm_conv2d_grad_weight(cm_graph *g, cm_node *dy, cm_node *x, cm_type w, int stride, int pad)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad_h = pad, .pad_w = pad, .type = w}};
    return cm_node_new(g, CM_OP_CONV2D_GRAD_WEIGHT, attr, 2, (cm_node *[]){dy, x});
}

const cm_op cm_op_conv2d = {
    .name = "conv2d",
    .n_in = 4,
    .infer = conv2d_infer,
    .vjp = conv2d_vjp,
    .jvp = conv2d_jvp,
    .inplace = 1u << 2 | 1u << 3, /* the residual; a bias has another shape */
};
const cm_op cm_op_conv2d_grad_input = {.name = "conv2d_grad_input",
                                       .n_in = 2,
                                       .infer = grad_infer,
                                       .vjp = grad_input_vjp,
                                       .jvp = grad_jvp};
const cm_op cm_op_conv2d_grad_weight = {.name = "conv2d_grad_weight",
                                        .n_in = 2,
                                        .infer = grad_infer,
                                        .vjp = grad_weight_vjp,
                                        .jvp = grad_jvp};
