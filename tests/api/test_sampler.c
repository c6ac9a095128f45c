/* test_sampler.c - sessions: a request of any kind gives what one call gives, and the second
 * one of a shape allocates nothing.  (oneDNN does, small blocks in each primitive that
 * it executes, which it frees again; nobody outside can change that.) */
#include "check.h"

#include "cm.h"

#include <malloc.h>
#include <stdatomic.h>

static const char consistency[] = "models/fashion-mnist-cd.safetensors";
static const char teacher[] = "models/fashion-mnist-edm.safetensors";

/* ---- allocations of this program, which libcm.a is a part of, are counted ---- */

static atomic_long allocations, of_others;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define COUNTED 1
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

extern char __executable_start, etext;

static void note(const void *caller)
{
    const int ours = (const char *)caller >= &__executable_start && (const char *)caller < &etext;
    atomic_fetch_add(ours ? &allocations : &of_others, 1);
}

void *malloc(size_t n)
{
    note(__builtin_return_address(0));
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    note(__builtin_return_address(0));
    return __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    note(__builtin_return_address(0));
    return __libc_realloc(p, n);
}

void *memalign(size_t align, size_t n)
{
    note(__builtin_return_address(0));
    return __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    note(__builtin_return_address(0));
    return __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
    note(__builtin_return_address(0));
    *p = __libc_memalign(align, n);
    return *p ? 0 : 12; /* ENOMEM */
}
#else
#define COUNTED 0
#endif

/* ---- helpers ---- */

static cm_model *open_model(const char *path)
{
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_open(path, &m, &err), err);
    return m;
}

static cm_sample_params params_of(const char *sampler, int num, int batch)
{
    cm_sample_params p = cm_sample_default_params();
    snprintf(p.sampler, sizeof p.sampler, "%s", sampler);
    snprintf(p.label, sizeof p.label, "random");
    p.num = num;
    p.batch = batch;
    p.threads = 2;
    return p;
}

static cm_sampler *session(const cm_model *m, const cm_sample_params *p)
{
    cm_error err = {0};
    cm_sampler *s = NULL;
    CHECK_OK(cm_sampler_new(m, p, &s, &err), err);
    return s;
}

/* Image i of both. */
static int same(const cm_images *a, int64_t i, const cm_images *b, int64_t k)
{
    const size_t n = (size_t)(a->h * a->w * a->c);
    return a->labels[i] == b->labels[k] &&
           !memcmp(a->pixels + (size_t)i * n, b->pixels + (size_t)k * n, n);
}

/* ---- requests ---- */

/* One image at a time, in any order, with the class that one call gave it. */
static void test_one_at_a_time(void)
{
    static const int order[] = {3, 0, 4, 1, 2};
    cm_error err = {0};
    cm_model *m = open_model(consistency);
    cm_sample_params all = params_of("multistep", 5, 64), one = params_of("multistep", 1, 64);
    cm_images *want = NULL, *got = NULL;
    all.seed = 11;
    CHECK_OK(cm_sample(m, &all, &want, &err), err);
    cm_sampler *s = session(m, &one);
    for (int k = 0; want && s && k < 5; k++) {
        cm_request r = cm_request_default();
        r.seed = 11;
        r.first = order[k];
        if (CHECK_OK(cm_sampler_run(s, &r, &got, &err), err))
            CHECK(same(want, order[k], got, 0), "image %d alone is another", order[k]);
    }
    cm_images_free(got);
    cm_images_free(want);
    cm_sampler_free(s);
    cm_model_free(m);
}

