/* generate.c - a prepared session: noise from counters or from the caller, the sampler's loop
 * in double precision around the compiled denoiser, pixels to bytes.
 *
 * Noise is a function of the seed, the image's index and the draw (noise.h).  So an image
 * depends on the seed, its class and its own index only; an edit also on its picture. */
#include "sample/generate.h"

#include "base/memory.h"
#include "base/text.h"
#include "sample/editing.h"
#include "sample/guess.h"
#include "sample/noise.h"
#include "sample/request.h"
#include "sample/session.h"
#include "sample/shared.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct cm_sampler {
    const cm_model *model;
    cm_recipe recipe;
    cm_edit_search *search; /* of the model's edits */
    cm_error no_search;     /* why it cannot be read, which matters to edits alone; else CM_OK */
    cm_editing editing;     /* of the request, with room for its levels and pictures */
    int h, w, c;
    cm_dtype dtype;
    cm_session *session;
    double *memory; /* a batch's images, the work of the method, what an edit has seen */
    float *ends;    /* [2,image]: noise of two seeds */
    float *noise;   /* [image]: of one draw */
};

/* A part of a request that is sampled together. */
struct batch {
    const cm_sampler *sampler;
    const cm_request *request;
    const cm_images *images;   /* all of them, with their labels */
    const cm_editing *editing; /* NULL: no edit */
    int64_t first;             /* of the batch, among the request's images */
    int count;                 /* images, at most session->batch */
    int64_t done, all;         /* evaluations of the network, an image each */
};

/* ---- what the sampler's loop asks for ---- */

static cm_status denoise(void *user, const double *x, double sigma, double *denoised, cm_error *err)
{
    struct batch *b = user;
    const cm_request *r = b->request;
    if (r->stop && r->stop(r->user))
        return cm_fail(err, CM_INTERRUPTED, "sampling: stopped before the end");
    cm_session_denoise(b->sampler->session, b->count, x, sigma, b->images->labels + b->first,
                       denoised);
    b->done += b->count;
    if (r->progress)
        r->progress(r->user, b->done, b->all);
    return CM_OK;
}

static void watch_step(void *user, double sigma, const double *x, const double *denoised)
{
    const struct batch *b = user;
    const cm_request *r = b->request;
    r->step(r->user, b->first, b->count, sigma, x, denoised);
}

/* The caller's, and where that ends that of the seed, of image i of the batch. */
static void draw_usual(const struct batch *b, int draw, int i, double *z)
{
    const int64_t n = b->sampler->session->image, at = b->first + i;
    const cm_request *r = b->request;
    const int64_t number = b->editing ? cm_editing_number(b->editing, at) : at;
    const int is_given = r->noise && draw < r->draws;
    const float *v = is_given ? r->noise + (draw * r->num + at) * n : b->sampler->noise;
    if (!is_given)
        cm_noise_draw((uint64_t)r->seed, r->first + number, draw, n, b->sampler->noise);
    for (int64_t e = 0; e < n; e++)
        z[e] = (double)v[e];
}

/* The first draw of an edit that does not start with noise of its own. */
static void draw_start(const struct batch *b, int i, double *z)
{
    const cm_editing *e = b->editing;
    const float *noise = b->images->noise + (b->first + i) * e->image;
    if (e->task->start == CM_START_BETWEEN)
        cm_slerp(e->ends, e->ends + e->image, cm_editing_share(e, b->first + i), e->image, z);
    else if (e->task->start == CM_START_INVERTED)
        for (int64_t k = 0; k < e->image; k++)
            z[k] = (double)noise[k];
    else
        memset(z, 0, (size_t)e->image * sizeof *z);
}

static void draw_noise(void *user, int draw, double *z)
{
    const struct batch *b = user;
    const int64_t n = b->sampler->session->image;
    const int is_start = b->editing && b->editing->task->start != CM_START_NOISE && draw == 0;
    for (int i = 0; i < b->count; i++)
        if (is_start)
            draw_start(b, i, z + i * n);
        else
            draw_usual(b, draw, i, z + i * n);
}

/* ---- the session ---- */

