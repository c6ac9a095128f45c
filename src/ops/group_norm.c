/* group_norm.c - y = act(z), z = a xh + b, xh = (x - mean) / sqrt(var + eps)
 *
 * (Wu and He 2018.)  a and b are [N or 1, C]: gamma and beta, with the scale and
 * shift of an embedding already folded in, so that one op is the whole
 * norm - modulate - SiLU of a residual block.
 *
 * Forward and its tangent keep mean and 1/sigma of each sample's channels as their auxiliary
 * result, [N,2C].  With dz = act'(z) dy, sigma the denominator, and means over a sample's group:
 *   da[n,c] = sum_hw dz xh,   db[n,c] = sum_hw dz,       (auxiliary result of grad, [N,2C])
 *   dx      = (a dz - mean(a dz) - xh mean(a dz xh)) / sigma [+ r]              (grad)
 * where both means follow from da and db: mean(a dz) = sum_c a db / m, and r is a
 * cotangent of x from elsewhere.
 *   ydot    = act'(z) (adot xh + a xhdot + bdot),                            (jvp)
 *   xhdot   = (xdot - mean(xdot) - xh mean(xh xdot)) / sigma
 * The tangent is linear in (xdot, adot, bdot) by the forward derivative, whose transpose is grad.
 * What a cotangent d of it makes of (x, a, b) is, since second derivatives commute, the tangent of
 * grad itself along (xdot, adot, bdot), d fixed (jvp_grad, with da and db as grad):
 *   dzdot = act''(z) zdot d,  e = a dz,  edot = adot dz + a dzdot,  q = mean(xh xdot) / sigma
 *   dx    = (edot - mean(edot) - xhdot mean(e xh) - xh mean(edot xh + e xhdot)) / sigma
 *           - q (e - mean(e) - xh mean(e xh)) / sigma
 *   da    = sum_hw dzdot xh + dz xhdot,   db = sum_hw dzdot */
#include "graph/op.h"

#include "base/text.h"

#include <inttypes.h>

static void norm_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int first = n->op == CM_OP_GROUP_NORM_GRAD || n->op == CM_OP_GROUP_NORM_JVP_GRAD;
    const cm_type *x = &n->in[first]->type, *a = &n->in[first + 1]->type,
                  *b = &n->in[first + 2]->type;
    const int groups = n->attr.norm.groups;
    char sx[96], sa[96];
    if (x->rank != 4 || a->rank != 2 || !cm_type_equal(a, b) || a->dtype != CM_F32 ||
        a->dim[1] != x->dim[3] || (a->dim[0] != 1 && a->dim[0] != x->dim[0]))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: x %s with a %s", cm_ops[n->op]->name,
                      cm_type_text(sx, sizeof sx, x), cm_type_text(sa, sizeof sa, a));
    else if (groups < 1 || x->dim[3] % groups)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %" PRId64 " channel%s in %d group%s",
                      cm_ops[n->op]->name, x->dim[3], cm_plural(x->dim[3]), groups,
                      cm_plural(groups));
    *out = *x;
}

/* Mean and 1/sigma, or da and db. */
static cm_type two_a_channel(const cm_node *n)
{
    return CM_TYPE(CM_F32, n->type.dim[0], 2 * n->type.dim[3]);
}

/* jvp: x, a, b, xdot, adot, bdot; jvp_grad: a cotangent of that, and the same */
static void norm_jvp_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    cm_node *const *in = n->in + (n->op == CM_OP_GROUP_NORM_JVP_GRAD);
    int ok =
        cm_type_equal(&in[3]->type, &in[0]->type) && cm_type_equal(&n->in[0]->type, &in[0]->type);
    norm_infer(g, n, out);
    for (int i = 4; i < 6; i++)
        ok = ok && cm_type_equal(&in[i]->type, &in[1]->type);
    if (!ok)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: the operands differ in type", cm_ops[n->op]->name);
}

/* grad: dy, x, a, b, statistics, r or nothing */
static void norm_grad_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[1]->type;
    norm_infer(g, n, out);
    const cm_type statistics = CM_TYPE(CM_F32, x->dim[0], 2 * x->dim[3]);
    if (!cm_type_equal(&n->in[0]->type, x) || !cm_type_equal(&n->in[4]->type, &statistics) ||
        (n->n_in == 6 && !cm_type_equal(&n->in[5]->type, x)))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: the operands differ in type", cm_ops[n->op]->name);
}

/* dx[0..2]: a cotangent of x, and of a and b its auxiliary result */
static void three(cm_graph *g, cm_node *of_x, const cm_node *a, cm_node **dx)
{
    const int64_t c = a->type.dim[1];
    cm_node *dab = cm_aux(g, of_x);
    dx[0] = of_x;
    dx[1] = cm_unbroadcast(g, cm_slice(g, dab, 0, c), a);
    dx[2] = cm_unbroadcast(g, cm_slice(g, dab, c, c), a);
}

/* The transpose of the derivative at x, a, b; n has the statistics. */
static void transpose(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *in[] = {dy, n->in[0], n->in[1], n->in[2], cm_aux(g, n)};
    three(g, cm_node_new(g, CM_OP_GROUP_NORM_GRAD, n->attr, 5, in), n->in[1], dx);
}

static void group_norm_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    transpose(g, n, dy, dx);
}

static void group_norm_jvp_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *const *in = n->in;
    cm_node *all[] = {dy, in[0], in[1], in[2], in[3], in[4], in[5]};
    three(g, cm_node_new(g, CM_OP_GROUP_NORM_JVP_GRAD, n->attr, 7, all), in[1], dx);
    transpose(g, n, dy, dx + 3);
}

static cm_node *group_norm_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    cm_node *in[CM_MAX_IN];
    for (int i = 0; i < 3; i++) {
        in[i] = n->in[i];
        in[3 + i] = xdot[i] ? xdot[i] : cm_zeros(g, n->in[i]->type);
    }
    return cm_node_new(g, CM_OP_GROUP_NORM_JVP, n->attr, 6, in);
}

cm_node *cm_group_norm(cm_graph *g, cm_node *x, cm_node *a, cm_node *b, int groups, float eps,
                       int silu)
{
    const cm_attr attr = {.norm = {groups, silu, eps}};
    return cm_node_new(g, CM_OP_GROUP_NORM, attr, 3, (cm_node *[]){x, a, b});
}

const cm_op cm_op_group_norm = {.name = "group_norm",
                                .n_in = 3,
                                .infer = norm_infer,
                                .vjp = group_norm_vjp,
                                .jvp = group_norm_jvp,
                                .inplace = 1u << 0,
                                .aux = two_a_channel};
const cm_op cm_op_group_norm_grad = {
    .name = "group_norm_grad", .n_in = 6, .infer = norm_grad_infer, .aux = two_a_channel};
const cm_op cm_op_group_norm_jvp = {.name = "group_norm_jvp",
                                    .n_in = 6,
                                    .infer = norm_jvp_infer,
                                    .vjp = group_norm_jvp_vjp,
                                    .aux = two_a_channel};
const cm_op cm_op_group_norm_jvp_grad = {
    .name = "group_norm_jvp_grad", .n_in = 7, .infer = norm_jvp_infer, .aux = two_a_channel};