static void test_labels(void)
{
    static const int64_t labels[] = {9, 0, 3, 3, 7, 1, 2};
    cm_error err = {0};
    cm_model *m = open_model(consistency);
    cm_sample_params p = params_of("onestep", 4, 4);
    cm_sampler *s = session(m, &p);
    cm_images *all = NULL, *one = NULL;
    cm_request r = cm_request_default();
    r.num = 7; /* more than a batch */
    r.labels = labels;
    CHECK_OK(cm_sampler_run(s, &r, &all, &err), err);
    for (int i = 0; all && i < 7; i++) {
        snprintf(p.label, sizeof p.label, "%d", (int)labels[i]);
        cm_sampler *fixed = session(m, &p);
        cm_request alone = cm_request_default();
        alone.first = i;
        if (CHECK_OK(cm_sampler_run(fixed, &alone, &one, &err), err))
            CHECK(all->labels[i] == labels[i] && same(all, i, one, 0), "label %d", i);
        cm_sampler_free(fixed);
    }
    cm_images_free(one);
    cm_images_free(all);
    cm_sampler_free(s);
    cm_model_free(m);
}

/* Noise of the caller: with zeros in the draws that are added later it is Algorithm 1 without
 * them; the image of a draw does not depend on the seed or on its place. */
static void test_noise(const char *path, const char *sampler, double churn, int draws)
{
    enum { side = 32, n = 3 };
    cm_error err = {0};
    cm_model *m = open_model(path);
    cm_sample_params p = params_of(sampler, 2, 2);
    p.s_churn = churn;
    p.steps = churn > 0 ? 3 : 0;
    snprintf(p.label, sizeof p.label, "4");
    cm_sampler *s = session(m, &p);
    const size_t image = side * side, count = (size_t)draws * n * image;
    float *noise = malloc(count * sizeof *noise);
    cm_images *a = NULL, *b = NULL;
    cm_request r = cm_request_default();
    CHECK(cm_sampler_draws(s) == draws, "%s: %d draws", sampler, (int)cm_sampler_draws(s));
    for (size_t i = 0; i < count; i++)
        noise[i] = (float)((double)((i * 7919) % 2003) / 500.0 - 2.0);
    for (int d = 0; d < draws; d++) /* image 2 has the noise of image 0 */
        memcpy(noise + ((size_t)d * n + 2) * image, noise + (size_t)d * n * image,
               image * sizeof *noise);
    r.num = n;
    r.noise = noise;
    r.draws = draws;
    CHECK_OK(cm_sampler_run(s, &r, &a, &err), err);
    r.seed = 5;
    r.first = 100;
    CHECK_OK(cm_sampler_run(s, &r, &b, &err), err);
    for (int i = 0; a && b && i < n; i++)
        CHECK(same(a, i, b, i), "%s: the seed changes image %d of given noise", sampler, i);
    CHECK(a && same(a, 0, a, 2) && !same(a, 0, a, 1), "%s: equal noise, other images", sampler);
    noise[(size_t)(draws > 1) * n * image + 5] += 3.0f; /* later draws count */
    CHECK_OK(cm_sampler_run(s, &r, &b, &err), err);
    CHECK(b && !same(a, 0, b, 0) && same(a, 1, b, 1), "%s: a later draw", sampler);
    r.draws = 1; /* what is not given is of the seed */
    CHECK_OK(cm_sampler_run(s, &r, &a, &err), err);
    r.seed = 6;
    CHECK_OK(cm_sampler_run(s, &r, &b, &err), err);
    CHECK(a && b && same(a, 1, b, 1) == (draws == 1), "%s: the seed after the first draw", sampler);
    free(noise);
    cm_images_free(a);
    cm_images_free(b);
    cm_sampler_free(s);
    cm_model_free(m);
}

static void test_given_noise(void)
{
    test_noise(consistency, "onestep", 0, 1);
    test_noise(consistency, "multistep", 0, 2);
    test_noise(teacher, "heun", 0, 1);
    test_noise(teacher, "heun", 2, 4);
    test_noise(teacher, "euler", 0, 1);
    test_noise(teacher, "dpm2", 0, 1);
    test_noise(teacher, "dpm2", 2, 4);
    test_noise(teacher, "ancestral", 0, 18);
    test_noise(teacher, "dpm-solver++2m", 0, 1);
    test_noise(teacher, "dpm-solver++3m", 0, 1);
}