/* Of images: a batch, the work of its method, and what an edit has seen of them and reads. */
static cm_status make_room(cm_sampler *s, int batch, cm_error *err)
{
    const size_t image = (size_t)s->session->image, many = (size_t)batch * image;
    s->memory = cm_alloc_array(many * (2 + CM_SAMPLING_WORK) + image, sizeof *s->memory);
    s->ends = cm_alloc_array(3 * image, sizeof *s->ends);
    s->search = cm_alloc(sizeof *s->search);
    s->editing.levels.sigma = cm_alloc_array(CM_MOST_NOISE_LEVELS + 2, sizeof(double));
    if (!s->memory || !s->ends || !s->search || !s->editing.levels.sigma)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory for %d image%s", batch,
                       cm_plural(batch));
    s->noise = s->ends + 2 * image;
    s->editing.seen = s->memory + many * (1 + CM_SAMPLING_WORK);
    s->editing.picture = s->editing.seen + many;
    return CM_OK;
}

cm_status cm_sampler_make(const cm_model *m, const cm_sample_params *p, cm_sampler **sampler,
                          cm_error *err)
{
    cm_sampler *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    s->model = m;
    s->h = m->net.height;
    s->w = m->net.width;
    s->c = m->net.out_channels;
    const int batch = (int)(p->num < p->batch ? p->num : p->batch);
    cm_status status = cm_recipe_make(m, p, &s->recipe, err);
    if (!status)
        status = cm_dtype_resolve(p->dtype, &s->dtype, err);
    if (!status)
        status = cm_session_new(m, batch, (int)p->micro_batch, s->dtype,
                                cm_threads_resolve(p->threads), &s->session, err);
    if (!status)
        status = make_room(s, batch, err);
    if (!status && cm_edit_search_read(m, s->search, &s->no_search) == CM_ERR_MEMORY)
        status = cm_fail(err, CM_ERR_MEMORY, "%s", s->no_search.message);
    if (status) {
        cm_sampler_release(s);
        return status;
    }
    *sampler = s;
    return CM_OK;
}

void cm_sampler_release(cm_sampler *s)
{
    if (!s)
        return;
    cm_session_free(s->session);
    cm_recipe_clear(&s->recipe);
    cm_free(s->memory);
    cm_free(s->ends);
    cm_free(s->search);
    cm_free(s->editing.levels.sigma);
    cm_free(s);
}

const cm_model *cm_sampler_model(const cm_sampler *s)
{
    return s->model;
}

const cm_recipe *cm_sampler_recipe(const cm_sampler *s)
{
    return &s->recipe;
}

cm_drawing cm_sampler_drawing(const cm_sampler *s)
{
    return (cm_drawing){s->model, &s->recipe, s->dtype, s->session->batch};
}

int cm_sampler_draws_of(const cm_sampler *s)
{
    return s->recipe.method->draws(&s->recipe.levels);
}

/* ---- a request ---- */

static cm_status check_request(cm_sampler *s, const cm_request *r, cm_editing **editing,
                               cm_error *err)
{
    cm_status status = cm_recipe_check_set(&s->recipe, r->first, r->num, err);
    if (!status && r->labels)
        status = cm_request_check_labels(r, &s->recipe, err);
    *editing = r->edit ? &s->editing : NULL;
    if (!status && r->edit && s->no_search.status)
        status = cm_fail(err, s->no_search.status, "%s", s->no_search.message);
    if (!status && r->edit)
        status = cm_editing_begin(&s->editing, &s->recipe, s->search, r, s->h, s->w, s->c, err);
    if (!status && r->noise)
        status = cm_request_check_noise(r, &s->recipe, *editing, s->session->image, err);
    if (!status && !r->noise && r->draws)
        status = cm_fail(err, CM_ERR_ARGUMENT,
                         "request: draws: expected 0 without noise, found %" PRId64, r->draws);
    if (!status && !r->labels && s->recipe.classes && s->recipe.label_rule == CM_LABEL_AUTO &&
        (!r->edit || !r->edit->image))
        status = cm_fail(err, CM_ERR_ARGUMENT,
                         "class: auto is told from a picture, here is none: expected a class");
    return status;
}

/* The class that a picture is told by, once for all images that go by it. */
static int64_t guess_class(cm_sampler *s, cm_editing *e, int64_t i, int64_t known)
{
    return known >= 0 ? known
                      : cm_guess_class(s->session, e, i, s->recipe.classes, s->memory, s->noise);
}

