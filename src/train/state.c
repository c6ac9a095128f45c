/* state.c - what a run is, as files of a checkpoint:
 *   model.safetensors          the student's weights
 *   ema_RATE.safetensors       each average: a model file like any other
 *   target.safetensors         the target network (cd, ct)
 *   teacher.safetensors        that of the stage (pd)
 *   optimizer.safetensors      m.NAME and v.NAME
 *   state.json                 counters and what the run depends on
 * Where processes share moments and averages, process 0 gathers one array after another while it
 * writes, and each takes its own of what it reads.
 * Everything random is a function of (seed, step), so there is nothing else. */
#include "train/trainer.h"

#include "base/memory.h"
#include "base/pool.h"
#include "base/text.h"
#include "io/json.h"
#include "run/checkpoint.h"
#include "run/config.h"
#include "run/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILES = CM_MAX_EMA + 4 };

typedef struct weights_file {
    char name[CM_EMA_NAME];
    const char *prefix[2]; /* of the tensors' names */
    float *flat[2];        /* one array, or two (optimizer) */
    const double *rate;    /* of an average; else NULL */
    int own;               /* what processes may share */
} weights_file;

/* The files of a checkpoint and the arrays they hold. */
static int list_files(const cm_trainer *t, weights_file *f)
{
    const cm_train_step *s = t->step;
    int n = 0;
    f[n++] = (weights_file){"model.safetensors", {"", NULL}, {s->params, NULL}, NULL, 0};
    for (int i = 0; i < t->n_ema; i++) {
        f[n] = (weights_file){"", {"", NULL}, {s->ema[i], NULL}, &t->ema_rate[i], 1};
        cm_run_ema_name(f[n].name, t->ema_rate[i]);
        n++;
    }
    if (s->target)
        f[n++] = (weights_file){"target.safetensors", {"", NULL}, {s->target, NULL}, NULL, 0};
    if (s->teacher && t->settings.objective->stage) /* else it stays that of --teacher */
        f[n++] = (weights_file){"teacher.safetensors", {"", NULL}, {s->teacher, NULL}, NULL, 0};
    f[n++] = (weights_file){"optimizer.safetensors", {"m.", "v."}, {s->m, s->v}, NULL, 1};
    return n;
}

static int arrays_of(const weights_file *f)
{
    return f->flat[1] ? 2 : 1;
}

static int is_shared(const cm_trainer *t, const weights_file *f)
{
    return f->own && t->step->shard.shared;
}

/* Entries of one file, without data where it is still to be gathered; names with a prefix go to the
 * arena. */
static cm_st_entry *make_entries(const cm_trainer *t, const weights_file *f, cm_arena *arena,
                                 int *count)
{
    const int n = cm_params_size(t->params), arrays = arrays_of(f);
    cm_st_entry *e = cm_arena_alloc(arena, (size_t)(n * arrays) * sizeof *e);
    for (int a = 0; e && a < arrays; a++) {
        cm_params_entries(t->params, is_shared(t, f) ? t->step->params : f->flat[a], e + a * n);
        for (int i = 0; i < n && f->prefix[a][0]; i++) {
            const size_t size = strlen(e[a * n + i].name) + 3;
            char *name = cm_arena_alloc(arena, size);
            if (!name)
                return NULL;
            snprintf(name, size, "%s%s", f->prefix[a], e[a * n + i].name);
            e[a * n + i].name = name;
        }
        for (int i = 0; i < n && is_shared(t, f); i++)
            e[a * n + i].data = NULL;
    }
    *count = n * arrays;
    return e;
}

static json_t *make_state(const cm_trainer *t)
{
    char data[32], teacher[32], frozen[32];
    snprintf(data, sizeof data, "%016" PRIx64, t->data->fingerprint);
    snprintf(teacher, sizeof teacher, "%016" PRIx64, t->teacher_hash);
    snprintf(frozen, sizeof frozen, "%016" PRIx64, t->frozen_hash);
    /* json_pack takes the settings over, also when it fails, and fails where they are NULL */
    return json_pack("{s:I,s:I,s:I,s:I,s:i,s:s,s:s,s:s,s:s,s:I,s:f,s:I,s:f,s:o}", "step",
                     (json_int_t)t->k, "steps", (json_int_t)t->config.steps, "scored",
                     (json_int_t)t->scored, "seed", (json_int_t)t->config.seed, "threads",
                     t->threads, "dtype", cm_dtype_name(t->dtype), "data", data, "teacher", teacher,
                     "loss_weights", frozen, "log_offset", (json_int_t)cm_runlog_offset(t->log),
                     "loss_sum", t->loss_sum, "loss_count", (json_int_t)t->loss_count, "seconds",
                     t->seconds, "settings", cm_run_settings(&t->config));
}

/* ---- what processes share, gathered in the order in which it is written ---- */

typedef struct gathering {
    const cm_trainer *t;
    float *own[CM_MAX_EMA + 2];
    int n, next;
    float *whole; /* of own[next - 1] */
} gathering;

