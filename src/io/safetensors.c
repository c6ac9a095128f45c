/* safetensors.c - opening a safetensors file: the strict check of its header.
 *
 * Everything the header says is checked before anything is used: JSON without
 * duplicate keys, exactly the known fields with integers in range, shape times
 * dtype equal to the bytes given, and tensors that tile the data exactly, which
 * also shuts out two files in one and many tensors on the same bytes. */
#include "io/safetensors.h"

#include "base/error.h"
#include "io/tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one entry of the header -------------------------------------------- */

const char *cm_st_shape_text(char buf[CM_ST_SHAPE_TEXT], const cm_st_tensor *t)
{
    size_t n = (size_t)snprintf(buf, CM_ST_SHAPE_TEXT, "[");
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(buf + n, CM_ST_SHAPE_TEXT - n, i ? ",%lld" : "%lld",
                              (long long)t->dim[i]);
    snprintf(buf + n, CM_ST_SHAPE_TEXT - n, "]");
    return buf;
}

/* Where an error happened: `PATH: tensor "NAME": ` goes before it. */
typedef struct place {
    const char *path, *name;
    cm_error *err;
} place;

__attribute__((format(printf, 3, 4))) static cm_status bad(const place *at, cm_status s,
                                                           const char *fmt, ...)
{
    char what[512], name[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cm_fail(at->err, s, "%s: tensor \"%s\": %s", at->path,
                   cm_escape(name, sizeof name, at->name), what);
}

static int integer_in_range(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 &&
           json_integer_value(v) <= CM_ST_MAX_INTEGER;
}

static cm_status parse_dtype(const place *at, const json_t *v, cm_st_tensor *t)
{
    char found[256];
    if (!json_is_string(v) || cm_st_dtype_find(json_string_value(v), &t->dtype))
        return bad(at, CM_ERR_FORMAT, "dtype: expected a type such as \"F32\", found %s",
                   v ? cm_json_show(found, sizeof found, v) : "nothing");
    return CM_OK;
}

static cm_status parse_shape(const place *at, const json_t *v, cm_st_tensor *t)
{
    char found[256];
    if (!json_is_array(v))
        return bad(at, CM_ERR_FORMAT, "shape: expected a list of integers, found %s",
                   v ? cm_json_show(found, sizeof found, v) : "nothing");
    if (json_array_size(v) > CM_ST_MAX_RANK)
        return bad(at, CM_ERR_FORMAT, "shape: expected at most %d dimensions, found %zu",
                   (int)CM_ST_MAX_RANK, json_array_size(v));
    t->rank = (int)json_array_size(v);
    for (int i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(v, (size_t)i);
        if (!integer_in_range(d))
            return bad(at, CM_ERR_FORMAT, "shape: expected integers from 0 to 2^48-1, found %s",
                       cm_json_show(found, sizeof found, d));
        t->dim[i] = json_integer_value(d);
    }
    return CM_OK;
}

static cm_status parse_offsets(const place *at, const json_t *v, cm_st_tensor *t)
{
    char found[256];
    const json_t *begin = json_array_get(v, 0), *end = json_array_get(v, 1);
    if (json_array_size(v) != 2 || !integer_in_range(begin) || !integer_in_range(end))
        return bad(at, CM_ERR_FORMAT,
                   "data_offsets: expected two integers from 0 to 2^48-1, found %s",
                   v ? cm_json_show(found, sizeof found, v) : "nothing");
    if (json_integer_value(end) < json_integer_value(begin))
        return bad(at, CM_ERR_FORMAT, "data_offsets: expected begin <= end, found %s",
                   cm_json_show(found, sizeof found, v));
    t->begin = (uint64_t)json_integer_value(begin);
    t->bytes = (uint64_t)json_integer_value(end) - t->begin;
    return CM_OK;
}

/* Fill t from {"dtype": ..., "shape": ..., "data_offsets": ...}. */
static cm_status parse_entry(const place *at, json_t *v, cm_st_tensor *t)
{
    char text[CM_ST_SHAPE_TEXT];
    int64_t count;
    uint64_t bytes;
    const size_t length = strlen(t->name);
    if (!length || length > CM_ST_MAX_NAME)
        return bad(at, CM_ERR_FORMAT, "name: expected 1 to %d bytes, found %zu",
                   (int)CM_ST_MAX_NAME, length);
    if (!json_is_object(v))
        return bad(at, CM_ERR_FORMAT, "expected an object, found %s",
                   cm_json_show(text, sizeof text, v));
    cm_status s = parse_dtype(at, json_object_get(v, "dtype"), t);
    if (!s)
        s = parse_shape(at, json_object_get(v, "shape"), t);
    if (!s)
        s = parse_offsets(at, json_object_get(v, "data_offsets"), t);
    if (s)
        return s;
    if (json_object_size(v) != 3)
        return bad(at, CM_ERR_FORMAT, "expected dtype, shape and data_offsets, found %s",
                   cm_json_show(text, sizeof text, v));
    if (cm_st_shape_bytes(t->dtype, t->rank, t->dim, &count, &bytes))
        return bad(at, CM_ERR_FORMAT, "shape %s %s is too large or not whole bytes",
                   cm_st_shape_text(text, t), cm_st_dtype_name(t->dtype));
    if (bytes != t->bytes)
        return bad(at, CM_ERR_FORMAT, "shape %s %s needs %llu bytes, data_offsets give %llu",
                   cm_st_shape_text(text, t), cm_st_dtype_name(t->dtype), (unsigned long long)bytes,
                   (unsigned long long)t->bytes);
    return CM_OK;
}

/* ---- the header --------------------------------------------------------- */

/* Before a tree of it is built: count what would cost memory, outside strings.  A
 * valid header nests three deep: header, entry, list; and an entry is longer than LEAST. */
static cm_status scan_header(const char *path, const char *p, size_t n, cm_error *err)
{
    enum { MAX_DEPTH = 8, LEAST = 45, ITEMS = 1000000 };
    const size_t most = n / LEAST < CM_ST_MAX_TENSORS ? n / LEAST : CM_ST_MAX_TENSORS;
    int in_text = 0, depth = 0;
    size_t objects = 0, lists = 0, items = 0;
    for (size_t i = 0; i < n; i++) {
        if (in_text) {
            if (p[i] == '\\')
                i++; /* whatever it is, it does not end the text */
            else
                in_text = p[i] != '"';
            continue;
        }
        in_text = p[i] == '"';
        depth += (p[i] == '{' || p[i] == '[') - (p[i] == '}' || p[i] == ']');
        objects += p[i] == '{';
        lists += p[i] == '[';
        items += p[i] == ',';
        if (depth > MAX_DEPTH)
            return cm_fail(err, CM_ERR_FORMAT, "%s: header: nested more than %d deep", path,
                           (int)MAX_DEPTH);
    }
    if (objects > most + 2 || lists > 2 * most + 2 || items > ITEMS)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: header: expected at most %zu tensors and %d items in %zu bytes, found "
                       "more",
                       path, most, (int)ITEMS, n);
    return CM_OK;
}

