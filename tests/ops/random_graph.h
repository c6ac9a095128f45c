/* random_graph.h - a graph from a seed, over all of the op table
 *
 * A pool of images [N,H,W,C] in f32 to which each move adds one, made of some of the pool: so
 * everything may be read again, and most moves are a few ops of another shape or dtype.
 * Values stay within about +-2.  Moves that write change leaves of one buffer that overlap. */
#ifndef CM_TESTS_RANDOM_GRAPH_H
#define CM_TESTS_RANDOM_GRAPH_H

#include "plan_check.h"

enum { N = 2, H = 4, W = 4, C = 8, ROWS = N * H * W, VIEWS = 3, WEIGHTS = 4, POOL = 96 };
enum { CLASSES = 5, NODES = 420 }; /* no move begins with more nodes than that */

typedef struct random_graph {
    cm_graph *g;
    cm_type image;
    cm_node *pool[POOL];
    int n;
    char ruled[8 * NODES]; /* by node id: the walks, BY_..., that no rule is missing for on the way
                              to it */
    int n_ruled;
    cm_node *whole;                             /* of the buffer that is written */
    cm_node *view[VIEWS];                       /* images in it: the last overlaps both others */
    cm_node *param[4];                          /* matrices in it: p, m, v, average */
    cm_node *kernel[WEIGHTS], *point[2], *wide; /* weights 3x3, 1x1, and 3x3 to 2C */
    cm_node *matrix[2], *bias[2], *affine[2], *table, *index, *rng, *hyper;
    uint32_t stream;
} random_graph;

/* ---- leaves ---- */

static inline void leaves_new(random_graph *r)
{
    cm_graph *g = r->g;
    const int state = cm_graph_buffer(g, "state", CM_BUFFER_OWN);
    const int fixed = cm_graph_buffer(g, "fixed", CM_BUFFER_OWN | CM_BUFFER_CONST);
    const cm_type kernel = CM_TYPE(CM_F32, C, C, 3, 3), matrix = CM_TYPE(CM_F32, C, C);
    const size_t row = C * sizeof(float), bytes = ROWS * row;
    r->whole = cm_leaf(g, state, 0, CM_TYPE(CM_F32, 2 * ROWS + 4 * C, C), "state");
    for (int i = 0; i < VIEWS; i++)
        r->view[i] = cm_leaf(g, state, i < 2 ? (size_t)i * bytes : 13 * row, r->image, "view");
    for (int i = 0; i < 4; i++)
        r->param[i] = cm_leaf(g, state, 2 * bytes + (size_t)i * C * row, matrix, "param");
    for (int i = 0; i < 2; i++) {
        const int constant = i == 0;
        size_t at = 0;
#define LEAF(name, type)                                                    \
    (constant ? cm_leaf(g, fixed, (at += 4096) - 4096, type, name "_fixed") \
              : cm_input(g, name, type))
        r->pool[r->n++] = LEAF("x", r->image);
        r->kernel[2 * i] = LEAF("kernel", kernel);
        r->kernel[2 * i + 1] = LEAF("kernel", kernel);
        r->point[i] = LEAF("point", CM_TYPE(CM_F32, C, C, 1, 1));
        r->matrix[i] = LEAF("matrix", matrix);
        r->bias[i] = LEAF("bias", CM_TYPE(CM_F32, C));
        r->affine[i] = LEAF("affine", CM_TYPE(CM_F32, 1, C));
#undef LEAF
    }
    r->wide = cm_input(g, "wide", CM_TYPE(CM_F32, 2 * C, C, 3, 3));
    r->table = cm_input(g, "table", CM_TYPE(CM_F32, CLASSES, ROWS * C / 4));
    r->index = cm_input(g, "index", CM_TYPE(CM_I32, 4));
    r->rng = cm_input(g, "rng", CM_TYPE(CM_I32, 4));
    r->hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
}

/* ---- what moves use ---- */

static inline cm_node *pick(const random_graph *r)
{
    return r->pool[below(3) ? r->n - 1 - below(r->n < 4 ? r->n : 4) : below(r->n)];
}

