/* image_source.c - the kinds of sources */
#include "eval/image_source.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/npz_read.h"
#include "model/class_names.h"
#include "run/resolve.h"
#include "sample/generate.h"
#include "sample/recipe.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

/* pixels and labels of count images from image `first` on. */
struct cm_source_kind {
    cm_status (*read)(cm_image_source *s, int64_t first, int64_t count, uint8_t *pixels,
                      int64_t *labels, cm_error *err);
    void (*close)(void *state);
    uint64_t (*fingerprint)(const cm_image_source *s);
};

static size_t image_bytes(const cm_image_source *s)
{
    return (size_t)s->h * (size_t)s->w * (size_t)s->c;
}

static cm_status out_of_memory(const cm_image_source *s, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", s->name);
}

/* ---- data sets ------------------------------------------------------------ */

static cm_status read_dataset(cm_image_source *s, int64_t first, int64_t count, uint8_t *pixels,
                              int64_t *labels, cm_error *err)
{
    const cm_dataset *d = s->state;
    (void)err;
    memcpy(pixels, d->pixels + (size_t)first * image_bytes(s), (size_t)count * image_bytes(s));
    for (int64_t i = 0; i < count; i++)
        labels[i] = d->labels ? d->labels[first + i] : -1;
    return CM_OK;
}

static void close_dataset(void *state)
{
    cm_dataset_free(state);
}

static void leave_open(void *state)
{
    (void)state;
}

static uint64_t fingerprint_of_dataset(const cm_image_source *s)
{
    return ((const cm_dataset *)s->state)->fingerprint;
}

static const struct cm_source_kind dataset_kind = {read_dataset, close_dataset,
                                                   fingerprint_of_dataset};
static const struct cm_source_kind others_dataset_kind = {read_dataset, leave_open,
                                                          fingerprint_of_dataset};

static cm_status use_dataset(const cm_dataset *d, cm_image_source *s, cm_error *err)
{
    s->n = d->n;
    s->h = d->h;
    s->w = d->w;
    s->c = d->c;
    s->classes = d->classes;
    cm_dataset_left_out(d, s->name, s->left_out);
    if (!d->class_names)
        return CM_OK;
    s->names = json_array();
    for (int k = 0; k < d->classes; k++)
        if (json_array_append_new(s->names, json_string(d->class_names[k])))
            return out_of_memory(s, err);
    return CM_OK;
}

static cm_status open_dataset(const char *path, const cm_image_shape *as, int strict,
                              cm_image_source *s, cm_error *err)
{
    const cm_dataset_options o = {.h = as->h,
                                  .w = as->w,
                                  .channels = as->c,
                                  .background = {255, 255, 255},
                                  .labels = CM_LABELS_SAMPLES,
                                  .strict = strict};
    cm_dataset *d = NULL;
    const cm_status status = cm_dataset_open(path, &o, &d, err);
    if (status)
        return status;
    s->kind = &dataset_kind;
    s->state = d;
    return use_dataset(d, s, err);
}

/* ---- archives -------------------------------------------------------------- */

typedef struct archive {
    cm_npz *npz;
    cm_npz_member images, labels;
    int64_t at; /* image that the streams are at */
} archive;

static void close_archive(void *state)
{
    archive *a = state;
    cm_npz_member_close(&a->images);
    cm_npz_member_close(&a->labels);
    cm_npz_close(a->npz);
    cm_free(a);
}

static cm_status check_images(const cm_npz_member *m, const cm_npz *npz, cm_error *err)
{
    char text[256];
    enum { SIDE = 65535 };
    if (!m->stream)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected the images as arr_0 (uint8 [N,H,W,C]), found %s", m->path,
                       cm_npz_names(npz, text, sizeof text));
    if (strcmp(m->descr, "|u1") != 0 || m->rank != 4 || m->dim[0] < 1 || m->dim[1] < 1 ||
        m->dim[2] < 1 || m->dim[1] > SIDE || m->dim[2] > SIDE || (m->dim[3] != 1 && m->dim[3] != 3))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: arr_0: expected uint8 [N,H,W,3] or [N,H,W,1] of 0 to 255, N, H and W "
                       "at least 1, found %s",
                       m->path, cm_npz_describe(m, text));
    return CM_OK;
}

static cm_status check_labels(const cm_npz_member *m, int64_t n, cm_error *err)
{
    char text[128];
    if (m->rank == 1 && m->dim[0] == n && (m->descr[1] == 'i' || m->descr[1] == 'u'))
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: arr_1: expected the class of each image, int64 [%" PRId64 "], found %s",
                   m->path, n, cm_npz_describe(m, text));
}

