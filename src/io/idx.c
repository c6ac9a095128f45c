/* idx.c - reading IDX files */
#include "io/idx.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <string.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)4 << 30)

/* Check the header of the n bytes of an IDX file and where its elements start. */
static cm_status parse(const uint8_t *p, size_t n, const char *name, cm_idx *idx, size_t *start,
                       cm_error *err)
{
    uint64_t product = 1;
    if (n < 4 || p[0] || p[1])
        return cm_fail(err, CM_ERR_FORMAT, "%s: magic: expected 00 00 08 and a rank, found %s",
                       name, n < 4 ? "fewer than 4 bytes" : "something else (not an IDX file)");
    if (p[2] != 8)
        return cm_fail(err, CM_ERR_FORMAT, "%s: type: expected 0x08 (bytes), found 0x%02x", name,
                       p[2]);
    if (p[3] < 1 || p[3] > CM_IDX_MAX_RANK)
        return cm_fail(err, CM_ERR_FORMAT, "%s: rank: expected 1 to %d, found %d", name,
                       (int)CM_IDX_MAX_RANK, p[3]);
    *idx = (cm_idx){.rank = p[3], .dim = {1, 1, 1, 1}};
    *start = 4 + 4 * (size_t)idx->rank;
    if (n < *start)
        return cm_fail(err, CM_ERR_FORMAT, "%s: dimensions: expected %d, found the end of the file",
                       name, idx->rank);
    for (int i = 0; i < idx->rank; i++) {
        const uint8_t *d = p + 4 + 4 * (size_t)i;
        idx->dim[i] = (int64_t)d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3];
        if (idx->dim[i] == 0)
            return cm_fail(err, CM_ERR_FORMAT, "%s: dimension %d: expected at least 1, found 0",
                           name, i);
        if (__builtin_mul_overflow(product, (uint64_t)idx->dim[i], &product))
            return cm_fail(err, CM_ERR_FORMAT, "%s: dimensions: their product is too large", name);
    }
    if (product != n - *start)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: data: expected %llu bytes by the dimensions, found %zu", name,
                       (unsigned long long)product, n - *start);
    return CM_OK;
}

/* Takes over bytes. */
static cm_status finish(uint8_t *bytes, size_t n, const char *name, cm_idx *out, cm_error *err)
{
    cm_idx idx;
    size_t start = 0;
    const cm_status s = parse(bytes, n, name, &idx, &start, err);
    if (s) {
        cm_free(bytes);
        return s;
    }
    memmove(bytes, bytes + start, n - start);
    idx.data = bytes;
    *out = idx;
    return CM_OK;
}

int cm_idx_is(const char *path)
{
    unsigned char first[2];
    uint64_t size;
    int fd;
    if (cm_file_open(path, &fd, &size, NULL))
        return 0;
    const int read = size >= sizeof first && !cm_file_pread(fd, path, first, sizeof first, 0, NULL);
    close(fd);
    return read && (!memcmp(first, "\0\0", 2) || !memcmp(first, "\x1f\x8b", 2));
}

cm_status cm_idx_read(const char *path, cm_idx *out, cm_error *err)
{
    void *bytes;
    size_t n;
    const cm_status s = cm_gz_read(path, MAX_BYTES, &bytes, &n, err);
    return s ? s : finish(bytes, n, path, out, err);
}

cm_status cm_idx_read_memory(const void *bytes, size_t n, const char *name, cm_idx *out,
                             cm_error *err)
{
    void *plain;
    size_t size;
    const cm_status s = cm_gz_read_memory(bytes, n, name, MAX_BYTES, &plain, &size, err);
    return s ? s : finish(plain, size, name, out, err);
}

void cm_idx_free(cm_idx *idx)
{
    if (!idx)
        return;
    cm_free(idx->data);
    idx->data = NULL;
}
