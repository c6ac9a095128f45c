/* scores.c - how good samples are while a run goes on: --eval-every.
 *
 * They are images 0 to --eval-num - 1 of seed 0, drawn from the first average, each time the same
 * noise: what `cm eval --model RUN --num N` draws.  Nothing of the run is changed by it. */
#include "train/trainer.h"

#include "base/error.h"
#include "base/text.h"
#include "group/group.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

cm_status cm_trainer_scores_open(cm_trainer *t, const cm_eval_hooks *hooks,
                                 void (*line)(void *user, const char *text), cm_error *err)
{
    const cm_train_params *c = &t->config;
    const cm_scorer_config config = {.features = c->eval_features,
                                     .weights = c->eval_weights,
                                     .ref = c->eval_ref,
                                     .data = t->data,
                                     .name = c->data,
                                     .threads = t->threads};
    char text[200];
    cm_error why = {0};
    if (!c->eval_every || t->settings.objective->classifies)
        return CM_OK;
    cm_status s = cm_scorer_open(&config, &t->scorer, &why);
    if (!s)
        s = cm_scorer_take_reference(t->scorer, &config, hooks, &why);
    if (s)
        return cm_fail(err, s, "scores (eval-every): %s", why.message);
    const int64_t d = cm_scorer_features(t->scorer);
    snprintf(text, sizeof text,
             "warning: eval-num: %" PRId64 " images, not more than the %" PRId64
             " features: %s will be far too high",
             c->eval_num, d, cm_scorer_name(t->scorer));
    if (c->eval_num <= d)
        line(hooks->user, text);
    return CM_OK;
}

int cm_trainer_score_due(const cm_trainer *t, int last)
{
    const int64_t every = t->config.eval_every;
    return t->scorer && t->k && t->scored != t->k && (last || t->k % every == 0);
}

static cm_status measure(const cm_trainer *t, float *weights, const cm_eval_hooks *hooks,
                         cm_model_scores *scores, cm_error *err)
{
    const cm_model model = cm_trainer_model(t, weights);
    cm_sample_params c = cm_sample_default_params();
    snprintf(c.dtype, sizeof c.dtype, "%s", t->config.dtype);
    c.num = t->config.eval_num;
    c.threads = t->threads;
    return cm_scorer_run(t->scorer, &model, &c, hooks, scores, err);
}

static cm_status log_scores(const cm_trainer *t, const cm_model_scores *scores, cm_error *err)
{
    json_t *j = json_pack("{s:I,s:f,s:f}", "step", (json_int_t)t->k, cm_scorer_name(t->scorer),
                          scores->distance, "seconds", t->seconds);
    const int bad = !j || (!isnan(scores->agreement) &&
                           json_object_set_new(j, "agreement", json_real(scores->agreement)));
    cm_status s = bad ? cm_fail(err, CM_ERR_MEMORY, "log: out of memory")
                      : cm_run_held(t->config.out, t->lock, err);
    if (!s)
        s = cm_runlog_line(t->log, j, err);
    json_decref(j);
    return s;
}

/* "step 500: FD-fashion 12.3, taken for their class 88.1%" */
static void say(const cm_trainer *t, const cm_model_scores *scores, char *text, size_t size)
{
    char number[CM_REAL_TEXT];
    int n = snprintf(text, size, "step %" PRId64 ": %s %s", t->k, cm_scorer_name(t->scorer),
                     cm_text_rounded(number, scores->distance, 5));
    if (!isnan(scores->agreement))
        snprintf(text + n, size - (size_t)n, ", taken for their class %s%%",
                 cm_text_rounded(number, 100 * scores->agreement, 4));
}

cm_status cm_trainer_score(cm_trainer *t, float *weights, const cm_eval_hooks *hooks,
                           void (*line)(void *user, const char *text), cm_error *err)
{
    char text[1100];
    cm_error why = {0};
    cm_model_scores scores;
    const cm_status s = measure(t, weights, hooks, &scores, &why);
    cm_group_go_on(t->group);
    if (s == CM_INTERRUPTED)
        return CM_OK;
    if (cm_group_rank(t->group)) {
        t->scored = t->k;
        return CM_OK;
    }
    if (s) {
        snprintf(text, sizeof text, "warning: no scores: %s", why.message);
    } else {
        const cm_status logged = log_scores(t, &scores, err);
        if (logged)
            return logged;
        t->scored = t->k;
        say(t, &scores, text, sizeof text);
    }
    line(hooks->user, text);
    return CM_OK;
}
