/* test_door.c - every field of every struct and every pointer of every function of cm.h with
 * values that it must not have: each is CM_ERR_ARGUMENT, names the field and the value, and
 * begins nothing: no folder, no file, no object.
 *
 * Fields of the two params are walked by the option tables, which tables.c holds equal to the
 * structs; that the other structs have no further field is held by their sizes here. */
#include "scratch.h"

#include <limits.h>

static const char shipped[] = "models/fashion-mnist-cd.safetensors";
static cm_model *model;
static char longest[8192]; /* text with no end in sight */

/* The answer, and the words that its message must have. */
static void refused(cm_status s, const cm_error *err, const char *field, const char *value)
{
    CHECK(s == CM_ERR_ARGUMENT, "%s = %s: status %d '%s'", field, value, (int)s, err->message);
    CHECK(err->status == s, "%s: err says %d", field, (int)err->status);
    CHECK(strstr(err->message, field), "'%s' does not name %s", err->message, field);
    CHECK(strstr(err->message, value), "%s: '%s' does not say %s", field, err->message, value);
}

#define REFUSED(call, field, value)              \
    do {                                         \
        cm_error err = {0};                      \
        const cm_status status = (call);         \
        refused(status, &err, (field), (value)); \
    } while (0)

/* ---- the two params ---- */

typedef cm_status try_fn(const void *params, cm_error *err);

static cm_status try_sample(const void *params, cm_error *err)
{
    cm_images *images = NULL;
    const cm_status s = cm_sample(model, params, &images, err);
    CHECK(s || images, "CM_OK without images");
    CHECK(!s || !images, "images in spite of an error");
    cm_images_free(images);
    return s;
}

static cm_status try_session(const void *params, cm_error *err)
{
    cm_sampler *sampler = NULL;
    const cm_status s = cm_sampler_new(model, params, &sampler, err);
    CHECK(!s || !sampler, "a session in spite of an error");
    cm_sampler_free(sampler);
    return s;
}

static cm_status try_plot(const void *params, cm_error *err)
{
    static const char *const runs[] = {"models"};
    return cm_plot(runs, 1, params, NULL, NULL, err);
}

static cm_status try_train(const void *params, cm_error *err)
{
    return cm_train(params, 0, NULL, err);
}

static void try_int(const cm_option *o, void *params, try_fn *f)
{
    int64_t *field = (int64_t *)(void *)((char *)params + o->offset), saved = *field;
    const int64_t bad[] = {(int64_t)o->min - 1, (int64_t)o->max + 1, INT64_MIN, INT64_MAX,
                           ((int64_t)1 << 32) * 4000000 + 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char value[32];
        if (bad[i] >= (int64_t)o->min && bad[i] <= (int64_t)o->max)
            continue;
        snprintf(value, sizeof value, "found %lld", (long long)bad[i]);
        *field = bad[i];
        REFUSED(f(params, &err), o->name, value);
    }
    *field = saved;
}

static void try_real(const cm_option *o, void *params, try_fn *f)
{
    double *field = (double *)(void *)((char *)params + o->offset), saved = *field;
    const double bad[] = {o->min - 1,       nextafter(o->min, -INFINITY),
                          o->max + 1,       nextafter(o->max, INFINITY),
                          (double)NAN,      (double)INFINITY,
                          (double)-INFINITY};
    static const char *const found[] = {"found", "found", "found", "found", "nan", "inf", "-inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        *field = bad[i];
        REFUSED(f(params, &err), o->name, found[i]);
    }
    *field = saved;
}

static void try_flag(const cm_option *o, void *params, try_fn *f)
{
    static const int bad[] = {-1, 2, INT_MIN, INT_MAX};
    int *field = (int *)(void *)((char *)params + o->offset), saved = *field;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        *field = bad[i];
        REFUSED(f(params, &err), o->name, "found");
    }
    *field = saved;
}

static void try_text(const cm_option *o, void *params, try_fn *f)
{
    char *field = (char *)params + o->offset, saved[sizeof(cm_text)];
    memcpy(saved, field, sizeof saved);
    memset(field, 'a', sizeof(cm_text));
    REFUSED(f(params, &err), o->name, "512 bytes");
    memset(field, 0, sizeof(cm_text));
    memcpy(field, "\xff\xfe", 2);
    REFUSED(f(params, &err), o->name, o->choices ? "\\xff" : "");
    if (o->choices) {
        memcpy(field, "gan\0", 4);
        REFUSED(f(params, &err), o->name, "gan");
    }
    memcpy(field, saved, sizeof saved);
}

static void try_params(const cm_option *table, void *params, size_t *size, try_fn *f)
{
    static const size_t sizes[] = {0, 1, SIZE_MAX};
    const size_t right = *size;
    char value[32];
    for (size_t i = 0; i < 5; i++) {
        *size = i < 3 ? sizes[i] : i == 3 ? right - 8 : right + 8;
        snprintf(value, sizeof value, "found %zu", *size);
        REFUSED(f(params, &err), "size", value);
    }
    *size = right;
    for (const cm_option *o = table; o->name; o++)
        switch (o->type) {
        case CM_OPT_TEXT:
            try_text(o, params, f);
            break;
        case CM_OPT_INT:
            try_int(o, params, f);
            break;
        case CM_OPT_REAL:
            try_real(o, params, f);
            break;
        case CM_OPT_FLAG:
            try_flag(o, params, f);
            break;
        }
    REFUSED(f(NULL, &err), "params", "NULL");
}

