/* evaluate.c - the reference, then the samples, then all pairs of them */
#include "eval/evaluate.h"

#include "base/error.h"
#include "base/memory.h"
#include "eval/collect.h"
#include "eval/frechet.h"
#include "eval/kid.h"
#include "eval/memorising.h"
#include "eval/neighbours.h"
#include "eval/statistics_file.h"
#include "group/group.h"
#include "io/replace.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { KID_SEED = 0 }; /* of its subsets: equal features have one KID, whatever drew them */

/* The reference, or the samples. */
typedef struct side {
    cm_image_source source; /* kind NULL: statistics only */
    cm_saved_statistics statistics;
    cm_feature_set kept;
    cm_neighbours near;
    cm_agreement agreement;
} side;

typedef struct eval {
    const cm_eval_params *params;
    const cm_sample_params *sampling;
    const cm_eval_hooks *hooks;
    cm_scores *scores;
    cm_group *group;
    int counts; /* this process, with what all have found */
    int batch, threads;
    cm_extractor *extractor;
    cm_feature_dims dims;
    int is_inception;
    cm_linear linear;
    side ref, samples;
    cm_class_score score;
} eval;

/* ---- the network ---------------------------------------------------------------- */

static cm_status open_network(eval *e, cm_error *err)
{
    const cm_status s = cm_extractor_open(e->params->features, e->params->weights, e->batch,
                                          e->threads, &e->extractor, err);
    if (s)
        return s;
    e->dims = cm_extractor_dims(e->extractor);
    e->is_inception = !cm_extractor_model(e->extractor);
    e->scores->names = cm_extractor_names(e->extractor);
    return CM_OK;
}

/* ---- the two sides ------------------------------------------------------------------ */

/* Samples first: a data set is brought to their size. */
static cm_status open_sides(eval *e, cm_error *err)
{
    const cm_eval_params *p = e->params;
    cm_image_source *of = &e->samples.source;
    char name[600];
    int has_statistics = 0;
    cm_status s = CM_OK;
    if (*p->model)
        s = cm_image_source_draw(p->model, e->sampling, of, err);
    else if (*p->samples)
        s = cm_image_source_open(p->samples, NULL, 0, of, err);
    if (!s && of->kind)
        s = cm_collect_check(e->extractor, of, 1, err);
    snprintf(name, sizeof name, "the samples %s", of->name);
    const cm_image_shape as = {of->h, of->w, of->c, name};
    if (!s)
        s = cm_statistics_read(p->ref, e->scores->names.network, e->dims.features, e->dims.spatial,
                               &has_statistics, &e->ref.statistics, err);
    if (!s && (!has_statistics || e->ref.statistics.has_images))
        s = cm_image_source_open(p->ref, of->kind ? &as : NULL, 0, &e->ref.source, err);
    if (!s && e->ref.source.kind)
        s = cm_collect_check(e->extractor, &e->ref.source, !has_statistics, err);
    if (s)
        return s;
    cm_scores_note_of(e->scores, of->left_out);
    cm_scores_note_of(e->scores, e->ref.source.left_out);
    snprintf(e->scores->samples, sizeof e->scores->samples, "%s", of->name);
    cm_escape(e->scores->ref, sizeof e->scores->ref, p->ref);
    e->scores->n_samples = of->n;
    e->scores->n_ref = has_statistics ? e->ref.statistics.features.n : e->ref.source.n;
    return CM_OK;
}

/* *share: of the images that are taken for their class. */
static cm_status collect(eval *e, side *x, const char *what, int is_samples, double *share,
                         cm_error *err)
{
    const int need_features = !x->statistics.features.d;
    cm_collection to = {.linear = &e->linear,
                        .features = need_features ? &x->statistics.features : NULL,
                        .spatial = need_features && e->dims.spatial ? &x->statistics.spatial : NULL,
                        .kept = e->params->kept ? &x->kept : NULL,
                        .most_kept = e->params->kept,
                        .agreement = &x->agreement};
    cm_eval_phase phase = cm_eval_phase_begin(e->hooks, what, (double)x->source.n);
    cm_status s = cm_agreement_start(&x->agreement, e->extractor, &x->source, err);
    if (!s && is_samples && e->is_inception) {
        s = cm_class_score_start(&e->score, e->dims.logits, err);
        to.score = &e->score;
    }
    s = cm_group_agree(e->group, s, err);
    if (!s)
        s = cm_collect(e->extractor, e->batch, &x->source, &to, &phase, err);
    *share = cm_agreement_finish(&x->agreement);
    if (!s)
        cm_scores_note_of(e->scores, x->agreement.why_not);
    return s;
}

