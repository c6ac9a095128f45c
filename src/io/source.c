/* source.c - files and memory behind one face */
#include "io/source.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <string.h>
#include <unistd.h>

static cm_status start(const char *path, cm_source *s, cm_error *err)
{
    *s = (cm_source){.path = cm_strdup(path), .fd = -1};
    return s->path ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
}

cm_status cm_source_open(const char *path, cm_source *s, cm_error *err)
{
    cm_status status = start(path, s, err);
    if (!status && (status = cm_file_open(path, &s->fd, &s->size, err)))
        cm_source_close(s);
    return status;
}

cm_status cm_source_memory(const void *bytes, size_t n, const char *name, cm_source *s,
                           cm_error *err)
{
    const cm_status status = start(name, s, err);
    s->bytes = bytes;
    s->size = n;
    return status;
}

void cm_source_close(cm_source *s)
{
    if (s->path && s->fd >= 0)
        close(s->fd);
    cm_free(s->path);
    *s = (cm_source){.fd = -1};
}

cm_status cm_source_read(const cm_source *s, void *dst, size_t n, uint64_t offset, cm_error *err)
{
    if (offset > s->size || n > s->size - offset)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected %zu bytes at offset %llu, found a file of %llu (cut short)",
                       s->path, n, (unsigned long long)offset, (unsigned long long)s->size);
    if (s->fd >= 0)
        return cm_file_pread(s->fd, s->path, dst, n, offset, err);
    if (n)
        memcpy(dst, s->bytes + offset, n);
    return CM_OK;
}
