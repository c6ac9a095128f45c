/* npz.c - writing .npz through libzip, streamed into the staged writer.
 *
 * A .npy member is "\x93NUMPY", version 1.0, a 16-bit header length, a Python
 * dictionary padded with spaces to a multiple of 64 bytes, then the elements. */
#include "io/npz.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are written as they are");

enum { NPY_HEADER = 256, NAME = 256 };

static const struct {
    const char *descr;
    int bytes;
} dtypes[] = {[CM_NPZ_U8] = {"|u1", 1},
              [CM_NPZ_I64] = {"<i8", 8},
              [CM_NPZ_F32] = {"<f4", 4},
              [CM_NPZ_F64] = {"<f8", 8}};

/* ---- one member --------------------------------------------------------- */

/* The header of a at buf (NPY_HEADER bytes); returns its length.  Eight dimensions
 * of 19 digits fit. */
static size_t npy_header(const cm_npz_array *a, char *buf)
{
    enum { PREFIX = 10 };
    size_t n = PREFIX;
    n += (size_t)snprintf(buf + n, NPY_HEADER - n,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          dtypes[a->dtype].descr);
    for (int i = 0; i < a->rank; i++) /* (n,) for one dimension, as Python writes a tuple */
        n += (size_t)snprintf(buf + n, NPY_HEADER - n, "%lld%s", (long long)a->dim[i],
                              a->rank == 1 ? "," : (i + 1 < a->rank ? ", " : ""));
    n += (size_t)snprintf(buf + n, NPY_HEADER - n, "), }");
    while ((n + 1) % 64)
        buf[n++] = ' ';
    buf[n++] = '\n';
    memcpy(buf, "\x93NUMPY\x01\x00", 8);
    buf[8] = (char)((n - PREFIX) & 255);
    buf[9] = (char)((n - PREFIX) >> 8);
    return n;
}

/* Bytes of the elements; non-zero: a shape that cannot be. */
static int array_bytes(const cm_npz_array *a, uint64_t *bytes)
{
    uint64_t n = (uint64_t)dtypes[a->dtype].bytes;
    if (a->rank < 0 || a->rank > CM_NPZ_MAX_RANK)
        return -1;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] < 0 || __builtin_mul_overflow(n, (uint64_t)a->dim[i], &n) || n > INT64_MAX)
            return -1;
    *bytes = n;
    return 0;
}

static int is_member_name(const char *name)
{
    const size_t n = strlen(name);
    return n >= 1 && n + sizeof ".npy" <= NAME && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == n;
}

/* Add a; header stays in use until the archive is closed. */
static cm_status add_member(const char *path, zip_t *zip, const cm_npz_array *a, char *header,
                            cm_error *err)
{
    char name[NAME];
    uint64_t bytes;
    /* libzip only reads the parts, but declares them writable. */
    union {
        const void *in;
        zip_uint8_t *out;
    } data = {a->data};
    if (!is_member_name(a->name))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: array \"%s\": expected a name of letters, digits, "
                       "'_', '-' and '.'",
                       path, cm_escape(name, sizeof name, a->name));
    if (array_bytes(a, &bytes))
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: array \"%s\": negative or too large shape", path,
                       a->name);
    const zip_buffer_fragment_t part[2] = {{(zip_uint8_t *)header, npy_header(a, header)},
                                           {data.out, bytes}};
    zip_source_t *source = zip_source_buffer_fragment(zip, part, bytes ? 2 : 1, 0);
    snprintf(name, sizeof name, "%s.npy", a->name);
    const zip_int64_t i = source ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (i < 0) {
        zip_source_free(source);
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: array \"%s\": %s", path, a->name,
                       zip_strerror(zip));
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) ||
        zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 1 << 5 | 1, 0)) /* 1980-01-01 */
        return cm_fail(err, CM_ERR_IO, "%s: array \"%s\": %s", path, a->name, zip_strerror(zip));
    return CM_OK;
}

/* ---- libzip's output ---------------------------------------------------- */

typedef struct output {
    cm_file_writer *file;
    cm_error *err;
    uint64_t end;     /* bytes written so far */
    cm_status status; /* of the first failed write */
    zip_error_t error;
} output;

static zip_int64_t write_bytes(output *o, const void *data, zip_uint64_t n)
{
    const cm_status s = cm_file_write(o->file, data, (size_t)n, o->err);
    if (!s) {
        if (o->end < cm_file_tell(o->file))
            o->end = cm_file_tell(o->file);
        return (zip_int64_t)n;
    }
    o->status = s;
    zip_error_set(&o->error, ZIP_ER_WRITE, 0);
    return -1;
}

static zip_int64_t seek_to(output *o, void *data, zip_uint64_t n)
{

    const zip_int64_t at =
        zip_source_seek_compute_offset(cm_file_tell(o->file), o->end, data, n, &o->error);
    if (at < 0)
        return -1;
    cm_file_seek(o->file, (uint64_t)at);
    return 0;
}

/* A source that can only be written: an archive that does not exist yet. */
static zip_int64_t on_command(void *user, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    output *o = user;
    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_WRITABLE;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *st = data;
        zip_stat_init(st);
        zip_error_set(&o->error, ZIP_ER_READ, 2 /* ENOENT: it is to be made */);
        return -1;
    }
    case ZIP_SOURCE_WRITE:
        return write_bytes(o, data, n);
    case ZIP_SOURCE_SEEK_WRITE:
        return seek_to(o, data, n);
    case ZIP_SOURCE_TELL_WRITE:
        return (zip_int64_t)cm_file_tell(o->file);
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&o->error, data, n);
    case ZIP_SOURCE_BEGIN_WRITE:
    case ZIP_SOURCE_COMMIT_WRITE: /* cm_file_commit follows */
    case ZIP_SOURCE_ROLLBACK_WRITE:
    case ZIP_SOURCE_FREE:
        return 0;
    default:
        zip_error_set(&o->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

static cm_status write_archive(const char *path, output *o, int n, const cm_npz_array *arrays,
                               char (*headers)[NPY_HEADER], cm_error *err)
{
    zip_error_t e;
    zip_error_init(&e);
    zip_source_t *source = zip_source_function_create(on_command, o, &e);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &e) : NULL;
    if (!zip) {
        cm_fail(err, CM_ERR_IO, "%s: cannot start the archive: %s", path, zip_error_strerror(&e));
        zip_source_free(source);
        zip_error_fini(&e);
        return CM_ERR_IO;
    }
    zip_error_fini(&e);
    cm_status s = CM_OK;
    for (int i = 0; i < n && !s; i++)
        s = add_member(path, zip, &arrays[i], headers[i], err);
    if (!s && !zip_close(zip))
        return CM_OK;
    if (!s)
        s = o->status ? o->status
                      : cm_fail(err, CM_ERR_IO, "%s: cannot write the archive: %s", path,
                                zip_strerror(zip));
    zip_discard(zip);
    return s;
}

cm_status cm_npz_write(const char *path, int n, const cm_npz_array *arrays, cm_error *err)
{
    output o = {.err = err};
    if (n < 1)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected at least one array", path);
    char(*headers)[NPY_HEADER] = cm_alloc_array((size_t)n, sizeof *headers);
    if (!headers)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    cm_status s = cm_file_create(path, &o.file, err);
    if (!s) {
        zip_error_init(&o.error);
        s = write_archive(path, &o, n, arrays, headers, err);
        zip_error_fini(&o.error);
        if (s)
            cm_file_abandon(o.file);
        else
            s = cm_file_commit(o.file, err);
    }
    cm_free(headers);
    return s;
}
