/* npz.h - numpy's archive of arrays: a zip file of .npy members, stored
 * uncompressed, so numpy.load reads it and equal arrays give equal bytes.
 * Source: numpy.lib.format, version 1.0. */
#ifndef CM_IO_NPZ_H
#define CM_IO_NPZ_H

#include "cm_status.h"

#include <stdint.h>

typedef enum cm_npz_dtype { CM_NPZ_U8, CM_NPZ_I64, CM_NPZ_F32, CM_NPZ_F64 } cm_npz_dtype;

enum { CM_NPZ_MAX_RANK = 8 };

typedef struct cm_npz_array {
    const char *name; /* "arr_0": letters, digits, '_', '-' and '.'; ".npy" is added */
    cm_npz_dtype dtype;
    int rank;
    int64_t dim[CM_NPZ_MAX_RANK];
    const void *data; /* row-major */
} cm_npz_array;

/* Write n arrays; the file appears whole or not at all.
 * Errors: CM_ERR_ARGUMENT (name, shape), CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_npz_write(const char *path, int n, const cm_npz_array *arrays, cm_error *err);

#endif
