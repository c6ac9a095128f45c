/* test_edit_pictures.c - edits of real pictures by the shipped models: what is known of a picture
 * is in the result exactly, a candidate depends on nothing else, and an edit costs little more than
 * its evaluations */
#include "scratch.h"

#include "data/dataset.h"
#include "sample/noise.h"

#include <time.h>

enum { side = 32, image = side * side };

static const char student[] = "models/fashion-mnist-cd.safetensors";
static const char teacher[] = "models/fashion-mnist-edm.safetensors";
static cm_dataset *clothes; /* test images; NULL: the package is not here */

/* A number below n, of any two. */
static int any(int i, int seed, int n)
{
    const double v = sin(12.9898 * i + 78.233 * seed) * 43758.5453;
    return (int)((v - floor(v)) * n);
}

/* n test images from index `first` on. */
static cm_images pictures(int64_t first, int64_t n, int64_t *labels)
{
    for (int64_t i = 0; i < n; i++)
        labels[i] = clothes->labels[first + i];
    return (cm_images){.size = sizeof(cm_images),
                       .n = n,
                       .h = side,
                       .w = side,
                       .c = 1,
                       .pixels = clothes->pixels + first * image,
                       .labels = labels};
}

static cm_sampler *open_session(const char *path, const char *sigmas, int num, cm_model **model)
{
    cm_error err = {0};
    cm_sample_params p = cm_sample_default_params();
    cm_sampler *s = NULL;
    p.num = num;
    snprintf(p.sigmas, sizeof p.sigmas, "%s", sigmas);
    snprintf(p.dtype, sizeof p.dtype, "f32");
    snprintf(p.label, sizeof p.label, ":auto");
    if (!CHECK_OK(cm_model_open(path, model, &err), err) ||
        !CHECK_OK(cm_sampler_new(*model, &p, &s, &err), err))
        exit(EXIT_FAILURE);
    return s;
}

/* The mean of a patch of an image of bytes or of floats. */
static double mean_at(const cm_images *m, const float *values, int64_t i, int f, int patch, int c)
{
    const int across = m->w / f, y0 = patch / across * f, x0 = patch % across * f;
    double sum = 0;
    for (int y = y0; y < y0 + f; y++)
        for (int x = x0; x < x0 + f; x++) {
            const int64_t at = ((i * m->h + y) * m->w + x) * m->c + c;
            sum += values ? (double)values[at] : m->pixels[at];
        }
    return sum / (f * f);
}

/* ---- 1,000 edits ---- */

static void check_inpainting(cm_sampler *s, int64_t first, int64_t n)
{
    static uint8_t mask[64 * image];
    int64_t labels[64], wrong = 0, filled = 0, within = 0;
    cm_error err = {0};
    cm_images *out = NULL, in = pictures(first, n, labels), masks = in;
    cm_edit e = cm_edit_default("inpaint");
    cm_request r = cm_request_default();
    masks.pixels = mask;
    for (int64_t i = 0; i < n; i++) {
        const int id = (int)(first + i), x0 = any(id, 1, 24), y0 = any(id, 2, 24);
        for (int j = 0; j < image; j++) /* a box, and pixels anywhere */
            mask[i * image + j] =
                (j % side >= x0 && j % side < x0 + 14 && j / side >= y0 && j / side < y0 + 14) ||
                        !any(id + j, 3, 20)
                    ? 255
                    : (uint8_t)any(j, 4, 128);
    }
    e.image = &in;
    e.mask = &masks;
    r = (cm_request){.size = sizeof r, .num = n, .labels = labels, .as_float = 1, .edit = &e};
    if (!CHECK_OK(cm_sampler_run(s, &r, &out, &err), err))
        return;
    for (int64_t j = 0; j < n * image; j++) {
        const int known = mask[j] < 128;
        wrong += known && (out->pixels[j] != in.pixels[j] ||
                           out->values[j] != (float)(in.pixels[j] / 127.5 - 1));
        filled += !known && out->pixels[j] != in.pixels[j];
        within += out->values[j] >= -1 && out->values[j] <= 1;
    }
    CHECK(!wrong && filled > n * 20 && within == n * image, "%lld known pixels changed, %lld made",
          (long long)wrong, (long long)filled);
    cm_images_free(out);
}

static void test_inpainting(void)
{
    cm_model *model = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "80,3", 64, &model);
    for (int64_t i = 0; i < 400; i += 50)
        check_inpainting(s, i, 50);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* Images reduced to patches of f x f, and back. */
