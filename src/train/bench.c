/* bench.c - cm_explain and cm_bench: the plans of sampling and of training steps,
 * described and timed.
 *
 * efficiency = (sum of the best isolated times of the convolutions and matrix
 * products) / (time of the whole step): 1 would mean that nothing else costs. */
#include "base/clock.h"
#include "model/model.h"
#include "train/step.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { RUNS = 5, FLOOR_RUNS = 5 };

/* A training step of the model's own network with the default objective. */
static cm_status make_step(const cm_model *m, cm_method method, int batch, cm_dtype dtype,
                           int threads, cm_train_step **step, cm_error *err)
{
    const cm_step_config c = {
        .method = method,
        .net = &m->net,
        .params = m->params,
        .schedule = m->schedule,
        .teacher_schedule = m->schedule,
        .boundary = CM_PRECOND_SKIP,
        .weighting = method == CM_METHOD_EDM ? CM_WEIGHTING_KARRAS : CM_WEIGHTING_UNIFORM,
        .distance = CM_DISTANCE_L2,
        .solver = CM_SOLVER_HEUN,
        .p_mean = -1.2,
        .p_std = 1.2,
        .optimizer = {0.9f, 0.999f, 1e-8f, 0.0f},
        .n_ema = 1,
        .ema_rate = {0.999},
        .batch = batch,
        .dtype = dtype,
        .threads = threads,
    };
    const cm_status s = cm_train_step_new(&c, step, err);
    if (s)
        return s;
    cm_train_step *t = *step;
    const size_t bytes = t->floats * sizeof(float);
    memcpy(t->params, m->flat, bytes);
    if (t->target)
        memcpy(t->target, m->flat, bytes);
    if (t->teacher)
        memcpy(t->teacher, m->flat, bytes);
    t->hyper[0] = 1e-4f;
    t->hyper[1] = 1.0f;
    if (t->scales) {
        *t->scales = 18.0f;
        *t->mu = 0.95f;
    }
    return CM_OK;
}

static const char *const method_name[] = {"edm", "cd", "ct"};

cm_status cm_explain(cm_model *m, const char *method, int batch, const char *dtype_text,
                     int threads, int profile, char **text, cm_error *err)
{
    cm_dtype dtype;
    cm_denoiser_plan *denoiser = NULL;
    cm_train_step *step = NULL;
    int which = 0;
    cm_status s = cm_dtype_resolve(dtype_text, &dtype, err);
    if (s)
        return s;
    while (method && which < 3 && strcmp(method, method_name[which]))
        which++;
    if (method && which == 3)
        return cm_fail(err, CM_ERR_ARGUMENT, "method: expected edm, cd or ct, found %s", method);
    threads = cm_threads_resolve(threads);
    s = method ? make_step(m, (cm_method)which, batch, dtype, threads, &step, err)
               : cm_denoiser_plan_new(m, batch, dtype, threads, &denoiser, err);
    if (!s) {
        *text = cm_plan_explain(method ? step->plan : denoiser->plan, profile ? RUNS : 0);
        if (!*text)
            s = cm_fail(err, CM_ERR_MEMORY, "explain: out of memory");
    }
    cm_train_step_free(step);
    cm_denoiser_plan_free(denoiser);
    return s;
}

/* ---- bench ---- */

struct table {
    void (*line)(void *user, const char *text);
    void *user;
};

static void print_row(const struct table *t, const char *work, cm_dtype dtype, int batch,
                      int threads, cm_plan *plan, size_t arrays)
{
    char text[256];
    double best = 1e9;
    cm_plan_run(plan);
    for (int r = 0; r < RUNS; r++) {
        const double start = cm_seconds();
        cm_plan_run(plan);
        const double seconds = cm_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    const cm_plan_memory m = cm_plan_get_memory(plan);
    const double bytes = (double)(m.activations + m.workspace + m.constants + arrays);
    snprintf(text, sizeof text, "%-10s %-5s %5d %7d %10.2f %10.0f %10.2f %10.1f", work,
             cm_dtype_name(dtype), batch, threads, 1e3 * best, (double)batch / best,
             cm_plan_matrix_floor(plan, FLOOR_RUNS) / best, bytes / 1048576.0);
    t->line(t->user, text);
}

static cm_status bench_dtype(const struct table *t, const cm_model *m, cm_dtype dtype, int threads,
                             cm_error *err)
{
    static const int batches[] = {1, 64};
    const size_t weights = cm_params_floats(m->params) * sizeof(float);
    for (int i = 0; i < 2; i++) {
        cm_denoiser_plan *p = NULL;
        const cm_status s = cm_denoiser_plan_new(m, batches[i], dtype, threads, &p, err);
        if (s)
            return s;
        for (int k = 0; k < p->batch; k++)
            p->sigma[k] = (float)m->schedule.sigma_max;
        print_row(t, "onestep", dtype, batches[i], threads, p->plan, weights);
        cm_denoiser_plan_free(p);
    }
    for (int method = 0; method < 3; method++) {
        cm_train_step *step = NULL;
        const cm_status s = make_step(m, (cm_method)method, 64, dtype, threads, &step, err);
        if (s)
            return s;
        const size_t arrays = 5u + !!step->target + !!step->teacher;
        print_row(t, method_name[method], dtype, 64, threads, step->plan, arrays * weights);
        cm_train_step_free(step);
    }
    return CM_OK;
}

cm_status cm_bench(cm_model *m, int threads, void (*line)(void *user, const char *text), void *user,
                   cm_error *err)
{
    const struct table t = {line, user};
    cm_dtype best;
    cm_dtype_resolve("auto", &best, NULL);
    threads = cm_threads_resolve(threads);
    line(user, "work       dtype batch threads         ms   images/s efficiency memory MiB");
    cm_status s = bench_dtype(&t, m, CM_F32, threads, err);
    if (!s && best == CM_BF16)
        s = bench_dtype(&t, m, CM_BF16, threads, err);
    if (!s && best != CM_BF16)
        line(user, "bf16: skipped, this CPU does not compute in it");
    struct rusage usage;
    char text[128];
    if (!s && !getrusage(RUSAGE_SELF, &usage)) {
        snprintf(text, sizeof text, "peak resident memory of this process: %.1f MiB",
                 (double)usage.ru_maxrss / 1024.0);
        line(user, text);
    }
    return s;
}
