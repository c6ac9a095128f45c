/* test_gaussian.c - training reaches what theory says.
 *
 * For data N(m, s^2 I) the probability-flow ODE has a closed-form solution, and
 * with it the consistency function
 *     f(x, t) = m + sqrt((s^2 + eps^2) / (s^2 + t^2)) (x - m).
 * A small MLP is trained with the real training step: as a diffusion teacher,
 * then distilled (CD), and alone (CT); each must reach f at every noise level.
 *
 * Progressive distillation (PD) keeps what 2N Euler steps of the teacher do, N being that of its
 * first stage.  With the exact denoiser a step from t to t2 multiplies x - m by
 *     e(t, t2) = 1 + (t2 - t)/t (1 - s^2/(s^2 + t^2)),
 * so n steps of any student multiply it by all of them, and its D at a level that is one of its
 * steps by what makes one Euler step of the product of those within. */
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

enum { FIRST = 64, STAGES = 7 }; /* of PD: N = 64, 32, ..., 1 */

struct run {
    step_settings settings;  /* lr and steps are in the options */
    double ema;              /* rate of the average */
    float *students[STAGES]; /* of stages before the last, where there is room for them */
};

static void make_run(struct run *r, const char *method, int64_t scales)
{
    step_settings_make(&r->settings, method, BATCH);
    cm_train_params *o = &r->settings.options;
    r->ema = 0.995;
    o->lr = 2e-3;
    o->steps = 6000;
    o->p_mean = 0.0;
    o->p_std = 3.0;
    o->beta2 = 0.99;
    o->start_ema = 0.9;
    o->start_scales = scales;
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
        step_settings_config(&r->settings, &mlp, params, r->ema, CM_F32, 1);
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
        const cm_stage stage = cm_objective_stage(settings, k);
        const int64_t done = k - stage.first;
        if (stage.number && !done) {
            memcpy(r->students[stage.number - 1], s->ema[0], bytes);
            cm_train_step_restart(s);
        }
        draw(1, (uint32_t)k, S, BATCH, s->x);
        s->rng[2] = (int32_t)k;
        s->hyper[0] = (float)(o->lr * (1.0 - (double)done / (double)stage.steps));
        s->hyper[1] = (float)(done + 1);
        if (settings->objective->at)
            settings->objective->at(settings, k, &s->scalars);
        cm_train_step_run(s);
    }
    CHECK(isfinite(*s->loss), "the loss is not finite");
    memcpy(weights, s->ema[0], bytes);
    cm_train_step_free(s);
}

enum { POINTS = 1024 };

/* The network as a function of the given kind, of POINTS points. */
struct function {
    cm_graph *g;
    cm_plan *plan;
    cm_node *x, *t, *D;
};

static struct function open_function(cm_params *params, float *weights, const cm_precondition *kind)
{
    cm_error err = {0};
    struct function f = {.g = cm_graph_new()};
    cm_net net = cm_net_new(f.g, params, cm_graph_buffer(f.g, "params", CM_BUFFER_CONST), CM_F32);
    f.x = cm_input(f.g, "x", CM_TYPE(CM_F32, POINTS, 1, 1, DIM));
    f.t = cm_input(f.g, "t", CM_TYPE(CM_F32, POINTS));
    const cm_denoiser d = {&net, &mlp, kind, &schedule, NULL};
    f.D = cm_denoise(&d, f.x, f.t).D;
    CHECK_OK(cm_plan_compile(f.g, 1, &f.D, cm_cpu_device(), 1, &f.plan, &err), err);
    cm_plan_bind(f.plan, net.buffer, weights);
    return f;
}

/* Of the points that are in f->x. */
static const float *evaluate(struct function *f, double sigma)
{
    float *t = cm_plan_data(f->plan, f->t);
    for (int i = 0; i < POINTS; i++)
        t[i] = (float)sigma;
    cm_plan_run(f->plan);
    return cm_plan_data(f->plan, f->D);
}

static void close_function(struct function *f)
{
    cm_plan_free(f->plan);
    cm_graph_free(f->g);
}

