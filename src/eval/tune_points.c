/* tune_points.c - the noise levels of multistep sampling, one after another (Consistency Models,
 * section 4 and appendix: ternary search for the second, greedy for more)
 *
 * The first level is sigma_max.  The next is sought on the grid of N noise levels that the model
 * was trained on (40 where it has none), below the ones that are there: the one with the lowest
 * Frechet distance of --num samples from the data.  As a function of the level the distance falls
 * and then rises, so a ternary search asks for about ten of them.  It is an estimate from samples,
 * and steps of the grid change it by little: all candidates are drawn with one noise (--seed),
 * whose error is then nearly the same for all, and the list that is found is drawn with two other
 * noises, for the least of many scores flatters.  Beside the means of those two stands
 *
 *     deviation^2 = mean over the lists so far of (score_1 - score_2)^2 / 2
 *
 * The list that the library has without a search is judged in the same way, and kept for two
 * evaluations where it is the better. */
#include "eval/tune_points.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/summary.h"
#include "eval/points_plot.h"
#include "eval/scorer.h"
#include "eval/search_log.h"
#include "eval/ternary.h"
#include "eval/tune_check.h"
#include "eval/tune_rows.h"
#include "io/json.h"
#include "io/replace.h"
#include "run/resolve.h"
#include "sample/own_levels.h"
#include "sample/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

enum { FEWEST_POINTS = 4, POINTS = 40, MOST_POINTS = 1000, DIGITS = 4 };

typedef struct points {
    const cm_tune_params *params;
    const cm_eval_hooks *hooks;
    cm_tune_rows rows;
    cm_model *model;
    cm_scorer *scorer;
    cm_search_log *log;
    json_t *found; /* of the model, with what is found */
    int N;
    cm_text sigmas;        /* the levels so far, ... */
    int last;              /* ... of which this point of the grid is the last */
    cm_tune_spread spread; /* of what was judged */
    int rounds;
    cm_points_round round[CM_MOST_ROUNDS];
} points;

/* A list of levels, judged. */
typedef struct verdict {
    cm_text sigmas;
    double score, deviation, agreement;
} verdict;

/* ---- a list of levels ---- */

static double level_at(const points *s, int p)
{
    return cm_sigma_at(&s->model->schedule, (double)p / (s->N - 1));
}

/* Drawn with the noise of a seed, or as the log has it. */
static cm_status score_of(points *s, const char *sigmas, int64_t seed, cm_search_score *score,
                          cm_error *err)
{
    cm_sample_params p = cm_sample_default_params();
    cm_model_scores scores;
    const cm_search_score *known = cm_search_log_find(s->log, sigmas, seed);
    if (known) {
        *score = *known;
        return CM_OK;
    }
    snprintf(p.sampler, sizeof p.sampler, "multistep");
    snprintf(p.sigmas, sizeof p.sigmas, "%s", sigmas);
    p.num = s->params->num;
    p.seed = seed;
    p.threads = s->params->threads;
    const cm_status status = cm_scorer_run(s->scorer, s->model, &p, s->hooks, &scores, err);
    if (status)
        return status;
    *score = (cm_search_score){scores.distance, scores.agreement};
    return cm_search_log_add(s->log, sigmas, seed, score, err);
}

/* With two noises of its own. */
static cm_status judge(points *s, const char *sigmas, int evaluations, const char *what, verdict *v,
                       cm_error *err)
{
    cm_search_score score[2];
    cm_status status = CM_OK;
    for (int i = 0; i < 2 && !status; i++)
        status = score_of(s, sigmas, s->params->seed + 1 + i, &score[i], err);
    if (status)
        return status;
    cm_tune_spread_add(&s->spread, (const double[]){score[0].score, score[1].score});
    snprintf(v->sigmas, sizeof v->sigmas, "%s", sigmas);
    v->score = (score[0].score + score[1].score) / 2;
    v->agreement = (score[0].agreement + score[1].agreement) / 2;
    v->deviation = cm_tune_deviation(&s->spread);
    char share[16] = "-";
    if (!isnan(v->agreement))
        snprintf(share, sizeof share, "%.1f%%", 100 * v->agreement);
    cm_tune_say(&s->rows, "%11d  %10.4g  %8.2g  %9s  sigmas %s%s", evaluations, v->score,
                v->deviation, share, sigmas, what);
    return CM_OK;
}

/* ---- the search ---- */

static cm_status try_point(void *user, int p, double *distance, cm_error *err)
{
    points *s = user;
    cm_search_score score;
    cm_text list;
    memcpy(list, s->sigmas, sizeof list);
    cm_tune_append_level(&s->model->schedule, level_at(s, p), DIGITS, list);
    const cm_status status = score_of(s, list, s->params->seed, &score, err);
    if (!status)
        *distance = s->round[s->rounds].distance[p] = score.score;
    return status;
}

