/* test_adm.c - the ADM network against the reference implementation (outputs and
 * gradients), and its two derivative modes against calculus. */
#include "adm_case.h"
#include "cm.h"

#include "scratch.h"

static double forward_error(struct case_ *c)
{
    float *want = network_images(c->io, "out");
    const double e =
        network_error(cm_plan_data(c->plan, c->out), want, cm_type_count(cm_node_type(c->out)));
    cm_free(want);
    return e;
}

/* The largest gradient norm: what the rounding of f32 is relative to.  Some true
 * gradients are exactly zero (a constant added to a channel before a group norm
 * with one channel a group): the reference's rounding and ours both show there. */
static double rounding(const struct case_ *c)
{
    double largest = 0.0;
    for (int i = 0; i < cm_st_count(c->io); i++)
        if (!strncmp(cm_st_at(c->io, i)->name, "gradnorm.", 9)) {
            float *norm = network_read(c->io, cm_st_at(c->io, i)->name, NULL);
            largest = fmax(largest, (double)*norm);
            cm_free(norm);
        }
    return 4.0 * 0x1p-23 * largest;
}

/* Compare one gradient: in full where the golden has it, else norm and sum. */
static void check_gradient(struct case_ *c, const char *name, const float *got, int64_t n,
                           double floor)
{
    char key[300];
    snprintf(key, sizeof key, "grad.%s", name);
    if (cm_st_find(c->io, key)) {
        float *want = network_read(c->io, key, NULL);
        double worst = 0.0, largest = 0.0;
        for (int64_t i = 0; i < n; i++) {
            worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
            largest = fmax(largest, fabs((double)want[i]));
        }
        CHECK(worst <= 1e-3 * largest + floor, "%s: off by %.2g, largest %.2g", key, worst,
              largest);
        cm_free(want);
    }
    snprintf(key, sizeof key, "gradnorm.%s", name);
    float *norm = network_read(c->io, key, NULL);
    snprintf(key, sizeof key, "gradsum.%s", name);
    float *sum = network_read(c->io, key, NULL);
    double s = 0.0, s2 = 0.0;
    for (int64_t i = 0; i < n; i++) {
        s += (double)got[i];
        s2 += (double)got[i] * (double)got[i];
    }
    CHECK(fabs(sqrt(s2) - (double)*norm) <= 1e-3 * (double)*norm + floor, "|grad %s| = %g, want %g",
          name, sqrt(s2), (double)*norm);
    /* A sum of n values of that norm cancels: its error scales with both. */
    CHECK(fabs(s - (double)*sum) <= (1e-3 * (double)*norm + floor) * sqrt((double)n),
          "sum grad %s = %g, want %g", name, s, (double)*sum);
    cm_free(norm);
    cm_free(sum);
}

static void golden(const char *name)
{
    struct case_ c = open_case(name, CM_F32);
    cm_graph_vjp(c.g, c.out, c.dy, c.n_wrt, c.wrt, c.dx);
    cm_node *outputs[2 + MAX_PARAMS] = {c.out};
    for (int i = 0; i < c.n_wrt; i++)
        outputs[1 + i] = c.dx[i];
    compile(&c, 1 + c.n_wrt, outputs);
    feed(&c);
    cm_plan_run(c.plan);
    const double e = forward_error(&c);
    CHECK(e < 1e-4, "out: relative error %.2g", e);
    const int64_t pixels = cm_type_count(cm_node_type(c.x));
    float *want = network_images(c.io, "grad.x");
    const double ex = network_error(cm_plan_data(c.plan, c.dx[0]), want, pixels);
    CHECK(ex < 1e-3, "grad.x: relative error %.2g", ex);
    cm_free(want);
    const double floor = rounding(&c);
    for (int i = 1; i < c.n_wrt; i++) {
        const cm_param *p = cm_params_at(c.net.params, i - 1);
        check_gradient(&c, p->name, cm_plan_data(c.plan, c.dx[i]), cm_type_count(&p->type), floor);
    }
    printf("    %s: out %.1e, grad.x %.1e\n", name, e, ex);
    close_case(&c);
}

/* The same numbers through the public API and files. */
static void check_forward(const char *weights, const char *io, const char *out)
{
    cm_error err = {0};
    cm_st_file *golden_io = network_open(io), *ours = NULL;
    CHECK_OK(cm_forward(weights, NULL, cm_st_path(golden_io), out, "f32", 2, &err), err);
    CHECK_OK(cm_st_open(out, &ours, &err), err);
    if (ours) {
        int64_t n, m;
        float *want = network_read(golden_io, "out", &n), *got = network_read(ours, "out", &m);
        CHECK(n == m && network_error(got, want, n) < 1e-4, "cm_forward differs from %s", io);
        cm_free(want);
        cm_free(got);
    }
    cm_st_close(ours);
    cm_st_close(golden_io);
}

static void forward(const char *io)
{
    network n = network_load(io, FORMULA_STUDENT);
    network_write(&n, in_dir("weights"));
    check_forward(in_dir("weights"), io, in_dir("out"));
    network_free(&n);
}

