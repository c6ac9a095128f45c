/* loop.c - the training loop: feed a batch, run the compiled step, report, and
 * now and then log, save and draw samples.  Step k sees learning rate, N(k), mu(k)
 * and random counters that are functions of k, so a resumed run repeats exactly
 * what the uninterrupted one would have done. */
#include "train/loop.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "run/config.h"
#include "run/existing.h"
#include "run/folder.h"
#include "train/course.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_DATA = 2, STREAM_STEP = 3 };

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

static cm_status loop(cm_loop *l, cm_error *err)
{
    cm_trainer *t = l->t;
    int last = t->k >= t->config.steps; /* then only the export is left */
    /* a part before this one may have been stopped while it scored */
    cm_status s = cm_trainer_score_due(t, last) ? cm_loop_score(l, err) : CM_OK;
    if (cm_group_size(t->group) == 1)
        cm_loop_hear_wishes(l);
    while (!last && !l->stopping && !s) {
        cm_loop_say_wishes(l);
        s = one_step(t, err);
        if (s)
            break;
        cm_loop_wants_stop(l);
        cm_loop_hear_wishes(l);
        last = t->k >= t->config.steps || l->time_is_up;
        s = cm_loop_after_step(l, last, err);
    }
    return s ? s : l->stopping && !last ? CM_INTERRUPTED : CM_OK;
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
    cm_loop *l = user;
    char text[100];
    (void)done;
    if (l->to_draw || eta_s < 1)
        return;
    snprintf(text, sizeof text, "scores: looking at the %s, %.0f s left", what, eta_s);
    cm_loop_report(l, text);
    l->to_draw = 1;
}

/* What can fail before anything is made. */
static cm_status set_up(cm_loop *l, int resume, cm_error *err)
{
    const cm_eval_hooks hooks = {sizeof hooks, report_reference, cm_loop_wants_stop, l,
                                 l->t->group};
    cm_status s = cm_trainer_setup(l->t, resume, cm_loop_wants_stop, l, err);
    if (!s)
        s = cm_trainer_scores_open(l->t, &hooks, cm_loop_report_line, err);
    l->to_draw = 0;
    return s == CM_INTERRUPTED ? cm_trainer_stopped(resume, err) : s;
}

static cm_status begin_new(cm_trainer *t, cm_loop *l, cm_error *err)
{
    const char *out = t->config.out;
    cm_status s;
    if (!cm_loop_writes(l))
        return set_up(l, 0, err);
    if ((s = cm_run_refuse_existing(out, err)) || /* before the work; under the lock it counts */
        (s = set_up(l, 0, err)) || (s = cm_run_lock(out, CM_LOCK_MAKE, &t->lock, err)) ||
        (s = cm_run_refuse_existing(out, err)) || (s = take_folder(t, err)))
        return s;
    return cm_runlog_open(out, 0, &t->log, err);
}

static cm_status begin_again(cm_trainer *t, cm_loop *l, char *note, size_t size, cm_error *err)
{
    cm_status s;
    if ((cm_loop_writes(l) && (s = cm_run_lock(t->config.out, CM_LOCK_THERE, &t->lock, err))) ||
        (s = cm_run_config_check(&t->config, err)) || (s = set_up(l, 1, err)) ||
        (s = cm_trainer_restore(t, note, size, err)))
        return s;
    return cm_loop_writes(l) ? take_folder(t, err) : CM_OK;
}

/* The samples of this process's parts. */
static cm_loader_slice slice_of(const cm_train_step *s)
{
    const int images = s->batch / s->parts;
    return (cm_loader_slice){s->own.first * images, s->own.count * images};
}

static cm_status begin(cm_trainer *t, int resume, cm_loop *l, cm_error *err)
{
    char note[512] = "";
    const int64_t asked = t->config.steps;
    cm_status s = resume ? begin_again(t, l, note, sizeof note, err) : begin_new(t, l, err);
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = cm_trainer_check_alike(t, err);
    if (!s && cm_loop_writes(l))
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
        cm_loop_report(l, note);
    return s;
}

cm_status cm_train_run(const cm_train_params *config, int resume, const cm_train_hooks *hooks,
                       cm_error *err)
{
    cm_trainer *t = cm_alloc(sizeof *t);
    cm_loop l = {.t = t, .hooks = hooks};
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
        cm_loop_report_beginning(&l);
        s = loop(&l, err);
    }
    if (!s)
        s = cm_loop_export(&l, err);
    if (!s)
        cm_loop_report_early_end(&l);
    if (!s || s == CM_INTERRUPTED)
        s = cm_group_agree(t->group, s, err);
    if (t->lock >= 0)
        cm_run_unlock(t->lock);
    cm_trainer_clear(t);
    cm_free(t);
    return s;
}