static void test_sample_params(void)
{
    cm_sample_params p = cm_sample_default_params();
    try_params(cm_sample_options(), &p, &p.size, try_sample);
    try_params(cm_sample_options(), &p, &p.size, try_session);
    static const char *const lists[][2] = {
        {"ts", "0,x"},        {"ts", "1,2"},     {"ts", "0,1,1"},
        {"sigmas", "80,nan"}, {"sigmas", "1,2"}, {"sigmas", "inf"},
        {"class", "nobody"},  {"class", "-1"},   {"class", "10"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cm_error set = {0};
        cm_sample_params l = cm_sample_default_params();
        CHECK_OK(cm_options_set(cm_sample_options(), &l, lists[i][0], lists[i][1], &set), set);
        REFUSED(try_sample(&l, &err), lists[i][0], "found");
    }
}

static cm_train_params train_params(void)
{
    cm_train_params p = cm_train_default_params();
    snprintf(p.data, sizeof p.data, "tests/golden/data/train/data/rgb");
    snprintf(p.out, sizeof p.out, "%.500s", in_dir("run"));
    p.steps = 1;
    p.batch = 4;
    p.threads = 1;
    return p;
}

static void test_train_params(void)
{
    cm_train_params p = train_params();
    try_params(cm_train_options(), &p, &p.size, try_train);
    static const char *const others[][2] = {
        {"ema-rates", "0.9,x"},
        {"ema-rates", "2"},
        {"ema-rates", "nan"},
        {"channel-mult", "0"},
        {"channel-mult", "1,-2"},
        {"attention-resolutions", "x"},
        {"data", ""},
        {"out", ""},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cm_error set = {0};
        cm_train_params l = train_params();
        CHECK_OK(cm_options_set(cm_train_options(), &l, others[i][0], others[i][1], &set), set);
        REFUSED(try_train(&l, &err), others[i][0], "");
    }
    cm_train_params l = train_params();
    l.accumulate = 3;
    REFUSED(try_train(&l, &err), "accumulate", "found 3");
    cm_train_hooks hooks = {0};
    REFUSED(cm_train(&p, 0, &hooks, &err), "hooks: size", "found 0");
    REFUSED(cm_train(NULL, 0, NULL, &err), "params", "NULL");
    REFUSED(cm_data(NULL, NULL, NULL, NULL, &err), "params", "NULL");
    REFUSED(cm_train_preset(NULL, "tiny", &err), "params", "NULL");
    REFUSED(cm_train_preset(&p, NULL, &err), "name", "NULL");
    REFUSED(cm_train_preset(&p, "hu\nge", &err), "preset", "hu\\x0age");
    REFUSED(cm_train_check_used(NULL, 0, "lr", &err), "params", "NULL");
    REFUSED(cm_train_check_used(&p, 0, NULL, &err), "name", "NULL");
    REFUSED(cm_train_check_used(&p, 0, "bogus", &err), "name", "bogus");
    CHECK(!cm_options_nearest(NULL, "lr") && !cm_options_nearest(cm_train_options(), NULL),
          "near nothing");
    REFUSED(cm_train(&p, 2, NULL, &err), "resume", "found 2");
    REFUSED(cm_train(&p, -1, NULL, &err), "resume", "found -1");
    CHECK(scratch_count(0) == 0, "%d files or folders were made", scratch_count(0));
}

/* ---- requests ---- */

static cm_status try_eval(const void *params, cm_error *err)
{
    const cm_sample_params sampling = cm_sample_default_params();
    char *text = NULL;
    const cm_status s = cm_eval(params, &sampling, NULL, &text, err);
    CHECK(!text, "scores in spite of an error");
    return s;
}

static void test_eval_params(void)
{
    _Static_assert(sizeof(cm_eval_hooks) == 5 * 8, "a field that is not tried");
    cm_eval_params p = cm_eval_default_params();
    const cm_sample_params sampling = cm_sample_default_params();
    cm_sample_params bad = sampling;
    cm_eval_hooks hooks = {0};
    char *text = NULL;
    REFUSED(try_eval(&p, &err), "ref", "found none");
    snprintf(p.ref, sizeof p.ref, "fashion-mnist");
    REFUSED(try_eval(&p, &err), "samples", "expected");
    snprintf(p.samples, sizeof p.samples, "fashion-mnist");
    snprintf(p.features, sizeof p.features, "vgg");
    REFUSED(try_eval(&p, &err), "features", "'vgg'");
    p = cm_eval_default_params();
    p.kept = -1;
    REFUSED(try_eval(&p, &err), "kept", "found -1");
    p.kept = 10;
    p.json = 2;
    REFUSED(try_eval(&p, &err), "json", "found");
    p.json = 0;
    p.size = 8;
    REFUSED(try_eval(&p, &err), "size", "found 8");
    p.size = sizeof p;
    bad.batch = 0;
    REFUSED(cm_eval(&p, &bad, NULL, &text, &err), "batch", "found 0");
    REFUSED(cm_eval(&p, &sampling, &hooks, &text, &err), "hooks: size", "found 0");
    REFUSED(cm_eval(&p, NULL, NULL, &text, &err), "params", "NULL");
    REFUSED(cm_eval(&p, &sampling, NULL, NULL, &err), "text", "NULL");
    REFUSED(cm_eval(NULL, &sampling, NULL, &text, &err), "params", "NULL");
}

static void test_tune_params(void)
{
    _Static_assert(sizeof(cm_tune_params) == 8 + 8 * sizeof(cm_text) + 7 * 8, "likewise");
    cm_tune_params p = cm_tune_default_params();
    cm_eval_hooks hooks = {0};
    REFUSED(cm_tune(NULL, NULL, NULL, NULL, &err), "params", "NULL");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "model", "found none");
    snprintf(p.model, sizeof p.model, "models/fashion-mnist-cd.safetensors");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "data", "found none");
    snprintf(p.data, sizeof p.data, "fashion-mnist-test");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "weights", "found none");
    snprintf(p.weights, sizeof p.weights, "nowhere");
    snprintf(p.task, sizeof p.task, "stroke");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "task", "found 'stroke'");
    *p.task = '\0';
    p.evaluations = 2;
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "evaluations", "it is for the task sample");
    snprintf(p.task, sizeof p.task, "sample");
    p.evaluations = 1;
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "evaluations", "found 1");
    p.evaluations = 0;
    snprintf(p.plot, sizeof p.plot, "x.gif");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "plot", "found 'x.gif'");
    *p.plot = '\0';
    *p.task = '\0';
    snprintf(p.classes, sizeof p.classes, "none");
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "classes", "'none'");
    snprintf(p.classes, sizeof p.classes, "auto");
    REFUSED(cm_tune(&p, &hooks, NULL, NULL, &err), "hooks: size", "found 0");
    struct {
        const char *name;
        int64_t *field;
    } numbers[] = {{"num", &p.num},        {"most", &p.most},
                   {"factor", &p.factor},  {"evaluations", &p.evaluations},
                   {"seed", &p.seed},      {"batch", &p.batch},
                   {"threads", &p.threads}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const int64_t good = *numbers[i].field;
        *numbers[i].field = -1;
        REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), numbers[i].name, "found -1");
        *numbers[i].field = good;
    }
    p.size = 8;
    REFUSED(cm_tune(&p, NULL, NULL, NULL, &err), "size", "found 8");
}

