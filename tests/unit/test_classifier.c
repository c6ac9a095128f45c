/* test_classifier.c - the classifier against its formulas, written out here in double: loss
 * and gradient of a training step, features and logits of pictures, the distance of losses in
 * its levels; and what is refused.
 *
 * The reference of a gradient is the central difference in double. */
#include "distance_graph.h"

#include "eval/extractor.h"

enum { N = 3, SIDE = 8, CH = 3, CLASSES = 4, WIDTH = 6, MOST = SIDE * SIDE * 2 * WIDTH };

static const cm_net_config convnet = {.arch = &cm_arch_convnet,
                                      .height = SIDE,
                                      .width = SIDE,
                                      .in_channels = CH,
                                      .out_channels = CH,
                                      .num_classes = CLASSES,
                                      .time_input = &cm_time_log250,
                                      .of.convnet = {WIDTH, 2, 2, {1, 2}}};

static cm_params *params;
static double *weights; /* [cm_params_floats], in double */
static uint8_t pixels[N][SIDE][SIDE][CH];
static const int32_t labels[N] = {2, 0, 3};

/* ---- the network in double ---- */

static const double *weight(const char *name, const char *part)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", name, part);
    const cm_param *p = cm_params_find(params, full);
    return CHECK(p != NULL, "no parameter %s", full) ? weights + p->offset : weights;
}

/* x [side,side,in] -> [side,side,out] */
static void conv(const char *name, int side, int in, int out, const double *x, double *y)
{
    const double *w = weight(name, "weight"), *b = weight(name, "bias");
    for (int r = 0; r < side; r++)
        for (int c = 0; c < side; c++)
            for (int o = 0; o < out; o++) {
                double sum = b[o];
                for (int k = 0; k < in * 9; k++) {
                    const int i = k / 9, v = r + k / 3 % 3 - 1, u = c + k % 3 - 1;
                    if (v >= 0 && v < side && u >= 0 && u < side)
                        sum += w[o * in * 9 + k] * x[(v * side + u) * in + i];
                }
                y[(r * side + c) * out + o] = sum;
            }
}

static void norm_silu(const char *name, int side, int ch, double *x)
{
    const double *gamma = weight(name, "weight"), *beta = weight(name, "bias");
    const int size = ch == 6 ? 1 : 2; /* 6 groups: the most below 8 that divide 6, and 12 */
    for (int first = 0; first < ch; first += size) {
        const int n = side * side * size;
        double mean = 0.0, var = 0.0;
        for (int k = 0; k < n; k++)
            mean += x[k / size * ch + first + k % size] / n;
        for (int k = 0; k < n; k++)
            var += pow(x[k / size * ch + first + k % size] - mean, 2.0) / n;
        for (int k = 0; k < n; k++) {
            double *v = &x[k / size * ch + first + k % size];
            const double z =
                gamma[first + k % size] * (*v - mean) / sqrt(var + 1e-5) + beta[first + k % size];
            *v = z / (1.0 + exp(-z));
        }
    }
}

static void halve(int side, int ch, const double *x, double *y)
{
    for (int r = 0; r < side / 2; r++)
        for (int c = 0; c < side / 2; c++)
            for (int k = 0; k < ch; k++) {
                const double *at = x + (2 * r * side + 2 * c) * ch + k;
                y[(r * (side / 2) + c) * ch + k] =
                    (at[0] + at[ch] + at[side * ch] + at[(side + 1) * ch]) / 4.0;
            }
}

static void block(const char *level, int side, int in, int out, const double *x, double *y)
{
    char name[64];
    snprintf(name, sizeof name, "level.%s.conv", level);
    conv(name, side, in, out, x, y);
    snprintf(name, sizeof name, "level.%s.norm", level);
    norm_silu(name, side, out, y);
}

/* What each of the two levels gives. */
static void both_levels(const double *image, double *first, double *second)
{
    static double a[MOST], b[MOST];
    block("0.0", SIDE, CH, WIDTH, image, a);
    block("0.1", SIDE, WIDTH, WIDTH, a, first);
    halve(SIDE, WIDTH, first, a);
    block("1.0", SIDE / 2, WIDTH, 2 * WIDTH, a, b);
    block("1.1", SIDE / 2, 2 * WIDTH, 2 * WIDTH, b, second);
}

