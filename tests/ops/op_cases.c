/* op_cases.c - the table of cases: every op that has derivative rules, in the
 * shapes and attributes that its rules treat differently, and a few functions
 * made of several */
#include "op_cases.h"

/* ---- builders; the attributes they read are in their comments ---- */

#define ARGS cm_graph *g, cm_node *const *x, const op_case *c

#define PLAIN(name, expression) \
    static cm_node *name(ARGS)  \
    {                           \
        (void)c;                \
        return expression;      \
    }
PLAIN(add, cm_add(g, x[0], x[1]))
PLAIN(sub, cm_sub(g, x[0], x[1]))
PLAIN(mul, cm_mul(g, x[0], x[1]))
PLAIN(twice, cm_add(g, x[0], x[0]))
PLAIN(square, cm_mul(g, x[0], x[0]))
PLAIN(affine, cm_affine(g, x[0], c->f[0], c->f[1]))
PLAIN(silu, cm_silu(g, x[0]))
PLAIN(exponential, cm_exp(g, x[0]))
PLAIN(logarithm, cm_log(g, x[0]))
PLAIN(sine, cm_sin(g, x[0]))
PLAIN(cosine, cm_cos(g, x[0]))
PLAIN(arctangent, cm_atan(g, x[0]))
PLAIN(absolute, cm_abs(g, x[0]))
PLAIN(sign, cm_sign(g, x[0]))
PLAIN(lower, cm_floor(g, x[0]))
PLAIN(power, cm_pow(g, x[0], c->f[0]))
PLAIN(clamp, cm_clamp(g, x[0], c->f[0], c->f[1]))
PLAIN(to_bf16, cm_cast(g, x[0], CM_BF16))
PLAIN(bf16_and_back, cm_cast(g, cm_cast(g, x[0], CM_BF16), CM_F32))
PLAIN(concat, cm_concat(g, x[0], x[1]))
PLAIN(slice, cm_slice(g, x[0], c->i[0], c->i[1])) /* begin, n */
PLAIN(pad, cm_pad(g, x[0], c->i[0], c->i[1]))     /* begin, total */
PLAIN(swap12, cm_swap12(g, x[0]))
PLAIN(upsample2, cm_upsample2(g, x[0], c->f[0]))
PLAIN(sumpool2, cm_sumpool2(g, x[0], c->f[0]))
/* k, stride, pad */
PLAIN(avg_pool, cm_avg_pool2d(g, x[0], (int)c->i[0], (int)c->i[1], (int)c->i[2]))
PLAIN(max_pool, cm_max_pool2d(g, x[0], (int)c->i[0], (int)c->i[1], (int)c->i[2]))
PLAIN(relu, cm_relu(g, x[0]))
/* h, w, half_pixel */
PLAIN(resize, cm_resize_bilinear(g, x[0], c->i[0], c->i[1], (int)c->i[2]))
PLAIN(softmax, cm_softmax(g, x[0]))
PLAIN(log_softmax, cm_log_softmax(g, x[0]))
PLAIN(matmul, cm_matmul(g, x[0], x[1], (int)c->i[0], (int)c->i[1])) /* ta, tb */
PLAIN(attention, cm_attention(g, x[0], c->i[0]))                    /* heads */
/* groups, silu */
PLAIN(group_norm, cm_group_norm(g, x[0], x[1], x[2], (int)c->i[0], 1e-3f, (int)c->i[1]))
/* indices [i1] below i0; test_ops.c fills integer inputs with values below i0 */
PLAIN(gather, cm_gather(g, x[0], cm_input(g, "index", CM_TYPE(CM_I32, c->i[1]))))
PLAIN(dropout, cm_dropout(g, x[0], cm_input(g, "rng", CM_TYPE(CM_I32, 4)), c->f[0], 5))

static cm_type target(const op_case *c, cm_dtype dtype)
{
    int rank = 0;
    while (rank < CM_MAX_RANK && c->to[rank])
        rank++;
    return cm_type_make(dtype, rank, c->to);
}

