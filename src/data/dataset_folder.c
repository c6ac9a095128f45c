/* dataset_folder.c - a folder of PNG images */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"
#include "data/listing.h"
#include "data/resize.h"
#include "io/image.h"

#include <string.h>

typedef struct folder_reader {
    const char *folder;
    cm_listing list;
    int size;
    int first_w, first_h; /* of the first image, before resizing */
    cm_dataset *d;
} folder_reader;

static void grey_to_rgb(const uint8_t *grey, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i++)
        memset(rgb + 3 * i, grey[i], 3);
}

static cm_status image_to_rgb(const char *shown, cm_image *im, cm_error *err)
{
    const size_t n = (size_t)im->h * (size_t)im->w;
    uint8_t *rgb = cm_alloc_array(n, 3);
    if (!rgb)
        return cm_fail(err, CM_ERR_MEMORY, "%s: pixels: out of memory", shown);
    grey_to_rgb(im->pixels, n, rgb);
    cm_free(im->pixels);
    im->pixels = rgb;
    im->c = 3;
    return CM_OK;
}

/* The first colour image, after `done` grey ones: the whole set becomes RGB. */
static cm_status dataset_to_rgb(folder_reader *r, size_t done, cm_error *err)
{
    cm_dataset *d = r->d;
    uint8_t *grey = d->pixels;
    d->pixels = NULL;
    const cm_status s = cm_dataset_reserve(d, r->folder, d->n, d->h, d->w, 3, err);
    if (s == CM_OK)
        grey_to_rgb(grey, done * (size_t)d->h * (size_t)d->w, d->pixels);
    cm_free(grey);
    return s;
}

/* The first image fixes the shape of the set. */
static cm_status begin(folder_reader *r, const cm_image *im, cm_error *err)
{
    int h, w;
    r->first_w = im->w;
    r->first_h = im->h;
    cm_image_fit_shape(im->h, im->w, r->size, &h, &w);
    return cm_dataset_reserve(r->d, r->folder, (int64_t)r->list.n, h, w, im->c, err);
}

static cm_status store(folder_reader *r, size_t i, const char *shown, cm_image *im, cm_error *err)
{
    cm_dataset *d = r->d;
    cm_status s = i ? CM_OK : begin(r, im, err);
    if (s != CM_OK)
        return s;
    if (!r->size && (im->w != r->first_w || im->h != r->first_h))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: size: expected %d x %d as the first image (or an image size to resize "
                       "to), found %d x %d",
                       shown, r->first_w, r->first_h, im->w, im->h);
    if (im->c > d->c)
        s = dataset_to_rgb(r, i, err);
    else if (im->c < d->c)
        s = image_to_rgb(shown, im, err);
    if (s != CM_OK)
        return s;
    const size_t bytes = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    return cm_image_fit(shown, im->pixels, im->h, im->w, im->c, r->size, d->pixels + i * bytes,
                        err);
}

static cm_status add_image(folder_reader *r, size_t i, cm_error *err)
{
    static const uint8_t white[] = {255, 255, 255};
    char shown[512];
    cm_image im = {0};
    const char *path = r->list.files[i].path;
    cm_status s = cm_image_read(path, white, &im, err);
    if (s == CM_OK)
        s = store(r, i, cm_escape(shown, sizeof shown, path), &im, err);
    cm_image_clear(&im);
    return s;
}

static cm_status store_labels(folder_reader *r, cm_error *err)
{
    cm_dataset *d = r->d;
    const cm_listing *list = &r->list;
    if (!list->n_classes)
        return CM_OK;
    d->labels = cm_alloc_array(list->n, sizeof *d->labels);
    d->class_names = cm_alloc_array(list->n_classes, sizeof *d->class_names);
    int ok = d->labels && d->class_names;
    d->classes = (int)list->n_classes;
    for (size_t i = 0; ok && i < list->n; i++)
        d->labels[i] = list->files[i].label;
    for (size_t k = 0; ok && k < list->n_classes; k++)
        ok = (d->class_names[k] = cm_strdup(list->classes[k])) != NULL;
    return ok ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "image folder: labels: out of memory");
}

cm_status cm_dataset_read_folder(const char *path, int size, cm_dataset *d, cm_error *err)
{
    folder_reader r = {.folder = path, .size = size, .d = d};
    cm_status s = cm_listing_read(path, &r.list, err);
    for (size_t i = 0; s == CM_OK && i < r.list.n; i++)
        s = add_image(&r, i, err);
    if (s == CM_OK)
        s = store_labels(&r, err);
    cm_listing_free(&r.list);
    return s;
}
