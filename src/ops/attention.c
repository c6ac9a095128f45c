/* attention.c - y = P V, P = softmax(S), S = Q K^T / sqrt(d), for each head
 *
 * (Vaswani et al. 2017, section 3.2.)  One op, so that a device need not keep S and P
 * of a whole sequence: [T,T] for each head, where everything else is [T,d].
 *
 * With dP = dy V^T, and <a,b> the sum of a row of products:
 *   dV = P^T dy,   dS = P (dP - <P,dP>),   dQ = dS K / sqrt(d),   dK = dS^T Q / sqrt(d)
 *   Sdot = (Qdot K^T + Q Kdot^T) / sqrt(d),   Pdot = P (Sdot - <P,Sdot>),
 *   ydot = Pdot V + P Vdot
 * softmax's Jacobian is symmetric, so dS comes from dP as Pdot from Sdot.
 *
 * A cotangent d of ydot makes of the tangent what it makes as one of y, and of q, k and v the
 * tangent of that, since second derivatives commute: with dS and dP of d, dPdot = d Vdot^T and
 *   dSdot = P (dPdot - <P,dPdot>) + Pdot (dP - <P,dP>) - P <Pdot,dP>
 *   dQ = (dSdot K + dS Kdot) / sqrt(d),  dK = (dSdot^T Q + dS^T Qdot) / sqrt(d),  dV = Pdot^T d
 * made of matrix products in f32: the matrices of scores of a whole batch are in memory there. */
#include "graph/op.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>

/* attention: qkv; attention_grad: dy, qkv; attention_jvp: qkvdot, qkv */
static void attention_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *qkv = &n->in[n->n_in - 1]->type;
    const int64_t heads = n->attr.attention.heads;
    char text[96];
    *out = *qkv;
    if (qkv->rank != 3 || qkv->dtype == CM_I32 || heads < 1 || qkv->dim[2] % (3 * heads)) {
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: q, k and v of %" PRId64 " head%s in %s",
                      cm_ops[n->op]->name, heads, cm_plural(heads),
                      cm_type_text(text, sizeof text, qkv));
        return;
    }
    cm_type y = *qkv;
    y.dim[2] /= 3;
    if (n->n_in == 2 && !cm_type_equal(&n->in[0]->type, n->op == CM_OP_ATTENTION_GRAD ? &y : qkv))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: the operands differ in type", cm_ops[n->op]->name);
    if (n->op != CM_OP_ATTENTION_GRAD)
        *out = y;
}

static void attention_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_node_new(g, CM_OP_ATTENTION_GRAD, n->attr, 2, (cm_node *[]){dy, n->in[0]});
}

static cm_node *attention_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_node_new(g, CM_OP_ATTENTION_JVP, n->attr, 2, (cm_node *[]){xdot[0], n->in[0]});
}

/* ---- the cotangent of q, k and v of a tangent ---- */

/* Channels of [N,T,parts C], a part of them, as f32 [N,heads,T,d] */
static cm_node *part_of(cm_graph *g, cm_node *x, int64_t part, int64_t parts, int64_t heads)
{
    const cm_type *t = &x->type;
    const int64_t c = t->dim[2] / parts;
    x = cm_cast(g, cm_slice(g, x, part * c, c), CM_F32);
    return cm_swap12(g, CM_RESHAPE(g, x, t->dim[0], t->dim[1], heads, c / heads));
}

/* and back to [N,T,C] */
static cm_node *joined(cm_graph *g, cm_node *x)
{
    const cm_type t = x->type;
    return CM_RESHAPE(g, cm_swap12(g, x), t.dim[0], t.dim[2], t.dim[1] * t.dim[3]);
}

static cm_node *sum_of_two(cm_graph *g, cm_node *a, cm_node *b, float scale)
{
    return cm_affine(g, cm_add(g, a, b), scale, 0.0f);
}

static cm_node *sum_of_rows(cm_graph *g, cm_node *a, cm_node *b)
{
    const cm_type t = a->type;
    return cm_sum_to(g, cm_mul(g, a, b), CM_TYPE(CM_F32, t.dim[0], t.dim[1], t.dim[2], 1));
}

static cm_node *second(cm_graph *g, cm_node *qkvdot, cm_node *qkv, cm_node *dy, int64_t heads)
{
    cm_node *x[3], *xdot[3], *d = part_of(g, dy, 0, 1, heads);
    for (int i = 0; i < 3; i++) {
        x[i] = part_of(g, qkv, i, 3, heads);
        xdot[i] = part_of(g, qkvdot, i, 3, heads);
    }
    const float scale = 1.0f / sqrtf((float)d->type.dim[3]);
    cm_node *p = cm_softmax(g, cm_affine(g, cm_matmul(g, x[0], x[1], 0, 1), scale, 0.0f));
    cm_node *sdot =
        sum_of_two(g, cm_matmul(g, xdot[0], x[1], 0, 1), cm_matmul(g, x[0], xdot[1], 0, 1), scale);
    cm_node *pdot = cm_softmax_grad(g, sdot, p), *dp = cm_matmul(g, d, x[2], 0, 1);
    cm_node *centred = cm_sub(g, dp, sum_of_rows(g, p, dp)), *ds = cm_mul(g, p, centred);
    cm_node *dsdot =
        cm_add(g, cm_softmax_grad(g, cm_matmul(g, d, xdot[2], 0, 1), p),
               cm_sub(g, cm_mul(g, pdot, centred), cm_mul(g, p, sum_of_rows(g, pdot, dp))));
    cm_node *dq =
        sum_of_two(g, cm_matmul(g, dsdot, x[1], 0, 0), cm_matmul(g, ds, xdot[1], 0, 0), scale);
    cm_node *dk =
        sum_of_two(g, cm_matmul(g, dsdot, x[0], 1, 0), cm_matmul(g, ds, xdot[0], 1, 0), scale);
    cm_node *dv = cm_matmul(g, pdot, d, 1, 0);
    return cm_concat(g, cm_concat(g, joined(g, dq), joined(g, dk)), joined(g, dv));
}

static void attention_jvp_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *qkvdot = n->in[0], *qkv = n->in[1];
    dx[0] = cm_node_new(g, CM_OP_ATTENTION_GRAD, n->attr, 2, (cm_node *[]){dy, qkv});
    dx[1] = cm_cast(g, second(g, qkvdot, qkv, dy, n->attr.attention.heads), qkv->type.dtype);
}

cm_node *cm_attention(cm_graph *g, cm_node *qkv, int64_t heads)
{
    const cm_attr attr = {.attention = {heads}};
    return cm_node_new(g, CM_OP_ATTENTION, attr, 1, &qkv);
}

const cm_op cm_op_attention = {.name = "attention",
                               .n_in = 1,
                               .infer = attention_infer,
                               .vjp = attention_vjp,
                               .jvp = attention_jvp};
const cm_op cm_op_attention_grad = {.name = "attention_grad", .n_in = 2, .infer = attention_infer};
const cm_op cm_op_attention_jvp = {
    .name = "attention_jvp", .n_in = 2, .infer = attention_infer, .vjp = attention_jvp_vjp};
