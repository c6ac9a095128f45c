/* tensor_file.h - inside of an open file of tensors (safetensors.h), for the readers that fill
 * one: safetensors.c and torch.c */
#ifndef CM_IO_TENSOR_FILE_H
#define CM_IO_TENSOR_FILE_H

#include "base/memory.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/source.h"

struct cm_st_file {
    cm_source source;
    uint64_t data, data_bytes; /* where the data part starts in the file, and its size */
    int count;
    cm_st_tensor *tensor;         /* in order of their data */
    const cm_st_tensor **by_name; /* sorted by strcmp */
    json_t *metadata;             /* NULL: none */
    int n_meta;
    const char **meta_key; /* owned by metadata */
    cm_arena names;        /* and strides */

    /* What the source is borrowed from, if not NULL: release takes it back, and check says
     * before tensor t is read whether its bytes are the ones that were written. */
    void *behind;
    void (*release)(void *behind);
    cm_status (*check)(void *behind, const cm_st_tensor *t, cm_error *err);
};

/* Empty; the source is taken over, also where it fails.  Errors: CM_ERR_MEMORY. */
cm_status cm_st_file_new(cm_source *source, cm_st_file **file, cm_error *err);

/* The tensors are all there: sort them, by data and by name.  Errors: CM_ERR_MEMORY. */
cm_status cm_st_file_sort(cm_st_file *file, cm_error *err);

#endif
