/* dataset_folder.c - a folder of images, told from other files by their first bytes */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/dataset_sources.h"
#include "data/label_names.h"
#include "data/listing.h"
#include "data/resize.h"
#include "data/sample_names.h"
#include "io/image.h"

#include <stdio.h>
#include <string.h>

typedef struct folder_reader {
    const char *folder;
    const cm_dataset_options *o;
    cm_listing list; /* images are moved to its front, what else there is behind them */
    size_t images;
    const char **class_of; /* [images], the name of its class; NULL: none */
    cm_arena names;        /* of those from file names */
    cm_dataset *d;
} folder_reader;

/* ---- channels ----------------------------------------------------------- */

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

/* The first colour image, after d->n grey ones: the whole set becomes RGB. */
static cm_status dataset_to_rgb(folder_reader *r, cm_error *err)
{
    cm_dataset *d = r->d;
    const int64_t done = d->n;
    uint8_t *grey = d->pixels;
    d->pixels = NULL;
    const cm_status s = cm_dataset_reserve(d, r->folder, (int64_t)r->images, d->h, d->w, 3, err);
    if (s == CM_OK)
        grey_to_rgb(grey, (size_t)done * (size_t)d->h * (size_t)d->w, d->pixels);
    cm_free(grey);
    d->n = done;
    d->found.recoloured += done;
    return s;
}

static cm_status match_channels(folder_reader *r, const char *shown, cm_image *im, cm_error *err)
{
    if (im->c > r->d->c)
        return dataset_to_rgb(r, err);
    if (im->c == r->d->c)
        return CM_OK;
    r->d->found.recoloured++;
    return image_to_rgb(shown, im, err);
}

/* ---- one image ---------------------------------------------------------- */

/* The first image fixes the shape of the set. */
static cm_status begin(folder_reader *r, const cm_image *im, cm_error *err)
{
    int h, w;
    cm_found *f = &r->d->found;
    f->least_h = f->most_h = im->h;
    f->least_w = f->most_w = im->w;
    cm_image_fit_shape(im->h, im->w, r->o->h, r->o->w, &h, &w);
    const cm_status s = cm_dataset_reserve(r->d, r->folder, (int64_t)r->images, h, w, im->c, err);
    r->d->n = 0;
    return s;
}

static void note_size(cm_found *f, const cm_image *im)
{
    f->least_h = im->h < f->least_h ? im->h : f->least_h;
    f->least_w = im->w < f->least_w ? im->w : f->least_w;
    f->most_h = im->h > f->most_h ? im->h : f->most_h;
    f->most_w = im->w > f->most_w ? im->w : f->most_w;
}

static cm_status store(folder_reader *r, const char *shown, cm_image *im, cm_error *err)
{
    cm_dataset *d = r->d;
    const cm_found *f = &d->found;
    cm_status s = d->pixels ? CM_OK : begin(r, im, err);
    if (s != CM_OK)
        return s;
    if (!r->o->h && (im->w != f->most_w || im->h != f->most_h))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: size: expected %d x %d as the first image, found %d x %d%s", shown,
                       f->most_w, f->most_h, im->w, im->h,
                       r->o->is_trained_on ? "; --image-size brings all to one"
                                           : "; cm data --image-size --pack brings all to one");
    note_size(&d->found, im);
    s = match_channels(r, shown, im, err);
    if (s != CM_OK)
        return s;
    const size_t bytes = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    return cm_image_fit(shown, im->pixels, im->h, im->w, im->c, r->o->h, r->o->w,
                        d->pixels + (size_t)d->n * bytes, err);
}

/* Leave it out for the reason *why gives, unless that is a lack of memory. */
static cm_status leave_out(folder_reader *r, const char *kind, const cm_error *why, cm_error *err)
{
    if (why->status == CM_ERR_MEMORY || r->o->strict) {
        if (err)
            *err = *why;
        return why->status;
    }
    return cm_found_leave_out(&r->d->found, kind, why->message, err);
}

static cm_status find_sample_class(folder_reader *r, const cm_listing_file *file,
                                   const char **class, cm_error *why)
{
    size_t n = 0;
    const char *found = cm_sample_class(file->path, &n);
    char *copy = found ? cm_arena_alloc(&r->names, n + 1) : NULL; /* of zeros */
    if (found && !copy)
        return cm_fail(why, CM_ERR_MEMORY, "labels: out of memory");
    if (found)
        memcpy(copy, found, n);
    *class = copy;
    return CM_OK;
}

/* As the labels ask; NULL: it has none. */
static cm_status find_class(folder_reader *r, const cm_listing_file *file, const char **class,
                            cm_error *why)
{
    if (r->o->labels == CM_LABELS_NAMES)
        return cm_label_of_name(&r->names, file->path, class, why);
    *class = file->label < 0 ? NULL : r->list.classes[file->label];
    return *class || r->o->labels != CM_LABELS_SAMPLES ? CM_OK
                                                       : find_sample_class(r, file, class, why);
}

