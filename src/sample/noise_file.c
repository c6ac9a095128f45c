/* noise_file.c - noise from a file to a request, as cm edit invert or cm sample --save-noise has
 * written it: the tensors
 *
 *     noise   F32 [N,H,W,C], of the model's images, of unit variance: x_T over sigma_max, draw 0
 *     draw.1  the same, what is added later, by its number (sampler.h); there may be none
 *     draw.2, ...
 *     labels  I64 [N], the class that each was found for, or all -1: none; may be missing
 *
 * and in __metadata__ the text `first`, the index of the first image; may be missing: 0. */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "model/model.h"
#include "options/options.h"
#include "sample/noise.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is there in place of the noise. */
static cm_status fail_missing(const char *path, const cm_st_file *f, const char *expected,
                              cm_error *err)
{
    char name[128] = "", shown[512];
    const int n = cm_st_count(f);
    if (n)
        cm_escape(name, sizeof name, cm_st_at(f, 0)->name);
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected a tensor \"noise\", %s, as cm edit invert writes it; found %d "
                   "tensor%s%s%s",
                   cm_escape(shown, sizeof shown, path), expected, n, cm_plural(n),
                   n ? ", the first of them " : "", name);
}

/* Of a draw; n is 0 where any number of images will do. */
static cm_status check_shape(const char *path, const cm_st_tensor *t, const cm_model *m, int64_t n,
                             cm_error *err)
{
    char number[96], found[CM_ST_SHAPE_TEXT], shown[512];
    const int h = m->net.height, w = m->net.width, c = m->net.out_channels;
    if (t->dtype == CM_ST_F32 && t->rank == 4 && t->dim[0] >= 1 && t->dim[0] <= CM_MOST_IMAGES &&
        (!n || t->dim[0] == n) && t->dim[1] == h && t->dim[2] == w && t->dim[3] == c)
        return CM_OK;
    if (n)
        snprintf(number, sizeof number, "F32 [%" PRId64 ",%d,%d,%d] as of \"noise\"", n, h, w, c);
    else
        snprintf(number, sizeof number, "F32 [N,%d,%d,%d] of this model, N from 1 to %d", h, w, c,
                 (int)CM_MOST_IMAGES);
    return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": expected %s, found %s %s",
                   cm_escape(shown, sizeof shown, path), t->name, number,
                   cm_st_dtype_name(t->dtype), cm_st_shape_text(found, t));
}

static const cm_st_tensor *find_draw(const cm_st_file *f, int draw)
{
    char name[CM_DRAW_NAME];
    return cm_st_find(f, cm_draw_name(name, draw));
}

/* *draws: those that are there, from 0 on without a gap. */
static cm_status check_draws(const char *path, const cm_st_file *f, const cm_model *m, int *draws,
                             cm_error *err)
{
    char expected[64], shown[512], found[128];
    const cm_st_tensor *t = find_draw(f, 0);
    const char *other = NULL;
    int there = 1;
    snprintf(expected, sizeof expected, "F32 [N,%d,%d,%d]", m->net.height, m->net.width,
             m->net.out_channels);
    if (!t)
        return fail_missing(path, f, expected, err);
    cm_status s = check_shape(path, t, m, 0, err);
    const int64_t n = t->dim[0];
    for (*draws = 1; !s && (t = find_draw(f, *draws)); ++*draws)
        s = check_shape(path, t, m, n, err);
    for (int i = 0; i < cm_st_count(f); i++) {
        const char *name = cm_st_at(f, i)->name;
        const long k = strncmp(name, "draw.", 5) ? -1 : strtol(name + 5, NULL, 10);
        there += k >= 0;
        if (k >= 0 && (!other || k >= *draws))
            other = name;
    }
    return s || there == *draws
               ? s
               : cm_fail(err, CM_ERR_FORMAT,
                         "%s: expected later draws to be \"draw.1\", \"draw.2\", ... without a "
                         "gap, found \"%s\" but no \"draw.%d\"",
                         cm_escape(shown, sizeof shown, path),
                         cm_escape(found, sizeof found, other), *draws);
}

