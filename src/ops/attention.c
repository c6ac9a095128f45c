/* attention.c - y = P V, P = softmax(S), S = Q K^T / sqrt(d), for each head
 *
 * (Vaswani et al. 2017, section 3.2.)  One op, so that a device need not keep S and P
 * of a whole sequence: [T,T] for each head, where everything else is [T,d].
 *
 * With dP = dy V^T, and <a,b> the sum of a row of products:
 *   dV = P^T dy,   dS = P (dP - <P,dP>),   dQ = dS K / sqrt(d),   dK = dS^T Q / sqrt(d)
 *   Sdot = (Qdot K^T + Q Kdot^T) / sqrt(d),   Pdot = P (Sdot - <P,Sdot>),
 *   ydot = Pdot V + P Vdot
 * softmax's Jacobian is symmetric, so dS comes from dP as Pdot from Sdot. */
#include "graph/op.h"

#include "base/text.h"

#include <inttypes.h>

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
const cm_op cm_op_attention_jvp = {.name = "attention_jvp", .n_in = 2, .infer = attention_infer};
