/* safetensors_write.c - writing a safetensors file through the staged writer */
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"

#include <string.h>

/* Falling alignment keeps every tensor aligned to its element; the order of the
 * enum is the order of alignment. */
static int by_layout(const void *a, const void *b)
{
    const cm_st_entry *const *s = a, *const *t = b;
    if ((*s)->dtype != (*t)->dtype)
        return (*s)->dtype > (*t)->dtype ? -1 : 1;
    return strcmp((*s)->name, (*t)->name);
}

static cm_status out_of_memory(const char *path, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for the header", path);
}

static cm_status bad_entry(const char *path, const char *name, const char *what, cm_error *err)
{
    char text[256];
    return cm_fail(err, CM_ERR_ARGUMENT, "%s: tensor \"%s\": %s", path,
                   cm_escape(text, sizeof text, name), what);
}

/* Add one tensor at data offset *at and move it on. */
static cm_status add_entry(const char *path, json_t *header, const cm_st_entry *e, uint64_t *at,
                           cm_error *err)
{
    int64_t count;
    uint64_t bytes;
    const size_t length = strlen(e->name);
    if (!length || length > CM_ST_MAX_NAME || !strcmp(e->name, "__metadata__"))
        return bad_entry(path, e->name, "expected a name of 1 to 4096 bytes, not __metadata__",
                         err);
    if (json_object_get(header, e->name))
        return bad_entry(path, e->name, "expected once, found twice", err);
    if (e->rank < 0 || e->rank > CM_ST_MAX_RANK)
        return bad_entry(path, e->name, "expected a rank from 0 to 16", err);
    if (cm_st_shape_bytes(e->dtype, e->rank, e->dim, &count, &bytes) ||
        bytes > (uint64_t)CM_ST_MAX_INTEGER - *at)
        return bad_entry(path, e->name, "shape: negative, too large or not whole bytes", err);
    for (int i = 0; i < e->rank; i++)
        if (e->dim[i] > CM_ST_MAX_INTEGER)
            return bad_entry(path, e->name, "shape: expected dimensions below 2^48", err);
    if (!cm_utf8_ok(e->name))
        return bad_entry(path, e->name, "name: expected UTF-8", err);
    json_t *shape = json_array();
    for (int i = 0; i < e->rank; i++)
        if (json_array_append_new(shape, json_integer(e->dim[i]))) {
            json_decref(shape);
            return out_of_memory(path, err);
        }
    /* json_pack takes the shape over, also when it fails */
    json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", cm_st_dtype_name(e->dtype), "shape",
                              shape, "data_offsets", (json_int_t)*at, (json_int_t)(*at + bytes));
    if (!entry)
        return out_of_memory(path, err);
    *at += bytes;
    return json_object_set_new(header, e->name, entry) ? out_of_memory(path, err) : CM_OK;
}

static cm_status add_metadata(const char *path, json_t *header, int n, const char *const *keys,
                              const char *const *values, cm_error *err)
{
    char text[256];
    json_t *meta = json_object();
    if (!meta || json_object_set_new(header, "__metadata__", meta))
        return out_of_memory(path, err);
    for (int i = 0; i < n; i++) {
        const int utf8 = cm_utf8_ok(keys[i]) && cm_utf8_ok(values[i]);
        if (!utf8 || json_object_get(meta, keys[i]))
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: __metadata__: \"%s\": %s", path,
                           cm_escape(text, sizeof text, keys[i]),
                           utf8 ? "expected once, found twice" : "expected UTF-8");
        if (json_object_set_new(meta, keys[i], json_string(values[i])))
            return out_of_memory(path, err);
    }
    return CM_OK;
}

/* The header as JSON text (the caller frees it with cm_free, also after a failure) and the
 * size of the data. */
