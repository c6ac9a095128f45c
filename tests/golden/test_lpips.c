/* test_lpips.c - LPIPS against its reference, piq's with means for poolings as Consistency
 * Models has it: distances of two pairs, as they are and resized to 224, and gradients. */
#include "feature_weights.h"

#include "cpu/cpu.h"
#include "eval/lpips.h"

#include <unistd.h>

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
    check_feature(f, "check.lin0", flat + cm_params_find(params, "lin0.model.1.weight")->offset, 8,
                  1e-6);
    check(f, params, flat, SIDE);
    check(f, params, flat, 224);
    cm_free(flat);
    cm_params_free(params);
    cm_st_close(f);
}

/* The images as bytes: what is lost by that is far below the distance; and nothing is where
 * both are the same. */
static void test_files(void)
{
    enum { BYTES = VALUES };
    char vgg[] = "/tmp/cm-test-vgg-XXXXXX", linear[] = "/tmp/cm-test-lin-XXXXXX";
    cm_error err = {0};
    cm_params *params = NULL;
    cm_lpips *l = NULL;
    size_t n;
    static uint8_t bytes[2][BYTES];
    float got[N];
    cm_st_file *f = golden_open("lpips.safetensors");
    double *want = golden_read(f, "d32", &n);
    float *in[2] = {image(f, "a"), image(f, "b")};
    for (int i = 0; i < BYTES; i++)
        for (int k = 0; k < 2; k++)
            bytes[k][i] = (uint8_t)(in[k][i] * 255.0f + 0.5f);
    close(mkstemp(vgg));
    close(mkstemp(linear));
    CHECK_OK(cm_lpips_params(&params, &err), err);
    float *flat = feature_weights(params);
    feature_file(params, flat, vgg, VGG_FILE, NULL);
    feature_file(params, flat, linear, LINEAR_FILE, NULL);
    if (CHECK_OK(cm_lpips_open(vgg, linear, CM_LPIPS_MEAN, 1, 1, &l, &err), err)) {
        CHECK_OK(cm_lpips_run(l, N, bytes[0], bytes[1], SIDE, SIDE, 3, got, &err), err);
        for (int i = 0; i < N; i++)
            CHECK_CLOSE((double)got[i], want[i], 1e-2);
        CHECK_OK(cm_lpips_run(l, 1, bytes[0], bytes[0], SIDE, SIDE, 3, got, &err), err);
        CHECK(got[0] == 0.0f, "an image is %g from itself", (double)got[0]);
        CHECK(cm_lpips_run(l, 1, bytes[0], bytes[0], 8, 8, 3, got, &err) == CM_ERR_ARGUMENT,
              "8x8 pixels were taken");
    }
    cm_lpips_close(l);
    feature_file(params, flat, linear, LINEAR_FILE, "lin5.model.1.weight");
    CHECK(cm_lpips_open(vgg, linear, CM_LPIPS_MEAN, 1, 1, &l, &err) == CM_ERR_FORMAT &&
              strstr(err.message, "lin5.model.1.weight"),
          "%s", err.message);
    CHECK(cm_lpips_open(linear, linear, CM_LPIPS_MEAN, 1, 1, &l, &err) == CM_ERR_FORMAT &&
              strstr(err.message, "features.0.weight"),
          "%s", err.message);
    unlink(vgg);
    unlink(linear);
    cm_free(in[0]);
    cm_free(in[1]);
    cm_free(want);
    cm_free(flat);
    cm_params_free(params);
    cm_st_close(f);
}

static const check_test tests[] = {{"distances and gradients", test_golden},
                                   {"with weights of files", test_files}};
CHECK_MAIN(tests)
