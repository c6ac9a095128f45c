/* weights_file.c - which reader a file of tensors is for */
#include "io/weights_file.h"

#include "base/error.h"
#include "io/image.h"
#include "io/torch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes of another kind, for a message that says so.  A safetensors file begins with eight bytes
 * of length, the upper ones zero, and a JSON object. */
static cm_status check_kind(const cm_source *s, const unsigned char *first, size_t n, cm_error *err)
{
    const char *kind = cm_image_kind(first, n);
    if (kind == cm_image_no_kind || (n > 8 && first[8] == '{' && !memcmp(first + 5, "\0\0\0", 3)))
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected a .safetensors file or a PyTorch checkpoint, as torch.save writes "
                   "it, found: %s",
                   s->path, kind);
}

static cm_status open_source(cm_source *source, cm_st_file **file, int *torch, cm_error *err)
{
    unsigned char first[32];
    const size_t n = source->size < sizeof first ? (size_t)source->size : sizeof first;
    cm_status s = cm_source_read(source, first, n, 0, err);
    const int is = !s && cm_torch_is(first, n);
    if (!s && !is)
        s = check_kind(source, first, n, err);
    if (s) {
        cm_source_close(source);
        return s;
    }
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

cm_status cm_weights_check_there(int n, const char *const *path, const cm_published *expected,
                                 cm_error *err)
{
    char shown[200], all[sizeof err->message] = "";
    for (int i = 0; i < n; i++) {
        const cm_published *p = &expected[i];
        const size_t at = strlen(all);
        if (access(path[i], F_OK))
            snprintf(all + at, sizeof all - at, "%s%s: no such file: %s are expected there, %s, %s",
                     at ? "; " : "", cm_escape(shown, sizeof shown, path[i]), p->what, p->file,
                     p->facts);
    }
    return *all ? cm_fail(err, CM_ERR_IO, "%s", all) : CM_OK;
}