static void test_request(void)
{
    /* size num first seed | labels noise | draws as_float | edit progress stop step user made
     * group */
    _Static_assert(sizeof(cm_request) == 4 * 8 + 2 * 8 + 8 + 8 + 7 * 8,
                   "a field that is not tried");
    cm_error made = {0};
    cm_sample_params p = cm_sample_default_params();
    cm_sampler *sampler = NULL;
    cm_images *images = NULL;
    char *origin = NULL;
    p.num = 2;
    p.of = 20;
    CHECK_OK(cm_sampler_new(model, &p, &sampler, &made), made);
    cm_request r = cm_request_default();
    static float noise[2 * 32 * 32];
    int64_t labels[2] = {0, 9};
#define TRY(field, bad, word, found)                                      \
    do {                                                                  \
        const cm_request saved = r;                                       \
        r.field = bad;                                                    \
        REFUSED(cm_sampler_run(sampler, &r, &images, &err), word, found); \
        r = saved;                                                        \
    } while (0)
    TRY(size, 0, "size", "found 0");
    TRY(size, sizeof r + 8, "size", "found");
    TRY(num, 0, "num", "found 0");
    TRY(num, 10000001, "num", "found 10000001");
    TRY(num, INT64_MIN, "num", "found -9223372036854775808");
    TRY(first, -1, "first", "found -1");
    TRY(first, INT64_MAX, "first", "found 9223372036854775807");
    TRY(seed, -1, "seed", "found -1");
    TRY(seed, INT64_MAX, "seed", "found 9223372036854775807");
    TRY(draws, 1, "draws", "found 1");
    TRY(draws, -1, "draws", "found -1");
    TRY(as_float, 2, "as_float", "found 2");
    TRY(first, 20, "of: expected at least 21", "found 20");
    TRY(num, 21, "of: expected at least 21", "found 20");
    r.num = 2;
    r.labels = labels;
    REFUSED(cm_sampler_origin(sampler, &r, &origin, &err), "request: labels", "expected none");
    labels[1] = 10;
    TRY(num, 2, "labels: element 1", "found 10");
    labels[1] = -1;
    TRY(num, 2, "labels: element 1", "found -1");
    r.labels = NULL;
    r.noise = noise;
    REFUSED(cm_sampler_origin(sampler, &r, &origin, &err), "request: noise", "expected none");
    TRY(draws, 0, "draws", "found 0");
    TRY(draws, 2, "draws", "found 2");
    r.draws = 1;
    noise[2000] = NAN;
    TRY(num, 2, "noise: element 2000", "found");
    noise[2000] = INFINITY;
    TRY(num, 2, "noise: element 2000", "inf");
#undef TRY
    REFUSED(cm_sampler_run(NULL, &r, &images, &err), "sampler", "NULL");
    REFUSED(cm_sampler_run(sampler, NULL, &images, &err), "request", "NULL");
    REFUSED(cm_sampler_run(sampler, &r, NULL, &err), "images", "NULL");
    REFUSED(cm_sampler_origin(NULL, &r, &origin, &err), "sampler", "NULL");
    REFUSED(cm_sampler_origin(sampler, NULL, &origin, &err), "request", "NULL");
    REFUSED(cm_sampler_origin(sampler, &r, NULL, &err), "text", "NULL");
    CHECK(!images && !origin, "images were made, or their origin");
    CHECK(cm_sampler_draws(NULL) == 0, "draws of nothing");
    cm_sampler_free(sampler);
}

/* ---- edits ---- */

static cm_request the_request;
static cm_sampler *the_sampler;

static cm_status try_edit(const void *edit, cm_error *err)
{
    cm_images *images = NULL;
    cm_request r = the_request;
    r.edit = edit;
    const cm_status s = cm_sampler_run(the_sampler, &r, &images, err);
    CHECK(!s == !!images, "images in spite of an error, or none without");
    cm_images_free(images);
    return s;
}

