/* test_continuous.c - the losses in continuous time against what they are the limits of.
 *
 * With t2 = t - h and the same weights on both sides, a discrete loss over h^p, p the power of the
 * distance, tends to the continuous one as h falls, and its gradient with it: without
 * stop-gradient that through both sides over h^p, with it that through the student over h^(p-1)
 * (Consistency Models, appendix B, theorems 3 to 6).  The error is of order h: halving h halves
 * it.  Shown for a U-Net with dropout and attention, and of distances that look through a network
 * for a small classifier and for VGG16.
 *
 * And on Gaussian data in closed form, in double: a network that gives 0 is, in EDM's wrapper, the
 * denoiser of N(0, sigma_data^2), and in the student's f(x,t) = c_skip(t) x; with b the bias of
 * the output, f = c_skip x + c_out b. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "golden/feature_weights.h"
#include "nn/features/vgg.h"
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

enum checked { BOTH, LOSS, GRADIENT };

typedef struct loss_case {
    const char *method, *norm;
    int stop;
    double t, h; /* h 0: in continuous time */
    cm_dtype dtype;
    /* Of check_limit: times that its steps are halved, and what has the limit. */
    int finer;
    enum checked checked;
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

/* ---- the limit ---- */

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

/* The power of a distance; pseudo-huber's c is scaled with h. */
static int power(const char *norm)
{
    return !strcmp(norm, "l1") || !strcmp(norm, "pseudo-huber") ? 1 : 2;
}

typedef struct error {
    double loss, grad; /* relative, of what is at h */
} error;

static error error_at(loss_case k, double h, const result *want)
{
    const int p = power(k.norm);
    const size_t n = cm_params_floats(params);
    k.h = h;
    result r = evaluate(k);
    const error e = {distance(r.loss, pow(h, -p), want->loss, (size_t)images),
                     distance(r.grad, pow(h, k.stop ? 1 - p : -p), want->grad, n)};
    cm_free(r.grad);
    return e;
}

/* Errors at t/512, t/1024 and t/2048, where the angle of the time embedding, 250 ln t, moves by
 * less than one: each half of the one before.  Of l1 the slope and the gradient jump where a
 * sign does, so that its error, of as many elements as have a small tangent, is less even. */
static void check_limit(loss_case k)
{
    const result want = evaluate(k);
    const int jumps = !strcmp(k.norm, "l1");
    error last = {0};
    for (int i = 9; i <= 11; i++) {
        const error e = error_at(k, ldexp(k.t, -i - k.finer), &want);
        const double loss = last.loss / e.loss, grad = last.grad / e.grad;
        if (i > 9) {
            CHECK(k.checked == GRADIENT ||
                      (loss > (jumps ? 1.3 : 1.7) && loss < (jumps ? 3.0 : 2.4)),
                  "%s, %s, stop %d, t %g: the loss errs by %g, then %g", k.method, k.norm, k.stop,
                  k.t, last.loss, e.loss);
            CHECK(k.checked == LOSS || (grad > (jumps ? 1.1 : 1.7) && grad < (jumps ? 4.0 : 2.4)),
                  "%s, %s, stop %d, t %g: the gradient errs by %g, then %g", k.method, k.norm,
                  k.stop, k.t, last.grad, e.grad);
        }
        last = e;
    }
    CHECK((k.checked == GRADIENT || last.loss < 0.1) &&
              (k.checked == LOSS || last.grad < (jumps ? 0.3 : 0.1)),
          "errors of %g and %g", last.loss, last.grad);
    printf("    %s, %s, stop-gradient %d, t %g: errors at t/%d: %.2g, of the gradient %.2g\n",
           k.method, k.norm, k.stop, k.t, 1 << (11 + k.finer), last.loss, last.grad);
    cm_free(want.grad);
}

static void check_limits(const char *method, int stop)
{
    static const char *const norms[] = {"l1", "l2", "l2-32", "pseudo-huber"};
    static const double levels[] = {0.1, 1.0, 20.0};
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < 3; l++)
            check_limit((loss_case){method, norms[i], stop, levels[l], 0.0, CM_F32, 0, BOTH});
}

