/* test_lpips.c - LPIPS against its reference, piq's with means for poolings as Consistency
 * Models has it: distances of two pairs, as they are and resized to 224, and gradients. */
#include "feature_weights.h"

#include "distance_graph.h"
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

/* ---- the distance of losses: of images within [-1,1] ---- */

/* Value, and the gradient of each image: with the two exchanged the golden is of the other.
 * In bf16 its convolutions lose what 8 bits lose, of gradients more. */
static void check_resized(const cm_st_file *f, const cm_frozen_weights *w, cm_dtype dtype)
{
    distance_graph q;
    float *in[2] = {image(f, "a"), image(f, "b")}, d[N], grad[VALUES], nchw[VALUES];
    double wide[VALUES], error = 0.0, size = 0.0;
    size_t n;
    double *want = golden_read(f, "grad224.a", &n);
    for (int i = 0; i < 2 * VALUES; i++)
        in[i / VALUES][i % VALUES] = 2.0f * in[i / VALUES][i % VALUES] - 1.0f;
    const int ok = distance_graph_make(&q, "lpips", CM_TYPE(CM_F32, N, SIDE, SIDE, 3), w, dtype);
    for (int turned = 0; turned < 2 && ok; turned++) {
        distance_graph_run(&q, in[turned], in[!turned], NULL, NULL, 0.0, d);
        check_feature(f, "d224", d, N, dtype == CM_F32 ? 1e-4 : 1e-2);
        cm_plan_read(q.plan, q.out[1 + turned], grad);
        for (int i = 0; i < VALUES; i++)
            wide[i] = 2.0 * (double)grad[i]; /* of (x + 1) / 2 */
        swap(wide, nchw, 1);
        if (dtype == CM_F32)
            check_feature(f, "grad224.a", nchw, VALUES, 1e-3);
        for (int i = 0; i < VALUES; i++) {
            error += pow((double)nchw[i] - want[i], 2.0);
            size += want[i] * want[i];
        }
    }
    CHECK(sqrt(error / size) <= 0.05, "gradient: relative error %.3g", sqrt(error / size));
    distance_graph_clear(&q);
    for (int k = 0; k < 2; k++)
        cm_free(in[k]);
    cm_free(want);
}

/* From 256 pixels of width on, images are seen as they are: small pictures, and so quick. */
enum { ROWS = 16, WIDE = 256, PIXELS = ROWS * WIDE };

static float wave(int i, int image)
{
    return image % 2 ? cosf(0.03f * (float)i + (float)image)
                     : sinf(0.05f * (float)(i * (1 + image)));
}

static void check_wide(const cm_frozen_weights *w)
{
    static float x[4][PIXELS * 3];
    const cm_type t = CM_TYPE(CM_F32, 1, ROWS, WIDE, 3);
    cm_error err = {0};
    distance_graph q;
    cm_plan *plan = NULL;
    float got = 0.0f, want = 0.0f;
    for (int i = 0; i < PIXELS * 3; i++) {
        x[0][i] = wave(i, 0);
        x[1][i] = wave(i, 1);
        x[2][i] = x[0][i] - x[1][i]; /* d changes along it */
        x[3][i] = 0.2f * wave(i, 2);
    }
    if (distance_graph_make(&q, "lpips", t, w, CM_F32)) {
        distance_graph_check(&q, "lpips", x[0], x[1], x[2], x[3], 1e-2, 5e-3);
        for (int k = 0; k < 2; k++) { /* no number in an image is none in the loss */
            const float value = x[k][77];
            x[k][77] = NAN;
            distance_graph_run(&q, x[0], x[1], NULL, NULL, 0.0, &got);
            CHECK(isnan(got), "d is %g of an image with no number in it", (double)got);
            x[k][77] = value;
        }
        distance_graph_run(&q, x[0], x[1], NULL, NULL, 0.0, &got);
    }
    distance_graph_clear(&q);
    cm_graph *g = cm_graph_new();
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, w->params, buffer, CM_F32);
    cm_node *a = cm_input(g, "a", t), *b = cm_input(g, "b", t),
            *d = cm_lpips_distance(&net, CM_LPIPS_MEAN, a, b);
    if (CHECK_OK(cm_plan_compile(g, 1, &d, cm_cpu_device(), 2, &plan, &err), err)) {
        for (int i = 0; i < 2 * PIXELS * 3; i++)
            x[i % 2][i / 2] = 0.5f * x[i % 2][i / 2] + 0.5f;
        cm_plan_bind(plan, buffer, w->flat);
        cm_plan_write(plan, a, x[0]);
        cm_plan_write(plan, b, x[1]);
        cm_plan_run(plan);
        cm_plan_read(plan, d, &want);
    }
    CHECK_CLOSE(got, want, 1e-6);
    cm_plan_free(plan);
    cm_graph_free(g);
}

/* Gray is seen as RGB with the channel repeated. */
static void check_gray(const cm_frozen_weights *w)
{
    static float x[2][PIXELS * 3], grad[2][PIXELS * 3];
    float d[2];
    for (int k = 0; k < 2; k++) {
        const int c = k ? 3 : 1;
        distance_graph q;
        for (int i = 0; i < PIXELS * c; i++)
            for (int j = 0; j < 2; j++)
                x[j][i] = wave(i / c, j);
        if (distance_graph_make(&q, "lpips", CM_TYPE(CM_F32, 1, ROWS, WIDE, c), w, CM_F32)) {
            distance_graph_run(&q, x[0], x[1], NULL, NULL, 0.0, &d[k]);
            cm_plan_read(q.plan, q.out[1], grad[k]);
        }
        distance_graph_clear(&q);
    }
    CHECK_CLOSE(d[0], d[1], 1e-6);
    double size = 0.0, worst = 0.0;
    for (int i = 0; i < PIXELS; i++) {
        const float *rgb = grad[1] + 3 * i;
        size = fmax(size, fabs((double)grad[0][i]));
        worst = fmax(worst, fabs((double)(grad[0][i] - rgb[0] - rgb[1] - rgb[2])));
    }
    CHECK(worst <= 1e-5 * size, "gradients of gray differ by %g of %g", worst, size);
}

static void test_loss(void)
{
    cm_error err = {0};
    cm_frozen_weights w = {0};
    cm_st_file *f = golden_open("lpips.safetensors");
    if (!CHECK_OK(cm_lpips_params(&w.params, &err), err))
        return;
    w.flat = feature_weights(w.params);
    check_resized(f, &w, CM_F32);
    if (cm_cpu_has_bf16())
        check_resized(f, &w, CM_BF16);
    check_wide(&w);
    check_gray(&w);
    cm_frozen_clear(&w);
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
                                   {"as the distance of a loss", test_loss},
                                   {"with weights of files", test_files}};
CHECK_MAIN(tests)
