/* setup.c - from options to data, network, first weights and a compiled step */
#include "train/trainer.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "io/json.h"
#include "options/options.h"
#include "run/checkpoint.h"
#include "run/folder.h"
#include "run/resolve.h"
#include "train/data_options.h"
#include "train/duration.h"
#include "train/net_options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { STREAM_INIT = 1 };

/* ---- options ---- */

/* Where nobody named it: FD- and what the data is called, up to a dot. */
static void name_score(cm_train_params *c)
{
    enum { ROOM = CM_SCORE_NAME - sizeof "FD-" };
    const char *from = c->data, *end = from + strlen(from);
    while (end > from && end[-1] == '/')
        end--;
    for (const char *at = from; at < end; at++)
        from = *at == '/' ? at + 1 : from;
    const size_t n = strcspn(from, "./"), used = n < ROOM ? n : ROOM;
    snprintf(c->score, sizeof c->score, "FD-%.*s", used ? (int)used : 4, used ? from : "data");
    for (char *at = c->score; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9') || *at == '_'))
            *at = '-';
}

static cm_status check_options(const cm_train_params *c, const cm_objective *o, cm_error *err)
{
    if (!c->data[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "data: say what to train on (--data)");
    if (!c->out[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "out: say where to put the run (--out)");
    if (o->needs_teacher && !c->teacher[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "teacher: method %s distils one (--teacher)", o->name);
    if (!o->needs_teacher && c->teacher[0])
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "teacher: method %s has none (--init starts from its weights)", o->name);
    if (c->batch % c->accumulate)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "accumulate: expected a divisor of the batch of %d, found %d", (int)c->batch,
                       (int)c->accumulate);
    if (o->classifies)
        return cm_score_name_check(c->score, "score", err);
    return CM_OK;
}

/* Samples of a run among the pictures it learns from would be pictures to learn from. */
static cm_status check_apart(const cm_train_params *c, cm_error *err)
{
    char data[PATH_MAX], out[PATH_MAX];
    struct stat st;
    cm_text parent;
    if (stat(c->data, &st) || !S_ISDIR(st.st_mode) || !realpath(c->data, data))
        return CM_OK;
    memcpy(parent, c->out, sizeof parent);
    while (!realpath(parent, out)) { /* the nearest folder that is there */
        char *slash = strrchr(parent, '/');
        if (!slash)
            memcpy(parent, ".", sizeof ".");
        else
            slash[slash == parent] = '\0';
    }
    const size_t n = strlen(data);
    if (strncmp(out, data, n) != 0 || (out[n] && out[n] != '/'))
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "out: %s is in the folder of the data, %s, whose pictures its samples would be",
                   c->out, c->data);
}

/* ---- data and models ---- */

/* What a run that goes on names may have moved since it began. */
static cm_status say_moved(cm_status s, int resume, const char *option, cm_error *err)
{
    const size_t n = err ? strlen(err->message) : 0;
    if (s == CM_ERR_IO && resume && err)
        snprintf(err->message + n, sizeof err->message - n, "; --%s says where the run's is now",
                 option);
    return s;
}

static cm_status open_teacher(cm_trainer *t, cm_error *err)
{
    const char *path = t->config.teacher;
    cm_status s = path[0] ? cm_run_open_model(path, &t->teacher, err) : CM_OK;
    const cm_model *m = s ? NULL : t->teacher;
    const int fits = m && (cm_model_is_teacher(m) || /* which goes on halving its steps */
                           (cm_model_is_diffusion(m) && t->settings.objective->stage));
    if (m && !fits)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: expected a diffusion teacher, found a %s", path,
                    cm_model_kind(m));
    if (!m || s)
        return s;
    t->settings.teacher_schedule = m->schedule;
    t->settings.teacher_steps = m->steps;
    return cm_objective_check(&t->settings, err);
}

/* What the distance looks through. */
static cm_status open_frozen(cm_trainer *t, cm_error *err)
{
    cm_frozen_weights *f = &t->frozen;
    const cm_frozen_kind *kind = t->settings.distance->frozen;
    const cm_status s = kind ? kind->open(&t->config, f, err) : CM_OK;
    if (f->params)
        t->frozen_hash = XXH3_64bits(f->flat, cm_params_floats(f->params) * sizeof(float));
    return s;
}