/* The classes of all images: the request's, else as the recipe says. */
static cm_status choose_labels(cm_sampler *s, const cm_request *r, cm_editing *e, cm_images *images,
                               cm_error *err)
{
    const cm_recipe *recipe = &s->recipe;
    const int tells = recipe->classes && (r->labels || recipe->label_rule == CM_LABEL_AUTO);
    const int64_t each = e ? e->each : r->num;
    int64_t told = -1;
    for (int64_t i = 0; i < r->num; i++) {
        const int64_t number = e ? cm_editing_number(e, i) : i;
        const int is_given = r->labels && r->labels[i] >= 0;
        if (!(i % each))
            told = -1;
        if (tells && !is_given && told < 0 && r->stop && r->stop(r->user))
            return cm_fail(err, CM_INTERRUPTED, "sampling: stopped before the end");
        if (tells && !is_given)
            told = guess_class(s, e, i, told);
        images->labels[i] =
            is_given ? r->labels[i]
            : tells  ? told
                    : cm_recipe_label(recipe, (uint64_t)r->seed, r->first + number, i % each, each);
    }
    return CM_OK;
}

static uint8_t to_byte(double v) /* v in [-1,1], to nearest */
{
    return (uint8_t)lrint(127.5 * v + 127.5);
}

static void store(const cm_sampler *s, const struct batch *b, uint8_t *pixels, float *values)
{
    const int64_t n = b->count * s->session->image;
    for (int64_t i = 0; i < n; i++)
        pixels[i] = to_byte(s->memory[i]);
    for (int64_t i = 0; i < n && values; i++)
        values[i] = (float)s->memory[i];
}

/* Noise that leads to what is seen: up the ODE from x = seen + sigma_min z, for that is what the
 * ODE has at sigma_min.  Without z flat grounds would lead to no noise at all, of which no model
 * has seen the like. */
static cm_status invert(cm_sampler *s, struct batch *b, const cm_sampling *sampling,
                        cm_images *images, cm_error *err)
{
    const cm_levels *l = &b->editing->levels;
    const int64_t n = b->editing->image;
    float *noise = images->noise + b->first * n;
    for (int i = 0; i < b->count; i++)
        draw_usual(b, 0, i, s->memory + i * n);
    for (size_t i = 0; i < sampling->count; i++)
        s->memory[i] = b->editing->seen[i] + l->schedule->sigma_min * s->memory[i];
    const cm_status status = cm_sample_invert(sampling, l->sigma, l->n - 1, s->memory, err);
    for (size_t i = 0; i < sampling->count && !status; i++)
        noise[i] = (float)s->memory[i];
    return status;
}

static cm_status run_batch(cm_sampler *s, struct batch *b, cm_sampling *sampling, cm_images *images,
                           cm_error *err)
{
    cm_editing *e = b->editing ? &s->editing : NULL;
    cm_status status = CM_OK;
    if (!e)
        return s->recipe.method->run(sampling, &s->recipe.levels, s->memory, err);
    cm_editing_see(e, b->first, b->count);
    if (e->task->start == CM_START_INVERTED)
        status = invert(s, b, sampling, images, err);
    else if (e->task->start != CM_START_BETWEEN)
        sampling->from = e->seen;
    if (e->task->keep)
        sampling->constraint = (cm_constraint){cm_editing_constrain, e};
    return status ? status : e->method->run(sampling, &e->levels, s->memory, err);
}

static cm_status draw_batch(cm_sampler *s, struct batch *b, cm_sampling *sampling,
                            cm_images *images, cm_error *err)
{
    cm_error why = {0};
    sampling->count = (size_t)(b->count * s->session->image);
    const cm_status status = run_batch(s, b, sampling, images, &why);
    if (status == CM_ERR_NUMERIC) /* which is about the weights */
        cm_fail(err, status, "%s: %s", cm_model_name(s->model), why.message);
    else if (status && err)
        *err = why;
    return status;
}

