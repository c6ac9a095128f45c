/* edit_tasks.c */
#include "cli/edit_tasks.h"

#include "cli/signals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- sessions ---------------------------------------------------------------- */

/* One request to a session of its own. */
static cm_status ask(const cm_model *model, const cm_sample_params *params,
                     const cm_request *request, cm_images **images, cm_error *err)
{
    cm_sampler *sampler = NULL;
    cm_status s = cm_sampler_new(model, params, &sampler, err);
    if (!s)
        s = cm_sampler_run(sampler, request, images, err);
    cm_sampler_free(sampler);
    return s;
}

static int stop(void *user)
{
    (void)user;
    return cli_stop_wish() == CM_TRAIN_STOP;
}

static cm_request request_of(const edit_run *r, const cm_edit *edit, int64_t num)
{
    cm_request request = cm_request_default();
    request.num = num;
    request.seed = r->params.seed;
    request.edit = edit;
    request.stop = stop;
    return request;
}

/* "class 9 (told from the picture)" where that is what happened. */
static void note_class(edit_run *r)
{
    const edit_pictures *p = &r->pictures;
    const size_t at = strlen(r->note);
    if (!r->facts.classes || cli_was_given(r->usage, "class"))
        return;
    if (p->n == 1)
        snprintf(r->note + at, sizeof r->note - at, ", class %lld (%s)",
                 (long long)r->images->labels[0],
                 r->labels ? "its folder" : "told from the picture");
    else if (r->labels)
        snprintf(r->note + at, sizeof r->note - at,
                 ", classes of %lld of %lld pictures by their folders", (long long)p->classed,
                 (long long)p->n);
}

/* The classes that folders say, where the command does not: of `each` images a picture. */
static cm_status take_classes(edit_run *r, int64_t each, cm_error *err)
{
    const edit_pictures *p = &r->pictures;
    if (!p->classed || cli_was_given(r->usage, "class"))
        return CM_OK;
    r->labels = calloc((size_t)(p->n * each), sizeof *r->labels);
    for (int64_t i = 0; r->labels && i < p->n * each; i++)
        r->labels[i] = p->classes[i / each];
    return r->labels ? CM_OK : cli_fail(err, CM_ERR_MEMORY, "classes: out of memory");
}

/* ---- the work of the tasks --------------------------------------------------- */

cm_status edit_run_pictures(edit_run *r, cm_error *err)
{
    cm_edit edit = r->edit;
    edit.image = &r->pictures.small;
    edit.mask = r->pictures.mask.n ? &r->pictures.mask : NULL;
    edit.factor = r->pictures.factor;
    edit.seen = r->seen;
    const int64_t num = r->pictures.n * r->result.each;
    cm_status s = take_classes(r, r->result.each, err);
    r->params.num = num;
    cm_request request = request_of(r, &edit, num);
    request.labels = r->labels;
    if (!s)
        s = ask(r->model, &r->params, &request, &r->images, err);
    if (!s)
        note_class(r);
    return s;
}

/* Each picture has its own noise; one without any has so little that it stays as it is. */
static cm_status denoise_each(edit_run *r, cm_sampler *sampler, cm_error *err)
{
    static const double least = 0.01;
    const cm_images *in = &r->pictures.small;
    const size_t bytes = (size_t)in->h * (size_t)in->w * (size_t)in->c;
    cm_images *made = NULL;
    cm_status s = CM_OK;
    for (int64_t i = 0; i < in->n && !s; i++) {
        cm_images one = *in;
        cm_edit edit = r->edit;
        cm_request request = request_of(r, &edit, 1);
        request.labels = r->labels ? r->labels + i : NULL;
        one.n = 1;
        one.pixels += (size_t)i * bytes;
        edit.image = &one;
        edit.seen = r->seen + (size_t)i * bytes;
        if (!(edit.sigma > 0)) {
            s = cm_images_noise(in, i, &edit.sigma, err);
            edit.sigma = fmax(edit.sigma, least);
        }
        if (!s && r->edit.sigma <= 0 && in->n == 1)
            snprintf(r->note, sizeof r->note, ", sigma %.3g (estimated)", edit.sigma);
        if (!s)
            s = cm_sampler_run(sampler, &request, &made, err);
        if (!s) {
            memcpy(r->images->pixels + (size_t)i * bytes, made->pixels, bytes);
            r->images->labels[i] = made->labels[0];
        }
    }
    cm_images_free(made);
    return s;
}

cm_status edit_run_denoise(edit_run *r, cm_error *err)
{
    const cm_images *in = &r->pictures.small;
    cm_sampler *sampler = NULL;
    r->params.num = 1;
    cm_status s = take_classes(r, 1, err);
    if (!s)
        s = cm_images_resize(in, in->h, in->w, in->c, "stretch", 1, &r->images, err);
    if (!s)
        s = cm_sampler_new(r->model, &r->params, &sampler, err);
    if (!s)
        s = denoise_each(r, sampler, err);
    cm_sampler_free(sampler);
    if (!s)
        note_class(r);
    return s;
}

