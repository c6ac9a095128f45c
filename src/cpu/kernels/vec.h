/* vec.h - what the kernels share: typed loads and stores, functions of one
 * element written so that loops over them vectorise (no branches, no calls),
 * and the split of work over threads.
 *
 * The files are compiled with -ffp-contract=off and ask for fused
 * multiply-adds by name, and sums along memory keep a fixed number of partial
 * sums (CM_LANES) instead of leaving it to the compiler.  So gcc and clang, AVX2
 * and AVX-512 compute the same bits; only the plain variant, which has no fused
 * instruction, differs in the last place. */
#ifndef CM_CPU_KERNELS_VEC_H
#define CM_CPU_KERNELS_VEC_H

#include "base/bf16.h"
#include "cpu/kernels/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#define CM_INLINE static inline __attribute__((always_inline))
#define CM_APART  static __attribute__((noinline)) /* so that its registers are its own */
#define CM_SIMD   _Pragma("omp simd")

enum { CM_LANES = 16 };

/* In pieces of constant size, which is no call for each of many short rows. */
CM_INLINE void cm_copy(char *to, const char *from, int64_t bytes, int64_t piece)
{
    if (bytes % piece)
        memcpy(to, from, (size_t)bytes);
    else
        for (int64_t i = 0; i < bytes; i += piece)
            memcpy(to + i, from + i, (size_t)piece);
}

/* ---- bits ---- */

CM_INLINE float cm_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

CM_INLINE uint32_t cm_to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* a * b + c, in one rounding where the instruction set has it */
CM_INLINE float cm_fma(float a, float b, float c)
{
#ifdef __FMA__
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* cm_f32_to_bf16(), but what is denormal becomes 0, as the instruction for it has it */
CM_INLINE cm_bf16 cm_round_bf16(float f)
{
    const uint32_t u = cm_to_bits(f), size = u & 0x7fffffffu;
    const uint32_t rounded = u + 0x7fffu + (u >> 16 & 1u);
    const uint32_t number = size < 0x00800000u ? u & 0x80000000u : rounded;
    return (cm_bf16)((f != f ? u | 0x00400000u : number) >> 16);
}

enum { CM_BF16_LANES = 32 };

/* y[0..32) in bf16 */
CM_INLINE void cm_put_lanes_bf16(cm_bf16 *y, const float *lanes)
{
#ifdef __AVX512BF16__
    const __m512bh h = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(lanes + 16), _mm512_loadu_ps(lanes));
    memcpy(y, &h, sizeof h);
#else
    CM_SIMD
    for (int k = 0; k < CM_BF16_LANES; k++)
        y[k] = cm_round_bf16(lanes[k]);
#endif
}

/* ---- typed memory; `bf16` is a constant once these are inlined ---- */

CM_INLINE float cm_get(const void *p, int64_t i, int bf16)
{
    return bf16 ? cm_bf16_to_f32(((const cm_bf16 *)p)[i]) : ((const float *)p)[i];
}

CM_INLINE void cm_put(void *p, int64_t i, int bf16, float v)
{
    if (bf16)
        ((cm_bf16 *)p)[i] = cm_round_bf16(v);
    else
        ((float *)p)[i] = v;
}

/* y[i] = value for i in [0, n); 32 at a time where they are to be rounded, for compilers
 * do not find the instruction that does so. */
#define CM_PUT_EACH(y, n, bf16, i, value)                                        \
    do {                                                                         \
        int64_t done_ = 0;                                                       \
        for (; (bf16) && done_ + CM_BF16_LANES <= (n); done_ += CM_BF16_LANES) { \
            float lanes_[CM_BF16_LANES];                                         \
            CM_SIMD                                                              \
            for (int64_t i = done_; i < done_ + CM_BF16_LANES; i++)              \
                lanes_[i - done_] = (value);                                     \
            cm_put_lanes_bf16((cm_bf16 *)(y) + done_, lanes_);                   \
        }                                                                        \
        CM_SIMD                                                                  \
        for (int64_t i = done_; i < (n); i++)                                    \
            cm_put(y, i, bf16, value);                                           \
    } while (0)

/* element i of an array of f32 or bf16 */
CM_INLINE const void *cm_at(const void *p, int64_t i, int bf16)
{
    return (const char *)p + i * (bf16 ? 2 : 4);
}

CM_INLINE void *cm_at_out(void *p, int64_t i, int bf16)
{
    return (char *)p + i * (bf16 ? 2 : 4);
}

enum { CM_AHEAD = 2048 }; /* bytes, a good half of a page */

/* Have the bytes [ahead, ahead + bytes) behind p brought to the second cache.  The processor
 * asks by itself for what follows what is read, but not beyond a page, and not for what is to be
 * written.  The address may be any: nothing is read. */
CM_INLINE void cm_prefetch(const void *p, int64_t ahead, int64_t bytes)
{
    const uintptr_t from = (uintptr_t)p + (uintptr_t)ahead;
    for (uintptr_t at = from; at < from + (uintptr_t)bytes; at += 64)
        __builtin_prefetch((const void *)at, 0, 2);
}

/* n elements from element i on, as f32 and back */
static inline void cm_load(float *dst, const void *src, cm_dtype t, int64_t i, int64_t n)
{
    if (t == CM_F32) {
        memcpy(dst, (const float *)src + i, (size_t)n * sizeof *dst);
    } else if (t == CM_BF16) {
        const cm_bf16 *s = (const cm_bf16 *)src + i;
        CM_SIMD
        for (int64_t k = 0; k < n; k++)
            dst[k] = cm_bf16_to_f32(s[k]);
    } else {
        const int32_t *s = (const int32_t *)src + i;
        CM_SIMD
        for (int64_t k = 0; k < n; k++)
            dst[k] = (float)s[k];
    }
}

