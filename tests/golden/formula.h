/* formula.h - the weights of the golden networks, which are a formula, so that no file
 * holds them
 *
 * Element i (from 0, row by row in the layout of the checkpoint) of the tensor called
 * NAME is made from a number u(NAME, i) in [-1, 1), a hash of both:
 *
 *     rank 2 and more          u sqrt(3 / elements per output channel)
 *     others, NAME ..weight    1 + 0.1 u
 *     others                   0.1 u
 *
 * in double, rounded to f32 at the end.  The target and the teacher of the losses are
 * the student's weights times 1 + 0.05 u("target." NAME, i) and 1 + 0.1 u("teacher."
 * NAME, i), rounded again. */
#ifndef CM_TESTS_FORMULA_H
#define CM_TESTS_FORMULA_H

#include "nn/net.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

typedef enum formula_role { FORMULA_STUDENT, FORMULA_TARGET, FORMULA_TEACHER } formula_role;

/* Integers are modulo 2^32. */
static inline double formula_u(const char *prefix, const char *name, int64_t i)
{
    uLong crc = crc32(0, (const Bytef *)prefix, (uInt)strlen(prefix));
    crc = crc32(crc, (const Bytef *)name, (uInt)strlen(name));
    uint32_t x = ((uint32_t)i + 1u) * 2654435761u + (uint32_t)crc;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    x *= 3266489917u;
    x ^= x >> 16;
    return (double)x / 0x1p32 * 2.0 - 1.0;
}

static inline float formula_value(const cm_param *p, formula_role role, int64_t i)
{
    const double u = formula_u("", p->name, i);
    const size_t length = strlen(p->name);
    const int is_weight = length >= 6 && !strcmp(p->name + length - 6, "weight");
    double value = is_weight ? 1.0 + 0.1 * u : 0.1 * u;
    if (p->type.rank > 1)
        value = u * sqrt(3.0 * (double)p->type.dim[0] / (double)cm_type_count(&p->type));
    const double student = (double)(float)value;
    if (role == FORMULA_TARGET)
        return (float)(student * (1.0 + 0.05 * formula_u("target.", p->name, i)));
    if (role == FORMULA_TEACHER)
        return (float)(student * (1.0 + 0.1 * formula_u("teacher.", p->name, i)));
    return (float)student;
}

/* All parameters, each at its place in flat. */
static inline void formula_fill(const cm_params *params, formula_role role, float *flat)
{
    for (int k = 0; k < cm_params_size(params); k++) {
        const cm_param *p = cm_params_at(params, k);
        for (int64_t i = 0; i < cm_type_count(&p->type); i++)
            flat[p->offset + (size_t)i] = formula_value(p, role, i);
    }
}

#endif