static cm_status check_frozen(const cm_trainer *t, cm_error *err)
{
    const cm_frozen_kind *kind = t->settings.distance->frozen;
    return kind ? kind->check(&t->frozen, &t->config, &t->net, err) : CM_OK;
}

/* First weights are of the kind of network that the method trains. */
static cm_status check_init(const cm_trainer *t, cm_error *err)
{
    const cm_objective *o = t->settings.objective;
    if (!t->init || cm_model_is_classifier(t->init) == o->classifies)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT, "init: method %s begins with a %s, found %s, a %s",
                   o->name, o->classifies ? "classifier" : "network that draws", t->config.init,
                   cm_model_kind(t->init));
}

static cm_status open_init(cm_trainer *t, cm_error *err)
{
    const char *path = t->config.init;
    int equal = 1;
    cm_status s = path[0] ? cm_run_open_model(path, &t->init, err) : CM_OK;
    if (!s)
        s = check_init(t, err);
    if (!s && t->init && t->teacher)
        s = cm_net_config_compare(&t->init->net, &t->teacher->net, &equal, err);
    if (!s && !equal)
        return cm_fail(err, CM_ERR_FORMAT, "%s: not the network of the teacher %s", path,
                       t->config.teacher);
    return s;
}

/* The network that the run began with, as its newest checkpoint tells. */
static cm_status net_of_run(const cm_trainer *t, cm_net_config *net, cm_error *err)
{
    char folder[CM_RUN_PATH], path[CM_RUN_PATH], note[512];
    cm_model *m = NULL;
    cm_status s = cm_checkpoint_find(t->config.out, CM_CKPT_LOOK, folder, sizeof folder, note,
                                     sizeof note, err);
    if (!s)
        s = cm_run_path(path, folder, "model.safetensors", err);
    if (!s)
        s = cm_model_read(path, NULL, &m, err);
    if (!s)
        *net = m->net;
    cm_model_release(m);
    return s;
}

/* A classifier learns from all but every tenth picture, and is judged by those. */
static cm_status hold_out(cm_trainer *t, cm_error *err)
{
    enum { EVERY = 10 };
    const cm_dataset *d = t->data;
    if (d->classes < 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "data: a classifier needs at least two classes, %s has %d (a subfolder a "
                       "class, or --labels names)",
                       t->config.data, d->classes);
    if (d->n < EVERY)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "data: a classifier keeps every %dth picture back, %s has %d", EVERY,
                       t->config.data, (int)d->n);
    return cm_dataset_hold_out(t->data, EVERY, &t->held, err);
}

/* Of a network that was made for other images, and for other classes; `path` has it. */
static cm_status check_images(const cm_trainer *t, const char *path, const cm_net_config *n,
                              cm_error *err)
{
    const cm_dataset *d = t->data;
    const int other_size = n->height != d->h || n->width != d->w;
    if (!other_size && n->in_channels == d->c && n->out_channels == d->c)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected images of %d x %d with %d channel%s, which %s was made for, "
                   "found %d x %d with %d%s",
                   t->config.data, n->width, n->height, n->in_channels, cm_plural(n->in_channels),
                   path, d->w, d->h, d->c, other_size ? " (--image-size)" : "");
}

static cm_status check_classes(const cm_trainer *t, const char *path, const cm_net_config *n,
                               cm_error *err)
{
    if (!n->num_classes || n->num_classes == t->data->classes)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT, "%s: expected %d class%s, which %s was made for, found %d",
                   t->config.data, n->num_classes, n->num_classes == 1 ? "" : "es", path,
                   t->data->classes);
}

/* As the network that is given takes it; its classes are those of the data. */
static cm_status open_data(cm_trainer *t, cm_error *err)
{
    const cm_train_params *c = &t->config;
    const cm_model *given = t->teacher ? t->teacher : t->init;
    cm_status s = cm_data_from_options(c, given ? &given->net : NULL, &t->data, err);
    if (!s && given)
        s = check_images(t, t->teacher ? c->teacher : c->init, &given->net, err);
    if (!s)
        s = cm_class_names_of(t->data, &t->classes, err);
    if (!s && t->teacher && t->init)
        s = cm_class_names_equal(c->teacher, t->teacher->classes, c->init, t->init->classes, err);
    if (!s && given && given->net.num_classes)
        s = cm_class_names_equal(t->teacher ? c->teacher : c->init, given->classes, c->data,
                                 t->classes, err);
    if (!s && t->settings.objective->classifies)
        s = hold_out(t, err);
    return s;
}

