/* test_eval_lpips.c - cm_eval's LPIPS of pairs against VGG16 and LPIPS written down plainly in
 * double precision, which itself is held to the golden; and what is refused */
#include "feature_weights.h"
#include "scratch.h"

#include "io/npz.h"
#include "nn/features/vgg.h"

#include <sys/stat.h>

enum { N = 3, SIDE = 32, PIXELS = SIDE * SIDE, IMAGE = PIXELS * 3, WIDEST = 512 };

static cm_error err;
static cm_params *params;
static float *flat;
static uint8_t pixels[2][N * IMAGE];

/* ---- the definition ---- */

/* "features.", 5, "bias" */
static const float *weights(const char *what, int number, const char *of)
{
    char name[64];
    snprintf(name, sizeof name, "%s%d.%s", what, number, of);
    return flat + cm_params_find(params, name)->offset;
}

/* out [o][h][w] = relu(w * x + b), x [in][h][w], 3 x 3 with a border of zeros */
static void convolve(const double *x, int in, int side, int number, int out, double *y)
{
    const float *w = weights("features.", number, "weight");
    const float *bias = weights("features.", number, "bias");
    for (int o = 0; o < out; o++, y += side * side) {
        for (int p = 0; p < side * side; p++)
            y[p] = (double)bias[o];
        for (int i = 0; i < in; i++)
            for (int k = 0; k < 9; k++) {
                const int dy = k / 3 - 1, dx = k % 3 - 1;
                const double v = (double)w[(o * in + i) * 9 + k];
                for (int r = dy < 0; r < side - (dy > 0); r++)
                    for (int c = dx < 0; c < side - (dx > 0); c++)
                        y[r * side + c] += v * x[(i * side + r + dy) * side + c + dx];
            }
        for (int p = 0; p < side * side; p++)
            y[p] = y[p] > 0 ? y[p] : 0;
    }
}

/* Maxima or means of 2 x 2, in place. */
static void pool(double *x, int channels, int side, int mean)
{
    const int half = side / 2;
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < half * half; p++) {
            const double *q = x + (c * side + p / half * 2) * side + p % half * 2;
            const double most = fmax(fmax(q[0], q[1]), fmax(q[side], q[side + 1]));
            const double sum = q[0] + q[1] + q[side] + q[side + 1];
            x[c * half * half + p] = mean ? sum / 4 : most;
        }
}

static double layer_distance(const double *a, const double *b, int channels, int pixels_of_it,
                             const float *lin)
{
    double sum = 0;
    for (int p = 0; p < pixels_of_it; p++) {
        double na = 0, nb = 0;
        for (int c = 0; c < channels; c++) {
            na += pow(a[c * pixels_of_it + p], 2);
            nb += pow(b[c * pixels_of_it + p], 2);
        }
        for (int c = 0; c < channels; c++) {
            const double u = a[c * pixels_of_it + p] / (sqrt(na) + 1e-10);
            const double v = b[c * pixels_of_it + p] / (sqrt(nb) + 1e-10);
            sum += (double)lin[c] * (u - v) * (u - v);
        }
    }
    return sum / pixels_of_it;
}

/* Of images [3][h][w] of 0 to 1, which are lost. */
static double lpips(double *a, double *b, int mean)
{
    static const int width[] = {64, 128, 256, 512, 512}, count[] = {2, 2, 3, 3, 3};
    static const double centre[] = {0.485, 0.456, 0.406}, scale[] = {0.229, 0.224, 0.225};
    static double room[2][WIDEST * PIXELS];
    int number = 0, in = 3, side = SIDE;
    double sum = 0, *x[] = {a, b};
    for (int i = 0; i < 2 * IMAGE; i++) {
        double *v = &x[i / IMAGE][i % IMAGE];
        const int c = i % IMAGE / PIXELS;
        *v = (*v - centre[c]) / scale[c];
    }
    for (int l = 0; l < 5; l++) {
        for (int k = 0; k < 2 && l; k++)
            pool(x[k], in, side * 2, mean);
        for (int i = 0; i < count[l]; i++, number += 2, in = width[l])
            for (int k = 0; k < 2; k++) {
                convolve(x[k], in, side, number, width[l], room[k]);
                memcpy(x[k], room[k], (size_t)(width[l] * side * side) * sizeof(double));
            }
        number++; /* of the pooling */
        sum += layer_distance(x[0], x[1], in, side * side, weights("lin", l, "model.1.weight"));
        side /= 2;
    }
    return sum;
}

static double room_of_images[2][WIDEST * PIXELS];

