/* torch_zip.c - PyTorch's archive: a pickle, and an entry for each storage */
#include "base/error.h"
#include "io/pickle.h"
#include "io/torch_layout.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ENTRIES = 200000 };

int cm_torch_is_archive(const unsigned char *bytes, size_t n)
{
    return n >= 4 && (!memcmp(bytes, "PK\3\4", 4) || !memcmp(bytes, "PK\5\6", 4));
}

/* An open archive, and which of its entries were checked. */
typedef struct archive {
    cm_zip *zip;
    atomic_uchar *checked;
} archive;

static void release_archive(void *behind)
{
    archive *a = behind;
    cm_zip_close(a->zip);
    cm_free(a->checked);
    cm_free(a);
}

/* The entry that t lies in, whole: the last one that begins before it. */
static cm_status check_entry(void *behind, const cm_st_tensor *t, cm_error *err)
{
    archive *a = behind;
    int low = 0, high = cm_zip_count(a->zip);
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        *(cm_zip_at(a->zip, middle)->at <= t->begin ? &low : &high) = middle;
    }
    if (!t->bytes || atomic_load(&a->checked[low]))
        return CM_OK;
    const cm_status s = cm_zip_check(a->zip, cm_zip_at(a->zip, low), err);
    if (!s)
        atomic_store(&a->checked[low], 1);
    return s;
}

static cm_status place_in_archive(const cm_torch_file *c, const cm_torch_storage *s, uint64_t *at,
                                  cm_error *err)
{
    char name[CM_ZIP_MAX_NAME + 1], shown[256];
    const int n = snprintf(name, sizeof name, "%sdata/%s", c->folder, s->key);
    const cm_zip_entry *e = n < (int)sizeof name ? cm_zip_find(c->zip, name) : NULL;
    cm_escape(shown, sizeof shown, name);
    if (!e)
        return cm_fail(err, CM_ERR_FORMAT, "%s: entry \"%s\": expected a storage, found nothing",
                       c->file->source.path, shown);
    if (e->deflated || e->bytes != cm_torch_storage_bytes(s))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: entry \"%s\": expected a storage of %lld elements, %llu bytes, stored, "
                       "found %llu, %s",
                       c->file->source.path, shown, (long long)s->elements,
                       (unsigned long long)cm_torch_storage_bytes(s), (unsigned long long)e->bytes,
                       e->deflated ? "deflated" : "stored");
    *at = e->at;
    return CM_OK;
}

/* "NAME/" of the one "NAME/data.pkl". */
static cm_status find_folder(cm_torch_file *c, const cm_zip_entry **pickle, cm_error *err)
{
    for (int i = 0; i < cm_zip_count(c->zip); i++) {
        const cm_zip_entry *e = cm_zip_at(c->zip, i);
        const char *slash = strchr(e->name, '/');
        if (!slash || strcmp(slash, "/data.pkl") != 0)
            continue;
        if (*pickle)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: expected one entry \"NAME/data.pkl\", found two",
                           c->file->source.path);
        *pickle = e;
        snprintf(c->folder, sizeof c->folder, "%.*s", (int)(slash + 1 - e->name), e->name);
    }
    if (!*pickle)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected an archive of PyTorch, with an entry \"NAME/data.pkl\", found "
                       "none among %d",
                       c->file->source.path, cm_zip_count(c->zip));
    return CM_OK;
}

/* "NAME/byteorder", since 2.1, says little. */
static cm_status check_byte_order(const cm_torch_file *c, cm_error *err)
{
    char name[CM_ZIP_MAX_NAME + 16], found[8] = "";
    snprintf(name, sizeof name, "%sbyteorder", c->folder);
    const cm_zip_entry *e = cm_zip_find(c->zip, name);
    cm_zip_stream *stream = NULL;
    if (!e)
        return CM_OK;
    cm_status s = CM_OK;
    if (e->bytes < sizeof found && !(s = cm_zip_stream_open(c->zip, e, &stream, err)))
        s = cm_zip_read(stream, found, (size_t)e->bytes, err);
    cm_zip_stream_close(stream);
    if (!s && strcmp(found, "little") != 0)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: entry \"byteorder\": expected little, found another",
                    c->file->source.path);
    return s;
}

static cm_status read_archive(cm_torch_file *c, cm_error *err)
{
    const cm_zip_entry *e = NULL;
    cm_status s;
    if ((s = find_folder(c, &e, err)) || (s = check_byte_order(c, err)))
        return s;
    if (e->deflated || e->bytes > CM_TORCH_MAX_PICKLE)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: entry \"data.pkl\": expected at most %d bytes, stored, found %llu, %s",
                       c->file->source.path, (int)CM_TORCH_MAX_PICKLE, (unsigned long long)e->bytes,
                       e->deflated ? "deflated" : "stored");
    uint64_t at = e->at;
    if ((s = cm_zip_check(c->zip, e, err)) ||
        (s = cm_pickle_read(&c->file->source, "data.pkl", &at, e->at + e->bytes, c->values,
                            &c->root, err)))
        return s;
    if (at != e->at + e->bytes)
        return cm_fail(err, CM_ERR_FORMAT, "%s: data.pkl: expected its end at byte %llu of %llu",
                       c->file->source.path, (unsigned long long)(at - e->at),
                       (unsigned long long)e->bytes);
    return CM_OK;
}

cm_status cm_torch_read_archive(cm_torch_file *c, cm_source *source, cm_error *err)
{
    /* Nothing is inflated, so what is in there is in the file. */
    const cm_zip_limits limits = {MAX_ENTRIES, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    cm_source none = {.fd = -1};
    archive *a = cm_alloc(sizeof *a);
    cm_status s = a ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", source->path);
    if (s)
        cm_source_close(source);
    else
        s = cm_zip_open_source(source, &limits, &a->zip, err);
    if (!s && !(a->checked = cm_alloc_array((size_t)cm_zip_count(a->zip) + 1, sizeof *a->checked)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", cm_zip_source(a->zip)->path);
    if (!s)
        s = cm_st_file_new(&none, &c->file, err);
    if (s) {
        if (a)
            release_archive(a);
        return s;
    }
    c->file->source = *cm_zip_source(a->zip);
    c->file->behind = a;
    c->file->release = release_archive;
    c->file->check = check_entry;
    c->zip = a->zip;
    c->place = place_in_archive;
    return read_archive(c, err);
}
