/* workload.c - the plans of sampling and of training steps, described and timed */
#include "train/workload.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/model.h"
#include "sample/session.h"
#include "train/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 5, MOST_RUNS = 100 };
static const double WATCH = 1.5; /* seconds, at least, that a work is timed */

/* What is described or timed: a training step, or a denoiser. */
struct subject {
    cm_train_step *step; /* NULL: sampling */
    cm_session *session; /* NULL: training */
    int threads;
};

static cm_status unknown_kind(const char *found, cm_error *err)
{
    char names[256] = "onestep", shown[128];
    for (const cm_objective *const *o = cm_objectives; *o; o++) {
        const size_t n = strlen(names);
        if (!(*o)->classifies)
            snprintf(names + n, sizeof names - n, ", %s", (*o)->name);
    }
    return cm_fail(err, CM_ERR_ARGUMENT, "work: expected one of %s, found '%s'", names,
                   cm_escape(shown, sizeof shown, found));
}

/* Those who share a step, NULL: alone, and the parts of its batch. */
struct share {
    cm_group *group;
    int parts;
};

/* The default options of the method, but one average; resolved. */
static cm_status default_settings(const cm_model *m, const cm_work *w, int parts,
                                  cm_train_params *options, cm_objective_settings *settings,
                                  cm_error *err)
{
    *options = cm_train_default_params();
    snprintf(options->method, sizeof options->method, "%.100s", w->kind);
    options->batch = w->batch;
    options->accumulate = parts;
    options->steps = 20000;
    options->recompute = w->recompute;
    const cm_objective *method = cm_objective_find(options->method);
    if (!method || method->classifies) /* no step of a network that draws */
        return unknown_kind(options->method, err);
    const cm_status s = cm_objective_resolve(options, settings, err);
    settings->schedule = settings->teacher_schedule = m->schedule;
    return s;
}

/* Inputs with which a step of any method is a usual one. */
static void fill_step(cm_train_step *t, const cm_model *m, const cm_objective_settings *settings)
{
    float *const weights[] = {t->params, t->target, t->teacher};
    for (int i = 0; i < 3; i++)
        if (weights[i])
            memcpy(weights[i], m->flat, t->floats * sizeof(float));
    t->hyper[0] = 1e-4f;
    t->hyper[1] = 1.0f;
    if (settings->objective->at)
        settings->objective->at(settings, settings->options->steps / 2, &t->scalars);
}

/* A training step of the model's own network with the default objective. */
static cm_status make_step(const cm_model *m, const cm_work *w, struct share share, cm_dtype dtype,
                           int threads, cm_train_step **step, cm_error *err)
{
    cm_train_params *options = cm_alloc(sizeof *options);
    cm_objective_settings settings;
    cm_status s = options ? default_settings(m, w, share.parts, options, &settings, err)
                          : cm_fail(err, CM_ERR_MEMORY, "work: out of memory");
    if (!s) {
        const cm_step_config c = {.settings = &settings,
                                  .net = &m->net,
                                  .params = m->params,
                                  .n_ema = 1,
                                  .ema_rate = {0.999},
                                  .device = m->device,
                                  .dtype = dtype,
                                  .threads = threads,
                                  .group = share.group};
        if (!(s = cm_train_step_new(&c, step, err)))
            fill_step(*step, m, &settings);
    }
    cm_free(options);
    return s;
}

static void subject_free(struct subject *s)
{
    cm_train_step_free(s->step);
    cm_session_free(s->session);
}

static cm_status make_session(const cm_model *m, const cm_work *w, cm_dtype dtype, int threads,
                              cm_session **session, cm_error *err)
{
    const cm_status s = cm_session_new(m, w->batch, w->micro_batch, dtype, threads, session, err);
    if (s)
        return s;
    for (int k = 0; k < (*session)->micro; k++)
        (*session)->levels[k] = (float)m->schedule.sigma_max;
    cm_plan_write((*session)->plan, (*session)->sigma, (*session)->levels);
    return CM_OK;
}

/* What is given has an effect. */
static cm_status check_used(const cm_work *w, int sampling, cm_error *err)
{
    if (!sampling && w->micro_batch)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "work: micro_batch: has no effect on a training step, expected 0, found %d",
                       w->micro_batch);
    if (sampling && w->recompute)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "work: recompute: has no effect on sampling, expected 0, found %d",
                       w->recompute);
    return CM_OK;
}