/* From the run that is continued, the teacher, the first weights, or the options. */
static cm_status choose_net(cm_trainer *t, int resume, cm_error *err)
{
    cm_train_params *c = &t->config;
    const cm_dataset *d = t->data;
    const cm_model *given = t->teacher ? t->teacher : t->init;
    const char *from = resume ? c->out : t->teacher ? c->teacher : c->init;
    cm_net_config net = given ? given->net : (cm_net_config){0};
    cm_status s = CM_OK;
    if (resume)
        s = net_of_run(t, &net, err);
    else if (!given)
        s = cm_net_from_options(c, c->data, d->h, d->w, d->c, d->classes, &net, err);
    if (!s && given && !resume) /* a run that goes on has complete options */
        cm_options_from_net(c, &net);
    if (!s && resume)
        s = check_images(t, from, &net, err);
    if (!s && (given || resume))
        s = check_classes(t, from, &net, err);
    net.dropout = c->dropout;
    t->net = net;
    return s;
}

/* ---- step and first weights ---- */

static cm_status compile_step(cm_trainer *t, cm_error *err)
{
    cm_step_config c = {.settings = &t->settings,
                        .net = &t->net,
                        .params = t->params,
                        .n_ema = t->n_ema,
                        .device = t->device,
                        .dtype = t->dtype,
                        .threads = t->threads,
                        .group = t->group,
                        .frozen = t->frozen.params ? &t->frozen : NULL};
    memcpy(c.ema_rate, t->ema_rate, sizeof c.ema_rate);
    return cm_train_step_new(&c, &t->step, err);
}

static void first_weights(cm_trainer *t)
{
    cm_train_step *s = t->step;
    const size_t bytes = s->floats * sizeof(float);
    const cm_model *given = t->init ? t->init : t->teacher;
    if (given)
        memcpy(s->params, given->flat, bytes);
    else
        cm_params_init(t->params, cm_stream_key((uint64_t)t->config.seed, STREAM_INIT), s->params);
    for (int i = 0; i < t->n_ema; i++)
        cm_train_step_take(s, s->params, s->ema[i]);
    if (s->target)
        memcpy(s->target, s->params, bytes);
    if (s->teacher && t->teacher) {
        memcpy(s->teacher, t->teacher->flat, bytes);
        t->teacher_hash = XXH3_64bits(s->teacher, bytes);
    }
}

static cm_status build_step(cm_trainer *t, cm_error *err)
{
    cm_train_params *c = &t->config;
    if (!c->ema_rates[0])
        cm_ema_rates_default(c->ema_rates, c->steps);
    cm_status s = cm_ema_rates_parse(c->ema_rates, t->ema_rate, &t->n_ema, err);
    if (!s)
        s = compile_step(t, err);
    if (!s)
        first_weights(t);
    return s;
}

cm_status cm_trainer_stopped(int resume, cm_error *err)
{
    return cm_fail(err, CM_INTERRUPTED,
                   resume ? "training: stopped before another step, the run is as it was"
                          : "training: stopped before the first step, so there is nothing to save "
                            "or resume");
}

/* As many as --minutes hold.  The step that is timed is thrown away, so that the run is that
 * of another who asks for this number. */
static cm_status time_steps(cm_trainer *t, int (*stop)(void *user), void *user, cm_error *err)
{
    cm_train_params *c = &t->config;
    const double limit = c->max_minutes,
                 minutes = limit > 0.0 ? fmin(limit, c->minutes) : c->minutes;
    cm_text ema_rates;
    memcpy(ema_rates, c->ema_rates, sizeof ema_rates);
    c->steps = 1;
    const cm_status s = build_step(t, err);
    if (s)
        return s;
    t->step->group = NULL; /* each its own, without the way to the others */
    c->steps = cm_steps_within(t->step, &t->settings, 60.0 * minutes, stop, user);
    memcpy(c->ema_rates, ema_rates, sizeof ema_rates);
    cm_train_step_free(t->step);
    t->step = NULL;
    return c->steps ? CM_OK : cm_trainer_stopped(0, err);
}

/* Process 0's number counts. */
static cm_status choose_steps(cm_trainer *t, int (*stop)(void *user), void *user, cm_error *err)
{
    int64_t *steps = &t->config.steps;
    cm_status s = cm_group_agree(t->group, time_steps(t, stop, user, err), err);
    if (!s)
        s = cm_group_broadcast(t->group, steps, sizeof *steps, err);
    if (!s)
        t->settings.curriculum.total_steps = *steps;
    return s ? s : cm_objective_check(&t->settings, err);
}