static cm_status read_header(cm_st_file *f, json_t **header, cm_error *err)
{
    const uint64_t file_bytes = f->source.size;
    unsigned char raw[8];
    char where[1024];
    uint64_t n = 0;
    snprintf(where, sizeof where, "%s: header", f->source.path);
    if (file_bytes < sizeof raw)
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected a header length of 8 bytes, found %llu",
                       f->source.path, (unsigned long long)file_bytes);
    cm_status s = cm_source_read(&f->source, raw, sizeof raw, 0, err);
    if (s)
        return s;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | raw[i];
    const uint64_t room = file_bytes - sizeof raw;
    if (n < 2 || n > CM_ST_MAX_HEADER || n > room)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: header length: expected 2 to %d in a file of %llu bytes, found %llu "
                       "(not a safetensors file, or cut short)",
                       f->source.path, (int)CM_ST_MAX_HEADER, (unsigned long long)file_bytes,
                       (unsigned long long)n);
    char *text = cm_alloc((size_t)n);
    if (!text)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
    s = cm_source_read(&f->source, text, (size_t)n, sizeof raw, err);
    if (!s)
        s = scan_header(f->source.path, text, (size_t)n, err);
    if (!s)
        s = cm_json_parse(text, (size_t)n, where, header, err);
    cm_free(text);
    f->data = sizeof raw + n;
    f->data_bytes = room - n;
    return s;
}

