/* unary.c - functions of one element, and their derivatives times dy */
#include "cpu/kernels/vec.h"

/* Constants of the op. */
typedef struct map_arg {
    float p, q;
} map_arg;

typedef void map_fn(void *y, const void *x, int64_t n, map_arg arg);

static void map(const cm_call *c, map_fn *f32, map_fn *bf16, float p, float q)
{
    const int half = c->node->type.dtype == CM_BF16;
    const int64_t n = cm_type_count(&c->node->type);
    map_fn *const f = half ? bf16 : f32;
    const map_arg arg = {p, q};
    CM_EACH_SHARE (c, cm_team(c, n), i, n, CM_CHUNK)
        f(cm_at_out(c->out, i, half), cm_at(c->in[0], i, half), cm_min(CM_CHUNK, n - i), arg);
}

/* y = expr(x, arg), for both types; `loop` is CM_SIMD, or CALLS for functions of
 * the C library, which are not vectorised (they see small tensors only) */
#define CALLS
#define LOOPS(name, loop, expr)                                                           \
    CM_INLINE void name##_loop(void *y, const void *px, int64_t n, map_arg arg, int bf16) \
    {                                                                                     \
        (void)arg;                                                                        \
        loop for (int64_t i = 0; i < n; i++)                                              \
        {                                                                                 \
            const float x = cm_get(px, i, bf16);                                          \
            cm_put(y, i, bf16, (expr));                                                   \
        }                                                                                 \
    }                                                                                     \
    static void name##_f32(void *y, const void *x, int64_t n, map_arg arg)                \
    {                                                                                     \
        name##_loop(y, x, n, arg, 0);                                                     \
    }                                                                                     \
    static void name##_bf16(void *y, const void *x, int64_t n, map_arg arg)               \
    {                                                                                     \
        name##_loop(y, x, n, arg, 1);                                                     \
    }

#define UNARY(name, loop, p, q, expr)          \
    LOOPS(name, loop, expr)                    \
    void CM_K(name)(const cm_call *c)          \
    {                                          \
        map(c, name##_f32, name##_bf16, p, q); \
    }

/* clang-format off */
UNARY(affine, CM_SIMD, c->node->attr.affine.scale, c->node->attr.affine.shift,
      cm_fma(x, arg.p, arg.q))
UNARY(silu,  CM_SIMD, 0, 0, x * cm_sigmoid(x))
UNARY(exp,   CM_SIMD, 0, 0, cm_expf(x))
UNARY(abs,   CM_SIMD, 0, 0, fabsf(x))
UNARY(log,   CALLS, 0, 0, logf(x))
UNARY(sin,   CALLS, 0, 0, sinf(x))
UNARY(cos,   CALLS, 0, 0, cosf(x))
UNARY(atan,  CALLS, 0, 0, atanf(x))
UNARY(floor, CALLS, 0, 0, floorf(x)) /* an instruction from SSE4.1 on */
/* these two let NaN through */
UNARY(sign,  CM_SIMD, 0, 0, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
UNARY(clamp, CM_SIMD, c->node->attr.clamp.lo, c->node->attr.clamp.hi,
      x < arg.p ? arg.p : x > arg.q ? arg.q : x)

LOOPS(square,     CM_SIMD, x * x)
LOOPS(root,       CM_SIMD, sqrtf(x))
LOOPS(reciprocal, CM_SIMD, 1.0f / x)
LOOPS(power,      CALLS,   powf(x, arg.p))
/* clang-format on */

void CM_K(pow)(const cm_call *c)
{
    const float p = c->node->attr.pow.p;
    if (p == 2.0f)
        map(c, square_f32, square_bf16, p, 0);
    else if (p == 0.5f)
        map(c, root_f32, root_bf16, p, 0);
    else if (p == -1.0f)
        map(c, reciprocal_f32, reciprocal_bf16, p, 0);
    else
        map(c, power_f32, power_bf16, p, 0);
}

/* ---- dy times the derivative at x; the two may differ in type ---- */

enum { GRAD_CHUNK = 1024 };

typedef void grad_fn(float *dy, const float *x, int64_t n, float p, float q);

static void grad(const cm_call *c, grad_fn *f, float p, float q)
{
    const cm_dtype ty = cm_in_type(c, 0)->dtype, tx = cm_in_type(c, 1)->dtype;
    const int64_t n = cm_type_count(&c->node->type);
    CM_EACH_SHARE (c, cm_team(c, n), i, n, GRAD_CHUNK) {
        float dy[GRAD_CHUNK], x[GRAD_CHUNK];
        const int64_t m = cm_min(GRAD_CHUNK, n - i);
        cm_load(dy, c->in[0], ty, i, m);
        cm_load(x, c->in[1], tx, i, m);
        f(dy, x, m, p, q);
        cm_save(c->out, c->node->type.dtype, i, dy, m);
    }
}

static void silu_grad(float *dy, const float *x, int64_t n, float p, float q)
{
    (void)p, (void)q;
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        dy[i] *= cm_silu_slope(x[i]);
}

static void clamp_grad(float *dy, const float *x, int64_t n, float lo, float hi)
{
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        dy[i] = ((x[i] > lo) & (x[i] < hi)) ? dy[i] : 0.0f;
}

void CM_K(silu_grad)(const cm_call *c)
{
    grad(c, silu_grad, 0.0f, 0.0f);
}

void CM_K(clamp_grad)(const cm_call *c)
{
    grad(c, clamp_grad, c->node->attr.clamp.lo, c->node->attr.clamp.hi);
}

void CM_K(cast)(const cm_call *c)
{
    const cm_dtype from = cm_in_type(c, 0)->dtype, to = c->node->type.dtype;
    const int64_t n = cm_type_count(&c->node->type);
    CM_EACH_SHARE (c, cm_team(c, n), i, n, CM_CHUNK) {
        const int64_t m = cm_min(CM_CHUNK, n - i);
        if (to == CM_F32) {
            cm_load((float *)c->out + i, c->in[0], from, i, m);
        } else if (from == CM_F32) {
            cm_save(c->out, to, i, (const float *)c->in[0] + i, m);
        } else {
            float x[CM_CHUNK];
            cm_load(x, c->in[0], from, i, m);
            cm_save(c->out, to, i, x, m);
        }
    }
}
