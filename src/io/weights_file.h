/* weights_file.h - a file of tensors of either kind, safetensors or PyTorch's, told by its first
 * bytes and never by its name. */
#ifndef CM_IO_WEIGHTS_FILE_H
#define CM_IO_WEIGHTS_FILE_H

#include "io/safetensors.h"

/* As cm_st_open and cm_torch_open; *torch (NULL allowed): it is PyTorch's. */
cm_status cm_weights_open(const char *path, cm_st_file **file, int *torch, cm_error *err);
cm_status cm_weights_open_memory(const void *bytes, size_t n, const char *name, cm_st_file **file,
                                 int *torch, cm_error *err);

/* A file of weights that another project publishes, for who has not got it. */
typedef struct cm_published {
    const char *what;  /* "the Inception network's weights" */
    const char *file;  /* its name where it is published */
    const char *facts; /* size, hash, and who publishes it where */
} cm_published;
/* Whether there is something at each of the n paths.  Errors: CM_ERR_IO, which says all of this of
 * all that are missing. */
cm_status cm_weights_check_there(int n, const char *const *path, const cm_published *expected,
                                 cm_error *err);

#endif
