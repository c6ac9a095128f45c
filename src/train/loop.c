/* loop.c - the training loop: feed a batch, run the compiled step, report, and
 * now and then log, save and draw samples.  Step k sees learning rate, N(k), mu(k)
 * and random counters that are functions of k, so a resumed run repeats exactly
 * what the uninterrupted one would have done. */
#include "train/loop.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/summary.h"
#include "group/group.h"
#include "io/file.h"
#include "io/json.h"
#include "run/config.h"
#include "run/existing.h"
#include "run/folder.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_DATA = 2, STREAM_STEP = 3 };

/* Speed over the last stretch, the time that pictures took, the hooks, and what they ask. */
struct loop {
    cm_trainer *t;
    const cm_train_hooks *hooks;
    double start, since; /* of this part of the run; of the last log line */
    double before;       /* seconds of the parts before it */
    int64_t first, since_k;
    double drawing; /* seconds */
    int drawings;
    int64_t drawn, to_draw;   /* of the grid that is being drawn */
    int wish_stop, wish_save; /* of this process: what the hooks asked for */
    int stopping, saving;     /* of all; saving: and not done yet */
    int time_is_up;
    cm_group_times times; /* as of the last log line */
};

/* Whether this process writes: the log, checkpoints, pictures. */
static int writes(const cm_trainer *t)
{
    return !cm_group_rank(t->group);
}

static void report(const struct loop *l, const char *event)
{
    const cm_trainer *t = l->t;
    char shown[CM_RUN_PATH + 64];
    if (!l->hooks || !l->hooks->progress || !writes(t))
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

static void report_file(const struct loop *l, const char *done, const char *path)
{
    char event[CM_RUN_PATH + 16];
    snprintf(event, sizeof event, "%s %s", done, path);
    report(l, event);
}

/* What there is to train on, and a sheet of it. */
static void report_line(void *user, const char *text)
{
    report(user, text);
}

static void report_data(struct loop *l)
{
    enum { NAMED = 10, SHEET = 64 };
    char path[CM_RUN_PATH];
    cm_error why = {0};
    const cm_trainer *t = l->t;
    cm_dataset_summary(t->data, NAMED, report_line, l);
    if (cm_run_path(path, t->config.out, "samples/data.png", &why) ||
        cm_dataset_sheet(t->data, SHEET, (int)t->config.sample_scale, path, &why))
        report_line(l, why.message);
    else
        report_file(l, "drew", path);
}

static void report_memory(const struct loop *l)
{
    const cm_train_step *s = l->t->step;
    const double mib = 1.0 / 1048576.0;
    char event[160];
    snprintf(event, sizeof event,
             "memory of a step: %.1f MiB, of which activations %.1f, kept for the gradient %.1f, "
             "packed weights %.1f",
             (double)cm_train_step_bytes(s) * mib,
             (double)cm_plan_get_memory(s->part).activations * mib,
             (double)cm_train_step_kept_bytes(s) * mib,
             (double)cm_plan_get_memory(s->part).packed * mib);
    report(l, event);
}

/* A rise that ends behind the run. */
static void report_warmup(const struct loop *l)
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
    report(l, event);
}

/* Which a method may need (objective.h). */
static void report_first_weights(const struct loop *l)
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
    report(l, event);
}

/* Of step k of a stage of so many. */
static double learning_rate(const cm_train_params *c, int64_t k, int64_t steps)
{
    double lr = c->lr;
    if (k < c->lr_warmup)
        lr *= (double)(k + 1) / (double)c->lr_warmup;
    if (c->lr_decay)
        lr *= 1.0 - (double)k / (double)steps;
    return lr;
}

/* Inputs of step k = t->k, counted from 0. */
static void feed(cm_trainer *t)
{
    cm_train_step *s = t->step;
    const cm_objective *objective = t->settings.objective;
    const cm_stage stage = cm_objective_stage(&t->settings, t->k);
    const int64_t k = t->k - stage.first;
    const uint64_t seed = cm_stream_key((uint64_t)t->config.seed, STREAM_STEP);
    const uint32_t words[3] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)t->k};
    memcpy(s->rng, words, sizeof words);
    if (stage.number && !k)
        cm_train_step_restart(s);
    s->hyper[0] = (float)learning_rate(&t->config, k, stage.steps);
    s->hyper[1] = (float)(k + 1);
    if (objective->at)
        objective->at(&t->settings, t->k, &s->scalars);
    cm_loader_next(t->loader, s->x, s->y);
}