/* Both streams, from the first image on. */
static cm_status rewind_archive(archive *a, cm_error *err)
{
    cm_npz_member_close(&a->images);
    cm_npz_member_close(&a->labels);
    a->at = 0;
    cm_status s = cm_npz_find(a->npz, "arr_0", &a->images, err);
    if (!s)
        s = check_images(&a->images, a->npz, err);
    if (!s)
        s = cm_npz_find(a->npz, "arr_1", &a->labels, err);
    return s || !a->labels.stream ? s : check_labels(&a->labels, a->images.dim[0], err);
}

/* Of the images from `first` on; -1: none. */
static cm_status read_labels(archive *a, int64_t first, int64_t count, int64_t *labels,
                             cm_error *err)
{
    const cm_npz_member *m = &a->labels;
    for (int64_t i = 0; i < count; i++)
        labels[i] = -1;
    cm_status s = m->stream ? cm_npz_read_i64(&a->labels, count, labels, err) : CM_OK;
    for (int64_t i = 0; i < count && !s; i++)
        if (labels[i] < -1)
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: arr_1: element %" PRId64
                        ": expected a class, 0 or more (-1: none), found %" PRId64,
                        m->path, first + i, labels[i]);
    return s;
}

static cm_status read_archive(cm_image_source *s, int64_t first, int64_t count, uint8_t *pixels,
                              int64_t *labels, cm_error *err)
{
    archive *a = s->state;
    cm_status status = first < a->at ? rewind_archive(a, err) : CM_OK;
    for (; a->at < first && !status; a->at++) {
        status = cm_npz_read_u8(&a->images, (int64_t)image_bytes(s), pixels, err);
        if (!status)
            status = read_labels(a, a->at, 1, labels, err);
    }
    if (!status)
        status = cm_npz_read_u8(&a->images, count * (int64_t)image_bytes(s), pixels, err);
    if (!status)
        status = read_labels(a, first, count, labels, err);
    a->at += count;
    return status;
}

/* Of what is read before the images. */
static uint64_t fingerprint_of_archive(const cm_image_source *s)
{
    const int64_t shape[] = {s->n, s->h, s->w, s->c, s->classes};
    return XXH3_64bits(shape, sizeof shape);
}

static const struct cm_source_kind archive_kind = {read_archive, close_archive,
                                                   fingerprint_of_archive};

static cm_status open_archive(const char *path, cm_image_source *s, cm_error *err)
{
    archive *a = cm_alloc(sizeof *a);
    if (!a)
        return out_of_memory(s, err);
    s->kind = &archive_kind;
    s->state = a;
    cm_status status = cm_npz_open(path, &a->npz, err);
    if (!status)
        status = rewind_archive(a, err);
    if (status)
        return status;
    s->n = a->images.dim[0];
    s->h = (int)a->images.dim[1];
    s->w = (int)a->images.dim[2];
    s->c = (int)a->images.dim[3];
    s->classes = a->labels.stream ? INT32_MAX : 0;
    return CM_OK;
}

/* ---- models ------------------------------------------------------------------ */

typedef struct drawn {
    cm_model *owned; /* NULL: it is another's */
    const cm_model *model;
    cm_sampler *sampler;
    cm_recipe recipe;
    cm_sample_params sampling;
    cm_images *images;
} drawn;

static void close_drawn(void *state)
{
    drawn *d = state;
    cm_images_release(d->images);
    cm_recipe_clear(&d->recipe);
    cm_sampler_release(d->sampler);
    cm_model_release(d->owned);
    cm_free(d);
}

/* Labels are those of one request for all images. */
static cm_status read_drawn(cm_image_source *s, int64_t first, int64_t count, uint8_t *pixels,
                            int64_t *labels, cm_error *err)
{
    drawn *d = s->state;
    const uint64_t seed = (uint64_t)d->sampling.seed;
    const cm_request request = {.size = sizeof request,
                                .num = count,
                                .first = d->sampling.first + first,
                                .seed = d->sampling.seed,
                                .labels = s->classes ? labels : NULL};
    for (int64_t i = 0; i < count; i++)
        labels[i] = cm_recipe_label(&d->recipe, seed, request.first + i, first + i, s->n);
    const cm_status status = cm_sampler_draw(d->sampler, &request, &d->images, err);
    if (!status)
        memcpy(pixels, d->images->pixels, (size_t)count * image_bytes(s));
    return status;
}

/* 0: out of memory, of which more will be heard */
static uint64_t fingerprint_of_drawn(const cm_image_source *s)
{
    const drawn *d = s->state;
    const cm_request all = {
        .size = sizeof all, .num = s->n, .first = d->sampling.first, .seed = d->sampling.seed};
    const cm_drawing drawing = cm_sampler_drawing(d->sampler);
    char *text = NULL;
    const cm_status status = cm_origin_of(&drawing, &all, &text, NULL);
    const uint64_t hash = status ? 0 : XXH3_64bits(text, strlen(text));
    cm_free(text);
    return hash;
}

