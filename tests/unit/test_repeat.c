/* test_repeat.c - training again with the same settings gives the same bits, with any number of
 * threads: steps of every method, and, one by one, the sums over samples that are shared
 * out to threads, products and convolutions for gradients of weights.
 *
 * All of it for each instruction set of the machine: the program starts itself again with
 * CM_ISA and ONEDNN_MAX_CPU_ISA held down, for these are read once a process. */
#include "check.h"

#include "base/bf16.h"
#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "step_settings.h"

#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 6, STEPS = 2, MOST_THREADS = 4 };

static float number(uint32_t stream, size_t i)
{
    return 2.0f * cm_uniform(cm_philox(stream, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f;
}

/* ---- steps ---- */

static const cm_net_config net = {.arch = &cm_arch_adm,
                                  .height = 8,
                                  .width = 8,
                                  .in_channels = 3,
                                  .out_channels = 3,
                                  .num_classes = 3,
                                  .time_input = &cm_time_log250,
                                  .dropout = 0.2,
                                  .of.adm = {.model_channels = 32,
                                             .num_res_blocks = 1,
                                             .n_levels = 2,
                                             .channel_mult = {1, 2},
                                             .n_attention = 1,
                                             .attention_resolutions = {2},
                                             .num_heads = 2,
                                             .use_scale_shift_norm = 1}};

static const cm_net_config convnet = {.arch = &cm_arch_convnet,
                                      .height = 8,
                                      .width = 8,
                                      .in_channels = 3,
                                      .out_channels = 3,
                                      .num_classes = 3,
                                      .time_input = &cm_time_log250,
                                      .of.convnet = {32, 1, 2, {1, 2}}};

static cm_train_step *step_new(const cm_net_config *config, cm_params *params, const char *method,
                               cm_dtype dtype, int threads)
{
    step_settings o;
    step_settings_make(&o, method, BATCH);
    o.options.accumulate = o.settings.objective->needs_teacher ? 1 : 2;
    const cm_step_config c = step_settings_config(&o, config, params, 0.9, dtype, threads);
    cm_error err = {0};
    cm_train_step *s = NULL;
    if (!CHECK_OK(cm_train_step_new(&c, &s, &err), err))
        return NULL;
    cm_params_init(params, 5, s->params);
    for (size_t i = 0; i < s->floats; i++) /* last layers begin at zero: little to compare */
        s->params[i] += 0.01f * number(6, i);
    float *const copies[] = {s->target, s->teacher, s->ema[0]};
    for (int i = 0; i < 3; i++)
        if (copies[i])
            memcpy(copies[i], s->params, s->floats * sizeof(float));
    for (size_t i = 0; i < BATCH * s->image; i++)
        s->x[i] = number(7, i);
    for (int i = 0; i < BATCH; i++)
        s->y[i] = i % 3;
    return s;
}

static void run_steps(cm_train_step *s)
{
    for (int k = 0; k < STEPS; k++) {
        s->rng[0] = 11;
        s->rng[2] = k;
        s->hyper[0] = 1e-3f;
        s->hyper[1] = (float)(k + 1);
        s->scalars = (cm_step_scalars){.value = {18.0}, .mu = 0.9};
        cm_train_step_run(s);
    }
}

static void check_method(const cm_net_config *config, cm_params *params, const char *method,
                         cm_dtype dtype, int threads)
{
    cm_train_step *a = step_new(config, params, method, dtype, 1),
                  *b = step_new(config, params, method, dtype, threads);
    if (a && b) {
        const float *const mine[] = {a->grad, a->params, a->m, a->v, a->ema[0], a->target};
        const float *const other[] = {b->grad, b->params, b->m, b->v, b->ema[0], b->target};
        static const char *const name[] = {"gradient", "weights", "m", "v", "average", "target"};
        run_steps(a);
        run_steps(b);
        CHECK(isfinite(*a->loss) && *a->loss > 0.0f && *a->loss == *b->loss,
              "method %s, %s: losses %.9g with one thread, %.9g with %d", method,
              cm_dtype_name(dtype), (double)*a->loss, (double)*b->loss, threads);
        for (int i = 0; i < 6; i++)
            CHECK(!mine[i] || !memcmp(mine[i], other[i], a->floats * sizeof(float)),
                  "method %s, %s, %d threads: another %s", method, cm_dtype_name(dtype), threads,
                  name[i]);
    }
    cm_train_step_free(a);
    cm_train_step_free(b);
}

static void check_methods(const cm_net_config *config, int classifies)
{
    cm_error err = {0};
    cm_params *params = NULL;
    if (!CHECK_OK(cm_net_params_new(config, &params, &err), err))
        return;
    for (const cm_objective *const *method = cm_objectives; *method; method++)
        for (int threads = 1; threads <= MOST_THREADS && (*method)->classifies == classifies;
             threads++)
            for (int bf16 = 0; bf16 <= cm_cpu_has_bf16(); bf16++)
                check_method(config, params, (*method)->name, bf16 ? CM_BF16 : CM_F32, threads);
    cm_params_free(params);
}

static void test_steps(void)
{
    check_methods(&net, 0);
    check_methods(&convnet, 1);
}

/* ---- one op at a time ---- */

/* A gradient of weights: dy^T x of [n,out] and [n,in]; or that of a convolution. */
typedef struct gradient {
    int n, side, in, out, kernel, stride; /* side 0: a product */
} gradient;

static const gradient gradients[] = {
    {6, 0, 128, 64, 0, 0}, {64, 0, 512, 256, 0, 0}, {7, 0, 33, 70, 0, 0}, {4, 8, 3, 32, 3, 1},
    {5, 8, 1, 48, 3, 1},   {4, 8, 32, 32, 3, 1},    {3, 8, 64, 32, 1, 1}, {2, 4, 3, 4, 1, 2},
    {4, 8, 32, 32, 3, 2},  {4, 8, 32, 1, 3, 1},     {3, 7, 48, 48, 3, 1}, {2, 4, 128, 384, 1, 1},
    {19, 8, 32, 96, 1, 1}, {17, 8, 32, 32, 3, 2},   {70, 4, 1, 32, 3, 1}, {300, 0, 64, 32, 0, 0},
};

static void fill(cm_plan *p, const cm_node *leaf, uint32_t stream)
{
    const cm_type *t = cm_node_type(leaf);
    void *to = cm_plan_data(p, leaf);
    for (int64_t i = 0; i < cm_type_count(t); i++)
        if (t->dtype == CM_BF16)
            ((cm_bf16 *)to)[i] = cm_f32_to_bf16(number(stream, (size_t)i));
        else
            ((float *)to)[i] = number(stream, (size_t)i);
}

/* Its bits, into `got`. */
static void run_gradient(const gradient *w, cm_dtype dtype, int threads, int runs, float **got,
                         size_t *bytes)
{
    const int out = w->side ? (w->side + w->kernel / 2 * 2 - w->kernel) / w->stride + 1 : 0;
    cm_error err = {0};
    cm_graph *g = cm_graph_new();
    cm_plan *p = NULL;
    cm_node *x = cm_input(g, "x",
                          w->side ? CM_TYPE(dtype, w->n, w->side, w->side, w->in)
                                  : CM_TYPE(CM_F32, w->n, w->in));
    cm_node *dy = cm_input(
        g, "dy", w->side ? CM_TYPE(dtype, w->n, out, out, w->out) : CM_TYPE(CM_F32, w->n, w->out));
    cm_node *dw =
        w->side
            ? cm_conv2d_grad_weight(g, dy, x, CM_TYPE(CM_F32, w->out, w->in, w->kernel, w->kernel),
                                    w->stride, w->kernel / 2)
            : cm_matmul(g, dy, x, 1, 0);
    *bytes = cm_type_bytes(cm_node_type(dw));
    *got = cm_alloc(*bytes);
    if (CHECK_OK(cm_plan_compile(g, 1, &dw, cm_cpu_device(), threads, &p, &err), err)) {
        fill(p, x, 1);
        fill(p, dy, 2);
        for (int i = 0; i < runs; i++)
            cm_plan_run(p);
        memcpy(*got, cm_plan_data(p, dw), *bytes);
    }
    cm_plan_free(p);
    cm_graph_free(g);
}

/* With 1 to MOST_THREADS threads, in plans of their own, some of them run again. */
static void check_gradient(const gradient *w, cm_dtype dtype)
{
    float *want, *got;
    size_t bytes;
    run_gradient(w, dtype, 1, 1, &want, &bytes);
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        for (int time = 0; time < 12; time++) {
            run_gradient(w, dtype, threads, 1 + time % 2, &got, &bytes);
            CHECK(!memcmp(want, got, bytes),
                  "gradient of weights %dx%d of %d, side %d, kernel %d, stride %d, %s: other bits "
                  "with %d threads than with one",
                  w->out, w->in, w->n, w->side, w->kernel, w->stride, cm_dtype_name(dtype),
                  threads);
            cm_free(got);
        }
    cm_free(want);
}

static void test_gradients(void)
{
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++)
        for (int bf16 = 0; bf16 <= (gradients[i].side && cm_cpu_has_bf16()); bf16++)
            check_gradient(&gradients[i], bf16 ? CM_BF16 : CM_F32);
}

static const check_test tests[] = {
    {"gradients of weights", test_gradients},
    {"training steps", test_steps},
};

/* ---- instruction sets ---- */

/* This program with the instruction set held down; NULL: as it is. */
static void run_held(const char *isa, const char *dnnl)
{
    int status = -1;
    fflush(stdout);
    const pid_t child = fork();
    if (!child) {
        if (isa) {
            setenv("CM_ISA", isa, 1);
            setenv("ONEDNN_MAX_CPU_ISA", dnnl, 1);
        }
        setenv("CM_TEST_REPEAT", "1", 1);
        execl("/proc/self/exe", "test_repeat", (char *)NULL);
        _exit(127);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && !status, "status %d", status);
}

static void test_best(void)
{
    run_held(NULL, NULL);
}

static void test_plain(void)
{
    run_held("plain", "SSE41");
}

static void test_avx2(void)
{
    if (cm_cpu_isa() < CM_ISA_AVX2)
        printf("    skipped: this CPU has no AVX2\n");
    else
        run_held("avx2", "AVX2");
}

static void test_avx512(void)
{
    if (cm_cpu_isa() < CM_ISA_AVX512)
        printf("    skipped: this CPU has no AVX-512\n");
    else
        run_held("avx512", "AVX512_CORE");
}

static const check_test sets[] = {
    {"training, any threads, the same bits: AVX2", test_avx2},
    {"training, any threads, the same bits: AVX-512", test_avx512},
    {"training, any threads, the same bits: plain", test_plain},
    {"training, any threads, the same bits: all this CPU has", test_best},
};

int main(void)
{
    int failed = 0;
    if (!getenv("CM_TEST_REPEAT"))
        return check_main(sets, sizeof sets / sizeof *sets);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) { /* no tally of its own */
        check_failures = 0;
        tests[i].run();
        if (check_failures)
            printf("    differ: %s\n", tests[i].name);
        failed |= check_failures > 0;
    }
    return failed;
}
