/* tune.c - levels are found one after another.
 *
 * Of a consistency model the next level is sought on a geometric grid of 16, from sigma_max to a
 * tenth of sigma_data, above, between or below those that are there (what is best alone is lower
 * than what is best first): every second one, then the two beside the best.  All
 * of these are drawn with one noise (--seed).  The best list of each length is drawn again with
 * two other noises: their mean is its score, for the least of many scores flatters.  As these
 * differ only by the noise,
 *
 *     deviation^2 = mean over the lists so far of (score_1 - score_2)^2 / 2
 *
 * is also the variance of the difference of two such means.  The first list that is not better
 * than all before by more than twice the deviation ends the search.  Ladders of 2, 4, 8 and 20
 * levels, even on the model's own grid as without a search, are judged in the same way, and so are
 * the numbers of steps of a teacher, and what the file has of an earlier search.  The list with the
 * lowest score of all is what is kept. */
#include "eval/tune.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "eval/tune_check.h"
#include "eval/tune_judge.h"
#include "eval/tune_rows.h"
#include "io/json.h"
#include "io/replace.h"
#include "run/resolve.h"
#include "sample/edit_levels.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { GRID = 16 };
static const int ladders[] = {2, 4, 8, 20, 0}; /* levels */
static const int teacher_steps[] = {2, 3, 5, 9, 18, 0};

typedef struct search {
    const cm_tune_params *params;
    cm_tune_rows rows;
    const cm_model *model;
    cm_tune_judge judge;
    json_t *edits;       /* of the model, with what is found */
    cm_edit_search *own; /* of the model */
    /* Of the task: */
    const cm_edit_task *task;
    cm_tune_list best; /* evaluations 0: none yet */
    double score, agreement;
    cm_tune_spread spread; /* of what was judged */
} search;

/* ---- a list is judged ---- */

static const char *show_list(const cm_tune_list *list, char *buf, size_t size)
{
    if (*list->sigmas)
        snprintf(buf, size, "sigmas %s", list->sigmas);
    else
        snprintf(buf, size, "steps %d", (int)list->steps);
    return buf;
}

/* With two noises.  *clearly: it is the best by more than chance. */
static cm_status judge(search *s, const cm_tune_list *list, int *clearly, cm_error *err)
{
    double score[2] = {0}, agreement[2] = {0};
    cm_status status = CM_OK;
    for (int i = 0; i < 2 && !status; i++)
        status = cm_tune_judge_score(&s->judge, list, s->params->seed + 1 + i, &score[i],
                                     &agreement[i], err);
    if (status)
        return status;
    const double mean = (score[0] + score[1]) / 2;
    const double agree = (agreement[0] + agreement[1]) / 2;
    cm_tune_spread_add(&s->spread, score);
    *clearly = !s->best.evaluations || mean < s->score - 2 * cm_tune_deviation(&s->spread);
    if (!s->best.evaluations || mean < s->score) {
        s->best = *list;
        s->score = mean;
        s->agreement = agree;
    }
    char levels[600];
    cm_tune_say(&s->rows, "%-9s %11d  %10.4g  %8.2g  %8.1f%%  %s", s->task->name, list->evaluations,
                mean, cm_tune_deviation(&s->spread), 100 * agree,
                show_list(list, levels, sizeof levels));
    return CM_OK;
}

/* What the rows are between: nothing was changed, and no network was asked. */
static cm_status judge_plain(search *s, cm_error *err)
{
    cm_status status = CM_OK;
    double score, agreement;
    cm_tune_say(&s->rows, "%-9s %11s  %10s  %8s  %8.1f%%  untouched", s->task->name, "-", "0", "-",
                100 * s->judge.agreement_untouched);
    for (const cm_plain_edit *p = cm_plain_edits; p->task && !status; p++) {
        if (strcmp(p->task, s->task->name) != 0)
            continue;
        status = cm_tune_judge_plain(&s->judge, p, &score, &agreement, err);
        if (!status)
            cm_tune_say(&s->rows, "%-9s %11s  %10.4g  %8s  %8.1f%%  %s", p->task, "-", score, "-",
                        100 * agreement, p->name);
    }
    return status;
}

