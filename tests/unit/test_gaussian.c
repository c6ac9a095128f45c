/* test_gaussian.c - training reaches what theory says.
 *
 * For data N(m, s^2 I) the probability-flow ODE has a closed-form solution, and
 * with it the consistency function
 *     f(x, t) = m + sqrt((s^2 + eps^2) / (s^2 + t^2)) (x - m).
 * A small MLP is trained with the real training step: as a diffusion teacher,
 * then distilled (CD), and alone (CT); each must reach f at every noise level. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "step_settings.h"

enum { BATCH = 256, DIM = 2 };

static const float mean[DIM] = {0.4f, -0.3f};
static const double S = 0.3;
static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;

static const cm_net_config mlp = {.arch = &cm_arch_mlp,
                                  .height = 1,
                                  .width = 1,
                                  .in_channels = DIM,
                                  .out_channels = DIM,
                                  .time_input = &cm_time_log250,
                                  .of.mlp = {.model_channels = 64, .num_res_blocks = 2}};

/* Points [n,DIM] of N(m, s^2 + t^2), a function of (stream, step). */
static void draw(uint32_t stream, uint32_t step, double std, int n, float *x)
{
    for (int i = 0; i < n * DIM; i += 4) {
        float z[4];
        cm_normal4(cm_philox(17, (uint32_t)(i / 4), step, stream, 9), z);
        for (int k = 0; k < 4; k++)
            x[i + k] = mean[(i + k) % DIM] + (float)std * z[k];
    }
}

struct run {
    step_settings settings; /* lr and steps are in the options */
};

static void make_run(struct run *r, const char *method)
{
    step_settings_make(&r->settings, method, BATCH);
    cm_train_params *o = &r->settings.options;
    o->lr = 2e-3;
    o->steps = 6000;
    o->p_mean = 0.0;
    o->p_std = 3.0;
    o->beta2 = 0.99;
    o->start_ema = 0.9;
    o->start_scales = 40;
    snprintf(o->optimizer, sizeof o->optimizer, "adamw");
    snprintf(o->scale_mode, sizeof o->scale_mode, "fixed");
    snprintf(o->target_ema_mode, sizeof o->target_ema_mode, "fixed");
    step_settings_resolve(&r->settings);
}

/* Train from `weights` (updated to the average at the end). */
static void train(struct run *r, cm_params *params, const float *teacher, float *weights)
{
    cm_error err = {0};
    cm_train_step *s = NULL;
    const cm_objective_settings *settings = &r->settings.settings;
    const cm_train_params *o = &r->settings.options;
    const cm_step_config config =
        step_settings_config(&r->settings, &mlp, params, 0.995, CM_F32, 1);
    CHECK_OK(cm_train_step_new(&config, &s, &err), err);
    if (!s)
        return;
    const size_t bytes = s->floats * sizeof(float);
    memcpy(s->params, weights, bytes);
    memcpy(s->ema[0], weights, bytes);
    if (s->target)
        memcpy(s->target, weights, bytes);
    if (s->teacher)
        memcpy(s->teacher, teacher, bytes);
    s->rng[0] = s->teacher ? 1 : s->target ? 2 : 0;
    for (int64_t k = 0; k < o->steps; k++) {
        draw(1, (uint32_t)k, S, BATCH, s->x);
        s->rng[2] = (int32_t)k;
        s->hyper[0] = (float)(o->lr * (1.0 - (double)k / (double)o->steps));
        s->hyper[1] = (float)(k + 1);
        if (settings->objective->at)
            settings->objective->at(settings, k, &s->scalars);
        cm_train_step_run(s);
    }
    CHECK(isfinite(*s->loss), "the loss is not finite");
    memcpy(weights, s->ema[0], bytes);
    cm_train_step_free(s);
}

/* Largest RMS error over the levels, relative to the standard deviation s of
 * the data, of the network as a function of the given kind. */
static double worst_error(cm_params *params, float *weights, const cm_precondition *kind,
                          double (*exact)(double x, double m, double t))
{
    enum { LEVELS = 37, POINTS = 1024 };
    cm_error err = {0};
    cm_graph *g = cm_graph_new();
    cm_plan *plan = NULL;
    cm_net net = cm_net_new(g, params, cm_graph_buffer(g, "params", CM_BUFFER_CONST), CM_F32);
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, POINTS, 1, 1, DIM));
    cm_node *t = cm_input(g, "t", CM_TYPE(CM_F32, POINTS));
    const cm_denoiser d = {&net, &mlp, kind, &schedule, NULL};
    cm_node *out = cm_denoise(&d, x, t).D;
    CHECK_OK(cm_plan_compile(g, 1, &out, cm_cpu_device(), 1, &plan, &err), err);
    cm_plan_bind(plan, net.buffer, weights);
    double worst = 0.0;
    for (int l = 0; l < LEVELS; l++) {
        const double sigma = cm_sigma_at(&schedule, (double)l / (LEVELS - 1));
        float *px = cm_plan_data(plan, x), *pt = cm_plan_data(plan, t);
        const float *got = cm_plan_data(plan, out);
        draw(2, (uint32_t)l, sqrt(S * S + sigma * sigma), POINTS, px);
        for (int i = 0; i < POINTS; i++)
            pt[i] = (float)sigma;
        cm_plan_run(plan);
        double sum = 0.0;
        for (int i = 0; i < POINTS * DIM; i++) {
            const double e = (double)got[i] - exact((double)px[i], (double)mean[i % DIM], sigma);
            sum += e * e;
        }
        const double rms = sqrt(sum / (POINTS * DIM)) / S;
        if (getenv("CM_VERBOSE"))
            printf("      sigma %8.4f: %.4f\n", sigma, rms);
        worst = fmax(worst, rms);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
    return worst;
}