static cm_status add_image(folder_reader *r, const cm_listing_file *file, cm_error *err)
{
    char shown[512];
    const char *kind = NULL;
    int known;
    cm_image im = {0};
    cm_error why = {0};
    cm_escape(shown, sizeof shown, file->path);
    if (cm_image_file_kind(file->path, &kind, &known, &why))
        return leave_out(r, "unreadable", &why, err);
    if (cm_image_read(file->path, r->o->background, &im, &why))
        return leave_out(r, why.status == CM_ERR_IO ? "unreadable" : "damaged", &why, err);
    const char *class = NULL;
    cm_status s = find_class(r, file, &class, &why);
    if (s && class) /* which no text of ours could hold */
        s = leave_out(r, "with a name that is not UTF-8", &why, err);
    else if (s && err)
        *err = why;
    else if (!s && !(s = store(r, shown, &im, err))) {
        cm_found_count(r->d->found.kinds, kind);
        r->d->found.transparent += im.transparent;
        r->class_of[r->d->n] = class;
        r->list.files[r->d->n++] = *file; /* its name, for messages */
    }
    cm_image_clear(&im);
    return s;
}

/* ---- the folder --------------------------------------------------------- */

/* Which of the files are images, by their first bytes; the others are noted. */
static cm_status sort_out(folder_reader *r, cm_error *err)
{
    cm_status s = CM_OK;
    for (size_t i = 0; i < r->list.n && !s; i++) {
        const cm_listing_file *file = &r->list.files[i];
        char shown[512], line[600];
        const char *kind = file->no_source;
        int known = 0;
        /* What cannot be read is for add_image to tell. */
        if (!kind && cm_image_file_kind(file->path, &kind, &known, NULL))
            known = 1;
        if (known) {
            r->list.files[r->images++] = *file;
            continue;
        }
        snprintf(line, sizeof line, "%s: %s", cm_escape(shown, sizeof shown, file->path), kind);
        s = cm_found_leave_out(&r->d->found, kind, line, err);
    }
    return s;
}

static cm_status fail_without_images(const folder_reader *r, cm_error *err)
{
    const cm_found *f = &r->d->found;
    char shown[400];
    cm_escape(shown, sizeof shown, r->folder);
    if (!f->n_notes)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: folder: expected PNG, JPEG or WebP images, found none", shown);
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: folder: expected PNG, JPEG or WebP images, found none in %lld file%s, the "
                   "first of them %s",
                   shown, (long long)f->n_notes, cm_plural(f->n_notes), f->notes[0]);
}

/* Images beside class folders have no label. */
static cm_status check_loose(const folder_reader *r, cm_error *err)
{
    const char *loose = NULL, *class = NULL;
    char a[400], b[400];
    for (int64_t i = 0; i < r->d->n; i++)
        if (!r->class_of[i])
            loose = loose ? loose : r->list.files[i].path;
        else
            class = class ? class : r->class_of[i];
    if (!loose || !class)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected an image in a class folder such as %s, found a loose one%s",
                   cm_escape(a, sizeof a, loose), cm_escape(b, sizeof b, class),
                   r->o->is_trained_on ? " (--labels none: no classes)" : "");
}

static cm_status store_labels(folder_reader *r, cm_error *err)
{
    cm_status s = CM_OK;
    if (r->o->labels == CM_LABELS_NONE)
        return CM_OK;
    if (r->o->labels == CM_LABELS_FOLDER)
        s = check_loose(r, err);
    int64_t with_class = 0;
    for (int64_t i = 0; i < r->d->n; i++)
        with_class += r->class_of[i] != NULL;
    if (!s && with_class)
        s = cm_dataset_set_labels(r->d, r->folder, r->class_of, err);
    return s;
}

cm_status cm_dataset_read_folder(const char *path, const cm_dataset_options *o, cm_dataset *d,
                                 cm_error *err)
{
    folder_reader r = {.folder = path, .o = o, .d = d};
    cm_status s = cm_listing_read(path, &r.list, err);
    memcpy(d->found.background, o->background, sizeof o->background);
    if (s == CM_OK)
        s = sort_out(&r, err);
    r.class_of = cm_alloc_array(r.images + 1, sizeof *r.class_of);
    if (s == CM_OK && !r.class_of)
        s = cm_fail(err, CM_ERR_MEMORY, "image folder: out of memory");
    for (size_t i = 0; s == CM_OK && i < r.images; i++) {
        const cm_listing_file file = r.list.files[i];
        s = add_image(&r, &file, err);
    }
    if (s == CM_OK && !d->n)
        s = fail_without_images(&r, err);
    if (s == CM_OK)
        s = store_labels(&r, err);
    cm_free(r.class_of);
    cm_arena_free(&r.names);
    cm_listing_free(&r.list);
    return s;
}
