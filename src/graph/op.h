/* op.h - the op table: all the graph needs to know about an op except how to
 * run it.  To add an op: one line in CM_OP_LIST, one file in ops/, one kernel in
 * each device, one line in tests/ops/op_cases.c. */
#ifndef CM_GRAPH_OP_H
#define CM_GRAPH_OP_H

#include "graph/graph.h"

/* clang-format off */
/*      enum                     table entry                      one line of help */
#define CM_OP_LIST(X)                                                                             \
    X(LEAF,                   leaf,                   "memory from outside")                      \
    X(CONST,                  const,                  "values known when the graph is built")     \
    X(ADD,                    add,                    "a + b, b broadcast")                       \
    X(MUL,                    mul,                    "a * b, b broadcast")                       \
    X(AFFINE,                 affine,                 "scale * x + shift")                        \
    X(SILU,                   silu,                   "x * sigmoid(x)")                           \
    X(SILU_GRAD,              silu_grad,              "dy * silu'(x)")                            \
    X(EXP,                    exp,                    "e^x")                                      \
    X(LOG,                    log,                    "natural logarithm")                        \
    X(SIN,                    sin,                    "sine")                                     \
    X(COS,                    cos,                    "cosine")                                   \
    X(ATAN,                   atan,                   "arctangent")                               \
    X(ABS,                    abs,                    "|x|")                                      \
    X(SIGN,                   sign,                   "-1, 0 or 1")                               \
    X(FLOOR,                  floor,                  "largest integer not above x")              \
    X(POW,                    pow,                    "x^p, p fixed")                             \
    X(CLAMP,                  clamp,                  "min(max(x, lo), hi)")                      \
    X(CLAMP_GRAD,             clamp_grad,             "dy where lo < x < hi, else 0")             \
    X(CAST,                   cast,                   "change the dtype")                         \
    X(RESHAPE,                reshape,                "another shape, same memory")               \
    X(STOP_GRADIENT,          stop_gradient,          "the same value, without derivatives")     \
    X(AUX,                    aux,                    "the auxiliary result of an op")             \
    X(SECOND,                 second,                 "the second part of a result; by fusion")    \
    X(BROADCAST_TO,           broadcast_to,           "repeat along axes of length 1")            \
    X(SUM_TO,                 sum_to,                 "sum over axes to length 1")                \
    X(CONCAT,                 concat,                 "join along the last axis")                 \
    X(SLICE,                  slice,                  "a range of the last axis")                 \
    X(PAD,                    pad,                    "zeros around a range of the last axis")    \
    X(SWAP12,                 swap12,                 "[A,B,C,D] to [A,C,B,D]")                   \
    X(UPSAMPLE2,              upsample2,              "repeat pixels 2x2, scaled")                \
    X(SUMPOOL2,               sumpool2,               "sum of 2x2 pixels, scaled")                \
    X(AVG_POOL2D,             avg_pool2d,             "means of windows of pixels")               \
    X(AVG_POOL2D_GRAD,        avg_pool2d_grad,        "adjoint of avg_pool2d")                    \
    X(MAX_POOL2D,             max_pool2d,             "maxima of windows of pixels")              \
    X(MAX_POOL2D_GRAD,        max_pool2d_grad,        "dy to the pixels that are largest")        \
    X(MAX_POOL2D_JVP,         max_pool2d_jvp,         "xdot of the pixels that are largest")      \
    X(RESIZE_BILINEAR,        resize_bilinear,        "another height and width")                 \
    X(RESIZE_BILINEAR_GRAD,   resize_bilinear_grad,   "adjoint of resize_bilinear")               \
    X(MATMUL,                 matmul,                 "a @ b, batched, either transposed")        \
    X(CONV2D,                 conv2d,                 "convolution, optional bias")               \
    X(CONV2D_GRAD_INPUT,      conv2d_grad_input,      "adjoint of conv2d in x")                   \
    X(CONV2D_GRAD_WEIGHT,     conv2d_grad_weight,     "adjoint of conv2d in w")                   \
    X(SOFTMAX,                softmax,                "softmax over the last axis")               \
    X(SOFTMAX_GRAD,           softmax_grad,           "(diag(y) - y y^T) dy")                     \
    X(LOG_SOFTMAX,            log_softmax,            "logarithm of softmax")                     \
    X(ATTENTION,              attention,              "softmax(Q K^T / sqrt(d)) V, by heads")     \
    X(ATTENTION_GRAD,         attention_grad,         "cotangent of q, k and v")                  \
    X(ATTENTION_JVP,          attention_jvp,          "tangent of attention")                     \
    X(GROUP_NORM,             group_norm,             "act(a * normalised x + b)")                \
    X(GROUP_NORM_GRAD,        group_norm_grad,        "cotangents of x, and of a and b")          \
    X(GROUP_NORM_JVP,         group_norm_jvp,         "tangent of group_norm")                    \
    X(GROUP_NORM_JVP_GRAD,    group_norm_jvp_grad,    "cotangents of x, and of a and b, of it")   \
    X(GATHER,                 gather,                 "rows of a table")                          \
    X(SCATTER_ADD,            scatter_add,            "adjoint of gather")                        \
    X(NORMAL,                 normal,                 "N(0,1) from a counter")                    \
    X(UNIFORM,                uniform,                "U(0,1) from a counter")                    \
    X(DROPOUT,                dropout,                "x * mask / (1 - p)")                       \
    X(STORE,                  store,                  "write a value to a leaf")                  \
    X(SUM_SQUARES,            sum_squares,            "sums of x^2 over runs")                    \
    X(RADAM,                  radam,                  "RAdam step in place")                      \
    X(ADAMW,                  adamw,                  "AdamW step in place")                      \
    X(EMA,                    ema,                    "exponential moving average in place")