static double exact_consistency(double x, double m, double t)
{
    const double eps = schedule.sigma_min;
    return m + sqrt((S * S + eps * eps) / (S * S + t * t)) * (x - m);
}

static double exact_denoiser(double x, double m, double t)
{
    return m + S * S / (S * S + t * t) * (x - m);
}

static cm_params *new_params(float **weights)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_net_params_new(&mlp, &params, &err), err);
    *weights = cm_alloc_array(cm_params_floats(params), sizeof(float));
    cm_params_init(params, 3, *weights);
    return params;
}

/* In continuous time, from the teacher's weights.  With stop-gradient it comes near more slowly:
 * what is learned near sigma_min reaches large levels through the tangent alone. */
static void check_continuous(const char *method, const char *stop, double most, cm_params *params,
                             const float *teacher)
{
    const size_t bytes = cm_params_floats(params) * sizeof(float);
    float *weights = cm_alloc_array(cm_params_floats(params), sizeof *weights);
    struct run r;
    make_run(&r, method);
    snprintf(r.settings.options.stop_gradient, sizeof r.settings.options.stop_gradient, "%s", stop);
    r.settings.options.lr = 1e-3;
    step_settings_resolve(&r.settings);
    memcpy(weights, teacher, bytes);
    train(&r, params, teacher, weights);
    const double e = worst_error(params, weights, &cm_precondition_skip, exact_consistency);
    printf("    %s, stop-gradient %s: worst RMS error %.4f s\n", method, stop, e);
    CHECK(e < most, "%s, stop-gradient %s: worst RMS error %.4f s, expected below %g", method, stop,
          e, most);
    cm_free(weights);
}

static void test_distillation(void)
{
    float *weights, *teacher;
    cm_params *params = new_params(&weights);
    struct run edm, cd;
    make_run(&edm, "edm");
    make_run(&cd, "cd");
    train(&edm, params, NULL, weights);
    const double e = worst_error(params, weights, &cm_precondition_edm, exact_denoiser);
    printf("    teacher: worst RMS error %.4f s\n", e);
    CHECK(e < 0.03, "teacher: worst RMS error %.4f s, expected below 0.03", e);
    teacher = cm_alloc_array(cm_params_floats(params), sizeof(float));
    memcpy(teacher, weights, cm_params_floats(params) * sizeof(float));
    train(&cd, params, teacher, weights);
    const double c = worst_error(params, weights, &cm_precondition_skip, exact_consistency);
    printf("    CD: worst RMS error %.4f s\n", c);
    CHECK(c < 0.03, "CD: worst RMS error %.4f s, expected below 0.03", c);
    check_continuous("cd-continuous", "false", 0.03, params, teacher);
    check_continuous("cd-continuous", "true", 0.06, params, teacher);
    check_continuous("ct-continuous", "true", 0.06, params, teacher);
    cm_free(teacher);
    cm_free(weights);
    cm_params_free(params);
}

static void test_training(void)
{
    float *weights;
    cm_params *params = new_params(&weights);
    struct run ct;
    make_run(&ct, "ct");
    cm_train_params *o = &ct.settings.options;
    /* With N levels the best CT can do is a(t) = a(t2) (s^2 + t t2) / (s^2 + t^2) for
     * f = m + a (x - m), some 2.7/N below the closed form: N must be large.  mu = 0, so
     * that what is learned at one level reaches the next at once. */
    snprintf(o->scale_mode, sizeof o->scale_mode, "progressive");
    o->start_ema = 0.0;
    o->start_scales = 2;
    o->end_scales = 300;
    o->beta2 = 0.999;
    o->lr = 6e-4;
    o->steps = 16000;
    step_settings_resolve(&ct.settings);
    train(&ct, params, NULL, weights);
    const double c = worst_error(params, weights, &cm_precondition_skip, exact_consistency);
    printf("    CT: worst RMS error %.4f s\n", c);
    CHECK(c < 0.03, "CT: worst RMS error %.4f s, expected below 0.03", c);
    cm_free(weights);
    cm_params_free(params);
}

static const check_test tests[] = {
    {"gaussian data: teacher and distillation reach the closed form", test_distillation},
    {"gaussian data: consistency training reaches the closed form", test_training},
};

CHECK_MAIN(tests)