static cm_status collect_sides(eval *e, cm_error *err)
{
    cm_status s = CM_OK;
    if (e->ref.source.kind)
        s = collect(e, &e->ref, "reference", 0, &e->scores->agreement_ref, err);
    if (!s && *e->params->save_stats && e->counts) {
        const cm_saved_statistics *of = &e->ref.statistics;
        s = cm_statistics_write(e->params->save_stats, e->scores->names.network, &of->features,
                                of->spatial.d ? &of->spatial : NULL, err);
    }
    if (!s && e->samples.source.kind)
        s = collect(e, &e->samples, "samples", 1, &e->scores->agreement, err);
    const double *centre = e->ref.statistics.features.mean;
    if (s || !e->counts)
        return s;
    s = cm_feature_set_centre(&e->ref.kept, centre, err);
    if (!s)
        s = cm_feature_set_centre(&e->samples.kept, centre, err);
    if (!s && e->score.classes)
        e->scores->inception = cm_class_score_finish(&e->score);
    return s;
}

/* ---- scores ---------------------------------------------------------------------------- */

/* Of the two sets, the smaller; 0: it is not there, or not known. */
static void warn_few(eval *e)
{
    const cm_scores *r = e->scores;
    const int64_t d = e->dims.features;
    const int is_ref = r->n_ref && (!r->n_samples || r->n_ref <= r->n_samples);
    const int64_t least = is_ref ? r->n_ref : r->n_samples;
    if (least <= d)
        cm_scores_note(e->scores,
                       "%.200s: %" PRId64 " images, not more than the %" PRId64
                       " features: their covariance lacks rank, and %s is far too high",
                       is_ref ? r->ref : r->samples, least, d, r->names.distance);
}

static cm_status distances(eval *e, cm_error *err)
{
    const cm_saved_statistics *a = &e->ref.statistics, *b = &e->samples.statistics;
    cm_scores *r = e->scores;
    cm_eval_phase phase = cm_eval_phase_begin(e->hooks, r->names.distance, a->spatial.d ? 2 : 1);
    cm_status s =
        cm_frechet(&e->linear, &a->features, r->ref, &b->features, r->samples, &r->frechet, err);
    if (!s)
        s = cm_eval_phase_add(&phase, 1, err);
    if (!s && a->spatial.d && b->spatial.d) {
        s = cm_frechet(&e->linear, &a->spatial, r->ref, &b->spatial, r->samples, &r->spatial, err);
        if (!s)
            s = cm_eval_phase_add(&phase, 1, err);
    }
    return s;
}

static cm_status after_tile(void *user, double products, cm_error *err)
{
    return cm_eval_phase_add(user, products, err);
}

static cm_status own_pairs(cm_products *p, side *x, cm_kid *kid,
                           void (*visit)(void *, const cm_tile *), cm_eval_phase *phase,
                           cm_error *err)
{
    const cm_tile_visitor visitors[] = {{cm_neighbours_visit, &x->near}, {visit, kid}, {0}};
    const cm_status s = cm_neighbours_start(&x->near, x->kept.n, err);
    return s ? s : cm_products_each(p, &x->kept, &x->kept, visitors, after_tile, phase, err);
}

static cm_status compare_pairs(eval *e, cm_products *p, cm_kid *kid, cm_overlap *o, cm_error *err)
{
    side *a = &e->ref, *b = &e->samples;
    const double n = (double)a->kept.n, m = (double)b->kept.n;
    cm_eval_phase phase =
        cm_eval_phase_begin(e->hooks, "pairs of images", (n * n + m * m) / 2 + n * m);
    cm_status s = own_pairs(p, a, kid, cm_kid_visit_real, &phase, err);
    if (!s)
        s = own_pairs(p, b, kid, cm_kid_visit_samples, &phase, err);
    if (!s)
        s = cm_overlap_start(o, &a->near, &b->near, err);
    const cm_tile_visitor both[] = {{cm_overlap_visit, o}, {cm_kid_visit_both, kid}, {0}};
    return s ? s : cm_products_each(p, &a->kept, &b->kept, both, after_tile, &phase, err);
}

/* Precision, recall, density, coverage and KID. */
static cm_status pairs(eval *e, cm_error *err)
{
    cm_products *p = NULL;
    cm_kid kid = {.n = 0};
    cm_overlap o = {.real = NULL};
    cm_scores *r = e->scores;
    r->kept_ref = e->ref.kept.n;
    r->kept_samples = e->samples.kept.n;
    cm_status s = cm_products_new(e->dims.features, e->threads, &p, err);
    if (!s)
        s = cm_kid_start(&kid, r->kept_ref, r->kept_samples, KID_SEED, err);
    if (!s)
        s = compare_pairs(e, p, &kid, &o, err);
    if (!s) {
        const cm_overlap_scores scores = cm_overlap_finish(&o);
        r->precision = scores.precision;
        r->recall = scores.recall;
        r->density = scores.density;
        r->coverage = scores.coverage;
        cm_kid_finish(&kid, &r->kid, &r->kid_deviation);
    }
    cm_kid_clear(&kid);
    cm_overlap_clear(&o);
    cm_products_free(p);
    return s;
}