/* ---- consistency models ---- */

static void append_level(const search *s, double sigma, cm_tune_list *list)
{
    cm_tune_append_level(&s->model->schedule, sigma, 3, list->sigmas);
    list->evaluations++;
}

/* Level k of the grid. */
static double grid_level(const search *s, int k)
{
    const cm_noise_schedule *n = &s->model->schedule;
    const double tenth = n->sigma_data / 10;
    const double low =
        tenth > n->sigma_min && tenth < n->sigma_max ? tenth : sqrt(n->sigma_min * n->sigma_max);
    return n->sigma_max * pow(low / n->sigma_max, k / (GRID - 1.));
}

/* The list of the levels that are set in a set of the grid's. */
static cm_tune_list list_of(const search *s, unsigned set)
{
    cm_tune_list list = {.evaluations = 0};
    for (int k = 0; k < GRID; k++)
        if (set >> k & 1)
            append_level(s, grid_level(s, k), &list);
    return list;
}

/* The set with level k, where that is not there yet and better than the best so far. */
static cm_status try_level(search *s, unsigned set, int k, int *best, double *score, cm_error *err)
{
    double value, agreement;
    if (k < 0 || k >= GRID || set >> k & 1)
        return CM_OK;
    const cm_tune_list list = list_of(s, set | 1U << k);
    const cm_status status =
        cm_tune_judge_score(&s->judge, &list, s->params->seed, &value, &agreement, err);
    if (!status && value < *score) {
        *score = value;
        *best = k;
    }
    return status;
}

/* *set, which is not full, gets the level that helps most. */
static cm_status add_level(search *s, unsigned *set, cm_error *err)
{
    double score = (double)INFINITY;
    int best = 0;
    cm_status status = CM_OK;
    for (int k = 0; k < GRID && !status; k += 2)
        status = try_level(s, *set, k, &best, &score, err);
    const int middle = best;
    for (int k = middle - 1; k <= middle + 1 && !status; k += 2)
        status = try_level(s, *set, k, &best, &score, err);
    *set |= 1U << best;
    return status;
}

/* At most half of the grid: so many of every second one are left to try. */
static cm_status search_levels(search *s, cm_error *err)
{
    unsigned set = 0;
    int clearly = 1;
    cm_status status = CM_OK;
    for (int n = 0; clearly && n < GRID / 2 && n < s->params->most && !status; n++) {
        status = add_level(s, &set, err);
        const cm_tune_list list = list_of(s, set);
        if (!status)
            status = judge(s, &list, &clearly, err);
    }
    return status;
}

static cm_status judge_ladders(search *s, cm_error *err)
{
    double sigma[CM_EDIT_MOST_LEVELS];
    cm_status status = CM_OK;
    int clearly;
    for (const int *n = ladders; *n && *n <= s->params->most && !status; n++) {
        cm_tune_list list = {.evaluations = 0};
        cm_edit_ladder(&s->model->schedule, s->task, s->task->strength, *n, sigma);
        for (int i = 0; i < *n; i++)
            append_level(s, sigma[i], &list);
        status = judge(s, &list, &clearly, err);
    }
    return status;
}

/* ---- teachers ---- */

static cm_status judge_steps(search *s, cm_error *err)
{
    cm_status status = CM_OK;
    int clearly;
    for (const int *n = teacher_steps; *n && 2 * *n - 1 <= s->params->most && !status; n++) {
        const cm_tune_list list = {.steps = *n, .evaluations = 2 * *n - 1}; /* of Heun */
        status = judge(s, &list, &clearly, err);
    }
    return status;
}

/* ---- what the file has ---- */

