/* pooling.c - avg_pool2d and max_pool2d of [N,H,W,C] over windows of k x k pixels
 *
 * The mean is over the pixels that there are: zeros around the image are not counted
 * (count_include_pad=False in PyTorch, and TensorFlow's SAME).  It is linear, so its adjoint
 * avg_pool2d_grad is its vjp, and each is the vjp of the other.  The maximum sends dy to, and
 * takes xdot from, the first pixel of a window, in rows, that is the largest. */
#include "graph/op.h"

static int64_t pooled(int64_t side, const cm_attr *a)
{
    return (side + 2 * a->pool.pad - a->pool.k) / a->pool.stride + 1;
}

/* Whether these are what a pooling of t makes; every window has a pixel of the image. */
static int fits(const cm_type *t, const cm_attr *a)
{
    const int64_t k = a->pool.k, pad = a->pool.pad;
    return t->rank == 4 && k >= 1 && a->pool.stride >= 1 && pad >= 0 && 2 * pad <= k && pad < k &&
           t->dim[1] + 2 * pad >= k && t->dim[2] + 2 * pad >= k;
}

static cm_type pooled_type(const cm_type *t, const cm_attr *a)
{
    return CM_TYPE(t->dtype, t->dim[0], pooled(t->dim[1], a), pooled(t->dim[2], a), t->dim[3]);
}

static void pool_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[0]->type;
    char shape[96];
    if (!fits(x, &n->attr))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %s with windows of %d, a step of %d, padded by %d",
                      cm_ops[n->op]->name, cm_type_text(shape, sizeof shape, x), n->attr.pool.k,
                      n->attr.pool.stride, n->attr.pool.pad);
    else
        *out = pooled_type(x, &n->attr);
}

/* dy, and of a maximum x */
static void grad_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type x = n->n_in == 2 ? n->in[1]->type : n->attr.pool.type;
    const cm_type y = fits(&x, &n->attr) ? pooled_type(&x, &n->attr) : x;
    if (!fits(&x, &n->attr) || !cm_type_same_shape(&n->in[0]->type, &y))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: dy is not of the shape of y", cm_ops[n->op]->name);
    *out = x;
    out->dtype = n->in[0]->type.dtype;
}

static void jvp_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    if (!cm_type_same_shape(&n->in[0]->type, &n->in[1]->type))
        cm_graph_fail(g, CM_ERR_SHAPE, "max_pool2d_jvp: xdot and x differ in shape");
    else
        pool_infer(g, n, out);
}

/* The same windows of other operands. */
static cm_node *windows(cm_graph *g, const cm_node *n, cm_op_id op, int n_in, cm_node *a,
                        cm_node *b)
{
    cm_attr attr = n->attr;
    attr.pool.type = n->in[0]->type;
    return cm_node_new(g, op, attr, n_in, (cm_node *[]){a, b});
}

static void avg_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = windows(g, n, CM_OP_AVG_POOL2D_GRAD, 1, dy, NULL);
}

static cm_node *avg_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return windows(g, n, CM_OP_AVG_POOL2D, 1, xdot[0], NULL);
}

static void avg_grad_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    dx[0] = windows(g, n, CM_OP_AVG_POOL2D, 1, d, NULL);
}

static cm_node *avg_grad_jvp(cm_graph *g, cm_node *n, cm_node *const *dot)
{
    return cm_node_new(g, n->op, n->attr, 1, dot);
}

static void max_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = windows(g, n, CM_OP_MAX_POOL2D_GRAD, 2, dy, n->in[0]);
}

static cm_node *max_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return windows(g, n, CM_OP_MAX_POOL2D_JVP, 2, xdot[0], n->in[0]);
}

/* Of x it chooses places alone. */
static void max_jvp_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    dx[0] = windows(g, n, CM_OP_MAX_POOL2D_GRAD, 2, d, n->in[1]);
}

static cm_node *pool(cm_graph *g, cm_op_id op, cm_node *x, int k, int stride, int pad)
{
    const cm_attr attr = {.pool = {.k = k, .stride = stride, .pad = pad}};
    return cm_node_new(g, op, attr, 1, &x);
}

cm_node *cm_avg_pool2d(cm_graph *g, cm_node *x, int k, int stride, int pad)
{
    return pool(g, CM_OP_AVG_POOL2D, x, k, stride, pad);
}

cm_node *cm_max_pool2d(cm_graph *g, cm_node *x, int k, int stride, int pad)
{
    return pool(g, CM_OP_MAX_POOL2D, x, k, stride, pad);
}

const cm_op cm_op_avg_pool2d = {
    .name = "avg_pool2d", .n_in = 1, .infer = pool_infer, .vjp = avg_vjp, .jvp = avg_jvp};
const cm_op cm_op_avg_pool2d_grad = {.name = "avg_pool2d_grad",
                                     .n_in = 1,
                                     .infer = grad_infer,
                                     .vjp = avg_grad_vjp,
                                     .jvp = avg_grad_jvp};
const cm_op cm_op_max_pool2d = {
    .name = "max_pool2d", .n_in = 1, .infer = pool_infer, .vjp = max_vjp, .jvp = max_jvp};
const cm_op cm_op_max_pool2d_grad = {.name = "max_pool2d_grad", .n_in = 2, .infer = grad_infer};
const cm_op cm_op_max_pool2d_jvp = {
    .name = "max_pool2d_jvp", .n_in = 2, .infer = jvp_infer, .vjp = max_jvp_vjp};