static cm_status keep(points *s, int evaluations, const verdict *v, cm_error *err)
{
    const cm_tune_params *p = s->params;
    char key[16];
    json_t *j = json_pack("{s:s,s:f,s:f,s:s,s:s,s:I,s:I}", "sigmas", v->sigmas, "score",
                          cm_tune_rounded(v->score), "deviation", cm_tune_rounded(v->deviation),
                          "score_name", cm_scorer_name(s->scorer), "data", p->data, "num",
                          (json_int_t)p->num, "seed", (json_int_t)p->seed);
    int failed =
        !j || (!isnan(v->agreement) &&
               json_object_set_new(j, "agreement", json_real(cm_tune_rounded(v->agreement))));
    snprintf(key, sizeof key, "%d", evaluations);
    failed = failed || json_object_set(s->found, key, j);
    json_decref(j);
    return failed ? cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory, or data is not UTF-8")
                  : CM_OK;
}

/* One level more; the list goes on from what is found, whatever is kept. */
static cm_status add_level(points *s, int evaluations, cm_error *err)
{
    const cm_integer_function f = {try_point, s};
    cm_points_round *round = &s->round[s->rounds];
    verdict found, without;
    round->evaluations = evaluations;
    round->distance = cm_alloc_array((size_t)s->N, sizeof *round->distance);
    if (!round->distance)
        return cm_fail(err, CM_ERR_MEMORY, "search: out of memory for %d points", s->N);
    for (int p = 0; p < s->N; p++)
        round->distance[p] = (double)NAN;
    cm_status status = cm_ternary_search(&f, s->last + 1, s->N - 2, &round->best, err);
    s->rounds++;
    if (status)
        return status;
    s->last = round->best;
    cm_tune_append_level(&s->model->schedule, level_at(s, s->last), DIGITS, s->sigmas);
    status = judge(s, s->sigmas, evaluations, "", &found, err);
    if (!status && evaluations == 2) {
        cm_text list = "";
        cm_tune_append_level(&s->model->schedule, s->model->schedule.sigma_max, DIGITS, list);
        cm_tune_append_level(&s->model->schedule,
                             cm_second_level(&s->model->schedule, s->model->scales), DIGITS, list);
        status = judge(s, list, 2, "  (without a search)", &without, err);
        if (!status && without.score < found.score)
            found = without;
    }
    return status ? status : keep(s, evaluations, &found, err);
}

static cm_status search(points *s, cm_error *err)
{
    const int64_t known = cm_search_log_count(s->log), wanted = s->params->evaluations;
    const int64_t most = wanted ? wanted : 2;
    verdict one;
    if (known)
        cm_tune_say(&s->rows, "note: %" PRId64 " score%s of before: the search goes on", known,
                    cm_plural(known));
    cm_tune_say(&s->rows, "%11s  %10s  %8s  %9s", "evaluations", cm_scorer_name(s->scorer), "+-",
                "own class");
    cm_tune_append_level(&s->model->schedule, s->model->schedule.sigma_max, DIGITS, s->sigmas);
    cm_status status = judge(s, s->sigmas, 1, "", &one, err);
    for (int n = 2; n <= most && !status; n++) {
        if (s->last + 1 > s->N - 2) {
            cm_tune_say(
                &s->rows,
                "note: no point of the grid is left below the last level: %d evaluations are all",
                n - 1);
            break;
        }
        status = add_level(s, n, err);
    }
    return status;
}

/* ---- before ---- */

static cm_status check_model(const points *s, cm_error *err)
{
    const cm_tune_params *p = s->params;
    const cm_status status = cm_model_check_draws(s->model, p->model, err);
    if (status)
        return status;
    if (cm_model_is_diffusion(s->model))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "task: sample needs a consistency model, this one is a %s, whose levels "
                       "are a grid of so many steps",
                       cm_model_kind(s->model));
    return cm_own_levels_check(s->model, err);
}

/* Of all that a score depends on but its levels and seed.  The score's network has a hash of its
 * weights in its name. */
static uint64_t key_of(const points *s, uint64_t data)
{
    const cm_model *m = s->model;
    const cm_noise_schedule *n = &m->schedule;
    char text[512];
    const int length = snprintf(
        text, sizeof text, "%016" PRIx64 " %016" PRIx64 " %s %.17g %.17g %.17g %.17g %d %" PRId64,
        (uint64_t)XXH3_64bits(m->flat, cm_params_floats(m->params) * sizeof(float)), data,
        cm_scorer_network(s->scorer), n->sigma_min, n->sigma_max, n->sigma_data, n->rho, s->N,
        s->params->num);
    return XXH3_64bits(text, (size_t)length);
}

/* The distance of the features from those of all the data, in the size of the model, and the
 * log, which is refused before the features of the data are work. */