static inline void cm_save(void *dst, cm_dtype t, int64_t i, const float *src, int64_t n)
{
    if (t == CM_F32) {
        memcpy((float *)dst + i, src, (size_t)n * sizeof *src);
    } else {
        cm_bf16 *d = (cm_bf16 *)dst + i;
        CM_PUT_EACH(d, n, 1, k, src[k]);
    }
}

/* ---- functions ---- */

/* e^x, about 1 ulp (2 in the plain variant): e^x = 2^n e^r, n = round(x / ln 2),
 * and a polynomial in r (Cephes, S. Moshier).  The power of two is applied in
 * two steps, so results in the denormal range are right; 0 and infinity come
 * out where they should, and NaN stays NaN. */
CM_INLINE float cm_expf(float x)
{
    x = x < -104.0f ? -104.0f : x; /* written so that NaN passes */
    x = x > 89.0f ? 89.0f : x;
    const float magic = 0x1.8p23f; /* adding it rounds to an integer, in the low bits */
    const float t = cm_fma(x, 1.44269504088896341f, magic);
    const float n = t - magic;
    const int32_t k = (int32_t)(cm_to_bits(t) - cm_to_bits(magic));
    float r = cm_fma(n, -0.693359375f, x);
    r = cm_fma(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = cm_fma(p, r, 1.3981999507e-3f);
    p = cm_fma(p, r, 8.3334519073e-3f);
    p = cm_fma(p, r, 4.1665795894e-2f);
    p = cm_fma(p, r, 1.6666665459e-1f);
    p = cm_fma(p, r, 5.0000001201e-1f);
    p = cm_fma(p, r * r, r) + 1.0f;
    const int32_t half = k >> 1;
    const float s0 = cm_from_bits((uint32_t)(half + 127) << 23);
    const float s1 = cm_from_bits((uint32_t)(k - half + 127) << 23);
    return p * s0 * s1;
}

/* 2^f for f in [-1/2, 1/2]: a minimax fit that is exact at 0 */
CM_INLINE float cm_exp2_part(float f)
{
    float p = 1.32695388e-3f;
    p = cm_fma(p, f, 9.67129227e-3f);
    p = cm_fma(p, f, 5.55071086e-2f);
    p = cm_fma(p, f, 0.240222469f);
    p = cm_fma(p, f, 0.693147004f);
    return cm_fma(p, f, 1.0f);
}

/* e^x for |x| <= 87, at half the work: within (2 + |x| / 5) units of the last
 * place (plain: |x| units).  2^n is added to the exponent bits. */
CM_INLINE float cm_exp_mid(float x)
{
    const float magic = 0x1.8p23f, log2e = 1.44269504088896341f;
    const float t = cm_fma(x, log2e, magic);
    const float p = cm_exp2_part(cm_fma(x, log2e, magic - t));
    return cm_from_bits(cm_to_bits(p) + (cm_to_bits(t) << 23));
}

/* 1 / (1 + e^-x).  The argument is clamped as an integer, which compilers
 * vectorise best; a NaN may come out as a number: callers multiply by x. */
CM_INLINE float cm_sigmoid(float x)
{
    const uint32_t u = cm_to_bits(x), most = 0x42ae0000u /* 87 */, size = u & 0x7fffffffu;
    const float minus = cm_from_bits((size < most ? size : most) | (~u & 0x80000000u));
    return 1.0f / (1.0f + cm_exp_mid(minus));
}

/* d/dx of x sigmoid(x) */
CM_INLINE float cm_silu_slope(float x)
{
    const float s = cm_sigmoid(x);
    return s * cm_fma(x, 1.0f - s, 1.0f);
}

/* and of that: s (1 - s) (2 + x (1 - 2 s)), s = sigmoid(x) */
CM_INLINE float cm_silu_bend(float x)
{
    const float s = cm_sigmoid(x);
    return s * (1.0f - s) * cm_fma(x, cm_fma(-2.0f, s, 1.0f), 2.0f);
}

CM_INLINE float cm_sum_lanes(float *s)
{
    for (int half = CM_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            s[k] += s[k + half];
    return s[0];
}

/* ---- work ---- */

enum {
    CM_CHUNK = 4096,   /* elements a task, where elements are independent */
    CM_SERIAL = 16384, /* fewer elements than this are not worth sharing out */
};

CM_INLINE int cm_team(const cm_call *c, int64_t elements)
{
    return elements < CM_SERIAL ? 1 : c->workers;
}

/* The i's of 0, step, 2 step ... below n that are this worker's. */
#define CM_EACH_SHARE(c, team, i, n, step)                    \
    for (int64_t i = cm_share_of(c, team, n, step).begin,     \
                 i##_end = cm_share_of(c, team, n, step).end; \
         i < i##_end; i += (step))

CM_INLINE int64_t cm_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

CM_INLINE int64_t cm_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

CM_INLINE const cm_type *cm_in_type(const cm_call *c, int i)
{
    return &c->node->in[i]->type;
}

CM_INLINE int64_t cm_last(const cm_type *t)
{
    return t->rank ? t->dim[t->rank - 1] : 1;
}

#endif