static const struct cm_source_kind drawn_kind = {read_drawn, close_drawn, fingerprint_of_drawn};

/* path: where the model is; NULL: it is given */
static cm_status open_drawn(const char *path, const cm_model *model,
                            const cm_sample_params *sampling, cm_image_source *s, cm_error *err)
{
    drawn *d = cm_alloc(sizeof *d);
    if (!d)
        return out_of_memory(s, err);
    s->kind = &drawn_kind;
    s->state = d;
    d->sampling = *sampling;
    cm_status status = path ? cm_run_open_model(path, &d->owned, err) : CM_OK;
    d->model = path ? d->owned : model;
    if (!status)
        status = cm_model_check_draws(d->model, s->name, err);
    if (!status)
        status = cm_sampler_make(d->model, sampling, &d->sampler, err);
    if (!status)
        status = cm_recipe_make(d->model, sampling, &d->recipe, err);
    if (!status)
        status = cm_recipe_check_set(&d->recipe, sampling->first, sampling->num, err);
    if (!status)
        status = cm_model_class_names(d->model, &s->names, err);
    if (status)
        return status;
    const cm_model *m = d->model;
    s->n = sampling->num;
    s->h = m->net.height;
    s->w = m->net.width;
    s->c = m->net.out_channels;
    s->classes = m->net.num_classes;
    return CM_OK;
}

/* ---- all of them --------------------------------------------------------------- */

/* By its name too, so that one that is damaged at its start is not taken for another kind. */
static int is_archive(const char *path)
{
    const size_t n = strlen(path);
    return cm_npz_is(path) || (n > 4 && !strcasecmp(path + n - 4, ".npz"));
}

static void begin(const char *path, cm_image_source *s)
{
    *s = (cm_image_source){.n = 0};
    cm_escape(s->name, sizeof s->name, path);
}

cm_status cm_image_source_open(const char *path, const cm_image_shape *as, int strict,
                               cm_image_source *s, cm_error *err)
{
    static const cm_image_shape own = {0};
    const cm_image_shape *to = as ? as : &own;
    begin(path, s);
    cm_status status =
        is_archive(path) ? open_archive(path, s, err) : open_dataset(path, to, strict, s, err);
    if (!status && as && (s->h != as->h || s->w != as->w || s->c != as->c))
        status = cm_fail(err, CM_ERR_FORMAT,
                         "%s: expected images of %dx%d with %d channel%s, as %s have, found %dx%d "
                         "with %d",
                         s->name, as->w, as->h, as->c, cm_plural(as->c), as->of, s->w, s->h, s->c);
    if (status)
        cm_image_source_close(s);
    return status;
}

cm_status cm_image_source_of(const cm_dataset *data, const char *name, cm_image_source *s,
                             cm_error *err)
{
    begin(name, s);
    s->kind = &others_dataset_kind;
    s->state = (void *)(uintptr_t)data; /* which is only read */
    const cm_status status = use_dataset(data, s, err);
    if (status)
        cm_image_source_close(s);
    return status;
}

static cm_status draw(const char *path, const cm_model *model, const char *name,
                      const cm_sample_params *sampling, cm_image_source *s, cm_error *err)
{
    begin(name, s);
    const cm_status status = open_drawn(path, model, sampling, s, err);
    if (status)
        cm_image_source_close(s);
    return status;
}

cm_status cm_image_source_draw(const char *path, const cm_sample_params *sampling,
                               cm_image_source *s, cm_error *err)
{
    return draw(path, NULL, path, sampling, s, err);
}

cm_status cm_image_source_draw_of(const cm_model *model, const char *name,
                                  const cm_sample_params *sampling, cm_image_source *s,
                                  cm_error *err)
{
    return draw(NULL, model, name, sampling, s, err);
}

void cm_image_source_close(cm_image_source *s)
{
    if (s->kind)
        s->kind->close(s->state);
    json_decref(s->names);
    *s = (cm_image_source){.n = 0};
}

uint64_t cm_image_source_fingerprint(const cm_image_source *s)
{
    return s->kind->fingerprint(s);
}

cm_status cm_image_source_next(cm_image_source *s, int64_t count, uint8_t *pixels, int64_t *labels,
                               cm_error *err)
{
    const cm_status status = s->kind->read(s, s->done, count, pixels, labels, err);
    s->done += count;
    return status;
}

cm_status cm_image_source_pick(cm_image_source *s, int64_t i, uint8_t *pixels, cm_error *err)
{
    int64_t label;
    return s->kind->read(s, i, 1, pixels, &label, err);
}
