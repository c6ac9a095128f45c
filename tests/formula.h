/* formula.h - numbers by formula: what a name and an index give, the same in every
 * program and language.
 *
 *     x = (2654435761 (i + 1) + crc32(name)) mod 2^32, then mixed as murmur3 does;
 *     u = 2 x / 2^32 - 1, in [-1, 1)
 *
 * Weights of a network by formula: for tensor NAME with rows of n elements, the
 * seed name is salt + NAME; matrices and kernels u sqrt(3 / n), whose variance is
 * 1 / n; vectors "*.weight" (scales of norms) 1 + 0.1 u; biases 0.1 u.  None is 0,
 * so that every gradient is alive from the first step on. */
#ifndef CM_TESTS_FORMULA_H
#define CM_TESTS_FORMULA_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

static inline uint32_t formula_seed(const char *name)
{
    return (uint32_t)crc32(0, (const Bytef *)name, (uInt)strlen(name));
}

/* Element i >= 0 of what the name of this seed gives. */
static inline double formula_at(uint32_t seed, int64_t i)
{
    uint32_t x = ((uint32_t)i + 1u) * UINT32_C(2654435761) + seed;
    x ^= x >> 15;
    x *= UINT32_C(2246822519);
    x ^= x >> 13;
    x *= UINT32_C(3266489917);
    x ^= x >> 16;
    return (double)x / 4294967296.0 * 2.0 - 1.0;
}

static inline double formula_u(const char *name, int64_t i)
{
    return formula_at(formula_seed(name), i);
}

/* Fill n elements of tensor `name`, the first dimension of which is `rows`. */
static inline void formula_weights(const char *salt, const char *name, int rank, int64_t rows,
                                   int64_t n, float *w)
{
    const size_t length = strlen(name);
    const int is_scale = length >= 6 && !strcmp(name + length - 6, "weight");
    uint32_t seed = formula_seed(salt);
    seed = (uint32_t)crc32(seed, (const Bytef *)name, (uInt)length); /* of salt + name */
    for (int64_t i = 0; i < n; i++) {
        const double u = formula_at(seed, i);
        w[i] = (float)(rank > 1   ? u * sqrt(3.0 / (double)(n / rows))
                       : is_scale ? 1.0 + 0.1 * u
                                  : 0.1 * u);
    }
}

#endif
