/* graph.h - build a static compute graph.
 *
 * A graph is a list of nodes in program order; a node is one op applied to
 * earlier nodes and has exactly one output tensor.  Builders never fail
 * visibly: the first error is kept in the graph, and from then on every builder
 * returns a poison node, so model code reads like the formula it implements.
 * Check cm_graph_check() once, before compiling.
 *
 * Memory from outside (weights, optimizer state, a batch of images) is a
 * *buffer*; a leaf is a typed view of a range of a buffer, so that all
 * parameters are slices of one flat array.  A few ops write to leaves (store,
 * optimizers, averages); nodes run in program order, so a node built after them
 * reads the new value.
 *
 * Ownership: a graph owns its nodes; cm_graph_free() frees everything.
 * Threads:   a graph may be used by one thread at a time. */
#ifndef CM_GRAPH_GRAPH_H
#define CM_GRAPH_GRAPH_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { CM_MAX_RANK = 4, CM_MAX_IN = 7 };

typedef enum cm_dtype { CM_F32, CM_BF16, CM_I32 } cm_dtype;

/* Tensor type: row-major; images are [N,H,W,C]. */
typedef struct cm_type {
    cm_dtype dtype;
    int rank;                 /* 0 = scalar */
    int64_t dim[CM_MAX_RANK]; /* unused entries are 1 */
} cm_type;

typedef struct cm_graph cm_graph;
typedef struct cm_node cm_node;

cm_graph *cm_graph_new(void); /* NULL when out of memory */
void cm_graph_free(cm_graph *g);
cm_status cm_graph_check(const cm_graph *g, cm_error *err); /* the first error, or CM_OK */

cm_type cm_type_make(cm_dtype dtype, int rank, const int64_t *dim);
#define CM_TYPE(dtype, ...)                                                        \
    cm_type_make(dtype, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                 (int64_t[]){__VA_ARGS__})
int cm_type_equal(const cm_type *a, const cm_type *b);
int cm_type_same_shape(const cm_type *a, const cm_type *b);
int64_t cm_type_count(const cm_type *t);
size_t cm_type_bytes(const cm_type *t);
size_t cm_dtype_bytes(cm_dtype d);
const char *cm_dtype_name(cm_dtype d);
/* "[64,32,32,1]"; returns buf */
const char *cm_type_text(char *buf, size_t size, const cm_type *t);

/* ---- leaves ---- */

/* Declare memory bound at run time.  CM_BUFFER_CONST: its contents change only
 * with cm_plan_refresh(), so work on it alone is done there, once, and no op writes
 * to it.  CM_BUFFER_OWN: a plan has memory for it, zeroed, until another is bound. */
enum { CM_BUFFER_CONST = 1, CM_BUFFER_OWN = 2 };
int cm_graph_buffer(cm_graph *g, const char *name, unsigned flags);
/* A view of `type` at byte `offset` of a buffer. */
cm_node *cm_leaf(cm_graph *g, int buffer, size_t offset, cm_type type, const char *name);
/* A buffer of its own, CM_BUFFER_OWN. */
cm_node *cm_input(cm_graph *g, const char *name, cm_type type);
/* f32 values known now; copied.  cm_scalar has shape [1,..,1] of that rank. */
cm_node *cm_const(cm_graph *g, cm_type type, const float *values);
cm_node *cm_scalar(cm_graph *g, int rank, float value);

/* ---- elementwise; b broadcasts to a (equal rank, each dim equal or 1), or a to
 * b; the result has the dtype of a ---- */