static void test_definition(void)
{
    size_t n;
    cm_st_file *f = golden_open("lpips.safetensors");
    double *a = golden_read(f, "a", &n), *b = golden_read(f, "b", &n);
    double *want = golden_read(f, "d32", &n);
    for (int i = 0; i < 2; i++) {
        memcpy(room_of_images[0], a + i * IMAGE, IMAGE * sizeof *a);
        memcpy(room_of_images[1], b + i * IMAGE, IMAGE * sizeof *b);
        const double got = lpips(room_of_images[0], room_of_images[1], 1);
        CHECK(fabs(got - want[i]) <= 1e-4 * want[i], "%.9g, not %.9g", got, want[i]);
        for (int p = 0; p < IMAGE; p++) { /* the pictures of what follows */
            pixels[0][i * IMAGE + p % PIXELS * 3 + p / PIXELS] = (uint8_t)(a[i * IMAGE + p] * 255);
            pixels[1][i * IMAGE + p % PIXELS * 3 + p / PIXELS] = (uint8_t)(b[i * IMAGE + p] * 255);
        }
    }
    cm_free(a);
    cm_free(b);
    cm_free(want);
    cm_st_close(f);
}

/* ---- through the library ---- */

static void write_images(const char *name, int n, int h, int w, int c, const uint8_t *from)
{
    const cm_npz_array a = {"arr_0", CM_NPZ_U8, 4, {n, h, w, c}, from};
    CHECK_OK(cm_npz_write(in_dir(name), 1, &a, &err), err);
}

/* batch 2: the last is not full */
static cm_status evaluate(const char *ref, const char *samples, const char *vgg, const char *linear,
                          char **text)
{
    cm_eval_params p = cm_eval_default_params();
    cm_sample_params sampling = cm_sample_default_params();
    sampling.batch = 2;
    sampling.threads = 2;
    p.json = p.lpips = 1;
    snprintf(p.ref, sizeof p.ref, "%.500s", in_dir(ref));
    snprintf(p.samples, sizeof p.samples, "%.500s", in_dir(samples));
    snprintf(p.weights, sizeof p.weights, "%.500s", in_dir(vgg));
    snprintf(p.lpips_weights, sizeof p.lpips_weights, "%.500s", in_dir(linear));
    *text = NULL;
    return cm_eval(&p, &sampling, NULL, text, &err);
}

static double number(const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *at = json ? strstr(json, key) : NULL;
    CHECK(at, "no %s in %s", name, json ? json : "nothing");
    return at ? strtod(at + strlen(key), NULL) : (double)NAN;
}

static void test_pairs(void)
{
    double d[N], mean = 0, squares = 0;
    char *text;
    for (int i = 0; i < IMAGE; i++) { /* a third pair, whose first half is equal */
        pixels[0][2 * IMAGE + i] = (uint8_t)(i * 7 % 256);
        pixels[1][2 * IMAGE + i] = (uint8_t)(i < IMAGE / 2 ? i * 7 % 256 : 255 - i * 5 % 256);
    }
    for (int i = 0; i < N; i++) {
        for (int p = 0; p < 2 * IMAGE; p++)
            room_of_images[p / IMAGE][p % 3 * PIXELS + p % IMAGE / 3] =
                pixels[p / IMAGE][i * IMAGE + p % IMAGE] / 255.0;
        d[i] = lpips(room_of_images[0], room_of_images[1], 0);
        mean += d[i] / N;
    }
    for (int i = 0; i < N; i++)
        squares += (d[i] - mean) * (d[i] - mean);
    write_images("a.npz", N, SIDE, SIDE, 3, pixels[0]);
    write_images("b.npz", N, SIDE, SIDE, 3, pixels[1]);
    if (!CHECK_OK(evaluate("a.npz", "b.npz", "vgg", "linear", &text), err))
        return;
    CHECK(fabs(number(text, "lpips") - mean) < 1e-5 * mean, "%s, not %.9g", text, mean);
    CHECK_CLOSE(number(text, "lpips_deviation"), sqrt(squares / (N - 1)), 1e-5);
    CHECK_CLOSE(number(text, "lpips_least"), fmin(d[0], fmin(d[1], d[2])), 1e-5);
    CHECK_CLOSE(number(text, "lpips_most"), fmax(d[0], fmax(d[1], d[2])), 1e-5);
    CHECK_CLOSE(number(text, "sample_images"), N, 0);
    CHECK(!strstr(text, "frechet"), "%s", text);
    cm_string_free(text);
    if (!CHECK_OK(evaluate("a.npz", "a.npz", "vgg", "linear", &text), err))
        return;
    CHECK_CLOSE(number(text, "lpips"), 0, 0);
    CHECK_CLOSE(number(text, "lpips_most"), 0, 0);
    CHECK_CLOSE(number(text, "lpips_deviation"), 0, 0);
    cm_string_free(text);
}

