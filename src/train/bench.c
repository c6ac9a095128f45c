/* bench.c - cm_explain and cm_bench: the plans of sampling and of training steps,
 * described and timed */
#include "base/clock.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "model/model.h"
#include "train/step.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 5 };

/* A training step of the model's own network with the default objective. */
static cm_status make_step(const cm_model *m, cm_method method, int batch, cm_dtype dtype,
                           int threads, int recompute, cm_train_step **step, cm_error *err)
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
        .recompute = recompute,
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

static cm_status method_from_name(const char *name, cm_method *method, cm_error *err)
{
    static const char *const names[] = {"edm", "cd", "ct"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *method = (cm_method)i;
            return CM_OK;
        }
    return cm_fail(err, CM_ERR_ARGUMENT, "method: expected edm, cd or ct, found '%.100s'", name);
}

/* Both plans; NULL: out of memory. */
static char *explain_step(const cm_train_step *step, int profile)
{
    char *part = cm_plan_explain(step->part, profile ? RUNS : 0);
    char *update = cm_plan_explain(step->update, profile ? RUNS : 0), *text = NULL;
    if (part && update) {
        const size_t size = strlen(part) + strlen(update) + 64;
        if ((text = cm_alloc(size)))
            snprintf(text, size, "loss and gradient\n%s\nupdate\n%s", part, update);
    }
    cm_text_free(part);
    cm_text_free(update);
    return text;
}

cm_status cm_explain(cm_model *m, const char *method, int batch, const char *dtype_text,
                     int threads, int recompute, int profile, char **text, cm_error *err)
{
    cm_dtype dtype;
    cm_denoiser_plan *denoiser = NULL;
    cm_train_step *step = NULL;
    cm_method which = CM_METHOD_EDM;
    cm_status s = cm_dtype_resolve(dtype_text, &dtype, err);
    if (s || (method && (s = method_from_name(method, &which, err))))
        return s;
    threads = cm_threads_resolve(threads);
    s = method ? make_step(m, which, batch, dtype, threads, recompute, &step, err)
               : cm_denoiser_plan_new(m, batch, dtype, threads, &denoiser, err);
    if (!s) {
        *text = method ? explain_step(step, profile)
                       : cm_plan_explain(denoiser->plan, profile ? RUNS : 0);
        if (!*text)
            s = cm_fail(err, CM_ERR_MEMORY, "explain: out of memory");
    }
    cm_train_step_free(step);
    cm_denoiser_plan_free(denoiser);
    return s;
}

/* ---- bench ---- */

/* Bytes a second of a copy, reading and writing counted, too large for the caches. */
static double memory_speed(int threads)
{
    const size_t floats = (size_t)16 << 20;
    float *from = cm_alloc_array(floats, sizeof *from), *to = cm_alloc_array(floats, sizeof *to);
    double best = 1e9;
    for (int run = 0; from && to && run < RUNS; run++) {
        const double start = cm_seconds();
#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t block = 0; block < 16; block++)
            memcpy(to + block * (floats / 16), from + block * (floats / 16),
                   floats / 16 * sizeof *to);
        const double seconds = cm_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    cm_free(from);
    cm_free(to);
    return 2.0 * (double)(floats * sizeof(float)) / best;
}

/* Sampling is one plan; a training step runs its two. */
struct work {
    cm_train_step *step; /* NULL: sampling */
    cm_plan *sampling;
    size_t bytes;
};

static void run_once(const struct work *w)
{
    if (w->step)
        cm_train_step_run(w->step);
    else
        cm_plan_run(w->sampling);
}

static double both(const struct work *w, double (*of)(cm_plan *p))
{
    return w->step ? w->step->parts * of(w->step->part) + of(w->step->update) : of(w->sampling);
}

static double floor_of(cm_plan *p)
{
    return cm_plan_matrix_floor(p, 1);
}

static double bytes_of(cm_plan *p)
{
    return cm_plan_bytes_moved(p);
}

/* The whole and its floor in turn, so that a slow moment of the machine meets both. */
static void measure(const struct work *w, int batch, int threads, cm_bench_result *r)
{
    double best = 1e9, floor = 0.0;
    run_once(w);
    for (int run = 0; run < RUNS; run++) {
        const double start = cm_seconds();
        run_once(w);
        const double seconds = cm_seconds() - start;
        best = seconds < best ? seconds : best;
        floor = both(w, floor_of);
    }
    *r = (cm_bench_result){.ms = 1e3 * best,
                           .images_per_s = (double)batch / best,
                           .matrix_floor_ms = 1e3 * floor,
                           .memory_floor_ms = 1e3 * both(w, bytes_of) / memory_speed(threads),
                           .threads = threads,
                           .peak_bytes = (int64_t)w->bytes};
}

cm_status cm_bench(cm_model *m, const char *work, int batch, const char *dtype_text, int threads,
                   int recompute, cm_bench_result *result, cm_error *err)
{
    const size_t weights = cm_params_floats(m->params) * sizeof(float);
    cm_denoiser_plan *p = NULL;
    cm_train_step *step = NULL;
    cm_method method = CM_METHOD_EDM;
    cm_dtype dtype;
    threads = cm_threads_resolve(threads);
    cm_status s = cm_dtype_resolve(dtype_text, &dtype, err);
    if (!s && strcmp(work, "onestep") && (s = method_from_name(work, &method, err)))
        return s;
    if (!s && !strcmp(work, "onestep")) {
        if ((s = cm_denoiser_plan_new(m, batch, dtype, threads, &p, err)))
            return s;
        for (int k = 0; k < p->batch; k++)
            p->sigma[k] = (float)m->schedule.sigma_max;
        const cm_plan_memory memory = cm_plan_get_memory(p->plan);
        const struct work w = {NULL, p->plan,
                               weights + memory.activations + memory.workspace + memory.constants};
        measure(&w, batch, threads, result);
        cm_denoiser_plan_free(p);
    } else if (!s && !(s = make_step(m, method, batch, dtype, threads, recompute, &step, err))) {
        const struct work w = {step, NULL, cm_train_step_bytes(step)};
        measure(&w, batch, threads, result);
        cm_train_step_free(step);
    }
    return s;
}

/* The processor's name as the system gives it. */
static void processor_name(char *name, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown processor");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !value)
            continue;
        snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
        break;
    }
    if (f)
        fclose(f);
}

void cm_machine(char *text, size_t size)
{
    char name[128];
    processor_name(name, sizeof name);
    snprintf(text, size, "%s, %d cores, %s kernels%s, %s", name, cm_threads_resolve(0),
             cm_isa_name(cm_cpu_isa()), cm_cpu_has_bf16() ? ", bf16" : "", cm_cpu_library());
}