cm_node *cm_add(cm_graph *g, cm_node *a, cm_node *b);
cm_node *cm_sub(cm_graph *g, cm_node *a, cm_node *b);
cm_node *cm_mul(cm_graph *g, cm_node *a, cm_node *b);
cm_node *cm_affine(cm_graph *g, cm_node *x, float scale, float shift); /* scale*x + shift */
cm_node *cm_silu(cm_graph *g, cm_node *x);
cm_node *cm_exp(cm_graph *g, cm_node *x);
cm_node *cm_log(cm_graph *g, cm_node *x);
cm_node *cm_sin(cm_graph *g, cm_node *x);
cm_node *cm_cos(cm_graph *g, cm_node *x);
cm_node *cm_atan(cm_graph *g, cm_node *x);
cm_node *cm_abs(cm_graph *g, cm_node *x);
cm_node *cm_sign(cm_graph *g, cm_node *x);         /* derivative 0 */
cm_node *cm_floor(cm_graph *g, cm_node *x);        /* derivative 0 */
cm_node *cm_pow(cm_graph *g, cm_node *x, float p); /* x > 0, unless p is an integer */
cm_node *cm_clamp(cm_graph *g, cm_node *x, float lo, float hi);
cm_node *cm_relu(cm_graph *g, cm_node *x); /* clamped to 0 and above; derivative 0 at 0 */
cm_node *cm_cast(cm_graph *g, cm_node *x, cm_dtype dtype);
/* x, no copy; as if it were a constant to vjp and jvp, which ask what made it for no rule. */
cm_node *cm_stop_gradient(cm_graph *g, cm_node *x);

/* ---- shape ---- */
cm_node *cm_reshape(cm_graph *g, cm_node *x, int rank, const int64_t *dim); /* no copy */
#define CM_RESHAPE(g, x, ...)                                                   \
    cm_reshape(g, x, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
               (int64_t[]){__VA_ARGS__})
/* x to the shape and dtype of `type`: adjoint of each other. */
cm_node *cm_broadcast_to(cm_graph *g, cm_node *x, cm_type type);
cm_node *cm_sum_to(cm_graph *g, cm_node *x, cm_type type);
/* [..,A],[..,B] -> [..,A+B] */
cm_node *cm_concat(cm_graph *g, cm_node *a, cm_node *b);
/* [..,C] -> [..,n], channels begin..begin+n-1; and its adjoint, zero elsewhere */
cm_node *cm_slice(cm_graph *g, cm_node *x, int64_t begin, int64_t n);
cm_node *cm_pad(cm_graph *g, cm_node *x, int64_t begin, int64_t total);
/* [A,B,C,D] -> [A,C,B,D] */
cm_node *cm_swap12(cm_graph *g, cm_node *x);
/* [N,H,W,C] -> [N,2H,2W,C], each pixel repeated, times scale; and its adjoint,
 * [N,2H,2W,C] -> [N,H,W,C], the sum of 2x2 pixels, times scale (1/4: the mean) */
cm_node *cm_upsample2(cm_graph *g, cm_node *x, float scale);
cm_node *cm_sumpool2(cm_graph *g, cm_node *x, float scale);
/* [N,H,W,C] -> [N,H',W',C], the mean or the maximum of each window of k x k pixels, `stride`
 * apart; `pad` pixels around the image, at most k / 2, are in no mean and no maximum */
cm_node *cm_avg_pool2d(cm_graph *g, cm_node *x, int k, int stride, int pad);
cm_node *cm_max_pool2d(cm_graph *g, cm_node *x, int k, int stride, int pad);
/* f32 [N,H,W,C] -> [N,h,w,C] by linear interpolation; half_pixel: as PyTorch has it, with the
 * centres of pixels at halves; 0: as TensorFlow 1, with their corners at whole numbers */
cm_node *cm_resize_bilinear(cm_graph *g, cm_node *x, int64_t h, int64_t w, int half_pixel);

/* ---- matrix products ---- */
/* a [..,M,K], b [..,K,N] -> [..,M,N], leading dims equal; ta/tb: read transposed */
cm_node *cm_matmul(cm_graph *g, cm_node *a, cm_node *b, int ta, int tb);
/* x [N,H,W,I], w f32 [O,I,kh,kw], bias f32 [O] or NULL -> [N,H',W',O] in x's dtype */
cm_node *cm_conv2d(cm_graph *g, cm_node *x, cm_node *w, cm_node *bias, int stride, int pad);
/* The same with zeros of another number above and below than left and right. */
cm_node *cm_conv2d_padded(cm_graph *g, cm_node *x, cm_node *w, cm_node *bias, int stride, int pad_h,
                          int pad_w);

/* qkv [N,T,3C], channels in the order (query key value, head, d) -> [N,T,C]:
 * softmax(Q K^T / sqrt(d)) V for each of the heads, d = C/heads */
cm_node *cm_attention(cm_graph *g, cm_node *qkv, int64_t heads);

