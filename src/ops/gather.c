/* gather.c - rows of a table (class embeddings), and the adjoint */
#include "graph/op.h"

static void gather_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *t = &n->in[0]->type, *i = &n->in[1]->type;
    char st[96], si[96];
    if (t->rank != 2 || t->dtype != CM_F32 || i->rank != 1 || i->dtype != CM_I32)
        cm_graph_fail(g, CM_ERR_SHAPE,
                      "gather: table %s %s, indices %s %s; expected f32 [K,D] and i32 [N]",
                      cm_dtype_name(t->dtype), cm_type_text(st, sizeof st, t),
                      cm_dtype_name(i->dtype), cm_type_text(si, sizeof si, i));
    *out = CM_TYPE(t->dtype, i->dim[0], t->dim[1]);
}

static void gather_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_scatter_add(g, dy, n->in[1], n->in[0]->type);
}

static cm_node *gather_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return xdot[0] ? cm_gather(g, xdot[0], n->in[1]) : NULL;
}

static void scatter_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->attr.to.type;
}

static void scatter_vjp(cm_graph *g, cm_node *n, cm_node *d, cm_node **dx)
{
    dx[0] = cm_gather(g, d, n->in[1]);
}

static cm_node *scatter_jvp(cm_graph *g, cm_node *n, cm_node *const *dot)
{
    return dot[0] ? cm_scatter_add(g, dot[0], n->in[1], n->type) : NULL;
}

cm_node *cm_gather(cm_graph *g, cm_node *table, cm_node *index)
{
    return cm_node_new(g, CM_OP_GATHER, (cm_attr){0}, 2, (cm_node *[]){table, index});
}

cm_node *cm_scatter_add(cm_graph *g, cm_node *dy, cm_node *index, cm_type table)
{
    return cm_node_new(g, CM_OP_SCATTER_ADD, (cm_attr){.to = {table}}, 2, (cm_node *[]){dy, index});
}

const cm_op cm_op_gather = {
    .name = "gather", .n_in = 2, .infer = gather_infer, .vjp = gather_vjp, .jvp = gather_jvp};
const cm_op cm_op_scatter_add = {.name = "scatter_add",
                                 .n_in = 2,
                                 .infer = scatter_infer,
                                 .vjp = scatter_vjp,
                                 .jvp = scatter_jvp};