/* Noise that leads to the pictures, by the model or its teacher; *back is what it leads to. */
static cm_status invert(edit_run *r, cm_images **back, cm_error *err)
{
    const cm_model *model = r->teacher ? r->teacher : r->model;
    cm_edit edit = cm_edit_default("invert");
    cm_sample_params params = r->params;
    edit.image = &r->pictures.small;
    params.num = r->pictures.n;
    if (r->teacher) { /* what is said of the sampler is for one of them: steps for the teacher */
        snprintf(params.sampler, sizeof params.sampler, "auto");
        *params.ts = *params.sigmas = '\0';
        r->params.steps = *r->params.ts ? r->params.steps : 0;
    }
    cm_request request = request_of(r, &edit, params.num);
    request.as_float = 1;
    const cm_status s = take_classes(r, 1, err);
    request.labels = r->labels;
    return s ? s : ask(model, &params, &request, back, err);
}

/* Mean square of the difference of picture i and what its noise leads back to, and *most of it;
 * of values in [-1, 1]. */
static double error_of(const edit_run *r, const cm_images *back, int64_t i, double *most)
{
    const cm_images *in = &r->pictures.small;
    const int64_t n = (int64_t)in->h * in->w * in->c;
    double sum = 0;
    for (int64_t k = i * n; k < (i + 1) * n; k++) {
        const double d = fabs((double)back->values[k] - (in->pixels[k] / 127.5 - 1));
        sum += d * d;
        *most = fmax(*most, d);
    }
    return sum / (double)n;
}

/* Of each picture, as one that went astray is lost in the mean of many.  Images of different
 * pictures have about 0.7. */
static void note_error(edit_run *r, const cm_images *back)
{
    static const double large = 0.25; /* rms: more than speckles */
    const int64_t n = r->pictures.n;
    double sum = 0, most = 0, worst = 0;
    int64_t astray = 0, worst_at = 0;
    for (int64_t i = 0; i < n; i++) {
        const double square = error_of(r, back, i, &most);
        sum += square;
        astray += square > large * large;
        worst_at = square > worst ? i : worst_at;
        worst = fmax(worst, square);
    }
    snprintf(r->note, sizeof r->note, ", back with an error of %.4f (rms), %.4f at most",
             sqrt(sum / (double)n), most);
    if (astray)
        cli_say(stderr,
                "cm: warning: the noise of %lld of %lld picture%s leads back to another picture "
                "(rms above %g; worst %s, %.2f): expected pictures such as the model knows, of "
                "their class, and enough --steps",
                (long long)astray, (long long)n, n == 1 ? "" : "s", large,
                r->pictures.files.file[worst_at].path, sqrt(worst));
}

/* A strip shows noise from -3 to 3. */
static void show_noise(edit_run *r)
{
    const cm_images *m = r->images;
    const int64_t n = m->n * m->h * m->w * m->c;
    for (int64_t i = 0; i < n; i++) {
        const double v = 127.5 + 42.5 * (double)m->noise[i];
        r->seen[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    r->result.seen_as = "noise";
    r->result.made_as = "back";
}

/* A strip is there to be looked at. */
static void warn_lost(const edit_files *f)
{
    const char *dot = strrchr(f->out, '.');
    if (!f->strip && !(dot && !strcasecmp(dot, ".safetensors")))
        cli_say(stderr,
                "cm: warning: %s: holds the images that the noise leads back to; the noise itself "
                "is kept in X.safetensors alone",
                f->out);
}

cm_status edit_run_invert(edit_run *r, cm_error *err)
{
    cm_images *back = NULL;
    cm_status s = invert(r, &r->images, err);
    if (!s && r->teacher) { /* back by the consistency model */
        cm_request request = request_of(r, NULL, r->images->n);
        request.noise = r->images->noise;
        request.draws = 1;
        request.labels = r->facts.classes ? r->images->labels : NULL;
        request.as_float = 1;
        r->params.num = r->images->n;
        s = ask(r->model, &r->params, &request, &back, err);
        if (!s)
            memcpy(r->images->pixels, back->pixels,
                   (size_t)(back->n * back->h * back->w * back->c));
    }
    if (!s) {
        note_error(r, back ? back : r->images);
        note_class(r);
        show_noise(r);
        warn_lost(&r->files);
    }
    cm_images_free(back);
    return s;
}

/* The class of each frame is that of the nearer end. */
static cm_status draw_frames(edit_run *r, const cm_edit *edit, const cm_images *ends, cm_error *err)
{
    const int64_t frames = r->files.frames;
    cm_request request = request_of(r, edit, frames);
    int64_t *labels = calloc((size_t)frames, sizeof *labels);
    if (!labels)
        return cli_fail(err, CM_ERR_MEMORY, "frames: out of memory");
    for (int64_t i = 0; i < frames && ends; i++)
        labels[i] = ends->labels[2 * i >= frames];
    request.labels = ends && r->facts.classes ? labels : NULL;
    const cm_status s = ask(r->model, &r->params, &request, &r->images, err);
    free(labels);
    return s;
}

cm_status edit_run_interpolate(edit_run *r, cm_error *err)
{
    cm_edit edit = r->edit;
    cm_images *ends = NULL;
    cm_status s = r->pictures.n ? invert(r, &ends, err) : CM_OK;
    edit.ends = ends ? ends->noise : NULL;
    r->params.num = r->result.each;
    r->pictures.n = 0; /* the frames are no candidates of a picture */
    if (!s)
        s = draw_frames(r, &edit, ends, err);
    cm_images_free(ends);
    return s;
}