static cm_status score_pairs(eval *e, cm_error *err)
{
    cm_scores *r = e->scores;
    cm_status s = CM_OK;
    if (!e->params->kept || !e->samples.kept.n)
        return CM_OK;
    if (!e->ref.kept.n) {
        cm_scores_note(r,
                       "%.200s: statistics without images: precision, recall, density, coverage "
                       "and %s need them",
                       r->ref, r->names.kernel);
    } else if (e->ref.kept.n <= CM_DENSITY_K || e->samples.kept.n <= CM_DENSITY_K) {
        cm_scores_note(r, "precision and the like need more than %d images of each kind",
                       CM_DENSITY_K);
    } else {
        s = pairs(e, err);
    }
    return s;
}

/* ---- in order ----------------------------------------------------------------------------- */

static cm_status check_params(const cm_eval_params *p, cm_error *err)
{
    if (!*p->ref)
        return cm_fail(err, CM_ERR_ARGUMENT, "ref: expected the real images, found none");
    if (*p->samples && *p->model)
        return cm_fail(err, CM_ERR_ARGUMENT, "samples and model: expected one of them, found both");
    if (!*p->samples && !*p->model && !*p->save_stats)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "samples: expected images to judge, a model that draws them, or save-stats");
    if (*p->lpips_weights)
        return cm_fail(err, CM_ERR_ARGUMENT, "lpips-weights: has no effect without lpips");
    if (*p->test && !*p->train)
        return cm_fail(err, CM_ERR_ARGUMENT, "test: has no effect without train");
    if (*p->nearest && !*p->train)
        return cm_fail(err, CM_ERR_ARGUMENT, "nearest: has no effect without train");
    if (*p->train && ((!*p->samples && !*p->model) || !p->kept))
        return cm_fail(err, CM_ERR_ARGUMENT, "train: has no effect without samples that are kept");
    return CM_OK;
}

/* What can be known before the work. */
static cm_status check_files(const cm_eval_params *p, cm_error *err)
{
    const char *const inputs[] = {p->ref, p->samples, p->model, p->train, p->test, p->weights};
    enum { INPUTS = sizeof inputs / sizeof *inputs };
    cm_status s = CM_OK;
    if (*p->save_stats)
        s = cm_replace_ending("save-stats", p->save_stats, ".npz", err);
    if (!s && *p->nearest)
        s = cm_replace_ending("nearest", p->nearest, ".png", err);
    if (!s && *p->save_stats)
        s = cm_replace_no_input(p->save_stats, INPUTS, inputs, err);
    if (!s && *p->save_stats)
        s = cm_replace_check(p->save_stats, &cm_replaced_statistics, err);
    if (!s && *p->nearest)
        s = cm_replace_no_input(p->nearest, INPUTS, inputs, err);
    if (!s && *p->nearest)
        s = cm_replace_check(p->nearest, &cm_replaced_picture, err);
    return s;
}

static cm_status run(eval *e, cm_error *err)
{
    cm_status s = open_network(e, err);
    if (!s)
        s = cm_linear_open(e->threads, &e->linear, err);
    if (!s)
        s = open_sides(e, err);
    s = cm_group_agree(e->group, s, err);
    if (!s)
        s = collect_sides(e, err);
    if (!s)
        warn_few(e);
    if (s || !e->samples.source.kind)
        return s;
    if (e->counts)
        s = distances(e, err);
    if (!s && e->counts)
        s = score_pairs(e, err);
    const cm_memorising_task task = {.params = e->params,
                                     .hooks = e->hooks,
                                     .extractor = e->extractor,
                                     .batch = e->batch,
                                     .threads = e->threads,
                                     .samples = &e->samples.source,
                                     .kept = &e->samples.kept,
                                     .centre = e->ref.statistics.features.mean};
    return s || !*e->params->train ? s : cm_memorising(&task, e->scores, err);
}

static void side_clear(side *x)
{
    cm_image_source_close(&x->source);
    cm_saved_statistics_clear(&x->statistics);
    cm_feature_set_clear(&x->kept);
    cm_neighbours_clear(&x->near);
    cm_agreement_clear(&x->agreement);
}

cm_status cm_evaluate(const cm_eval_params *params, const cm_sample_params *sampling,
                      const cm_eval_hooks *hooks, cm_scores *scores, cm_error *err)
{
    eval e = {.params = params,
              .sampling = sampling,
              .hooks = hooks,
              .scores = scores,
              .group = cm_eval_group(hooks),
              .batch = (int)sampling->batch,
              .threads = cm_threads_resolve(sampling->threads)};
    *scores = cm_scores_none();
    e.counts = !cm_group_rank(e.group);
    cm_status s = check_params(params, err);
    if (!s && e.counts)
        s = check_files(params, err);
    s = cm_group_agree(e.group, s, err);
    if (!s)
        s = run(&e, err);
    side_clear(&e.ref);
    side_clear(&e.samples);
    cm_class_score_clear(&e.score);
    cm_linear_close(&e.linear);
    cm_extractor_close(e.extractor);
    return s;
}
