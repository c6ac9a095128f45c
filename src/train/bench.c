/* bench.c - cm_explain and cm_bench: the plans of sampling and of training steps,
 * described and timed */
#include "base/clock.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "model/model.h"
#include "train/step.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 5, MOST_RUNS = 100 };
static const double WATCH = 1.5; /* seconds, at least, that a work is timed */

/* What is described or timed: a training step, or a denoiser. */
struct subject {
    cm_train_step *step;        /* NULL: sampling */
    cm_denoiser_plan *denoiser; /* NULL: training */
    int threads;
};

/* A training step of the model's own network with the default objective. */
static cm_status make_step(const cm_model *m, cm_method method, const cm_work *w, cm_dtype dtype,
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
        .batch = w->batch,
        .recompute = w->recompute,
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
    return cm_fail(err, CM_ERR_ARGUMENT, "work: expected onestep, edm, cd or ct, found '%.100s'",
                   name);
}

static void subject_free(struct subject *s)
{
    cm_train_step_free(s->step);
    cm_denoiser_plan_free(s->denoiser);
}

static cm_status subject_new(const cm_model *m, const cm_work *w, struct subject *s, cm_error *err)
{
    cm_dtype dtype;
    cm_method method;
    *s = (struct subject){.threads = cm_threads_resolve(w->threads)};
    cm_status status = cm_dtype_resolve(w->dtype, &dtype, err);
    if (status)
        return status;
    if (strcmp(w->kind, "onestep"))
        return (status = method_from_name(w->kind, &method, err))
                   ? status
                   : make_step(m, method, w, dtype, s->threads, &s->step, err);
    status =
        cm_denoiser_plan_new(m, w->batch, w->micro_batch, dtype, s->threads, &s->denoiser, err);
    for (int k = 0; !status && k < s->denoiser->micro; k++)
        s->denoiser->sigma[k] = (float)m->schedule.sigma_max;
    return status;
}

/* What runs first, below its title, then the update of a training step; NULL: out of
 * memory. */
static char *explain(const struct subject *s, const char *title, int runs)
{
    char *first = cm_plan_explain(s->step ? s->step->part : s->denoiser->plan, runs);
    char *update = s->step ? cm_plan_explain(s->step->update, runs) : cm_strdup("");
    char *text = NULL;
    if (first && update) {
        const size_t size = strlen(title) + strlen(first) + strlen(update) + 16;
        if ((text = cm_alloc(size)))
            snprintf(text, size, "%s\n%s%s%s", title, first, s->step ? "\nupdate\n" : "", update);
    }
    cm_text_free(first);
    cm_text_free(update);
    return text;
}

cm_status cm_explain(cm_model *m, const cm_work *w, int profile, char **text, cm_error *err)
{
    struct subject s;
    char title[80] = "loss and gradient";
    cm_status status = subject_new(m, w, &s, err);
    if (!status) {
        if (s.denoiser)
            snprintf(title, sizeof title, "%d images, %d at a time", w->batch, s.denoiser->micro);
        if (!(*text = explain(&s, title, profile ? RUNS : 0)))
            status = cm_fail(err, CM_ERR_MEMORY, "explain: out of memory");
    }
    subject_free(&s);
    return status;
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

/* A batch through the network in parts, or a training step, which runs its two plans. */
static void run_once(const struct subject *s)
{
    if (s->step)
        cm_train_step_run(s->step);
    else
        for (int k = 0; k < cm_denoiser_parts(s->denoiser); k++)
            cm_plan_run(s->denoiser->plan);
}

static double sum_of(const struct subject *s, double (*of)(cm_plan *p))
{
    return s->step ? s->step->parts * of(s->step->part) + of(s->step->update)
                   : cm_denoiser_parts(s->denoiser) * of(s->denoiser->plan);
}

static double floor_of(cm_plan *p)
{
    return cm_plan_matrix_floor(p, 1);
}

static double bytes_of(cm_plan *p)
{
    return cm_plan_bytes_moved(p);
}

static size_t memory_of(const cm_model *m, const struct subject *s)
{
    if (s->step)
        return cm_train_step_bytes(s->step);
    const cm_plan_memory memory = cm_plan_get_memory(s->denoiser->plan);
    return cm_params_floats(m->params) * sizeof(float) + memory.activations + memory.workspace +
           memory.constants;
}

/* The whole and its floor in turn, so that a slow moment of the machine meets both. */
cm_status cm_bench(cm_model *m, const cm_work *w, cm_bench_result *r, cm_error *err)
{
    struct subject s;
    double best = 1e9, floor = 0.0;
    const cm_status status = subject_new(m, w, &s, err);
    if (!status) {
        run_once(&s);
        const double begin = cm_seconds();
        for (int run = 0; run < RUNS || (run < MOST_RUNS && cm_seconds() - begin < WATCH); run++) {
            const double start = cm_seconds();
            run_once(&s);
            const double seconds = cm_seconds() - start;
            best = seconds < best ? seconds : best;
            floor = sum_of(&s, floor_of);
        }
        *r = (cm_bench_result){
            .ms = 1e3 * best,
            .images_per_s = (double)w->batch / best,
            .matrix_floor_ms = 1e3 * floor,
            .memory_floor_ms = 1e3 * sum_of(&s, bytes_of) / memory_speed(s.threads),
            .threads = s.threads,
            .peak_bytes = (int64_t)memory_of(m, &s),
            .needed_bytes = s.step ? (int64_t)cm_train_step_needed_bytes(s.step) : 0};
    }
    subject_free(&s);
    return status;
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