/* A view of a leaf shows what is written to it. */
static inline cm_node *pick_value(random_graph *r)
{
    cm_node *a = pick(r);
    const cm_node *base = cm_view_base(a);
    const int leaf = base->op == CM_OP_LEAF || cm_ops[base->op]->writes;
    return leaf ? cm_affine(r->g, a, 0.5f, 0.25f) : a;
}

/* Reads and writes the leaf: the average of it and a value, of no other part of that buffer. */
static inline cm_node *mix_into(random_graph *r, cm_node *v, cm_node *leaf)
{
    return cm_ema(r->g, leaf, v, cm_scalar(r->g, 1, 0.25f), cm_scalar(r->g, 1, 0.0f));
}

static inline cm_node *as_image(random_graph *r, cm_node *x)
{
    return cm_reshape(r->g, x, 4, r->image.dim);
}

static inline cm_node *as_rows(random_graph *r, cm_node *x)
{
    return CM_RESHAPE(r->g, x, ROWS, C);
}

static inline cm_node *bounded(random_graph *r, cm_node *x)
{
    switch (below(3)) {
    case 0:
        return cm_sin(r->g, x);
    case 1:
        return cm_clamp(r->g, x, -2.0f, 2.0f);
    default:
        return cm_clamp(r->g, cm_affine(r->g, x, 0.5f, 0.1f), -1.5f, 1.5f);
    }
}

static inline cm_node *sum_of(random_graph *r, cm_node *a, cm_node *b)
{
    return below(2) ? cm_add(r->g, a, b) : cm_add(r->g, b, a);
}

/* A fixed value, a view of one, or what is computed from a view: all before any run. */
static inline cm_node *scalar(random_graph *r, float v)
{
    cm_node *view = CM_RESHAPE(r->g, cm_scalar(r->g, 1, v), 1, 1, 1, 1);
    const int which = (int)below(3);
    return which == 0   ? cm_scalar(r->g, 4, v)
           : which == 1 ? view
                        : cm_affine(r->g, view, 0.5f, 0.1f);
}

static inline cm_node *random_kernel(random_graph *r)
{
    cm_node *w = r->kernel[below(WEIGHTS)];
    return below(3) ? w : cm_affine(r->g, below(2) ? w : cm_sin(r->g, w), 0.5f, 0.0f);
}

static inline cm_node *random_conv(random_graph *r, cm_node *x)
{
    cm_node *bias = below(2) ? r->bias[below(2)] : NULL;
    if (!below(3))
        return cm_conv2d(r->g, x, r->point[below(2)], bias, 1, 0);
    return cm_conv2d(r->g, x, random_kernel(r), bias, 1, 1);
}

/* [1,C], or of each sample [N,C] */
static inline cm_node *random_affine(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *a = r->affine[below(2)];
    if (below(2))
        return cm_affine(g, a, 0.5f, 0.5f);
    cm_node *sum = cm_sum_to(g, pick(r), CM_TYPE(CM_F32, N, 1, 1, C));
    return cm_affine(g, CM_RESHAPE(g, sum, N, C), 0.05f, 0.5f);
}

static inline cm_node *random_norm(random_graph *r, cm_node *x)
{
    cm_node *a = random_affine(r), *b = random_affine(r);
    if (!cm_type_equal(cm_node_type(a), cm_node_type(b)))
        b = cm_broadcast_to(r->g, cm_affine(r->g, r->affine[0], 0.5f, 0.0f), *cm_node_type(a));
    return cm_group_norm(r->g, x, a, b, 1 << below(3), 0.05f, below(2));
}

/* ---- moves ---- */

static inline cm_node *move_binary(random_graph *r)
{
    cm_node *a = pick(r), *b = below(4) ? pick(r) : a;
    if (!below(3)) { /* an operand that is repeated */
        const cm_type t = CM_TYPE(CM_F32, below(2) ? N : 1, below(2) ? H : 1, 1, below(2) ? C : 1);
        b = cm_affine(r->g, cm_sum_to(r->g, b, t), 0.05f, 0.0f);
    }
    b = below(3) ? sum_of(r, a, b) : below(2) ? cm_mul(r->g, a, b) : cm_sub(r->g, b, a);
    return bounded(r, b);
}

