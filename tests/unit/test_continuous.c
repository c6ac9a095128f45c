/* test_continuous.c - the losses in continuous time on Gaussian data in closed form, in double: a
 * network that gives 0 is, in EDM's wrapper, the denoiser of N(0, sigma_data^2); a student that
 * gives b is f(x,t) = c_skip(t) x + c_out(t) b.  From sigma_min on, where c_out begins at 0 and the
 * weight is largest.  And what stop-gradient changes, which levels a run draws, and what bf16 does.
 * Their limits are in test_continuous_limit.c. */
#include "continuous_loss.h"

/* With stop-gradient the number is the same, and the gradient another. */
static void test_stop_gradient(void)
{
    result a = evaluate((loss_case){"cd-continuous", "l2", 0, 1.0, 0.0, CM_F32}),
           b = evaluate((loss_case){"cd-continuous", "l2", 1, 1.0, 0.0, CM_F32});
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

/* The loss of sample n, and the gradient of the mean in the bias of each channel; and by how much
 * rounding of x - D to a unit of x in the last place moves each at most: at small t a denoiser
 * returns nearly x, and dx/dt is what is left of the two over t. */
typedef struct closed_form {
    double loss[N], bias[CHANNELS], loss_slack[N], bias_slack[CHANNELS];
} closed_form;

/* b: what the network gives in each channel. */
static closed_form gaussian(const loss_case *k, const double *b)
{
    closed_form f = {.loss = {0}};
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
        const double g = skip_slope * x + skip * slope + out_slope * b[i % CHANNELS];
        const double of_b = w * (k->stop ? out : out_slope) / IMAGE / N;
        const double e = trains ? 0.0 : ldexp(fabs(x), -23) / k->t;
        f.loss[i / IMAGE] += w * (is_l1 ? fabs(g) : g * g) / IMAGE;
        f.loss_slack[i / IMAGE] += w * (is_l1 ? e : 2.0 * fabs(g) * e + e * e) / IMAGE;
        f.bias[i % CHANNELS] += of_b * (is_l1 ? (g > 0) - (g < 0) : 2.0 * g);
        f.bias_slack[i % CHANNELS] += of_b * 2.0 * (is_l1 ? fabs(g) < e : e);
    }
    return f;
}

static void check_gaussian(loss_case k, const double *b)
{
    const cm_param *bias = cm_params_find(params, "out.2.bias");
    for (int i = 0; i < CHANNELS; i++)
        weights[bias->offset + (size_t)i] = (float)b[i];
    const closed_form want = gaussian(&k, b);
    result r = evaluate(k);
    double size = 0.0;
    for (int i = 0; i < N; i++)
        CHECK(fabs((double)r.loss[i] - want.loss[i]) < 2e-5 * want.loss[i] + want.loss_slack[i],
              "%s, %s, t %g: loss %.9g, expected %.9g", k.method, k.norm, k.t, (double)r.loss[i],
              want.loss[i]);
    for (int i = 0; i < CHANNELS; i++)
        size = fmax(size, fabs(want.bias[i]));
    for (int i = 0; i < CHANNELS; i++) {
        const double got = (double)r.grad[bias->offset + (size_t)i];
        CHECK(fabs(got - want.bias[i]) <= 1e-4 * size + want.bias_slack[i],
              "%s, %s, stop %d, t %g: gradient %.9g, expected %.9g", k.method, k.norm, k.stop, k.t,
              got, want.bias[i]);
    }
    cm_free(r.grad);
}

static void check_level(double t, const double *b)
{
    static const char *const norms[] = {"l1", "l2"};
    for (int i = 0; i < 2; i++) {
        check_gaussian((loss_case){"cd-continuous", norms[i], 0, t, 0.0, CM_F32}, b);
        check_gaussian((loss_case){"cd-continuous", norms[i], 1, t, 0.0, CM_F32}, b);
        check_gaussian((loss_case){"ct-continuous", norms[i], 1, t, 0.0, CM_F32}, b);
    }
}

/* The teacher's network gives 0. */
static void test_gaussian(void)
{
    static const double levels[] = {0.002, 0.0021, 0.003, 0.05, 0.5, 20.0},
                        b[][CHANNELS] = {{0.0, 0.0}, {0.3, -0.2}};
    make_weights();
    float *const kept[] = {weights, teacher};
    weights = cm_alloc_array(cm_params_floats(params), sizeof *weights); /* zeroed */
    teacher = cm_alloc_array(cm_params_floats(params), sizeof *teacher);
    for (int l = 0; l < 6; l++)
        for (int i = 0; i < 2; i++)
            check_level(levels[l], b[i]);
    cm_free(weights);
    cm_free(teacher);
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
            loss_case k = {"cd-continuous", "l2", stop, (double[]){0.1, 1.0, 20.0}[l], 0.0, CM_F32};
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
    {"stop-gradient changes the gradient alone", test_stop_gradient},
    {"the levels that a run draws", test_draws},
    {"gaussian data: the closed form", test_gaussian},
    {"in bf16", test_bf16},
};

CHECK_MAIN(tests)
