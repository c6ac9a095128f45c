/* continuous_loss.h - one loss in continuous time, or the discrete one with t2 = t - h, with its
 * gradient in the weights of a small U-Net with dropout and attention */
#ifndef CM_TESTS_CONTINUOUS_LOSS_H
#define CM_TESTS_CONTINUOUS_LOSS_H

#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "golden/feature_weights.h"
#include "step_settings.h"

enum { N = 4, SIDE = 8, CHANNELS = 2, IMAGE = SIDE * SIDE * CHANNELS, MOST_PARAMS = 400 };

static cm_net_config unet = {.arch = &cm_arch_adm,
                             .height = SIDE,
                             .width = SIDE,
                             .in_channels = CHANNELS,
                             .out_channels = CHANNELS,
                             .time_input = &cm_time_log250,
                             .dropout = 0.2,
                             .of.adm = {.model_channels = 32,
                                        .num_res_blocks = 1,
                                        .n_levels = 2,
                                        .channel_mult = {1, 1},
                                        .n_attention = 1,
                                        .attention_resolutions = {2},
                                        .num_heads = 2,
                                        .use_scale_shift_norm = 1}};

static const cm_net_config convnet = {.arch = &cm_arch_convnet,
                                      .height = SIDE,
                                      .width = SIDE,
                                      .in_channels = CHANNELS,
                                      .out_channels = CHANNELS,
                                      .num_classes = 3,
                                      .time_input = &cm_time_log250,
                                      .of.convnet = {8, 2, 2, {1, 2}}};

typedef struct loss_case {
    const char *method, *norm;
    int stop;
    double t, h; /* h 0: in continuous time */
    cm_dtype dtype;
} loss_case;

typedef struct result {
    float loss[N];
    float *grad; /* of the mean, in the layout of the parameters */
} result;

static cm_params *params, *judge_params; /* of the network that the distance looks through */
static float *weights, *teacher, *judge;
static int images = N;

static float uniform(uint32_t stream, size_t i)
{
    return 2.0f * cm_uniform(cm_philox(9, (uint32_t)i, stream, 0, 0).v[0]) - 1.0f;
}

static void normals(uint32_t stream, float std, float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        cm_normal4(cm_philox(31, (uint32_t)(i / 4), stream, 0, 0), x + i);
        for (size_t k = i; k < i + 4; k++)
            x[k] *= std;
    }
}

static void make_weights(void)
{
    cm_error err = {0};
    if (params)
        return;
    CHECK_OK(cm_net_params_new(&unet, &params, &err), err);
    const size_t n = cm_params_floats(params);
    weights = cm_alloc_array(n, sizeof *weights);
    teacher = cm_alloc_array(n, sizeof *teacher);
    cm_params_init(params, 5, weights);
    cm_params_init(params, 6, teacher);
    /* The first weights of some layers are zero; then little would be compared. */
    for (size_t i = 0; i < n; i++) {
        weights[i] += 0.05f * uniform(1, i);
        teacher[i] += 0.05f * uniform(2, i);
    }
}

/* ---- one loss, with its gradient ---- */

typedef struct builder {
    cm_loss_context c;
    cm_net student, target, teacher, judge;
    cm_node *z, *rng;
} builder;

static cm_net net_of(builder *b, cm_dtype dtype)
{
    cm_net net = cm_net_new(b->c.g, params, cm_graph_buffer(b->c.g, "params", 0), dtype);
    net.rng = b->rng; /* the same masks everywhere but in the teacher */
    net.stream = CM_STREAM_DROPOUT;
    return net;
}

