/* tensor_file.c - an open file of tensors, whatever its format: finding and reading */
#include "io/tensor_file.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

cm_status cm_st_file_new(cm_source *source, cm_st_file **file, cm_error *err)
{
    cm_st_file *f = cm_alloc(sizeof *f);
    if (!f) {
        const cm_status s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", source->path);
        cm_source_close(source);
        return s;
    }
    f->source = *source;
    *file = f;
    return CM_OK;
}

static int by_data(const void *a, const void *b)
{
    const cm_st_tensor *s = a, *t = b;
    if (s->begin != t->begin)
        return s->begin < t->begin ? -1 : 1;
    if (s->bytes != t->bytes)
        return s->bytes < t->bytes ? -1 : 1;
    return strcmp(s->name, t->name);
}

static int by_name(const void *a, const void *b)
{
    const cm_st_tensor *const *s = a, *const *t = b;
    return strcmp((*s)->name, (*t)->name);
}

cm_status cm_st_file_sort(cm_st_file *f, cm_error *err)
{
    const size_t n = (size_t)f->count;
    f->by_name = cm_alloc_array(n, sizeof *f->by_name);
    if (!f->by_name)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
    if (n)
        qsort(f->tensor, n, sizeof *f->tensor, by_data);
    for (size_t i = 0; i < n; i++)
        f->by_name[i] = &f->tensor[i];
    qsort(f->by_name, n, sizeof *f->by_name, by_name);
    return CM_OK;
}

void cm_st_close(cm_st_file *f)
{
    if (!f)
        return;
    if (f->release)
        f->release(f->behind);
    else
        cm_source_close(&f->source);
    json_decref(f->metadata);
    cm_arena_free(&f->names);
    cm_free(f->meta_key);
    cm_free(f->by_name);
    cm_free(f->tensor);
    cm_free(f);
}

const char *cm_st_path(const cm_st_file *f)
{
    return f->source.path;
}

int cm_st_count(const cm_st_file *f)
{
    return f->count;
}

const cm_st_tensor *cm_st_at(const cm_st_file *f, int i)
{
    return i >= 0 && i < f->count ? &f->tensor[i] : NULL;
}

const cm_st_tensor *cm_st_find(const cm_st_file *f, const char *name)
{
    const cm_st_tensor wanted = {.name = name}, *key = &wanted;
    const cm_st_tensor *const *found =
        bsearch(&key, f->by_name, (size_t)f->count, sizeof *f->by_name, by_name);
    return found ? *found : NULL;
}

const char *cm_st_metadata(const cm_st_file *f, const char *key)
{
    return json_string_value(json_object_get(f->metadata, key));
}

int cm_st_metadata_count(const cm_st_file *f)
{
    return f->n_meta;
}

int cm_st_metadata_at(const cm_st_file *f, int i, const char **key, const char **value)
{
    if (i < 0 || i >= f->n_meta)
        return -1;
    *key = f->meta_key[i];
    *value = cm_st_metadata(f, f->meta_key[i]);
    return 0;
}

/* ---- bytes ------------------------------------------------------------------ */

cm_status cm_st_read_part(const cm_st_file *f, const cm_st_tensor *t, uint64_t offset, size_t n,
                          void *dst, cm_error *err)
{
    cm_assert(!t->stride && offset <= t->bytes && n <= t->bytes - offset);
    if (f->check && !offset) {
        const cm_status s = f->check(f->behind, t, err);
        if (s)
            return s;
    }
    return cm_source_read(&f->source, dst, n, f->data + t->begin + offset, err);
}

/* Row-major elements of `size` bytes from where t's strides say, counted from `from`. */
static void gather(const cm_st_tensor *t, size_t size, const unsigned char *from,
                   unsigned char *dst)
{
    int64_t index[CM_ST_MAX_RANK] = {0}, at = 0;
    for (const unsigned char *end = dst + t->bytes; dst < end; dst += size) {
        memcpy(dst, from + (size_t)at * size, size);
        for (int i = t->rank - 1; i >= 0; i--) {
            at += t->stride[i];
            if (++index[i] < t->dim[i])
                break;
            at -= index[i] * t->stride[i];
            index[i] = 0;
        }
    }
}

/* The stretch of the file from its first to its last element goes through memory. */
static cm_status read_strided(const cm_st_file *f, const cm_st_tensor *t, void *dst, cm_error *err)
{
    const size_t size = (size_t)cm_st_dtype_bits(t->dtype) / 8;
    cm_st_tensor all = {.name = t->name, .dtype = t->dtype, .begin = t->begin, .bytes = size};
    for (int i = 0; i < t->rank; i++) /* inside the file, so there is no overflow */
        all.bytes += (uint64_t)(t->dim[i] - 1) * (uint64_t)t->stride[i] * size;
    unsigned char *from = t->bytes ? cm_alloc((size_t)all.bytes) : NULL;
    if (!t->bytes)
        return CM_OK;
    if (!from)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", f->source.path);
    const cm_status s = cm_st_read_part(f, &all, 0, (size_t)all.bytes, from, err);
    if (!s)
        gather(t, size, from, dst);
    cm_free(from);
    return s;
}

cm_status cm_st_read(const cm_st_file *f, const cm_st_tensor *t, void *dst, cm_error *err)
{
    return t->stride ? read_strided(f, t, dst, err)
                     : cm_st_read_part(f, t, 0, (size_t)t->bytes, dst, err);
}