static void check_upscaling(cm_sampler *s, int64_t first, int64_t n, int f)
{
    static uint8_t small[64 * image];
    int64_t labels[64];
    double in_values = 0, in_bytes = 0;
    cm_error err = {0};
    cm_images *out = NULL, in = pictures(first, n, labels), reduced = in;
    cm_edit e = cm_edit_default("upscale");
    const int patches = image / f / f;
    for (int64_t i = 0; i < n * patches; i++)
        small[i] = (uint8_t)lrint(mean_at(&in, NULL, i / patches, f, (int)(i % patches), 0));
    reduced.h = reduced.w = side / f;
    reduced.pixels = small;
    e.image = &reduced;
    e.factor = f;
    const cm_request r = {.size = sizeof r, .num = n, .labels = labels, .as_float = 1, .edit = &e};
    if (!CHECK_OK(cm_sampler_run(s, &r, &out, &err), err))
        return;
    for (int64_t i = 0; i < n * patches; i++) {
        const int patch = (int)(i % patches);
        const double known = small[i] / 127.5 - 1;
        in_values =
            fmax(in_values, fabs(mean_at(out, out->values, i / patches, f, patch, 0) - known));
        in_bytes = fmax(in_bytes, fabs(mean_at(out, NULL, i / patches, f, patch, 0) - small[i]));
    }
    /* Each float is rounded to 2^-24, each byte by up to a half. */
    CHECK(in_values < 1e-7, "factor %d: means differ by %g", f, in_values);
    CHECK(in_bytes <= 0.5, "factor %d: means of bytes differ by %g", f, in_bytes);
    cm_images_free(out);
}

static void test_upscaling(void)
{
    static const int factors[] = {2, 4, 8, 16};
    cm_model *model = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "80,3", 64, &model);
    for (int i = 0; i < 8; i++)
        check_upscaling(s, 400 + 50 * i, 50, factors[i % 4]);
    cm_sampler_free(s);
    cm_model_free(model);
}

static double luma(double r, double g, double b)
{
    return 0.2989 * r + 0.587 * g + 0.114 * b;
}

/* Tinted test images, and a model of colour pictures, which has learnt nothing. */
static void test_colorizing(void)
{
    static const char config[] =
        "{\"type\":\"adm\",\"image_size\":32,\"in_channels\":3,\"out_channels\":3,"
        "\"model_channels\":32,\"num_res_blocks\":1,\"channel_mult\":[1,1],"
        "\"attention_resolutions\":[],\"num_heads\":1,\"use_scale_shift_norm\":true,"
        "\"resblock_updown\":false}";
    enum { n = 200 };
    static uint8_t tinted[n * image * 3];
    int64_t labels[n];
    double in_values = 0, in_bytes = 0, coloured = 0;
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_images in = pictures(800, n, labels);
    for (int j = 0; j < n * image * 3; j++)
        tinted[j] = (uint8_t)(in.pixels[j / 3] * (2 + (j / image + j) % 3) / 4);
    in.c = 3;
    in.pixels = tinted;
    put(in_dir("colour.json"), config, sizeof config - 1);
    cm_sample_params p = cm_sample_default_params();
    snprintf(p.sigmas, sizeof p.sigmas, "80,3");
    p.num = n;
    cm_edit e = cm_edit_default("colorize");
    e.image = &in;
    const cm_request r = {.size = sizeof r, .num = n, .as_float = 1, .edit = &e};
    cm_sampler *s = NULL;
    CHECK_OK(cm_model_random(in_dir("colour.json"), 1, &model, &err), err);
    if (!CHECK_OK(cm_sampler_new(model, &p, &s, &err), err) ||
        !CHECK_OK(cm_sampler_run(s, &r, &out, &err), err))
        return;
    for (int j = 0; j < n * image * 3; j += 3) {
        const float *v = out->values + j;
        const uint8_t *b = out->pixels + j, *t = tinted + j;
        const double known = luma(t[0] / 127.5 - 1, t[1] / 127.5 - 1, t[2] / 127.5 - 1);
        in_values = fmax(in_values, fabs(luma((double)v[0], (double)v[1], (double)v[2]) - known));
        in_bytes = fmax(in_bytes, fabs(luma(b[0], b[1], b[2]) - luma(t[0], t[1], t[2])));
        coloured += b[0] != b[1];
    }
    CHECK(in_values < 1e-7, "luma differs by %g", in_values);
    CHECK(in_bytes <= 0.5, "luma of bytes differs by %g", in_bytes);
    CHECK(coloured > n * image / 10, "colour in %g pixels", coloured);
    cm_images_free(out);
    cm_sampler_free(s);
    cm_model_free(model);
    remove(in_dir("colour.json"));
}

