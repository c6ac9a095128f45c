/* torch.c - the tensors of a PyTorch checkpoint: their names and places */
#include "io/torch.h"

#include "base/error.h"
#include "io/torch_layout.h"

#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "storages are used as they are");

enum { MAX_DEPTH = 64, MAX_STEPS = 1 << 18, MAX_NAMES = 8 << 20 };

/* A container that is walked through: the cell that the walk is at, and the index of it. */
typedef struct level {
    cm_pv cell;
    uint32_t index;
} level;

typedef struct walk {
    const cm_torch_file *of;
    level levels[MAX_DEPTH];
    int depth, cap; /* cap: of the file's tensors */
    size_t named;   /* bytes of the names of tensors */
} walk;

/* ---- tensors and their names ------------------------------------------------------ */

static cm_status bad(const cm_torch_file *c, const char *name, cm_status s, const char *what,
                     cm_error *err)
{
    char shown[256];
    return cm_fail(err, s, "%s: tensor \"%s\": %s", c->file->source.path,
                   cm_escape(shown, sizeof shown, name), what);
}

/* Row-major, but for dimensions of one element, whose stride is of no account. */
static int is_in_order(const cm_torch_tensor *t)
{
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dim[i] != 1 && t->stride[i] != step)
            return 0;
        step *= t->dim[i];
    }
    return 1;
}

/* The keys and indices that lead to where the walk is, with dots between; non-zero: too long. */
static int name_of(const walk *w, char *name, size_t size)
{
    const cm_pv_values *v = w->of->values;
    size_t at = 0;
    snprintf(name, size, "tensor"); /* the object is one itself */
    for (int i = 0; i < w->depth && at < size; i++) {
        const cm_pv key = cm_pv_key(v, w->levels[i].cell);
        const char *dot = i ? "." : "";
        if (key && cm_pv_kind_of(v, key) == CM_PV_TEXT)
            at += (size_t)snprintf(name + at, size - at, "%s%s", dot, cm_pv_as_text(v, key));
        else
            at +=
                (size_t)snprintf(name + at, size - at, "%s%lld", dot,
                                 (long long)(key ? cm_pv_as_integer(v, key) : w->levels[i].index));
    }
    return at >= size || !name[0];
}

static cm_status room_for_tensor(walk *w, const char *name, cm_error *err)
{
    cm_st_file *f = w->of->file;
    w->named += strlen(name) + 1;
    if (w->named > MAX_NAMES || f->count == CM_ST_MAX_TENSORS)
        return bad(w->of, name, CM_ERR_FORMAT,
                   "expected at most 100000 tensors with 8 MB of names, found more", err);
    if (f->count < w->cap)
        return CM_OK;
    const int cap = w->cap ? 2 * w->cap : 64;
    cm_st_tensor *bigger =
        cm_grow(f->tensor, (size_t)f->count * sizeof *bigger, (size_t)cap * sizeof *bigger);
    if (!bigger)
        return bad(w->of, name, CM_ERR_MEMORY, "out of memory", err);
    f->tensor = bigger;
    w->cap = cap;
    return CM_OK;
}

/* What a checked tensor is in the file, whose storage begins at `at`. */
static cm_status describe(const cm_torch_file *c, const char *name, const cm_torch_tensor *t,
                          uint64_t at, cm_st_tensor *made, cm_error *err)
{
    const size_t size = (size_t)cm_st_dtype_bits(t->storage.dtype) / 8;
    const size_t dims = (size_t)t->rank * sizeof *t->dim;
    int64_t count;
    *made = (cm_st_tensor){.name = cm_arena_strdup(&c->file->names, name),
                           .dtype = t->storage.dtype,
                           .rank = t->rank,
                           .begin = at + (uint64_t)t->offset * size};
    memcpy(made->dim, t->dim, dims);
    cm_st_shape_bytes(made->dtype, t->rank, t->dim, &count, &made->bytes);
    int64_t *stride = NULL;
    const int strided = count && !is_in_order(t);
    if (strided && (stride = cm_arena_alloc(&c->file->names, dims)))
        memcpy(stride, t->stride, dims);
    made->stride = stride;
    return made->name && !!stride == strided ? CM_OK
                                             : bad(c, name, CM_ERR_MEMORY, "out of memory", err);
}

