/* safetensors_dtype.c - dtypes of safetensors and sizes of shapes */
#include "io/safetensors.h"

#include <string.h>

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
#define X(id, bits) {#id, bits},
    CM_ST_DTYPE_LIST(X)
#undef X
};

enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *cm_st_dtype_name(cm_st_dtype t)
{
    return dtypes[t].name;
}

int cm_st_dtype_bits(cm_st_dtype t)
{
    return dtypes[t].bits;
}

int cm_st_dtype_find(const char *name, cm_st_dtype *t)
{
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(name, dtypes[i].name) == 0) {
            *t = (cm_st_dtype)i;
            return 0;
        }
    return -1;
}

int cm_st_shape_bytes(cm_st_dtype dtype, int rank, const int64_t *dim, int64_t *count,
                      uint64_t *bytes)
{
    int64_t nonzero = 1, bits; /* nonzero: the product without dimensions of 0 */
    int empty = 0;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || __builtin_mul_overflow(nonzero, dim[i] ? dim[i] : 1, &nonzero))
            return -1;
        empty |= dim[i] == 0;
    }
    if (__builtin_mul_overflow(nonzero, (int64_t)cm_st_dtype_bits(dtype), &bits))
        return -1;
    if (!empty && bits % 8)
        return -1;
    *count = empty ? 0 : nonzero;
    *bytes = empty ? 0 : (uint64_t)bits / 8;
    return 0;
}

int64_t cm_st_elements(const cm_st_tensor *t)
{
    int64_t count = 0;
    uint64_t bytes;
    cm_st_shape_bytes(t->dtype, t->rank, t->dim, &count, &bytes); /* checked on opening */
    return count;
}
