/* test_step.c - a training step in parts: the loss, the gradient and the updated
 * weights are those of the whole batch, up to the order of sums, for every method
 * and with dropout, whose masks belong to samples of the batch. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "train/step.h"

enum { BATCH = 12 };

static const cm_net_config net = {.type = CM_NET_ADM,
                                  .image_size = 8,
                                  .in_channels = 2,
                                  .out_channels = 2,
                                  .model_channels = 32,
                                  .num_res_blocks = 1,
                                  .n_levels = 2,
                                  .channel_mult = {1, 1},
                                  .n_attention = 1,
                                  .attention_resolutions = {2},
                                  .num_classes = 3,
                                  .num_heads = 2,
                                  .use_scale_shift_norm = 1,
                                  .dropout = 0.2};

static cm_train_step *step_new(cm_params *params, cm_method method, int parts)
{
    const cm_step_config c = {.method = method,
                              .net = &net,
                              .params = params,
                              .schedule = CM_NOISE_SCHEDULE_DEFAULT,
                              .teacher_schedule = CM_NOISE_SCHEDULE_DEFAULT,
                              .boundary = CM_PRECOND_SKIP,
                              .weighting = CM_WEIGHTING_UNIFORM,
                              .distance = CM_DISTANCE_L2,
                              .solver = CM_SOLVER_HEUN,
                              .p_mean = -1.2,
                              .p_std = 1.2,
                              .optimizer = {0.9f, 0.999f, 1e-8f, 0.0f},
                              .n_ema = 1,
                              .ema_rate = {0.9},
                              .batch = BATCH,
                              .parts = parts,
                              .dtype = CM_F32,
                              .threads = 2};
    cm_error err = {0};
    cm_train_step *s = NULL;
    if (!CHECK_OK(cm_train_step_new(&c, &s, &err), err))
        return NULL;
    const size_t bytes = s->floats * sizeof(float);
    cm_params_init(params, 5, s->params);
    /* The reference zeroes some layers at first; then little would be compared. */
    for (size_t i = 0; i < s->floats; i++)
        s->params[i] += 0.02f * (cm_uniform(cm_philox(6, (uint32_t)i, 0, 0, 0).v[0]) - 0.5f);
    float *const copies[] = {s->target, s->teacher, s->ema[0]};
    for (int i = 0; i < 3; i++)
        if (copies[i])
            memcpy(copies[i], s->params, bytes);
    for (size_t i = 0; i < BATCH * s->image; i++)
        s->x[i] = 2.0f * cm_uniform(cm_philox(7, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f;
    for (int i = 0; i < BATCH; i++)
        s->y[i] = i % 3;
    s->rng[0] = 11;
    s->hyper[0] = 1e-3f;
    s->hyper[1] = 1.0f;
    if (s->scales) {
        *s->scales = 18.0f;
        *s->mu = 0.9f;
    }
    return s;
}

/* The largest difference, relative to the largest number. */
static double distance(const float *a, const float *b, size_t n)
{
    double most = 0, size = 1e-30;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)a[i]));
    }
    return most / size;
}

static void check_parts(cm_method method, int parts)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_params_new(&net, &params, &err), err);
    cm_train_step *whole = step_new(params, method, 1), *split = step_new(params, method, parts);
    for (int k = 0; k < 2 && whole && split; k++) { /* the second with moved weights */
        whole->rng[2] = split->rng[2] = k;
        cm_train_step_run(whole);
        cm_train_step_run(split);
        const double loss = fabs((double)*whole->loss - (double)*split->loss);
        CHECK(*whole->loss > 0 && loss <= 1e-5 * (double)*whole->loss,
              "%d parts, step %d: loss %g, whole %g", parts, k, (double)*split->loss,
              (double)*whole->loss);
        /* Later gradients are of weights that already differ in their last bits. */
        const double tol = k ? 1e-3 : 2e-5, d = distance(whole->grad, split->grad, whole->floats);
        CHECK(d <= tol, "%d parts, step %d: gradients differ by %g", parts, k, d);
    }
    cm_train_step_free(whole);
    cm_train_step_free(split);
    cm_params_free(params);
}

static void test_edm(void)
{
    check_parts(CM_METHOD_EDM, 3);
}

static void test_cd(void)
{
    check_parts(CM_METHOD_CD, 2);
}

static void test_ct(void)
{
    check_parts(CM_METHOD_CT, 12);
}

static const check_test tests[] = {
    {"edm in parts", test_edm}, {"cd in parts", test_cd}, {"ct in parts", test_ct}};

CHECK_MAIN(tests)
