/* torch_values.h - what PyTorch's pickles may name, and nothing else: the functions that make
 * tensors, the classes of their storages, and the ordered dict.  Nothing is ever called; a tensor
 * is a record of where its elements are, checked when it is made. */
#ifndef CM_IO_TORCH_VALUES_H
#define CM_IO_TORCH_VALUES_H

#include "io/pickle_values.h"
#include "io/safetensors.h"

/* Why something was refused: `expected ..., found ...`. */
typedef struct cm_why {
    cm_status status;
    char text[512];
} cm_why;

/* The value of `module.name`; 0 and why: not one of the list. */
cm_pv cm_torch_global(cm_pv_values *v, const char *module, const char *name, cm_why *why);
/* What function gives for the tuple args. */
cm_pv cm_torch_reduce(cm_pv_values *v, cm_pv function, cm_pv args, cm_why *why);
/* What a persistent id stands for: ("storage", class, key, location, elements). */
cm_pv cm_torch_persistent(cm_pv_values *v, cm_pv id, cm_why *why);

typedef struct cm_torch_storage {
    const char *key; /* valid up to the next text */
    cm_st_dtype dtype;
    int64_t elements;
} cm_torch_storage;

typedef struct cm_torch_tensor {
    cm_torch_storage storage;
    int64_t offset; /* in elements; all that follow are inside the storage */
    int rank;
    int64_t dim[CM_ST_MAX_RANK], stride[CM_ST_MAX_RANK]; /* strides in elements, at least 0 */
} cm_torch_tensor;

/* Of a value of that kind. */
cm_torch_storage cm_torch_storage_of(const cm_pv_values *v, cm_pv storage);
void cm_torch_tensor_of(const cm_pv_values *v, cm_pv tensor, cm_torch_tensor *t);

#endif
