/* test_bf16_training.c - training in bf16 beside training in f32: the losses of 200
 * steps from the same weights, on the same images with the same noise.
 *
 * The two runs differ by rounding alone, so their losses can be compared step by step,
 * and each run of both sees weights that it moved itself.  What is held to 1% is the
 * mean loss of all steps and of each 50; for EDM and CT, whose losses are sums over a
 * whole image at every level, each single step too.  A single loss of CD may differ by
 * more: it is the mean square of a small difference, to which rounding of both sides
 * adds its own square.
 *
 * The learning rate of CD must be one that is stable in f32: at 1e-3 f32 against f32
 * with weights changed by 2^-9 is 1% apart after 150 steps on these images. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "step_settings.h"

enum { SIDE = 8, BATCH = 16, CLASSES = 3, STEPS = 200, WINDOW = 50 };

static const cm_net_config net = {.arch = &cm_arch_adm,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .in_channels = 1,
                                  .out_channels = 1,
                                  .num_classes = CLASSES,
                                  .time_input = &cm_time_log250,
                                  .of.adm = {.model_channels = 32,
                                             .num_res_blocks = 1,
                                             .n_levels = 2,
                                             .channel_mult = {1, 1},
                                             .n_attention = 1,
                                             .attention_resolutions = {2},
                                             .num_heads = 2,
                                             .use_scale_shift_norm = 1}};

/* How far (i, j) is inside a shape of radius 1 around the origin: a disc, a square,
 * a ring. */
static float inside(int32_t label, float i, float j)
{
    const float r = sqrtf(i * i + j * j);
    return label == 0   ? 1.0f - r
           : label == 1 ? 0.9f - fmaxf(fabsf(i), fabsf(j))
                        : 0.3f - fabsf(r - 0.7f);
}

/* The images of a step: bright shapes with soft edges on black, each with a place and
 * a size of its own. */
static void draw(int step, float *x, int32_t *y)
{
    for (int n = 0; n < BATCH; n++, x += SIDE * SIDE) {
        const cm_philox_block b = cm_philox(41, (uint32_t)n, (uint32_t)step, 0, 0);
        const float size = SIDE * (0.2f + 0.2f * cm_uniform(b.v[0]));
        const float ci = SIDE * (0.4f + 0.2f * cm_uniform(b.v[1]));
        const float cj = SIDE * (0.4f + 0.2f * cm_uniform(b.v[2]));
        y[n] = (int32_t)(b.v[3] % CLASSES);
        for (int p = 0; p < SIDE * SIDE; p++) {
            const float i = ((float)(p / SIDE) + 0.5f - ci) / size;
            const float j = ((float)(p % SIDE) + 0.5f - cj) / size;
            const float v = 0.5f + size * inside(y[n], i, j);
            x[p] = 2.0f * fminf(fmaxf(v, 0.0f), 1.0f) - 1.0f;
        }
    }
}

static cm_train_step *step_new(const char *method, cm_dtype dtype, cm_params *params)
{
    step_settings o;
    step_settings_make(&o, method, BATCH);
    const cm_step_config c = step_settings_config(&o, &net, params, 0.99, dtype, 1);
    cm_error err = {0};
    cm_train_step *s = NULL;
    CHECK_OK(cm_train_step_new(&c, &s, &err), err);
    return s;
}

/* Train from weights, with them as the teacher; loss [STEPS] gets the losses and trained,
 * where not NULL, the last weights. */
static void train(const char *method, cm_dtype dtype, cm_params *params, const float *weights,
                  float *loss, float *trained)
{
    cm_train_step *s = step_new(method, dtype, params);
    if (!s)
        return;
    float *const copies[] = {s->params, s->ema[0], s->target, s->teacher};
    for (int i = 0; i < 4; i++)
        if (copies[i])
            memcpy(copies[i], weights, s->floats * sizeof(float));
    s->rng[0] = 11;
    const int distils = s->teacher != NULL;
    s->hyper[0] = distils ? 3e-4f : 1e-3f;
    for (int k = 0; k < STEPS; k++) {
        draw(k, s->x, s->y);
        s->rng[2] = k;
        s->hyper[1] = (float)(k + 1);
        s->scalars = (cm_step_scalars){.value = {distils ? 18.0 : 10.0}, .mu = 0.95};
        cm_train_step_run(s);
        loss[k] = *s->loss;
    }
    if (trained)
        memcpy(trained, s->params, s->floats * sizeof(float));
    cm_train_step_free(s);
}

/* The relative difference of the means of n losses. */
static double difference(const float *f32, const float *bf16, int n)
{
    double a = 0.0, b = 0.0;
    for (int k = 0; k < n; k++) {
        a += (double)f32[k];
        b += (double)bf16[k];
    }
    return b / a - 1.0;
}

static void compare(const char *name, const float *f32, const float *bf16, double each)
{
    double worst = 0.0, squares = 0.0;
    for (int k = 0; k < STEPS; k++) {
        const double d = difference(f32 + k, bf16 + k, 1);
        worst = fmax(worst, fabs(d));
        squares += d * d;
        CHECK(fabs(d) <= each, "%s, step %d: %.6g in f32, %.6g in bf16", name, k, (double)f32[k],
              (double)bf16[k]);
    }
    const double all = difference(f32, bf16, STEPS);
    printf("    %s: %.4g to %.4g; bf16: mean %+.4f%%, a step %.3f%% (RMS), at most %.2f%%\n", name,
           (double)f32[0], (double)f32[STEPS - 1], 100.0 * all, 100.0 * sqrt(squares / STEPS),
           100.0 * worst);
    CHECK(fabs(all) <= 0.01, "%s: mean losses differ by %.4f", name, all);
    for (int k = 0; k < STEPS; k += WINDOW) {
        const double d = difference(f32 + k, bf16 + k, WINDOW);
        CHECK(fabs(d) <= 0.01, "%s, steps %d to %d: mean losses differ by %.4f", name, k,
              k + WINDOW - 1, d);
    }
}

/* Both types; the f32 run's last weights go to trained. */
static void check_method(const char *method, cm_params *params, const float *weights, double each,
                         float *trained)
{
    float f32[STEPS] = {0}, bf16[STEPS] = {0};
    train(method, CM_F32, params, weights, f32, trained);
    train(method, CM_BF16, params, weights, bf16, NULL);
    compare(method, f32, bf16, each);
}

static void test_losses(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    float *weights = cm_alloc_array(cm_params_floats(params), sizeof(float));
    float *teacher = cm_alloc_array(cm_params_floats(params), sizeof(float));
    cm_params_init(params, 3, weights);
    check_method("edm", params, weights, 0.01, teacher);
    check_method("cd", params, teacher, INFINITY, NULL);
    check_method("ct", params, weights, 0.01, NULL);
    cm_free(weights);
    cm_free(teacher);
    cm_params_free(params);
}

static const check_test tests[] = {
    {"200 steps in bf16: losses within 1% of f32", test_losses},
};

CHECK_MAIN(tests)