static cm_node *build(builder *b, const loss_case *k, const step_settings *o)
{
    const cm_objective_settings *s = &o->settings;
    cm_graph *g = b->c.g;
    const cm_type image = CM_TYPE(CM_F32, images, SIDE, SIDE, unet.in_channels);
    b->c.settings = s;
    b->c.x0 = cm_input(g, "x0", image);
    b->z = cm_input(g, "z", image);
    b->rng = b->c.rng = cm_input(g, "rng", CM_TYPE(CM_I32, 4));
    b->student = net_of(b, k->dtype);
    b->target = net_of(b, k->dtype);
    b->teacher = net_of(b, k->dtype);
    b->teacher.rng = NULL;
    b->c.student = (cm_denoiser){&b->student, &unet, s->precondition, &s->schedule, NULL};
    b->c.target = b->c.student;
    if (k->stop)
        b->c.target.net = &b->target;
    if (s->objective->needs_teacher)
        b->c.teacher = (cm_denoiser){&b->teacher, &unet, &cm_precondition_edm, &s->schedule, NULL};
    if (s->distance->frozen) {
        b->judge =
            cm_net_new(g, judge_params, cm_graph_buffer(g, "judge", CM_BUFFER_CONST), CM_F32);
        b->c.frozen = (cm_frozen){&b->judge, &convnet};
    }
    cm_node *t = cm_affine(g, cm_input(g, "0", CM_TYPE(CM_F32, images)), 0.0f, (float)k->t);
    return k->h > 0.0 ? cm_loss_consistency(&b->c, b->z, t, cm_affine(g, t, 1.0f, -(float)k->h))
                      : cm_loss_continuous(&b->c, b->z, t);
}

static void run(const builder *b, cm_plan *plan)
{
    float x[N * IMAGE];
    const int32_t rng[4] = {3, 1, 4, 0};
    cm_plan_bind(plan, b->student.buffer, weights);
    cm_plan_bind(plan, b->target.buffer, weights);
    cm_plan_bind(plan, b->teacher.buffer, teacher);
    if (b->c.frozen.net)
        cm_plan_bind(plan, b->judge.buffer, judge);
    normals(1, 0.5f, x, N * IMAGE);
    cm_plan_write(plan, b->c.x0, x);
    normals(2, 1.0f, x, N * IMAGE);
    cm_plan_write(plan, b->z, x);
    cm_plan_write(plan, b->rng, rng);
    cm_plan_run(plan);
}

/* of pseudo-huber, at h = 1 */
static const double HUBER_C = 2.0;

static result evaluate(loss_case k)
{
    cm_error err = {0};
    cm_plan *plan = NULL;
    builder b = {.c.g = cm_graph_new()};
    step_settings o;
    cm_node *out[1 + MOST_PARAMS], *dx[MOST_PARAMS];
    make_weights();
    const int n = cm_params_size(params);
    result r = {.grad = cm_alloc_array(cm_params_floats(params), sizeof(float))};
    cm_assert(n <= MOST_PARAMS);
    step_settings_make(&o, k.method, images);
    snprintf(o.options.loss_norm, sizeof o.options.loss_norm, "%s", k.norm);
    snprintf(o.options.stop_gradient, sizeof o.options.stop_gradient, k.stop ? "true" : "false");
    snprintf(o.options.weighting, sizeof o.options.weighting, "karras");
    o.options.huber_c = HUBER_C * (k.h > 0.0 ? k.h : 1.0);
    step_settings_resolve(&o);
    cm_node *loss = build(&b, &k, &o);
    cm_node *share = cm_affine(b.c.g, loss, 0.0f, 1.0f / (float)images);
    cm_graph_vjp(b.c.g, loss, share, n, b.student.leaf, dx);
    int n_out = 0;
    out[n_out++] = loss;
    for (int i = 0; i < n; i++)
        if (dx[i])
            out[n_out++] = dx[i];
    if (CHECK_OK(cm_plan_compile(b.c.g, n_out, out, cm_cpu_device(), 1, &plan, &err), err)) {
        run(&b, plan);
        cm_plan_read(plan, loss, r.loss);
        for (int i = 0; i < n; i++)
            if (dx[i])
                cm_plan_read(plan, dx[i], r.grad + cm_params_at(params, i)->offset);
    }
    cm_plan_free(plan);
    cm_graph_free(b.c.g);
    return r;
}

/* ---- how far apart ---- */

static double norm(const float *a, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)a[i];
    return sqrt(sum);
}

/* |scale a - b| / |b| */
static double distance(const float *a, double scale, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = scale * (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sqrt(sum) / norm(b, n);
}

#endif