/* Of a batch that is drawn, or could not be: to images, or to process 0, which has them. */
static cm_status hand_on(cm_sampler *s, const struct batch *b, cm_shared *shared, cm_images *images,
                         cm_status status, cm_error *err)
{
    const cm_request *r = b->request;
    const int64_t at = b->first * s->session->image;
    if (cm_group_size(r->group) > 1) {
        if (!status)
            store(s, b, shared->mine, NULL);
        return cm_shared_round(shared, r, images, status, err);
    }
    if (status)
        return status;
    store(s, b, images->pixels + at, images->values ? images->values + at : NULL);
    return r->made ? r->made(r->user, images, b->first, b->count, err) : CM_OK;
}

static cm_status run(cm_sampler *s, const cm_request *r, cm_editing *e, cm_shared *shared,
                     cm_images *images, cm_error *err)
{
    const cm_session *session = s->session;
    const int64_t each = session->batch, round = each * cm_group_size(r->group),
                  mine = each * cm_group_rank(r->group);
    struct batch b = {.sampler = s, .request = r, .images = images, .editing = e};
    b.all = e ? cm_editing_evaluations(e)
              : cm_shared_images(r, each) * s->recipe.method->evaluations(&s->recipe.levels);
    cm_sampling sampling = {.denoiser = {denoise, &b},
                            .noise = {draw_noise, &b},
                            .watch = {r->step ? watch_step : NULL, &b},
                            .work = s->memory + session->batch * session->image,
                            .clip_denoised = 1};
    cm_status status = choose_labels(s, r, e, images, err);
    for (int64_t at = 0; at < r->num && !status; at += round) {
        b.first = at + mine;
        b.count = (int)cm_shared_count(r, b.first, each);
        if (b.count)
            status = draw_batch(s, &b, &sampling, images, err);
        status = hand_on(s, &b, shared, images, status, err);
    }
    return status;
}

/* The two noises of interpolate. */
static void choose_ends(cm_sampler *s, const cm_request *r)
{
    const int64_t n = s->session->image;
    s->editing.ends = r->edit->ends ? r->edit->ends : s->ends;
    cm_noise_draw((uint64_t)r->seed, r->first, 0, n, s->ends);
    cm_noise_draw((uint64_t)r->edit->to_seed, r->first, 0, n, s->ends + n);
}

/* *images again where it fits. */
static cm_status make_images(const cm_sampler *s, const cm_request *r, const cm_editing *e,
                             cm_images **images, cm_error *err)
{
    const int inverts = e && e->task->start == CM_START_INVERTED;
    const int with = cm_group_rank(r->group)
                         ? CM_WITHOUT_PIXELS
                         : (r->as_float ? CM_WITH_VALUES : 0) | (inverts ? CM_WITH_NOISE : 0);
    if (!cm_images_fit(*images, r->num, s->h, s->w, s->c, with))
        *images = cm_images_new(r->num, s->h, s->w, s->c, with);
    if (!*images)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory for %" PRId64 " image%s",
                       r->num, cm_plural(r->num));
    (*images)->first = r->first;
    return CM_OK;
}

cm_status cm_sampler_draw(cm_sampler *s, const cm_request *r, cm_images **images, cm_error *err)
{
    cm_images *out = *images;
    cm_editing *e = NULL;
    cm_shared shared = {.bytes = 0};
    const cm_drawing drawing = cm_sampler_drawing(s);
    cm_status status = check_request(s, r, &e, err);
    if (!status)
        status = make_images(s, r, e, &out, err);
    status = cm_shared_begin(&shared, &drawing, r, status, err);
    if (!status && e)
        choose_ends(s, r);
    if (!status)
        status = run(s, r, e, &shared, out, err);
    if (e && !status)
        cm_editing_show(e);
    cm_shared_end(&shared);
    const int keeps = !status && !cm_group_rank(r->group);
    if (out != *images)
        cm_images_release(keeps ? *images : out);
    if (keeps)
        *images = out;
    return status;
}

cm_status cm_generate(const cm_model *model, const cm_sample_params *p, cm_images **images,
                      cm_error *err)
{
    const cm_request request = {
        .size = sizeof request, .num = p->num, .first = p->first, .seed = p->seed};
    cm_sampler *sampler = NULL;
    cm_status s = cm_sampler_make(model, p, &sampler, err);
    if (!s)
        s = cm_sampler_draw(sampler, &request, images, err);
    cm_sampler_release(sampler);
    return s;
}