/* The levels of an earlier search, on these pictures: last, for they are not to end this one. */
static cm_status judge_own(search *s, cm_error *err)
{
    const char *sigmas =
        json_string_value(json_object_get(json_object_get(s->edits, s->task->name), "sigmas"));
    const int i = (int)(s->task - cm_edit_tasks), steps = s->own->steps[i];
    cm_tune_list list = {.steps = steps, .evaluations = steps ? 2 * steps - 1 : s->own->n[i]};
    char levels[600];
    int clearly;
    if (!list.evaluations || (!steps && strlen(sigmas) >= sizeof list.sigmas))
        return CM_OK;
    if (!steps)
        memcpy(list.sigmas, sigmas, strlen(sigmas) + 1);
    if (!strcmp(list.sigmas, s->best.sigmas) && list.steps == s->best.steps)
        return CM_OK;
    show_list(&list, levels, sizeof levels);
    if (list.evaluations > s->params->most) {
        cm_tune_say(
            &s->rows,
            "note: %s: %s, which the file has, is more than the %d of most: not judged, and "
            "replaced",
            s->task->name, levels, (int)s->params->most);
        return CM_OK;
    }
    cm_tune_say(&s->rows, "%s: what the file has, %s, on these pictures:", s->task->name, levels);
    return judge(s, &list, &clearly, err);
}

/* What is wrong there is replaced. */
static cm_status read_own(search *s, cm_error *err)
{
    cm_error wrong = {0};
    s->own = cm_alloc(sizeof *s->own);
    if (!s->own)
        return cm_fail(err, CM_ERR_MEMORY, "edits: out of memory");
    const cm_status status = cm_edit_search_read(s->model, s->own, &wrong);
    if (status == CM_ERR_MEMORY)
        return cm_fail(err, status, "%s", wrong.message);
    if (status) {
        cm_tune_say(&s->rows, "note: %s: not judged", wrong.message);
        *s->own = (cm_edit_search){0};
    }
    return CM_OK;
}

/* ---- a task ---- */

/* Evaluations that an edit of this model takes without a search. */
static int unsearched(const search *s)
{
    return cm_model_is_teacher(s->model) ? 2 * cm_sampling_method_default(1, 0)->steps - 1
                                         : s->task->n;
}

static cm_status keep_best(search *s, cm_error *err)
{
    const cm_tune_list *b = &s->best;
    const cm_tune_params *p = s->params;
    json_t *j = json_pack("{s:i,s:f,s:f,s:s,s:f,s:f,s:s,s:I,s:I}", "evaluations", b->evaluations,
                          "score", cm_tune_rounded(s->score), "deviation",
                          cm_tune_rounded(cm_tune_deviation(&s->spread)), "score_name",
                          cm_extractor_model(s->judge.extractor)->score, "agreement",
                          cm_tune_rounded(s->agreement), "agreement_untouched",
                          cm_tune_rounded(s->judge.agreement_untouched), "data", p->data, "num",
                          (json_int_t)s->judge.pictures->n, "seed", (json_int_t)p->seed);
    int failed = !j || (*b->sigmas ? json_object_set_new(j, "sigmas", json_string(b->sigmas))
                                   : json_object_set_new(j, "steps", json_integer(b->steps)));
    if (!failed && (s->task->needs & CM_EDIT_FACTOR))
        failed = json_object_set_new(j, "factor", json_integer(s->judge.edit.factor));
    if (!failed)
        failed = json_object_set(s->edits, s->task->name, j);
    json_decref(j);
    return failed ? cm_fail(err, CM_ERR_MEMORY, "edits: out of memory, or data is not UTF-8")
                  : CM_OK;
}