static inline cm_node *move_unary(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *a = pick(r), *b = pick(r);
    switch (below(9)) {
    case 0:
        return cm_silu(g, cm_sin(g, a));
    case 1:
        return bounded(r, cm_exp(g, cm_clamp(g, a, -2.0f, 1.0f)));
    case 2:
        return cm_log(g, cm_clamp(g, cm_abs(g, a), 0.25f, 2.0f));
    case 3:
        return cm_pow(g, cm_affine(g, cm_cos(g, a), 0.5f, 1.0f), below(2) ? 2.0f : -0.5f);
    case 4:
        a = cm_mul(g, cm_sign(g, a), scalar(r, 0.75f));
        return cm_add(g, a, cm_floor(g, cm_clamp(g, b, -1.0f, 1.0f)));
    case 5:
        return bounded(r, cm_silu_grad(g, a, below(2) ? a : b));
    case 6:
        return cm_clamp_grad(g, a, below(2) ? a : b, -0.5f, 0.5f);
    case 7:
        return cm_stop_gradient(g, a);
    default: /* views of views, each the last reader of the one before */
        a = CM_RESHAPE(g, cm_affine(g, CM_RESHAPE(g, a, C, ROWS), -0.5f, 0.1f), ROWS * C);
        return as_image(r, cm_atan(g, cm_stop_gradient(g, CM_RESHAPE(g, a, 2, ROWS, C / 2))));
    }
}

/* The ends of residual blocks: r + conv(..), in all relations of r to what is convolved. */
static inline cm_node *move_residual(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *h = pick(r), *other = pick(r), *x = h;
    if (below(2)) /* fresh, so that the addition may be the last to read it */
        x = h = cm_affine(g, h, 0.75f, 0.125f);
    switch (below(5)) {
    case 0: /* h + conv(h) */
        break;
    case 1:
        x = random_norm(r, h);
        break;
    case 2:
        x = cm_dropout(g, cm_silu(g, h), r->rng, 0.25f, ++r->stream);
        break;
    case 3: /* both operands are convolutions */
        h = random_conv(r, h);
        break;
    default:
        h = other;
    }
    return bounded(r, sum_of(r, h, random_conv(r, x)));
}

/* What is added is a leaf, and written between. */
static inline cm_node *move_written_between(random_graph *r)
{
    cm_node *leaf = r->view[below(VIEWS)], *p = random_conv(r, pick(r)), *v = pick_value(r);
    below(2) ? cm_store(r->g, v, leaf) : mix_into(r, v, r->view[below(VIEWS)]);
    return bounded(r, sum_of(r, p, leaf));
}

static inline cm_node *move_conv(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *x = pick(r);
    if (below(2)) {
        x = cm_conv2d(g, x, random_kernel(r), below(2) ? r->bias[1] : NULL, 2, 1);
        return cm_sin(g, cm_upsample2(g, x, 0.5f));
    }
    if (!below(4))
        return bounded(r, cm_relu(g, random_conv(r, x)));
    x = cm_conv2d(g, x, r->wide, NULL, 1, 1);
    return cm_sin(g, cm_mul(g, cm_slice(g, x, 0, C), cm_slice(g, x, C, C)));
}

static inline cm_node *move_linear(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *a = as_rows(r, pick(r)), *w = r->matrix[below(2)];
    if (!below(3)) /* a^T a w */
        w = cm_affine(g, cm_matmul(g, cm_matmul(g, a, as_rows(r, pick(r)), 1, 0), w, 0, below(2)),
                      0.05f, 0.0f);
    a = cm_matmul(g, a, w, 0, below(2));
    cm_node *row = below(2) ? CM_RESHAPE(g, r->bias[below(2)], 1, C) : r->affine[below(2)];
    return bounded(r, as_image(r, below(4) ? sum_of(r, a, row) : a));
}

static inline cm_node *move_attention(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = CM_RESHAPE(g, pick(r), N, H * W, C);
    if (below(2))
        t[0] = cm_attention(g, cm_concat(g, cm_concat(g, t[0], t[1]), t[2]), 1 << below(2));
    else
        t[0] = cm_matmul(g, cm_softmax(g, cm_matmul(g, t[0], t[1], 0, 1)), t[2], 0, 0);
    return as_image(r, below(4) ? t[0] : cm_sin(g, cm_log_softmax(g, t[0])));
}

