/* group_norm.c - y = act(z), z = a xh + b, xh = (x - mean) / sqrt(var + eps)
 *
 * (Wu and He 2018.)  a and b are [N or 1, C]: gamma and beta, with the scale and
 * shift of an embedding already folded in, so that one op is the whole
 * norm - modulate - SiLU of a residual block.
 *
 * With dz = act'(z) dy, sigma the denominator, and means over a sample's group:
 *   da[n,c] = sum_hw dz xh,   db[n,c] = sum_hw dz          (grad_affine, [N,2C])
 *   dx      = (a dz - mean(a dz) - xh mean(a dz xh)) / sigma          (grad_input)
 * where both means follow from da and db: mean(a dz) = sum_c a db / m.
 *   ydot    = act'(z) (adot xh + a xhdot + bdot),                            (jvp)
 *   xhdot   = (xdot - mean(xdot) - xh mean(xh xdot)) / sigma */
#include "graph/op.h"

#include <inttypes.h>

static void norm_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int first = n->op == CM_OP_GROUP_NORM || n->op == CM_OP_GROUP_NORM_JVP ? 0 : 1;
    const cm_type *x = &n->in[first]->type, *a = &n->in[first + 1]->type,
                  *b = &n->in[first + 2]->type;
    const int groups = n->attr.norm.groups;
    char sx[96], sa[96];
    if (x->rank != 4 || a->rank != 2 || !cm_type_equal(a, b) || a->dtype != CM_F32 ||
        a->dim[1] != x->dim[3] || (a->dim[0] != 1 && a->dim[0] != x->dim[0]))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: x %s with a %s", cm_ops[n->op]->name,
                      cm_type_text(sx, sizeof sx, x), cm_type_text(sa, sizeof sa, a));
    else if (groups < 1 || x->dim[3] % groups)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %" PRId64 " channels in %d groups", cm_ops[n->op]->name,
                      x->dim[3], groups);
    *out = n->op == CM_OP_GROUP_NORM_GRAD_AFFINE ? CM_TYPE(CM_F32, x->dim[0], 2 * x->dim[3]) : *x;
}

/* The derivative ops: dy or xdot like x, adot and bdot like a, dab [N,2C]. */
static void norm_grad_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int jvp = n->op == CM_OP_GROUP_NORM_JVP;
    const cm_type *x = &n->in[jvp ? 0 : 1]->type, *d = &n->in[jvp ? 3 : 0]->type;
    int ok = cm_type_equal(d, x);
    norm_infer(g, n, out);
    for (int i = 4; i < 6 && jvp; i++)
        ok = ok && cm_type_equal(&n->in[i]->type, &n->in[1]->type);
    if (n->op == CM_OP_GROUP_NORM_GRAD_INPUT) {
        const cm_type dab = CM_TYPE(CM_F32, x->dim[0], 2 * x->dim[3]);
        ok = ok && cm_type_equal(&n->in[4]->type, &dab);
    }
    if (!ok)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: the operands differ in type", cm_ops[n->op]->name);
}

static void group_norm_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *x = n->in[0], *a = n->in[1], *b = n->in[2];
    const int64_t c = a->type.dim[1];
    cm_node *dab =
        cm_node_new(g, CM_OP_GROUP_NORM_GRAD_AFFINE, n->attr, 4, (cm_node *[]){dy, x, a, b});
    dx[0] =
        cm_node_new(g, CM_OP_GROUP_NORM_GRAD_INPUT, n->attr, 5, (cm_node *[]){dy, x, a, b, dab});
    dx[1] = cm_unbroadcast(g, cm_slice(g, dab, 0, c), a);
    dx[2] = cm_unbroadcast(g, cm_slice(g, dab, c, c), b);
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
                                .jvp = group_norm_jvp};
const cm_op cm_op_group_norm_grad_affine = {
    .name = "group_norm_grad_affine", .n_in = 4, .infer = norm_grad_infer};
const cm_op cm_op_group_norm_grad_input = {
    .name = "group_norm_grad_input", .n_in = 5, .infer = norm_grad_infer};
const cm_op cm_op_group_norm_jvp = {.name = "group_norm_jvp", .n_in = 6, .infer = norm_grad_infer};