static cm_status read_draw(const char *path, const cm_st_file *f, int draw, cm_images *m,
                           cm_error *err)
{
    char shown[512];
    const cm_st_tensor *t = find_draw(f, draw);
    const int64_t n = cm_st_elements(t);
    float *to = m->noise + draw * n;
    const cm_status s = cm_st_read_f32(f, t, to, err);
    for (int64_t i = 0; i < n && !s; i++)
        if (!(fabsf(to[i]) <= CM_MOST_NOISE))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"%s\": element %" PRId64
                           ": expected a finite number of at most 1e6, found %g",
                           cm_escape(shown, sizeof shown, path), t->name, i, (double)to[i]);
    return s;
}

static cm_status read_draws(const char *path, const cm_st_file *f, cm_images *m, cm_error *err)
{
    cm_status s = CM_OK;
    for (int draw = 0; draw < m->draws && !s; draw++)
        s = read_draw(path, f, draw, m, err);
    return s;
}

static cm_status read_first(const char *path, const cm_st_file *f, cm_images *m, cm_error *err)
{
    char shown[512], found[64];
    const char *text = cm_st_metadata(f, "first");
    if (!text || (cm_text_to_int(text, &m->first) && m->first >= 0 && m->first <= CM_MOST_FIRST))
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: __metadata__: \"first\": expected the index of an image, 0 to %lld, found "
                   "'%s'",
                   cm_escape(shown, sizeof shown, path), (long long)CM_MOST_FIRST,
                   cm_escape(found, sizeof found, text));
}

/* Classes are nothing to a model without. */
static cm_status read_labels(const char *path, const cm_st_file *f, int classes, cm_images *m,
                             cm_error *err)
{
    char found[CM_ST_SHAPE_TEXT], shown[512];
    const cm_st_tensor *t = classes ? cm_st_find(f, "labels") : NULL;
    for (int64_t i = 0; i < m->n; i++)
        m->labels[i] = -1;
    if (!t)
        return CM_OK;
    cm_escape(shown, sizeof shown, path);
    if (t->dtype != CM_ST_I64 || t->rank != 1 || t->dim[0] != m->n)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: tensor \"labels\": expected I64 [%" PRId64 "], found %s %s", shown,
                       m->n, cm_st_dtype_name(t->dtype), cm_st_shape_text(found, t));
    const cm_status s = cm_st_read_i64(f, t, m->labels, err);
    for (int64_t i = 0; i < m->n && !s; i++)
        if (m->labels[i] < -1 || m->labels[i] >= classes)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"labels\": element %" PRId64
                           ": expected a class of this model, 0 to %d (-1: none), found %" PRId64,
                           shown, i, classes - 1, m->labels[i]);
        else if ((m->labels[i] < 0) != (m->labels[0] < 0))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"labels\": element %" PRId64
                           ": expected a class of each noise, or -1 of all, found %" PRId64
                           " after %" PRId64,
                           shown, i, m->labels[i], m->labels[0]);
    return s;
}

static cm_status make_room(const char *path, const cm_model *model, int64_t n, int draws,
                           cm_images **m, cm_error *err)
{
    const size_t image =
        (size_t)model->net.height * (size_t)model->net.width * (size_t)model->net.out_channels;
    *m = cm_images_new(n, model->net.height, model->net.width, model->net.out_channels, 0);
    if (*m)
        (*m)->noise = cm_alloc_array((size_t)n * (size_t)draws, image * sizeof(float));
    if (!*m || !(*m)->noise)
        return cm_fail(err, CM_ERR_MEMORY,
                       "%.400s: out of memory for %" PRId64 " noises of %d draw%s", path, n, draws,
                       cm_plural(draws));
    (*m)->draws = draws;
    return CM_OK;
}

cm_status cm_images_noise_of_file(const cm_model *model, const char *path, cm_images **images,
                                  cm_error *err)
{
    cm_st_file *f = NULL;
    cm_images *m = NULL;
    int draws = 0;
    cm_status s = cm_st_open(path, &f, err);
    if (!s)
        s = check_draws(path, f, model, &draws, err);
    if (!s)
        s = make_room(path, model, find_draw(f, 0)->dim[0], draws, &m, err);
    if (!s)
        s = read_draws(path, f, m, err);
    if (!s)
        s = read_labels(path, f, model->net.num_classes, m, err);
    if (!s)
        s = read_first(path, f, m, err);
    cm_st_close(f);
    cm_images_release(s ? m : *images);
    if (!s)
        *images = m;
    return s;
}
