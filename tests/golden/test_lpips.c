/* test_lpips.c - LPIPS against its reference, piq's with means for poolings as Consistency
 * Models has it: distances of two pairs, as they are and resized to 224, and gradients. */
#include "feature_weights.h"

#include "cpu/cpu.h"
#include "nn/features/vgg.h"

enum { N = 2, SIDE = 32, VALUES = N * SIDE * SIDE * 3 };

/* [N,C,H,W] of the file to [N,H,W,C], or back. */
static void swap(const double *from, float *to, int back)
{
    for (int i = 0; i < VALUES; i++) {
        const int n = i / (SIDE * SIDE * 3), c = i % 3, pixel = i / 3 % (SIDE * SIDE);
        const int nchw = (n * 3 + c) * SIDE * SIDE + pixel;
        to[back ? nchw : i] = (float)from[back ? i : nchw];
    }
}

static float *image(const cm_st_file *f, const char *name)
{
    size_t n;
    double *x = golden_read(f, name, &n);
    float *y = cm_alloc_array(VALUES, sizeof *y);
    swap(x, y, 0);
    cm_free(x);
    return y;
}

static void check(const cm_st_file *f, cm_params *params, float *flat, int side)
{
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_graph *g = cm_graph_new();
    const float ones[N] = {1.0f, 1.0f};
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, params, buffer, CM_F32);
    const cm_type t = CM_TYPE(CM_F32, N, SIDE, SIDE, 3);
    cm_node *a = cm_input(g, "a", t), *b = cm_input(g, "b", t), *out[2], *x = a, *y = b;
    if (side != SIDE) {
        x = cm_resize_bilinear(g, a, side, side, 1);
        y = cm_resize_bilinear(g, b, side, side, 1);
    }
    out[0] = cm_lpips_distance(&net, CM_LPIPS_MEAN, x, y);
    cm_graph_vjp(g, out[0], cm_const(g, CM_TYPE(CM_F32, N), ones), 1, &a, &out[1]);
    if (CHECK_OK(cm_plan_compile(g, 2, out, cm_cpu_device(), 2, &plan, &err), err)) {
        float *in[2] = {image(f, "a"), image(f, "b")}, d[N], grad[VALUES], nchw[VALUES];
        double wide[VALUES];
        char name[32];
        cm_plan_bind(plan, buffer, flat);
        cm_plan_write(plan, a, in[0]);
        cm_plan_write(plan, b, in[1]);
        cm_plan_run(plan);
        cm_plan_read(plan, out[0], d);
        cm_plan_read(plan, out[1], grad);
        for (int i = 0; i < VALUES; i++)
            wide[i] = (double)grad[i];
        swap(wide, nchw, 1);
        snprintf(name, sizeof name, "d%d", side);
        check_feature(f, name, d, N, 1e-4);
        snprintf(name, sizeof name, "grad%d.a", side);
        check_feature(f, name, nchw, VALUES, 1e-3);
        cm_free(in[0]);
        cm_free(in[1]);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
}

static void test_golden(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    cm_st_file *f = golden_open("lpips.safetensors");
    if (!CHECK_OK(cm_lpips_params(&params, &err), err))
        return;
    float *flat = feature_weights(params);
    check_feature(f, "check.lin0", flat + cm_params_find(params, "lin0")->offset, 8, 1e-6);
    check(f, params, flat, SIDE);
    check(f, params, flat, 224);
    cm_free(flat);
    cm_params_free(params);
    cm_st_close(f);
}

static const check_test tests[] = {{"distances and gradients", test_golden}};
CHECK_MAIN(tests)