/* Largest RMS error over the first of this many levels of the grid, relative to the standard
 * deviation s of the data, of the network as a function of the given kind. */
static double worst_error(cm_params *params, float *weights, const cm_precondition *kind,
                          int of_levels, int levels, double (*exact)(double x, double m, double t))
{
    struct function f = open_function(params, weights, kind);
    double worst = 0.0;
    for (int l = 0; l < levels; l++) {
        const double sigma = cm_sigma_at(&schedule, (double)l / (of_levels - 1));
        float *px = cm_plan_data(f.plan, f.x);
        draw(2, (uint32_t)l, sqrt(S * S + sigma * sigma), POINTS, px);
        const float *got = evaluate(&f, sigma);
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
    close_function(&f);
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

/* What the Euler steps of the teacher of the first stage from level i to j of their grid multiply
 * x - m by. */
static double product(int i, int j)
{
    double all = 1.0;
    for (; i < j; i++) {
        const double t = cm_sigma_at(&schedule, (double)i / (2 * FIRST)),
                     t2 = cm_sigma_at(&schedule, (double)(i + 1) / (2 * FIRST));
        all *= 1.0 + (t2 - t) / t * (1.0 - S * S / (S * S + t * t));
    }
    return all;
}

static int student_steps;

/* x^ of the student of so many steps: x - t (x_t2 - x)/(t2 - t) */
static double exact_student(double x, double m, double t)
{
    const int each = 2 * FIRST / student_steps;
    int i = 0;
    while (cm_sigma_at(&schedule, (double)i / student_steps) > 1.001 * t)
        i++;
    const double t2 = cm_sigma_at(&schedule, (double)(i + 1) / student_steps);
    return x - t * (product(i * each, (i + 1) * each) - 1.0) * (x - m) / (t2 - t);
}

/* RMS of what Euler's steps of the student lead to, against a factor of x_T - m, relative to s. */
static double sampled_error(cm_params *params, float *weights, double factor)
{
    struct function f = open_function(params, weights, &cm_precondition_edm);
    static float first[POINTS * DIM];
    float *x = cm_plan_data(f.plan, f.x);
    double sum = 0.0;
    draw(3, 0, sqrt(S * S + schedule.sigma_max * schedule.sigma_max), POINTS, first);
    memcpy(x, first, sizeof first);
    for (int i = 0; i < student_steps; i++) {
        const double t = cm_sigma_at(&schedule, (double)i / student_steps),
                     t2 = cm_sigma_at(&schedule, (double)(i + 1) / student_steps);
        const float *D = evaluate(&f, t);
        for (int k = 0; k < POINTS * DIM; k++)
            x[k] += (float)((t2 - t) / t) * (x[k] - D[k]);
    }
    for (int k = 0; k < POINTS * DIM; k++) {
        const double m = (double)mean[k % DIM],
                     e = (double)x[k] - m - factor * ((double)first[k] - m);
        sum += e * e;
    }
    close_function(&f);
    return sqrt(sum / (POINTS * DIM)) / S;
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

/* In continuous time, from the teacher's weights.  With stop-gradient it comes near more slowly
 * (after 6,000 steps 0.04 and 0.05 s are left): what is learned near sigma_min reaches large levels
 * through the tangent alone. */
static void check_continuous(const char *method, const char *stop, int64_t steps, cm_params *params,
                             const float *teacher)
{
    const size_t bytes = cm_params_floats(params) * sizeof(float);
    float *weights = cm_alloc_array(cm_params_floats(params), sizeof *weights);
    struct run r = {0};
    make_run(&r, method, 40);
    snprintf(r.settings.options.stop_gradient, sizeof r.settings.options.stop_gradient, "%s", stop);
    r.settings.options.lr = 1e-3;
    r.settings.options.steps = steps;
    step_settings_resolve(&r.settings);
    memcpy(weights, teacher, bytes);
    train(&r, params, teacher, weights);
    const double e = worst_error(params, weights, &cm_precondition_skip, 37, 37, exact_consistency);
    printf("    %s, stop-gradient %s: worst RMS error %.4f s\n", method, stop, e);
    CHECK(e < 0.03, "%s, stop-gradient %s: worst RMS error %.4f s, expected below 0.03", method,
          stop, e);
    cm_free(weights);
}

/* Students of 4, 2 and 1 steps against both closed forms: the Euler steps that were distilled, and
 * the ODE, from which 2 FIRST of them are 2.4% off. */
static void progressive(cm_params *params, const float *teacher, float *weights)
{
    struct run pd = {0};
    const size_t floats = cm_params_floats(params);
    make_run(&pd, "pd", FIRST);
    pd.ema = 0.0;
    pd.settings.options.steps = 9000;
    step_settings_resolve(&pd.settings);
    for (int i = 0; i < STAGES; i++)
        pd.students[i] = i + 1 < STAGES ? cm_alloc_array(floats, sizeof(float)) : weights;
    train(&pd, params, teacher, weights);
    for (int i = STAGES - 3; i < STAGES; i++) {
        student_steps = FIRST >> i;
        const double high = schedule.sigma_max, ode = sqrt((S * S + 4e-6) / (S * S + high * high)),
                     D = worst_error(params, pd.students[i], &cm_precondition_edm,
                                     student_steps + 1, student_steps, exact_student),
                     euler = sampled_error(params, pd.students[i], product(0, 2 * FIRST)),
                     all = sampled_error(params, pd.students[i], ode);
        printf("    PD, %d steps: RMS errors %.4f s of D, %.4f s of samples, %.4f s of the ODE\n",
               student_steps, D, euler, all);
        CHECK(D < 0.03 && euler < 0.03, "PD, %d steps: %.4f s and %.4f s, expected below 0.03",
              student_steps, D, euler);
        CHECK(all < 0.05, "PD, %d steps: %.4f s from the ODE, expected below 0.05", student_steps,
              all);
    }
    for (int i = 0; i + 1 < STAGES; i++)
        cm_free(pd.students[i]);
}

static void test_distillation(void)
{
    float *weights, *teacher;
    cm_params *params = new_params(&weights);
    struct run edm, cd;
    make_run(&edm, "edm", 40);
    make_run(&cd, "cd", 40);
    train(&edm, params, NULL, weights);
    const double e = worst_error(params, weights, &cm_precondition_edm, 37, 37, exact_denoiser);
    printf("    teacher: worst RMS error %.4f s\n", e);
    CHECK(e < 0.03, "teacher: worst RMS error %.4f s, expected below 0.03", e);
    teacher = cm_alloc_array(cm_params_floats(params), sizeof(float));
    memcpy(teacher, weights, cm_params_floats(params) * sizeof(float));
    train(&cd, params, teacher, weights);
    const double c = worst_error(params, weights, &cm_precondition_skip, 37, 37, exact_consistency);
    printf("    CD: worst RMS error %.4f s\n", c);
    CHECK(c < 0.03, "CD: worst RMS error %.4f s, expected below 0.03", c);
    check_continuous("cd-continuous", "false", 6000, params, teacher);
    check_continuous("cd-continuous", "true", 24000, params, teacher);
    check_continuous("ct-continuous", "true", 24000, params, teacher);
    memcpy(weights, teacher, cm_params_floats(params) * sizeof(float));
    progressive(params, teacher, weights);
    cm_free(teacher);
    cm_free(weights);
    cm_params_free(params);
}

static void test_training(void)
{
    float *weights;
    cm_params *params = new_params(&weights);
    struct run ct;
    make_run(&ct, "ct", 40);
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
    const double c = worst_error(params, weights, &cm_precondition_skip, 37, 37, exact_consistency);
    printf("    CT: worst RMS error %.4f s\n", c);
    CHECK(c < 0.03, "CT: worst RMS error %.4f s, expected below 0.03", c);
    cm_free(weights);
    cm_params_free(params);
}

static const check_test tests[] = {
    {"gaussian data: teacher, CD and PD reach the closed form", test_distillation},
    {"gaussian data: consistency training reaches the closed form", test_training},
};

CHECK_MAIN(tests)
