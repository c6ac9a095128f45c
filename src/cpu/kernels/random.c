/* random.c - normal, uniform, dropout: functions of a counter (base/philox.h)
 *
 * Element e of sample s is lane e mod 4 of Philox(seed; e/4, s, step, stream).
 * Box-Muller needs log, sine and cosine: polynomials (Cephes, S. Moshier),
 * written without fused multiply-adds, so that every instruction set and
 * compiler draws the same bits. */
#include "base/philox.h"
#include "cpu/kernels/vec.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { BLOCKS = 256, LANES = 4 * BLOCKS }; /* Philox blocks a task, and numbers */

typedef struct draw {
    uint64_t seed;
    uint32_t step, first, stream;
} draw;

/* Philox on several blocks at once, one in each 64-bit lane; the upper half of a
 * lane is ignored.  Compilers do not find the 32 x 32 bit multiplication by
 * themselves, so it is the one intrinsic here. */
#if defined(__AVX512F__)
enum { WIDE = 8 };
typedef uint64_t wide __attribute__((vector_size(64)));
static wide mul_low(wide a, wide b)
{
    return (wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
enum { WIDE = 4 };
typedef uint64_t wide __attribute__((vector_size(32)));
static wide mul_low(wide a, wide b)
{
    return (wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
#elif defined(__SSE2__)
enum { WIDE = 2 };
typedef uint64_t wide __attribute__((vector_size(16)));
static wide mul_low(wide a, wide b)
{
    return (wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
}
#else
enum { WIDE = 2 };
typedef uint64_t wide __attribute__((vector_size(16)));
static wide mul_low(wide a, wide b)
{
    return (a & 0xffffffffu) * b;
}
#endif

/* Blocks [first, first+BLOCKS) of sample s: lane k of block b at u[k][b].  The
 * rounds are those of cm_philox(). */
static void philox_lanes(uint32_t u[4][BLOCKS], const draw *d, uint32_t s, uint32_t first)
{
    const wide zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    wide index = {0};
    for (uint32_t i = 0; i < WIDE; i++)
        index[i] = first + i;
    for (int b = 0; b < BLOCKS; b += WIDE, index += WIDE) {
        wide c[4] = {index, zero + s, zero + d->step, zero + d->stream};
        uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
        for (int r = 0; r < 10; r++) {
            const wide p0 = mul_low(c[0], m0), p1 = mul_low(c[2], m1);
            c[0] = (p1 >> 32) ^ c[1] ^ (zero + k0);
            c[2] = (p0 >> 32) ^ c[3] ^ (zero + k1);
            c[1] = p1;
            c[3] = p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < WIDE; i++)
                u[k][b + i] = (uint32_t)c[k][i];
    }
}

/* ln x for x in (0, 1): x = 2^e m, m in [sqrt(1/2), sqrt(2)) */
CM_INLINE float log_unit(float x)
{
    const uint32_t shift = 0x3f800000u - 0x3f3504f3u, i = cm_to_bits(x) + shift;
    const float e = (float)((int32_t)(i >> 23) - 127);
    const float f = cm_from_bits((i & 0x7fffffu) + 0x3f3504f3u) - 1.0f, z = f * f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    p = p * f * z - e * 2.12194440e-4f - 0.5f * z;
    return (f + p) + e * 0.693359375f;
}

/* cosine and sine of 2 pi t, t in (0, 1): t = q/4 + f/4 with |f| <= 1/2, so the
 * reduction is exact */
CM_INLINE void cos_sin_turn(float t, float *cosine, float *sine)
{
    const float magic = 0x1.8p23f, n = 4.0f * t + magic;
    const uint32_t q = cm_to_bits(n);
    const float x = (4.0f * t - (n - magic)) * 1.57079632679489662f, z = x * x;
    float s = -1.9515295891e-4f, c = 2.443315711809948e-5f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * x + x;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    const float even_c = q & 1u ? s : c, even_s = q & 1u ? c : s;
    *cosine = cm_from_bits(cm_to_bits(even_c) ^ ((q + 1u) & 2u) << 30);
    *sine = cm_from_bits(cm_to_bits(even_s) ^ (q & 2u) << 30);
}

static void uniform_lanes(float z[4][BLOCKS], uint32_t u[4][BLOCKS])
{
    for (int k = 0; k < 4; k++) {
        CM_SIMD
        for (int b = 0; b < BLOCKS; b++)
            z[k][b] = cm_uniform(u[k][b]);
    }
}

static void normal_lanes(float z[4][BLOCKS], uint32_t u[4][BLOCKS])
{
    for (int k = 0; k < 4; k += 2) {
        CM_SIMD
        for (int b = 0; b < BLOCKS; b++) {
            const float r = sqrtf(-2.0f * log_unit(cm_uniform(u[k][b])));
            float c, s;
            cos_sin_turn(cm_uniform(u[k + 1][b]), &c, &s);
            z[k][b] = r * c;
            z[k + 1][b] = r * s;
        }
    }
}

typedef void lanes_fn(float z[4][BLOCKS], uint32_t u[4][BLOCKS]);

/* LANES numbers, elements e0.. (a multiple of 4) of sample s */
static void numbers(float *x, lanes_fn *f, const draw *d, int64_t s, int64_t e0)
{
    uint32_t u[4][BLOCKS];
    float z[4][BLOCKS];
    philox_lanes(u, d, d->first + (uint32_t)s, (uint32_t)(e0 / 4));
    f(z, u);
    for (int b = 0; b < BLOCKS; b++)
        for (int k = 0; k < 4; k++)
            x[4 * b + k] = z[k][b];
}

static draw draw_make(const cm_call *c, int rng)
{
    const int32_t *r = c->in[rng];
    return (draw){.seed = (uint32_t)r[0] | (uint64_t)(uint32_t)r[1] << 32,
                  .step = (uint32_t)r[2],
                  .first = (uint32_t)r[3],
                  .stream = c->node->attr.random.stream};
}

static void fill(const cm_call *c, lanes_fn *f)
{
    const cm_type *t = &c->node->type;
    const draw d = draw_make(c, 0);
    const int64_t samples = t->rank ? t->dim[0] : 1, count = cm_type_count(t);
    const int64_t n = samples ? count / samples : 0, tasks = cm_ceil_div(n, LANES);
    CM_EACH_SHARE (c, cm_team(c, 8 * count), task, samples * tasks, 1) {
        const int64_t s = task / tasks, k = task % tasks * LANES;
        float x[LANES];
        numbers(x, f, &d, s, k);
        cm_save(c->out, t->dtype, s * n + k, x, cm_min(LANES, n - k));
    }
}

void CM_K(normal)(const cm_call *c)
{
    fill(c, normal_lanes);
}

void CM_K(uniform)(const cm_call *c)
{
    fill(c, uniform_lanes);
}

void CM_K(dropout)(const cm_call *c)
{
    const cm_type *t = &c->node->type;
    const draw d = draw_make(c, 1);
    const float p = c->node->attr.random.p, scale = 1.0f / (1.0f - p);
    const int64_t samples = t->rank ? t->dim[0] : 1, count = cm_type_count(t);
    const int64_t n = samples ? count / samples : 0, tasks = cm_ceil_div(n, LANES);
    CM_EACH_SHARE (c, cm_team(c, 8 * count), task, samples * tasks, 1) {
        float u[LANES], x[LANES];
        const int64_t s = task / tasks, k = task % tasks * LANES;
        const int64_t at = s * n + k, m = cm_min(LANES, n - k);
        numbers(u, uniform_lanes, &d, s, k);
        cm_load(x, c->in[0], t->dtype, at, m);
        CM_SIMD
        for (int64_t i = 0; i < m; i++)
            x[i] = u[i] >= p ? x[i] * scale : 0.0f;
        cm_save(c->out, t->dtype, at, x, m);
    }
}