/* clang-format on */

#define X(id, entry, help) CM_OP_##id,
typedef enum cm_op_id { CM_OP_LIST(X) CM_OP_COUNT } cm_op_id;
#undef X

typedef union cm_attr {
    struct {
        int buffer;
        size_t offset; /* bytes */
    } leaf;
    struct {
        const float *values; /* owned by the graph */
    } constant;
    struct {
        float scale, shift;
    } affine; /* upsample2 and sumpool2 use scale */
    struct {
        float p;
    } pow;
    struct {
        float lo, hi;
    } clamp;
    struct {
        cm_type type;
    } to; /* cast, reshape, broadcast_to, sum_to, scatter_add: the output type */
    struct {
        int64_t begin, n;
    } range; /* slice: n channels from begin; pad: begin, and n channels in all */
    struct {
        int ta, tb;
    } matmul;
    struct {
        int stride, pad_h, pad_w; /* pads: above and below; left and right */
        cm_type type;             /* grad_input: of x; grad_weight: of w */
        int residual;             /* the last input is added; by fusion only (graph/fuse.c) */
        int relu;                 /* and then what is below 0 becomes 0; likewise */
    } conv;
    struct {
        int k, stride, pad;
        cm_type type; /* avg_pool2d_grad: of x */
    } pool;
    struct {
        cm_type type; /* of the result */
        int half_pixel;
    } resize;
    struct {
        int64_t heads;
    } attention;
    struct {
        int groups, silu;
        float eps;
    } norm;
    struct {
        cm_type type;
        uint32_t stream;
        float p; /* dropout */
    } random;
    cm_optimizer_attr optimizer;
} cm_attr;

struct cm_node {
    cm_op_id op;
    int id;         /* position in the graph */
    int segment;    /* computed again for vjp together; 0: none */
    int original;   /* the node that this one computes again; 0: none */
    int aux_unused; /* in a plan: no node reads its auxiliary result */
    int64_t split;  /* in a plan: the result are its first `split` channels of all rows, then, as
                       dense, the others; 0: it is one part.  By fusion only (graph/fuse.c). */
    int n_in;
    cm_type type;
    cm_attr attr;
    cm_node *in[CM_MAX_IN];
    const char *name; /* of a leaf, else NULL */
};