static void test_edit(void)
{
    _Static_assert(sizeof(cm_edit) == 8 + 512 + 4 * 8 + 4 * 8, "a field that is not tried");
    static uint8_t pixels[2 * 32 * 32];
    static float ends[2 * 32 * 32];
    int64_t labels[2] = {0, 9};
    cm_images picture = {.size = sizeof picture, .n = 1, .h = 32, .w = 32, .c = 1};
    cm_error made = {0};
    cm_sample_params p = cm_sample_default_params();
    p.num = 2;
    CHECK_OK(cm_sampler_new(model, &p, &the_sampler, &made), made);
    the_request = cm_request_default();
    the_request.labels = labels;
    picture.pixels = pixels;
    picture.labels = labels;
    cm_images mask = picture, small = picture, two = picture;
    two.n = 2;
    cm_edit e = cm_edit_default("inpaint");
    e.image = &picture;
    e.mask = &mask;
#define TRY(field, bad, word, found)              \
    do {                                          \
        const cm_edit saved = e;                  \
        e.field = bad;                            \
        REFUSED(try_edit(&e, &err), word, found); \
        e = saved;                                \
    } while (0)
    for (const cm_option *o = cm_edit_options(); o->name; o++) {
        if (o->type == CM_OPT_INT)
            try_int(o, &e, try_edit);
        else if (o->type == CM_OPT_REAL)
            try_real(o, &e, try_edit);
        else
            try_text(o, &e, try_edit);
    }
    TRY(size, 0, "edit: size", "found 0");
    TRY(size, sizeof e + 8, "edit: size", "found");
    TRY(image, NULL, "image", "NULL");
    TRY(mask, NULL, "mask", "NULL");
    TRY(mask, &two, "mask: expected 1 or 1", "found 2");
    TRY(ends, ends, "ends", "interpolate");
    TRY(factor, 2, "factor", "upscale");
    TRY(sigma, 0.1, "sigma", "denoise");
    TRY(strength, 0.5, "strength", "stroke, vary");
    TRY(to_seed, 2, "to-seed", "interpolate");
    small.w = 31;
    TRY(image, &small, "image", "found 31 x 32");
    TRY(mask, &small, "mask", "found 31 x 32");
    small.w = 0;
    TRY(image, &small, "edit: image: images: w", "found 0");
    TRY(mask, &small, "edit: mask: images: w", "found 0");
    the_request.num = 3;
    TRY(image, &two, "num: expected a multiple of the 2", "found 3");
    the_request.num = 1;
    e.mask = NULL;
#define TRY_TASK(name, word, found)               \
    do {                                          \
        memcpy(e.task, name, sizeof name);        \
        REFUSED(try_edit(&e, &err), word, found); \
    } while (0)
    TRY_TASK("colorize", "colour", "1 channel");
    TRY_TASK("upscale", "factor", "found 0");
    TRY_TASK("denoise", "sigma", "found 0");
    TRY_TASK("invert", "invert", "--teacher");
    TRY_TASK("interpolate", "image", "no effect");
    e.factor = 3;
    TRY_TASK("upscale", "factor", "found 3");
    e.factor = 4;
    TRY_TASK("upscale", "image: expected 8 x 8", "found 32 x 32");
    e.factor = 0;
    e.sigma = 81;
    TRY_TASK("denoise", "sigma", "found 81");
    e.sigma = 0.1;
    the_request.num = 2;
    TRY_TASK("denoise", "one answer", "found 2");
    e.sigma = 0;
    e.image = NULL;
    e.ends = ends;
    ends[2000] = NAN;
    TRY_TASK("interpolate", "ends: element 2000", "found");
#undef TRY
#undef TRY_TASK
    cm_sampler_free(the_sampler);
}

/* ---- images ---- */

static cm_status write_file(const cm_images *m, cm_error *err)
{
    return cm_images_write(m, in_dir("x.png"), NULL, err);
}

static cm_status encode(const cm_images *m, cm_error *err)
{
    void *bytes = NULL;
    size_t size = 0;
    const cm_status s = cm_images_encode(m, "png", NULL, &bytes, &size, err);
    cm_bytes_free(bytes);
    return s;
}

