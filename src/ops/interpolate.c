/* interpolate.c - bilinear resizing of f32 [N,H,W,C] to another height and width, and its adjoint
 *
 * Row r of the result reads the image at r' = r H / H' (TensorFlow 1, align_corners=False) or,
 * with the centres of pixels on each other, at r' = max((r + 1/2) H / H' - 1/2, 0) (PyTorch,
 * align_corners=False): (1 - f) x[i] + f x[min(i + 1, H - 1)], i = floor(r'), f = r' - i; columns
 * likewise.  Nothing is smoothed where the image shrinks.  It is linear, so each of the two is
 * the vjp of the other. */
#include "graph/op.h"

static void resize_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[0]->type, *y = &n->attr.resize.type;
    char a[96], b[96];
    if (x->rank != 4 || x->dtype != CM_F32 || y->rank != 4 || y->dtype != CM_F32 ||
        x->dim[0] != y->dim[0] || x->dim[3] != y->dim[3] || x->dim[1] < 1 || x->dim[2] < 1 ||
        y->dim[1] < 1 || y->dim[2] < 1)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %s to %s", cm_ops[n->op]->name,
                      cm_type_text(a, sizeof a, x), cm_type_text(b, sizeof b, y));
    *out = *y;
}

static cm_node *resize(cm_graph *g, cm_op_id op, const cm_node *of, cm_node *x, cm_type to)
{
    cm_attr attr = of->attr;
    attr.resize.type = to;
    return cm_node_new(g, op, attr, 1, &x);
}

static void resize_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    const cm_op_id other =
        n->op == CM_OP_RESIZE_BILINEAR ? CM_OP_RESIZE_BILINEAR_GRAD : CM_OP_RESIZE_BILINEAR;
    dx[0] = resize(g, other, n, dy, n->in[0]->type);
}

static cm_node *resize_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return resize(g, n->op, n, xdot[0], n->type);
}

cm_node *cm_resize_bilinear(cm_graph *g, cm_node *x, int64_t h, int64_t w, int half_pixel)
{
    const cm_type *t = &x->type;
    const cm_attr attr = {
        .resize = {.type = CM_TYPE(CM_F32, t->dim[0], h, w, t->dim[3]), .half_pixel = half_pixel}};
    return cm_node_new(g, CM_OP_RESIZE_BILINEAR, attr, 1, &x);
}

const cm_op cm_op_resize_bilinear = {.name = "resize_bilinear",
                                     .n_in = 1,
                                     .infer = resize_infer,
                                     .vjp = resize_vjp,
                                     .jvp = resize_jvp};
const cm_op cm_op_resize_bilinear_grad = {.name = "resize_bilinear_grad",
                                          .n_in = 1,
                                          .infer = resize_infer,
                                          .vjp = resize_vjp,
                                          .jvp = resize_jvp};
