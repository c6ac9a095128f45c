/* lpips_pairs.c - the distances d_i of the pairs, a batch at a time: their mean, deviation
 * sqrt( sum (d_i - mean)^2 / (n - 1) ), least and most, by Welford's recurrence
 *
 *     mean_i = mean_{i-1} + (d_i - mean_{i-1}) / i
 *     M_i    = M_{i-1} + (d_i - mean_{i-1}) (d_i - mean_i)
 */
#include "eval/lpips_pairs.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "eval/collect.h"
#include "eval/lpips.h"
#include "options/options.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct pairs {
    const cm_eval_hooks *hooks;
    int batch;
    cm_lpips *lpips;
    cm_image_source ref, samples;
    uint8_t *a, *b;   /* [batch,h,w,c] */
    int64_t *labels;  /* [batch], of no use */
    float *distances; /* [batch] */
    int64_t n;
    double mean, squares; /* of the first n */
    cm_scores *scores;
} pairs;

/* ---- what is asked for ---- */

/* Every setting but these is for other scores. */
static cm_status check_used(const cm_eval_params *p, cm_error *err)
{
    static const char *const used[] = {"ref",   "samples",       "weights",
                                       "lpips", "lpips-weights", "json"};
    const cm_eval_params initial = cm_eval_default_params();
    json_t *now = cm_options_to_json(cm_eval_options(), p);
    json_t *then = cm_options_to_json(cm_eval_options(), &initial);
    cm_status s = now && then ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "options: out of memory");
    for (size_t i = 0; !s && i < sizeof used / sizeof *used; i++)
        json_object_del(then, used[i]);
    for (const cm_option *o = cm_eval_options(); o->name && !s; o++) {
        const json_t *expected = json_object_get(then, o->name);
        if (expected && !json_equal(expected, json_object_get(now, o->name)))
            s = cm_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, with lpips",
                        o->name);
    }
    json_decref(now);
    json_decref(then);
    if (!s && (!*p->ref || !*p->samples))
        s = cm_fail(err, CM_ERR_ARGUMENT, "%s: expected images for the pairs of lpips, found none",
                    *p->ref ? "samples" : "ref");
    return s;
}

/* ---- the two sets ---- */

static cm_status open_sets(pairs *p, const cm_eval_params *params, cm_error *err)
{
    const cm_image_source *a = &p->ref, *b = &p->samples;
    cm_status s = cm_image_source_open(params->ref, NULL, 1, &p->ref, err);
    if (!s)
        s = cm_image_source_open(params->samples, NULL, 1, &p->samples, err);
    if (s || (a->n == b->n && a->h == b->h && a->w == b->w && a->c == b->c))
        return s;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected a partner for each image of %s, %" PRId64 " of %dx%d with %d "
                   "channel%s, found %" PRId64 " of %dx%d with %d",
                   b->name, a->name, a->n, a->w, a->h, a->c, cm_plural(a->c), b->n, b->w, b->h,
                   b->c);
}

static cm_status make_room(pairs *p, cm_error *err)
{
    const size_t image = (size_t)p->ref.h * (size_t)p->ref.w * (size_t)p->ref.c;
    p->a = cm_alloc_array((size_t)p->batch, image);
    p->b = cm_alloc_array((size_t)p->batch, image);
    p->labels = cm_alloc_array((size_t)p->batch, sizeof *p->labels);
    p->distances = cm_alloc_array((size_t)p->batch, sizeof *p->distances);
    if (p->a && p->b && p->labels && p->distances)
        return CM_OK;
    return cm_fail(err, CM_ERR_MEMORY, "LPIPS: out of memory for %d pairs at a time", p->batch);
}

/* ---- distances ---- */

static void add(pairs *p, double d)
{
    cm_scores *r = p->scores;
    const double before = d - p->mean;
    p->mean += before / (double)++p->n;
    p->squares += before * (d - p->mean);
    r->lpips_least = fmin(r->lpips_least, d); /* of a NaN and a number the number */
    r->lpips_most = fmax(r->lpips_most, d);
}

static cm_status measure(pairs *p, cm_error *err)
{
    const int64_t all = p->ref.n;
    cm_eval_phase phase = cm_eval_phase_begin(p->hooks, "LPIPS", (double)all);
    cm_status s = CM_OK;
    while (p->n < all && !s) {
        const int64_t count = all - p->n < p->batch ? all - p->n : p->batch;
        s = cm_image_source_next(&p->ref, count, p->a, p->labels, err);
        if (!s)
            s = cm_image_source_next(&p->samples, count, p->b, p->labels, err);
        if (!s)
            s = cm_lpips_run(p->lpips, count, p->a, p->b, p->ref.h, p->ref.w, p->ref.c,
                             p->distances, err);
        for (int64_t i = 0; i < count && !s; i++)
            add(p, (double)p->distances[i]);
        if (!s)
            s = cm_eval_phase_add(&phase, (double)count, err);
    }
    return s;
}

static void report(const pairs *p, cm_scores *r)
{
    snprintf(r->names.network, sizeof r->names.network, "VGG16, LPIPS 0.1");
    snprintf(r->names.distance, sizeof r->names.distance, "LPIPS");
    snprintf(r->ref, sizeof r->ref, "%s", p->ref.name);
    snprintf(r->samples, sizeof r->samples, "%s", p->samples.name);
    r->n_ref = r->n_samples = p->n;
    r->lpips = p->mean;
    if (p->n > 1)
        r->lpips_deviation = sqrt(p->squares / (double)(p->n - 1));
}

static cm_status run(pairs *p, const cm_eval_params *params, int threads, cm_error *err)
{
    cm_status s = check_used(params, err);
    if (!s)
        s = open_sets(p, params, err);
    if (!s)
        s = cm_lpips_open(params->weights, params->lpips_weights, CM_LPIPS_MOST, p->batch, threads,
                          &p->lpips, err);
    if (!s)
        s = make_room(p, err);
    return s ? s : measure(p, err);
}

cm_status cm_lpips_pairs(const cm_eval_params *params, const cm_sample_params *sampling,
                         const cm_eval_hooks *hooks, cm_scores *scores, cm_error *err)
{
    pairs p = {.hooks = hooks, .batch = (int)sampling->batch, .scores = scores};
    *scores = cm_scores_none();
    const cm_status s = run(&p, params, (int)sampling->threads, err);
    if (!s)
        report(&p, scores);
    cm_lpips_close(p.lpips);
    cm_image_source_close(&p.ref);
    cm_image_source_close(&p.samples);
    cm_free(p.a);
    cm_free(p.b);
    cm_free(p.labels);
    cm_free(p.distances);
    return s;
}