static cm_status make_header(const char *path, int n, const cm_st_entry *const *sorted, int n_meta,
                             const char *const *keys, const char *const *values, char **text,
                             uint64_t *data_bytes, cm_error *err)
{
    json_t *header = json_object();
    cm_status s = header ? CM_OK : out_of_memory(path, err);
    *data_bytes = 0;
    if (!s && n_meta)
        s = add_metadata(path, header, n_meta, keys, values, err);
    for (int i = 0; i < n && !s; i++)
        s = add_entry(path, header, sorted[i], data_bytes, err);
    if (!s && !(*text = cm_json_dump(header, JSON_COMPACT)))
        s = out_of_memory(path, err);
    json_decref(header);
    if (!s && strlen(*text) > CM_ST_MAX_HEADER - 8)
        s = cm_fail(err, CM_ERR_ARGUMENT, "%s: header: expected at most %d bytes, found more", path,
                    (int)CM_ST_MAX_HEADER);
    return s;
}

static cm_status write_made(cm_file_writer *w, const cm_st_entry *e, uint64_t bytes,
                            const cm_st_maker *maker, cm_error *err)
{
    void *part = cm_alloc(maker->part);
    cm_status s = part ? CM_OK
                       : cm_fail(err, CM_ERR_MEMORY, "tensor \"%s\": out of memory for %zu bytes",
                                 e->name, maker->part);
    for (uint64_t at = 0; at < bytes && !s; at += maker->part) {
        const size_t n = bytes - at < maker->part ? (size_t)(bytes - at) : maker->part;
        maker->make(maker->user, e, at, n, part);
        s = cm_file_write(w, part, n, err);
    }
    cm_free(part);
    return s;
}

/* maker NULL: all tensors have data. */
static cm_status write_all(const char *path, const char *header, uint64_t data_bytes, int n,
                           const cm_st_entry *const *sorted, const cm_st_maker *maker,
                           cm_error *err)
{
    static const char spaces[8] = "        ";
    const size_t length = strlen(header), padding = (8 - length % 8) % 8;
    unsigned char raw[8];
    cm_file_writer *w;
    for (int i = 0; i < 8; i++)
        raw[i] = (unsigned char)((uint64_t)(length + padding) >> 8 * i);
    cm_status s = cm_file_create(path, &w, err);
    if (s)
        return s;
    s = cm_file_reserve(w, sizeof raw + length + padding + data_bytes, err);
    if (!s)
        s = cm_file_write(w, raw, sizeof raw, err);
    if (!s)
        s = cm_file_write(w, header, length, err);
    if (!s)
        s = cm_file_write(w, spaces, padding, err);
    for (int i = 0; i < n && !s; i++) {
        int64_t count;
        uint64_t bytes = 0;
        cm_st_shape_bytes(sorted[i]->dtype, sorted[i]->rank, sorted[i]->dim, &count, &bytes);
        s = maker && !sorted[i]->data ? write_made(w, sorted[i], bytes, maker, err)
                                      : cm_file_write(w, sorted[i]->data, (size_t)bytes, err);
    }
    if (!s)
        return cm_file_commit(w, err);
    cm_file_abandon(w);
    return s;
}

cm_status cm_st_write(const char *path, int n, const cm_st_entry *entries, int n_meta,
                      const char *const *meta_keys, const char *const *meta_values, cm_error *err)
{
    return cm_st_write_made(path, n, entries, NULL, n_meta, meta_keys, meta_values, err);
}

cm_status cm_st_write_made(const char *path, int n, const cm_st_entry *entries,
                           const cm_st_maker *maker, int n_meta, const char *const *meta_keys,
                           const char *const *meta_values, cm_error *err)
{
    char *header = NULL;
    uint64_t data_bytes;
    if (n < 0 || n > CM_ST_MAX_TENSORS)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected at most %d tensors, found %d", path,
                       (int)CM_ST_MAX_TENSORS, n);
    const cm_st_entry **sorted = cm_alloc_array((size_t)n, sizeof *sorted);
    if (!sorted)
        return out_of_memory(path, err);
    for (int i = 0; i < n; i++)
        sorted[i] = &entries[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_layout);
    cm_status s =
        make_header(path, n, sorted, n_meta, meta_keys, meta_values, &header, &data_bytes, err);
    if (!s)
        s = write_all(path, header, data_bytes, n, sorted, maker, err);
    cm_free(header);
    cm_free(sorted);
    return s;
}
