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
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    char sx[96], sw[96], sb[96];
    const int ok = x->rank == 4 && w->rank == 4 && w->dtype == CM_F32 && x->dim[3] == w->dim[1] &&
                   x->dim[1] + 2 * pad >= w->dim[2] && x->dim[2] + 2 * pad >= w->dim[3] &&
                   (n->n_in < 3 || (n->in[2]->type.rank == 1 && n->in[2]->type.dtype == CM_F32 &&
                                    n->in[2]->type.dim[0] == w->dim[0]));
    if (!ok) {
        cm_graph_fail(g, CM_ERR_SHAPE, "conv2d: x %s with w %s%s%s", cm_type_text(sx, sizeof sx, x),
                      cm_type_text(sw, sizeof sw, w), n->n_in < 3 ? "" : " and bias ",
                      n->n_in < 3 ? "" : cm_type_text(sb, sizeof sb, &n->in[2]->type));
        return;
    }
    *out = CM_TYPE(x->dtype, x->dim[0], conv_out(x->dim[1], w->dim[2], stride, pad),
                   conv_out(x->dim[2], w->dim[3], stride, pad), w->dim[0]);
}

static void conv2d_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *x = n->in[0], *w = n->in[1];
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    const cm_type *t = &n->type;
    dx[0] = cm_conv2d_grad_input(g, dy, w, x->type, stride, pad);
    dx[1] = cm_conv2d_grad_weight(g, dy, x, w->type, stride, pad);
    if (n->n_in == 3) {
        cm_node *rows = CM_RESHAPE(g, dy, t->dim[0] * t->dim[1] * t->dim[2], t->dim[3]);
        cm_node *sum = cm_sum_to(g, rows, CM_TYPE(CM_F32, 1, t->dim[3]));
        dx[2] = CM_RESHAPE(g, sum, t->dim[3]);
    }
}

static cm_node *conv2d_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    cm_node *a = xdot[0] ? cm_conv2d(g, xdot[0], n->in[1], NULL, stride, pad) : NULL;
    cm_node *b = xdot[1] ? cm_conv2d(g, n->in[0], xdot[1], NULL, stride, pad) : NULL;
    cm_node *ydot = cm_add_or_null(g, a, b);
    if (n->n_in < 3 || !xdot[2])
        return ydot;
    cm_node *bias = CM_RESHAPE(g, xdot[2], 1, 1, 1, n->type.dim[3]);
    return ydot ? cm_add(g, ydot, bias) : cm_broadcast_to(g, bias, n->type);
}

cm_node *cm_conv2d(cm_graph *g, cm_node *x, cm_node *w, cm_node *bias, int stride, int pad)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad = pad}};
    return cm_node_new(g, CM_OP_CONV2D, attr, bias ? 3 : 2, (cm_node *[]){x, w, bias});
}

/* ---- adjoints; dx = grad_input(dy, w), dw = grad_weight(dy, x) ---- */

static void grad_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->attr.conv.type;
}

static void grad_input_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    dx[0] = cm_conv2d(g, d, n->in[1], NULL, stride, pad);
    dx[1] = cm_conv2d_grad_weight(g, n->in[0], d, n->in[1]->type, stride, pad);
}

static cm_node *grad_input_jvp(cm_graph *g, cm_node *n, cm_node *const *dot)
{
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    return cm_add_or_null(
        g, dot[0] ? cm_conv2d_grad_input(g, dot[0], n->in[1], n->type, stride, pad) : NULL,
        dot[1] ? cm_conv2d_grad_input(g, n->in[0], dot[1], n->type, stride, pad) : NULL);
}

static void grad_weight_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    dx[0] = cm_conv2d(g, n->in[1], d, NULL, stride, pad);
    dx[1] = cm_conv2d_grad_input(g, n->in[0], d, n->in[1]->type, stride, pad);
}

static cm_node *grad_weight_jvp(cm_graph *g, cm_node *n, cm_node *const *dot)
{
    const int stride = n->attr.conv.stride, pad = n->attr.conv.pad;
    return cm_add_or_null(
        g, dot[0] ? cm_conv2d_grad_weight(g, dot[0], n->in[1], n->type, stride, pad) : NULL,
        dot[1] ? cm_conv2d_grad_weight(g, n->in[0], dot[1], n->type, stride, pad) : NULL);
}

cm_node *cm_conv2d_grad_input(cm_graph *g, cm_node *dy, cm_node *w, cm_type x, int stride, int pad)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad = pad, .type = x}};
    return cm_node_new(g, CM_OP_CONV2D_GRAD_INPUT, attr, 2, (cm_node *[]){dy, w});
}

cm_node *cm_conv2d_grad_weight(cm_graph *g, cm_node *dy, cm_node *x, cm_type w, int stride, int pad)
{
    const cm_attr attr = {.conv = {.stride = stride, .pad = pad, .type = w}};
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
                                       .jvp = grad_input_jvp};
const cm_op cm_op_conv2d_grad_weight = {.name = "conv2d_grad_weight",
                                        .n_in = 2,
                                        .infer = grad_infer,
                                        .vjp = grad_weight_vjp,
                                        .jvp = grad_weight_jvp};
