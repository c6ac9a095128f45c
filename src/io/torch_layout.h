/* torch_layout.h - inside of torch.c: a checkpoint while it is opened, in either layout */
#ifndef CM_IO_TORCH_LAYOUT_H
#define CM_IO_TORCH_LAYOUT_H

#include "io/tensor_file.h"
#include "io/torch_values.h"
#include "io/zip.h"

enum { CM_TORCH_MAX_PICKLE = 64 << 20 };

typedef struct cm_torch_file cm_torch_file;
struct cm_torch_file {
    cm_st_file *file;
    cm_pv_values *values;
    cm_pv root; /* the object */
    /* Where a storage of it is in the file.  Errors: CM_ERR_FORMAT. */
    cm_status (*place)(const cm_torch_file *c, const cm_torch_storage *s, uint64_t *at,
                       cm_error *err);
    const cm_zip *zip;                /* of an archive */
    char folder[CM_ZIP_MAX_NAME + 1]; /* "NAME/" in it */
    struct cm_torch_placed *placed;   /* of storages in a row, sorted by key */
    size_t n_placed;
};

/* Bytes of a storage, which has at most 2^48 - 1 elements. */
static inline uint64_t cm_torch_storage_bytes(const cm_torch_storage *s)
{
    return (uint64_t)s->elements * (uint64_t)(cm_st_dtype_bits(s->dtype) / 8);
}

/* Whether a file that begins like this is one, and reading its object: c->file, root and place.
 * The source is taken over, also where it fails, but for what has become c->file. */
int cm_torch_is_archive(const unsigned char *bytes, size_t n);
cm_status cm_torch_read_archive(cm_torch_file *c, cm_source *source, cm_error *err);
int cm_torch_is_pickles(const unsigned char *bytes, size_t n);
cm_status cm_torch_read_pickles(cm_torch_file *c, cm_source *source, cm_error *err);

#endif
