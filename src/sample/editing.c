/* editing.c */
#include "sample/editing.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what is given fits the task ---- */

/* "upscale" or "stroke, vary": the tasks that need it. */
static const char *tasks_with(unsigned need, char *buf, size_t size)
{
    size_t at = 0;
    for (const cm_edit_task *t = cm_edit_tasks; t->name && at < size; t++)
        if (t->needs & need)
            at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", t->name);
    return buf;
}

static cm_status check_idle(const cm_edit_task *t, const cm_edit *e, cm_error *err)
{
    const cm_edit initial = cm_edit_default(t->name);
    const struct {
        const char *name;
        unsigned need;
        int is_given;
    } fields[] = {{"factor", CM_EDIT_FACTOR, e->factor != 0},
                  {"sigma", CM_EDIT_SIGMA, e->sigma > 0},
                  {"strength", CM_EDIT_STRENGTH, e->strength > 0},
                  {"to-seed", CM_EDIT_ENDS, e->to_seed != initial.to_seed},
                  {"mask", CM_EDIT_MASK, e->mask != NULL},
                  {"ends", CM_EDIT_ENDS, e->ends != NULL}};
    char tasks[128];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].is_given && !(t->needs & fields[i].need))
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: has no effect here, it is for %s",
                           fields[i].name, tasks_with(fields[i].need, tasks, sizeof tasks));
    if (e->image && (t->needs & CM_EDIT_ENDS))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "image: has no effect here, %s goes from noise to noise: ends", t->name);
    return CM_OK;
}

static cm_status check_shape(const char *what, const cm_images *m, int h, int w, int c,
                             cm_error *err)
{
    if (m->h == h && m->w == w && m->c == c)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected %d x %d with %d channel%s, found %d x %d with %d "
                   "(cm_images_resize)",
                   what, w, h, c, c == 1 ? "" : "s", m->w, m->h, m->c);
}

static cm_status check_factor(const cm_known *k, int64_t factor, cm_error *err)
{
    if (factor >= 2 && k->h % factor == 0 && k->w % factor == 0)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "factor: expected at least 2 and to divide the %d x %d of the model, found "
                   "%" PRId64,
                   k->w, k->h, factor);
}

static cm_status check_pictures(cm_editing *e, cm_error *err)
{
    const cm_edit *edit = e->edit;
    const cm_known *k = &e->known;
    const int f = k->factor;
    cm_status s = CM_OK;
    if (!edit->image)
        return cm_fail(err, CM_ERR_ARGUMENT, "edit: image: expected a picture, found NULL");
    s = check_shape("image", edit->image, k->h / f, k->w / f, k->c, err);
    if (s)
        return s;
    if (e->num % edit->image->n)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: num: expected a multiple of the %" PRId64 " picture%s, found "
                       "%" PRId64,
                       edit->image->n, cm_plural(edit->image->n), e->num);
    e->each = e->num / edit->image->n;
    if (e->each > 1 && (e->task->start == CM_START_PICTURE || e->task->start == CM_START_INVERTED))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "num: %s has one answer a picture: expected %" PRId64 ", found %" PRId64,
                       e->task->name, edit->image->n, e->num);
    if (!(e->task->needs & CM_EDIT_MASK))
        return CM_OK;
    if (!edit->mask)
        return cm_fail(err, CM_ERR_ARGUMENT, "edit: mask: expected one for %s, found NULL",
                       e->task->name);
    if (edit->mask->n != 1 && edit->mask->n != edit->image->n)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "edit: mask: expected 1 or %" PRId64 ", one a picture, found %" PRId64,
                       edit->image->n, edit->mask->n);
    return check_shape("mask", edit->mask, k->h, k->w, 1, err);
}

static cm_status check_ends(const cm_editing *e, cm_error *err)
{
    for (int64_t i = 0; e->edit->ends && i < 2 * e->image; i++)
        if (!isfinite(e->edit->ends[i]))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "edit: ends: element %" PRId64 ": expected a finite number, found %g", i,
                           (double)e->edit->ends[i]);
    return CM_OK;
}