static cm_status fail_nonfinite(const cm_trainer *t, const char *what, const char *where,
                                cm_error *err)
{
    return cm_fail(err, CM_ERR_NUMERIC,
                   "step %" PRId64 ": the %s is not finite; first at %s; nothing was saved after "
                   "the last checkpoint",
                   t->k + 1, what, where);
}

/* All know it from the sums; those whose parts it came from say where. */
static cm_status find_nonfinite(const cm_trainer *t, const char *what, cm_error *err)
{
    char node[256];
    cm_status s = CM_OK;
    if (cm_train_step_find_nonfinite(t->step, node, sizeof node))
        s = fail_nonfinite(t, what, node, err);
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = fail_nonfinite(t, what, "the sum of the squared gradients", err);
    return cm_group_agree(t->group, s, err);
}

static cm_status one_step(cm_trainer *t, cm_error *err)
{
    feed(t);
    cm_train_step_run(t->step);
    const float loss = *t->step->loss, g2 = t->step->grad_squared;
    if (!isfinite(loss) || !isfinite(g2))
        return find_nonfinite(t, isfinite(loss) ? "gradient" : "loss", err);
    t->k++;
    t->loss_sum += (double)loss;
    t->loss_count++;
    return CM_OK;
}

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
static int log_times(struct loop *l, double seconds, json_t *line)
{
    const cm_group_times now = cm_group_get_times(l->t->group), then = l->times;
    l->times = now;
    return cm_group_size(l->t->group) > 1 &&
           (json_object_set_new(line, "sums", json_real((now.sums - then.sums) / seconds)) ||
            json_object_set_new(line, "waits", json_real((now.waits - then.waits) / seconds)));
}

static double count_seconds(struct loop *l)
{
    const double now = cm_seconds();
    l->t->seconds = l->before + now - l->start;
    return now;
}