typedef struct shared_file {
    gathering *all;
    int first; /* of its arrays */
    const cm_st_entry *entries;
    cm_st_maker maker;
} shared_file;

static gathering list_shared(const cm_trainer *t, const weights_file *files, int n)
{
    gathering g = {.t = t};
    for (int i = 0; i < n; i++)
        for (int a = 0; a < arrays_of(&files[i]) && is_shared(t, &files[i]); a++)
            g.own[g.n++] = files[i].flat[a];
    return g;
}

/* The first so many arrays.  All processes come to each. */
static void gather_up_to(gathering *g, int n)
{
    while (g->next < n)
        g->whole = cm_train_step_whole(g->t->step, g->own[g->next++]);
}

static void make_tensor(void *user, const cm_st_entry *entry, uint64_t offset, size_t n,
                        void *bytes)
{
    const shared_file *f = user;
    const cm_params *params = f->all->t->params;
    const int i = (int)(entry - f->entries), count = cm_params_size(params),
              array = f->first + i / count;
    gather_up_to(f->all, array + 1);
    cm_assert(f->all->next == array + 1); /* "m." is before "v." */
    memcpy(bytes, (const char *)(f->all->whole + cm_params_at(params, i % count)->offset) + offset,
           n);
}

/* *at: arrays of the files before. */
static void share_file(shared_file *f, gathering *all, int *at, const weights_file *w,
                       cm_ckpt_file *out)
{
    *f = (shared_file){all, *at, out->entries, {make_tensor, f, 1 << 20}};
    out->maker = &f->maker;
    *at += arrays_of(w);
}

/* ---- saving ---- */

static cm_status write_files(cm_trainer *t, const weights_file *files, int n, gathering *all,
                             cm_error *err)
{
    cm_ckpt_file out[MAX_FILES];
    shared_file shared[MAX_FILES];
    cm_arena arena = {0};
    cm_model_metadata meta = {0};
    int at = 0;
    cm_model model = cm_trainer_model(t, t->step->params);
    json_t *state = make_state(t);
    cm_status s = state ? cm_model_metadata_make(&model, &meta, err)
                        : cm_fail(err, CM_ERR_MEMORY, "checkpoint: out of memory");
    for (int i = 0; i < n && !s; i++) {
        out[i] = (cm_ckpt_file){.name = files[i].name, /* moments are not a model */
                                .n_meta = arrays_of(&files[i]) == 1 ? meta.n : 0,
                                .meta_keys = meta.key,
                                .meta_values = (const char *const *)meta.value};
        out[i].entries = make_entries(t, &files[i], &arena, &out[i].n);
        if (!out[i].entries)
            s = cm_fail(err, CM_ERR_MEMORY, "checkpoint: out of memory");
        else if (is_shared(t, &files[i]))
            share_file(&shared[i], all, &at, &files[i], &out[i]);
    }
    if (!s)
        s = cm_run_held(t->config.out, t->lock, err);
    if (!s)
        s = cm_checkpoint_write(t->config.out, t->k, n, out, state, (int)t->config.keep, err);
    if (s == CM_ERR_IO) /* moved meanwhile: then that is why */
        (void)cm_run_held(t->config.out, t->lock, err);
    json_decref(state);
    cm_model_metadata_free(&meta);
    cm_arena_free(&arena);
    return s;
}

cm_status cm_trainer_save(cm_trainer *t, char *where, size_t size, cm_error *err)
{
    weights_file files[MAX_FILES];
    const int n = list_files(t, files), writes = !cm_group_rank(t->group);
    gathering all = list_shared(t, files, n);
    const cm_status s = writes ? write_files(t, files, n, &all, err) : CM_OK;
    gather_up_to(&all, all.n); /* where a whole checkpoint of this step was there, too */
    if (!s)
        snprintf(where, size, "%.400s/ckpt/%08" PRId64, t->config.out, t->k);
    return s;
}

/* ---- restoring ---- */

static cm_status load_array(const cm_trainer *t, const cm_st_file *f, const char *prefix,
                            float *flat, cm_error *err)
{
    char name[300];
    for (int i = 0; i < cm_params_size(t->params); i++) {
        const cm_param *p = cm_params_at(t->params, i);
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        const cm_st_tensor *tensor = cm_st_find(f, name);
        if (!tensor || cm_st_elements(tensor) != cm_type_count(&p->type))
            return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": %s", cm_st_path(f), name,
                           tensor ? "not the shape of this run's network" : "missing");
        const cm_status s = cm_st_read_f32(f, tensor, flat + p->offset, err);
        if (s)
            return s;
    }
    return CM_OK;
}

static cm_status load_file(const cm_trainer *t, const char *folder, const weights_file *w,
                           cm_error *err)
{
    char path[CM_RUN_PATH];
    cm_st_file *f = NULL;
    cm_status s = w->rate ? cm_run_ema_path(path, folder, *w->rate, err)
                          : cm_run_path(path, folder, w->name, err);
    if (!s)
        s = cm_st_open(path, &f, err);
    for (int a = 0; a < arrays_of(w) && !s; a++) {
        float *whole = is_shared(t, w) ? t->step->room : w->flat[a];
        s = load_array(t, f, w->prefix[a], whole, err);
        if (!s && is_shared(t, w))
            cm_train_step_take(t->step, whole, w->flat[a]);
    }
    cm_st_close(f);
    return s;
}

