/* generate.c - a prepared session: noise from counters or from the caller, the sampler's loop
 * in double precision around the compiled denoiser, pixels to bytes.
 *
 * Noise of image i, draw k, element e: lane e mod 4 of Philox(seed; e/4, i, k, r).
 * So an image depends on the seed, its class and its own index only. */
#include "sample/generate.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "sample/recipe.h"
#include "sample/session.h"

#include <inttypes.h>
#include <math.h>

enum { STREAM_NOISE = 0x5a3b1e };

struct cm_sampler {
    cm_recipe recipe;
    int h, w, c;
    cm_session *session;
    double *memory; /* a batch's images, and the work of the method */
};

/* A part of a request that is sampled together. */
struct batch {
    const cm_sampler *sampler;
    const cm_request *request;
    const int64_t *labels; /* of all images */
    int64_t first;         /* of the batch, among the request's images */
    int count;             /* images, at most session->batch */
    int64_t done, all;     /* evaluations of the network, an image each */
};

/* ---- what the sampler's loop asks for ---- */

static cm_status denoise(void *user, const double *x, double sigma, double *denoised, cm_error *err)
{
    struct batch *b = user;
    const cm_request *r = b->request;
    if (r->stop && r->stop(r->user))
        return cm_fail(err, CM_INTERRUPTED, "sampling: stopped by the caller");
    cm_session_denoise(b->sampler->session, b->count, x, sigma, b->labels + b->first, denoised);
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

static void draw_from_seed(const struct batch *b, int draw, double *z)
{
    const int64_t image = b->sampler->session->image, first = b->request->first + b->first;
    const uint64_t seed = (uint64_t)b->request->seed;
    for (int i = 0; i < b->count; i++)
        for (int64_t e = 0; e < image; e += 4) {
            float v[4];
            cm_normal4(cm_philox(seed, (uint32_t)(e / 4), (uint32_t)(first + i), (uint32_t)draw,
                                 STREAM_NOISE),
                       v);
            for (int64_t k = 0; k < 4 && e + k < image; k++)
                z[i * image + e + k] = (double)v[k];
        }
}

static void draw_noise(void *user, int draw, double *z)
{
    const struct batch *b = user;
    const int64_t image = b->sampler->session->image;
    const float *given = b->request->noise;
    if (!given) {
        draw_from_seed(b, draw, z);
        return;
    }
    given += (draw * b->request->num + b->first) * image;
    for (int64_t i = 0; i < b->count * image; i++)
        z[i] = (double)given[i];
}

/* ---- the session ---- */

cm_status cm_sampler_make(const cm_model *m, const cm_sample_params *p, cm_sampler **sampler,
                          cm_error *err)
{
    cm_dtype dtype;
    cm_sampler *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    s->h = m->net.height;
    s->w = m->net.width;
    s->c = m->net.out_channels;
    const int batch = (int)(p->num < p->batch ? p->num : p->batch);
    cm_status status = cm_recipe_make(m, p, &s->recipe, err);
    if (!status)
        status = cm_dtype_resolve(p->dtype, &dtype, err);
    if (!status)
        status = cm_session_new(m, batch, (int)p->micro_batch, dtype,
                                cm_threads_resolve(p->threads), &s->session, err);
    if (!status) {
        s->memory = cm_alloc_array((size_t)(batch * s->session->image),
                                   (1 + CM_SAMPLING_WORK) * sizeof *s->memory);
        if (!s->memory)
            status = cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory for %d image%s", batch,
                             cm_plural(batch));
    }
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
    cm_free(s);
}

int cm_sampler_draws_of(const cm_sampler *s)
{
    return s->recipe.method->draws(&s->recipe.levels);
}

/* ---- a request ---- */

static cm_status check_noise(const cm_sampler *s, const cm_request *r, cm_error *err)
{
    const int draws = cm_sampler_draws_of(s);
    const int64_t n = draws * r->num * s->session->image;
    if (r->draws != draws)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: draws: expected %d for the %s sampler (cm_sampler_draws), found "
                       "%" PRId64,
                       draws, s->recipe.method->name, r->draws);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(r->noise[i]))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "request: noise: element %" PRId64
                           ": expected a finite number, found %g",
                           i, (double)r->noise[i]);
    return CM_OK;
}

static cm_status check_labels(const cm_sampler *s, const cm_request *r, cm_error *err)
{
    const int classes = s->recipe.classes;
    if (!classes)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: labels: expected NULL, as this model has no classes");
    for (int64_t i = 0; i < r->num; i++)
        if (r->labels[i] < 0 || r->labels[i] >= classes)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "request: labels: element %" PRId64 ": expected 0 to %d, found %" PRId64,
                           i, classes - 1, r->labels[i]);
    return CM_OK;
}

static cm_status check_request(const cm_sampler *s, const cm_request *r, cm_error *err)
{
    cm_status status = r->labels ? check_labels(s, r, err) : CM_OK;
    if (!status && r->noise)
        status = check_noise(s, r, err);
    if (!status && !r->noise && r->draws)
        status = cm_fail(err, CM_ERR_ARGUMENT,
                         "request: draws: expected 0 without noise, found %" PRId64, r->draws);
    return status;
}

static uint8_t to_byte(double v) /* v in [-1,1], to nearest */
{
    return (uint8_t)lrint(127.5 * v + 127.5);
}

static void store(const cm_sampler *s, const struct batch *b, cm_images *images)
{
    const int64_t at = b->first * s->session->image, n = b->count * s->session->image;
    for (int64_t i = 0; i < n; i++)
        images->pixels[at + i] = to_byte(s->memory[i]);
    for (int64_t i = 0; i < n && images->values; i++)
        images->values[at + i] = (float)s->memory[i];
}

static cm_status run(cm_sampler *s, const cm_request *r, cm_images *images, cm_error *err)
{
    const cm_session *session = s->session;
    struct batch b = {.sampler = s, .request = r, .labels = images->labels};
    b.all = r->num * s->recipe.method->evaluations(&s->recipe.levels);
    cm_sampling sampling = {.denoiser = {denoise, &b},
                            .noise = {draw_noise, &b},
                            .watch = {r->step ? watch_step : NULL, &b},
                            .work = s->memory + session->batch * session->image,
                            .clip_denoised = 1};
    cm_status status = CM_OK;
    for (b.first = 0; b.first < r->num && !status; b.first += session->batch) {
        const int64_t left = r->num - b.first;
        b.count = left < session->batch ? (int)left : session->batch;
        sampling.count = (size_t)(b.count * session->image);
        status = s->recipe.method->run(&sampling, &s->recipe.levels, s->memory, err);
        if (!status)
            store(s, &b, images);
    }
    return status;
}

cm_status cm_sampler_draw(cm_sampler *s, const cm_request *r, cm_images **images, cm_error *err)
{
    cm_images *out = *images;
    cm_status status = check_request(s, r, err);
    if (status)
        return status;
    if (!cm_images_fit(out, r->num, s->h, s->w, s->c, r->as_float))
        out = cm_images_new(r->num, s->h, s->w, s->c, r->as_float);
    if (!out)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory for %" PRId64 " images",
                       r->num);
    for (int64_t i = 0; i < r->num; i++)
        out->labels[i] =
            r->labels ? r->labels[i]
                      : cm_recipe_label(&s->recipe, (uint64_t)r->seed, r->first + i, i, r->num);
    out->first = r->first;
    status = run(s, r, out, err);
    cm_images_release(out == *images ? NULL : status ? out : *images);
    if (!status)
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
