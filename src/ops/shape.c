/* shape.c - ops that move or repeat elements: linear, so jvp is the op itself
 * and vjp is its transpose, which is another op of this file:
 *   broadcast_to <-> sum_to      concat -> two slices      slice <-> pad
 *   upsample2 <-> sumpool2       swap12 and reshape: their own inverses
 * and stop_gradient, which has neither */
#include "graph/op.h"

#include <inttypes.h>

/* ---- reshape ---- */

static void reshape_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    char a[96], b[96];
    *out = n->attr.to.type;
    out->dtype = n->in[0]->type.dtype;
    if (out->rank > CM_MAX_RANK)
        cm_graph_fail(g, CM_ERR_SHAPE, "reshape: rank %d, expected at most %d", out->rank,
                      CM_MAX_RANK);
    if (cm_type_count(out) != cm_type_count(&n->in[0]->type))
        cm_graph_fail(g, CM_ERR_SHAPE, "reshape: %s has not as many elements as %s",
                      cm_type_text(a, sizeof a, &n->in[0]->type), cm_type_text(b, sizeof b, out));
}

static void reshape_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_reshape(g, dy, n->in[0]->type.rank, n->in[0]->type.dim);
}

static cm_node *reshape_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_reshape(g, xdot[0], n->type.rank, n->type.dim);
}

cm_node *cm_reshape(cm_graph *g, cm_node *x, int rank, const int64_t *dim)
{
    const cm_attr attr = {.to = {cm_type_make(x->type.dtype, rank, dim)}};
    return cm_node_new(g, CM_OP_RESHAPE, attr, 1, &x);
}

const cm_op cm_op_reshape = {.name = "reshape",
                             .n_in = 1,
                             .infer = reshape_infer,
                             .vjp = reshape_vjp,
                             .jvp = reshape_jvp,
                             .alias = 1};

/* ---- stop_gradient: an alias, whose input no derivative reaches ---- */

static void same_type(cm_graph *g, const cm_node *n, cm_type *out)
{
    (void)g;
    *out = n->in[0]->type;
}

cm_node *cm_stop_gradient(cm_graph *g, cm_node *x)
{
    return cm_node_new(g, CM_OP_STOP_GRADIENT, (cm_attr){0}, 1, &x);
}

const cm_op cm_op_stop_gradient = {
    .name = "stop_gradient", .n_in = 1, .infer = same_type, .alias = 1, .stops = 1};

/* ---- broadcast_to and sum_to ---- */

/* small repeats to large along axes where small is 1 */
static void repeat_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int down = n->op == CM_OP_SUM_TO;
    const cm_type *x = &n->in[0]->type, *y = &n->attr.to.type;
    const cm_type *small = down ? y : x, *large = down ? x : y;
    char a[96], b[96];
    *out = *y;
    int ok = x->rank == y->rank;
    for (int i = 0; i < x->rank && ok; i++)
        ok = small->dim[i] == large->dim[i] || small->dim[i] == 1;
    if (!ok)
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %s to %s", cm_ops[n->op]->name,
                      cm_type_text(a, sizeof a, x), cm_type_text(b, sizeof b, y));
}

static void broadcast_to_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_sum_to(g, dy, n->in[0]->type);
}
static void sum_to_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_broadcast_to(g, dy, n->in[0]->type);
}
static cm_node *broadcast_to_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_broadcast_to(g, xdot[0], n->type);
}
static cm_node *sum_to_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_sum_to(g, xdot[0], n->type);
}

cm_node *cm_broadcast_to(cm_graph *g, cm_node *x, cm_type type)
{
    return cm_node_new(g, CM_OP_BROADCAST_TO, (cm_attr){.to = {type}}, 1, &x);
}
cm_node *cm_zeros(cm_graph *g, cm_type type)
{
    return cm_broadcast_to(g, cm_scalar(g, type.rank, 0.0f), type);
}
cm_node *cm_sum_to(cm_graph *g, cm_node *x, cm_type type)
{
    return cm_node_new(g, CM_OP_SUM_TO, (cm_attr){.to = {type}}, 1, &x);
}

const cm_op cm_op_broadcast_to = {.name = "broadcast_to",
                                  .n_in = 1,
                                  .infer = repeat_infer,
                                  .vjp = broadcast_to_vjp,
                                  .jvp = broadcast_to_jvp};
const cm_op cm_op_sum_to = {
    .name = "sum_to", .n_in = 1, .infer = repeat_infer, .vjp = sum_to_vjp, .jvp = sum_to_jvp};

/* ---- concat, slice, pad: the last axis ---- */

static int64_t *last(cm_type *t)
{
    return &t->dim[t->rank - 1];
}

static void concat_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    cm_type a = n->in[0]->type, b = n->in[1]->type;
    char ta[96], tb[96];
    *out = a;
    *last(out) = *last(&a) + *last(&b);
    *last(&b) = *last(&a);
    if (!cm_type_equal(&a, &b))
        cm_graph_fail(g, CM_ERR_SHAPE, "concat: %s %s and %s %s differ before the last axis",
                      cm_dtype_name(a.dtype), cm_type_text(ta, sizeof ta, &n->in[0]->type),
                      cm_dtype_name(b.dtype), cm_type_text(tb, sizeof tb, &n->in[1]->type));
}