static inline cm_node *move_norm(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *x = below(2) ? cm_sin(g, pick(r)) : pick(r);
    const int small = !below(4); /* an auxiliary result larger than the output */
    if (small)
        x = cm_affine(g, cm_sum_to(g, x, CM_TYPE(CM_F32, N, 1, 1, C)), 0.25f, 0.0f);
    cm_node *y = random_norm(r, x);
    if (!small && below(3))
        return bounded(r, below(2) ? y : sum_of(r, y, pick(r)));
    cm_node *aux = cm_affine(g, cm_aux(g, y), 0.05f, 0.0f); /* not over the output */
    aux = CM_RESHAPE(g, cm_slice(g, aux, below(C), C), N, 1, 1, C);
    return bounded(r, cm_add(g, below(2) && !small ? y : pick(r), aux));
}

/* The derivative ops of pooling and resizing, which no value here has. */
static inline cm_node *pooled_and_back(random_graph *r, cm_node *a, cm_node *b)
{
    cm_graph *g = r->g;
    cm_attr pool = {.pool = {3, 1, 1, r->image}};
    cm_attr resize = {.resize = {r->image, below(2)}};
    cm_node *in[2] = {a, b};
    switch (below(4)) {
    case 0:
        return bounded(r, cm_node_new(g, CM_OP_AVG_POOL2D_GRAD, pool, 1, in));
    case 1:
        return bounded(r, cm_node_new(g, CM_OP_MAX_POOL2D_GRAD, pool, 2, in));
    case 2:
        return cm_node_new(g, CM_OP_MAX_POOL2D_JVP, pool, 2, in);
    default:
        in[0] = cm_resize_bilinear(g, a, 3, 5, below(2));
        return bounded(r, cm_node_new(g, CM_OP_RESIZE_BILINEAR_GRAD, resize, 1, in));
    }
}

static inline cm_node *move_shape(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *a = pick(r), *b = pick(r);
    const int k = 1 + below(C - 1);
    switch (below(10)) {
    case 6:
        return cm_avg_pool2d(g, a, 3, 1, 1);
    case 7:
        return cm_max_pool2d(g, cm_sin(g, a), 3, 1, 1);
    case 8: /* an adjoint, a value, and a tangent */
        b = cm_resize_bilinear(g, cm_cos(g, a), 5, 3, below(2));
        return cm_resize_bilinear(g, b, H, W, below(2));
    case 9:
        return pooled_and_back(r, a, b);
    case 0:
        return cm_concat(g, cm_slice(g, a, 0, k), cm_slice(g, b, k, C - k));
    case 1:
        return cm_pad(g, cm_slice(g, a, below(C - k + 1), k), below(C - k + 1), C);
    case 2:
        return cm_swap12(g, cm_affine(g, cm_swap12(g, a), -0.75f, 0.0f));
    case 3:
        return cm_sumpool2(g, cm_sin(g, cm_upsample2(g, a, 1.0f)), 0.25f);
    case 4:
        return cm_upsample2(g, cm_cos(g, cm_sumpool2(g, a, 0.25f)), -1.0f);
    default:
        a = cm_affine(g, cm_sum_to(g, a, CM_TYPE(CM_F32, N, 1, W, 1)), 0.05f, 0.0f);
        return cm_broadcast_to(g, a, r->image);
    }
}

static inline cm_node *move_random(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *row;
    switch (below(5)) {
    case 0:
        return bounded(r, cm_normal(g, r->rng, r->image, ++r->stream));
    case 1:
        return cm_random_uniform(g, r->rng, r->image, ++r->stream);
    case 2:
        return bounded(r, cm_dropout(g, pick(r), r->rng, 0.25f, ++r->stream));
    case 3:
        row = CM_RESHAPE(g, pick(r), 4, ROWS * C / 4);
        row = cm_gather(g, cm_scatter_add(g, row, r->index, *cm_node_type(r->table)), r->index);
        return bounded(r, as_image(r, row));
    default:
        return as_image(r, cm_gather(g, r->table, r->index));
    }
}

