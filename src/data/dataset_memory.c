/* dataset_memory.c - the memory of a dataset, for those that read one */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"

void cm_dataset_free(cm_dataset *d)
{
    if (!d)
        return;
    for (int k = 0; d->class_names && k < d->classes; k++)
        cm_free(d->class_names[k]);
    cm_free(d->class_names);
    cm_free(d->labels);
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
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: pixels: expected at most 16 GiB in all, found %lld images of %d x %d x "
                       "%d (%.1f GiB)",
                       shown, (long long)n, h, w, c,
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