PLAIN(reshape, cm_reshape(g, x[0], target(c, CM_F32).rank, c->to))
PLAIN(broadcast_to, cm_broadcast_to(g, x[0], target(c, CM_F32)))
PLAIN(sum_to, cm_sum_to(g, x[0], target(c, CM_F32)))
PLAIN(scatter_add,
      cm_scatter_add(g, x[0], cm_input(g, "index", CM_TYPE(CM_I32, c->i[1])), target(c, CM_F32)))

/* stride, pad */
static cm_node *conv2d(ARGS)
{
    return cm_conv2d(g, x[0], x[1], c->dim[2][0] ? x[2] : NULL, (int)c->i[0], (int)c->i[1]);
}
/* k, stride, pad; to the shape of x */
PLAIN(avg_pool_grad,
      cm_node_new(g, CM_OP_AVG_POOL2D_GRAD,
                  (cm_attr){.pool = {(int)c->i[0], (int)c->i[1], (int)c->i[2], target(c, CM_F32)}},
                  1, x))
/* half_pixel; likewise */
PLAIN(resize_grad, cm_node_new(g, CM_OP_RESIZE_BILINEAR_GRAD,
                               (cm_attr){.resize = {target(c, CM_F32), (int)c->i[0]}}, 1, x))
/* stride, pad_h, pad_w */
PLAIN(conv2d_padded, cm_conv2d_padded(g, x[0], x[1], c->dim[2][0] ? x[2] : NULL, (int)c->i[0],
                                      (int)c->i[1], (int)c->i[2]))
PLAIN(conv2d_grad_input,
      cm_conv2d_grad_input(g, x[0], x[1], target(c, x[0]->type.dtype), (int)c->i[0], (int)c->i[1]))
PLAIN(conv2d_grad_weight,
      cm_conv2d_grad_weight(g, x[0], x[1], target(c, CM_F32), (int)c->i[0], (int)c->i[1]))

/* q, k, v [B,T,D] -> softmax(q k^T / 2) v */
PLAIN(product_softmax,
      cm_matmul(g, cm_softmax(g, cm_affine(g, cm_matmul(g, x[0], x[1], 0, 1), 0.5f, 0.0f)), x[2], 0,
                0))

/* x + w * silu(norm(x)), w 3x3, norm's a and b from x[2] [1,2C] */
static cm_node *residual(ARGS)
{
    const int64_t ch = c->dim[0][3];
    cm_node *a = cm_slice(g, x[2], 0, ch), *b = cm_slice(g, x[2], ch, ch);
    cm_node *h = cm_group_norm(g, x[0], a, b, 2, 1e-3f, 1);
    return cm_add(g, cm_conv2d(g, h, x[1], NULL, 1, 1), x[0]);
}

/* sin(x) read five times, and one value that does not depend on x */
static cm_node *shared(ARGS)
{
    (void)c;
    cm_node *s = cm_sin(g, x[0]), *u = cm_mul(g, s, cm_silu(g, s));
    cm_node *fixed = cm_exp(g, cm_scalar(g, 2, 0.5f));
    return cm_mul(
        g, cm_sub(g, cm_mul(g, u, s), cm_concat(g, cm_slice(g, s, 1, 2), cm_slice(g, s, 0, 1))),
        fixed);
}

/* ---- the table ---- */

enum { NO = 0, YES = 1 };
#define IN(...)     .dim = {__VA_ARGS__}
#define KINK(at)    .kink = (at), .gap = 0.1f
#define RANGE(a, b) .lo = (a), .hi = (b)
/* Winograd's digits; test_kernels_conv.c asks for a small root mean square too. */
#define WINOGRAD    2e-5F
/* values whose order the steps of the differences do not change */
#define PARTED .parted = 1
/* bf16 keeps 8 bits: long steps, and a tolerance of its half unit */
#define COARSE .step = 0.5f, .tol = 2e-2f

