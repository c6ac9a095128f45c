/* test_bf16_sampling.c - the shipped model sampled in bf16: the images are those of
 * f32 but for a gray level here and there, and do not depend on threads or batches. */
#include "check.h"

#include "cm.h"
#include "cpu/cpu.h"

typedef struct recipe {
    const char *name, *sampler, *sigmas;
} recipe;

static const recipe recipes[] = {{"one step", "onestep", ""}, {"two steps", "multistep", "80,5"}};

static cm_images *sample(const recipe *r, const char *dtype, int num, int batch, int threads)
{
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *images = NULL;
    cm_sample_params c = cm_sample_default_params();
    snprintf(c.sampler, sizeof c.sampler, "%s", r->sampler);
    snprintf(c.sigmas, sizeof c.sigmas, "%s", r->sigmas);
    snprintf(c.dtype, sizeof c.dtype, "%s", dtype);
    c.num = num;
    c.batch = batch;
    c.threads = threads;
    c.seed = 3;
    CHECK_OK(cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err), err);
    if (model)
        CHECK_OK(cm_sample(model, &c, &images, &err), err);
    cm_model_free(model);
    return images;
}

/* Of every image, the mean over its pixels is within 2/255 of the network's range
 * [-1, 1]: one level of 0..255. */
static void check_near(const recipe *r)
{
    enum { N = 32 };
    cm_images *f32 = sample(r, "f32", N, N, 2), *bf16 = sample(r, "bf16", N, N, 2);
    double all = 0.0, worst = 0.0;
    int most = 0;
    for (int i = 0; f32 && bf16 && i < N; i++) {
        const int64_t pixels = (int64_t)f32->h * f32->w * f32->c;
        double sum = 0.0;
        for (int64_t p = i * pixels; p < (i + 1) * pixels; p++) {
            const int d = abs((int)f32->pixels[p] - (int)bf16->pixels[p]);
            sum += d;
            most = d > most ? d : most;
        }
        all += sum / (double)pixels / N;
        worst = fmax(worst, sum / (double)pixels);
    }
    printf(
        "    %s: levels of 255 apart: %.3f in the mean, %.3f in the worst image, %d at a pixel\n",
        r->name, all, worst, most);
    CHECK(all > 0.0, "%s: bf16 gives the very images of f32", r->name);
    CHECK(worst <= 1.0, "%s: an image %.3f levels apart", r->name, worst);
    cm_images_free(f32);
    cm_images_free(bf16);
}

static void check_same(const recipe *r)
{
    enum { N = 11 };
    const struct {
        int batch, threads;
    } variants[] = {{1, 2}, {3, 1}, {3, 2}, {8, 1}, {8, 2}};
    cm_images *want = sample(r, "bf16", N, 1, 1);
    for (int i = 0; want && i < 5; i++) {
        cm_images *got = sample(r, "bf16", N, variants[i].batch, variants[i].threads);
        const size_t bytes = (size_t)(N * want->h * want->w * want->c);
        CHECK(got && !memcmp(want->pixels, got->pixels, bytes),
              "%s: batches of %d, %d threads: other images", r->name, variants[i].batch,
              variants[i].threads);
        cm_images_free(got);
    }
    cm_images_free(want);
}

static void for_recipes(void (*check)(const recipe *r))
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    for (int i = 0; i < 2; i++)
        check(&recipes[i]);
}

static void test_near(void)
{
    for_recipes(check_near);
}

static void test_same(void)
{
    for_recipes(check_same);
}

static const check_test tests[] = {
    {"bf16 images are within a gray level of f32", test_near},
    {"bf16 images do not depend on threads or batches", test_same},
};

CHECK_MAIN(tests)