/* ---- normalisation ---- */
/* softmax over the last axis, and its logarithm, which has no small numbers to lose */
cm_node *cm_softmax(cm_graph *g, cm_node *x);
cm_node *cm_log_softmax(cm_graph *g, cm_node *x);
/* act(a * (x - mean) / sqrt(var + eps) + b), mean and variance over each sample's
 * group of C/groups channels; x [N,H,W,C], a and b f32 [N or 1, C] (same shape);
 * act is SiLU or nothing. */
cm_node *cm_group_norm(cm_graph *g, cm_node *x, cm_node *a, cm_node *b, int groups, float eps,
                       int silu);

/* ---- indices ---- */
/* table f32 [K,D], index i32 [N] in 0..K-1 -> [N,D] */
cm_node *cm_gather(cm_graph *g, cm_node *table, cm_node *index);

/* ---- random numbers: functions of (rng, stream, sample, element) ----
 * rng is i32 [4]: seed low, seed high, step, number of the first sample.  dim 0 of
 * type counts samples. */
cm_node *cm_normal(cm_graph *g, cm_node *rng, cm_type type, uint32_t stream);
cm_node *cm_random_uniform(cm_graph *g, cm_node *rng, cm_type type, uint32_t stream);
/* x * mask / (1 - p) */
cm_node *cm_dropout(cm_graph *g, cm_node *x, cm_node *rng, float p, uint32_t stream);

/* ---- ops that write to a leaf; they return it, so that order can be seen ---- */
/* leaf := value, which is no other view of the same elements */
cm_node *cm_store(cm_graph *g, cm_node *value, cm_node *leaf);
/* f32 [n] -> f32 [n / CM_SQUARES, rounded up]: sums of x^2 over runs of CM_SQUARES, accumulated in
 * double; not finite where any x is not */
enum { CM_SQUARES = 1024 };
cm_node *cm_sum_squares(cm_graph *g, cm_node *x);
typedef struct cm_optimizer_attr {
    float beta1, beta2, eps, weight_decay;
} cm_optimizer_attr;
/* p, m, v, grad f32 [P]; hyper f32 [2]: learning rate, step k = 1,2,..;
 * nothing is written where gate (f32 [1]) is not finite. */
cm_node *cm_radam(cm_graph *g, cm_node *p, cm_node *m, cm_node *v, cm_node *grad, cm_node *hyper,
                  cm_node *gate, cm_optimizer_attr a);
cm_node *cm_adamw(cm_graph *g, cm_node *p, cm_node *m, cm_node *v, cm_node *grad, cm_node *hyper,
                  cm_node *gate, cm_optimizer_attr a);
/* average := average + weight * (p - average), weight f32 [1] = 1 - rate, which a float
 * holds to all its digits, as it does not hold a rate near 1; gate as above */
cm_node *cm_ema(cm_graph *g, cm_node *average, cm_node *p, cm_node *weight, cm_node *gate);

/* ---- differentiation: both walks build nodes ---- */

/* Reverse mode: dx[i] := J_i^T dy for y with respect to x[i]; dy has the type of y.
 * NULL where y does not depend on x[i]. */
void cm_graph_vjp(cm_graph *g, cm_node *y, cm_node *dy, int n, cm_node *const *x, cm_node **dx);
/* Forward mode: returns J xdot, NULL where y depends on none of x. */
cm_node *cm_graph_jvp(cm_graph *g, cm_node *y, int n, cm_node *const *x, cm_node *const *xdot);
/* The same for several y in one walk; ydot[i] in place of the result. */
void cm_graph_jvps(cm_graph *g, int n_y, cm_node *const *y, int n, cm_node *const *x,
                   cm_node *const *xdot, cm_node **ydot);

/* Recomputation, also called gradient checkpointing (Chen et al. 2016, arXiv
 * 1604.06174).  What nodes made between begin and end compute is not kept for vjp: when
 * it needs a segment, it first computes the segment again, the same bits, from what
 * entered it.  So a plan keeps what crosses the borders of segments, and one segment.
 * A begin ends the segment before it.  No leaf that a segment reads may be written
 * between it and the vjp. */
void cm_graph_begin_segment(cm_graph *g);
void cm_graph_end_segment(cm_graph *g);

/* The type of a node, for those outside graph/ and ops/. */
const cm_type *cm_node_type(const cm_node *n);

#endif