typedef struct cm_op {
    const char *name;
    int n_in; /* at most; the last ones may be missing where the op says so */
    /* Output type from the inputs, or an error via cm_graph_fail(). */
    void (*infer)(cm_graph *g, const cm_node *n, cm_type *out);
    /* dx[i] := contribution of dy to input i; leave NULL for no dependence. */
    void (*vjp)(cm_graph *g, cm_node *n, cm_node *dy, cm_node **dx);
    /* xdot[i] may be NULL (= zero), but not all of them are; NULL result = zero. */
    cm_node *(*jvp)(cm_graph *g, cm_node *n, cm_node *const *xdot);
    /* Bit i: the kernel reads each element of input i for the last time before it writes that
     * element of the output, so that the output may be in its memory where the types are
     * equal; several inputs may be the same memory where all their bits are set.  Kernels
     * of every device keep this; plans count on it (graph/plan.c) and are held to it
     * (graph/verify.c). */
    unsigned inplace;
    unsigned writes; /* bit i: input i, a leaf, is modified; the output is the lowest of them */
    int alias;       /* the output is the memory of input 0 */
    int stops;       /* the output counts as a constant in both walks of differentiation */
    /* A small auxiliary result behind the output, read by an AUX node (optional).  Without
     * such a node it is not made, and the output may be in place. */
    cm_type (*aux)(const cm_node *n);
} cm_op;

#define X(id, entry, help) extern const cm_op cm_op_##entry;
CM_OP_LIST(X)
#undef X

extern const cm_op *const cm_ops[CM_OP_COUNT];

cm_node *cm_node_new(cm_graph *g, cm_op_id op, cm_attr attr, int n_in, cm_node *const *in);
void cm_graph_fail(cm_graph *g, cm_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int cm_graph_size(const cm_graph *g);
cm_node *cm_graph_node(const cm_graph *g, int id);
int cm_graph_buffer_count(const cm_graph *g);
const char *cm_graph_buffer_name(const cm_graph *g, int buffer);
unsigned cm_graph_buffer_flags(const cm_graph *g, int buffer);
void *cm_graph_alloc(cm_graph *g, size_t bytes); /* lives as long as the graph */
/* a + b where either may be NULL, meaning zero. */
cm_node *cm_add_or_null(cm_graph *g, cm_node *a, cm_node *b);
/* dy to the type of x: summed over broadcast axes, cast. */
cm_node *cm_unbroadcast(cm_graph *g, cm_node *dy, const cm_node *x);
cm_node *cm_zeros(cm_graph *g, cm_type type);
/* The auxiliary result of n. */
cm_node *cm_aux(cm_graph *g, cm_node *n);
/* The node whose memory a view shows: n itself where its op is no alias. */
const cm_node *cm_view_base(const cm_node *n);
int cm_has_aux(const cm_node *n); /* it is made */
/* Bytes from the memory of what it views to a view's own: of an alias. */
size_t cm_view_offset(const cm_node *view);
/* Bytes from the output of n to its auxiliary result, and of both together. */
size_t cm_aux_offset(const cm_node *n);
size_t cm_results_bytes(const cm_node *n);

/* The derivative ops, linear in dy.  Those that tangents are made of have a vjp in both, for
 * objectives that take the gradient of a tangent; the others have no derivative in x. */
cm_node *cm_silu_grad(cm_graph *g, cm_node *dy, cm_node *x);
cm_node *cm_clamp_grad(cm_graph *g, cm_node *dy, cm_node *x, float lo, float hi);
cm_node *cm_softmax_grad(cm_graph *g, cm_node *dy, cm_node *y);
cm_node *cm_conv2d_grad_input(cm_graph *g, cm_node *dy, cm_node *w, cm_type x, int stride, int pad);
cm_node *cm_conv2d_grad_weight(cm_graph *g, cm_node *dy, cm_node *x, cm_type w, int stride,
                               int pad); /* f32 */
cm_node *cm_scatter_add(cm_graph *g, cm_node *dy, cm_node *index, cm_type table);

#endif