static void reference(const double *image, double features[2 * WIDTH], double logits[CLASSES])
{
    static double first[MOST], a[MOST];
    const double *w = weight("out", "weight"), *bias = weight("out", "bias");
    both_levels(image, first, a);
    for (int k = 0; k < 2 * WIDTH; k++) {
        features[k] = 0.0;
        for (int i = 0; i < SIDE * SIDE / 4; i++)
            features[k] += a[i * 2 * WIDTH + k] / (SIDE * SIDE / 4);
    }
    for (int o = 0; o < CLASSES; o++) {
        logits[o] = bias[o];
        for (int k = 0; k < 2 * WIDTH; k++)
            logits[o] += w[o * 2 * WIDTH + k] * features[k];
    }
}

static void image_of(int n, double *image)
{
    for (int i = 0; i < SIDE * SIDE * CH; i++)
        image[i] = ((const uint8_t *)pixels[n])[i] / 127.5 - 1.0;
}

static double reference_loss(void)
{
    double image[SIDE * SIDE * CH], f[2 * WIDTH], l[CLASSES], loss = 0.0;
    for (int n = 0; n < N; n++) {
        double sum = 0.0;
        image_of(n, image);
        reference(image, f, l);
        for (int o = 0; o < CLASSES; o++)
            sum += exp(l[o]);
        loss += (log(sum) - l[labels[n]]) / N;
    }
    return loss;
}

/* ---- the tests ---- */

static void make(void)
{
    cm_error err = {0};
    if (!CHECK_OK(cm_net_params_new(&convnet, &params, &err), err))
        exit(EXIT_FAILURE);
    const size_t n = cm_params_floats(params);
    float *flat = cm_alloc_array(n, sizeof *flat);
    weights = cm_alloc_array(n, sizeof *weights);
    cm_params_init(params, 5, flat);
    for (size_t i = 0; i < n; i++)
        weights[i] = (double)(flat[i] + 0.05f * sinf((float)(3 * i)));
    for (size_t i = 0; i < sizeof pixels; i++)
        ((uint8_t *)pixels)[i] = (uint8_t)((i * i * 31 + i * 7) % 256);
    cm_free(flat);
}

/* Of a few elements of every parameter. */
static void check_gradient(const cm_train_step *s)
{
    const double h = 1e-5;
    for (int i = 0; i < cm_params_size(params); i++) {
        const cm_param *p = cm_params_at(params, i);
        const int64_t count = cm_type_count(&p->type);
        for (int64_t k = 0; k < count; k += 1 + count / 5) {
            double *w = &weights[p->offset + (size_t)k];
            const double at = *w, got = (double)s->grad[p->offset + (size_t)k];
            *w = at + h;
            const double above = reference_loss();
            *w = at - h;
            const double want = (above - reference_loss()) / (2.0 * h);
            *w = at;
            CHECK(fabs(got - want) <= 2e-5 * (fabs(want) + 0.01),
                  "gradient of %s[%d]: %.9g, expected %.9g", p->name, (int)k, got, want);
        }
    }
}

static void test_step(void)
{
    cm_error err = {0};
    step_settings settings;
    cm_train_step *s = NULL;
    step_settings_make(&settings, "classifier", N);
    const cm_step_config c = step_settings_config(&settings, &convnet, params, 0.5, CM_F32, 2);
    if (!CHECK_OK(cm_train_step_new(&c, &s, &err), err))
        return;
    for (size_t i = 0; i < s->floats; i++)
        s->params[i] = (float)weights[i];
    for (int n = 0; n < N; n++) {
        double image[SIDE * SIDE * CH];
        image_of(n, image);
        for (int i = 0; i < SIDE * SIDE * CH; i++)
            s->x[n * SIDE * SIDE * CH + i] = (float)image[i];
        s->y[n] = labels[n];
    }
    s->hyper[1] = 1.0f;
    cm_train_step_run(s);
    CHECK_CLOSE((double)*s->loss, reference_loss(), 1e-5);
    check_gradient(s);
    cm_train_step_free(s);
}

