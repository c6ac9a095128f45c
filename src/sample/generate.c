/* generate.c - noise from counters, the sampler's loop in double precision around the
 * compiled denoiser, pixels to bytes.
 *
 * Noise of image i, draw k, element e: lane e mod 4 of Philox(seed; e/4, i, k, r).
 * So an image depends on the seed and its own index only. */
#include "sample/generate.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "sample/sampler.h"
#include "sample/session.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_LEVELS = 10000, STREAM_NOISE = 0x5a3b1e, STREAM_LABEL = 0x1abe1 };

/* What a run does, resolved from the options. */
struct recipe {
    const cm_sampling_method *sampler;
    cm_levels levels;
};

struct batch {
    cm_session *session;
    uint64_t seed;
    int64_t first;         /* of the images, the one that the batch begins with */
    int64_t index;         /* of that one among all there could be */
    int count;             /* images, at most session->batch */
    const int64_t *labels; /* of all images */
};

static cm_status denoise(void *user, const double *x, double sigma, double *denoised, cm_error *err)
{
    const struct batch *b = user;
    (void)err;
    cm_session_denoise(b->session, b->count, x, sigma, b->labels + b->first, denoised);
    return CM_OK;
}

static void draw_noise(void *user, int draw, double *z)
{
    const struct batch *b = user;
    const int64_t image = b->session->image;
    for (int i = 0; i < b->count; i++)
        for (int64_t e = 0; e < image; e += 4) {
            float v[4];
            cm_normal4(cm_philox(b->seed, (uint32_t)(e / 4), (uint32_t)(b->index + i),
                                 (uint32_t)draw, STREAM_NOISE),
                       v);
            for (int64_t k = 0; k < 4 && e + k < image; k++)
                z[i * image + e + k] = (double)v[k];
        }
}

/* ---- options ---- */

static cm_status levels_from_list(const cm_model *m, const cm_sample_params *c, cm_levels *l,
                                  cm_error *err)
{
    if (c->sigmas[0] && c->ts[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "ts and sigmas: give one of them");
    if (c->sigmas[0]) {
        const cm_status s =
            cm_parse_real_list(c->sigmas, MAX_LEVELS, l->sigma, &l->n, "sigmas", err);
        return s ? s : cm_sigma_list_check(&m->schedule, l->sigma, l->n, err);
    }
    if (c->ts[0]) {
        int n = 0, *ts = cm_alloc_array(MAX_LEVELS, sizeof *ts);
        const int steps = c->steps ? (int)c->steps : m->scales;
        cm_status s = ts ? cm_parse_int_list(c->ts, MAX_LEVELS, ts, &n, "ts", err)
                         : cm_fail(err, CM_ERR_MEMORY, "ts: out of memory");
        if (!s)
            s = cm_sigma_list_from_ts(&m->schedule, ts, n, steps, l->sigma, err);
        l->n = n - 1;
        cm_free(ts);
        return s;
    }
    l->n = 2;
    l->sigma[0] = m->schedule.sigma_max;
    l->sigma[1] = cm_second_level(&m->schedule);
    return CM_OK;
}

/* Settings that the sampler would not look at are mistakes. */
static cm_status check_fit(const cm_model *m, const cm_sample_params *c,
                           const cm_sampling_method *s, cm_error *err)
{
    const int teacher = cm_model_is_teacher(m);
    if (s->of_teacher != teacher)
        return cm_fail(err, CM_ERR_ARGUMENT, "sampler %s: needs a %s, this one is a %s", s->name,
                       s->of_teacher ? "diffusion teacher" : "consistency model",
                       teacher ? "diffusion teacher (heun or euler sample it)"
                               : "consistency model (onestep or multistep sample it)");
    if (s->most_steps && c->steps > s->most_steps)
        return cm_fail(err, CM_ERR_ARGUMENT, "steps: expected %d with the %s sampler, found %d",
                       s->most_steps, s->name, (int)c->steps);
    if (s->takes_list && c->steps && c->sigmas[0])
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: has no effect here, --sigmas gives the noise levels");
    if (s->takes_list && c->steps && !c->ts[0])
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: with the %s sampler it is the grid of --ts, which is not given",
                       s->name);
    if (!s->takes_churn && c->s_churn > 0.0)
        return cm_fail(err, CM_ERR_ARGUMENT, "s-churn: is for the heun sampler");
    const cm_sample_params initial = cm_sample_default_params();
    const struct {
        const char *name;
        double value, initial;
    } of_churn[] = {{"s-tmin", c->s_tmin, initial.s_tmin},
                    {"s-tmax", c->s_tmax, initial.s_tmax},
                    {"s-noise", c->s_noise, initial.s_noise}};
    for (int i = 0; i < 3 && !(s->takes_churn && c->s_churn > 0.0); i++)
        if (of_churn[i].value < of_churn[i].initial || of_churn[i].value > of_churn[i].initial)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "%s: has no effect here, it is for the heun sampler with --s-churn",
                           of_churn[i].name);
    if (!s->takes_list && (c->ts[0] || c->sigmas[0]))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts and sigmas are for the multistep sampler of a consistency model");
    return CM_OK;
}