static cm_status open_scorer(points *s, const char *log, cm_error *err)
{
    const cm_tune_params *p = s->params;
    const cm_net_config *net = &s->model->net;
    const cm_dataset_options o = {.h = net->height,
                                  .w = net->width,
                                  .channels = net->out_channels,
                                  .background = {255, 255, 255}};
    cm_dataset *data = NULL;
    char left_out[CM_LEFT_OUT], shown[512];
    cm_status status = cm_dataset_open(p->data, &o, &data, err);
    if (status)
        return status;
    cm_dataset_left_out(data, cm_escape(shown, sizeof shown, p->data), left_out);
    if (*left_out)
        cm_tune_say(&s->rows, "note: %s", left_out);
    const cm_scorer_config c = {.features = "small",
                                .weights = p->weights,
                                .ref = "",
                                .data = data,
                                .name = p->data,
                                .of = p->model,
                                .threads = cm_threads_resolve(p->threads)};
    status = cm_scorer_open(&c, &s->scorer, err);
    if (!status)
        status = cm_search_log_open(log, key_of(s, data->fingerprint), &s->log, err);
    if (!status)
        status = cm_scorer_take_reference(s->scorer, &c, s->hooks, err);
    cm_dataset_free(data);
    const int64_t d = status ? 0 : cm_scorer_features(s->scorer);
    if (!status && p->num <= d)
        cm_tune_say(&s->rows,
                    "note: %" PRId64 " samples, not more than the %" PRId64
                    " features: their covariance lacks rank, and %s is far too high",
                    p->num, d, cm_scorer_name(s->scorer));
    return status;
}

/* Beside what is written, where no name is given. */
static cm_status name_log(const cm_tune_params *p, char *path, size_t size, cm_error *err)
{
    const char *const others[] = {p->model, p->data, p->weights, p->out};
    const int n = *p->log   ? snprintf(path, size, "%s", p->log)
                  : *p->out ? snprintf(path, size, "%s.search.jsonl", p->out)
                            : snprintf(path, size, "%s", "");
    if (n < 0 || (size_t)n >= size)
        return cm_fail(err, CM_ERR_ARGUMENT, "log: the path is too long");
    const cm_status s = n ? cm_replace_ending("log", path, ".jsonl", err) : CM_OK;
    return s || !n ? s : cm_replace_no_input(path, 4, others, err);
}

static cm_status check_paths(const cm_tune_params *p, char *log, size_t size, cm_error *err)
{
    cm_status s = *p->out ? cm_tune_check_out(p, err) : CM_OK;
    const char *const others[] = {p->model, p->data, p->weights, p->out, log};
    if (!s)
        s = name_log(p, log, size, err);
    if (!s && *log)
        s = cm_search_log_check(log, err);
    if (!s && *p->plot)
        s = cm_points_plot_check(p->plot, err);
    return s || !*p->plot ? s : cm_replace_no_input(p->plot, 5, others, err);
}

/* Settings that the search would not look at. */
static cm_status check_used(const cm_tune_params *p, cm_error *err)
{
    if (p->factor)
        return cm_fail(err, CM_ERR_ARGUMENT, "factor: has no effect here, it is for upscale");
    if (strcmp(p->classes, "auto") != 0)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "classes: has no effect here, it is for pictures that are edited");
    if (p->evaluations == 1 || p->evaluations > CM_MOST_ROUNDS)
        return cm_fail(err, CM_ERR_ARGUMENT, "evaluations: expected 2 to %d, found %" PRId64,
                       (int)CM_MOST_ROUNDS, p->evaluations);
    return CM_OK;
}

/* ---- in order ---- */

static cm_status write_out(points *s, cm_error *err)
{
    const cm_tune_params *p = s->params;
    char *text = cm_json_dump(s->found, JSON_COMPACT | JSON_REAL_PRECISION(15));
    cm_status status = text ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    if (!status && *p->plot)
        status = cm_points_plot(p->plot, &s->model->schedule, s->N, s->round, s->rounds,
                                cm_scorer_name(s->scorer), err);
    if (!status && *p->out)
        status = cm_tune_write_out(p, s->model, "sampling", text, err);
    cm_free(text);
    return status;
}

static cm_status run(points *s, const char *log, cm_error *err)
{
    const cm_model *m = s->model;
    s->N = m->scales < FEWEST_POINTS ? POINTS : m->scales < MOST_POINTS ? m->scales : MOST_POINTS;
    cm_status status =
        m->sampling
            ? cm_json_parse(m->sampling, strlen(m->sampling), cm_model_name(m), &s->found, err)
        : (s->found = json_object()) ? CM_OK
                                     : cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    if (!status)
        status = open_scorer(s, log, err);
    if (!status)
        status = search(s, err);
    return status ? status : write_out(s, err);
}

cm_status cm_tune_points(const cm_tune_params *p, const cm_eval_hooks *hooks,
                         void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    char log[sizeof(cm_text) + 32] = "";
    points s = {.params = p, .hooks = hooks, .rows = {line, user}};
    cm_status status = check_used(p, err);
    if (!status)
        status = check_paths(p, log, sizeof log, err);
    if (!status)
        status = cm_run_open_model(p->model, &s.model, err);
    if (!status)
        status = check_model(&s, err);
    if (!status)
        status = run(&s, log, err);
    for (int r = 0; r < CM_MOST_ROUNDS; r++)
        cm_free(s.round[r].distance);
    cm_search_log_close(s.log);
    cm_scorer_close(s.scorer);
    json_decref(s.found);
    cm_model_release(s.model);
    return status;
}
