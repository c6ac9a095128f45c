/* fuse.c - additions, what keeps the positive part, and slices that disappear into the op that
 * made an operand
 *
 *   conv2d(x, w, bias) + r            -> conv2d(x, w, bias, r)
 *   relu(conv2d(x, w, bias))          -> conv2d(x, w, bias), relu
 *   matmul(a, b) + bias [1,N]         -> matmul(a, b, bias)
 *   group_norm_grad(dy, ..) + r       -> group_norm_grad(dy, .., r)
 *   both slices of group_norm_grad(..) -> views of its two parts
 *
 * so r is read where the result is written, in one rounding.  The op keeps its place
 * in the program and the addition becomes an alias of it; so r must be older than
 * the op, nothing else may read the op's own result, and no leaf may be written
 * between the two.  A fused relu may make 0 of what is no number, which one of its own lets
 * through.  tests/ops/test_fuse.c proves each equal to its composition. */
#include "graph/fuse.h"

#include <math.h>

static void count_readers(const cm_node *node, int n, const char *live, const char *kept,
                          int *readers)
{
    for (int i = 0; i < n; i++)
        readers[i] = kept[i];
    for (int i = 0; i < n; i++)
        for (int k = 0; live[i] && k < node[i].n_in; k++)
            readers[node[i].in[k]->id] += node[i].op != CM_OP_AUX; /* that part is not changed */
}

static int written_between(const cm_node *node, int from, int to)
{
    for (int i = from; i < to; i++)
        if (cm_ops[node[i].op]->writes)
            return 1;
    return 0;
}

static int takes_residual(const cm_node *p)
{
    return (p->op == CM_OP_CONV2D && !p->attr.conv.residual && !p->attr.conv.relu) ||
           (p->op == CM_OP_GROUP_NORM_GRAD && p->n_in == 5);
}

/* [1,N] or a view of it, to be added to each row of p */
static cm_node *bias_of(cm_node *p, cm_node *bias)
{
    const cm_type *t = &bias->type;
    if (p->op != CM_OP_MATMUL || p->n_in != 2 || p->type.rank != 2 || t->dtype != CM_F32 ||
        t->dim[0] != 1 || t->dim[1] != p->type.dim[1])
        return NULL;
    while (bias->op == CM_OP_RESHAPE)
        bias = bias->in[0];
    return bias;
}

/* Nothing but v reads p.  Of copies made for recomputation the originals decide, so that
 * both have the same bits: some readers of an original are not copied. */
static int only_reader(const cm_node *node, const char *live, const int *readers, const cm_node *v,
                       const cm_node *p)
{
    const cm_node *original = &node[v->original];
    if (v->original && live[v->original])
        return original->op == CM_OP_RESHAPE && original->in[0]->id == p->original;
    return readers[p->id] == 1;
}

/* v becomes another name of p, which computes it. */
static void stand_for(cm_node *v, cm_node *p)
{
    *v = (cm_node){.op = CM_OP_RESHAPE,
                   .id = v->id,
                   .n_in = 1,
                   .type = v->type,
                   .attr = {.to = {v->type}},
                   .name = v->name,
                   .in = {p}};
}

/* p takes over what v = p + other adds. */
static int fuse(const cm_node *node, cm_node *v, cm_node *p, cm_node *other)
{
    cm_node *r = NULL;
    if (!cm_type_equal(&p->type, &v->type))
        return 0;
    if (takes_residual(p) && cm_type_equal(&other->type, &v->type))
        r = other;
    else
        r = bias_of(p, other);
    if (!r || r->id >= p->id || written_between(node, p->id, v->id))
        return 0;
    p->in[p->n_in++] = r;
    if (p->op == CM_OP_CONV2D)
        p->attr.conv.residual = 1;
    stand_for(v, p);
    return 1;
}

/* v = relu(p), of a convolution */
static void fuse_relu(cm_node *v)
{
    cm_node *p = v->in[0];
    if (p->op != CM_OP_CONV2D || p->attr.conv.relu || v->attr.clamp.lo != 0.0f ||
        v->attr.clamp.hi != INFINITY)
        return;
    p->attr.conv.relu = 1;
    stand_for(v, p);
}

/* ---- slices ----
 * The cotangents of what a concatenation joined are slices of one tensor, which nothing else
 * reads: where a norm makes it, it writes the two apart. */

/* What computes v, a view of all of it, if nothing else reads that. */
static cm_node *maker_of(cm_node *v, const int *readers)
{
    while (v->op == CM_OP_RESHAPE && cm_type_equal(&v->type, &v->in[0]->type) &&
           readers[v->in[0]->id] == 1)
        v = v->in[0];
    return v;
}

/* The live slice of `all` that has the channels [0, n); NULL: none */
static cm_node *first_slice(cm_node *node, const char *live, int before, const cm_node *all,
                            int64_t n)
{
    for (int i = all->id; i < before; i++) {
        const cm_node *v = &node[i];
        if (live[i] && v->op == CM_OP_SLICE && v->in[0] == all && v->attr.range.begin == 0 &&
            v->attr.range.n == n)
            return &node[i];
    }
    return NULL;
}

/* v: a slice that may be the second one */
static void fuse_slices(cm_node *node, const char *live, const int *readers, cm_node *v)
{
    cm_node *all = v->in[0], *p = maker_of(all, readers);
    const int64_t split = v->attr.range.begin, ch = all->type.dim[all->type.rank - 1];
    const size_t bytes = cm_type_bytes(&all->type) / (size_t)ch * (size_t)split;
    if (p->op != CM_OP_GROUP_NORM_GRAD || readers[all->id] != 2 || split == 0 ||
        split + v->attr.range.n != ch || bytes % 64) /* views are aligned like blocks */
        return;
    cm_node *first = first_slice(node, live, v->id, all, split);
    if (!first)
        return;
    p->split = split;
    stand_for(first, p);
    stand_for(v, p);
    v->op = CM_OP_SECOND;
}

void cm_fuse(cm_node *node, int n, const char *live, const char *kept, int *readers)
{
    count_readers(node, n, live, kept, readers);
    for (int i = 0; i < n; i++) {
        cm_node *v = &node[i], *a = v->in[0], *b = v->in[1];
        if (live[i] && v->op == CM_OP_CLAMP && only_reader(node, live, readers, v, a))
            fuse_relu(v);
        if (!live[i] || v->op != CM_OP_ADD || a == b)
            continue;
        if (!(only_reader(node, live, readers, v, a) && fuse(node, v, a, b)) &&
            only_reader(node, live, readers, v, b))
            fuse(node, v, b, a);
    }
    for (int i = 0; i < n; i++)
        if (live[i] && node[i].op == CM_OP_SLICE)
            fuse_slices(node, live, readers, &node[i]);
}
