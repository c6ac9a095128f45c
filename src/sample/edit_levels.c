/* edit_levels.c */
#include "sample/edit_levels.h"

#include "base/text.h"
#include "io/json.h"

#include <math.h>
#include <string.h>

static int number_of(const cm_edit_task *task)
{
    return (int)(task - cm_edit_tasks);
}

/* ---- the model's own ---- */

static cm_status read_task(const json_t *j, const char *name, const cm_model *m, int i,
                           cm_edit_search *s, cm_error *err)
{
    const int is_teacher = cm_model_is_diffusion(m);
    const char *sigmas = NULL, *score = NULL;
    int64_t steps = 0;
    double value;
    cm_error why = {0};
    cm_status status = cm_json_text(j, name, "sigmas", CM_JSON_OPTIONAL, &sigmas, err);
    if (!status)
        status = cm_json_int(j, name, "steps", 1, 10000, CM_JSON_OPTIONAL, &steps, err);
    if (!status)
        status = cm_json_real(j, name, "score", -1e300, 1e300, CM_JSON_OPTIONAL, &value, err);
    if (!status)
        status = cm_json_text(j, name, "score_name", CM_JSON_OPTIONAL, &score, err);
    if (!status && (is_teacher ? sigmas != NULL : steps != 0))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"%s\": has no effect here, it is for %s: expected \"%s\"", name,
                       is_teacher ? "sigmas" : "steps",
                       is_teacher ? "consistency models" : "diffusion teachers",
                       is_teacher ? "steps" : "sigmas");
    s->steps[i] = (int)steps;
    if (status || !sigmas)
        return status;
    status = cm_parse_real_list(sigmas, CM_EDIT_MOST_LEVELS, s->sigma[i], &s->n[i], "sigmas", &why);
    if (!status)
        status = cm_sigma_list_check(&m->schedule, s->sigma[i], s->n[i], &why);
    return status ? cm_fail(err, CM_ERR_FORMAT, "%s: %.400s", name, why.message) : CM_OK;
}

/* What is there for the tasks of other versions is looked over too. */
static cm_status read_entry(const json_t *j, const char *key, const cm_model *m, cm_edit_search *s,
                            cm_error *err)
{
    char name[512], model[320], shown[128], found[256];
    const cm_edit_task *task = cm_edit_task_find(key);
    snprintf(name, sizeof name, "%s: \"edits\": \"%s\"",
             cm_escape(model, sizeof model, cm_model_name(m)), cm_escape(shown, sizeof shown, key));
    if (!json_is_object(j))
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected an object {...}, found %s", name,
                       cm_json_show(found, sizeof found, j));
    return task ? read_task(j, name, m, number_of(task), s, err) : CM_OK;
}

cm_status cm_edit_search_read(const cm_model *m, cm_edit_search *s, cm_error *err)
{
    char name[400], shown[320];
    json_t *j = NULL, *entry;
    const char *key;
    if (!m->edits)
        return CM_OK;
    snprintf(name, sizeof name, "%s: \"edits\"", cm_escape(shown, sizeof shown, cm_model_name(m)));
    cm_status status = cm_json_parse(m->edits, strlen(m->edits), name, &j, err);
    json_object_foreach(j, key, entry)
    {
        if (!status)
            status = read_entry(entry, key, m, s, err);
    }
    json_decref(j);
    return status;
}

/* ---- the choice ---- */

/* Strength s is the level that leaves the share 1 - s of the grid undone. */
static double level_at(const cm_noise_schedule *n, double strength)
{
    return cm_sigma_at(n, 1 - strength);
}

/* As far apart as the task's n from sigma_max are; one where there is no way to the last. */
static int levels_from(const cm_edit_task *task, double strength)
{
    if (!(strength > task->last))
        return 1;
    return 1 + (int)lround((task->n - 1) * (strength - task->last) / (1 - task->last));
}

void cm_edit_ladder(const cm_noise_schedule *schedule, const cm_edit_task *task, double strength,
                    int n, double *sigma)
{
    for (int i = 0; i < n; i++) {
        const double way = n > 1 ? (double)i / (n - 1) : 0;
        sigma[i] = level_at(schedule, strength + way * (task->last - strength));
    }
}

