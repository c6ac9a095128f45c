/* matmul.c - y = op(a) @ op(b), op(m) = m or its transpose, over leading dims
 *
 * Bilinear, hence closed under differentiation: with A = op(a), B = op(b)
 *   jvp   ydot = Adot @ B + A @ Bdot
 *   vjp   dA   = dy @ B^T,  dB = A^T @ dy   (and transposed back for ta, tb)
 * Fusion gives it a third input, the bias of a linear layer (graph/fuse.c). */
#include "graph/op.h"

static void matmul_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *a = &n->in[0]->type, *b = &n->in[1]->type;
    const int ta = n->attr.matmul.ta, tb = n->attr.matmul.tb, r = a->rank;
    char sa[96], sb[96];
    int ok = r >= 2 && r == b->rank && a->dtype == b->dtype && a->dtype != CM_I32;
    ok = ok && a->dim[r - 1 - ta] == b->dim[r - 2 + tb];
    for (int i = 0; i < r - 2 && ok; i++)
        ok = a->dim[i] == b->dim[i];
    if (!ok) {
        cm_graph_fail(g, CM_ERR_SHAPE, "matmul: %s%s @ %s%s", cm_type_text(sa, sizeof sa, a),
                      ta ? "^T" : "", cm_type_text(sb, sizeof sb, b), tb ? "^T" : "");
        return;
    }
    *out = *a;
    out->dim[r - 2] = a->dim[r - 2 + ta];
    out->dim[r - 1] = b->dim[r - 1 - tb];
}

static void matmul_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    cm_node *a = n->in[0], *b = n->in[1];
    const int ta = n->attr.matmul.ta, tb = n->attr.matmul.tb;
    dx[0] = ta ? cm_matmul(g, b, dy, tb, 1) : cm_matmul(g, dy, b, 0, !tb);
    dx[1] = tb ? cm_matmul(g, dy, a, 1, ta) : cm_matmul(g, a, dy, !ta, 0);
}

static cm_node *matmul_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    const int ta = n->attr.matmul.ta, tb = n->attr.matmul.tb;
    return cm_add_or_null(g, xdot[0] ? cm_matmul(g, xdot[0], n->in[1], ta, tb) : NULL,
                          xdot[1] ? cm_matmul(g, n->in[0], xdot[1], ta, tb) : NULL);
}

cm_node *cm_matmul(cm_graph *g, cm_node *a, cm_node *b, int ta, int tb)
{
    return cm_node_new(g, CM_OP_MATMUL, (cm_attr){.matmul = {!!ta, !!tb}}, 2, (cm_node *[]){a, b});
}

const cm_op cm_op_matmul = {
    .name = "matmul", .n_in = 3, .infer = matmul_infer, .vjp = matmul_vjp, .jvp = matmul_jvp};