/* Keep "__metadata__" alive after the header and list its keys. */
static cm_status take_metadata(cm_st_file *f, json_t *meta, cm_error *err)
{
    const char *key;
    json_t *value;
    char text[256], found[256];
    if (json_is_null(meta)) /* as written where there is none */
        return CM_OK;
    if (!json_is_object(meta))
        return cm_fail(err, CM_ERR_FORMAT, "%s: __metadata__: expected an object, found %s",
                       f->source.path, cm_json_show(text, sizeof text, meta));
    f->meta_key = cm_alloc_array(json_object_size(meta), sizeof *f->meta_key);
    if (!f->meta_key)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
    f->metadata = json_incref(meta);
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value))
            return cm_fail(err, CM_ERR_FORMAT, "%s: __metadata__: \"%s\": expected text, found %s",
                           f->source.path, cm_escape(text, sizeof text, key),
                           cm_json_show(found, sizeof found, value));
        f->meta_key[f->n_meta++] = key;
    }
    return CM_OK;
}

/* No hole, no overlap, nothing left over. */
static cm_status check_tiling(const cm_st_file *f, cm_error *err)
{
    uint64_t at = 0;
    for (int i = 0; i < f->count; i++) {
        const cm_st_tensor *t = &f->tensor[i];
        const place here = {f->source.path, t->name, err};
        if (t->begin != at)
            return bad(&here, CM_ERR_FORMAT,
                       "data_offsets: expected begin %llu, found %llu (%s other tensors)",
                       (unsigned long long)at, (unsigned long long)t->begin,
                       t->begin < at ? "an overlap with" : "a hole between");
        at += t->bytes; /* below 2^48 each: parse_offsets */
        if (at > f->data_bytes)
            return bad(&here, CM_ERR_FORMAT,
                       "data_offsets: expected an end of at most %llu, found %llu (the file is "
                       "cut short)",
                       (unsigned long long)f->data_bytes, (unsigned long long)at);
    }
    if (at != f->data_bytes)
        return cm_fail(err, CM_ERR_FORMAT, "%s: data: expected %llu bytes, found %llu",
                       f->source.path, (unsigned long long)at, (unsigned long long)f->data_bytes);
    return CM_OK;
}

static cm_status take_tensors(cm_st_file *f, json_t *header, cm_error *err)
{
    const char *key;
    json_t *value;
    const size_t n = json_object_size(header);
    if (n > CM_ST_MAX_TENSORS)
        return cm_fail(err, CM_ERR_FORMAT, "%s: header: expected at most %d tensors, found %zu",
                       f->source.path, (int)CM_ST_MAX_TENSORS, n);
    f->tensor = cm_alloc_array(n, sizeof *f->tensor);
    if (!f->tensor)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
    json_object_foreach(header, key, value)
    {
        const place at = {f->source.path, key, err};
        cm_status s;
        if (!strcmp(key, "__metadata__")) {
            if ((s = take_metadata(f, value, err)))
                return s;
            continue;
        }
        cm_st_tensor *t = &f->tensor[f->count++];
        if (!(t->name = cm_arena_strdup(&f->names, key)))
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
        if ((s = parse_entry(&at, value, t)))
            return s;
    }
    const cm_status s = cm_st_file_sort(f, err);
    return s ? s : check_tiling(f, err);
}

/* ---- the open file ------------------------------------------------------ */

cm_status cm_st_open_source(cm_source *source, cm_st_file **file, cm_error *err)
{
    json_t *header = NULL;
    cm_st_file *f = NULL;
    cm_status s = cm_st_file_new(source, &f, err);
    if (s)
        return s;
    s = read_header(f, &header, err);
    if (!s)
        s = take_tensors(f, header, err);
    json_decref(header);
    if (s) {
        cm_st_close(f);
        return s;
    }
    *file = f;
    return CM_OK;
}

cm_status cm_st_open(const char *path, cm_st_file **file, cm_error *err)
{
    cm_source source;
    const cm_status s = cm_source_open(path, &source, err);
    return s ? s : cm_st_open_source(&source, file, err);
}

cm_status cm_st_open_memory(const void *bytes, size_t n, const char *name, cm_st_file **file,
                            cm_error *err)
{
    cm_source source;
    const cm_status s = cm_source_memory(bytes, n, name, &source, err);
    return s ? s : cm_st_open_source(&source, file, err);
}