cm_status cm_editing_begin(cm_editing *e, const cm_recipe *recipe, const cm_edit_search *search,
                           const cm_request *r, int h, int w, int c, cm_error *err)
{
    const cm_edit *edit = r->edit;
    e->task = cm_edit_task_find(edit->task);
    e->edit = edit;
    e->known = (cm_known){h, w, c, NULL, edit->factor ? (int)edit->factor : 1};
    e->image = (int64_t)h * w * c;
    e->num = r->num;
    e->each = r->num;
    cm_status s = check_idle(e->task, edit, err);
    if (!s && (e->task->needs & CM_EDIT_FACTOR))
        s = check_factor(&e->known, edit->factor, err);
    if (!s && (e->task->needs & CM_EDIT_COLOUR) && c != 3)
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "%s: needs a model of colour pictures, this one has %d channel%s",
                    e->task->name, c, c == 1 ? "" : "s");
    if (!s && (e->task->needs & CM_EDIT_SIGMA) && !(edit->sigma > 0))
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "sigma: expected the noise level of the picture (cm_images_noise estimates "
                    "it), found %g",
                    edit->sigma);
    if (!s)
        s = e->task->needs & CM_EDIT_ENDS ? check_ends(e, err) : check_pictures(e, err);
    return s ? s : cm_edit_levels(recipe, search, e->task, edit, &e->method, &e->levels, err);
}

/* ---- pictures ---- */

/* The values of picture p in [-1, 1]; of upscale fewer than an image has. */
static void read_picture(const cm_editing *e, int64_t p, double *y)
{
    const cm_images *m = e->edit->image;
    const int64_t n = (int64_t)m->h * m->w * m->c;
    for (int64_t i = 0; i < n; i++)
        y[i] = m->pixels[p * n + i] / 127.5 - 1;
}

/* What is known of picture p. */
static cm_known known_of(const cm_editing *e, int64_t p)
{
    const cm_images *mask = e->edit->mask;
    cm_known k = e->known;
    if (mask)
        k.mask = mask->pixels + (mask->n > 1 ? p : 0) * mask->h * mask->w;
    return k;
}

void cm_editing_see(cm_editing *e, int64_t first, int count)
{
    e->first = first;
    e->count = count;
    for (int i = 0; e->task->see && i < count; i++) {
        const int64_t p = (first + i) / e->each;
        const cm_known k = known_of(e, p);
        read_picture(e, p, e->picture);
        e->task->see(&k, e->picture, e->seen + i * e->image);
    }
}

void cm_editing_show(cm_editing *e)
{
    for (int64_t p = 0; e->edit->seen && e->task->see && p < e->edit->image->n; p++) {
        cm_editing_see(e, p * e->each, 1);
        for (int64_t i = 0; i < e->image; i++)
            e->edit->seen[p * e->image + i] = (uint8_t)lrint(127.5 * e->seen[i] + 127.5);
    }
}

void cm_editing_constrain(void *user, double *x0, int is_last)
{
    const cm_editing *e = user;
    for (int i = 0; i < e->count; i++) {
        const cm_known k = known_of(e, (e->first + i) / e->each);
        const int64_t at = i * e->image;
        e->task->keep(&k, e->seen + at, x0 + at);
        if (is_last)
            e->task->settle(&k, e->seen + at, x0 + at);
    }
}

double cm_editing_misfit(const cm_editing *e, int i, const double *x0)
{
    const cm_known k = known_of(e, (e->first + i) / e->each);
    const double *seen = e->seen + i * e->image;
    double sum = 0;
    memcpy(e->picture, e->task->keep ? x0 : seen, (size_t)e->image * sizeof *x0);
    if (e->task->keep)
        e->task->keep(&k, seen, e->picture);
    for (int64_t j = 0; j < e->image; j++)
        sum += (e->picture[j] - x0[j]) * (e->picture[j] - x0[j]);
    return sum;
}

/* ---- numbers ---- */

int64_t cm_editing_number(const cm_editing *e, int64_t i)
{
    return e->task->start == CM_START_BETWEEN ? 0 : i % e->each;
}

double cm_editing_share(const cm_editing *e, int64_t i)
{
    return e->num > 1 ? (double)i / (double)(e->num - 1) : 0;
}

int64_t cm_editing_evaluations(const cm_editing *e)
{
    const int up = e->task->start == CM_START_INVERTED ? 2 * (e->levels.n - 1) : 0;
    return e->num * (up + e->method->evaluations(&e->levels));
}