static void test_features(void)
{
    enum { BATCH = 2 }; /* of which the last is short */
    cm_error err = {0};
    cm_extractor *e = NULL;
    float f[N][2 * WIDTH], l[N][CLASSES];
    cm_model m = {.net = convnet, .params = params, .score = "FD-test"};
    m.flat = cm_alloc_array(cm_params_floats(params), sizeof *m.flat);
    for (size_t i = 0; i < cm_params_floats(params); i++)
        m.flat[i] = (float)weights[i];
    CHECK_OK(cm_device_open(&m.device, &err), err);
    if (CHECK_OK(cm_extractor_of(&m, BATCH, 1, &e, &err), err)) {
        const cm_feature_dims d = cm_extractor_dims(e);
        CHECK(d.features == 2 * WIDTH && !d.spatial && d.logits == CLASSES, "other dimensions");
        CHECK_OK(
            cm_extractor_run(e, N, (const uint8_t *)pixels, SIDE, SIDE, CH, f[0], NULL, l[0], &err),
            err);
        for (int n = 0; n < N; n++) {
            double image[SIDE * SIDE * CH], want[2 * WIDTH], logits[CLASSES];
            image_of(n, image);
            reference(image, want, logits);
            for (int k = 0; k < 2 * WIDTH; k++)
                CHECK_CLOSE((double)f[n][k], want[k], 1e-5);
            for (int k = 0; k < CLASSES; k++)
                CHECK_CLOSE((double)l[n][k], logits[k], 1e-5);
        }
        CHECK(cm_extractor_run(e, 1, (const uint8_t *)pixels, SIDE, SIDE, 1, f[0], NULL, NULL,
                               &err) == CM_ERR_ARGUMENT,
              "gray pictures were taken");
        CHECK(strstr(err.message, "expected images of 8x8 with 3 channels, which the classifier "
                                  "model is made for"),
              "%s", err.message);
    }
    cm_extractor_close(e);
    cm_free(m.flat);
}

/* ---- the distance of losses in its levels ---- */

/* sum over channels of (a / |a| - b / |b|)^2, meaned over places */
static double level_distance(int places, int ch, const double *a, const double *b)
{
    double sum = 0.0;
    for (int p = 0; p < places; p++) {
        double aa = 0.0, bb = 0.0;
        for (int k = 0; k < ch; k++) {
            aa += a[p * ch + k] * a[p * ch + k];
            bb += b[p * ch + k] * b[p * ch + k];
        }
        for (int k = 0; k < ch; k++)
            sum += pow(a[p * ch + k] / sqrt(aa) - b[p * ch + k] / sqrt(bb), 2.0);
    }
    return sum / places;
}

static double reference_distance(const double *a, const double *b)
{
    static double level[2][2][MOST];
    both_levels(a, level[0][0], level[0][1]);
    both_levels(b, level[1][0], level[1][1]);
    return level_distance(SIDE * SIDE, WIDTH, level[0][0], level[1][0]) +
           level_distance(SIDE * SIDE / 4, 2 * WIDTH, level[0][1], level[1][1]);
}

enum { VALUES = SIDE * SIDE * CH };

/* The gradient in image k of a sample, at every seventh value. */
static void check_distance_gradient(const distance_graph *q, int n, int k, double *x[2])
{
    static float got[N * VALUES];
    const double h = 1e-5;
    cm_plan_read(q->plan, q->out[1 + k], got);
    for (int i = 0; i < VALUES; i += 7) {
        const double at = x[k][i];
        x[k][i] = at + h;
        const double above = reference_distance(x[0], x[1]);
        x[k][i] = at - h;
        const double want = (above - reference_distance(x[0], x[1])) / (2.0 * h);
        x[k][i] = at;
        CHECK(fabs((double)got[n * VALUES + i] - want) <= 1e-5 * (fabs(want) + 0.1),
              "sample %d, gradient of image %d at %d: %.9g, expected %.9g", n, k, i,
              (double)got[n * VALUES + i], want);
    }
}

