/* weights_file.c - which reader a file of tensors is for */
#include "io/weights_file.h"

#include "base/error.h"
#include "io/torch.h"

#include <unistd.h>

static cm_status open_source(cm_source *source, cm_st_file **file, int *torch, cm_error *err)
{
    unsigned char first[32];
    const size_t n = source->size < sizeof first ? (size_t)source->size : sizeof first;
    const cm_status s = cm_source_read(source, first, n, 0, err);
    if (s) {
        cm_source_close(source);
        return s;
    }
    const int is = cm_torch_is(first, n);
    if (torch)
        *torch = is;
    return is ? cm_torch_open(source, file, err) : cm_st_open_source(source, file, err);
}

cm_status cm_weights_open(const char *path, cm_st_file **file, int *torch, cm_error *err)
{
    cm_source source;
    const cm_status s = cm_source_open(path, &source, err);
    return s ? s : open_source(&source, file, torch, err);
}

cm_status cm_weights_open_memory(const void *bytes, size_t n, const char *name, cm_st_file **file,
                                 int *torch, cm_error *err)
{
    cm_source source;
    const cm_status s = cm_source_memory(bytes, n, name, &source, err);
    return s ? s : open_source(&source, file, torch, err);
}

cm_status cm_weights_check_there(const char *path, const cm_published *p, cm_error *err)
{
    char shown[512];
    if (!access(path, F_OK))
        return CM_OK;
    return cm_fail(err, CM_ERR_IO, "%s: no such file: %s are expected there, %s, %s",
                   cm_escape(shown, sizeof shown, path), p->what, p->file, p->facts);
}