static cm_status add_tensor(walk *w, cm_pv value, cm_error *err)
{
    const cm_torch_file *c = w->of;
    char name[CM_ST_MAX_NAME + 1];
    cm_torch_tensor t;
    uint64_t at = 0;
    if (name_of(w, name, sizeof name))
        return bad(c, name, CM_ERR_FORMAT, "name: expected 1 to 4096 bytes, found none or more",
                   err);
    cm_torch_tensor_of(c->values, value, &t);
    cm_status s = c->place(c, &t.storage, &at, err);
    if (!s)
        s = room_for_tensor(w, name, err);
    if (!s)
        s = describe(c, name, &t, at, &c->file->tensor[c->file->count], err);
    if (!s)
        c->file->count++;
    return s;
}

/* Into a container; non-zero: too deep. */
static int enter(walk *w, cm_pv container)
{
    const cm_pv first = cm_pv_first(w->of->values, container);
    if (first && w->depth == MAX_DEPTH)
        return -1;
    if (first)
        w->levels[w->depth++] = (level){first, 0};
    return 0;
}

/* Out of the containers that are at their end, and on to the next item; 0: the walk is over. */
static int go_on(walk *w)
{
    while (w->depth) {
        level *l = &w->levels[w->depth - 1];
        l->cell = cm_pv_next(w->of->values, l->cell);
        l->index++;
        if (l->cell)
            return 1;
        w->depth--;
    }
    return 0;
}

/* Every tensor of the object, in depth.  A container may stand in many places, and then its
 * tensors have many names; steps are counted, for a few bytes can nest to any number. */
static cm_status add_tensors(const cm_torch_file *c, cm_error *err)
{
    walk w = {.of = c};
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        const int inside = w.depth;
        const cm_pv value = inside ? cm_pv_value(c->values, w.levels[inside - 1].cell) : c->root;
        const cm_pv_kind kind = cm_pv_kind_of(c->values, value);
        if (kind == CM_PV_TENSOR) {
            const cm_status s = add_tensor(&w, value, err);
            if (s)
                return s;
        }
        if ((kind == CM_PV_TUPLE || kind == CM_PV_LIST || kind == CM_PV_DICT) && enter(&w, value))
            return cm_fail(err, CM_ERR_FORMAT, "%s: object: expected it nested at most %d deep",
                           c->file->source.path, (int)MAX_DEPTH);
        if (w.depth == inside && !go_on(&w))
            return CM_OK;
    }
    return cm_fail(err, CM_ERR_FORMAT, "%s: object: expected at most %d items, found more",
                   c->file->source.path, (int)MAX_STEPS);
}

static cm_status check_names(const cm_torch_file *c, cm_error *err)
{
    if (!c->file->count)
        return cm_fail(err, CM_ERR_FORMAT, "%s: object: expected tensors, found none",
                       c->file->source.path);
    const cm_status s = cm_st_file_sort(c->file, err);
    for (int i = 1; !s && i < c->file->count; i++)
        if (!strcmp(c->file->by_name[i]->name, c->file->by_name[i - 1]->name))
            return bad(c, c->file->by_name[i]->name, CM_ERR_FORMAT,
                       "name: expected it once, found it twice", err);
    return s;
}

int cm_torch_is(const unsigned char *bytes, size_t n)
{
    /* As the length of a safetensors header the first would be 64 MB, and '{' follow. */
    return (cm_torch_is_archive(bytes, n) && !(n > 8 && bytes[8] == '{')) ||
           cm_torch_is_pickles(bytes, n);
}

cm_status cm_torch_open(cm_source *source, cm_st_file **file, cm_error *err)
{
    unsigned char first[32];
    cm_torch_file c = {0};
    const size_t n = source->size < sizeof first ? (size_t)source->size : sizeof first;
    cm_status s = cm_source_read(source, first, n, 0, err);
    if (!s)
        s = cm_pv_values_new(source->path, &c.values, err);
    if (s)
        cm_source_close(source);
    else
        s = cm_torch_is_pickles(first, n) ? cm_torch_read_pickles(&c, source, err)
                                          : cm_torch_read_archive(&c, source, err);
    if (!s)
        s = add_tensors(&c, err);
    if (!s)
        s = check_names(&c, err);
    cm_pv_values_free(c.values);
    cm_free(c.placed);
    if (s) {
        cm_st_close(c.file);
        return s;
    }
    *file = c.file;
    return CM_OK;
}
