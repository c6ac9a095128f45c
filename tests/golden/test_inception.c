/* test_inception.c - the Inception network of the Frechet inception distance against its
 * reference: pytorch-fid's, run on two small images; weights by formula (formula.h, with
 * sqrt(6 / n) for kernels and 1 + 0.5 |u| for variances). */
#include "golden.h"

#include "cpu/cpu.h"
#include "formula.h"
#include "graph/plan.h"
#include "nn/features/inception.h"

enum { N = 2, SIDE = 32 };

static void fill(const cm_params *params, float *flat)
{
    for (int k = 0; k < cm_params_size(params); k++) {
        const cm_param *p = cm_params_at(params, k);
        const int64_t n = cm_type_count(&p->type);
        const double row = (double)(n / p->type.dim[0]);
        const uint32_t seed = formula_seed(p->name);
        const int is_scale = strstr(p->name, ".bn.weight") != NULL;
        const int is_var = strstr(p->name, "running_var") != NULL;
        for (int64_t i = 0; i < n; i++) {
            const double u = formula_at(seed, i);
            flat[p->offset + (size_t)i] = (float)(p->type.rank > 1 ? u * sqrt(6.0 / row)
                                                  : is_scale       ? 1.0 + 0.1 * u
                                                  : is_var         ? 1.0 + 0.5 * fabs(u)
                                                                   : 0.1 * u);
        }
    }
}

/* Largest difference relative to the largest magnitude, at most tol. */
static void compare(const char *name, const double *got, const double *want, size_t n, double tol)
{
    double size = 0.0, worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        size = fmax(size, fabs(want[i]));
        worst = fmax(worst, fabs(got[i] - want[i]));
    }
    CHECK(worst <= tol * size, "%s: differs by %.3g of %.3g", name, worst, size);
}

static void check_output(const cm_st_file *f, const char *name, cm_plan *plan, const cm_node *node)
{
    size_t n;
    double *want = golden_read(f, name, &n), *got = cm_alloc_array(n, sizeof *got);
    const int64_t count = cm_type_count(cm_node_type(node));
    float *values = cm_alloc_array((size_t)count, sizeof *values);
    if (CHECK((size_t)count == n, "%s: %d values", name, (int)count)) {
        cm_plan_read(plan, node, values);
        for (size_t i = 0; i < n; i++)
            got[i] = (double)values[i];
        compare(name, got, want, n, 1e-4);
    }
    cm_free(want);
    cm_free(got);
    cm_free(values);
}

/* [N,H,W,C] -> [N,C] */
static cm_node *mean(cm_graph *g, cm_node *x)
{
    const cm_type t = *cm_node_type(x);
    x = cm_sum_to(g, x, CM_TYPE(CM_F32, t.dim[0], 1, 1, t.dim[3]));
    return cm_affine(g, x, 1.0f / (float)(t.dim[1] * t.dim[2]), 0.0f);
}

static void test_golden(void)
{
    cm_error err = {0};
    size_t n;
    cm_params *params = NULL;
    cm_plan *plan = NULL;
    cm_st_file *f = golden_open("inception.safetensors");
    double *x = golden_read(f, "x", &n);
    float pixels[N * SIDE * SIDE * 3];
    for (size_t i = 0; i < n && i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (float)x[i];
    if (!CHECK_OK(cm_inception_params(&params, &err), err))
        return;
    float *flat = cm_alloc_array(cm_params_floats(params), sizeof *flat);
    fill(params, flat);
    cm_graph *g = cm_graph_new();
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, params, buffer, CM_F32);
    cm_inception_inside inside;
    cm_node *in = cm_input(g, "pixels", CM_TYPE(CM_F32, N, SIDE, SIDE, 3));
    const cm_feature_nodes out = cm_inception_features(&net, CM_INCEPTION_PYTORCH, in, &inside);
    cm_node *outputs[] = {out.features, out.logits, mean(g, inside.pool1), mean(g, inside.pool2),
                          mean(g, inside.mixed_6e)};
    if (CHECK_OK(cm_plan_compile(g, 5, outputs, cm_cpu_device(), 2, &plan, &err), err)) {
        cm_plan_bind(plan, buffer, flat);
        cm_plan_write(plan, in, pixels);
        cm_plan_run(plan);
        check_output(f, "pool3", plan, out.features);
        check_output(f, "logits_no_bias", plan, out.logits);
        check_output(f, "block0.mean_hw", plan, outputs[2]);
        check_output(f, "block1.mean_hw", plan, outputs[3]);
        check_output(f, "block2.mean_hw", plan, outputs[4]);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_params_free(params);
    cm_free(flat);
    cm_free(x);
    cm_st_close(f);
}

static const check_test tests[] = {{"pool3, logits and means of blocks", test_golden}};
CHECK_MAIN(tests)
