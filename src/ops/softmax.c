/* softmax.c - y = e^x / sum(e^x) over the last axis, and its logarithm
 *
 * The Jacobian diag(y) - y y^T is symmetric: softmax_grad serves both modes.  That of
 * l = x - log sum(e^x) is I - 1 y^T, y = e^l:
 *
 *     dx = dl - y sum(dl)      ldot = xdot - sum(y xdot)
 *
 * A cotangent d of softmax_grad(dy, y) = y (dy - sum(y dy)) makes of y
 *
 *     d (dy - sum(y dy)) - dy sum(d y) */
#include "graph/op.h"

static void same_type(cm_graph *g, const cm_node *n, cm_type *out)
{
    if (n->n_in == 2 && !cm_type_equal(&n->in[0]->type, &n->in[1]->type))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: dy and y differ in type", cm_ops[n->op]->name);
    *out = n->in[0]->type;
}

static void softmax_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_softmax_grad(g, dy, n);
}

static cm_node *softmax_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_softmax_grad(g, xdot[0], n);
}

/* f32 [..,1] */
static cm_node *sum_of_rows(cm_graph *g, cm_node *x)
{
    cm_type t = x->type;
    t.dtype = CM_F32;
    t.dim[t.rank - 1] = 1;
    return cm_sum_to(g, x, t);
}

static void log_softmax_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_sub(g, dy, cm_mul(g, cm_exp(g, n), sum_of_rows(g, dy)));
}

static cm_node *log_softmax_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_sub(g, xdot[0], sum_of_rows(g, cm_mul(g, cm_exp(g, n), xdot[0])));
}

static void softmax_grad_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    cm_node *dy = n->in[0], *y = n->in[1];
    cm_node *centred = cm_sub(g, dy, sum_of_rows(g, cm_mul(g, y, dy)));
    dx[0] = cm_softmax_grad(g, d, y);
    dx[1] = cm_sub(g, cm_mul(g, d, centred), cm_mul(g, dy, sum_of_rows(g, cm_mul(g, d, y))));
}

cm_node *cm_softmax(cm_graph *g, cm_node *x)
{
    return cm_node_new(g, CM_OP_SOFTMAX, (cm_attr){0}, 1, &x);
}

cm_node *cm_log_softmax(cm_graph *g, cm_node *x)
{
    return cm_node_new(g, CM_OP_LOG_SOFTMAX, (cm_attr){0}, 1, &x);
}

cm_node *cm_softmax_grad(cm_graph *g, cm_node *dy, cm_node *y)
{
    return cm_node_new(g, CM_OP_SOFTMAX_GRAD, (cm_attr){0}, 2, (cm_node *[]){dy, y});
}

const cm_op cm_op_softmax = {
    .name = "softmax", .n_in = 1, .infer = same_type, .vjp = softmax_vjp, .jvp = softmax_jvp};
const cm_op cm_op_softmax_grad = {
    .name = "softmax_grad", .n_in = 2, .infer = same_type, .vjp = softmax_grad_vjp};
const cm_op cm_op_log_softmax = {.name = "log_softmax",
                                 .n_in = 1,
                                 .infer = same_type,
                                 .vjp = log_softmax_vjp,
                                 .jvp = log_softmax_jvp};