static void test_distillation(void)
{
    check_limits("cd-continuous", 0);
}

static void test_distillation_stopped(void)
{
    check_limits("cd-continuous", 1);
}

static void test_training(void)
{
    check_limits("ct-continuous", 1);
}

/* ---- distances that look through a network ---- */

static void look_through(cm_status (*make)(cm_params **, cm_error *))
{
    cm_error err = {0};
    cm_free(judge);
    cm_params_free(judge_params);
    judge = NULL;
    judge_params = NULL;
    if (make && CHECK_OK(make(&judge_params, &err), err))
        judge = feature_weights(judge_params);
}

static cm_status classifier_params(cm_params **out, cm_error *err)
{
    return cm_net_params_new(&convnet, out, err);
}

/* Its activations are SiLU: nothing jumps.  At t = 20 the second power of h still shows at
 * t/512, so that steps begin one finer. */
static void test_features(void)
{
    static const double levels[] = {0.1, 1.0, 20.0};
    look_through(classifier_params);
    for (int l = 0; l < 3; l++) {
        loss_case k = {"cd-continuous", "features", 0, levels[l], 0.0, CM_F32, l == 2, BOTH};
        check_limit(k);
        k.stop = 1;
        check_limit(k);
        k.method = "ct-continuous";
        check_limit(k);
    }
    look_through(NULL);
}

static void change_network(int n, int channels)
{
    images = n;
    unet.in_channels = unet.out_channels = channels;
    cm_free(weights);
    cm_free(teacher);
    cm_params_free(params);
    weights = teacher = NULL;
    params = NULL;
}

/* Kernels of positive numbers whose sums are about 1, and a first layer lifted above 0: then no
 * relu is ever at its corner. */
static void lift_above_relu(void)
{
    for (int k = 0; k < cm_params_size(judge_params); k++) {
        const cm_param *p = cm_params_at(judge_params, k);
        const size_t n = (size_t)cm_type_count(&p->type), row = n / (size_t)p->type.dim[0];
        const int kernel = p->type.rank > 1;
        const float lift = strcmp(p->name, "features.0.bias") ? 0.0f : 6.0f;
        for (size_t i = p->offset; !is_linear(p) && i < p->offset + n; i++) {
            const float w = fabsf(judge[i]), u = w * sqrtf((float)row / 6.0f);
            judge[i] = kernel ? 5.0f * u * u * u * u / (float)row : w + lift;
        }
    }
}

/* At 224 x 224 a case costs seconds, so one gray image at one level.
 *
 * Without stop-gradient only the loss has the continuous one as its limit.  Where a relu is within
 * h of its corner its slope differs between the two sides by 1 and not by order h: such a value
 * counts 1/h in the gradient, and a share h of all is so.  What these add up to is no part of the
 * gradient as rules of derivatives have it, here and in the authors' code; as few values are hit,
 * it even grows as h falls (0.46, 0.45 and 0.67 of the gradient).
 *
 * Away from corners the gradient has its limit.  There the loss is not looked at: the deep layers
 * of such kernels see nearly the same in all images, and their rounding, over h^2, is 4 times as
 * large at each halving. */
static void test_lpips(void)
{
    loss_case k = {"cd-continuous", "lpips", 1, 1.0, 0.0, CM_F32, 0, BOTH};
    look_through(cm_lpips_params);
    change_network(1, 1);
    check_limit(k);
    k.stop = 0;
    k.checked = LOSS;
    check_limit(k);
    k.checked = GRADIENT;
    lift_above_relu();
    check_limit(k);
    change_network(N, CHANNELS);
    look_through(NULL);
}