static cm_status subject_new(const cm_model *m, const cm_work *w, struct share share,
                             struct subject *s, cm_error *err)
{
    const int sampling = !strcmp(w->kind, "onestep");
    cm_dtype dtype;
    *s = (struct subject){.threads = cm_group_threads(share.group, w->threads)};
    cm_status status = check_used(w, sampling, err);
    if (!status)
        status = cm_dtype_resolve(w->dtype, &dtype, err);
    if (status)
        return status;
    return sampling ? make_session(m, w, dtype, s->threads, &s->session, err)
                    : make_step(m, w, share, dtype, s->threads, &s->step, err);
}

/* What runs first, below its title, then the update of a training step; with speeds also
 * times.  NULL: out of memory. */
static char *explain(const struct subject *s, const char *title, const cm_speeds *speeds)
{
    if (s->step && speeds) /* whose inputs it feeds */
        cm_train_step_run(s->step);
    cm_plan *plan = s->step ? s->step->part : s->session ? s->session->plan : NULL;
    char *first = plan ? cm_plan_explain(plan, RUNS, speeds) : NULL;
    if (s->step && speeds) /* isolated steps left anything in the gradient */
        cm_train_step_run(s->step);
    char *update = s->step ? cm_plan_explain(s->step->update, RUNS, speeds) : cm_strdup("");
    char *text = NULL;
    if (first && update) {
        const size_t size = strlen(title) + strlen(first) + strlen(update) + 16;
        if ((text = cm_alloc(size)))
            snprintf(text, size, "%s\n%s%s%s", title, first, s->step ? "\nupdate\n" : "", update);
    }
    cm_free(first);
    cm_free(update);
    return text;
}

static const struct share alone = {NULL, 1};

cm_status cm_workload_explain(const cm_model *m, const cm_work *w, int profile, char **text,
                              cm_error *err)
{
    struct subject s;
    cm_speeds speeds;
    char title[80] = "loss and gradient";
    cm_status status = subject_new(m, w, alone, &s, err);
    if (!status && profile)
        status = m->device->measure(s.threads, &speeds, err);
    if (!status) {
        if (s.session)
            snprintf(title, sizeof title, "%d image%s, %d at a time", w->batch, cm_plural(w->batch),
                     s.session->micro);
        if (!(*text = explain(&s, title, profile ? &speeds : NULL)))
            status = cm_fail(err, CM_ERR_MEMORY, "explain: out of memory");
    }
    subject_free(&s);
    return status;
}

/* ---- bench ---- */

/* A batch through the network in parts, or a training step, which runs its two plans. */
static void run_once(const struct subject *s)
{
    if (s->step)
        cm_train_step_run(s->step);
    else
        for (int k = 0; k < cm_session_parts(s->session); k++)
            cm_plan_run(s->session->plan);
}

static double sum_of(const struct subject *s, double (*of)(cm_plan *p))
{
    return s->step ? s->step->parts * of(s->step->part) + of(s->step->update)
                   : cm_session_parts(s->session) * of(s->session->plan);
}

static double floor_of(cm_plan *p)
{
    return cm_plan_matrix_floor(p, 1);
}

static double bytes_of(cm_plan *p)
{
    return cm_plan_bytes_moved(p);
}

static double flops_of(cm_plan *p)
{
    return cm_plan_flops(p);
}

static size_t memory_of(const cm_model *m, const struct subject *s)
{
    return s->step ? cm_train_step_bytes(s->step) : cm_session_bytes(s->session, m);
}

/* The whole and its floor in turn, so that a slow moment of the machine meets both. */
static void time_subject(const struct subject *s, double *best, double *floor)
{
    *best = 1e9;
    run_once(s);
    const double begin = cm_seconds();
    for (int run = 0; run < RUNS || (run < MOST_RUNS && cm_seconds() - begin < WATCH); run++) {
        const double start = cm_seconds();
        run_once(s);
        const double seconds = cm_seconds() - start;
        *best = seconds < *best ? seconds : *best;
        *floor = sum_of(s, floor_of);
    }
}