static void test_distance(void)
{
    static float a[N * VALUES], b[N * VALUES], along[2][N * VALUES];
    float d[N];
    cm_frozen_weights w = {.params = params};
    cm_model m = {.net = convnet};
    distance_graph q;
    w.model = &m;
    w.flat = cm_alloc_array(cm_params_floats(params), sizeof *w.flat);
    for (size_t i = 0; i < cm_params_floats(params); i++)
        w.flat[i] = (float)weights[i];
    for (int i = 0; i < N * VALUES; i++) {
        a[i] = (float)((const uint8_t *)pixels)[i] / 127.5f - 1.0f;
        b[i] = sinf((float)(i * i));
        along[0][i] = a[i] - b[i];
        along[1][i] = 0.2f * cosf((float)i);
    }
    if (distance_graph_make(&q, "features", CM_TYPE(CM_F32, N, SIDE, SIDE, CH), &w, CM_F32)) {
        distance_graph_check(&q, "features", a, b, along[0], along[1], 3e-3, 5e-3);
        distance_graph_run(&q, a, b, NULL, NULL, 0.0, d);
        for (int n = 0; n < N; n++) {
            double wide[2][VALUES], *x[2] = {wide[0], wide[1]};
            for (int i = 0; i < VALUES; i++) {
                x[0][i] = (double)a[n * VALUES + i];
                x[1][i] = (double)b[n * VALUES + i];
            }
            CHECK_CLOSE((double)d[n], reference_distance(x[0], x[1]), 1e-5);
            check_distance_gradient(&q, n, 0, x);
            check_distance_gradient(&q, n, 1, x);
        }
        distance_graph_run(&q, a, a, NULL, NULL, 0.0, d);
        for (int n = 0; n < N; n++)
            CHECK(d[n] == 0.0f, "an image is %g from itself", (double)d[n]);
    }
    distance_graph_clear(&q);
    cm_free(w.flat);
}

static void test_names(void)
{
    static const char *const good[] = {"FD-a", "FD-fashion", "FD-My_set-2.0"},
                             *const bad[] = {"",
                                             "FD-",
                                             "FID",
                                             "FID-x",
                                             "fd-x",
                                             "FD-a b",
                                             "FD-\n",
                                             "FD-0123456789012345678901234567890123456789"
                                             "012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(!cm_score_name_check(good[i], "score", NULL), "'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(cm_score_name_check(bad[i], "score", NULL) == CM_ERR_ARGUMENT, "'%s' is taken",
              bad[i]);
}

static void test_unknown(void)
{
    cm_error err = {0};
    cm_extractor *e = NULL;
    CHECK(cm_extractor_open("resnet", "x", 1, 1, &e, &err) == CM_ERR_ARGUMENT, "resnet is known");
    CHECK(strstr(err.message, "small, inception or inception-pytorch") &&
              strstr(err.message, "resnet"),
          "%s", err.message);
    CHECK(cm_extractor_open("inception", "no/such.pth", 1, 1, &e, &err) == CM_ERR_IO &&
              strstr(err.message, "95628359 bytes"),
          "%s", err.message);
    CHECK(cm_extractor_open("inception", "models/fashion-mnist-cd.safetensors", 1, 1, &e, &err) ==
                  CM_ERR_FORMAT &&
              strstr(err.message, "Conv2d_1a_3x3.conv.weight"),
          "%s", err.message);
    CHECK(cm_extractor_open("small", "models/fashion-mnist-cd.safetensors", 1, 1, &e, &err) ==
              CM_ERR_ARGUMENT,
          "a consistency model is a classifier");
    CHECK(strstr(err.message, "found a consistency model"), "%s", err.message);
}

int main(void)
{
    static const check_test tests[] = {
        {"loss and gradient of a step", test_step},
        {"features and logits", test_features},
        {"the distance of losses in its levels", test_distance},
        {"names of scores", test_names},
        {"other networks and files", test_unknown},
    };
    make();
    const int status = check_main(tests, sizeof tests / sizeof *tests);
    cm_params_free(params);
    cm_free(weights);
    return status;
}