/* As text, in *text; j, NULL allowed, is released.  Non-zero: out of memory. */
static int take_text(json_t *j, char **text)
{
    *text = cm_json_dump(j, JSON_COMPACT);
    json_decref(j);
    return !*text;
}

static cm_status make_metadata(cm_trainer *t, cm_error *err)
{
    json_t *options = cm_options_to_json(cm_train_options(), &t->config);
    json_object_del(options, "shard"); /* weights are the same, and so are files without these */
    json_object_del(options, "threads");
    const int bad = take_text(options, &t->training);
    if (!t->net.num_classes) {
        cm_free(t->classes);
        t->classes = NULL;
    }
    return bad ? cm_fail(err, CM_ERR_MEMORY, "options: out of memory") : CM_OK;
}

/* All up to the network, of which each process sees the same. */
static cm_status prepare(cm_trainer *t, int resume, cm_error *err)
{
    cm_train_params *c = &t->config;
    cm_status s = cm_objective_resolve(c, &t->settings, err);
    t->accuracy = -1.0;
    if (!s && t->settings.objective->classifies && !c->score[0])
        name_score(c);
    if (s || (s = check_options(c, t->settings.objective, err)) ||
        (c->ema_rates[0] && (s = cm_ema_rates_parse(c->ema_rates, t->ema_rate, &t->n_ema, err))) ||
        (s = cm_device_open(&t->device, err)) || (s = cm_dtype_resolve(c->dtype, &t->dtype, err)) ||
        (!resume && (s = check_apart(c, err))) ||
        (s = say_moved(open_teacher(t, err), resume, "teacher", err)) ||
        (!resume && (s = open_init(t, err))) || (s = open_frozen(t, err)) ||
        (s = say_moved(open_data(t, err), resume, "data", err)) ||
        (s = choose_net(t, resume, err)) || (s = check_frozen(t, err)))
        return s;
    t->threads = cm_group_threads(t->group, t->config.threads);
    return cm_net_params_new(&t->net, &t->params, err);
}

cm_status cm_trainer_setup(cm_trainer *t, int resume, int (*stop)(void *user), void *user,
                           cm_error *err)
{
    if (t->config.accumulate == 1) /* a part each, at least */
        t->config.accumulate = cm_group_size(t->group);
    cm_status s = cm_group_agree(t->group, prepare(t, resume, err), err);
    if (!s && !t->config.steps)
        s = choose_steps(t, stop, user, err);
    if (!s)
        s = build_step(t, err);
    if (s == CM_ERR_SHAPE) { /* options that no network can have */
        s = CM_ERR_ARGUMENT;
        if (err)
            err->status = s;
    }
    if (s)
        return s;
    return stop(user) ? cm_trainer_stopped(resume, err) : make_metadata(t, err);
}

void cm_trainer_clear(cm_trainer *t)
{
    cm_scorer_close(t->scorer);
    cm_loader_free(t->loader);
    cm_dataset_free(t->data);
    cm_dataset_free(t->held);
    cm_model_release(t->teacher);
    cm_model_release(t->init);
    cm_train_step_free(t->step);
    cm_frozen_clear(&t->frozen);
    cm_params_free(t->params);
    cm_runlog_close(t->log);
    cm_free(t->classes);
    cm_free(t->training);
}

float *cm_trainer_average(const cm_trainer *t)
{
    return cm_train_step_whole(t->step, t->step->ema[0]);
}

cm_model cm_trainer_model(const cm_trainer *t, float *weights)
{
    const cm_objective *o = t->settings.objective;
    const int scales = o->levels ? (int)o->levels(&t->settings, t->k) : 0;
    cm_model m = {.device = t->device,
                  .net = t->net,
                  .params = t->params,
                  .flat = weights,
                  .borrowed = 1,
                  .precondition = t->settings.precondition,
                  .schedule = t->settings.schedule,
                  .scales = scales,
                  .steps = o->stage ? scales - 1 : 0,
                  .classes = t->classes,
                  .training = t->training,
                  .accuracy = t->accuracy};
    snprintf(m.score, sizeof m.score, "%.*s", CM_SCORE_NAME - 1, t->config.score);
    return m;
}