static cm_status check_used(const cm_recipe *r, const cm_edit_task *task, const cm_edit *e,
                            cm_error *err)
{
    if (r->few_steps)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: needs a diffusion teacher or a consistency model, this one is a "
                       "few-step diffusion model, which knows no other noise levels than those of "
                       "its %d step%s: give its teacher",
                       task->name, r->few_steps, cm_plural(r->few_steps));
    if (r->steps_given && !r->method->of_teacher && !r->ts_given)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: have no effect here, edits by a consistency model take their noise "
                       "levels from the task or from sigmas");
    if (r->list_given && (task->needs & CM_EDIT_SIGMA))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts and sigmas: have no effect here, %s begins at the sigma of the picture",
                       task->name);
    if (r->list_given && e->strength > 0)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "strength: has no effect here, ts or sigmas give the noise levels");
    if (task->start == CM_START_INVERTED && !r->method->of_teacher)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: needs the ODE of a diffusion teacher, this model is a consistency "
                       "model: give its teacher (--teacher)",
                       task->name);
    return CM_OK;
}

/* x_T of noise between two noises, or of no picture at all, is at sigma_max. */
static double first_level(const cm_noise_schedule *n, const cm_edit_task *task, const cm_edit *e)
{
    if (task->needs & CM_EDIT_SIGMA)
        return e->sigma;
    return level_at(n, e->strength > 0 ? e->strength : task->strength);
}

static void levels_of_list(const cm_recipe *r, const cm_edit_search *search,
                           const cm_edit_task *task, const cm_edit *e, cm_levels *l)
{
    const int known = search->n[number_of(task)];
    const double strength = e->strength > 0 ? e->strength : task->strength;
    l->n = 0;
    if (r->list_given) {
        l->n = r->levels.n;
        memcpy(l->sigma, r->levels.sigma, (size_t)l->n * sizeof *l->sigma);
    } else if (task->needs & CM_EDIT_SIGMA) {
        l->sigma[l->n++] = e->sigma;
    } else if (known && !(e->strength > 0)) {
        l->n = known;
        memcpy(l->sigma, search->sigma[number_of(task)], (size_t)known * sizeof *l->sigma);
    } else {
        l->n = levels_from(task, strength);
        cm_edit_ladder(l->schedule, task, strength, l->n, l->sigma);
    }
    if (r->one_step)
        l->n = 1;
}

cm_status cm_edit_levels(const cm_recipe *r, const cm_edit_search *search, const cm_edit_task *task,
                         const cm_edit *e, const cm_sampling_method **method, cm_levels *l,
                         cm_error *err)
{
    const cm_noise_schedule *n = r->levels.schedule;
    cm_noise_schedule below = *n;
    const double first = first_level(n, task, e);
    const cm_status status = check_used(r, task, e, err);
    if (status)
        return status;
    if (!(first > n->sigma_min && first <= n->sigma_max))
        return task->needs & CM_EDIT_SIGMA
                   ? cm_fail(err, CM_ERR_ARGUMENT,
                             "sigma: expected a noise level above %g, at most %g, as the model "
                             "knows them, found %g",
                             n->sigma_min, n->sigma_max, first)
                   : cm_fail(err, CM_ERR_ARGUMENT,
                             "strength: expected so much that the noise level is above %g, found "
                             "%g",
                             n->sigma_min, e->strength);
    l->schedule = n;
    l->churn = r->levels.churn;
    if (!r->method->of_teacher) {
        *method = cm_sampling_method_default(0, 1);
        levels_of_list(r, search, task, e, l);
        return CM_OK;
    }
    *method = r->method;
    l->n = r->steps_given || !search->steps[number_of(task)] ? r->levels.n
                                                             : search->steps[number_of(task)];
    below.sigma_max = first;
    cm_karras_grid(&below, l->n + (*method)->ends_at_min, l->sigma);
    if (task->start == CM_START_INVERTED && l->n < 2)
        return cm_fail(err, CM_ERR_ARGUMENT, "steps: expected at least 2 for %s, found %d",
                       task->name, l->n);
    return CM_OK;
}