/* By the teacher, along Heun, the same holds. */
static void test_teacher(void)
{
    cm_error err = {0};
    cm_model *model = NULL;
    cm_sampler *s = NULL;
    cm_sample_params p = cm_sample_default_params();
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    p.num = 64;
    p.steps = 4;
    p.s_churn = 2;
    CHECK_OK(cm_model_open(teacher, &model, &err), err);
    if (!CHECK_OK(cm_sampler_new(model, &p, &s, &err), err))
        return;
    check_inpainting(s, 0, 8);
    check_upscaling(s, 8, 8, 4);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* ---- what a candidate depends on ---- */

/* The k-th candidate of a picture, alone, with others and among other pictures. */
static void test_candidates(void)
{
    static uint8_t mask[image], seen[2 * image], seen_alone[image];
    static const char *const tasks[] = {"inpaint", "stroke", "vary"};
    int64_t labels[6];
    cm_error err = {0};
    cm_model *model = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "", 4, &model);
    cm_images two = pictures(3, 2, labels), second = two, masks = two;
    second.n = masks.n = 1;
    second.pixels += image;
    masks.pixels = mask;
    memset(mask + 8 * side, 255, 12 * side);
    int64_t each[6];
    for (int i = 0; i < 6; i++)
        each[i] = two.labels[i / 3];
    for (int t = 0; t < 3; t++) {
        cm_images *all = NULL, *one = NULL;
        cm_edit e = cm_edit_default(tasks[t]);
        cm_request r = {.size = sizeof r, .num = 6, .labels = each, .edit = &e, .seed = 5};
        e.image = &two;
        e.mask = t ? NULL : &masks;
        e.seen = seen;
        if (!CHECK_OK(cm_sampler_run(s, &r, &all, &err), err))
            return;
        e.image = &second;
        e.seen = seen_alone;
        r.first = 2;
        r.num = 1;
        r.labels = each + 3;
        if (!CHECK_OK(cm_sampler_run(s, &r, &one, &err), err))
            return;
        CHECK(!memcmp(one->pixels, all->pixels + 5 * image, image), "%s: candidate 2", tasks[t]);
        CHECK(memcmp(all->pixels + 3 * image, all->pixels + 5 * image, image),
              "%s: candidates 0 and 2 are one", tasks[t]);
        CHECK(!memcmp(seen + image, seen_alone, image), "%s: seen", tasks[t]);
        for (int j = 0; j < image; j++)
            CHECK(seen_alone[j] == (!t && mask[j] ? 128 : second.pixels[j]), "seen %d: %d", j,
                  seen_alone[j]);
        cm_images_free(all);
        cm_images_free(one);
    }
    cm_sampler_free(s);
    cm_model_free(model);
}

/* Class -1 is the one that is told where none is given, picture by picture, also where another
 * candidate of the picture has its own. */
static void test_some_classes(void)
{
    int64_t labels[2], some[6] = {7, -1, -1, -1, 7, -1};
    cm_error err = {0};
    cm_model *model = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "", 4, &model);
    cm_images two = pictures(0, 2, labels), *told = NULL, *both = NULL;
    cm_edit e = cm_edit_default("vary");
    cm_request r = {.size = sizeof r, .num = 6, .edit = &e};
    e.image = &two;
    if (!CHECK_OK(cm_sampler_run(s, &r, &told, &err), err))
        return;
    CHECK(told->labels[0] != told->labels[3], "two pictures of one class show nothing");
    r.labels = some;
    if (!CHECK_OK(cm_sampler_run(s, &r, &both, &err), err))
        return;
    for (int i = 0; i < 6; i++)
        CHECK(both->labels[i] == (some[i] < 0 ? told->labels[i] : some[i]), "image %d: class %d", i,
              (int)both->labels[i]);
    CHECK(!memcmp(told->pixels + 5 * image, both->pixels + 5 * image, image), "another image");
    some[2] = -2;
    CHECK(cm_sampler_run(s, &r, &both, &err) == CM_ERR_ARGUMENT && strstr(err.message, "found -2"),
          "%s", err.message);
    cm_images_free(told);
    cm_images_free(both);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* ---- the others ---- */