static inline cm_node *move_write(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *leaf = r->view[below(VIEWS)], **p = r->param, *gate, *rate, *grad;
    const cm_optimizer_attr attr = {0.9f, 0.99f, 1e-2f, 0.1f};
    switch (below(6)) {
    case 0:
    case 1:
        return cm_store(g, pick_value(r), below(3) ? leaf : cm_store(g, pick_value(r), leaf));
    case 2: /* made for the store alone */
        return cm_store(g, cm_affine(g, bounded(r, pick_value(r)), 0.5f, 0.1f), leaf);
    case 3:
        return cm_sin(g, mix_into(r, pick_value(r), leaf));
    default:
        gate = cm_sum_squares(g, pick(r));
        rate = cm_affine(g, cm_sin(g, CM_RESHAPE(g, gate, 1)), 0.25f, 0.5f);
        grad = cm_matmul(g, as_rows(r, pick(r)), as_rows(r, pick(r)), 1, 0);
        grad = below(2) ? cm_radam(g, p[0], p[1], p[2], grad, r->hyper, gate, attr)
                        : cm_adamw(g, p[0], p[1], p[2], grad, r->hyper, gate, attr);
        grad = cm_ema(g, p[3], below(2) ? grad : p[0], rate, gate);
        return bounded(r, as_image(r, cm_matmul(g, as_rows(r, pick(r)), grad, 0, 1)));
    }
}

/* Before and after stores, and work on constants alone. */
static inline cm_node *move_read(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *view = r->view[below(VIEWS)];
    switch (below(4)) {
    case 0:
        return cm_cos(g, view);
    case 1:
        return cm_affine(g, CM_RESHAPE(g, CM_RESHAPE(g, view, ROWS * C), N, H, W, C), 0.5f, 0.1f);
    case 2: /* pool[0] is constant */
        return cm_silu(g,
                       cm_conv2d(g, cm_sin(g, r->pool[0]), r->kernel[below(2)], r->bias[0], 1, 1));
    default:
        return bounded(r, random_norm(r, r->pool[0]));
    }
}

static inline cm_node *move_bf16(random_graph *r)
{
    cm_graph *g = r->g;
    cm_node *a = cm_cast(g, pick(r), CM_BF16), *b = cm_cast(g, pick(r), CM_BF16);
    const int matrices = cm_cpu_has_bf16();
    for (int i = 1 + below(3); i > 0; i--)
        switch (below(matrices ? 9 : 5)) {
        case 0:
            a = cm_sin(g, cm_add(g, a, b));
            break;
        case 1:
            a = cm_clamp(g, cm_mul(g, a, b), -2.0f, 2.0f);
            break;
        case 2:
            a = random_norm(r, a);
            break;
        case 3:
            b = cm_silu(g, b);
            break;
        case 4:
            a = cm_sumpool2(g, cm_upsample2(g, a, 0.5f), 0.5f);
            break;
        case 5:
        case 6:
            a = cm_sin(g, sum_of(r, below(2) ? a : b, random_conv(r, a)));
            break;
        case 7:
            a = cm_attention(g, CM_RESHAPE(g, cm_concat(g, cm_concat(g, a, b), a), N, H * W, 3 * C),
                             2);
            a = cm_reshape(g, a, 4, r->image.dim);
            break;
        default:
            a = cm_matmul(g, CM_RESHAPE(g, a, ROWS, C), cm_cast(g, r->matrix[below(2)], CM_BF16), 0,
                          below(2));
            a = cm_clamp(g, cm_add(g, a, r->affine[below(2)]), -2.0f, 2.0f);
            a = cm_reshape(g, a, 4, r->image.dim);
        }
    return bounded(r, cm_cast(g, a, CM_F32));
}

/* ---- derivatives ---- */

enum { BY_VJP = 1, BY_JVP = 2 };

/* The walks that may pass each node: there is a rule for it and for all before it. */
static inline void mark_ruled(random_graph *r)
{
    for (; r->n_ruled < cm_graph_size(r->g); r->n_ruled++) {
        const cm_node *v = cm_graph_node(r->g, r->n_ruled);
        const cm_op *op = cm_ops[v->op];
        const int stops = v->op == CM_OP_NORMAL || v->op == CM_OP_UNIFORM ||
                          v->op == CM_OP_STOP_GRADIENT || !v->n_in;
        int by = stops ? BY_VJP | BY_JVP : (op->vjp ? BY_VJP : 0) | (op->jvp ? BY_JVP : 0);
        for (int k = 0; k < v->n_in && v->op != CM_OP_STOP_GRADIENT; k++)
            by &= r->ruled[v->in[k]->id];
        r->ruled[v->id] = (char)by;
    }
}

