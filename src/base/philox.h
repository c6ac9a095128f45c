/* philox.h - counter-based random numbers: Philox-4x32-10 (Salmon et al. 2011,
 * "Parallel random numbers: as easy as 1, 2, 3").
 *
 * A number is a pure function of (seed, stream, step, sample, element): the key
 * is the seed, the counter is the rest.  So noise does not depend on thread
 * count, batch split or device, and there is no generator state to save. */
#ifndef CM_BASE_PHILOX_H
#define CM_BASE_PHILOX_H

#include <math.h>
#include <stdint.h>

typedef struct cm_philox_block {
    uint32_t v[4];
} cm_philox_block;

static inline cm_philox_block cm_philox(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2,
                                        uint32_t c3)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int r = 0; r < 10; r++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (cm_philox_block){{c0, c1, c2, c3}};
}

/* Uniform in (0, 1): 23 bits and a half, exact in a float, so never 0 or 1:
 * log() of it is finite and floor(n u) < n. */
static inline float cm_uniform(uint32_t u)
{
    return ((float)(u >> 9) + 0.5f) * 0x1p-23f;
}

/* Four independent N(0,1) from one block (Box-Muller, two pairs). */
static inline void cm_normal4(cm_philox_block b, float z[4])
{
    for (int p = 0; p < 2; p++) {
        const float r = sqrtf(-2.0f * logf(cm_uniform(b.v[2 * p])));
        const float a = 6.28318530717958647692f * cm_uniform(b.v[2 * p + 1]);
        z[2 * p] = r * cosf(a);
        z[2 * p + 1] = r * sinf(a);
    }
}

/* The key of an independent sub-stream of a seed. */
static inline uint64_t cm_stream_key(uint64_t seed, uint64_t stream)
{
    const cm_philox_block b =
        cm_philox(seed, (uint32_t)stream, (uint32_t)(stream >> 32), 0x5eed5eedu, 0);
    return (uint64_t)b.v[0] | (uint64_t)b.v[1] << 32;
}

#endif
