/* weights_file.c - which reader a file of tensors is for */
#include "io/weights_file.h"

#include "base/error.h"
#include "io/torch.h"

#include <stdio.h>
#include <string.h>
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