/* clang-format off */
const op_case op_cases[] = {
    /* elementwise */
    {"add",                     add,   IN({3, 4}, {3, 4}), .bf16 = 3},
    {"add row",                 add,   IN({3, 4}, {1, 4}), .bf16 = 1},
    {"add column",              add,   IN({3, 4}, {3, 1})},
    {"add outer",               add,   IN({3, 1}, {1, 4})},
    {"add to row",              add,   IN({1, 4}, {3, 4})},
    {"add rank 1",              add,   IN({7}, {1})},
    {"add channels",            add,   IN({2, 3, 3, 4}, {2, 1, 1, 4}), .bf16 = 1},
    {"add x x",                 twice, IN({3, 4})},
    {"add large",               add,   IN({2, 48, 48, 8}, {1, 1, 1, 8})},
    {"sub",                     sub,   IN({3, 4}, {1, 1})},
    {"mul",                     mul,   IN({3, 4}, {3, 4}), .bf16 = 3},
    {"mul row",                 mul,   IN({3, 4}, {1, 4})},
    {"mul column",              mul,   IN({3, 4}, {3, 1})},
    {"mul outer",               mul,   IN({3, 1}, {1, 4})},
    {"mul to row",              mul,   IN({1, 4}, {3, 4})},
    {"mul middle",              mul,   IN({2, 3, 5, 4}, {2, 1, 5, 1}), .bf16 = 1},
    {"mul x x",                 square, IN({3, 4})},
    {"mul large",               mul,   IN({2, 48, 48, 8}, {2, 1, 1, 8})},
    {"affine",                  affine, IN({3, 5}), .f = {-1.5f, 0.25f}, .bf16 = 1},
    {"silu",                    silu,   IN({3, 5}), RANGE(-6, 6), .bf16 = 1},
    {"silu large",              silu,   IN({40001}), RANGE(-6, 6)},
    {"exp",                     exponential, IN({3, 5})},
    {"log",                     logarithm,   IN({3, 5}), RANGE(0.5f, 2)},
    {"sin",                     sine,        IN({3, 5}), RANGE(-4, 4)},
    {"cos",                     cosine,      IN({3, 5}), RANGE(-4, 4)},
    {"atan",                    arctangent,  IN({3, 5}), RANGE(-4, 4)},
    {"abs",                     absolute,    IN({3, 5}), KINK(0)},
    {"sign",                    sign,        IN({3, 5}), KINK(0)},
    {"floor",                   lower,       IN({3, 5}), RANGE(-0.9f, 0.9f), KINK(0)},
    {"pow 2",                   power,       IN({3, 5}), .f = {2}},
    {"pow 3",                   power,       IN({3, 5}), .f = {3}},
    {"pow -0.5",                power,       IN({3, 5}), .f = {-0.5f}, RANGE(0.5f, 2)},
    {"pow 1.25",                power,       IN({3, 5}), .f = {1.25f}, RANGE(0.5f, 2)},
    {"clamp",                   clamp,       IN({4, 9}), .f = {-0.5f, 0.5f}, KINK(0.5f)},
    {"cast to bf16",            to_bf16,       IN({3, 5}), COARSE},
    {"cast and back",           bf16_and_back, IN({3, 5}), COARSE},
    /* shapes */
    {"reshape",                 reshape,      IN({3, 4}), .to = {2, 3, 2}},
    {"reshape to a vector",     reshape,      IN({2, 3, 2, 2}), .to = {24}},
    {"broadcast row",           broadcast_to, IN({1, 4}), .to = {3, 4}, .reference = reference_broadcast_to},
    {"broadcast column",        broadcast_to, IN({3, 1}), .to = {3, 4}, .reference = reference_broadcast_to},
    {"broadcast scalar",        broadcast_to, IN({1, 1, 1}), .to = {2, 3, 4}, .reference = reference_broadcast_to},
    {"broadcast channels",      broadcast_to, IN({2, 1, 1, 3}), .to = {2, 4, 5, 3}, .reference = reference_broadcast_to},
    {"broadcast alternating",   broadcast_to, IN({2, 1, 5, 1}), .to = {2, 4, 5, 3}, .reference = reference_broadcast_to},
    {"broadcast large",         broadcast_to, IN({1, 1, 48, 8}), .to = {2, 48, 48, 8}, .reference = reference_broadcast_to},
    {"sum to row",              sum_to,       IN({3, 4}), .to = {1, 4}, .reference = reference_sum_to},
    {"sum to column",           sum_to,       IN({3, 4}), .to = {3, 1}, .reference = reference_sum_to},
    {"sum to scalar",           sum_to,       IN({2, 3, 4}), .to = {1, 1, 1}, .reference = reference_sum_to, .bf16 = 1},
    {"sum to nothing less",     sum_to,       IN({3, 4}), .to = {3, 4}, .reference = reference_sum_to},
    {"sum to channels",         sum_to,       IN({2, 3, 4, 5}), .to = {2, 1, 1, 5}, .reference = reference_sum_to},
    {"sum alternating",         sum_to,       IN({2, 3, 4, 5}), .to = {1, 3, 1, 5}, .reference = reference_sum_to},
    {"sum large",               sum_to,       IN({2, 48, 48, 8}), .to = {1, 1, 1, 8}, .reference = reference_sum_to},
    {"concat",                  concat, IN({3, 4}, {3, 2})},
    {"concat images",           concat, IN({2, 2, 3, 3}, {2, 2, 3, 5}), .bf16 = 3},
    {"concat vectors",          concat, IN({4}, {1})},
    {"concat large",            concat, IN({2, 48, 48, 5}, {2, 48, 48, 3})},
    {"slice begin",             slice,  IN({3, 5}), .i = {0, 2}},
    {"slice middle",            slice,  IN({2, 2, 2, 5}), .i = {1, 3}, .bf16 = 1},
    {"slice end",               slice,  IN({3, 5}), .i = {4, 1}},
    {"pad before",              pad,    IN({3, 2}), .i = {3, 5}},
    {"pad both sides",          pad,    IN({2, 2, 2, 3}), .i = {1, 5}, .bf16 = 1},
    {"pad after",               pad,    IN({3, 2}), .i = {0, 5}},
    {"swap12",                  swap12, IN({2, 3, 4, 5}), .bf16 = 1},
    {"swap12 large",            swap12, IN({2, 64, 8, 32})},
    {"upsample2",               upsample2, IN({2, 3, 2, 3}), .f = {1}, .bf16 = 1},
    {"upsample2 scaled",        upsample2, IN({1, 1, 4, 5}), .f = {-0.5f}},
    {"upsample2 large",         upsample2, IN({2, 24, 24, 8}), .f = {1}},
    {"sumpool2",                sumpool2,  IN({2, 4, 6, 3}), .f = {0.25f}, .bf16 = 1},
    {"sumpool2 one pixel",      sumpool2,  IN({2, 2, 2, 5}), .f = {1}},
    {"sumpool2 large",          sumpool2,  IN({2, 48, 48, 8}), .f = {0.25f}},
    {"avg_pool 2",              avg_pool, IN({2, 4, 6, 3}), .i = {2, 2, 0}, .reference = reference_avg_pool, .bf16 = 1},
    {"avg_pool 2 odd",          avg_pool, IN({2, 5, 3, 3}), .i = {2, 2, 0}, .reference = reference_avg_pool},
    {"avg_pool 3 padded",       avg_pool, IN({2, 4, 5, 3}), .i = {3, 1, 1}, .reference = reference_avg_pool, .bf16 = 1},
    {"avg_pool 3 one pixel",    avg_pool, IN({2, 1, 1, 5}), .i = {3, 1, 1}, .reference = reference_avg_pool},
    {"avg_pool 3 stride 2",     avg_pool, IN({1, 8, 7, 4}), .i = {3, 2, 1}, .reference = reference_avg_pool},
    {"avg_pool of all",         avg_pool, IN({2, 4, 4, 300}), .i = {4, 1, 0}, .reference = reference_avg_pool},
    {"avg_pool large",          avg_pool, IN({2, 48, 48, 8}), .i = {3, 1, 1}, .reference = reference_avg_pool},
    {"max_pool 2",              max_pool, IN({2, 4, 6, 3}), .i = {2, 2, 0}, PARTED, .reference = reference_max_pool},
    {"max_pool 3 stride 2",     max_pool, IN({2, 7, 5, 3}), .i = {3, 2, 0}, PARTED, .reference = reference_max_pool},
    {"max_pool 3 padded",       max_pool, IN({2, 4, 5, 3}), .i = {3, 1, 1}, PARTED, .reference = reference_max_pool},
    {"max_pool channels",       max_pool, IN({1, 3, 3, 300}), .i = {3, 1, 0}, PARTED, .reference = reference_max_pool},
    {"max_pool large",          max_pool, IN({2, 48, 48, 8}), .i = {3, 2, 0}, PARTED, .reference = reference_max_pool},
    {"avg_pool adjoint",        avg_pool_grad, IN({2, 4, 5, 3}), .i = {3, 1, 1}, .to = {2, 4, 5, 3}},
    {"avg_pool 3, 2 adjoint",   avg_pool_grad, IN({1, 4, 4, 300}), .i = {3, 2, 1}, .to = {1, 8, 7, 300}},
    {"resize adjoint",          resize_grad, IN({2, 9, 11, 3}), .i = {1}, .to = {2, 4, 3, 3}},
    {"resize down adjoint",     resize_grad, IN({1, 4, 3, 2}), .i = {0}, .to = {1, 9, 11, 2}},
    {"relu",                    relu,     IN({4, 9}), KINK(0)},
    {"resize up",               resize, IN({2, 4, 3, 3}), .i = {9, 11, 1}, .reference = reference_resize},
    {"resize up, corners",      resize, IN({2, 4, 3, 3}), .i = {9, 11, 0}, .reference = reference_resize},
    {"resize down",             resize, IN({1, 9, 11, 2}), .i = {4, 3, 1}, .reference = reference_resize},
    {"resize down, corners",    resize, IN({1, 9, 11, 2}), .i = {4, 3, 0}, .reference = reference_resize},
    {"resize a pixel",          resize, IN({1, 1, 1, 2}), .i = {3, 2, 1}, .reference = reference_resize},
    {"resize nothing",          resize, IN({1, 3, 4, 2}), .i = {3, 4, 1}, .reference = reference_resize},
    {"resize large",            resize, IN({2, 24, 24, 3}), .i = {75, 75, 1}, .reference = reference_resize},
    /* matrix products */
    {"matmul nn",               matmul, IN({3, 4}, {4, 5}), .i = {0, 0}, .reference = reference_matmul, .bf16 = 3},
    {"matmul nt",               matmul, IN({3, 4}, {5, 4}), .i = {0, 1}, .reference = reference_matmul, .bf16 = 3},
    {"matmul tn",               matmul, IN({4, 3}, {4, 5}), .i = {1, 0}, .reference = reference_matmul, .bf16 = 3},
    {"matmul tt",               matmul, IN({4, 3}, {5, 4}), .i = {1, 1}, .reference = reference_matmul, .bf16 = 3},
    {"matmul row",              matmul, IN({1, 4}, {4, 5}), .i = {0, 0}, .reference = reference_matmul},
    {"matmul inner",            matmul, IN({1, 6}, {1, 6}), .i = {0, 1}, .reference = reference_matmul},
    {"matmul outer",            matmul, IN({5, 1}, {1, 4}), .i = {0, 0}, .reference = reference_matmul},
    {"matmul rank 3 nn",        matmul, IN({2, 3, 4}, {2, 4, 5}), .i = {0, 0}, .reference = reference_matmul},
    {"matmul rank 3 nt",        matmul, IN({2, 3, 4}, {2, 5, 4}), .i = {0, 1}, .reference = reference_matmul, .bf16 = 3},
    {"matmul rank 3 tn",        matmul, IN({2, 4, 3}, {2, 4, 5}), .i = {1, 0}, .reference = reference_matmul},
    {"matmul rank 3 tt",        matmul, IN({2, 4, 3}, {2, 5, 4}), .i = {1, 1}, .reference = reference_matmul},
    {"matmul rank 4 nn",        matmul, IN({2, 2, 3, 4}, {2, 2, 4, 5}), .i = {0, 0}, .reference = reference_matmul},
    {"matmul rank 4 nt",        matmul, IN({2, 2, 3, 4}, {2, 2, 5, 4}), .i = {0, 1}, .reference = reference_matmul},
    {"matmul rank 4 tn",        matmul, IN({2, 2, 4, 3}, {2, 2, 4, 5}), .i = {1, 0}, .reference = reference_matmul},
    {"matmul rank 4 tt",        matmul, IN({2, 2, 4, 3}, {2, 2, 5, 4}), .i = {1, 1}, .reference = reference_matmul},
    {"matmul large",            matmul, IN({70, 65}, {65, 96}), .i = {0, 0}, .reference = reference_matmul},
    {"matmul large nt",         matmul, IN({4, 70, 33}, {4, 40, 33}), .i = {0, 1}, .reference = reference_matmul},
    /* convolutions: x, w, bias; stride, pad */
    {"conv 3x3",                conv2d, IN({2, 4, 6, 3}, {5, 3, 3, 3}), .i = {1, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 3x3 bias",           conv2d, IN({2, 4, 4, 3}, {5, 3, 3, 3}, {5}), .i = {1, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 3x3 odd",            conv2d, IN({1, 5, 7, 4}, {3, 4, 3, 3}, {3}), .i = {1, 1}, .reference = reference_conv2d},
    {"conv 3x3 no pad",         conv2d, IN({2, 5, 4, 3}, {2, 3, 3, 3}), .i = {1, 0}, .reference = reference_conv2d},
    {"conv 3x3 stride 2",       conv2d, IN({2, 6, 4, 3}, {5, 3, 3, 3}, {5}), .i = {2, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 3x3 stride 2 odd",   conv2d, IN({2, 7, 5, 3}, {4, 3, 3, 3}), .i = {2, 1}, .reference = reference_conv2d},
    {"conv 3x3 one pixel",      conv2d, IN({2, 1, 1, 3}, {4, 3, 3, 3}), .i = {1, 1}, .reference = reference_conv2d},
    {"conv 1x1",                conv2d, IN({2, 3, 4, 3}, {5, 3, 1, 1}), .i = {1, 0}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 1x1 bias",           conv2d, IN({2, 3, 4, 3}, {5, 3, 1, 1}, {5}), .i = {1, 0}, .reference = reference_conv2d},
    {"conv 1x1 stride 2",       conv2d, IN({2, 4, 6, 3}, {5, 3, 1, 1}), .i = {2, 0}, .reference = reference_conv2d},
    {"conv 1x1 stride 2 odd",   conv2d, IN({2, 5, 3, 3}, {5, 3, 1, 1}, {5}), .i = {2, 0}, .reference = reference_conv2d},
    {"conv 5x5",                conv2d, IN({1, 6, 5, 2}, {3, 2, 5, 5}), .i = {1, 2}, .reference = reference_conv2d},
    {"conv 1x3",                conv2d, IN({2, 3, 6, 2}, {3, 2, 1, 3}), .i = {1, 0}, .reference = reference_conv2d},
    {"conv 1x7 padded",         conv2d_padded, IN({2, 5, 6, 4}, {3, 4, 1, 7}, {3}), .i = {1, 0, 3}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 7x1 padded",         conv2d_padded, IN({2, 9, 4, 4}, {3, 4, 7, 1}), .i = {1, 3, 0}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 3x1 stride 2",       conv2d_padded, IN({1, 9, 5, 4}, {3, 4, 3, 1}), .i = {2, 1, 0}, .reference = reference_conv2d},
    {"conv 7x1, rows cut",      conv2d_padded, IN({1, 17, 17, 16}, {16, 16, 7, 1}, {16}), .i = {1, 3, 0}, .reference = reference_conv2d},
    {"conv 3x3 stride 2 valid", conv2d, IN({2, 9, 8, 4}, {3, 4, 3, 3}, {3}), .i = {2, 0}, .reference = reference_conv2d},
    {"conv 1 channel",          conv2d, IN({2, 6, 6, 1}, {16, 1, 3, 3}, {16}), .i = {1, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv to 1 channel",       conv2d, IN({2, 6, 6, 16}, {1, 16, 3, 3}, {1}), .i = {1, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 32 channels",        conv2d, IN({2, 8, 8, 32}, {32, 32, 3, 3}, {32}), .i = {1, 1}, .reference = reference_conv2d, .bf16 = 1, .error = WINOGRAD},
    {"conv 32 stride 2",        conv2d, IN({2, 8, 8, 32}, {32, 32, 3, 3}), .i = {2, 1}, .reference = reference_conv2d, .bf16 = 1},
    {"conv 48 to 16",           conv2d, IN({3, 7, 7, 48}, {16, 48, 1, 1}), .i = {1, 0}, .reference = reference_conv2d, .bf16 = 1},
    /* their adjoints in x: dy, w -> x */
    {"grad_input 3x3",          conv2d_grad_input, IN({2, 4, 6, 5}, {5, 3, 3, 3}), .i = {1, 1}, .to = {2, 4, 6, 3}, .reference = reference_conv2d_grad_input, .bf16 = 1},
    {"grad_input no pad",       conv2d_grad_input, IN({2, 3, 2, 4}, {4, 3, 3, 3}), .i = {1, 0}, .to = {2, 5, 4, 3}, .reference = reference_conv2d_grad_input},
    {"grad_input stride 2",     conv2d_grad_input, IN({2, 3, 2, 4}, {4, 3, 3, 3}), .i = {2, 1}, .to = {2, 6, 4, 3}, .reference = reference_conv2d_grad_input, .bf16 = 1},
    {"grad_input stride 2 odd", conv2d_grad_input, IN({2, 4, 3, 4}, {4, 3, 3, 3}), .i = {2, 1}, .to = {2, 7, 5, 3}, .reference = reference_conv2d_grad_input},
    {"grad_input 1x1",          conv2d_grad_input, IN({2, 3, 4, 4}, {4, 3, 1, 1}), .i = {1, 0}, .to = {2, 3, 4, 3}, .reference = reference_conv2d_grad_input},
    {"grad_input 1x1 stride 2", conv2d_grad_input, IN({2, 2, 3, 4}, {4, 3, 1, 1}), .i = {2, 0}, .to = {2, 4, 6, 3}, .reference = reference_conv2d_grad_input},
    {"grad_input 32 channels",  conv2d_grad_input, IN({2, 8, 8, 32}, {32, 32, 3, 3}), .i = {1, 1}, .to = {2, 8, 8, 32}, .reference = reference_conv2d_grad_input, .bf16 = 1, .error = WINOGRAD},
    /* and in w: dy, x -> w */
    {"grad_weight 3x3",          conv2d_grad_weight, IN({2, 4, 6, 5}, {2, 4, 6, 3}), .i = {1, 1}, .to = {5, 3, 3, 3}, .reference = reference_conv2d_grad_weight, .bf16 = 3},
    {"grad_weight no pad",       conv2d_grad_weight, IN({2, 3, 2, 4}, {2, 5, 4, 3}), .i = {1, 0}, .to = {4, 3, 3, 3}, .reference = reference_conv2d_grad_weight},
    {"grad_weight stride 2",     conv2d_grad_weight, IN({2, 3, 2, 4}, {2, 6, 4, 3}), .i = {2, 1}, .to = {4, 3, 3, 3}, .reference = reference_conv2d_grad_weight, .bf16 = 3},
    {"grad_weight stride 2 odd", conv2d_grad_weight, IN({2, 4, 3, 4}, {2, 7, 5, 3}), .i = {2, 1}, .to = {4, 3, 3, 3}, .reference = reference_conv2d_grad_weight},
    {"grad_weight 1x1",          conv2d_grad_weight, IN({2, 3, 4, 4}, {2, 3, 4, 3}), .i = {1, 0}, .to = {4, 3, 1, 1}, .reference = reference_conv2d_grad_weight},
    {"grad_weight 1x1 stride 2", conv2d_grad_weight, IN({2, 2, 3, 4}, {2, 4, 6, 3}), .i = {2, 0}, .to = {4, 3, 1, 1}, .reference = reference_conv2d_grad_weight},
    {"grad_weight 32 channels",  conv2d_grad_weight, IN({2, 8, 8, 32}, {2, 8, 8, 32}), .i = {1, 1}, .to = {32, 32, 3, 3}, .reference = reference_conv2d_grad_weight, .bf16 = 3, .error = WINOGRAD},
    /* normalisation */
    {"softmax",                 softmax, IN({3, 5}), RANGE(-3, 3), .reference = reference_softmax, .bf16 = 1},
    {"softmax one column",      softmax, IN({3, 1}), .reference = reference_softmax},
    {"softmax rank 4",          softmax, IN({2, 2, 3, 17}), RANGE(-3, 3), .reference = reference_softmax},
    {"softmax large",           softmax, IN({4, 64, 72}), RANGE(-3, 3), .reference = reference_softmax},
    {"log_softmax",             log_softmax, IN({3, 5}), RANGE(-3, 3), .reference = reference_log_softmax, .bf16 = 1},
    {"log_softmax far apart",   log_softmax, IN({3, 17}), RANGE(-150, 150), .reference = reference_log_softmax},
    {"log_softmax large",       log_softmax, IN({64, 300}), RANGE(-3, 3), .reference = reference_log_softmax},
    /* attention: 512 KiB of scores a block; heads */
    {"attention",               attention, IN({2, 5, 12}), .i = {1}, .reference = reference_attention, .bf16 = 1},
    {"attention 4 heads",       attention, IN({3, 49, 192}), RANGE(-2, 2), .i = {4}, .reference = reference_attention, .bf16 = 1},
    {"attention 64 a head",     attention, IN({1, 16, 192}), RANGE(-2, 2), .i = {1}, .reference = reference_attention, .bf16 = 1},
    {"attention 3 a head",      attention, IN({2, 17, 18}), .i = {2}, .reference = reference_attention},
    {"attention one token",     attention, IN({2, 1, 12}), .i = {2}, .reference = reference_attention},
    {"attention some heads",    attention, IN({1, 176, 288}), RANGE(-2, 2), .i = {6}, .reference = reference_attention, .bf16 = 1},
    {"attention blocks",        attention, IN({2, 389, 48}), RANGE(-2, 2), .i = {1}, .reference = reference_attention, .bf16 = 1},
    {"attention heads, blocks", attention, IN({1, 523, 192}), RANGE(-2, 2), .i = {4}, .reference = reference_attention, .bf16 = 1},
    {"group_norm",              group_norm, IN({2, 3, 3, 8}, {2, 8}, {2, 8}), .i = {2, NO}, .reference = reference_group_norm, .bf16 = 1},
    {"group_norm silu",         group_norm, IN({2, 3, 3, 8}, {2, 8}, {2, 8}), .i = {2, YES}, .reference = reference_group_norm, .bf16 = 1},
    {"group_norm shared",       group_norm, IN({3, 2, 5, 6}, {1, 6}, {1, 6}), .i = {3, NO}, .reference = reference_group_norm, .bf16 = 1},
    {"group_norm shared silu",  group_norm, IN({3, 2, 5, 6}, {1, 6}, {1, 6}), .i = {3, YES}, .reference = reference_group_norm, .bf16 = 1},
    {"group_norm 1 sample",     group_norm, IN({1, 3, 3, 4}, {1, 4}, {1, 4}), .i = {1, YES}, .reference = reference_group_norm},
    {"group_norm of channels",  group_norm, IN({2, 4, 3, 5}, {2, 5}, {2, 5}), .i = {5, YES}, .reference = reference_group_norm},
    {"group_norm one pixel",    group_norm, IN({2, 1, 1, 12}, {2, 12}, {2, 12}), .i = {3, NO}, .reference = reference_group_norm},
    {"group_norm large",        group_norm, IN({2, 32, 32, 16}, {2, 16}, {2, 16}), .i = {4, YES}, .reference = reference_group_norm},
    {"group_norm 1 large",      group_norm, IN({1, 48, 48, 16}, {1, 16}, {1, 16}), .i = {4, YES}, .reference = reference_group_norm},
    /* indices and random numbers */
    {"gather",                  gather,      IN({5, 3}), .i = {5, 7}},
    {"gather 1 row",            gather,      IN({1, 4}), .i = {1, 3}},
    {"scatter_add",             scatter_add, IN({7, 3}), .i = {5, 7}, .to = {5, 3}},
    {"scatter_add 1 row",       scatter_add, IN({3, 4}), .i = {1, 3}, .to = {1, 4}},
    {"dropout",                 dropout,     IN({4, 3, 5, 2}), .i = {1000}, .f = {0.3f}, .bf16 = 1},
    {"dropout large",           dropout,     IN({4, 5001}), .i = {1000}, .f = {0.5f}},
    /* several ops */
    {"softmax of products",     product_softmax, IN({2, 5, 4}, {2, 6, 4}, {2, 6, 4})},
    {"residual block",          residual,  IN({2, 4, 4, 4}, {4, 4, 3, 3}, {1, 8}), .bf16 = 1},
    {"shared values",           shared,    IN({4, 3})},
};
/* clang-format on */

const int op_case_count = sizeof op_cases / sizeof *op_cases;
