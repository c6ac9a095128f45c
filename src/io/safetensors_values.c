/* safetensors_values.c - reading with conversion */
#include "base/bf16.h"
#include "base/error.h"
#include "base/memory.h"
#include "io/safetensors.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values in the file are little-endian");

/* ---- conversion --------------------------------------------------------- */

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float f16_to_f32(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    float f;
    if (exponent == 31)
        f = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        f = (float)fraction * 0x1p-24f;
    else
        f = ldexpf((float)(fraction + 1024), exponent - 25);
    return h & 0x8000 ? -f : f;
}

#define AS_IS(v) (v)

/* dst[i] = (D)from(src as T), src possibly unaligned */
#define EACH(D, T, from)                          \
    for (size_t i = 0; i < n; i++) {              \
        T v;                                      \
        memcpy(&v, src + i * sizeof v, sizeof v); \
        dst[i] = (D)from(v);                      \
    }                                             \
    return 0

/* Convert n values; non-zero: no such conversion. */
#define DEFINE_CONVERT_REAL(name, D)                                               \
    static int name(cm_st_dtype dtype, const unsigned char *src, size_t n, D *dst) \
    {                                                                              \
        switch (dtype) {                                                           \
        case CM_ST_F32:                                                            \
            EACH(D, float, AS_IS);                                                 \
        case CM_ST_F64:                                                            \
            EACH(D, double, AS_IS);                                                \
        case CM_ST_BF16:                                                           \
            EACH(D, cm_bf16, cm_bf16_to_f32);                                      \
        case CM_ST_F16:                                                            \
            EACH(D, uint16_t, f16_to_f32);                                         \
        case CM_ST_I64:                                                            \
            EACH(D, int64_t, AS_IS);                                               \
        case CM_ST_I32:                                                            \
            EACH(D, int32_t, AS_IS);                                               \
        case CM_ST_U8:                                                             \
            EACH(D, uint8_t, AS_IS);                                               \
        default:                                                                   \
            return -1;                                                             \
        }                                                                          \
    }

DEFINE_CONVERT_REAL(convert_f32, float)
DEFINE_CONVERT_REAL(convert_f64, double)

static int convert_i64(cm_st_dtype dtype, const unsigned char *src, size_t n, int64_t *dst)
{
    switch (dtype) {
    case CM_ST_I64:
        EACH(int64_t, int64_t, AS_IS);
    case CM_ST_I32:
        EACH(int64_t, int32_t, AS_IS);
    case CM_ST_U8:
        EACH(int64_t, uint8_t, AS_IS);
    default:
        return -1;
    }
}

static cm_status no_conversion(const cm_st_file *f, const cm_st_tensor *t, const char *expected,
                               cm_error *err)
{
    char name[256];
    return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": dtype: expected %s, found %s",
                   cm_st_path(f), cm_escape(name, sizeof name, t->name), expected,
                   cm_st_dtype_name(t->dtype));
}

static cm_status no_memory(const cm_st_file *f, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", cm_st_path(f));
}

/* Through a buffer that stays in the first-level cache; where elements are not in order, as a
 * whole. */
#define DEFINE_READ(name, D, convert, expected)                                       \
    cm_status name(const cm_st_file *f, const cm_st_tensor *t, D *dst, cm_error *err) \
    {                                                                                 \
        unsigned char chunk[16384];                                                   \
        const size_t bits = (size_t)cm_st_dtype_bits(t->dtype);                       \
        if (convert(t->dtype, NULL, 0, dst))                                          \
            return no_conversion(f, t, expected, err);                                \
        if (t->stride) {                                                              \
            void *whole = cm_alloc((size_t)t->bytes + 1);                             \
            cm_status s = whole ? cm_st_read(f, t, whole, err) : no_memory(f, err);   \
            if (!s)                                                                   \
                convert(t->dtype, whole, (size_t)t->bytes * 8 / bits, dst);           \
            cm_free(whole);                                                           \
            return s;                                                                 \
        }                                                                             \
        for (uint64_t at = 0; at < t->bytes;) {                                       \
            const uint64_t left = t->bytes - at;                                      \
            const size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;       \
            const cm_status s = cm_st_read_part(f, t, at, n, chunk, err);             \
            if (s)                                                                    \
                return s;                                                             \
            convert(t->dtype, chunk, n * 8 / bits, dst + at * 8 / bits);              \
            at += n;                                                                  \
        }                                                                             \
        return CM_OK;                                                                 \
    }

#define REALS    "F32, F64, BF16, F16, I64, I32 or U8"
#define INTEGERS "I64, I32 or U8"

/* clang-format off */
static DEFINE_READ(read_as_f32, float, convert_f32, REALS)
DEFINE_READ(cm_st_read_f64, double, convert_f64, REALS)
DEFINE_READ(cm_st_read_i64, int64_t, convert_i64, INTEGERS)
    /* clang-format on */

    cm_status cm_st_read_f32(const cm_st_file *f, const cm_st_tensor *t, float *dst, cm_error *err)
{
    return t->dtype == CM_ST_F32 ? cm_st_read(f, t, dst, err) : read_as_f32(f, t, dst, err);
}
