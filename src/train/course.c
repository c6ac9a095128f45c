/* course.c - what a training run tells: to the hooks, and line by line to log.jsonl */
#include "train/course.h"

#include "base/clock.h"
#include "base/text.h"
#include "data/summary.h"
#include "run/folder.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

int cm_loop_writes(const cm_loop *l)
{
    return !cm_group_rank(l->t->group);
}

void cm_loop_report(const cm_loop *l, const char *event)
{
    const cm_trainer *t = l->t;
    char shown[CM_RUN_PATH + 64];
    if (!l->hooks || !l->hooks->progress || !cm_loop_writes(l))
        return;
    if (event) /* paths in it may be of a config.json that someone else made */
        event = cm_escape(shown, sizeof shown, event);
    const double elapsed = cm_seconds() - l->start;
    const double per_step = t->k > l->first ? elapsed / (double)(t->k - l->first) : 0.0;
    double eta = per_step * (double)(t->config.steps - t->k);
    const double limit = 60.0 * t->config.max_minutes - elapsed;
    if (t->config.max_minutes > 0.0 && (limit < eta || per_step <= 0.0))
        eta = limit > 0.0 ? limit : 0.0;
    const cm_train_progress p = {
        .size = sizeof p,
        .step = t->k,
        .steps = t->config.steps,
        .loss = t->loss_count ? t->loss_sum / (double)t->loss_count : 0.0,
        .images_per_s = per_step > 0.0 ? (double)t->config.batch / per_step : 0.0,
        .eta_s = eta,
        .scales = t->step->n_scalars ? (int)t->step->scalars.value[0] : 0,
        .drawn = l->drawn,
        .to_draw = l->to_draw,
        .event = event,
    };
    l->hooks->progress(l->hooks->user, &p);
}

void cm_loop_report_file(const cm_loop *l, const char *done, const char *path)
{
    char event[CM_RUN_PATH + 16];
    snprintf(event, sizeof event, "%s %s", done, path);
    cm_loop_report(l, event);
}

void cm_loop_report_line(void *loop, const char *text)
{
    cm_loop_report(loop, text);
}

/* What there is to train on, and a sheet of it. */
static void report_data(cm_loop *l)
{
    enum { NAMED = 10, SHEET = 64 };
    char path[CM_RUN_PATH];
    cm_error why = {0};
    const cm_trainer *t = l->t;
    cm_dataset_summary(t->data, NAMED, cm_loop_report_line, l);
    if (cm_run_path(path, t->config.out, "samples/data.png", &why) ||
        cm_dataset_sheet(t->data, SHEET, (int)t->config.sample_scale, path, &why))
        cm_loop_report_line(l, why.message);
    else
        cm_loop_report_file(l, "drew", path);
}

static void report_memory(const cm_loop *l)
{
    const cm_train_step *s = l->t->step;
    const double mib = 1.0 / 1048576.0;
    char event[200], whose[48] = "";
    if (cm_group_size(l->t->group) > 1)
        snprintf(whose, sizeof whose, " in process %d of %d", cm_group_rank(l->t->group),
                 cm_group_size(l->t->group));
    snprintf(event, sizeof event,
             "memory of a step: %.1f MiB%s, of which moments and averages %.1f, activations %.1f, "
             "kept for the gradient %.1f, packed weights %.1f",
             (double)cm_train_step_bytes(s) * mib, whose, (double)cm_train_step_own_bytes(s) * mib,
             (double)cm_plan_get_memory(s->part).activations * mib,
             (double)cm_train_step_kept_bytes(s) * mib,
             (double)cm_plan_get_memory(s->part).packed * mib);
    cm_loop_report(l, event);
}

/* A rise that ends behind the run. */
static void report_warmup(const cm_loop *l)
{
    const cm_train_params *c = &l->t->config;
    const int64_t steps = cm_objective_stage(&l->t->settings, 0).steps;
    char event[160];
    if (c->lr_warmup <= steps)
        return;
    snprintf(event, sizeof event,
             "warning: lr-warmup of %" PRId64 " steps in a %s of %" PRId64
             ": the learning rate ends at %.3g of lr",
             c->lr_warmup, steps < c->steps ? "stage" : "run", steps,
             (double)steps / (double)c->lr_warmup);
    cm_loop_report(l, event);
}