static void concat_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    const int64_t a = *last(&n->in[0]->type), b = *last(&n->in[1]->type);
    dx[0] = cm_slice(g, dy, 0, a);
    dx[1] = cm_slice(g, dy, a, b);
}

static cm_node *concat_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_concat(g, xdot[0] ? xdot[0] : cm_zeros(g, n->in[0]->type),
                     xdot[1] ? xdot[1] : cm_zeros(g, n->in[1]->type));
}

static void range_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const int64_t begin = n->attr.range.begin, count = n->attr.range.n;
    *out = n->in[0]->type;
    const int64_t c = *last(out);
    const int64_t end = n->op == CM_OP_SLICE ? begin + count : begin + c;
    if (begin < 0 || count < 1 || end > (n->op == CM_OP_SLICE ? c : count))
        cm_graph_fail(g, CM_ERR_SHAPE,
                      "%s: begin %" PRId64 ", n %" PRId64 " with %" PRId64 " channels",
                      cm_ops[n->op]->name, begin, count, c);
    *last(out) = count;
}

static void slice_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_pad(g, dy, n->attr.range.begin, *last(&n->in[0]->type));
}
static void pad_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_slice(g, dy, n->attr.range.begin, *last(&n->in[0]->type));
}
static cm_node *range_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_node_new(g, n->op, n->attr, 1, xdot);
}

cm_node *cm_concat(cm_graph *g, cm_node *a, cm_node *b)
{
    return cm_node_new(g, CM_OP_CONCAT, (cm_attr){0}, 2, (cm_node *[]){a, b});
}
cm_node *cm_slice(cm_graph *g, cm_node *x, int64_t begin, int64_t n)
{
    return cm_node_new(g, CM_OP_SLICE, (cm_attr){.range = {begin, n}}, 1, &x);
}
cm_node *cm_pad(cm_graph *g, cm_node *x, int64_t begin, int64_t total)
{
    return cm_node_new(g, CM_OP_PAD, (cm_attr){.range = {begin, total}}, 1, &x);
}

const cm_op cm_op_concat = {
    .name = "concat", .n_in = 2, .infer = concat_infer, .vjp = concat_vjp, .jvp = concat_jvp};
const cm_op cm_op_slice = {
    .name = "slice", .n_in = 1, .infer = range_infer, .vjp = slice_vjp, .jvp = range_jvp};
const cm_op cm_op_pad = {
    .name = "pad", .n_in = 1, .infer = range_infer, .vjp = pad_vjp, .jvp = range_jvp};

/* ---- swap12 ---- */

static void swap12_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[0]->type;
    if (x->rank != 4)
        cm_graph_fail(g, CM_ERR_SHAPE, "swap12: rank %d, expected 4", x->rank);
    *out = CM_TYPE(x->dtype, x->dim[0], x->dim[2], x->dim[1], x->dim[3]);
}
static void swap12_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    (void)n;
    dx[0] = cm_swap12(g, dy);
}
static cm_node *swap12_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    (void)n;
    return cm_swap12(g, xdot[0]);
}
cm_node *cm_swap12(cm_graph *g, cm_node *x)
{
    return cm_node_new(g, CM_OP_SWAP12, (cm_attr){0}, 1, &x);
}

const cm_op cm_op_swap12 = {
    .name = "swap12", .n_in = 1, .infer = swap12_infer, .vjp = swap12_vjp, .jvp = swap12_jvp};

/* ---- upsample2 and sumpool2 ---- */

static void resample_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_type *x = &n->in[0]->type;
    const int up = n->op == CM_OP_UPSAMPLE2;
    char a[96];
    if (x->rank != 4 || (!up && (x->dim[1] % 2 || x->dim[2] % 2)))
        cm_graph_fail(g, CM_ERR_SHAPE, "%s: %s, expected [N,H,W,C]%s", cm_ops[n->op]->name,
                      cm_type_text(a, sizeof a, x), up ? "" : " with even H and W");
    *out = up ? CM_TYPE(x->dtype, x->dim[0], 2 * x->dim[1], 2 * x->dim[2], x->dim[3])
              : CM_TYPE(x->dtype, x->dim[0], x->dim[1] / 2, x->dim[2] / 2, x->dim[3]);
}
static void upsample2_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_sumpool2(g, dy, n->attr.affine.scale);
}
static void sumpool2_vjp(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx)
{
    dx[0] = cm_upsample2(g, dy, n->attr.affine.scale);
}
static cm_node *resample_jvp(cm_graph *g, cm_node *n, cm_node *const *xdot)
{
    return cm_node_new(g, n->op, n->attr, 1, xdot);
}
cm_node *cm_upsample2(cm_graph *g, cm_node *x, float scale)
{
    return cm_node_new(g, CM_OP_UPSAMPLE2, (cm_attr){.affine = {scale, 0.0f}}, 1, &x);
}
cm_node *cm_sumpool2(cm_graph *g, cm_node *x, float scale)
{
    return cm_node_new(g, CM_OP_SUMPOOL2, (cm_attr){.affine = {scale, 0.0f}}, 1, &x);
}

const cm_op cm_op_upsample2 = {.name = "upsample2",
                               .n_in = 1,
                               .infer = resample_infer,
                               .vjp = upsample2_vjp,
                               .jvp = resample_jvp};
const cm_op cm_op_sumpool2 = {.name = "sumpool2",
                              .n_in = 1,
                              .infer = resample_infer,
                              .vjp = sumpool2_vjp,
                              .jvp = resample_jvp};