static void test_forward(void)
{
    forward("adm_imagenet64_like.io.safetensors");
    forward("adm_conv_resample.io.safetensors");
    char weights[512]; /* a file made elsewhere */
    snprintf(weights, sizeof weights, "%s", check_golden("adm_lsun_like.weights.safetensors"));
    check_forward(weights, "adm_lsun_like.io.safetensors", in_dir("out"));
}

/* Every weight of one network, bit for bit. */
static void test_formula(void)
{
    cm_error err = {0};
    network n = network_load("adm_lsun_like.io.safetensors", FORMULA_STUDENT);
    cm_st_file *f = network_open("adm_lsun_like.weights.safetensors");
    const size_t bytes = cm_params_floats(n.params) * sizeof(float);
    float *want = cm_alloc(bytes); /* zeroed, gaps between parameters too */
    CHECK_OK(cm_params_load(n.params, f, want, &err), err);
    CHECK(!memcmp(n.flat, want, bytes), "other weights than those of the reference");
    cm_free(want);
    cm_st_close(f);
    network_free(&n);
}

static void test_imagenet64(void)
{
    golden("adm_imagenet64_like");
}
static void test_lsun(void)
{
    golden("adm_lsun_like");
}
static void test_conv_resample(void)
{
    golden("adm_conv_resample");
}

/* ---- calculus on the whole network ---- */

static uint32_t seed = 7;

static float uniform(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1.0f;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double s = 0.0;
    for (int64_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

/* <dy, J v> three ways, for tangents v of the image, the time and every
 * parameter at once: jvp, vjp, and a central difference. */
static void calculus(const char *name)
{
    struct case_ c = open_case(name, CM_F32);
    cm_node *tangent[2 + MAX_PARAMS], *wrt[2 + MAX_PARAMS], *dx[2 + MAX_PARAMS];
    const int n = c.n_wrt + 1;
    memcpy(wrt, c.wrt, sizeof c.wrt);
    wrt[c.n_wrt] = c.t;
    for (int i = 0; i < n; i++)
        tangent[i] = cm_input(c.g, "tangent", *cm_node_type(wrt[i]));
    cm_node *ydot = cm_graph_jvp(c.g, c.out, n, wrt, tangent);
    cm_graph_vjp(c.g, c.out, c.dy, n, wrt, dx);
    cm_node *outputs[4 + MAX_PARAMS] = {c.out, ydot};
    for (int i = 0; i < n; i++)
        outputs[2 + i] = dx[i];
    compile(&c, 2 + n, outputs);
    feed(&c);
    for (int i = 0; i < n; i++) {
        float *v = cm_plan_data(c.plan, tangent[i]);
        for (int64_t k = 0; k < cm_type_count(cm_node_type(wrt[i])); k++)
            v[k] = uniform() * (i == c.n_wrt ? 1.0f : 0.1f);
    }
    cm_plan_run(c.plan);
    const int64_t m = cm_type_count(cm_node_type(c.out));
    const float *dy = cm_plan_data(c.plan, c.dy);
    const double forward = dot(dy, cm_plan_data(c.plan, ydot), m);
    double reverse = 0.0, value[2];
    for (int i = 0; i < n; i++)
        reverse += dot(cm_plan_data(c.plan, dx[i]), cm_plan_data(c.plan, tangent[i]),
                       cm_type_count(cm_node_type(wrt[i])));
    const float h = 2e-3f;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < n; i++) {
            float *w = cm_plan_data(c.plan, wrt[i]);
            const float *v = cm_plan_data(c.plan, tangent[i]);
            for (int64_t k = 0; k < cm_type_count(cm_node_type(wrt[i])); k++)
                w[k] += (side ? -2 * h : h) * v[k];
        }
        cm_plan_run(c.plan);
        value[side] = dot(dy, cm_plan_data(c.plan, c.out), m);
    }
    const double difference = (value[0] - value[1]) / (2.0 * (double)h);
    printf("    %s: jvp %.6f, vjp %.6f, difference %.6f\n", name, forward, reverse, difference);
    CHECK(fabs(reverse - forward) <= 1e-4 * fabs(forward), "adjoint identity");
    CHECK(fabs(difference - forward) <= 1e-2 * fabs(forward), "central difference");
    close_case(&c);
}

static void test_calculus(void)
{
    calculus("adm_imagenet64_like");
    calculus("adm_lsun_like");
    calculus("adm_conv_resample");
}

static const check_test tests[] = {
    {"adm: class-conditional, scale-shift, residual resampling", test_imagenet64},
    {"adm: unconditional, additive embedding", test_lsun},
    {"adm: convolutional resampling, given heads, one channel", test_conv_resample},
    {"adm: cm_forward, from file to file", test_forward},
    {"adm: the formula of the weights", test_formula},
    {"adm: jvp, vjp and differences agree", test_calculus},
};

SCRATCH_MAIN(tests)
