/* noise_file.c - noise that cm edit invert has found, from its file back to a request: the tensors
 *
 *     noise   F32 [N,H,W,C], of the model's images, of unit variance: x_T over sigma_max
 *     labels  I64 [N], the class that each was found for, or all -1: none; may be missing */
#include "sample/images.h"

#include "base/error.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "model/model.h"
#include "options/options.h"

#include <inttypes.h>
#include <math.h>

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

static cm_status check_noise(const char *path, const cm_st_file *f, const cm_model *m,
                             cm_error *err)
{
    char expected[64], found[CM_ST_SHAPE_TEXT], shown[512];
    const cm_st_tensor *t = cm_st_find(f, "noise");
    const int h = m->net.height, w = m->net.width, c = m->net.out_channels;
    snprintf(expected, sizeof expected, "F32 [N,%d,%d,%d]", h, w, c);
    if (!t)
        return fail_missing(path, f, expected, err);
    if (t->dtype == CM_ST_F32 && t->rank == 4 && t->dim[0] >= 1 && t->dim[0] <= CM_MOST_IMAGES &&
        t->dim[1] == h && t->dim[2] == w && t->dim[3] == c)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: tensor \"noise\": expected %s of this model, N from 1 to %d, found %s %s",
                   cm_escape(shown, sizeof shown, path), expected, (int)CM_MOST_IMAGES,
                   cm_st_dtype_name(t->dtype), cm_st_shape_text(found, t));
}

static cm_status read_noise(const char *path, const cm_st_file *f, cm_images *m, cm_error *err)
{
    char shown[512];
    const cm_st_tensor *t = cm_st_find(f, "noise");
    const cm_status s = cm_st_read_f32(f, t, m->noise, err);
    for (int64_t i = 0; i < cm_st_elements(t) && !s; i++)
        if (!isfinite(m->noise[i]))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"noise\": element %" PRId64
                           ": expected a finite number, found %g",
                           cm_escape(shown, sizeof shown, path), i, (double)m->noise[i]);
    return s;
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

cm_status cm_images_noise_of_file(const cm_model *model, const char *path, cm_images **images,
                                  cm_error *err)
{
    cm_st_file *f = NULL;
    cm_images *m = NULL;
    cm_status s = cm_st_open(path, &f, err);
    if (!s)
        s = check_noise(path, f, model, err);
    if (!s) {
        const int64_t n = cm_st_find(f, "noise")->dim[0];
        m = cm_images_new(n, model->net.height, model->net.width, model->net.out_channels,
                          CM_WITH_NOISE);
        s = m ? read_noise(path, f, m, err)
              : cm_fail(err, CM_ERR_MEMORY, "%.400s: out of memory for %" PRId64 " noises", path,
                        n);
    }
    if (!s)
        s = read_labels(path, f, model->net.num_classes, m, err);
    cm_st_close(f);
    cm_images_release(s ? m : *images);
    if (!s)
        *images = m;
    return s;
}