/* Which a method may need (objective.h). */
static void report_first_weights(const cm_loop *l)
{
    const cm_train_params *c = &l->t->config;
    char event[160];
    if (!l->t->settings.objective->wants_weights || c->init[0] || c->teacher[0])
        return;
    snprintf(
        event, sizeof event,
        "warning: %.40s is known to diverge from random weights; --init MODEL begins with those "
        "of a teacher",
        l->t->settings.objective->name);
    cm_loop_report(l, event);
}

/* A run that is out of time looks like one that is done. */
void cm_loop_report_early_end(const cm_loop *l)
{
    const cm_trainer *t = l->t;
    char event[240], stage[100] = "";
    if (!cm_loop_writes(l) || t->k >= t->config.steps)
        return;
    if (t->settings.objective->stage)
        snprintf(stage, sizeof stage, ", in the stage of %d step%s, whose student the model is",
                 (int)cm_objective_stage(&t->settings, t->k - 1).scales,
                 cm_plural(cm_objective_stage(&t->settings, t->k - 1).scales));
    snprintf(event, sizeof event,
             "note: max-minutes ended the run early, at step %" PRId64 " of %" PRId64
             "%s; --resume goes on from there",
             t->k, t->config.steps, stage);
    cm_loop_report(l, event);
}

void cm_loop_report_beginning(cm_loop *l)
{
    if (!cm_loop_writes(l))
        return;
    report_data(l);
    report_memory(l);
    report_warmup(l);
    report_first_weights(l);
}

/* ---- the log ---- */

/* Non-zero: out of memory. */
static int log_scalars(const cm_trainer *t, json_t *line)
{
    const cm_objective *o = t->settings.objective;
    const cm_step_scalars *s = &t->step->scalars;
    int bad = 0;
    for (int i = 0; o->scalars[i].name; i++)
        bad |= json_object_set_new(line, o->scalars[i].name,
                                   o->scalars[i].whole ? json_integer((json_int_t)s->value[i])
                                                       : json_real(s->value[i]));
    if (o->has_target)
        bad |= json_object_set_new(line, "mu", json_real(s->mu));
    if (o->stage)
        bad |= json_object_set_new(
            line, "stage", json_integer(cm_objective_stage(&t->settings, t->k - 1).number + 1));
    return bad;
}

/* Of a run of several processes: the share of a step's time in which sums were under way, and in
 * which there was nothing to do but wait for them. */
static int log_times(cm_loop *l, double seconds, json_t *line)
{
    const cm_group_times now = cm_group_get_times(l->t->group), then = l->times;
    l->times = now;
    return cm_group_size(l->t->group) > 1 &&
           (json_object_set_new(line, "sums", json_real((now.sums - then.sums) / seconds)) ||
            json_object_set_new(line, "waits", json_real((now.waits - then.waits) / seconds)));
}

double cm_loop_count_seconds(cm_loop *l)
{
    const double now = cm_seconds();
    l->t->seconds = l->before + now - l->start;
    return now;
}

cm_status cm_loop_log(cm_loop *l, cm_error *err)
{
    cm_trainer *t = l->t;
    const cm_status held = cm_run_held(t->config.out, t->lock, err);
    if (held)
        return held;
    const double now = cm_loop_count_seconds(l);
    const double speed = (double)(t->k - l->since_k) * (double)t->config.batch / (now - l->since);
    json_t *j = json_pack("{s:I,s:f,s:f,s:f,s:f,s:f}", "step", (json_int_t)t->k, "loss",
                          t->loss_sum / (double)t->loss_count, "grad_norm",
                          sqrt((double)t->step->grad_squared), "lr", (double)t->step->hyper[0],
                          "images_per_s", speed, "seconds", t->seconds);
    const cm_status s = j && !log_scalars(t, j) && !log_times(l, now - l->since, j)
                            ? cm_runlog_line(t->log, j, err)
                            : cm_fail(err, CM_ERR_MEMORY, "log: out of memory");
    json_decref(j);
    t->loss_sum = 0.0;
    t->loss_count = 0;
    l->since = now;
    l->since_k = t->k;
    return s;
}
