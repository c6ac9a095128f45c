/* collect.c */
#include "eval/collect.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

cm_eval_phase cm_eval_phase_begin(const cm_eval_hooks *hooks, const char *what, double all)
{
    return (cm_eval_phase){.hooks = hooks, .what = what, .all = all, .begun = cm_seconds()};
}

cm_status cm_eval_phase_add(cm_eval_phase *p, double done, cm_error *err)
{
    const cm_eval_hooks *h = p->hooks;
    p->done += done;
    if (h && h->stop && h->stop(h->user))
        return cm_fail(err, CM_INTERRUPTED, "evaluation: stopped before the end");
    const double took = cm_seconds() - p->begun;
    if (h && h->progress)
        h->progress(h->user, p->what, p->done / p->all, took * (p->all - p->done) / p->done);
    return CM_OK;
}

/* Room for a batch on its way. */
typedef struct room {
    uint8_t *pixels;
    int64_t *labels;
    float *features, *spatial, *logits;
} room;

static void room_free(room *r)
{
    cm_free(r->pixels);
    cm_free(r->labels);
    cm_free(r->features);
    cm_free(r->spatial);
    cm_free(r->logits);
}

/* An empty array is one element. */
static float *floats(int batch, int64_t d)
{
    return cm_alloc_array((size_t)batch, (size_t)(d + 1) * sizeof(float));
}

static cm_status room_new(int batch, const cm_image_source *s, cm_feature_dims dims, room *r,
                          cm_error *err)
{
    const size_t image = (size_t)s->h * (size_t)s->w * (size_t)s->c;
    *r = (room){.pixels = cm_alloc_array((size_t)batch, image),
                .labels = cm_alloc_array((size_t)batch, sizeof *r->labels),
                .features = floats(batch, dims.features),
                .spatial = floats(batch, dims.spatial),
                .logits = floats(batch, dims.logits)};
    if (r->pixels && r->labels && r->features && r->spatial && r->logits)
        return CM_OK;
    room_free(r);
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %d images at a time", s->name, batch);
}

cm_status cm_collect_check(const cm_extractor *e, const cm_image_source *s, int wants_covariance,
                           cm_error *err)
{
    const cm_status status = cm_extractor_check(e, s->name, s->h, s->w, s->c, err);
    if (status || !wants_covariance || s->n > 1)
        return status;
    return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected at least 2 images, found %lld", s->name,
                   (long long)s->n);
}

/* The sums of a pass; NULL: not wanted. */
typedef struct sums {
    cm_moments *features, *spatial;
} sums;

static void sums_free(sums *s)
{
    cm_moments_free(s->features);
    cm_moments_free(s->spatial);
}

static cm_status sums_new(const cm_collection *to, cm_feature_dims dims, sums *m, cm_error *err)
{
    cm_status s = CM_OK;
    if (to->features)
        s = cm_moments_new(to->linear, (int)dims.features, &m->features, err);
    if (!s && to->spatial)
        s = cm_moments_new(to->linear, (int)dims.spatial, &m->spatial, err);
    return s;
}

static cm_status sums_finish(const sums *m, const cm_collection *to, cm_error *err)
{
    cm_status s = CM_OK;
    if (to->features)
        s = cm_moments_finish(m->features, to->features, err);
    if (!s && to->spatial)
        s = cm_moments_finish(m->spatial, to->spatial, err);
    return s;
}

static cm_status give(cm_collection *to, const sums *m, int64_t n, const room *r, int64_t d,
                      cm_error *err)
{
    if (m->features)
        cm_moments_add(m->features, n, r->features);
    if (m->spatial)
        cm_moments_add(m->spatial, n, r->spatial);
    if (to->score)
        cm_class_score_add(to->score, n, r->logits);
    if (to->agreement)
        cm_agreement_add(to->agreement, n, r->logits, r->labels);
    const int64_t left = to->kept ? to->most_kept - to->kept->n : 0;
    return left > 0 ? cm_feature_set_add(to->kept, d, n < left ? n : left, r->features, err)
                    : CM_OK;
}

cm_status cm_collect(cm_extractor *e, int batch, cm_image_source *source, cm_collection *to,
                     cm_eval_phase *phase, cm_error *err)
{
    const cm_feature_dims dims = cm_extractor_dims(e);
    room r;
    sums m = {NULL, NULL};
    cm_status s = cm_collect_check(e, source, to->features != NULL, err);
    if (!s)
        s = room_new(batch, source, dims, &r, err);
    if (s)
        return s;
    s = sums_new(to, dims, &m, err);
    while (source->done < source->n && !s) {
        const int64_t left = source->n - source->done, n = left < batch ? left : batch;
        s = cm_image_source_next(source, n, r.pixels, r.labels, err);
        if (!s)
            s = cm_extractor_run(e, n, r.pixels, source->h, source->w, source->c, r.features,
                                 to->spatial ? r.spatial : NULL,
                                 to->score || to->agreement ? r.logits : NULL, err);
        if (!s)
            s = give(to, &m, n, &r, dims.features, err);
        if (!s)
            s = cm_eval_phase_add(phase, (double)n, err);
    }
    if (!s)
        s = sums_finish(&m, to, err);
    sums_free(&m);
    room_free(&r);
    return s;
}