/* With stop-gradient the number is the same, and the gradient another. */
static void test_stop_gradient(void)
{
    result a = evaluate((loss_case){"cd-continuous", "l2", 0, 1.0, 0.0, CM_F32, 0, BOTH}),
           b = evaluate((loss_case){"cd-continuous", "l2", 1, 1.0, 0.0, CM_F32, 0, BOTH});
    CHECK(distance(a.loss, 1.0, b.loss, N) < 1e-5, "losses differ");
    CHECK(distance(a.grad, 1.0, b.grad, cm_params_floats(params)) > 0.1, "gradients are equal");
    cm_free(a.grad);
    cm_free(b.grad);
}

/* ---- what the records draw ---- */

/* t = (sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho in double, and z. */
static void check_draws(const char *method)
{
    cm_error err = {0};
    cm_plan *plan = NULL;
    builder b = {.c.g = cm_graph_new()};
    step_settings o;
    float u[N], t[N], record[N], given[N];
    const double top = pow(80.0, 1.0 / 7.0), bottom = pow(0.002, 1.0 / 7.0);
    make_weights();
    step_settings_make(&o, method, N);
    cm_graph *g = b.c.g;
    cm_node *level = cm_input(g, "t", CM_TYPE(CM_F32, N)), *out[4];
    out[3] = build(&b, &(loss_case){.method = method, .stop = 1, .t = 1.0}, &o); /* reads z */
    out[0] = o.settings.objective->loss(&b.c);
    out[1] = cm_loss_continuous(&b.c, cm_normal(g, b.rng, *cm_node_type(b.c.x0), CM_STREAM_NOISE),
                                level);
    out[2] = cm_random_uniform(g, b.rng, CM_TYPE(CM_F32, N), CM_STREAM_SIGMA);
    if (CHECK_OK(cm_plan_compile(g, 4, out, cm_cpu_device(), 1, &plan, &err), err)) {
        run(&b, plan);
        cm_plan_read(plan, out[2], u);
        for (int i = 0; i < N; i++)
            t[i] = (float)pow(top + (double)u[i] * (bottom - top), 7.0);
        cm_plan_write(plan, level, t);
        run(&b, plan);
        cm_plan_read(plan, out[0], record);
        cm_plan_read(plan, out[1], given);
        for (int i = 0; i < N; i++)
            CHECK(fabsf(record[i] - given[i]) <= 1e-3f * given[i],
                  "%s, t %g: loss %.7g, expected %.7g", method, (double)t[i], (double)record[i],
                  (double)given[i]);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
}

static void test_draws(void)
{
    check_draws("cd-continuous");
    check_draws("ct-continuous");
}

/* ---- Gaussian data ---- */

static const double SIGMA_MIN = 0.002, D2 = 0.25;

/* c_skip and c_out of the student at t, and their slopes */
static void coefficients(double t, double *skip, double *skip_slope, double *out, double *out_slope)
{
    const double u = t - SIGMA_MIN, q = u * u + D2, r = t * t + D2;
    *skip = D2 / q;
    *skip_slope = -2.0 * D2 * u / (q * q);
    *out = 0.5 * u / sqrt(r);
    *out_slope = 0.5 / sqrt(r) - 0.5 * u * t / (r * sqrt(r));
}

/* The loss of sample n, and the gradient of the mean in the bias of each channel. */
typedef struct closed_form {
    double loss[N], bias[CHANNELS];
} closed_form;

static closed_form gaussian(const loss_case *k)
{
    closed_form f = {{0}, {0}};
    float x0[N * IMAGE], z[N * IMAGE];
    double skip, skip_slope, out, out_slope;
    const double w = 1.0 / (k->t * k->t) + 1.0 / D2;
    const int is_l1 = !strcmp(k->norm, "l1"), trains = !strncmp(k->method, "ct", 2);
    coefficients(k->t, &skip, &skip_slope, &out, &out_slope);
    normals(1, 0.5f, x0, N * IMAGE);
    normals(2, 1.0f, z, N * IMAGE);
    for (int i = 0; i < N * IMAGE; i++) {
        const double x = (double)x0[i] + k->t * (double)z[i];
        const double slope = trains ? (double)z[i] : k->t * x / (k->t * k->t + D2);
        const double g = skip_slope * x + skip * slope;
        f.loss[i / IMAGE] += w * (is_l1 ? fabs(g) : g * g) / IMAGE;
        f.bias[i % CHANNELS] +=
            w * (is_l1 ? (g > 0) - (g < 0) : 2.0 * g) * (k->stop ? out : out_slope) / IMAGE / N;
    }
    return f;
}

static void check_gaussian(loss_case k)
{
    const closed_form want = gaussian(&k);
    result r = evaluate(k);
    const cm_param *bias = cm_params_find(params, "out.2.bias");
    double size = 0.0;
    for (int i = 0; i < N; i++)
        CHECK(fabs((double)r.loss[i] / want.loss[i] - 1.0) < 2e-5,
              "%s, %s, t %g: loss %.9g, expected %.9g", k.method, k.norm, k.t, (double)r.loss[i],
              want.loss[i]);
    for (int i = 0; i < CHANNELS; i++)
        size = fmax(size, fabs(want.bias[i]));
    for (int i = 0; i < CHANNELS; i++) {
        const double got = (double)r.grad[bias->offset + (size_t)i];
        CHECK(fabs(got - want.bias[i]) < 1e-4 * size,
              "%s, %s, stop %d, t %g: gradient %.9g, expected %.9g", k.method, k.norm, k.stop, k.t,
              got, want.bias[i]);
    }
    cm_free(r.grad);
}

static void test_gaussian(void)
{
    static const double levels[] = {0.05, 0.5, 20.0};
    make_weights();
    float *const kept[] = {weights, teacher};
    weights = teacher = cm_alloc_array(cm_params_floats(params), sizeof *weights); /* zeroed */
    for (int l = 0; l < 3; l++)
        for (int l1 = 0; l1 < 2; l1++) {
            const char *norm = l1 ? "l1" : "l2";
            check_gaussian((loss_case){"cd-continuous", norm, 0, levels[l], 0.0, CM_F32, 0, BOTH});
            check_gaussian((loss_case){"cd-continuous", norm, 1, levels[l], 0.0, CM_F32, 0, BOTH});
            check_gaussian((loss_case){"ct-continuous", norm, 1, levels[l], 0.0, CM_F32, 0, BOTH});
        }
    cm_free(weights);
    weights = kept[0];
    teacher = kept[1];
}

/* ---- bf16 ---- */

/* What storage of 8 bits does to the tangent of a network: printed, and bounded. */
static void test_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    for (int stop = 0; stop < 2; stop++)
        for (int l = 0; l < 3; l++) {
            loss_case k = {"cd-continuous", "l2", stop, (double[]){0.1, 1.0, 20.0}[l], 0.0,
                           CM_F32,          0,    BOTH};
            result a = evaluate(k);
            k.dtype = CM_BF16;
            result b = evaluate(k);
            const double loss = distance(b.loss, 1.0, a.loss, N),
                         grad = distance(b.grad, 1.0, a.grad, cm_params_floats(params));
            printf(
                "    stop-gradient %d, t %g: bf16 moves the loss by %.2g, the gradient by %.2g\n",
                stop, k.t, loss, grad);
            CHECK(loss < 0.05 && grad < 0.1, "bf16 moves the loss by %g, the gradient by %g", loss,
                  grad);
            cm_free(a.grad);
            cm_free(b.grad);
        }
}

static const check_test tests[] = {
    {"distillation: the limit of the discrete loss and gradient", test_distillation},
    {"distillation with stop-gradient: the limit likewise", test_distillation_stopped},
    {"training: the limit likewise", test_training},
    {"in a classifier's features: the limit likewise", test_features},
    {"in LPIPS: the limit likewise", test_lpips},
    {"stop-gradient changes the gradient alone", test_stop_gradient},
    {"the levels that a run draws", test_draws},
    {"gaussian data: the closed form", test_gaussian},
    {"in bf16", test_bf16},
};

CHECK_MAIN(tests)
