/* idx.h - the IDX format of MNIST and its family: two zero bytes, a type, the
 * rank, big-endian 32-bit dimensions, then the elements, row-major.  Bytes
 * (type 8) only.  Source: LeCun, Cortes, Burges, "The MNIST database". */
#ifndef CM_IO_IDX_H
#define CM_IO_IDX_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

enum { CM_IDX_MAX_RANK = 4 };

typedef struct cm_idx {
    int rank;                     /* 1..4 */
    int64_t dim[CM_IDX_MAX_RANK]; /* each at least 1; unused ones are 1 */
    uint8_t *data;                /* freed with cm_idx_free */
} cm_idx;

/* Read a file, plain or gzip, of at most 4 GiB inflated.  The product of the
 * dimensions must equal the bytes that follow them.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
/* Whether the file begins as one, or as gzip does. */
int cm_idx_is(const char *path);
cm_status cm_idx_read(const char *path, cm_idx *out, cm_error *err);

/* The same from memory, plain or gzip; name is for messages. */
cm_status cm_idx_read_memory(const void *bytes, size_t n, const char *name, cm_idx *out,
                             cm_error *err);

void cm_idx_free(cm_idx *idx);

#endif