static double distance(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (int i = 0; i < image; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]) / 127.5 / 127.5;
    return sqrt(sum / image);
}

/* More strength, more change; the same strength by its level. */
static void test_strength(void)
{
    static const double strength[] = {0.1, 0.3, 0.6, 1};
    int64_t label;
    double before = 0;
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "", 1, &model);
    cm_images in = pictures(0, 1, &label);
    cm_edit e = cm_edit_default("vary");
    const cm_request r = {.size = sizeof r, .num = 1, .labels = &label, .edit = &e};
    e.image = &in;
    for (int i = 0; i < 4; i++) {
        e.strength = strength[i];
        CHECK_OK(cm_sampler_run(s, &r, &out, &err), err);
        const double now = distance(out->pixels, in.pixels);
        CHECK(now > before, "strength %g: %g after %g", strength[i], now, before);
        before = now;
    }
    cm_images_free(out);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* A test image with noise of this level, cut off by black and white. */
static void make_noisy(int64_t i, double sigma, uint8_t noisy[image])
{
    float z[image];
    cm_noise_draw(9, i, 0, image, z);
    for (int j = 0; j < image; j++) {
        const double v = clothes->pixels[i * image + j] + 127.5 * sigma * (double)z[j];
        noisy[j] = (uint8_t)lrint(fmin(255, fmax(0, v)));
    }
}

/* Noise is taken off: the result is nearer to the clean picture than the noisy one is. */
static void test_denoising(void)
{
    static uint8_t noisy[image];
    int64_t label;
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "", 1, &model);
    for (int i = 0; i < 5; i++) {
        cm_images in = pictures(i, 1, &label);
        const uint8_t *clean = in.pixels;
        make_noisy(i, 0.3, noisy);
        in.pixels = noisy;
        cm_edit e = cm_edit_default("denoise");
        e.image = &in;
        e.sigma = 0.3;
        const cm_request r = {.size = sizeof r, .num = 1, .labels = &label, .edit = &e};
        CHECK_OK(cm_sampler_run(s, &r, &out, &err), err);
        CHECK(distance(out->pixels, clean) < 0.7 * distance(noisy, clean), "%g of %g",
              distance(out->pixels, clean), distance(noisy, clean));
    }
    cm_images_free(out);
    cm_sampler_free(s);
    cm_model_free(model);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The table of docs/editing.md. */
static void test_noise_level(void)
{
    enum { n = 500 };
    static const double sigma[] = {0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8};
    static uint8_t noisy[image];
    int64_t label;
    double found[n];
    cm_error err = {0};
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    for (int k = 0; k < 8; k++) {
        double mean = 0;
        for (int i = 0; i < n; i++) {
            cm_images in = pictures(i, 1, &label);
            make_noisy(i, sigma[k], noisy);
            in.pixels = noisy;
            CHECK_OK(cm_images_noise(&in, 0, &found[i], &err), err);
            mean += found[i] / n;
        }
        qsort(found, n, sizeof *found, by_value);
        printf("    sigma %.2f: found %.3f, of nine in ten between %.3f and %.3f\n", sigma[k], mean,
               found[n / 20], found[n - n / 20]);
        CHECK(fabs(mean - sigma[k]) < 0.02 + 0.06 * sigma[k], "sigma %g: %g", sigma[k], mean);
    }
}

