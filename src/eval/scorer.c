/* scorer.c - as evaluate.c, for one distance again and again */
#include "eval/scorer.h"

#include "base/error.h"
#include "base/memory.h"
#include "eval/collect.h"
#include "eval/frechet.h"
#include "eval/statistics_file.h"

struct cm_scorer {
    cm_extractor *extractor;
    cm_score_names names;
    cm_linear linear;
    cm_saved_statistics ref;
    char ref_name[512];
    int batch;
};

/* Images at a time: few, so that a large network soon asks the hooks again. */
static int batch_of(int threads)
{
    enum { EACH = 8, MOST = 64 };
    return threads < MOST / EACH ? EACH * threads : MOST;
}

static cm_status look(cm_scorer *x, cm_image_source *source, const char *what,
                      const cm_eval_hooks *hooks, cm_collection *to, cm_error *err)
{
    cm_eval_phase phase = cm_eval_phase_begin(hooks, what, (double)source->n);
    to->linear = &x->linear;
    return cm_collect(x->extractor, x->batch, source, to, &phase, err);
}

cm_status cm_scorer_take_reference(cm_scorer *x, const cm_scorer_config *c,
                                   const cm_eval_hooks *hooks, cm_error *err)
{
    const cm_dataset *d = c->data;
    const cm_feature_dims dims = cm_extractor_dims(x->extractor);
    const cm_image_shape as = {d->h, d->w, d->c, "the training data"};
    cm_collection to = {.features = &x->ref.features};
    cm_image_source source = {.n = 0};
    int has_statistics = 0;
    cm_status s = CM_OK;
    cm_escape(x->ref_name, sizeof x->ref_name, *c->ref ? c->ref : c->name);
    if (*c->ref)
        s = cm_statistics_read(c->ref, x->names.network, dims.features, dims.spatial,
                               &has_statistics, &x->ref, err);
    if (s || has_statistics)
        return s;
    s = *c->ref ? cm_image_source_open(c->ref, &as, 0, &source, err)
                : cm_image_source_of(d, c->name, &source, err);
    s = cm_group_agree(cm_eval_group(hooks), s, err);
    if (!s)
        s = look(x, &source, "reference", hooks, &to, err);
    cm_image_source_close(&source);
    return s;
}

static cm_status open_parts(cm_scorer *x, const cm_scorer_config *c, cm_error *err)
{
    const cm_dataset *d = c->data;
    cm_status s =
        cm_extractor_open(c->features, c->weights, x->batch, c->threads, &x->extractor, err);
    if (!s)
        s = cm_extractor_check(x->extractor, c->of ? c->of : c->name, d->h, d->w, d->c, err);
    if (!s)
        s = cm_linear_open(c->threads, &x->linear, err);
    if (!s)
        x->names = cm_extractor_names(x->extractor);
    return s;
}

cm_status cm_scorer_open(const cm_scorer_config *c, cm_scorer **scorer, cm_error *err)
{
    cm_scorer *x = cm_alloc(sizeof *x);
    if (!x)
        return cm_fail(err, CM_ERR_MEMORY, "scores: out of memory");
    x->batch = batch_of(c->threads);
    const cm_status s = open_parts(x, c, err);
    if (s)
        cm_scorer_close(x);
    else
        *scorer = x;
    return s;
}

void cm_scorer_close(cm_scorer *x)
{
    if (!x)
        return;
    cm_saved_statistics_clear(&x->ref);
    cm_linear_close(&x->linear);
    cm_extractor_close(x->extractor);
    cm_free(x);
}

const char *cm_scorer_name(const cm_scorer *x)
{
    return x->names.distance;
}

const char *cm_scorer_network(const cm_scorer *x)
{
    return x->names.network;
}

int64_t cm_scorer_features(const cm_scorer *x)
{
    return cm_extractor_dims(x->extractor).features;
}

cm_status cm_scorer_run(cm_scorer *x, const cm_model *model, const cm_sample_params *sampling,
                        const cm_eval_hooks *hooks, cm_model_scores *scores, cm_error *err)
{
    cm_sample_params few = *sampling;
    cm_image_source source = {.n = 0};
    cm_statistics statistics = {.n = 0};
    cm_agreement agreement = {.seen = 0};
    cm_collection to = {.features = &statistics, .agreement = &agreement};
    cm_group *group = cm_eval_group(hooks);
    const int counts = !cm_group_rank(group);
    few.batch = x->batch;
    cm_status s = cm_image_source_draw_of(model, "samples", &few, &source, err);
    if (!s)
        s = cm_agreement_start(&agreement, x->extractor, &source, err);
    s = cm_group_agree(group, s, err);
    if (!s)
        s = look(x, &source, "samples", hooks, &to, err);
    if (!s && counts)
        s = cm_frechet(&x->linear, &x->ref.features, x->ref_name, &statistics, "samples",
                       &scores->distance, err);
    if (!s && counts)
        scores->agreement = cm_agreement_finish(&agreement);
    cm_agreement_clear(&agreement);
    cm_image_source_close(&source);
    cm_statistics_clear(&statistics);
    return s;
}