static void test_images(void)
{
    _Static_assert(sizeof(cm_images) == 2 * 8 + 4 * 4 + 4 * 8 + 2 * 8, "a field that is not tried");
    uint8_t pixels[12] = {0};
    int64_t label = -1;
    cm_images m = {
        .size = sizeof m, .n = 1, .h = 2, .w = 2, .c = 3, .pixels = pixels, .labels = &label};
    cm_status (*const put_out[])(const cm_images *, cm_error *) = {write_file, encode};
#define TRY(field, bad, word, found)       \
    do {                                   \
        const cm_images saved = m;         \
        m.field = bad;                     \
        REFUSED(f(&m, &err), word, found); \
        m = saved;                         \
    } while (0)
    for (int i = 0; i < 2; i++) {
        cm_status (*f)(const cm_images *, cm_error *) = put_out[i];
        TRY(size, 0, "size", "found 0");
        TRY(n, 0, "n", "found 0");
        TRY(n, -1, "n", "found -1");
        TRY(n, INT64_MAX, "n", "found 9223372036854775807");
        TRY(h, 0, "h", "found 0");
        TRY(h, INT_MAX, "h", "found 2147483647");
        TRY(w, -1, "w", "found -1");
        TRY(w, 65536, "w", "found 65536");
        TRY(c, 0, "c", "found 0");
        TRY(c, INT_MIN, "c", "found -2147483648");
        TRY(first, -1, "first", "found -1");
        TRY(first, INT64_MAX, "first", "found 9223372036854775807");
        TRY(pixels, NULL, "pixels", "NULL");
        label = -2;
        TRY(n, 1, "images: labels: element 0", "found -2");
        label = INT64_MIN;
        TRY(n, 1, "images: labels: element 0", "found -9223372036854775808");
        label = -1;
        REFUSED(f(NULL, &err), "images", "NULL");
    }
#undef TRY
    void *bytes = NULL;
    size_t size = 0;
    cm_images *out = NULL;
    REFUSED(cm_images_write(&m, NULL, NULL, &err), "path", "NULL");
    REFUSED(cm_images_write(&m, "", NULL, &err), "path", "none");
    REFUSED(cm_images_write(&m, longest, NULL, &err), "path", "aaaa");
    cm_layout one = cm_layout_default();
    one.columns = -1;
    cm_images pair = {.size = sizeof pair, .n = 2, .h = 1, .w = 1, .c = 3, .pixels = pixels};
    pair.labels = (int64_t[]){-1, -1};
    REFUSED(cm_images_write(&pair, in_dir("x.png"), &one, &err), "columns", "-1");
    cm_images *resized = NULL;
    double sigma;
    REFUSED(cm_images_resize(NULL, 4, 4, 1, "crop", 0, &resized, &err), "images", "NULL");
    REFUSED(cm_images_resize(&m, 0, 4, 1, "crop", 0, &resized, &err), "h", "found 0");
    REFUSED(cm_images_resize(&m, 4, 65536, 1, "crop", 0, &resized, &err), "w", "found 65536");
    REFUSED(cm_images_resize(&m, 4, 4, 2, "crop", 0, &resized, &err), "c", "found 2");
    REFUSED(cm_images_resize(&m, 4, 4, 1, NULL, 0, &resized, &err), "fit", "NULL");
    REFUSED(cm_images_resize(&m, 4, 4, 1, "fill", 0, &resized, &err), "fit", "fill");
    REFUSED(cm_images_resize(&m, 4, 4, 1, "crop", 2, &resized, &err), "nearest", "found 2");
    REFUSED(cm_images_resize(&m, 4, 4, 1, "crop", 0, NULL, &err), "resized", "NULL");
    REFUSED(cm_images_noise(NULL, 0, &sigma, &err), "images", "NULL");
    REFUSED(cm_images_noise(&m, 1, &sigma, &err), "i", "found 1");
    REFUSED(cm_images_noise(&m, -1, &sigma, &err), "i", "found -1");
    REFUSED(cm_images_noise(&m, 0, NULL, &err), "sigma", "NULL");
    CHECK(!resized, "resized in spite of an error");
    REFUSED(cm_images_encode(&m, NULL, NULL, &bytes, &size, &err), "kind", "NULL");
    REFUSED(cm_images_encode(&m, "gif\n", NULL, &bytes, &size, &err), "kind", "gif\\x0a");
    REFUSED(cm_images_encode(&m, longest, NULL, &bytes, &size, &err), "kind", "aaaa");
    REFUSED(cm_images_encode(&m, "png", NULL, NULL, &size, &err), "bytes", "NULL");
    REFUSED(cm_images_encode(&m, "png", NULL, &bytes, NULL, &err), "size", "NULL");
    REFUSED(cm_images_decode(NULL, 10, &out, &err), "bytes", "NULL");
    REFUSED(cm_images_decode(pixels, 10, NULL, &err), "images", "NULL");
    REFUSED(cm_images_read_noise(NULL, "x.safetensors", &out, &err), "model", "NULL");
    REFUSED(cm_images_read_noise(model, NULL, &out, &err), "path", "NULL");
    REFUSED(cm_images_read_noise(model, "x.safetensors", NULL, &err), "images", "NULL");
    REFUSED(cm_images_read(NULL, &out, &err), "path", "NULL");
    REFUSED(cm_images_read(longest, &out, &err), "path", "aaaa");
    REFUSED(cm_images_read("x.png", NULL, &err), "images", "NULL");
    CHECK(!bytes && !out && scratch_count(0) == 0, "something was made");
}

/* Classes that the model of a layout has, and images without any. */
static void test_labels(void)
{
    uint8_t pixels[2] = {1, 2};
    int64_t labels[2] = {-1, 9};
    cm_layout l = cm_layout_default();
    void *with = NULL, *without = NULL;
    size_t n = 0, m = 0;
    cm_images two = {
        .size = sizeof two, .n = 2, .h = 1, .w = 1, .c = 1, .pixels = pixels, .labels = labels};
    cm_error made = {0};
    l.captions = 1;
    labels[1] = INT64_MAX;
    CHECK_OK(cm_images_encode(&two, "png", &l, &with, &n, &made), made);
    cm_bytes_free(with);
    with = NULL;
    l.model = model; /* of ten classes */
    REFUSED(cm_images_encode(&two, "png", &l, &with, &n, &err), "images: labels: element 1",
            "expected -1 to 9, found 9223372036854775807");
    REFUSED(cm_images_write(&two, in_dir("x.npz"), &l, &err), "images: labels: element 1",
            "found 9223372036854775807");
    labels[1] = 10;
    REFUSED(cm_images_write(&two, in_dir("folder"), &l, &err), "images: labels: element 1",
            "found 10");
    CHECK(scratch_count(0) == 0, "something was made");
    labels[1] = -1;
    CHECK_OK(cm_images_encode(&two, "png", &l, &with, &n, &made), made);
    two.labels = NULL;
    CHECK_OK(cm_images_encode(&two, "png", &l, &without, &m, &made), made);
    CHECK(with && without && n == m && !memcmp(with, without, n), "NULL is not -1 for all");
    cm_bytes_free(with);
    cm_bytes_free(without);
    CHECK_OK(cm_images_write(&two, in_dir("x.npz"), &l, &made), made);
    CHECK_OK(cm_images_write(&two, in_dir("folder"), &l, &made), made);
    CHECK(!remove(in_dir("folder/000000.png")) && !remove(in_dir("folder/000001.png")) &&
              !remove(in_dir("folder")) && !remove(in_dir("x.npz")),
          "names of files without labels");
}

static void test_merge(void)
{
    const char *const paths[] = {"models/fashion-mnist-cd.safetensors"}, *const none[] = {NULL};
    cm_images *images = NULL;
    char *origin = NULL;
    REFUSED(cm_images_merge(1, NULL, &images, &origin, &err), "paths", "NULL");
    REFUSED(cm_images_merge(1, none, &images, &origin, &err), "paths", "NULL");
    REFUSED(cm_images_merge(0, paths, &images, &origin, &err), "n", "found 0");
    REFUSED(cm_images_merge(1, paths, NULL, &origin, &err), "images", "NULL");
    REFUSED(cm_images_merge(1, paths, &images, NULL, &err), "origin", "NULL");
    CHECK(!images && !origin, "images of nothing");
}

static cm_images tiny = {.size = sizeof tiny, .n = 1, .h = 1, .w = 1, .c = 1};

