/* elementwise.c - add and mul with broadcasting, affine, cast
 *
 * add and mul are (bi)linear: their derivatives are themselves, with the
 * cotangent summed over the axes along which an operand was repeated. */
#include "graph/op.h"

#include <inttypes.h>

static void broadcast_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *a = &n->in[0]->type, *b = &n->in[1]->type;
    char ta[96], tb[96];
    *out = *a;
    int ok = a->rank == b->rank && a->dtype != CM_I32 && b->dtype != CM_I32;
    for (int i = 0; i < a->rank && ok; i++) {
        ok = a->dim[i] == b->dim[i] || a->dim[i] == 1 || b->dim[i] == 1;
        out->dim[i] = a->dim[i] > b->dim[i] ? a->dim[i] : b->dim[i];
    }
    if (!ok)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %s %s does not broadcast with %s %s",
                      cm_ops[n->op]->name, cm_dtype_name(a->dtype), cm_type_text(ta, sizeof ta, a),
                      cm_dtype_name(b->dtype), cm_type_text(tb, sizeof tb, b));
}

static void add_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_unbroadcast(g, dy, n->in[0]);
    dx[1] = cm_unbroadcast(g, dy, n->in[1]);
}

static cm_node *to_type(cm_graph *g, cm_node *x, const cm_type *t)
{
    return cm_type_equal(&x->type, t) ? x : cm_broadcast_to(g, x, *t);
}

static cm_node *add_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    if (xdot[0] && xdot[1])
        return cm_add(g, xdot[0], xdot[1]);
    return to_type(g, xdot[0] ? xdot[0] : xdot[1], &n->type);
}

static void mul_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_unbroadcast(g, cm_mul(g, dy, n->in[1]), n->in[0]);
    dx[1] = cm_unbroadcast(g, cm_mul(g, dy, n->in[0]), n->in[1]);
}

static cm_node *mul_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    cm_node *a = xdot[0] ? to_type(g, cm_mul(g, xdot[0], n->in[1]), &n->type) : NULL;
    cm_node *b = xdot[1] ? to_type(g, cm_mul(g, n->in[0], xdot[1]), &n->type) : NULL;
    return cm_add_or_null(g, a, b);
}

static void same_type(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->in[0]->type;
}

static void affine_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_affine(g, dy, n->attr.affine.scale, 0.0f);
}

static cm_node *affine_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_affine(g, xdot[0], n->attr.affine.scale, 0.0f);
}

static void cast_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->in[0]->type;
    out->dtype = n->attr.to.type.dtype;
}

static void cast_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_cast(g, dy, n->in[0]->type.dtype);
}

static cm_node *cast_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_cast(g, xdot[0], n->type.dtype);
}

cm_node *cm_add(cm_graph *g, cm_node *a, cm_node *b)
{
    return cm_node_new(g, CM_OP_ADD, (cm_attr){0}, 2, (cm_node *[]){a, b});
}

cm_node *cm_sub(cm_graph *g, cm_node *a, cm_node *b)
{
    return cm_add(g, a, cm_affine(g, b, -1.0f, 0.0f));
}

cm_node *cm_mul(cm_graph *g, cm_node *a, cm_node *b)
{
    return cm_node_new(g, CM_OP_MUL, (cm_attr){0}, 2, (cm_node *[]){a, b});
}

cm_node *cm_affine(cm_graph *g, cm_node *x, float scale, float shift)
{
    return cm_node_new(g, CM_OP_AFFINE, (cm_attr){.affine = {scale, shift}}, 1, &x);
}

cm_node *cm_cast(cm_graph *g, cm_node *x, cm_dtype dtype)
{
    if (x->type.dtype == dtype)
        return x;
    return cm_node_new(g, CM_OP_CAST, (cm_attr){.to = {{.dtype = dtype}}}, 1, &x);
}

cm_node *cm_unbroadcast(cm_graph *g, cm_node *dy, const cm_node *x)
{
    if (!cm_type_same_shape(&dy->type, &x->type))
        return cm_sum_to(g, dy, x->type);
    return cm_cast(g, dy, x->type.dtype);
}

const cm_op cm_op_add = {
    .name = "add",
    .n_in = 2,
    .infer = broadcast_infer,
    .vjp = add_vjp,
    .jvp = add_jvp,
    .inplace = 1u << 0 | 1u << 1,
};
const cm_op cm_op_mul = {
    .name = "mul",
    .n_in = 2,
    .infer = broadcast_infer,
    .vjp = mul_vjp,
    .jvp = mul_jvp,
    .inplace = 1u << 0 | 1u << 1,
};
const cm_op cm_op_affine = {
    .name = "affine",
    .n_in = 1,
    .infer = same_type,
    .vjp = affine_vjp,
    .jvp = affine_jvp,
    .inplace = 1u << 0,
};
const cm_op cm_op_cast = {
    .name = "cast", .n_in = 1, .infer = cast_infer, .vjp = cast_vjp, .jvp = cast_jvp};