static cm_status write_log(struct loop *l, cm_error *err)
{
    cm_trainer *t = l->t;
    const cm_status held = cm_run_held(t->config.out, t->lock, err);
    if (held)
        return held;
    const double now = count_seconds(l);
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

static void report_drawing(void *user, int64_t done, int64_t all)
{
    struct loop *l = user;
    l->drawn = done;
    l->to_draw = all;
    report(l, NULL);
}

/* Ask the hooks: between steps, and between runs of the network on the way to a picture or to
 * the number of steps. */
static int wants_stop(void *user)
{
    struct loop *l = user;
    if (l->wish_stop || !l->hooks || !l->hooks->stop)
        return l->wish_stop;
    const int wish = l->hooks->stop(l->hooks->user);
    l->wish_save |= wish == CM_TRAIN_SAVE;
    l->wish_stop = wish != CM_TRAIN_GO_ON && wish != CM_TRAIN_SAVE;
    return l->wish_stop;
}

static int time_is_up(const struct loop *l)
{
    const double minutes = l->t->config.max_minutes;
    return minutes > 0.0 && cm_seconds() - l->start > 60.0 * minutes;
}

/* What this process wishes goes to all with the next step. */
static void say_wishes(struct loop *l)
{
    float *say = l->t->step->say;
    say[CM_STEP_STOP] = wants_stop(l) ? 1.0f : 0.0f;
    say[CM_STEP_SAVE] = l->wish_save ? 1.0f : 0.0f;
    say[CM_STEP_LAST] = writes(l->t) && time_is_up(l) ? 1.0f : 0.0f;
}

/* Alone, what it wishes is done at once; else what came with the step, so that all do the same
 * after the same step. */
static void hear_wishes(struct loop *l)
{
    const float *heard = l->t->step->loss;
    const int alone = cm_group_size(l->t->group) == 1,
              stop = alone ? l->wish_stop : heard[CM_STEP_STOP] > 0.0f,
              save = alone ? l->wish_save : heard[CM_STEP_SAVE] > 0.0f;
    l->saving |= save || (stop && !l->stopping);
    l->stopping |= stop;
    if (save)
        l->wish_save = 0;
    l->time_is_up = alone ? time_is_up(l) : heard[CM_STEP_LAST] > 0.0f;
}

/* A grid a sampler.  Training does not end for want of a picture: a failure is told. */
static void draw_samples(struct loop *l)
{
    char path[CM_RUN_PATH], event[1200];
    const double start = cm_seconds();
    for (const char *const *name = l->t->settings.objective->samplers; *name; name++) {
        cm_error why = {0};
        const cm_status s = cm_trainer_draw(l->t, *name, report_drawing, wants_stop, l, path, &why);
        cm_group_go_on(l->t->group);
        l->drawn = l->to_draw = 0;
        if (!s && !writes(l->t))
            continue;
        if (!s) {
            report_file(l, "drew", path);
            continue;
        }
        if (s == CM_INTERRUPTED)
            break;
        snprintf(event, sizeof event, "warning: no %s samples: %s", *name, why.message);
        report(l, event);
    }
    l->drawing += cm_seconds() - start;
    l->drawings++;
}

/* What a classifier has for samples: how many of the pictures kept back it recognises. */
static cm_status judge(struct loop *l, cm_error *err)
{
    char event[160];
    const double start = cm_seconds();
    const cm_status s = cm_trainer_judge(l->t, event, sizeof event, err);
    if (!s)
        report(l, event);
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

static cm_status score(struct loop *l, cm_error *err)
{
    const cm_eval_hooks hooks = {sizeof hooks, report_scoring, wants_stop, l, l->t->group};
    count_seconds(l);
    const cm_status s = cm_trainer_score(l->t, &hooks, report_line, err);
    l->drawn = l->to_draw = 0;
    return s;
}

static cm_status save(struct loop *l, cm_error *err)
{
    char where[600];
    count_seconds(l);
    const cm_status s = cm_trainer_save(l->t, where, sizeof where, err);
    l->saving = 0;
    if (!s)
        report_file(l, "saved", where);
    return s;
}

/* every 0: ten times in a run. */
static int due(const cm_trainer *t, int64_t every)
{
    return t->k % (every ? every : (t->config.steps + 9) / 10) == 0;
}

/* Where nobody asked for a number of them, pictures do not hold up a short run: one more
 * keeps their share of the time below a twentieth. */
static int picture_due(const struct loop *l)
{
    const cm_train_params *c = &l->t->config;
    const double one = l->drawings ? l->drawing / l->drawings : 0.0;
    return due(l->t, c->sample_every) &&
           (c->sample_every || l->drawing + one <= 0.05 * (cm_seconds() - l->start));
}

static int is_last(const struct loop *l)
{
    return l->t->k >= l->t->config.steps || l->time_is_up;
}

/* With a step that is not the run's last. */
static int ends_stage(const cm_trainer *t)
{
    const cm_stage stage = cm_objective_stage(&t->settings, t->k - 1);
    return t->k == stage.first + stage.steps && t->k < t->config.steps;
}

/* RUN/stages/8-steps.safetensors: what the next stage is distilled from, as a model of its
 * own. */
static cm_status after_stage(struct loop *l, cm_error *err)
{
    const cm_trainer *t = l->t;
    const cm_model model = cm_trainer_model(t, t->step->ema[0]);
    char folder[CM_RUN_PATH], path[CM_RUN_PATH], name[64];
    snprintf(name, sizeof name, "%d-steps.safetensors", model.steps);
    cm_status s = cm_run_held(t->config.out, t->lock, err);
    if (!s)
        s = cm_run_subfolder(t->config.out, "stages", folder, err);
    if (!s)
        s = cm_run_path(path, folder, name, err);
    if (!s)
        s = cm_model_write(&model, path, CM_BF16, err);
    if (!s)
        report_file(l, "wrote", path);
    return s;
}

/* What follows a step now and then: a line of the log, a checkpoint; pictures and scores, which all
 * processes share. */
static cm_status after_step(struct loop *l, int last, cm_error *err)
{
    cm_trainer *t = l->t;
    const cm_train_params *c = &t->config;
    int show = !l->stopping && (last || picture_due(l));
    cm_status s = CM_OK;
    if (!l->stopping && !last && due(t, c->sample_every)) /* process 0's clock counts */
        s = cm_group_broadcast(t->group, &show, sizeof show, err);
    report(l, NULL);
    if (!s && writes(t) && (due(t, c->log_every) || ((last || ends_stage(t)) && t->loss_count)))
        s = write_log(l, err); /* a line is of one stage */
    if (!s && writes(t) && ends_stage(t))
        s = after_stage(l, err);
    if (!s && writes(t) && show && t->held)
        s = judge(l, err);
    if (!s && !l->stopping && cm_trainer_score_due(t, last))
        s = score(l, err);
    if (!s && writes(t) && (last || l->saving || due(t, c->save_every)))
        s = save(l, err);
    if (!s && show && !t->held)
        draw_samples(l);
    if (cm_group_size(t->group) == 1)
        hear_wishes(l);
    if (!writes(t))
        l->saving = 0;
    return !s && l->saving ? save(l, err) : s; /* asked for while drawing */
}

static cm_status loop(struct loop *l, cm_error *err)
{
    cm_trainer *t = l->t;
    int last = t->k >= t->config.steps; /* then only the export is left */
    /* a part before this one may have been stopped while it scored */
    cm_status s = cm_trainer_score_due(t, last) ? score(l, err) : CM_OK;
    if (cm_group_size(t->group) == 1)
        hear_wishes(l);
    while (!last && !l->stopping && !s) {
        if (cm_group_size(t->group) > 1)
            say_wishes(l);
        s = one_step(t, err);
        if (s)
            break;
        wants_stop(l);
        hear_wishes(l);
        last = is_last(l);
        s = after_step(l, last, err);
    }
    return s ? s : l->stopping && !last ? CM_INTERRUPTED : CM_OK;
}

/* A run that is out of time looks like one that is done. */
static void report_early_end(const struct loop *l)
{
    const cm_trainer *t = l->t;
    char event[240], stage[100] = "";
    if (t->k >= t->config.steps)
        return;
    if (t->settings.objective->stage)
        snprintf(stage, sizeof stage, ", in the stage of %d step%s, whose student the model is",
                 (int)cm_objective_stage(&t->settings, t->k - 1).scales,
                 cm_plural(cm_objective_stage(&t->settings, t->k - 1).scales));
    snprintf(event, sizeof event,
             "note: max-minutes ended the run early, at step %" PRId64 " of %" PRId64
             "%s; --resume goes on from there",
             t->k, t->config.steps, stage);
    report(l, event);
}

/* RUN/model.safetensors: the first average in bf16, the file to ship. */
static cm_status export_model(struct loop *l, cm_error *err)
{
    char path[CM_RUN_PATH];
    cm_status s = l->t->held && l->t->accuracy < 0.0 ? judge(l, err) : CM_OK;
    cm_model model = cm_trainer_model(l->t, l->t->step->ema[0]);
    if (!s)
        s = cm_run_held(l->t->config.out, l->t->lock, err);
    if (!s)
        s = cm_run_path(path, l->t->config.out, "model.safetensors", err);
    if (!s)
        s = cm_model_write(&model, path, CM_BF16, err);
    if (!s)
        report_file(l, "wrote", path);
    return s;
}

/* The folder is this trainer's: mark it, and remove what an earlier one left half written. */
static cm_status take_folder(const cm_trainer *t, cm_error *err)
{
    char samples[CM_RUN_PATH];
    const char *out = t->config.out;
    int marked;
    cm_status s = cm_run_marked(out, &marked, err);
    if (!s && !marked)
        s = cm_run_mark(out, t->lock, err);
    if (!s)
        s = cm_run_subfolder(out, "samples", samples, err);
    if (!s && marked)
        s = cm_folder_clean(out, err);
    if (!s && marked)
        s = cm_folder_clean(samples, err);
    if (!s && marked && t->settings.objective->stage)
        s = cm_run_subfolder(out, "stages", samples, err);
    if (!s && marked && t->settings.objective->stage)
        s = cm_folder_clean(samples, err);
    return s;
}

/* Once: it may take a while. */
static void report_reference(void *user, const char *what, double done, double eta_s)
{
    struct loop *l = user;
    char text[100];
    (void)done;
    if (l->to_draw || eta_s < 1)
        return;
    snprintf(text, sizeof text, "scores: looking at the %s, %.0f s left", what, eta_s);
    report(l, text);
    l->to_draw = 1;
}

/* What can fail before anything is made. */
static cm_status set_up(struct loop *l, int resume, cm_error *err)
{
    const cm_eval_hooks hooks = {sizeof hooks, report_reference, wants_stop, l, l->t->group};
    cm_status s = cm_trainer_setup(l->t, resume, wants_stop, l, err);
    if (!s)
        s = cm_trainer_scores_open(l->t, &hooks, report_line, err);
    l->to_draw = 0;
    return s;
}

static cm_status begin_new(cm_trainer *t, struct loop *l, cm_error *err)
{
    const char *out = t->config.out;
    cm_status s;
    if (!writes(t))
        return set_up(l, 0, err);
    if ((s = cm_run_refuse_existing(out, err)) || /* before the work; under the lock it counts */
        (s = set_up(l, 0, err)) || (s = cm_run_lock(out, CM_LOCK_MAKE, &t->lock, err)) ||
        (s = cm_run_refuse_existing(out, err)) || (s = take_folder(t, err)))
        return s;
    return cm_runlog_open(out, 0, &t->log, err);
}

static cm_status begin_again(cm_trainer *t, struct loop *l, char *note, size_t size, cm_error *err)
{
    cm_status s;
    if ((writes(t) && (s = cm_run_lock(t->config.out, CM_LOCK_THERE, &t->lock, err))) ||
        (s = cm_run_config_check(&t->config, err)) || (s = set_up(l, 1, err)) ||
        (s = cm_trainer_restore(t, note, size, err)))
        return s;
    return writes(t) ? take_folder(t, err) : CM_OK;
}

/* The samples of this process's parts. */
static cm_loader_slice slice_of(const cm_train_step *s)
{
    const int images = s->batch / s->parts;
    return (cm_loader_slice){s->own.first * images, s->own.count * images};
}

static cm_status begin(cm_trainer *t, int resume, struct loop *l, cm_error *err)
{
    char note[512] = "";
    const int64_t asked = t->config.steps;
    cm_status s = resume ? begin_again(t, l, note, sizeof note, err) : begin_new(t, l, err);
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = cm_trainer_check_alike(t, err);
    if (!s && writes(t))
        s = cm_run_config_write(&t->config, err);
    if (!s)
        s = cm_loader_new(t->data, (int)t->config.batch, slice_of(t->step),
                          cm_stream_key((uint64_t)t->config.seed, STREAM_DATA), t->config.flip,
                          t->k, &t->loader, err);
    if (!s && !asked)
        snprintf(note, sizeof note, "%" PRId64 " step%s of %" PRId64 " image%s fit in the time",
                 t->config.steps, cm_plural(t->config.steps), t->config.batch,
                 cm_plural(t->config.batch));
    if (!s && note[0])
        report(l, note);
    return s;
}

cm_status cm_train_run(const cm_train_params *config, int resume, const cm_train_hooks *hooks,
                       cm_error *err)
{
    cm_trainer *t = cm_alloc(sizeof *t);
    struct loop l = {.t = t, .hooks = hooks};
    cm_status s = CM_OK;
    if (!t)
        return cm_fail(err, CM_ERR_MEMORY, "training: out of memory");
    t->config = *config;
    t->group = hooks ? hooks->group : NULL;
    t->lock = -1;
    if (!config->out[0])
        s = cm_fail(err, CM_ERR_ARGUMENT, "out: say where to put the run (--out)");
    else if (resume && !config->steps)
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "steps: the run goes on to a number of steps in all, found 0");
    else
        s = begin(t, resume, &l, err);
    s = cm_group_agree(t->group, s, err);
    if (!s) {
        l.first = l.since_k = t->k;
        l.start = l.since = cm_seconds();
        l.before = t->seconds;
        if (writes(t))
            report_data(&l);
        report_memory(&l);
        report_warmup(&l);
        report_first_weights(&l);
        s = loop(&l, err);
    }
    if (!s && writes(t))
        s = export_model(&l, err);
    if (!s && writes(t))
        report_early_end(&l);
    if (!s || s == CM_INTERRUPTED)
        s = cm_group_agree(t->group, s, err);
    if (t->lock >= 0)
        cm_run_unlock(t->lock);
    cm_trainer_clear(t);
    cm_free(t);
    return s;
}