static cm_status write_as(const cm_layout *l, cm_error *err)
{
    return cm_images_write(&tiny, in_dir("x.png"), l, err);
}

static cm_status encode_as(const cm_layout *l, cm_error *err)
{
    void *bytes = NULL;
    size_t size = 0;
    const cm_status s = cm_images_encode(&tiny, "png", l, &bytes, &size, err);
    cm_bytes_free(bytes);
    return s;
}

static void test_layout(void)
{
    _Static_assert(sizeof(cm_layout) == 8 + 3 * 4 + 4 + 4 * 8, "a field that is not tried");
    uint8_t pixel = 0;
    int64_t label = -1;
    cm_layout l = cm_layout_default();
    cm_status (*const put_out[])(const cm_layout *, cm_error *) = {write_as, encode_as};
    tiny.pixels = &pixel;
    tiny.labels = &label;
#define TRY(field, bad, word, found)       \
    do {                                   \
        const cm_layout saved = l;         \
        l.field = bad;                     \
        REFUSED(f(&l, &err), word, found); \
        l = saved;                         \
    } while (0)
    for (int i = 0; i < 2; i++) {
        cm_status (*f)(const cm_layout *, cm_error *) = put_out[i];
        TRY(size, 0, "size", "found 0");
        TRY(columns, -2, "columns", "found -2");
        TRY(columns, INT_MAX, "columns", "found 2147483647");
        TRY(scale, 0, "scale", "found 0");
        TRY(scale, 33, "scale", "found 33");
        TRY(captions, 2, "captions", "found 2");
        TRY(captions, -1, "captions", "found -1");
        TRY(texts, (const char *const[]){NULL}, "texts", "element 0");
        TRY(texts, (const char *const[]){"\xff"}, "texts", "element 0");
        TRY(heading, longest, "heading", "aaaa");
        TRY(heading, "\xff", "heading", "UTF-8");
        TRY(heading, "a\033[31m", "heading", "a\\x1b[31m");
        TRY(heading, "two\nlines", "heading", "two\\x0alines");
        TRY(origin, "\xff", "origin", "UTF-8");
        TRY(texts, (const char *const[]){NULL}, "texts: element 0", "NULL");
        TRY(texts, (const char *const[]){"a\033[31m"}, "texts: element 0", "another");
        TRY(texts, (const char *const[]){longest}, "texts: element 0", "another");
    }
#undef TRY
    CHECK(scratch_count(0) == 0, "something was made");
}

/* Stops at the file that brings *left to 0. */
static cm_status count_down(void *left, const char *path, const char *name, const char *why_not,
                            cm_error *e)
{
    CHECK(!name && !why_not, "%s: a class, or left out", path);
    if (--*(int *)left)
        return CM_OK;
    e->status = CM_INTERRUPTED;
    snprintf(e->message, sizeof e->message, "%s", path);
    return CM_INTERRUPTED;
}

static void test_list(void)
{
    int left = 2;
    REFUSED(cm_images_list(NULL, count_down, &left, &err), "folder", "NULL");
    REFUSED(cm_images_list(longest, count_down, &left, &err), "folder", "aaaa");
    REFUSED(cm_images_list("models", NULL, &left, &err), "file", "NULL");
    CHECK(left == 2, "files of no folder");
    cm_error why = {0};
    CHECK(cm_images_list("docs/edit", count_down, &left, &why) == CM_INTERRUPTED && !left,
          "%d files more", left);
    CHECK(!strcmp(why.message, "docs/edit/coat.png"), "%s", why.message);
}

/* ---- models, and looking inside ---- */