/* The run must go on with what it was made of. */
static cm_status check_same(const char *path, const json_t *state, const char *key, const char *now,
                            const char *what, cm_error *err)
{
    const char *then = NULL;
    const cm_status s = cm_json_text(state, path, key, CM_JSON_REQUIRED, &then, err);
    if (s || !strcmp(then, now))
        return s;
    char shown[64];
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: \"%s\": %s is not what this run began with (%s then, %s now)", path, key,
                   what, cm_escape(shown, sizeof shown, then), now);
}

static cm_status check_steps(const cm_trainer *t, const char *path, cm_error *err)
{
    if (t->k <= t->config.steps)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "steps: the run is at step %" PRId64 " already (%s), expected at least that, "
                   "found %" PRId64,
                   t->k, path, t->config.steps);
}

/* Stages are shares of all steps. */
static cm_status check_stages(const cm_trainer *t, const char *path, const json_t *state,
                              cm_error *err)
{
    int64_t then = 0;
    const cm_status s =
        t->settings.objective->stage
            ? cm_json_int(state, path, "steps", 1, INT64_C(1) << 40, CM_JSON_REQUIRED, &then, err)
            : CM_OK;
    if (s || !then || then == t->config.steps)
        return s;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "steps: the stages of this run are shares of its %" PRId64
                   " steps: expected that, found %" PRId64,
                   then, t->config.steps);
}

static cm_status read_state(cm_trainer *t, const char *path, const json_t *j, int64_t *threads,
                            int64_t *log_offset, cm_error *err)
{
    char data[32], teacher[32], frozen[32];
    cm_status s;
    snprintf(data, sizeof data, "%016" PRIx64, t->data->fingerprint);
    snprintf(teacher, sizeof teacher, "%016" PRIx64, t->teacher_hash);
    snprintf(frozen, sizeof frozen, "%016" PRIx64, t->frozen_hash);
    if ((s = cm_json_int(j, path, "step", 0, INT64_C(1) << 40, CM_JSON_REQUIRED, &t->k, err)) ||
        (s = cm_json_int(j, path, "scored", 0, INT64_C(1) << 40, CM_JSON_OPTIONAL, &t->scored,
                         err)) ||
        (s = cm_json_int(j, path, "threads", 1, CM_POOL_MOST, CM_JSON_REQUIRED, threads, err)) ||
        (s = cm_json_int(j, path, "log_offset", 0, INT64_C(1) << 50, CM_JSON_REQUIRED, log_offset,
                         err)) ||
        (s = cm_json_real(j, path, "loss_sum", -1e300, 1e300, CM_JSON_REQUIRED, &t->loss_sum,
                          err)) ||
        (s = cm_json_int(j, path, "loss_count", 0, INT64_C(1) << 40, CM_JSON_REQUIRED,
                         &t->loss_count, err)) ||
        (s = cm_json_real(j, path, "seconds", 0, 1e12, CM_JSON_OPTIONAL, &t->seconds, err)) ||
        (s = check_same(path, j, "data", data, t->config.data, err)) ||
        (s = check_same(path, j, "teacher", teacher, "the teacher", err)) ||
        (t->frozen.params && (s = check_same(path, j, "loss_weights", frozen,
                                             "the network that the loss looks through", err))) ||
        (s = check_same(path, j, "dtype", cm_dtype_name(t->dtype), "the dtype", err)) ||
        (s = cm_run_settings_check(json_object_get(j, "settings"), path, &t->config, err)))
        return s;
    s = check_stages(t, path, j, err);
    return s ? s : check_steps(t, path, err);
}

cm_status cm_trainer_restore(cm_trainer *t, char *note, size_t size, cm_error *err)
{
    char folder[CM_RUN_PATH];
    weights_file files[MAX_FILES];
    json_t *state = NULL;
    int64_t threads = t->threads, log_offset = 0;
    const int n = list_files(t, files);
    cm_status s =
        cm_checkpoint_find(t->config.out, CM_CKPT_RESUME, folder, sizeof folder, note, size, err);
    if (!s)
        s = cm_checkpoint_state(folder, &state, err);
    if (!s)
        s = read_state(t, folder, state, &threads, &log_offset, err);
    if (!s && threads != t->threads && !note[0])
        snprintf(note, size,
                 "this run began with %" PRId64
                 " thread%s and goes on with %d: sums are rounded in "
                 "another order, so not bit for bit",
                 threads, cm_plural(threads), t->threads);
    for (int i = 0; i < n && !s; i++)
        s = load_file(t, folder, &files[i], err);
    json_decref(state);
    /* last, because it cuts the log */
    return s || cm_group_rank(t->group) ? s
                                        : cm_runlog_open(t->config.out, log_offset, &t->log, err);
}