/* Folders in the order of names, whatever the order of writing; nothing is left out of one. */
static void test_folders(void)
{
    static const char *const files[] = {"f/2.png", "f/0.png", "f/1.png"};
    const int which[] = {2, 0, 1};
    const cm_layout layout = {.size = sizeof layout, .columns = -1, .scale = 1};
    char *text[2];
    if (mkdir(in_dir("f"), 0777))
        exit(EXIT_FAILURE);
    for (int i = 0; i < N; i++) {
        const cm_images image = {.size = sizeof image,
                                 .n = 1,
                                 .h = SIDE,
                                 .w = SIDE,
                                 .c = 3,
                                 .pixels = pixels[1] + which[i] * IMAGE};
        void *bytes;
        size_t size;
        if (CHECK_OK(cm_images_encode(&image, "png", &layout, &bytes, &size, &err), err)) {
            put(in_dir(files[i]), bytes, size);
            cm_bytes_free(bytes);
        }
    }
    if (CHECK_OK(evaluate("a.npz", "f", "vgg", "linear", &text[0]), err) &&
        CHECK_OK(evaluate("a.npz", "b.npz", "vgg", "linear", &text[1]), err)) {
        CHECK_CLOSE(number(text[0], "lpips"), number(text[1], "lpips"), 0);
        cm_string_free(text[0]);
        cm_string_free(text[1]);
    }
    put(in_dir(files[1]), "\x89PNG\r\n\x1a\n damaged", 16);
    CHECK(evaluate("a.npz", "f", "vgg", "linear", &text[0]) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "f/0.png");
    for (int i = 0; i < N; i++)
        remove(in_dir(files[i]));
}

/* ---- what is refused ---- */

static void refused(cm_status expected, const char *says, const char *ref, const char *samples,
                    const char *vgg, const char *linear)
{
    char *text;
    const cm_status s = evaluate(ref, samples, vgg, linear, &text);
    CHECK(s == expected && !text, "%s: %d, not %d: %s", says, s, expected, err.message);
    has(&err, says);
}

static void test_refused(void)
{
    write_images("fewer.npz", N - 1, SIDE, SIDE, 3, pixels[1]);
    write_images("other.npz", N, 2 * SIDE, SIDE / 2, 3, pixels[1]);
    write_images("gray.npz", 3 * N, SIDE, SIDE, 1, pixels[1]);
    write_images("small.npz", N, 8, 8, 3, pixels[1]);
    refused(CM_ERR_FORMAT, "3 of 32x32 with 3 channels, found 2 of 32x32 with 3", "a.npz",
            "fewer.npz", "vgg", "linear");
    refused(CM_ERR_FORMAT, "found 3 of 16x64 with 3", "a.npz", "other.npz", "vgg", "linear");
    refused(CM_ERR_FORMAT, "found 9 of 32x32 with 1", "a.npz", "gray.npz", "vgg", "linear");
    refused(CM_ERR_ARGUMENT, "at least 16x16", "small.npz", "small.npz", "vgg", "linear");
    refused(CM_ERR_IO, "SHA-256 from 397923af on, which torchvision publishes", "a.npz", "b.npz",
            "none", "linear");
    refused(CM_ERR_IO, "vgg.pth, 7289 bytes", "a.npz", "b.npz", "vgg", "none");
    refused(CM_ERR_FORMAT, "features.0.weight", "a.npz", "b.npz", "linear", "linear");
    refused(CM_ERR_FORMAT, "lin0.model.1.weight", "a.npz", "b.npz", "vgg", "vgg");
    flat[cm_params_find(params, "lin2.model.1.weight")->offset + 5] = (float)NAN;
    feature_file(params, flat, in_dir("nan"), LINEAR_FILE, NULL);
    refused(CM_ERR_FORMAT, "nan: tensor \"lin2.model.1.weight\": expected finite numbers", "a.npz",
            "b.npz", "vgg", "nan");
}

static void test_files(void)
{
    if (!CHECK_OK(cm_lpips_params(&params, &err), err))
        exit(EXIT_FAILURE);
    flat = feature_weights(params);
    feature_file(params, flat, in_dir("vgg"), VGG_FILE, NULL);
    feature_file(params, flat, in_dir("linear"), LINEAR_FILE, NULL);
}

static const check_test tests[] = {{"weights of formulas, as files", test_files},
                                   {"the definition against the golden", test_definition},
                                   {"pairs against the definition", test_pairs},
                                   {"folders", test_folders},
                                   {"what is refused", test_refused}};
SCRATCH_MAIN(tests)