/* Frames begin and end where sampling with each seed does. */
static void test_interpolation(void)
{
    int64_t labels[5] = {9, 9, 9, 9, 9};
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *frames = NULL, *end = NULL;
    cm_sampler *s = open_session(student, "", 4, &model);
    cm_edit e = cm_edit_default("interpolate");
    cm_request r = {.size = sizeof r, .num = 5, .labels = labels, .edit = &e, .seed = 3};
    e.to_seed = 8;
    CHECK_OK(cm_sampler_run(s, &r, &frames, &err), err);
    r.edit = NULL;
    r.num = 1;
    for (int i = 0; i < 2; i++) {
        r.seed = i ? 8 : 3;
        CHECK_OK(cm_sampler_run(s, &r, &end, &err), err);
        CHECK(distance(end->pixels, frames->pixels + 4 * i * image) < 1e-3, "end %d", i);
    }
    for (int i = 0; i < 4; i++)
        CHECK(distance(frames->pixels + i * image, frames->pixels + (i + 1) * image) > 0.01,
              "frame %d is the next", i);
    cm_images_free(frames);
    cm_images_free(end);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* Up and down the ODE; the noise is as long as noise is, and leads back by itself. */
static void test_inversion(void)
{
    int64_t labels[2];
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL, *again = NULL;
    double square = 0;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(teacher, "", 2, &model);
    cm_images in = pictures(0, 2, labels);
    cm_edit e = cm_edit_default("invert");
    cm_request r = {.size = sizeof r, .num = 2, .labels = labels, .as_float = 1, .edit = &e};
    e.image = &in;
    if (!CHECK_OK(cm_sampler_run(s, &r, &out, &err), err))
        return;
    for (int i = 0; i < 2 * image; i++)
        square += (double)out->noise[i] * (double)out->noise[i] / (2 * image);
    CHECK(square > 0.6 && square < 1.4, "noise of variance %g", square);
    for (int i = 0; i < 2; i++)
        CHECK(distance(out->pixels + i * image, in.pixels + i * image) < 0.12, "back: %g",
              distance(out->pixels + i * image, in.pixels + i * image));
    r.edit = NULL;
    r.noise = out->noise;
    r.draws = 1;
    CHECK_OK(cm_sampler_run(s, &r, &again, &err), err);
    CHECK(!memcmp(again->values, out->values, 2 * image * sizeof(float)), "the same way back");
    cm_images_free(out);
    cm_images_free(again);
    cm_sampler_free(s);
    cm_model_free(model);
}

/* ---- classes, and the cost ---- */

/* The class is told from the picture, or from what is left of it. */
static void test_classes(void)
{
    enum { n = 60 };
    int64_t labels[n], right = 0;
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL;
    if (!clothes)
        CHECK_SKIP("no Fashion-MNIST here");
    cm_sampler *s = open_session(student, "2", 20, &model);
    cm_images in = pictures(0, n, labels);
    cm_edit e = cm_edit_default("vary");
    const cm_request r = {.size = sizeof r, .num = n, .edit = &e};
    e.image = &in;
    CHECK_OK(cm_sampler_run(s, &r, &out, &err), err);
    for (int i = 0; i < n; i++)
        right += out->labels[i] == labels[i];
    printf("    the class of %lld of %d is told\n", (long long)right, n);
    CHECK(right >= n * 6 / 10, "the class of %lld of %d", (long long)right, n);
    cm_images_free(out);
    cm_sampler_free(s);
    cm_model_free(model);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* An edit against evaluations alone: sampling with as many, of as many images. */
static void test_cost(void)
{
    static uint8_t mask[image];
    int64_t label = 9;
    double least[2] = {1e9, 1e9};
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *out = NULL;
    static uint8_t pixels[image];
    cm_images in = {.size = sizeof in, .n = 1, .h = side, .w = side, .c = 1, .pixels = pixels};
    cm_sampler *s = open_session(student, "80,20,5", 1, &model);
    in.labels = &label;
    cm_images masks = in;
    masks.pixels = mask;
    memset(mask, 255, image / 2);
    cm_edit e = cm_edit_default("inpaint");
    e.image = &in;
    e.mask = &masks;
    cm_request r = {.size = sizeof r, .num = 1, .labels = &label};
    for (int i = 0; i < 60; i++) {
        r.edit = i % 2 ? &e : NULL;
        const double start = processor_seconds();
        CHECK_OK(cm_sampler_run(s, &r, &out, &err), err);
        least[i % 2] = fmin(least[i % 2], processor_seconds() - start);
    }
    printf("    an edit takes %.3f times its evaluations, %.2f ms\n", least[1] / least[0],
           1e3 * least[1]);
    CHECK(least[1] < 1.3 * least[0], "%.3f times", least[1] / least[0]);
    cm_images_free(out);
    cm_sampler_free(s);
    cm_model_free(model);
}

static const check_test tests[] = {
    {"400 inpainted", test_inpainting},
    {"400 upscaled", test_upscaling},
    {"200 colorized", test_colorizing},
    {"by the teacher", test_teacher},
    {"candidates", test_candidates},
    {"some classes", test_some_classes},
    {"strength", test_strength},
    {"denoising", test_denoising},
    {"noise level", test_noise_level},
    {"interpolation", test_interpolation},
    {"inversion", test_inversion},
    {"classes", test_classes},
    {"cost", test_cost},
};

int main(void)
{
    cm_error err = {0};
    if (cm_dataset_open("fashion-mnist-test", NULL, &clothes, &err))
        printf("    %s\n", err.message);
    const int status = scratch_main(tests, sizeof tests / sizeof *tests);
    cm_dataset_free(clothes);
    return status;
}