static void test_float(void)
{
    cm_error err = {0};
    cm_model *m = open_model(consistency);
    cm_sample_params p = params_of("onestep", 2, 2);
    cm_sampler *s = session(m, &p);
    cm_images *images = NULL;
    cm_request r = cm_request_default();
    double least = 0, most = 0;
    int between = 0;
    r.num = 3;
    CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    CHECK(images && !images->values, "values that nobody asked for");
    r.as_float = 1;
    CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    for (int i = 0; images && images->values && i < 3 * 32 * 32; i++) {
        const double v = (double)images->values[i], byte = 127.5 * v + 127.5;
        least = v < least ? v : least;
        most = v > most ? v : most;
        between += fabs(byte - rint(byte)) > 0.01;
        CHECK(fabs(byte - images->pixels[i]) <= 0.5001, "value %g, pixel %d", v, images->pixels[i]);
    }
    CHECK(least >= -1 && least < -0.9 && most <= 1 && most > 0.5 && between > 100,
          "values from %g to %g, %d between bytes", least, most, between);
    cm_images_free(images);
    cm_sampler_free(s);
    cm_model_free(m);
}

/* ---- progress and stop ---- */

struct watch {
    int64_t done, all;
    int calls, stop_after;
};

static void count(void *user, int64_t done, int64_t all)
{
    struct watch *w = user;
    CHECK(done > w->done, "%lld after %lld", (long long)done, (long long)w->done);
    w->done = done;
    w->all = all;
    w->calls++;
}

static int enough(void *user)
{
    const struct watch *w = user;
    return w->stop_after && w->calls >= w->stop_after;
}

static void test_progress(void)
{
    static const struct {
        const char *path, *sampler;
        int evaluations;
    } kinds[] = {{consistency, "onestep", 1},
                 {consistency, "multistep", 2},
                 {teacher, "heun", 9},
                 {teacher, "euler", 5}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cm_error err = {0};
        cm_model *m = open_model(kinds[i].path);
        cm_sample_params p = params_of(kinds[i].sampler, 2, 2);
        p.steps = kinds[i].path == teacher ? 5 : 0;
        cm_sampler *s = session(m, &p);
        cm_images *images = NULL;
        struct watch w = {0};
        cm_request r = cm_request_default();
        r.num = 5;
        r.progress = count;
        r.stop = enough;
        r.user = &w;
        CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
        CHECK(w.done == 5 * kinds[i].evaluations && w.all == w.done, "%s: %d of %d",
              kinds[i].sampler, (int)w.done, (int)w.all);
        w = (struct watch){.stop_after = 2};
        CHECK(cm_sampler_run(s, &r, &images, &err) == CM_INTERRUPTED && w.calls == 2,
              "%s: stopped after %d calls: %s", kinds[i].sampler, w.calls, err.message);
        w = (struct watch){0};
        CHECK_OK(cm_sampler_run(s, &r, &images, &err), err); /* the session goes on */
        cm_images_free(images);
        cm_sampler_free(s);
        cm_model_free(m);
    }
}

/* ---- images as they are done ---- */

struct arrivals {
    const cm_images *whole; /* what one call gives */
    int64_t made, refuse_at;
};

static cm_status arrive(void *user, const cm_images *images, int64_t first, int64_t n,
                        cm_error *err)
{
    struct arrivals *a = user;
    const size_t size = (size_t)(images->h * images->w * images->c);
    if (a->refuse_at && first >= a->refuse_at) {
        snprintf(err->message, sizeof err->message, "enough");
        return err->status = CM_ERR_IO;
    }
    CHECK(first == a->made && n > 0 && n <= 2, "%d images from %d on, after %d", (int)n, (int)first,
          (int)a->made);
    CHECK(!memcmp(images->pixels, a->whole->pixels, (size_t)(first + n) * size) &&
              images->labels[first] == a->whole->labels[first],
          "other images");
    a->made = first + n;
    return CM_OK;
}