static cm_status resolve(const cm_model *m, const cm_sample_params *c, struct recipe *r,
                         cm_error *err)
{
    r->levels.churn = (cm_churn){c->s_churn, c->s_tmin, c->s_tmax, c->s_noise};
    r->levels.schedule = &m->schedule;
    r->sampler = cm_sampling_method_find(c->sampler);
    if (!strcmp(c->sampler, "auto"))
        r->sampler = cm_sampling_method_default(cm_model_is_teacher(m), c->ts[0] || c->sigmas[0]);
    if (!r->sampler)
        return cm_fail(err, CM_ERR_ARGUMENT, "sampler: '%.100s' is none of its choices",
                       c->sampler);
    const cm_status s = check_fit(m, c, r->sampler, err);
    if (s)
        return s;
    if (r->sampler->takes_list)
        return levels_from_list(m, c, &r->levels, err);
    r->levels.n = c->steps ? (int)c->steps : r->sampler->steps;
    cm_karras_grid(&m->schedule, r->levels.n, r->levels.sigma);
    return CM_OK;
}

/* The label of each image. */
static cm_status choose_labels(const cm_model *m, const cm_sample_params *c, int64_t *labels,
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
        const cm_philox_block b =
            cm_philox((uint64_t)c->seed, 0, (uint32_t)(c->first + i), 0, STREAM_LABEL);
        labels[i] = !k       ? -1
                    : all    ? i * k / c->num
                    : random ? (int64_t)(b.v[0] % (uint32_t)k)
                             : fixed;
    }
    return CM_OK;
}

/* ---- the run ---- */

static uint8_t to_byte(double v) /* v in [-1,1], to nearest */
{
    return (uint8_t)lrint(127.5 * v + 127.5);
}

static cm_status run(const cm_sample_params *c, const struct recipe *r, cm_session *session,
                     cm_images *images, cm_error *err)
{
    const int64_t n = session->batch * session->image;
    double *memory = cm_alloc_array((size_t)n, (1 + CM_SAMPLING_WORK) * sizeof *memory);
    struct batch b = {.session = session, .seed = (uint64_t)c->seed, .labels = images->labels};
    cm_status s = CM_OK;
    if (!memory)
        return cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    cm_sampling sampling = {.denoiser = {denoise, &b},
                            .noise = {draw_noise, &b},
                            .work = memory + n,
                            .clip_denoised = 1};
    for (b.first = 0; b.first < images->n && !s; b.first += session->batch) {
        const int64_t left = images->n - b.first;
        b.index = c->first + b.first;
        b.count = left < session->batch ? (int)left : session->batch;
        sampling.count = (size_t)(b.count * session->image);
        s = r->sampler->run(&sampling, &r->levels, memory, err);
        for (int64_t i = 0; i < b.count * session->image && !s; i++)
            images->pixels[b.first * session->image + i] = to_byte(memory[i]);
    }
    cm_free(memory);
    return s;
}

cm_status cm_generate(const cm_model *model, const cm_sample_params *config, cm_images **images,
                      cm_error *err)
{
    struct recipe r = {.levels = {.sigma = cm_alloc_array(MAX_LEVELS + 2, sizeof(double))}};
    const cm_net_config *net = &model->net;
    cm_session *session = NULL;
    cm_images *out = cm_images_new(config->num, net->height, net->width, net->out_channels);
    cm_dtype dtype;
    cm_status s = r.levels.sigma && out
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
        s = cm_session_new(model, batch, (int)config->micro_batch, dtype,
                           cm_threads_resolve(config->threads), &session, err);
    if (!s)
        s = run(config, &r, session, out, err);
    cm_session_free(session);
    cm_free(r.levels.sigma);
    if (s) {
        cm_images_release(out);
        return s;
    }
    out->first = config->first;
    *images = out;
    return CM_OK;
}
