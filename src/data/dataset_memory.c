/* dataset_memory.c - the memory of a dataset, for those that read one */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/dataset_sources.h"
#include "data/recolour.h"

#include <string.h>

void cm_dataset_drop_labels(cm_dataset *d)
{
    for (int k = 0; d->class_names && k < d->classes; k++)
        cm_free(d->class_names[k]);
    cm_free(d->class_names);
    cm_free(d->labels);
    d->class_names = NULL;
    d->labels = NULL;
    d->classes = 0;
}

void cm_dataset_free(cm_dataset *d)
{
    if (!d)
        return;
    cm_dataset_drop_labels(d);
    for (int64_t i = 0; i < d->found.n_notes; i++)
        cm_free(d->found.notes[i]);
    cm_free(d->found.notes);
    cm_free(d->pixels);
    cm_free(d);
}

cm_status cm_dataset_reserve(cm_dataset *d, const char *path, int64_t n, int h, int w, int c,
                             cm_error *err)
{
    char shown[512];
    size_t bytes;
    int over = __builtin_mul_overflow((size_t)n, (size_t)h, &bytes);
    over |= __builtin_mul_overflow(bytes, (size_t)w, &bytes);
    over |= __builtin_mul_overflow(bytes, (size_t)c, &bytes);
    cm_escape(shown, sizeof shown, path);
    if (over || bytes > CM_DATASET_MAX_BYTES)
        return cm_fail(
            err, CM_ERR_UNSUPPORTED,
            "%s: pixels: expected at most 16 GiB in all, found %lld image%s of %d x %d x "
            "%d (%.1f GiB)",
            shown, (long long)n, cm_plural(n), h, w, c,
            (double)n * h * w * c / (double)((size_t)1 << 30));
    uint8_t *pixels = cm_alloc(bytes);
    if (!pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: pixels: out of memory (%zu bytes)", shown, bytes);
    cm_free(d->pixels);
    d->pixels = pixels;
    d->n = n;
    d->h = h;
    d->w = w;
    d->c = c;
    return CM_OK;
}

cm_status cm_dataset_recolour(cm_dataset *d, int c, cm_error *err)
{
    const size_t n = (size_t)d->n * (size_t)d->h * (size_t)d->w;
    uint8_t *out = d->c == c ? NULL : cm_alloc_array(n, (size_t)c);
    if (d->c == c)
        return CM_OK;
    if (!out)
        return cm_fail(err, CM_ERR_MEMORY, "dataset: channels: out of memory");
    cm_recolour(d->pixels, n, d->c, out, c);
    cm_free(d->pixels);
    d->pixels = out;
    d->c = c;
    d->found.recoloured = d->n;
    return CM_OK;
}

/* Image i is held where it is the last of its n. */
cm_status cm_dataset_hold_out(cm_dataset *d, int every, cm_dataset **held, cm_error *err)
{
    const size_t image = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    cm_dataset *out = cm_alloc(sizeof *out);
    cm_status s = out ? cm_dataset_reserve(out, "dataset", d->n / every, d->h, d->w, d->c, err)
                      : cm_fail(err, CM_ERR_MEMORY, "dataset: out of memory");
    if (!s && d->labels && !(out->labels = cm_alloc_array((size_t)out->n, sizeof *out->labels)))
        s = cm_fail(err, CM_ERR_MEMORY, "dataset: out of memory");
    if (s) {
        cm_dataset_free(out);
        return s;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const int is_held = i % every == every - 1;
        cm_dataset *to = is_held ? out : d;
        const int64_t at = is_held ? i / every : kept++;
        if (to == d && at == i)
            continue;
        memcpy(to->pixels + (size_t)at * image, d->pixels + (size_t)i * image, image);
        if (d->labels)
            to->labels[at] = d->labels[i];
    }
    out->classes = d->classes;
    d->n = kept;
    *held = out;
    return CM_OK;
}

void cm_found_count(cm_kind_count *list, const char *kind)
{
    int k = 0;
    while (k < CM_FOUND_KINDS - 2 && list[k].kind && strcmp(list[k].kind, kind) != 0)
        k++;
    if (!list[k].kind)
        list[k].kind = kind;
    list[k].n++;
}

cm_status cm_found_leave_out(cm_found *found, const char *kind, const char *line, cm_error *err)
{
    const size_t n = (size_t)found->n_notes;
    char *copy = cm_strdup(line);
    /* Room doubles at powers of two. */
    char **grown = n & (n - 1)
                       ? found->notes
                       : cm_grow(found->notes, n * sizeof *grown, (n ? 2 * n : 1) * sizeof *grown);
    if (grown)
        found->notes = grown;
    if (!copy || !grown) {
        cm_free(copy);
        return cm_fail(err, CM_ERR_MEMORY, "dataset: out of memory");
    }
    found->notes[found->n_notes++] = copy;
    cm_found_count(found->left_out, kind);
    return CM_OK;
}