static void test_made(void)
{
    cm_error err = {0};
    cm_model *m = open_model(consistency);
    const cm_sample_params p = params_of("multistep", 2, 2);
    cm_sampler *s = session(m, &p);
    cm_images *whole = NULL, *images = NULL;
    struct arrivals a = {0};
    cm_request r = cm_request_default();
    r.num = 5;
    CHECK_OK(cm_sampler_run(s, &r, &whole, &err), err);
    a.whole = whole;
    r.made = arrive;
    r.user = &a;
    CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    CHECK(a.made == 5, "%d of 5", (int)a.made);
    a = (struct arrivals){.whole = whole, .refuse_at = 2};
    CHECK(cm_sampler_run(s, &r, &images, &err) == CM_ERR_IO && !strcmp(err.message, "enough") &&
              a.made == 2,
          "went on to %d: %s", (int)a.made, err.message);
    cm_images_free(whole);
    cm_images_free(images);
    cm_sampler_free(s);
    cm_model_free(m);
}

/* ---- memory ---- */

static void run_twice(const cm_model *m, const char *sampler, int num, int as_float)
{
    cm_error err = {0};
    cm_sample_params p = params_of(sampler, num, 64);
    cm_sampler *s = session(m, &p);
    cm_images *images = NULL;
    cm_request r = cm_request_default();
    r.num = num;
    r.as_float = as_float;
    CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    const cm_images *first = images;
    const long before = allocations, others = of_others;
    for (int i = 0; i < 3; i++) {
        r.seed++;
        CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    }
    CHECK(images == first, "%s of %d: other images", sampler, num);
    CHECK(allocations == before, "%s of %d: %ld allocations", sampler, num, allocations - before);
    printf("    %s of %d: oneDNN allocated %ld times a request\n", sampler, num,
           (of_others - others) / 3);
    cm_images_free(images);
    cm_sampler_free(s);
}

/* The same of edits; steps: by a teacher, which takes no mask here. */
static void edit_twice(const cm_model *m, const char *task, int steps)
{
    static uint8_t pixels[32 * 32];
    int64_t label = 3;
    cm_error err = {0};
    cm_sample_params p = params_of("auto", 2, 64);
    p.steps = steps;
    cm_sampler *s = session(m, &p);
    cm_images *images = NULL;
    cm_images in = {.size = sizeof in, .n = 1, .h = 32, .w = 32, .c = 1, .pixels = pixels};
    cm_edit e = cm_edit_default(task);
    cm_request r = cm_request_default();
    in.labels = &label;
    e.image = &in;
    e.mask = steps ? NULL : &in;
    r.labels = &label;
    r.edit = &e;
    CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    const cm_images *first = images;
    const long before = allocations;
    for (int i = 0; i < 3; i++) {
        r.seed++;
        CHECK_OK(cm_sampler_run(s, &r, &images, &err), err);
    }
    CHECK(images == first && allocations == before, "%s: %ld allocations", task,
          allocations - before);
    cm_images_free(images);
    cm_sampler_free(s);
}

static void test_no_allocation(void)
{
    if (!COUNTED)
        CHECK_SKIP("the allocator is not glibc's own");
    cm_model *m = open_model(consistency), *t = open_model(teacher);
    free(malloc(1));
    CHECK(allocations > 100, "%ld allocations: nobody counts", (long)allocations);
    run_twice(m, "onestep", 1, 0);
    run_twice(m, "onestep", 16, 1);
    run_twice(m, "multistep", 3, 0);
    run_twice(t, "heun", 2, 0);
    edit_twice(m, "inpaint", 0);
    edit_twice(t, "invert", 3);
    cm_model_free(m);
    cm_model_free(t);
}

/* Images of another shape are replaced. */
static void test_reuse(void)
{
    cm_error err = {0};
    cm_model *m = open_model(consistency);
    cm_sample_params p = params_of("onestep", 4, 4);
    cm_images *images = NULL, *want = NULL;
    CHECK_OK(cm_sample(m, &p, &want, &err), err);
    p.num = 2;
    CHECK_OK(cm_sample(m, &p, &images, &err), err);
    p.num = 4;
    CHECK_OK(cm_sample(m, &p, &images, &err), err);
    for (int i = 0; images && i < 4; i++)
        CHECK(images->n == 4 && same(images, i, want, i), "image %d", i);
    cm_images_free(images);
    cm_images_free(want);
    cm_model_free(m);
}