static void test_models(void)
{
    _Static_assert(sizeof(cm_model_facts) == 8 + 5 * 4 + 4 + 8, "a field that is not tried");
    cm_model *m = NULL;
    char *text = NULL;
    REFUSED(cm_model_open(NULL, &m, &err), "path", "NULL");
    REFUSED(cm_model_open("", &m, &err), "path", "none");
    REFUSED(cm_model_open(longest, &m, &err), "path", "aaaa");
    REFUSED(cm_model_open(shipped, NULL, &err), "model", "NULL");
    REFUSED(cm_model_open_memory(NULL, 8, &m, &err), "bytes", "NULL");
    REFUSED(cm_model_open_memory("", 0, NULL, &err), "model", "NULL");
    REFUSED(cm_model_random(NULL, 1, &m, &err), "config_json", "NULL");
    REFUSED(cm_model_random(longest, 1, &m, &err), "config_json", "aaaa");
    REFUSED(cm_model_random("bench/networks/wide.json", -1, &m, &err), "seed", "-1");
    REFUSED(cm_model_random("bench/networks/wide.json", 1, NULL, &err), "model", "NULL");
    REFUSED(cm_describe(NULL, &text, &err), "path", "NULL");
    REFUSED(cm_describe(longest, &text, &err), "path", "aaaa");
    REFUSED(cm_describe_json(NULL, &text, &err), "path", "NULL");
    REFUSED(cm_describe_json(shipped, NULL, &err), "text", "NULL");
    REFUSED(cm_validate(NULL, &err), "path", "NULL");
    REFUSED(cm_validate(longest, &err), "path", "aaaa");
    int64_t next = 0;
    REFUSED(cm_images_check_path(NULL, NULL, NULL, &next, &err), "path", "NULL");
    REFUSED(cm_images_check_path("x.png", NULL, NULL, NULL, &err), "next", "NULL");
    cm_images expected = {.size = sizeof expected, .n = 700, .h = 32, .w = 32, .c = 1};
    cm_layout layout = cm_layout_default();
    layout.scale = 18; /* 27 columns and 26 rows of (32 + 2) 18 pixels, and a gap */
    REFUSED(cm_images_check_path("x.webp", &expected, &layout, &next, &err), "scale 18",
            "16560 x 15948");
    expected.n = 0;
    REFUSED(cm_images_check_path("x.png", &expected, &layout, &next, &err), "n", "found 0");
    REFUSED(cm_describe(shipped, NULL, &err), "text", "NULL");
    cm_model_facts facts = {0};
    REFUSED(cm_model_get_facts(model, &facts, &err), "size", "found 0");
    REFUSED(cm_model_get_facts(model, NULL, &err), "facts", "NULL");
    REFUSED(cm_model_get_facts(NULL, &facts, &err), "model", "NULL");
    CHECK(cm_model_class(NULL, "1") == -1 && cm_model_class(model, NULL) == -1, "a class of none");
    CHECK(cm_model_class(model, "9") == 9, "a number, where there are no names");
    static const char *const none[] = {"", "-1", "10", "9x", "cat", "9223372036854775808"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK(cm_model_class(model, none[i]) == -1, "'%s' is a class", none[i]);
    cm_model *emoji = NULL;
    cm_error err = {0};
    if (CHECK_OK(cm_model_open("models/emoji-cd.safetensors", &emoji, &err), err))
        CHECK(cm_model_class(emoji, "flags") == 1 && cm_model_class(emoji, "1") == -1,
              "a name, and a number where there are names");
    cm_model_free(emoji);
    CHECK(!m && !text, "something was made");
}

static void test_forward(void)
{
    const char *out = in_dir("out");
    REFUSED(cm_forward(NULL, NULL, "x", out, "f32", 1, &err), "weights", "NULL");
    REFUSED(cm_forward(longest, NULL, "x", out, "f32", 1, &err), "weights", "aaaa");
    REFUSED(cm_forward(shipped, longest, "x", out, "f32", 1, &err), "config_json", "aaaa");
    REFUSED(cm_forward(shipped, NULL, NULL, out, "f32", 1, &err), "input", "NULL");
    REFUSED(cm_forward(shipped, NULL, longest, out, "f32", 1, &err), "input", "aaaa");
    REFUSED(cm_forward(shipped, NULL, "x", NULL, "f32", 1, &err), "output", "NULL");
    REFUSED(cm_forward(shipped, NULL, "x", longest, "f32", 1, &err), "output", "aaaa");
    REFUSED(cm_forward(shipped, NULL, "x", out, NULL, 1, &err), "dtype", "NULL");
    REFUSED(cm_forward(shipped, NULL, "x", out, "f16", 1, &err), "dtype", "f16");
    REFUSED(cm_forward(shipped, NULL, "x", out, "f32", -1, &err), "threads", "-1");
    REFUSED(cm_forward(shipped, NULL, "x", out, "f32", 1025, &err), "threads", "1025");
    CHECK(scratch_count(0) == 0, "a file was made");
}

static cm_status explain(const cm_work *w, cm_error *err)
{
    char *text = NULL;
    const cm_status s = cm_explain(model, w, 0, &text, err);
    cm_string_free(text);
    return s;
}

static cm_status bench(const cm_work *w, cm_error *err)
{
    cm_bench_result r = {.size = sizeof r};
    return cm_bench(model, w, &r, err);
}

static void test_work(void)
{
    _Static_assert(sizeof(cm_work) == 8 + 2 * 8 + 4 * 4, "a field that is not tried");
    cm_work w = {.size = sizeof w, .kind = "onestep", .dtype = "f32", .batch = 1};
    cm_status (*const look[])(const cm_work *, cm_error *) = {explain, bench};
#define TRY(field, bad, word, found)       \
    do {                                   \
        const cm_work saved = w;           \
        w.field = bad;                     \
        REFUSED(f(&w, &err), word, found); \
        w = saved;                         \
    } while (0)
    for (int i = 0; i < 2; i++) {
        cm_status (*f)(const cm_work *, cm_error *) = look[i];
        TRY(size, 0, "size", "found 0");
        TRY(kind, NULL, "kind", "NULL");
        TRY(kind, "gan", "work", "gan");
        TRY(kind, longest, "kind", "aaaa");
        TRY(dtype, NULL, "dtype", "NULL");
        TRY(dtype, "f16", "dtype", "f16");
        TRY(dtype, longest, "dtype", "aaaa");
        TRY(batch, 0, "batch", "found 0");
        TRY(batch, 65537, "batch", "found 65537");
        TRY(micro_batch, -1, "micro_batch", "found -1");
        TRY(micro_batch, INT_MAX, "micro_batch", "found 2147483647");
        TRY(recompute, 2, "recompute", "found 2");
        TRY(threads, -1, "threads", "found -1");
        TRY(threads, 1025, "threads", "found 1025");
        TRY(threads, 1000000, "threads", "found 1000000");
        REFUSED(f(NULL, &err), "work", "NULL");
        /* What would have no effect. */
        TRY(recompute, 1, "recompute", "found 1");
        w.kind = "edm";
        TRY(micro_batch, 1, "micro_batch", "found 1");
        w.kind = "onestep";
    }
#undef TRY
    char *text = NULL;
    cm_bench_result r = {0};
    REFUSED(cm_explain(NULL, &w, 0, &text, &err), "model", "NULL");
    REFUSED(cm_explain(model, &w, 0, NULL, &err), "text", "NULL");
    REFUSED(cm_explain(model, &w, 2, &text, &err), "profile", "2");
    REFUSED(cm_bench(NULL, &w, &r, &err), "model", "NULL");
    REFUSED(cm_bench(model, &w, NULL, &err), "result", "NULL");
    REFUSED(cm_bench(model, &w, &r, &err), "size", "found 0");
    cm_bench_sum sum = {0};
    REFUSED(cm_bench_sums(NULL, 4, NULL, &err), "result", "NULL");
    REFUSED(cm_bench_sums(NULL, 4, &sum, &err), "size", "found 0");
    sum.size = sizeof sum;
    REFUSED(cm_bench_sums(NULL, 3, &sum, &err), "bytes", "found 3");
    REFUSED(cm_bench_sums(NULL, INT64_MAX, &sum, &err), "bytes", "1073741824");
    cm_bench_shared_result shared = {0};
    REFUSED(cm_bench_shared(NULL, NULL, &w, 1, &shared, &err), "model", "NULL");
    REFUSED(cm_bench_shared(NULL, model, &w, 1, NULL, &err), "result", "NULL");
    REFUSED(cm_bench_shared(NULL, model, &w, 1, &shared, &err), "size", "found 0");
    shared.size = sizeof shared;
    REFUSED(cm_bench_shared(NULL, model, NULL, 1, &shared, &err), "work", "NULL");
    REFUSED(cm_bench_shared(NULL, model, &w, -1, &shared, &err), "parts", "-1");
    REFUSED(cm_bench_shared(NULL, model, &w, 1, &shared, &err), "onestep", "step");
    w.kind = "edm";
    w.batch = 3;
    REFUSED(cm_bench_shared(NULL, model, &w, 2, &shared, &err), "batch", "found 3");
}

static void test_plot(void)
{
    static const char *const runs[] = {"a", NULL, ""};
    cm_plot_params p = cm_plot_default_params();
    const cm_option *t = cm_plot_options();
    for (const cm_option *o = t; o->name; o++)
        if (strcmp(o->name, "what") != 0) /* whose words only the logs can judge */
            try_params((const cm_option[]){*o, {0}}, &p, &p.size, try_plot);
    REFUSED(cm_plot(NULL, 1, &p, NULL, NULL, &err), "runs", "NULL");
    REFUSED(cm_plot(runs, 0, &p, NULL, NULL, &err), "n", "found 0");
    REFUSED(cm_plot(runs, 29, &p, NULL, NULL, &err), "n", "found 29");
    REFUSED(cm_plot(runs, 2, &p, NULL, NULL, &err), "runs", "NULL");
    REFUSED(cm_plot(runs + 2, 1, &p, NULL, NULL, &err), "runs", "none");
}

/* ---- options, sampling's pointers, and what has no status ---- */

static void test_rest(void)
{
    cm_sample_params p = cm_sample_default_params();
    cm_images *images = NULL;
    cm_sampler *sampler = NULL;
    const cm_option *t = cm_sample_options();
    REFUSED(cm_options_set(NULL, &p, "num", "1", &err), "table", "NULL");
    REFUSED(cm_options_set(t, NULL, "num", "1", &err), "config", "NULL");
    REFUSED(cm_options_set(t, &p, NULL, "1", &err), "name", "NULL");
    REFUSED(cm_options_set(t, &p, "num", NULL, &err), "num", "none");
    REFUSED(cm_options_set(t, &p, "nmu", "1", &err), "nmu", "num");
    REFUSED(cm_options_set(t, &p, longest, "1", &err), "aaaa", "no such");
    REFUSED(cm_options_set(t, &p, "class", longest, &err), "class", "511 bytes");
    REFUSED(cm_options_read(NULL, &p, "x", &err), "table", "NULL");
    REFUSED(cm_options_read(t, NULL, "x", &err), "config", "NULL");
    REFUSED(cm_options_read(t, &p, NULL, &err), "path", "NULL");
    REFUSED(cm_sample(NULL, &p, &images, &err), "model", "NULL");
    REFUSED(cm_sample(model, &p, NULL, &err), "images", "NULL");
    REFUSED(cm_sample_check_used(NULL, &p, "steps", &err), "model", "NULL");
    REFUSED(cm_sample_check_used(model, NULL, "steps", &err), "params", "NULL");
    REFUSED(cm_sample_check_used(model, &p, NULL, &err), "name", "NULL");
    REFUSED(cm_sample_check_used(model, &p, "bogus", &err), "name", "bogus");
    REFUSED(cm_sample_check_used(model, &p, "s-noise", &err), "s-noise", "has no effect");
    CHECK(!cm_sample_check_used(model, &p, "seed", NULL), "the seed always matters");
    REFUSED(cm_sampler_new(NULL, &p, &sampler, &err), "model", "NULL");
    REFUSED(cm_sampler_new(model, &p, NULL, &err), "sampler", "NULL");
    CHECK(cm_sample(NULL, NULL, NULL, NULL) == CM_ERR_ARGUMENT, "without err");
    CHECK(cm_status_name((cm_status)-1) && cm_status_name((cm_status)1000), "no name");
    cm_options_defaults(NULL, &p);
    cm_options_defaults(t, NULL);
    cm_machine(NULL, 10);
    cm_machine(longest, 0);
    cm_images_free(NULL);
    cm_bytes_free(NULL);
    cm_string_free(NULL);
    cm_sampler_free(NULL);
    cm_model_free(NULL);
    CHECK(!images && !sampler, "something was made");
}

static const check_test tests[] = {
    {"fields of the params of sampling", test_sample_params},
    {"fields of the params of training", test_train_params},
    {"fields of the params of evaluation", test_eval_params},
    {"fields of the params of the search for edits", test_tune_params},
    {"fields of a request", test_request},
    {"fields of an edit", test_edit},
    {"fields of a plot", test_plot},
    {"fields of images", test_images},
    {"labels of images", test_labels},
    {"files of a folder", test_list},
    {"parts of a set", test_merge},
    {"fields of a layout", test_layout},
    {"models", test_models},
    {"cm_forward", test_forward},
    {"fields of a work", test_work},
    {"the rest", test_rest},
};

int main(void)
{
    cm_error err = {0};
    memset(longest, 'a', sizeof longest - 1);
    if (cm_model_open(shipped, &model, &err)) {
        printf("%s\n", err.message);
        return EXIT_FAILURE;
    }
    const int status = scratch_main(tests, sizeof tests / sizeof *tests);
    cm_model_free(model);
    return status;
}
