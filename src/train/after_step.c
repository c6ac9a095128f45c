/* after_step.c - what follows a step now and then: a line of the log, scores, a checkpoint,
 * pictures; and the model at the end of the run.
 *
 * All processes come to each of these: grids and scores they share, and what is written is gathered
 * from them where they share it (--shard); process 0 does the rest. */
#include "train/course.h"

#include "base/clock.h"
#include "group/group.h"
#include "run/folder.h"

#include <inttypes.h>
#include <stdio.h>

static void report_drawing(void *user, int64_t done, int64_t all)
{
    cm_loop *l = user;
    l->drawn = done;
    l->to_draw = all;
    cm_loop_report(l, NULL);
}

/* A grid a sampler.  Training does not end for want of a picture: a failure is told. */
static void draw_samples(cm_loop *l)
{
    char path[CM_RUN_PATH], event[1200];
    const double start = cm_seconds();
    float *average = cm_trainer_average(l->t);
    for (const char *const *name = l->t->settings.objective->samplers; *name; name++) {
        cm_error why = {0};
        const cm_status s = cm_trainer_draw(l->t, average, *name, report_drawing,
                                            cm_loop_wants_stop, l, path, &why);
        cm_group_go_on(l->t->group);
        l->drawn = l->to_draw = 0;
        if (!s && !cm_loop_writes(l))
            continue;
        if (!s) {
            cm_loop_report_file(l, "drew", path);
            continue;
        }
        if (s == CM_INTERRUPTED)
            break;
        snprintf(event, sizeof event, "warning: no %s samples: %s", *name, why.message);
        cm_loop_report(l, event);
    }
    l->drawing += cm_seconds() - start;
    l->drawings++;
}

/* What a classifier has for samples: how many of the pictures kept back it recognises. */
static cm_status judge(cm_loop *l, float *average, cm_error *err)
{
    char event[160];
    const double start = cm_seconds();
    if (!cm_loop_writes(l))
        return CM_OK;
    const cm_status s = cm_trainer_judge(l->t, average, event, sizeof event, err);
    if (!s)
        cm_loop_report(l, event);
    l->drawing += cm_seconds() - start;
    l->drawings++;
    return s;
}

static void report_scoring(void *user, const char *what, double done, double eta_s)
{
    (void)what;
    (void)eta_s;
    report_drawing(user, (int64_t)(1000 * done), 1000);
}

cm_status cm_loop_score(cm_loop *l, cm_error *err)
{
    const cm_eval_hooks hooks = {sizeof hooks, report_scoring, cm_loop_wants_stop, l, l->t->group};
    float *average = cm_trainer_average(l->t);
    cm_loop_count_seconds(l);
    const cm_status s = cm_trainer_score(l->t, average, &hooks, cm_loop_report_line, err);
    l->drawn = l->to_draw = 0;
    return s;
}

static cm_status save(cm_loop *l, cm_error *err)
{
    char where[600];
    cm_loop_count_seconds(l);
    const cm_status s = cm_trainer_save(l->t, where, sizeof where, err);
    l->saving = 0;
    if (!s)
        cm_loop_report_file(l, "saved", where);
    return s;
}

/* With a step that is not the run's last. */
static int ends_stage(const cm_trainer *t)
{
    const cm_stage stage = cm_objective_stage(&t->settings, t->k - 1);
    return t->k == stage.first + stage.steps && t->k < t->config.steps;
}

/* RUN/stages/8-steps.safetensors: what the next stage is distilled from, as a model of its
 * own. */
static cm_status after_stage(cm_loop *l, cm_error *err)
{
    const cm_trainer *t = l->t;
    const cm_model model = cm_trainer_model(t, cm_trainer_average(t));
    char folder[CM_RUN_PATH], path[CM_RUN_PATH], name[64];
    if (!cm_loop_writes(l))
        return CM_OK;
    snprintf(name, sizeof name, "%d-steps.safetensors", model.steps);
    cm_status s = cm_run_held(t->config.out, t->lock, err);
    if (!s)
        s = cm_run_subfolder(t->config.out, "stages", folder, err);
    if (!s)
        s = cm_run_path(path, folder, name, err);
    if (!s)
        s = cm_model_write(&model, path, CM_BF16, err);
    if (!s)
        cm_loop_report_file(l, "wrote", path);
    return s;
}

cm_status cm_loop_after_step(cm_loop *l, int last, cm_error *err)
{
    cm_trainer *t = l->t;
    const cm_train_params *c = &t->config;
    const int show = !l->stopping && (last || l->picture_due),
              ends = last || ends_stage(t); /* a line is of one stage */
    cm_status s = CM_OK;
    cm_loop_report(l, NULL);
    if (cm_loop_writes(l) && (cm_loop_due(t, t->k, c->log_every) || (ends && t->loss_count)))
        s = cm_loop_log(l, err);
    if (!s && ends_stage(t))
        s = after_stage(l, err);
    if (!s && show && t->held)
        s = judge(l, cm_trainer_average(t), err);
    if (!s && !l->stopping && cm_trainer_score_due(t, last))
        s = cm_loop_score(l, err);
    if (!s && (last || l->saving || cm_loop_due(t, t->k, c->save_every)))
        s = save(l, err);
    if (!s && show && !t->held)
        draw_samples(l);
    if (cm_group_size(t->group) == 1)
        cm_loop_hear_wishes(l);
    return !s && l->saving ? save(l, err) : s; /* asked for while drawing */
}

cm_status cm_loop_export(cm_loop *l, cm_error *err)
{
    char path[CM_RUN_PATH];
    float *average = cm_trainer_average(l->t);
    if (!cm_loop_writes(l))
        return CM_OK;
    cm_status s = l->t->held && l->t->accuracy < 0.0 ? judge(l, average, err) : CM_OK;
    const cm_model model = cm_trainer_model(l->t, average);
    if (!s)
        s = cm_run_held(l->t->config.out, l->t->lock, err);
    if (!s)
        s = cm_run_path(path, l->t->config.out, "model.safetensors", err);
    if (!s)
        s = cm_model_write(&model, path, CM_BF16, err);
    if (!s)
        cm_loop_report_file(l, "wrote", path);
    return s;
}
