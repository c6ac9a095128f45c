/* bf16.h - bfloat16: the upper half of a float, rounded to nearest even */
#ifndef CM_BASE_BF16_H
#define CM_BASE_BF16_H

#include <stdint.h>
#include <string.h>

typedef uint16_t cm_bf16;

static inline float cm_bf16_to_f32(cm_bf16 h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline cm_bf16 cm_f32_to_bf16(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    const uint32_t nan = (u & 0x7fffffffu) > 0x7f800000u; /* keep NaN a NaN */
    const uint32_t r = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return (cm_bf16)(nan ? (u >> 16 | 0x40u) : r);
}

#endif
