/* update.c - ops that end a training step: write gradients, test them, move the
 * parameters and their averages.  They modify leaves and have no derivative.
 *
 * RAdam: Liu et al. 2019 (arXiv 1908.03265), in PyTorch's form; AdamW:
 * Loshchilov and Hutter 2017 (arXiv 1711.05101). */
#include "graph/op.h"

static void store_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    char a[96], b[96];
    if (!cm_type_equal(&n->in[1]->type, &n->in[0]->type))
        cm_graph_fail(
            g, CM_ERR_SHAPE, "store: %s %s into %s %s", cm_dtype_name(n->in[0]->type.dtype),
            cm_type_text(a, sizeof a, &n->in[0]->type), cm_dtype_name(n->in[1]->type.dtype),
            cm_type_text(b, sizeof b, &n->in[1]->type));
    *out = n->in[1]->type;
}

static void sum_squares_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    if (n->in[0]->type.dtype != CM_F32)
        cm_graph_fail(g, CM_ERR_SHAPE, "sum_squares: %s, expected f32",
                      cm_dtype_name(n->in[0]->type.dtype));
    *out = CM_TYPE(CM_F32, (cm_type_count(&n->in[0]->type) + CM_SQUARES - 1) / CM_SQUARES);
}

static void update_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int states = n->op == CM_OP_EMA ? 2 : 4;
    char a[96], b[96];
    for (int i = 0; i < states; i++)
        if (!cm_type_equal(&n->in[i]->type, &n->in[0]->type) || n->in[i]->type.dtype != CM_F32)
            cm_graph_fail(g, CM_ERR_SHAPE, "%s: operand %d is %s %s, expected f32 %s as the first",
                          cm_ops[n->op]->name, i, cm_dtype_name(n->in[i]->type.dtype),
                          cm_type_text(b, sizeof b, &n->in[i]->type),
                          cm_type_text(a, sizeof a, &n->in[0]->type));
    for (int i = states; i < n->n_in; i++) { /* hyper [2], weight [1], gate [1] */
        const int64_t count = n->op != CM_OP_EMA && i == states ? 2 : 1;
        if (n->in[i]->type.dtype != CM_F32 || cm_type_count(&n->in[i]->type) != count)
            cm_graph_fail(g, CM_ERR_SHAPE, "%s: operand %d is %s %s, expected %d f32",
                          cm_ops[n->op]->name, i, cm_dtype_name(n->in[i]->type.dtype),
                          cm_type_text(b, sizeof b, &n->in[i]->type), (int)count);
    }
    *out = n->in[0]->type;
}

cm_node *cm_store(cm_graph *g, cm_node *value, cm_node *leaf)
{
    return cm_node_new(g, CM_OP_STORE, (cm_attr){0}, 2, (cm_node *[]){value, leaf});
}

cm_node *cm_sum_squares(cm_graph *g, cm_node *x)
{
    return cm_node_new(g, CM_OP_SUM_SQUARES, (cm_attr){0}, 1, &x);
}

cm_node *cm_radam(cm_graph *g, cm_node *p, cm_node *m, cm_node *v, cm_node *grad, cm_node *hyper,
                  cm_node *gate, cm_optimizer_attr a)
{
    return cm_node_new(g, CM_OP_RADAM, (cm_attr){.optimizer = a}, 6,
                       (cm_node *[]){p, m, v, grad, hyper, gate});
}

cm_node *cm_adamw(cm_graph *g, cm_node *p, cm_node *m, cm_node *v, cm_node *grad, cm_node *hyper,
                  cm_node *gate, cm_optimizer_attr a)
{
    return cm_node_new(g, CM_OP_ADAMW, (cm_attr){.optimizer = a}, 6,
                       (cm_node *[]){p, m, v, grad, hyper, gate});
}

cm_node *cm_ema(cm_graph *g, cm_node *average, cm_node *p, cm_node *weight, cm_node *gate)
{
    return cm_node_new(g, CM_OP_EMA, (cm_attr){0}, 4, (cm_node *[]){average, p, weight, gate});
}

const cm_op cm_op_store = {.name = "store", .n_in = 2, .infer = store_infer, .writes = 1u << 1};
const cm_op cm_op_sum_squares = {.name = "sum_squares", .n_in = 1, .infer = sum_squares_infer};
const cm_op cm_op_radam = {.name = "radam", .n_in = 6, .infer = update_infer, .writes = 7u};
const cm_op cm_op_adamw = {.name = "adamw", .n_in = 6, .infer = update_infer, .writes = 7u};
const cm_op cm_op_ema = {.name = "ema", .n_in = 4, .infer = update_infer, .writes = 1u};
