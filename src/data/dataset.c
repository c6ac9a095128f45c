/* dataset.c - open a dataset by name or path, fingerprint it */
#include "data/dataset.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"
#include "io/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* Where Debian's package dataset-fashion-mnist puts its files. */
#define DATA                                                                                  \
    "fashion-mnist, fashion-mnist-test, an IDX images file, a packed .safetensors file or a " \
    "folder of images"
#define FASHION_FOLDER "/usr/share/datasets/fashion-mnist"

/* IDX is none of the kinds that are told by their first bytes, and may be packed. */
static int may_be_idx(const char *kind)
{
    return !strcmp(kind, "of no known kind") || !strcmp(kind, "gzip data");
}

static cm_status read_source(const char *what, const cm_dataset_options *o, cm_dataset *d,
                             cm_error *err)
{
    char shown[512];
    const char *kind = NULL;
    int known = 0;
    struct stat st;
    if (!strcmp(what, "fashion-mnist") || !strcmp(what, "fashion-mnist-test"))
        return cm_dataset_read_fashion(FASHION_FOLDER, strstr(what, "-test") != NULL, o, d, err);
    if (stat(what, &st))
        return cm_fail(err, CM_ERR_IO, "%s: expected " DATA ", found: %s",
                       cm_escape(shown, sizeof shown, what), strerror(errno));
    if (S_ISDIR(st.st_mode))
        return cm_dataset_read_folder(what, o, d, err);
    if (cm_dataset_is_packed(what))
        return cm_dataset_read_packed(what, o, d, err);
    if (cm_image_file_kind(what, &kind, &known, NULL) || (!known && may_be_idx(kind)))
        return cm_dataset_read_idx(what, o, d, err);
    cm_escape(shown, sizeof shown, what);
    if (known)
        return cm_fail(err, CM_ERR_FORMAT, "%s: is one picture (%s): expected its folder", shown,
                       kind);
    return cm_fail(err, CM_ERR_FORMAT, "%s: expected " DATA ", found: %s", shown, kind);
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

cm_status cm_dataset_open(const char *what, const cm_dataset_options *o, cm_dataset **out,
                          cm_error *err)
{
    static const cm_dataset_options defaults = {.background = {255, 255, 255}};
    o = o ? o : &defaults;
    const int worst = o->h < 0 || o->h > CM_DATASET_MAX_SIDE ? o->h : o->w;
    if (worst < 0 || worst > CM_DATASET_MAX_SIDE || !o->h != !o->w)
        return cm_fail(err, CM_ERR_ARGUMENT, "dataset: size: expected 0 to %d, found %d",
                       CM_DATASET_MAX_SIDE, worst);
    cm_dataset *d = cm_alloc(sizeof *d);
    if (!d)
        return cm_fail(err, CM_ERR_MEMORY, "dataset: out of memory");
    cm_status s = read_source(what, o, d, err);
    if (s == CM_OK && o->channels)
        s = cm_dataset_recolour(d, o->channels, err);
    if (s == CM_OK && o->labels == CM_LABELS_NONE)
        cm_dataset_drop_labels(d);
    if (s == CM_OK)
        s = fingerprint(d, err);
    if (s == CM_OK)
        *out = d;
    else
        cm_dataset_free(d);
    return s;
}
