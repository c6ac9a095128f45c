/* collect.c */
#include "eval/collect.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "group/group.h"

#include <string.h>
#include <xxhash.h>

cm_group *cm_eval_group(const cm_eval_hooks *hooks)
{
    return hooks ? hooks->group : NULL;
}

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

/* What the network says of a batch, in one piece, which travels between processes. */
typedef struct batch {
    int64_t *labels;
    float *features, *spatial, *logits;
} batch;

/* Room for batches on their way: of process 0 those of all. */
typedef struct room {
    int n; /* images of a batch */
    uint8_t *pixels, *mine, *all;
    cm_feature_dims dims;
    size_t bytes; /* of what is said of a batch */
} room;

static batch batch_at(const room *r, uint8_t *from)
{
    const size_t n = (size_t)r->n;
    batch b = {.labels = (int64_t *)(void *)from};
    b.features = (float *)(void *)(b.labels + n);
    b.spatial = b.features + n * (size_t)r->dims.features;
    b.logits = b.spatial + n * (size_t)r->dims.spatial;
    return b;
}

static void room_free(room *r)
{
    cm_free(r->pixels);
    cm_free(r->mine);
    if (r->all != r->mine)
        cm_free(r->all);
}

static cm_status room_new(const cm_group *g, int n, const cm_image_source *s, cm_feature_dims dims,
                          room *r, cm_error *err)
{
    const int size = cm_group_size(g), takes = size > 1 && !cm_group_rank(g);
    const size_t image = (size_t)s->h * (size_t)s->w * (size_t)s->c,
                 numbers = (size_t)(dims.features + dims.spatial + dims.logits);
    *r = (room){.n = n, .dims = dims};
    r->bytes = (size_t)n * (sizeof(int64_t) + numbers * sizeof(float));
    r->bytes = (r->bytes + 7) / 8 * 8; /* labels of the next one are aligned */
    r->pixels = cm_alloc_array((size_t)n, image);
    r->mine = cm_alloc(r->bytes);
    r->all = takes ? cm_alloc_array((size_t)size, r->bytes) : r->mine;
    return r->pixels && r->mine && r->all
               ? CM_OK
               : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %d images at a time", s->name,
                         n);
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

static cm_status give(cm_collection *to, const sums *m, int64_t n, const batch *b, int64_t d,
                      cm_error *err)
{
    if (m->features)
        cm_moments_add(m->features, n, b->features);
    if (m->spatial)
        cm_moments_add(m->spatial, n, b->spatial);
    if (to->score)
        cm_class_score_add(to->score, n, b->logits);
    if (to->agreement)
        cm_agreement_add(to->agreement, n, b->logits, b->labels);
    const int64_t left = to->kept ? to->most_kept - to->kept->n : 0;
    return left > 0 ? cm_feature_set_add(to->kept, d, n < left ? n : left, b->features, err)
                    : CM_OK;
}

/* ---- the pass ---- */

/* Images `first` and the n - 1 after it. */
static cm_status look(cm_extractor *e, cm_image_source *source, int64_t first, int64_t n,
                      const room *r, const cm_collection *to, cm_error *err)
{
    const batch b = batch_at(r, r->mine);
    source->done = first;
    const cm_status s = cm_image_source_next(source, n, r->pixels, b.labels, err);
    return s ? s
             : cm_extractor_run(e, n, r->pixels, source->h, source->w, source->c, b.features,
                                to->spatial ? b.spatial : NULL,
                                to->score || to->agreement ? b.logits : NULL, err);
}

static int64_t count_at(const cm_image_source *s, int64_t first, int64_t most)
{
    const int64_t left = s->n - first;
    return left < 0 ? 0 : left < most ? left : most;
}

/* A batch each, from image `at` on; then process 0 takes them in their order. */
static cm_status round_of(cm_extractor *e, cm_image_source *source, int64_t at, const room *r,
                          const sums *m, cm_collection *to, cm_eval_phase *phase, cm_error *err)
{
    cm_group *g = cm_eval_group(phase->hooks);
    const int size = cm_group_size(g);
    const int64_t first = at + (int64_t)cm_group_rank(g) * r->n, n = count_at(source, first, r->n),
                  all = count_at(source, at, (int64_t)size * r->n);
    cm_status s = n ? look(e, source, first, n, r, to, err) : CM_OK;
    if (!s)
        s = cm_eval_phase_add(phase, (double)all, err);
    s = cm_group_agree(g, s, err);
    if (s)
        return s;
    cm_group_collect(g, r->mine, r->all, r->bytes);
    source->done = at + all;
    for (int i = 0; i < size && !s && !cm_group_rank(g); i++) {
        const batch b = batch_at(r, r->all + (size_t)i * r->bytes);
        s = give(to, m, count_at(source, at + (int64_t)i * r->n, r->n), &b, r->dims.features, err);
    }
    return s;
}

static cm_status check_same(const cm_extractor *e, const cm_image_source *source, cm_group *g,
                            cm_error *err)
{
    if (cm_group_size(g) == 1)
        return CM_OK;
    const cm_score_names names = cm_extractor_names(e);
    const cm_alike all[] = {{"version of cm", XXH3_64bits(CM_VERSION, strlen(CM_VERSION))},
                            {"network", XXH3_64bits(names.network, strlen(names.network))},
                            {source->name, cm_image_source_fingerprint(source)}};
    return cm_group_same(g, sizeof all / sizeof *all, all, err);
}

cm_status cm_collect(cm_extractor *e, int many, cm_image_source *source, cm_collection *to,
                     cm_eval_phase *phase, cm_error *err)
{
    cm_group *g = cm_eval_group(phase->hooks);
    const cm_feature_dims dims = cm_extractor_dims(e);
    room r = {.n = 0};
    sums m = {NULL, NULL};
    cm_status s = cm_collect_check(e, source, to->features != NULL, err);
    s = cm_group_agree(g, s, err);
    if (!s)
        s = cm_group_broadcast(g, &many, sizeof many, err);
    const int64_t each = (source->n + cm_group_size(g) - 1) / cm_group_size(g);
    if (each < many) /* of few images, too, each process has some */
        many = (int)each;
    if (!s)
        s = room_new(g, many, source, dims, &r, err);
    if (!s && !cm_group_rank(g))
        s = sums_new(to, dims, &m, err);
    s = cm_group_agree(g, s, err);
    if (!s)
        s = check_same(e, source, g, err);
    while (source->done < source->n && !s)
        s = round_of(e, source, source->done, &r, &m, to, phase, err);
    if (!s && !cm_group_rank(g))
        s = sums_finish(&m, to, err);
    sums_free(&m);
    room_free(&r);
    return cm_group_agree(g, s, err);
}