cm_status cm_workload_time(const cm_model *m, const cm_work *w, cm_bench_result *r, cm_error *err)
{
    struct subject s;
    cm_speeds speeds;
    double best, floor;
    cm_status status = subject_new(m, w, alone, &s, err);
    if (!status)
        status = m->device->measure(s.threads, &speeds, err);
    if (!status) {
        time_subject(&s, &best, &floor);
        const double flops = sum_of(&s, flops_of), bytes = sum_of(&s, bytes_of);
        *r = (cm_bench_result){.size = sizeof *r,
                               .ms = 1e3 * best,
                               .images_per_s = (double)w->batch / best,
                               .matrix_floor_ms = 1e3 * floor,
                               .memory_floor_ms = 1e3 * bytes / speeds.bytes,
                               .gflop = 1e-9 * flops,
                               .peak_gflops = 1e-9 * speeds.flops,
                               .peak_share = flops / speeds.flops / best,
                               .memory_gb_s = 1e-9 * speeds.bytes,
                               .memory_share = bytes / speeds.bytes / best,
                               .threads = s.threads,
                               .peak_bytes = (int64_t)memory_of(m, &s),
                               .needed_bytes =
                                   s.step ? (int64_t)cm_train_step_needed_bytes(s.step) : 0};
    }
    subject_free(&s);
    return status;
}

/* ---- a step that processes share ---- */

/* One step, and the sums in it. */
static void time_shared(cm_train_step *t, cm_bench_shared_result *r)
{
    cm_group_sum sum[CM_GROUP_SUMS];
    const cm_group_times before = cm_group_get_times(t->group);
    const double start = cm_seconds();
    cm_train_step_run(t);
    r->ms = 1e3 * (cm_seconds() - start);
    const cm_group_times after = cm_group_get_times(t->group);
    r->sums_ms = 1e3 * (after.sums - before.sums);
    r->waits_ms = 1e3 * (after.waits - before.waits);
    r->buckets = cm_group_get_sums(t->group, sum);
    for (int i = 0; i < r->buckets; i++) {
        r->bucket[i].mib = (double)sum[i].floats * sizeof(float) / 1048576.0;
        r->bucket[i].begin_ms = 1e3 * (sum[i].begun - start);
        r->bucket[i].end_ms = 1e3 * (sum[i].done - start);
    }
}

static int by_ms(const void *a, const void *b)
{
    const cm_bench_shared_result *x = a, *y = b;
    return (x->ms > y->ms) - (x->ms < y->ms);
}

static double time_update(const cm_train_step *t)
{
    double best = 1e9;
    for (int i = 0; i < RUNS; i++) {
        const double start = cm_seconds();
        cm_plan_run(t->update);
        const double seconds = cm_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* All begin each run together, and process 0 says whether there is another. */
static cm_status time_runs(cm_train_step *t, cm_bench_shared_result *runs, int *n, cm_error *err)
{
    int more = 1;
    cm_train_step_run(t);
    const double begin = cm_seconds();
    for (*n = 0;;) {
        const cm_status s = cm_group_broadcast(t->group, &more, sizeof more, err);
        if (s || !more)
            return s;
        time_shared(t, &runs[*n]);
        ++*n;
        more = *n < RUNS || (*n < MOST_RUNS && cm_seconds() - begin < WATCH);
    }
}

static cm_status check_shared(const cm_work *w, int parts, cm_error *err)
{
    if (!strcmp(w->kind, "onestep"))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "work: expected a step of a method, which processes share, found onestep");
    if (w->batch % parts)
        return cm_fail(err, CM_ERR_ARGUMENT, "batch: expected a multiple of %d parts, found %d",
                       parts, w->batch);
    return CM_OK;
}

cm_status cm_workload_time_shared(cm_group *group, const cm_model *m, const cm_work *w, int parts,
                                  cm_bench_shared_result *r, cm_error *err)
{
    _Static_assert((int)CM_BENCH_BUCKETS == CM_STEP_BUCKETS, "as many as a step has");
    const struct share share = {group, parts ? parts : cm_group_size(group)};
    struct subject s = {0};
    cm_bench_shared_result *runs = cm_alloc_array(MOST_RUNS, sizeof *runs);
    int n = 0;
    cm_status status = runs ? check_shared(w, share.parts, err)
                            : cm_fail(err, CM_ERR_MEMORY, "work: out of memory");
    if (!status)
        status = subject_new(m, w, share, &s, err);
    status = cm_group_agree(group, status, err);
    if (!status)
        status = time_runs(s.step, runs, &n, err);
    if (!status) {
        qsort(runs, (size_t)n, sizeof *runs, by_ms);
        *r = runs[n / 2];
        r->size = sizeof *r;
        r->images_per_s = 1e3 * (double)w->batch / r->ms;
        r->update_ms = 1e3 * time_update(s.step);
        r->parts = share.parts;
        r->threads = s.threads;
    }
    subject_free(&s);
    cm_free(runs);
    return status;
}