/* One of the pool that a walk may begin at; the first ones always are. */
static inline cm_node *pick_ruled(random_graph *r, int by)
{
    mark_ruled(r);
    for (int i = 0; i < 8; i++) {
        cm_node *a = pick(r);
        if (r->ruled[a->id] & by)
            return a;
    }
    return r->pool[below(2)];
}

static inline cm_node *gradient_to_image(random_graph *r, cm_node *d)
{
    cm_graph *g = r->g;
    const cm_type *t = cm_node_type(d);
    if (cm_type_equal(t, &r->image))
        return d;
    if (t->rank == 2 && t->dim[0] == C)
        return as_image(r, cm_matmul(g, as_rows(r, r->pool[1]), d, 0, 0));
    if (t->rank == 4 && t->dim[2] == 3 && t->dim[0] == C)
        return cm_conv2d(g, r->pool[1], d, NULL, 1, 1);
    cm_node *sum = cm_sum_to(g, CM_RESHAPE(g, d, 1, cm_type_count(t)), CM_TYPE(CM_F32, 1, 1));
    return cm_broadcast_to(g, CM_RESHAPE(g, sum, 1, 1, 1, 1), r->image);
}

static inline cm_node *move_vjp(random_graph *r)
{
    cm_node *others[] = {r->kernel[2], r->kernel[3], r->matrix[1], r->bias[1],
                         r->affine[1], r->table,     r->wide,      r->pool[1]};
    cm_node *y = pick_ruled(r, BY_VJP), *x[3], *dx[3], *sum = pick(r), *dy = pick(r);
    const int n = 1 + below(3);
    for (int i = 0; i < n; i++)
        x[i] = below(3) ? others[below(8)] : pick_ruled(r, BY_VJP);
    cm_graph_vjp(r->g, y, dy, n, x, dx);
    for (int i = 0; i < n; i++)
        if (dx[i])
            sum = cm_add(r->g, sum, bounded(r, gradient_to_image(r, dx[i])));
    return bounded(r, sum);
}

static inline cm_node *move_jvp(random_graph *r)
{
    cm_node *y = pick_ruled(r, BY_JVP), *x[2], *xdot[2];
    const int n = 1 + below(2);
    for (int i = 0; i < n; i++) {
        x[i] = below(2) ? r->pool[1] : pick_ruled(r, BY_JVP);
        xdot[i] = pick(r);
    }
    cm_node *ydot = cm_graph_jvp(r->g, y, n, x, xdot);
    ydot = ydot ? bounded(r, ydot) : y;
    return below(2) ? cm_stop_gradient(r->g, ydot) : ydot;
}

static inline cm_node *move_segment(random_graph *r)
{
    below(3) ? cm_graph_begin_segment(r->g) : cm_graph_end_segment(r->g);
    return cm_affine(r->g, pick(r), -1.0f, 0.5f);
}

static inline void random_graph_new(random_graph *r, int seed)
{
    static cm_node *(*const moves[])(random_graph *) = {move_binary,
                                                        move_binary,
                                                        move_unary,
                                                        move_unary,
                                                        move_residual,
                                                        move_residual,
                                                        move_written_between,
                                                        move_conv,
                                                        move_linear,
                                                        move_attention,
                                                        move_norm,
                                                        move_shape,
                                                        move_random,
                                                        move_write,
                                                        move_write,
                                                        move_read,
                                                        move_bf16,
                                                        move_vjp,
                                                        move_vjp,
                                                        move_jvp,
                                                        move_segment};
    *r = (random_graph){.g = cm_graph_new(), .image = CM_TYPE(CM_F32, N, H, W, C)};
    plan_random = (uint32_t)seed * 2654435761u + 1u;
    below(2);
    leaves_new(r);
    const int n = 8 + below(24);
    for (int i = 0; i < n && cm_graph_size(r->g) < NODES; i++) {
        cm_node *made = moves[below((int)(sizeof moves / sizeof *moves))](r);
        r->pool[r->n++] = made;
    }
    cm_graph_end_segment(r->g);
}

#endif
