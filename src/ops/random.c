/* random.c - noise and dropout as functions of a counter (base/philox.h)
 *
 * Element e of sample s in stream r at step k is lane e mod 4 of
 * Philox(seed; e/4, s, k, r): no state, and the same for any batch split. */
#include "graph/op.h"

static void random_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *r = &n->in[n->n_in - 1]->type;
    if (r->dtype != CM_I32 || cm_type_count(r) != 4)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: rng must be i32 [4]", cm_ops[n->op]->name);
    *out = n->op == CM_OP_DROPOUT ? n->in[0]->type : n->attr.random.type;
}

static void dropout_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_dropout(g, dy, n->in[1], n->attr.random.p, n->attr.random.stream);
}

static cm_node *dropout_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_dropout(g, xdot[0], n->in[1], n->attr.random.p, n->attr.random.stream);
}

cm_node *cm_normal(cm_graph *g, cm_node *rng, cm_type type, uint32_t stream)
{
    return cm_node_new(g, CM_OP_NORMAL, (cm_attr){.random = {type, stream, 0.0f}}, 1, &rng);
}

cm_node *cm_random_uniform(cm_graph *g, cm_node *rng, cm_type type, uint32_t stream)
{
    return cm_node_new(g, CM_OP_UNIFORM, (cm_attr){.random = {type, stream, 0.0f}}, 1, &rng);
}

cm_node *cm_dropout(cm_graph *g, cm_node *x, cm_node *rng, float p, uint32_t stream)
{
    if (p <= 0.0f)
        return x;
    if (!(p < 1.0f))
        cm_graph_fail(g, CM_ERR_ARGUMENT, "dropout: probability %g, expected below 1", (double)p);
    return cm_node_new(g, CM_OP_DROPOUT, (cm_attr){.random = {x->type, stream, p}}, 2,
                       (cm_node *[]){x, rng});
}

const cm_op cm_op_normal = {.name = "normal", .n_in = 1, .infer = random_infer};
const cm_op cm_op_uniform = {.name = "uniform", .n_in = 1, .infer = random_infer};
const cm_op cm_op_dropout = {.name = "dropout",
                             .n_in = 2,
                             .infer = random_infer,
                             .vjp = dropout_vjp,
                             .jvp = dropout_jvp,
                             .inplace = 1u << 0};
