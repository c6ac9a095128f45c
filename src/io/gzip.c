/* gzip.c - files that may be gzip (RFC 1952), through zlib, with a cap on what
 * they may inflate to.  The checksum and length at the end are always checked. */
#define ZLIB_CONST /* next_in is const */
#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

typedef struct inflater {
    z_stream z;
    const uint8_t *in;
    size_t in_left; /* beyond z.avail_in: zlib counts in 32 bits */
    uint8_t *out;
    size_t used, size, max; /* size <= max + 1: one byte more tells "too long" */
} inflater;

/* Point zlib at the next piece of input and of free output. */
static int feed(inflater *f)
{
    if (f->used == f->size) {
        const size_t limit = f->max + 1;
        const size_t size = f->size > limit / 2 ? limit : 2 * f->size;
        if (size <= f->size)
            return -1;
        uint8_t *p = cm_grow(f->out, f->used, size + 1);
        if (!p)
            return -1;
        f->out = p;
        f->size = size;
    }
    if (!f->z.avail_in) {
        f->z.next_in = f->in;
        f->z.avail_in = f->in_left > UINT_MAX ? UINT_MAX : (uInt)f->in_left;
        f->in += f->z.avail_in;
        f->in_left -= f->z.avail_in;
    }
    const size_t room = f->size - f->used;
    f->z.next_out = f->out + f->used;
    f->z.avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
    return 0;
}

/* Inflate every member: gzip files may be concatenated. */
static cm_status inflate_all(inflater *f, const char *name, cm_error *err)
{
    for (;;) {
        if (feed(f))
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
        const uInt room = f->z.avail_out;
        const int r = inflate(&f->z, Z_NO_FLUSH);
        f->used += room - f->z.avail_out;
        const size_t left = f->in_left + f->z.avail_in;
        if (f->used > f->max)
            return cm_fail(err, CM_ERR_FORMAT, "%s: expected at most %zu bytes, inflates to more",
                           name, f->max);
        if (r == Z_MEM_ERROR)
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
        if (r == Z_STREAM_END && !left)
            return CM_OK;
        if (r == Z_STREAM_END)
            inflateReset(&f->z);
        else if (r != Z_OK && r != Z_BUF_ERROR)
            return cm_fail(err, CM_ERR_FORMAT, "%s: damaged gzip: %s", name,
                           f->z.msg ? f->z.msg : "unexpected data");
        else if (!left && f->z.avail_out)
            return cm_fail(err, CM_ERR_FORMAT, "%s: gzip file is cut short", name);
    }
}

static int is_gzip(const void *bytes, size_t n)
{
    return n >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

static cm_status gunzip(const void *bytes, size_t n, const char *name, size_t max_bytes,
                        void **data, size_t *size, cm_error *err)
{
    inflater f = {.in = bytes, .in_left = n, .max = max_bytes};
    if (f.max > SIZE_MAX - 2)
        f.max = SIZE_MAX - 2;
    f.size = n < 65536 ? 65536 : n;
    if (f.size > f.max + 1)
        f.size = f.max + 1;
    f.out = cm_alloc(f.size + 1); /* and a zero byte after it */
    if (!f.out || inflateInit2(&f.z, 15 + 16) != Z_OK) {
        cm_free(f.out);
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
    }
    const cm_status s = inflate_all(&f, name, err);
    inflateEnd(&f.z);
    if (s) {
        cm_free(f.out);
        return s;
    }
    *data = f.out;
    *size = f.used;
    return CM_OK;
}

cm_status cm_gz_read_memory(const void *bytes, size_t n, const char *name, size_t max_bytes,
                            void **data, size_t *size, cm_error *err)
{
    if (is_gzip(bytes, n))
        return gunzip(bytes, n, name, max_bytes, data, size, err);
    if (n > max_bytes)
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected at most %zu bytes, found %zu", name,
                       max_bytes, n);
    void *p = cm_alloc(n + 1);
    if (!p)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
    if (n)
        memcpy(p, bytes, n);
    *data = p;
    *size = n;
    return CM_OK;
}

cm_status cm_gz_read(const char *path, size_t max_bytes, void **data, size_t *size, cm_error *err)
{
    void *file;
    size_t n;
    cm_status s = cm_file_read(path, max_bytes, &file, &n, err);
    if (s)
        return s;
    if (!is_gzip(file, n)) {
        *data = file;
        *size = n;
        return CM_OK;
    }
    s = gunzip(file, n, path, max_bytes, data, size, err);
    cm_free(file);
    return s;
}