/* ---- in memory ---- */

static void *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!CHECK(f != NULL, "%s", path))
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *bytes = malloc(*size);
    CHECK(bytes && fread(bytes, 1, *size, f) == *size, "%s", path);
    fclose(f);
    return bytes;
}

static void test_model_in_memory(void)
{
    cm_error err = {0};
    size_t size = 0;
    unsigned char *bytes = read_all(consistency, &size);
    cm_model *file = open_model(consistency), *memory = NULL, *bad = NULL;
    cm_images *want = NULL, *got = NULL;
    cm_sample_params p = params_of("onestep", 2, 2);
    CHECK_OK(cm_model_open_memory(bytes, size, &memory, &err), err);
    CHECK(cm_model_open_memory(bytes, size - 1, &bad, &err) == CM_ERR_FORMAT && !bad, "cut short");
    CHECK(cm_model_open_memory(bytes, 0, &bad, &err) == CM_ERR_FORMAT && !bad, "empty");
    memset(bytes, 0xa5, size);
    free(bytes);
    CHECK_OK(cm_sample(file, &p, &want, &err), err);
    CHECK_OK(cm_sample(memory, &p, &got, &err), err);
    CHECK(want && got && same(want, 0, got, 0) && same(want, 1, got, 1), "other images");
    cm_images_free(want);
    cm_images_free(got);
    cm_model_free(file);
    cm_model_free(memory);
}

static void test_images_in_memory(void)
{
    uint8_t pixels[2 * 3 * 5 * 3];
    int64_t labels[2] = {0, 1};
    cm_error err = {0};
    cm_images m = {
        .size = sizeof m, .n = 1, .h = 3, .w = 5, .c = 3, .pixels = pixels, .labels = labels};
    cm_images *back = NULL;
    cm_layout one = cm_layout_default(), two = one;
    void *bytes = NULL;
    size_t size = 0;
    one.columns = -1;
    two.columns = 2;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    CHECK_OK(cm_images_encode(&m, "png", &one, &bytes, &size, &err), err);
    CHECK_OK(cm_images_decode(bytes, size, &back, &err), err);
    CHECK(back && back->n == 1 && back->h == 3 && back->w == 5 && back->c == 3 &&
              back->labels[0] == -1 && !memcmp(back->pixels, pixels, 45),
          "not the same image");
    CHECK(cm_images_decode(bytes, size - 20, &back, &err) == CM_ERR_FORMAT, "cut short");
    CHECK(back && back->h == 3, "written in spite of an error");
    cm_bytes_free(bytes);
    m.n = 2;
    CHECK(cm_images_encode(&m, "png", &one, &bytes, &size, &err) == CM_ERR_ARGUMENT, "two");
    CHECK_OK(cm_images_encode(&m, "PNG", &two, &bytes, &size, &err), err);
    CHECK_OK(cm_images_decode(bytes, size, &back, &err), err);
    CHECK(back && back->w == 2 * 5 + 6 && back->h == 3 + 4, "grid of %d x %d", back->w, back->h);
    cm_bytes_free(bytes);
    CHECK_OK(cm_images_encode(&m, "gif", NULL, &bytes, &size, &err), err);
    CHECK(size > 6 && !memcmp(bytes, "GIF89a", 6), "not a GIF");
    cm_bytes_free(bytes);
    CHECK(cm_images_encode(&m, "bmp", NULL, &bytes, &size, &err) == CM_ERR_ARGUMENT, "bmp");
    cm_images_free(back);
}

static const check_test tests[] = {
    {"one image at a time, in any order", test_one_at_a_time},
    {"a label for each image", test_labels},
    {"noise of the caller", test_given_noise},
    {"values in float", test_float},
    {"progress and stop", test_progress},
    {"images as they are done", test_made},
    {"no allocation after the first request", test_no_allocation},
    {"images that do not fit are replaced", test_reuse},
    {"a model in memory", test_model_in_memory},
    {"images to and from memory", test_images_in_memory},
};

CHECK_MAIN(tests)