static cm_status search_task(search *s, const cm_edit_task *task, cm_error *err)
{
    s->task = task;
    s->best = (cm_tune_list){.evaluations = 0};
    s->spread = (cm_tune_spread){0};
    cm_status status = cm_tune_judge_take(&s->judge, task, err);
    if (!status)
        status = judge_plain(s, err);
    if (status)
        return status;
    if (cm_model_is_teacher(s->model)) {
        status = judge_steps(s, err);
    } else {
        status = search_levels(s, err);
        if (!status)
            status = judge_ladders(s, err);
    }
    if (!status)
        status = judge_own(s, err);
    if (status)
        return status;
    char levels[600];
    if (unsearched(s) > s->params->most)
        cm_tune_say(
            &s->rows,
            "note: %s: the %d evaluations without a search are more than the %d of most: not "
            "judged, and perhaps better",
            task->name, unsearched(s), (int)s->params->most);
    cm_tune_say(&s->rows, "%s: %s", task->name, show_list(&s->best, levels, sizeof levels));
    return keep_best(s, err);
}

/* What of the pictures makes the scores other than they seem. */
static void say_pictures(const search *s)
{
    const cm_tune_params *p = s->params;
    const int64_t n = s->judge.pictures->n, d = cm_extractor_dims(s->judge.extractor).features;
    char shown[512];
    cm_escape(shown, sizeof shown, p->data);
    if (*s->judge.left_out)
        cm_tune_say(&s->rows, "note: %s", s->judge.left_out);
    if (n < p->num)
        cm_tune_say(&s->rows,
                    "note: %s: %" PRId64 " picture%s, fewer than the %" PRId64
                    " of num: all are taken",
                    shown, n, cm_plural(n), p->num);
    if (n <= d)
        cm_tune_say(&s->rows,
                    "note: %s: %" PRId64 " picture%s, not more than the %" PRId64
                    " features: their covariance lacks rank, and %s is far too high",
                    shown, n, cm_plural(n), d, cm_extractor_model(s->judge.extractor)->score);
}

/* ---- in order ---- */

static cm_status write_out(search *s, cm_error *err)
{
    char *text = cm_json_dump(s->edits, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text)
        return cm_fail(err, CM_ERR_MEMORY, "edits: out of memory");
    const cm_status status = cm_tune_write_out(s->params, s->model, "edits", text, err);
    cm_free(text);
    return status;
}

static cm_status run(search *s, const cm_eval_hooks *hooks, cm_error *err)
{
    const cm_tune_params *p = s->params;
    const cm_model *m = s->model;
    char name[400], shown[320];
    unsigned tasks = 0;
    const int fewest = cm_model_is_teacher(m) ? 2 * teacher_steps[0] - 1 : 1; /* of Heun */
    snprintf(name, sizeof name, "%s: \"edits\"", cm_escape(shown, sizeof shown, cm_model_name(m)));
    cm_status status = cm_model_check_draws(m, p->model, err);
    if (!status)
        status = cm_tune_check(p, m, fewest, &tasks, err);
    if (!status)
        status = m->edits ? cm_json_parse(m->edits, strlen(m->edits), name, &s->edits, err)
                 : (s->edits = json_object()) ? CM_OK
                                              : cm_fail(err, CM_ERR_MEMORY, "edits: out of memory");
    if (!status)
        status = cm_tune_judge_open(&s->judge, m, p, hooks, err);
    if (status)
        return status;
    say_pictures(s);
    status = read_own(s, err);
    cm_tune_say(&s->rows, "%-9s %11s  %10s  %8s  %9s", "task", "evaluations",
                cm_extractor_model(s->judge.extractor)->score, "+-", "same class");
    for (const cm_edit_task *t = cm_edit_tasks; t->name && !status; t++)
        if (tasks >> (t - cm_edit_tasks) & 1)
            status = search_task(s, t, err);
    return status || !*p->out ? status : write_out(s, err);
}

cm_status cm_tune_edits(const cm_tune_params *p, const cm_eval_hooks *hooks,
                        void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    search s = {.params = p, .rows = {line, user}};
    cm_model *m = NULL;
    cm_status status = *p->out ? cm_tune_check_out(p, err) : CM_OK;
    if (!status)
        status = cm_run_open_model(p->model, &m, err);
    s.model = m;
    if (!status)
        status = run(&s, hooks, err);
    cm_tune_judge_close(&s.judge);
    json_decref(s.edits);
    cm_free(s.own);
    cm_model_release(m);
    return status;
}
