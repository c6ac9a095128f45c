/* unary.c - functions of one element
 *
 * A diagonal Jacobian is symmetric, so each function has one derivative, built
 * from other ops, that serves both modes: dx = f'(x) * dy and ydot = f'(x) * xdot. */
#include "graph/op.h"

#include <math.h>

static void same_type(cm_graph *g, const cm_node *n, cm_type *out)
{
    if (n->n_in == 2 && !cm_type_same_shape(&n->in[0]->type, &n->in[1]->type))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: dy and x differ in shape", cm_ops[n->op]->name);
    *out = n->in[0]->type;
}

static cm_node *unary(cm_graph *g, cm_op_id op, cm_attr attr, cm_node *x)
{
    return cm_node_new(g, op, attr, 1, &x);
}

/* ---- f'(x) * d ---- */

static cm_node *silu_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_silu_grad(g, d, n->in[0]);
}
static cm_node *exp_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_mul(g, d, n);
}
static cm_node *log_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_mul(g, d, cm_pow(g, n->in[0], -1.0f));
}
static cm_node *sin_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_mul(g, d, cm_cos(g, n->in[0]));
}
static cm_node *cos_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_mul(g, d, cm_affine(g, cm_sin(g, n->in[0]), -1.0f, 0.0f));
}
static cm_node *atan_d(cm_graph *g, cm_node *n, cm_node *d) /* 1 / (1 + x^2) */
{
    cm_node *x = n->in[0];
    return cm_mul(g, d, cm_pow(g, cm_affine(g, cm_mul(g, x, x), 1.0f, 1.0f), -1.0f));
}
static cm_node *abs_d(cm_graph *g, cm_node *n, cm_node *d)
{
    return cm_mul(g, d, cm_sign(g, n->in[0]));
}
static cm_node *pow_d(cm_graph *g, cm_node *n, cm_node *d)
{
    const float p = n->attr.pow.p;
    return cm_mul(g, d, cm_affine(g, cm_pow(g, n->in[0], p - 1.0f), p, 0.0f));
}
static cm_node *clamp_d(cm_graph *g, cm_node *n, cm_node *d)
{
    /* y is inside where x is; with y, x need not be kept, and what made it can make y */
    return cm_clamp_grad(g, d, n, n->attr.clamp.lo, n->attr.clamp.hi);
}

/* ---- table entries ---- */

#define STEP_RULES(f)                                                                 \
    static void f##_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)           \
    {                                                                                 \
        (void)g, (void)n, (void)dy, (void)dx; /* piecewise constant: no dependence */ \
    }                                                                                 \
    static cm_node *f##_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)            \
    {                                                                                 \
        (void)g, (void)n, (void)xdot;                                                 \
        return NULL;                                                                  \
    }
STEP_RULES(sign)
STEP_RULES(floor)

#define UNARY_RULES(f)                                                      \
    static void f##_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx) \
    {                                                                       \
        dx[0] = f##_d(g, n, dy);                                            \
    }                                                                       \
    static cm_node *f##_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)  \
    {                                                                       \
        return f##_d(g, n, xdot[0]);                                        \
    }
UNARY_RULES(silu)
UNARY_RULES(exp)
UNARY_RULES(log)
UNARY_RULES(sin)
UNARY_RULES(cos)
UNARY_RULES(atan)
UNARY_RULES(abs)
UNARY_RULES(pow)
UNARY_RULES(clamp)

#define UNARY_OP(f)           \
    const cm_op cm_op_##f = { \
        .name = #f, .n_in = 1, .infer = same_type, .vjp = f##_vjp, .jvp = f##_jvp, .inplace = 1u}
UNARY_OP(silu);
UNARY_OP(exp);
UNARY_OP(log);
UNARY_OP(sin);
UNARY_OP(cos);
UNARY_OP(atan);
UNARY_OP(abs);
UNARY_OP(sign);
UNARY_OP(floor);
UNARY_OP(pow);
UNARY_OP(clamp);

/* y'(x) = s (1 + x (1 - s)), s = sigmoid(x) */
const cm_op cm_op_silu_grad = {
    .name = "silu_grad", .n_in = 2, .infer = same_type, .inplace = 1u << 0 | 1u << 1};
const cm_op cm_op_clamp_grad = {
    .name = "clamp_grad", .n_in = 2, .infer = same_type, .inplace = 1u << 0 | 1u << 1};

/* ---- builders ---- */

cm_node *cm_silu(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_SILU, (cm_attr){0}, x);
}
cm_node *cm_exp(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_EXP, (cm_attr){0}, x);
}
cm_node *cm_log(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_LOG, (cm_attr){0}, x);
}
cm_node *cm_sin(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_SIN, (cm_attr){0}, x);
}
cm_node *cm_cos(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_COS, (cm_attr){0}, x);
}
cm_node *cm_atan(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_ATAN, (cm_attr){0}, x);
}
cm_node *cm_abs(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_ABS, (cm_attr){0}, x);
}
cm_node *cm_sign(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_SIGN, (cm_attr){0}, x);
}
cm_node *cm_floor(cm_graph *g, cm_node *x)
{
    return unary(g, CM_OP_FLOOR, (cm_attr){0}, x);
}
cm_node *cm_pow(cm_graph *g, cm_node *x, float p)
{
    return unary(g, CM_OP_POW, (cm_attr){.pow = {p}}, x);
}
cm_node *cm_clamp(cm_graph *g, cm_node *x, float lo, float hi)
{
    return unary(g, CM_OP_CLAMP, (cm_attr){.clamp = {lo, hi}}, x);
}
cm_node *cm_relu(cm_graph *g, cm_node *x)
{
    return cm_clamp(g, x, 0.0f, INFINITY);
}
cm_node *cm_silu_grad(cm_graph *g, cm_node *dy, cm_node *x)
{
    return cm_node_new(g, CM_OP_SILU_GRAD, (cm_attr){0}, 2, (cm_node *[]){dy, x});
}
cm_node *cm_clamp_grad(cm_graph *g, cm_node *dy, cm_node *x, float lo, float hi)
{
    return cm_node_new(g, CM_OP_CLAMP_GRAD, (cm_attr){.clamp = {lo, hi}}, 2, (cm_node *[]){dy, x});
}
