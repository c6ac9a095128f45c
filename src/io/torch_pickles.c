/* torch_pickles.c - PyTorch's layout before 1.6: pickles in a row, then the storages */
#include "base/error.h"
#include "io/pickle.h"
#include "io/torch_layout.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers in the file are little-endian");

/* The first pickle, a magic number of ten bytes, and the second, the version 1001. */
static const unsigned char magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c,
                                      0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
                                      '.',  0x80, 2,    'M',  0xe9, 3,    '.'};

int cm_torch_is_pickles(const unsigned char *bytes, size_t n)
{
    return n >= sizeof magic && !memcmp(bytes, magic, sizeof magic);
}

struct cm_torch_placed {
    cm_torch_storage is;
    uint64_t at; /* 0: not yet */
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct cm_torch_placed *)a)->is.key,
                  ((const struct cm_torch_placed *)b)->is.key);
}

static struct cm_torch_placed *find_placed(const cm_torch_file *c, const char *key)
{
    const struct cm_torch_placed wanted = {.is.key = key};
    return bsearch(&wanted, c->placed, c->n_placed, sizeof *c->placed, by_key);
}

static cm_status place_in_row(const cm_torch_file *c, const cm_torch_storage *s, uint64_t *at,
                              cm_error *err)
{
    char shown[256];
    const struct cm_torch_placed *p = find_placed(c, s->key);
    if (!p->at)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: storage \"%s\": expected it in the list of storages, found it missing",
                       c->file->source.path, cm_escape(shown, sizeof shown, s->key));
    *at = p->at;
    return CM_OK;
}

/* All storages that the object names, each once, always of one type and size. */
static cm_status list_storages(cm_torch_file *c, cm_error *err)
{
    char shown[256];
    size_t n = 0, last = 0;
    for (cm_pv v = 1; v <= cm_pv_count(c->values); v++)
        n += cm_pv_kind_of(c->values, v) == CM_PV_STORAGE;
    c->placed = cm_alloc_array(n + 1, sizeof *c->placed);
    if (!c->placed)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", c->file->source.path);
    for (cm_pv v = 1; v <= cm_pv_count(c->values); v++)
        if (cm_pv_kind_of(c->values, v) == CM_PV_STORAGE)
            c->placed[c->n_placed++].is = cm_torch_storage_of(c->values, v);
    qsort(c->placed, n, sizeof *c->placed, by_key);
    for (size_t i = 1; i < n; i++) {
        const cm_torch_storage *a = &c->placed[last].is, *b = &c->placed[i].is;
        if (strcmp(a->key, b->key) != 0)
            c->placed[++last] = c->placed[i];
        else if (a->dtype != b->dtype || a->elements != b->elements)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: storage \"%s\": expected one type and size, found two",
                           c->file->source.path, cm_escape(shown, sizeof shown, a->key));
    }
    c->n_placed = n ? last + 1 : 0;
    return CM_OK;
}

/* The storage of that key stands at *at: its number of elements in 8 bytes, and these. */
static cm_status place_storage(cm_torch_file *c, cm_pv key, uint64_t *at, cm_error *err)
{
    char shown[256] = "";
    uint64_t elements = 0;
    struct cm_torch_placed *p = NULL;
    if (cm_pv_kind_of(c->values, key) == CM_PV_TEXT) {
        p = find_placed(c, cm_pv_as_text(c->values, key));
        cm_escape(shown, sizeof shown, cm_pv_as_text(c->values, key));
    }
    if (!p || p->at)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: list of storages: expected the keys of the object, each once, found "
                       "\"%s\"",
                       c->file->source.path, shown);
    const cm_status s = cm_source_read(&c->file->source, &elements, sizeof elements, *at, err);
    if (s)
        return s;
    const uint64_t bytes = cm_torch_storage_bytes(&p->is), room = c->file->source.size - *at - 8;
    if (elements != (uint64_t)p->is.elements || bytes > room)
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: storage \"%s\": expected %lld elements, %llu bytes, found %llu elements "
            "and %llu bytes left of the file",
            c->file->source.path, shown, (long long)p->is.elements, (unsigned long long)bytes,
            (unsigned long long)elements, (unsigned long long)room);
    p->at = *at + 8;
    *at += 8 + bytes;
    return CM_OK;
}

static cm_status place_storages(cm_torch_file *c, cm_pv keys, uint64_t at, cm_error *err)
{
    cm_status s = CM_OK;
    if (cm_pv_kind_of(c->values, keys) != CM_PV_LIST)
        return cm_fail(err, CM_ERR_FORMAT, "%s: list of storages: expected a list, found %s",
                       c->file->source.path, cm_pv_kind_name(cm_pv_kind_of(c->values, keys)));
    for (cm_pv cell = cm_pv_first(c->values, keys); !s && cell; cell = cm_pv_next(c->values, cell))
        s = place_storage(c, cm_pv_value(c->values, cell), &at, err);
    if (!s && at != c->file->source.size)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: expected its end at byte %llu, found it at %llu",
                    c->file->source.path, (unsigned long long)at,
                    (unsigned long long)c->file->source.size);
    return s;
}

/* Facts of the machine that wrote it; all that counts is {"little_endian": True}. */
static cm_status check_machine(const cm_torch_file *c, cm_pv facts, cm_error *err)
{
    cm_pv cell = cm_pv_kind_of(c->values, facts) == CM_PV_DICT ? cm_pv_first(c->values, facts) : 0;
    for (; cell; cell = cm_pv_next(c->values, cell)) {
        const cm_pv key = cm_pv_key(c->values, cell), value = cm_pv_value(c->values, cell);
        if (cm_pv_kind_of(c->values, key) == CM_PV_TEXT &&
            !strcmp(cm_pv_as_text(c->values, key), "little_endian") &&
            cm_pv_kind_of(c->values, value) == CM_PV_BOOL && cm_pv_as_integer(c->values, value))
            return CM_OK;
    }
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: system facts: expected \"little_endian\" to be true, found otherwise",
                   c->file->source.path);
}

cm_status cm_torch_read_pickles(cm_torch_file *c, cm_source *source, cm_error *err)
{
    cm_status s = cm_st_file_new(source, &c->file, err);
    if (s)
        return s;
    const cm_source *from = &c->file->source;
    const uint64_t end = from->size < CM_TORCH_MAX_PICKLE ? from->size : CM_TORCH_MAX_PICKLE;
    uint64_t at = sizeof magic;
    cm_pv facts, keys;
    c->place = place_in_row;
    if ((s = cm_pickle_read(from, "system facts", &at, end, c->values, &facts, err)) ||
        (s = check_machine(c, facts, err)) ||
        (s = cm_pickle_read(from, "object", &at, end, c->values, &c->root, err)) ||
        (s = cm_pickle_read(from, "list of storages", &at, end, c->values, &keys, err)) ||
        (s = list_storages(c, err)) || (s = place_storages(c, keys, at, err)))
        return s;
    return CM_OK;
}
