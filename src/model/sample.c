/* sample.c - generate images: noise from counters, the sampler's loop in double
 * precision around the compiled denoiser, pixels to bytes.
 *
 * Noise of image i, draw k, element e: lane e mod 4 of Philox(seed; e/4, i, k, r).
 * So an image depends on the seed and its own index only. */
#include "model/model.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "consistency/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LEVELS = 10000, STREAM_NOISE = 0x5a3b1e, STREAM_LABEL = 0x1abe1 };

typedef enum method { ONESTEP, MULTISTEP, EULER, HEUN } method;

/* What a run does, resolved from the options. */
struct recipe {
    method method;
    int n; /* levels */
    double *sigma;
    cm_churn churn;
};

struct batch {
    cm_denoiser_plan *plan;
    uint64_t seed;
    int64_t first;         /* index of the batch's first image */
    int count;             /* images, at most plan->batch */
    const int64_t *labels; /* of all images */
};

/* One part of the batch.  What a short last part has to spare are images of before. */
static void denoise_part(const struct batch *b, int first, const double *x, double *denoised)
{
    const cm_denoiser_plan *p = b->plan;
    const int left = b->count - first, images = left < p->micro ? left : p->micro;
    const int64_t n = images * p->image, at = first * p->image;
    for (int64_t i = 0; i < n; i++)
        p->x[i] = (float)x[at + i];
    for (int i = 0; p->y && i < images; i++)
        p->y[i] = (int32_t)b->labels[b->first + first + i];
    cm_plan_run(p->plan);
    for (int64_t i = 0; i < n; i++)
        denoised[at + i] = (double)p->out[i];
}

static cm_status denoise(void *user, const double *x, double sigma, double *denoised, cm_error *err)
{
    const struct batch *b = user;
    (void)err;
    for (int i = 0; i < b->plan->micro; i++)
        b->plan->sigma[i] = (float)sigma;
    for (int first = 0; first < b->count; first += b->plan->micro)
        denoise_part(b, first, x, denoised);
    return CM_OK;
}

static void draw_noise(void *user, int draw, double *z)
{
    const struct batch *b = user;
    const int64_t image = b->plan->image;
    for (int i = 0; i < b->count; i++)
        for (int64_t e = 0; e < image; e += 4) {
            float v[4];
            cm_normal4(cm_philox(b->seed, (uint32_t)(e / 4), (uint32_t)(b->first + i),
                                 (uint32_t)draw, STREAM_NOISE),
                       v);
            for (int64_t k = 0; k < 4 && e + k < image; k++)
                z[i * image + e + k] = (double)v[k];
        }
}

/* ---- options ---- */

static cm_status levels_from_lists(const cm_model *m, const cm_sample_config *c, struct recipe *r,
                                   cm_error *err)
{
    if (c->sigmas[0] && c->ts[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "ts and sigmas: give one of them");
    if (c->sigmas[0]) {
        const cm_status s =
            cm_parse_real_list(c->sigmas, MAX_LEVELS, r->sigma, &r->n, "sigmas", err);
        return s ? s : cm_sigma_list_check(&m->schedule, r->sigma, r->n, err);
    }
    if (c->ts[0]) {
        int n = 0, *ts = cm_alloc_array(MAX_LEVELS, sizeof *ts);
        const int steps = c->steps ? (int)c->steps : m->scales;
        cm_status s = ts ? cm_parse_int_list(c->ts, MAX_LEVELS, ts, &n, "ts", err)
                         : cm_fail(err, CM_ERR_MEMORY, "ts: out of memory");
        if (!s)
            s = cm_sigma_list_from_ts(&m->schedule, ts, n, steps, r->sigma, err);
        r->n = n - 1;
        cm_free(ts);
        return s;
    }
    r->n = 2; /* a second look where classes are told apart (docs/models.md) */
    r->sigma[0] = m->schedule.sigma_max;
    r->sigma[1] = 5.0;
    return cm_sigma_list_check(&m->schedule, r->sigma, r->n, err);
}

static method method_of(const cm_model *m, const cm_sample_config *c)
{
    static const struct {
        const char *name;
        method which;
    } names[] = {{"onestep", ONESTEP}, {"multistep", MULTISTEP}, {"euler", EULER}, {"heun", HEUN}};
    for (int i = 0; i < 4; i++)
        if (!strcmp(c->sampler, names[i].name))
            return names[i].which;
    return m->kind == CM_PRECOND_EDM ? HEUN : c->ts[0] || c->sigmas[0] ? MULTISTEP : ONESTEP;
}

/* Settings that the sampler would not look at are mistakes. */
static cm_status check_method(const cm_model *m, const cm_sample_config *c, method which,
                              cm_error *err)
{
    if (m->kind == CM_PRECOND_EDM && (which == ONESTEP || which == MULTISTEP))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "sampler %s: needs a consistency model, this one is a diffusion teacher "
                       "(heun or euler sample it)",
                       c->sampler);
    if (which == ONESTEP && c->steps > 1)
        return cm_fail(err, CM_ERR_ARGUMENT, "steps: expected 1 with the onestep sampler, found %d",
                       (int)c->steps);
    if (which != HEUN && c->s_churn > 0.0)
        return cm_fail(err, CM_ERR_ARGUMENT, "s-churn: is for the heun sampler");
    if (which != MULTISTEP && (c->ts[0] || c->sigmas[0]))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts and sigmas are for the multistep sampler of a consistency model");
    return CM_OK;
}

