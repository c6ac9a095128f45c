/* dataset.c - open a dataset by name or path, fingerprint it, free it */
#include "data/dataset.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* Where Debian's package dataset-fashion-mnist puts its files. */
#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist"

static cm_status read_source(const char *what, int size, cm_dataset *d, cm_error *err)
{
    char shown[512];
    struct stat st;
    if (!strcmp(what, "fashion-mnist") || !strcmp(what, "fashion-mnist-test"))
        return cm_dataset_read_fashion(FASHION_FOLDER, strstr(what, "-test") != NULL, size, d, err);
    if (stat(what, &st))
        return cm_fail(err, CM_ERR_IO,
                       "%s: data: expected fashion-mnist, fashion-mnist-test, an IDX images file "
                       "or a folder of PNG images, found: %s",
                       cm_escape(shown, sizeof shown, what), strerror(errno));
    if (S_ISDIR(st.st_mode))
        return cm_dataset_read_folder(what, size, d, err);
    return cm_dataset_read_idx(what, size, d, err);
}

/* The shape is hashed too: the same bytes cut otherwise are other images. */
static cm_status fingerprint(cm_dataset *d, cm_error *err)
{
    const int64_t shape[] = {d->n, d->h, d->w, d->c, d->classes};
    const size_t n = (size_t)d->n, image = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return cm_fail(err, CM_ERR_MEMORY, "dataset: fingerprint: out of memory");
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, shape, sizeof shape);
    XXH3_64bits_update(state, d->pixels, n * image);
    if (d->labels)
        XXH3_64bits_update(state, d->labels, n * sizeof *d->labels);
    d->fingerprint = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return CM_OK;
}

cm_status cm_dataset_open(const char *what, int size, cm_dataset **out, cm_error *err)
{
    if (size < 0 || size > CM_DATASET_MAX_SIDE)
        return cm_fail(err, CM_ERR_ARGUMENT, "dataset: size: expected 0 to %d, found %d",
                       CM_DATASET_MAX_SIDE, size);
    cm_dataset *d = cm_alloc(sizeof *d);
    if (!d)
        return cm_fail(err, CM_ERR_MEMORY, "dataset: out of memory");
    cm_status s = read_source(what, size, d, err);
    if (s == CM_OK)
        s = fingerprint(d, err);
    if (s == CM_OK)
        *out = d;
    else
        cm_dataset_free(d);
    return s;
}

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