static cm_status resolve(const cm_model *m, const cm_sample_config *c, struct recipe *r,
                         cm_error *err)
{
    r->churn = (cm_churn){c->s_churn, c->s_tmin, c->s_tmax, c->s_noise};
    r->method = method_of(m, c);
    const cm_status s = check_method(m, c, r->method, err);
    if (s)
        return s;
    if (r->method == MULTISTEP)
        return levels_from_lists(m, c, r, err);
    r->n = r->method == ONESTEP ? 1 : c->steps ? (int)c->steps : 18;
    cm_karras_grid(&m->schedule, r->n, r->sigma);
    return CM_OK;
}

/* The label of each image. */
static cm_status choose_labels(const cm_model *m, const cm_sample_config *c, int64_t *labels,
                               cm_error *err)
{
    const int k = m->net.num_classes;
    int64_t fixed = -1;
    const int all = !strcmp(c->label, "all"), random = !strcmp(c->label, "random");
    if (!all && !random) {
        if (!k)
            return cm_fail(err, CM_ERR_ARGUMENT, "class %s: this model has no classes", c->label);
        if (!cm_text_to_int(c->label, &fixed) || fixed < 0 || fixed >= k)
            return cm_fail(err, CM_ERR_ARGUMENT, "class: expected 0 to %d, all or random, found %s",
                           k - 1, c->label);
    }
    for (int64_t i = 0; i < c->num; i++) {
        const cm_philox_block b = cm_philox((uint64_t)c->seed, 0, (uint32_t)i, 0, STREAM_LABEL);
        labels[i] = !k       ? -1
                    : all    ? i * k / c->num
                    : random ? (int64_t)(b.v[0] % (uint32_t)k)
                             : fixed;
    }
    return CM_OK;
}

/* ---- the run ---- */

static cm_status run_sampler(const cm_model *m, const struct recipe *r, const cm_sampler *s,
                             double *x, cm_error *err)
{
    switch (r->method) {
    case ONESTEP:
        return cm_sampler_onestep(s, r->sigma[0], x, err);
    case MULTISTEP:
        return cm_sampler_multistep(s, &m->schedule, r->sigma, r->n, x, err);
    case EULER:
        return cm_sampler_euler(s, r->sigma, r->n, x, err);
    case HEUN:
        return cm_sampler_heun(s, r->sigma, r->n, &r->churn, x, err);
    }
    return CM_ERR_ARGUMENT;
}

static uint8_t to_byte(double v) /* v in [-1,1], to nearest */
{
    return (uint8_t)lrint(127.5 * v + 127.5);
}

static cm_status generate(const cm_model *m, const cm_sample_config *c, const struct recipe *r,
                          cm_denoiser_plan *plan, cm_images *images, cm_error *err)
{
    const int64_t n = plan->batch * plan->image;
    double *memory = cm_alloc_array((size_t)n * (1 + CM_SAMPLER_WORK), sizeof *memory);
    struct batch b = {.plan = plan, .seed = (uint64_t)c->seed, .labels = images->labels};
    cm_status s = CM_OK;
    if (!memory)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    cm_sampler sampler = {.denoiser = {denoise, &b},
                          .noise = {draw_noise, &b},
                          .work = memory + n,
                          .clip_denoised = 1};
    for (b.first = 0; b.first < images->n && !s; b.first += plan->batch) {
        const int64_t left = images->n - b.first;
        b.count = left < plan->batch ? (int)left : plan->batch;
        sampler.count = (size_t)(b.count * plan->image);
        s = run_sampler(m, r, &sampler, memory, err);
        for (int64_t i = 0; i < b.count * plan->image && !s; i++)
            images->pixels[b.first * plan->image + i] = to_byte(memory[i]);
    }
    cm_free(memory);
    return s;
}

static cm_images *images_new(const cm_model *m, int64_t n)
{
    cm_images *images = cm_alloc(sizeof *images);
    if (!images)
        return NULL;
    *images = (cm_images){
        .n = n, .h = m->net.image_size, .w = m->net.image_size, .c = m->net.out_channels};
    size_t bytes;
    if (!__builtin_mul_overflow((size_t)n, (size_t)(images->h * images->w * images->c), &bytes))
        images->pixels = cm_alloc(bytes);
    images->labels = cm_alloc_array((size_t)n, sizeof *images->labels);
    if (images->pixels && images->labels)
        return images;
    cm_images_free(images);
    return NULL;
}

void cm_images_free(cm_images *images)
{
    if (!images)
        return;
    cm_free(images->pixels);
    cm_free(images->labels);
    cm_free(images);
}

cm_status cm_sample(cm_model *model, const cm_sample_config *config, cm_images **images,
                    cm_error *err)
{
    struct recipe r = {.sigma = cm_alloc_array(MAX_LEVELS + 2, sizeof(double))};
    cm_denoiser_plan *plan = NULL;
    cm_images *out = images_new(model, config->num);
    cm_dtype dtype;
    cm_status s = r.sigma && out
                      ? CM_OK
                      : cm_fail(err, CM_ERR_MEMORY,
                                "sampling: out of memory for %" PRId64 " images", config->num);
    if (!s)
        s = resolve(model, config, &r, err);
    if (!s)
        s = choose_labels(model, config, out->labels, err);
    if (!s)
        s = cm_dtype_resolve(config->dtype, &dtype, err);
    const int batch = (int)(config->num < config->batch ? config->num : config->batch);
    if (!s)
        s = cm_denoiser_plan_new(model, batch, (int)config->micro_batch, dtype,
                                 cm_threads_resolve(config->threads), &plan, err);
    if (!s)
        s = generate(model, config, &r, plan, out, err);
    cm_denoiser_plan_free(plan);
    cm_free(r.sigma);
    if (s) {
        cm_images_free(out);
        return s;
    }
    *images = out;
    return CM_OK;
}
