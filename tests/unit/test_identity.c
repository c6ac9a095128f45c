/* test_identity.c - image i is the same bits in every batch and micro-batch and with
 * every number of threads: images of the shipped models and of small networks trained
 * some steps, with every sampler, f32 and bf16; the network's raw numbers; and, one by
 * one, the products and convolutions it is made of.
 *
 * All of it for each instruction set of the machine: the program starts itself again
 * with CM_ISA and ONEDNN_MAX_CPU_ISA held down, for these are read once a process. */
#include "scratch.h"

#include "cm.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "io/safetensors.h"

#include <sys/stat.h>
#include <sys/wait.h>

enum { IMAGES = 48 };

static const char *const consistency = "models/fashion-mnist-cd.safetensors",
                         *const teacher = "models/fashion-mnist-edm.safetensors";

typedef struct variant {
    int batch, micro_batch, threads;
} variant;

static const variant variants[] = {
    {2, 0, 1},   {3, 0, 2},   {4, 2, 3},   {5, 2, 4},   {7, 3, 1},   {8, 0, 2},
    {8, 8, 4},   {9, 4, 2},   {12, 5, 3},  {13, 13, 1}, {16, 0, 2},  {16, 7, 4},
    {17, 17, 2}, {20, 20, 1}, {24, 12, 2}, {24, 24, 3}, {31, 31, 1}, {32, 16, 2},
    {33, 0, 4},  {47, 47, 2}, {48, 48, 1}, {48, 0, 2},  {64, 64, 2}, {64, 33, 3},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Numbers in [-1,1] that depend on i alone. */
static float number(int64_t i)
{
    const uint64_t u = ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u;
    return (float)(int32_t)(uint32_t)(u >> 32) * 0x1p-31f;
}

/* ---- images ---- */

typedef struct recipe {
    const char *sampler, *sigmas;
    int steps;
    double churn;
} recipe;

static const recipe onestep = {"onestep", "", 0, 0}, multistep = {"multistep", "80,5", 0, 0},
                    heun = {"heun", "", 2, 1.0}, euler = {"euler", "", 2, 0};

static cm_images *sample(cm_model *model, const recipe *r, const char *dtype, variant v)
{
    cm_error err = {0};
    cm_images *images = NULL;
    cm_sample_params c = cm_sample_default_params();
    snprintf(c.sampler, sizeof c.sampler, "%s", r->sampler);
    snprintf(c.sigmas, sizeof c.sigmas, "%s", r->sigmas);
    snprintf(c.dtype, sizeof c.dtype, "%s", dtype);
    c.steps = r->steps;
    c.s_churn = r->churn;
    c.num = IMAGES;
    c.seed = 5;
    c.batch = v.batch;
    c.micro_batch = v.micro_batch;
    c.threads = v.threads;
    CHECK_OK(cm_sample(model, &c, &images, &err), err);
    return images;
}

static size_t bytes_of(const cm_images *images)
{
    return (size_t)(images->n * images->h * images->w * images->c);
}

static int gray_levels(const cm_images *images)
{
    char seen[256] = {0};
    int n = 0;
    for (size_t i = 0; i < bytes_of(images); i++) {
        n += !seen[images->pixels[i]];
        seen[images->pixels[i]] = 1;
    }
    return n;
}

/* Variants begin, begin + step, .. against one image after another on one thread. */
static void check_images(cm_model *model, const char *name, const recipe *r, const char *dtype,
                         int begin, int step)
{
    cm_images *want = sample(model, r, dtype, (variant){1, 1, 1});
    if (!want)
        return;
    CHECK(gray_levels(want) > 16, "%s, %s: %d gray levels: nothing to compare", name, r->sampler,
          gray_levels(want));
    for (int i = begin; i < VARIANTS; i += step) {
        const variant v = variants[i];
        cm_images *got = sample(model, r, dtype, v);
        CHECK(got && !memcmp(want->pixels, got->pixels, bytes_of(want)) &&
                  !memcmp(want->labels, got->labels, IMAGES * sizeof *want->labels),
              "%s, %s, %s: other images in batches of %d, micro-batches of %d, %d threads", name,
              r->sampler, dtype, v.batch, v.micro_batch, v.threads);
        cm_images_free(got);
    }
    cm_images_free(want);
}

static int only_bf16, few;

static void for_dtypes(void (*check)(const char *dtype))
{
    if (!only_bf16)
        check("f32");
    if (cm_cpu_has_bf16())
        check("bf16");
}

static cm_model *open_model(const char *path)
{
    cm_error err = {0};
    cm_model *model = NULL;
    CHECK_OK(cm_model_open(path, &model, &err), err);
    return model;
}

/* One step in all variants; the samplers of several take turns.  Where instructions are
 * slow, one step in some. */
static void check_shipped(const char *dtype)
{
    cm_model *student = open_model(consistency), *edm = open_model(teacher);
    if (student && edm)
        check_images(student, "student", &onestep, dtype, 0, few ? 4 : 1);
    if (student && edm && !few) {
        check_images(student, "student", &multistep, dtype, 0, 8);
        check_images(edm, "teacher", &heun, dtype, 1, 8);
        check_images(edm, "teacher", &euler, dtype, 2, 8);
    }
    cm_model_free(student);
    cm_model_free(edm);
}

static void test_shipped(void)
{
    for_dtypes(check_shipped);
}

/* ---- small networks ---- */

typedef struct small {
    const char *name;
    int size, side, image_channels, channels; /* size: images to learn from */
    const char *mult, *attention;
} small;

static const small networks[] = {{"rgb8", 8, 8, 3, 32, "1,2", "4"},
                                 {"gray8", 8, 8, 1, 64, "1", "8"}};

/* Trained, for first weights are zero in the last layer and images all gray. */
static cm_model *train(const small *n, const char *method)
{
    cm_error err = {0};
    cm_train_params c;
    const size_t bytes = (size_t)(n->size * n->side * n->side * n->image_channels);
    int64_t labels[16];
    cm_images images = {.size = sizeof images,
                        .n = n->size,
                        .h = n->side,
                        .w = n->side,
                        .c = n->image_channels,
                        .pixels = malloc(bytes),
                        .labels = labels};
    char command[1200];
    for (int i = 0; i < n->size; i++)
        labels[i] = -1;
    for (size_t i = 0; i < bytes; i++)
        images.pixels[i] = (uint8_t)(127.5f + 127.5f * number((int64_t)i));
    c = cm_train_default_params();
    snprintf(c.method, sizeof c.method, "%s", method);
    snprintf(c.data, sizeof c.data, "%s", in_dir("data"));
    snprintf(c.out, sizeof c.out, "%s", in_dir("run"));
    snprintf(c.ema_rates, sizeof c.ema_rates, "0.1");
    snprintf(c.channel_mult, sizeof c.channel_mult, "%s", n->mult);
    snprintf(c.attention, sizeof c.attention, "%s", n->attention);
    snprintf(c.dtype, sizeof c.dtype, "f32");
    snprintf(c.image_size, sizeof c.image_size, "%d", n->side);
    c.channels = n->channels;
    c.num_heads = 2;
    c.steps = 8;
    c.batch = 4;
    c.lr = 0.5;
    c.threads = 1;
    CHECK_OK(cm_images_write(&images, in_dir("data"), NULL, &err), err);
    CHECK_OK(cm_train(&c, 0, NULL, &err), err);
    cm_model *model = open_model(in_dir("run"));
    snprintf(command, sizeof command, "rm -r '%s' '%s'", in_dir("data"), in_dir("run"));
    CHECK(!system(command), "cannot remove the run");
    free(images.pixels);
    return model;
}

/* Samplers do not know the network: the second has one step alone. */
static void check_small(const small *n, const char *method, const recipe *const *recipes, int most)
{
    cm_model *model = train(n, method);
    for (int r = 0; r < most && model; r++) {
        if (!only_bf16)
            check_images(model, n->name, recipes[r], "f32", r % 2, r ? 2 : 1);
        if (cm_cpu_has_bf16())
            check_images(model, n->name, recipes[r], "bf16", r % 2, r ? 2 : 1);
    }
    cm_model_free(model);
}

static void test_small(void)
{
    const recipe *const consistent[] = {&onestep, &multistep}, *const teachers[] = {&heun, &euler};
    check_small(&networks[0], "ct", consistent, few ? 1 : 2);
    if (!few)
        check_small(&networks[0], "edm", teachers, 2);
    check_small(&networks[1], "ct", consistent, 1);
}

/* ---- raw numbers ---- */

enum { SIDE = 32, PIXELS = SIDE * SIDE, MOST = 64 };

/* F of images first.. of MOST, into out. */
static void forward(const char *dtype, int first, int n, int threads, float *out)
{
    static float x[MOST * PIXELS], t[MOST];
    int64_t y[MOST];
    cm_error err = {0};
    cm_st_file *file = NULL;
    char in[1024], to[1024];
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < PIXELS; p++)
            x[i * PIXELS + p] = 2.0f * number((first + i) * PIXELS + p);
        t[i] = 1000.0f * number(7 * (first + i));
        y[i] = (first + i) % 10;
    }
    const cm_st_entry entries[] = {{"x", CM_ST_F32, 4, {n, 1, SIDE, SIDE}, x},
                                   {"timesteps", CM_ST_F32, 1, {n}, t},
                                   {"y", CM_ST_I64, 1, {n}, y}};
    snprintf(in, sizeof in, "%s", in_dir("in.safetensors"));
    snprintf(to, sizeof to, "%s", in_dir("out.safetensors"));
    CHECK_OK(cm_st_write(in, 3, entries, 0, NULL, NULL, &err), err);
    CHECK_OK(cm_forward(consistency, NULL, in, to, dtype, threads, &err), err);
    if (!CHECK_OK(cm_st_open(to, &file, &err), err))
        return;
    CHECK_OK(cm_st_read_f32(file, cm_st_find(file, "out"), out, &err), err);
    cm_st_close(file);
}

static void check_forward(const char *dtype)
{
    static const struct {
        int first, n, threads;
    } parts[] = {{0, 1, 1},   {63, 1, 2},  {5, 2, 2},   {9, 3, 4},   {20, 4, 1},  {33, 5, 3},
                 {40, 7, 1},  {8, 8, 2},   {50, 12, 1}, {11, 13, 2}, {48, 16, 4}, {30, 17, 1},
                 {16, 24, 2}, {32, 31, 2}, {31, 33, 1}, {0, 47, 3},  {16, 48, 2}, {0, 64, 2}};
    static float want[MOST * PIXELS], got[MOST * PIXELS];
    forward(dtype, 0, MOST, 1, want);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        forward(dtype, parts[i].first, parts[i].n, parts[i].threads, got);
        CHECK(!memcmp(got, want + parts[i].first * PIXELS,
                      (size_t)(parts[i].n * PIXELS) * sizeof *got),
              "%s: other numbers of images %d.. in a batch of %d, %d threads", dtype,
              parts[i].first, parts[i].n, parts[i].threads);
    }
}

static void test_forward(void)
{
    for_dtypes(check_forward);
}

/* ---- one op at a time ---- */

typedef struct op {
    const char *name;
    int n, threads;     /* samples */
    int64_t a, b, c, k; /* product [n,a] [b,a]^T; convolution [n,c,c,a], [b,a,k,k] */
    int stride, transposed, bias;
    cm_dtype dtype;
} op;

static void fill(cm_plan *p, const cm_node *leaf)
{
    const cm_type *t = cm_node_type(leaf);
    char *to = cm_plan_data(p, leaf);
    for (int64_t i = 0; i < cm_type_count(t); i++) {
        const float f = number(i);
        /* bf16: the upper half of a float, on this machine its second */
        memcpy(to + (size_t)i * cm_dtype_bytes(t->dtype),
               (const char *)&f + (t->dtype == CM_BF16 ? 2 : 0), cm_dtype_bytes(t->dtype));
    }
}

/* The bytes of the result, *size a sample; NULL where the op is not supported. */
static char *run_op(const op *o, size_t *size)
{
    cm_error err = {0};
    cm_graph *g = cm_graph_new();
    cm_plan *p = NULL;
    char *out = NULL;
    const int conv = o->c > 0;
    cm_node *x = cm_input(
        g, "x", conv ? CM_TYPE(o->dtype, o->n, o->c, o->c, o->a) : CM_TYPE(o->dtype, o->n, o->a));
    cm_node *w = cm_input(g, "w",
                          conv            ? CM_TYPE(CM_F32, o->b, o->a, o->k, o->k)
                          : o->transposed ? CM_TYPE(o->dtype, o->b, o->a)
                                          : CM_TYPE(o->dtype, o->a, o->b));
    cm_node *bias = cm_input(g, "b", CM_TYPE(conv ? CM_F32 : o->dtype, o->b));
    cm_node *y = conv ? cm_conv2d(g, x, w, o->bias ? bias : NULL, o->stride, (int)(o->k / 2))
                      : cm_matmul(g, x, w, 0, o->transposed);
    if (!conv && o->bias)
        y = cm_add(g, y, CM_RESHAPE(g, bias, 1, o->b));
    if (CHECK_OK(cm_plan_compile(g, 1, &y, cm_cpu_device(), o->threads, &p, &err), err)) {
        const size_t bytes = cm_type_bytes(cm_node_type(y));
        fill(p, x);
        fill(p, w);
        if (o->bias)
            fill(p, bias);
        cm_plan_run(p);
        out = malloc(bytes);
        memcpy(out, cm_plan_data(p, y), bytes);
        *size = bytes / (size_t)o->n;
    }
    cm_plan_free(p);
    cm_graph_free(g);
    return out;
}

/* Samples 0.. of each number of samples against those of MOST. */
static void check_op(op o)
{
    static const int counts[] = {1, 2, 3, 4, 7, 8, 11, 12, 13, 16, 20, 31, 32, 33, 48, MOST};
    size_t size = 0;
    o.n = MOST;
    o.threads = 1;
    char *want = run_op(&o, &size);
    for (size_t i = 0; i < sizeof counts / sizeof *counts && want; i++) {
        o.n = counts[i];
        o.threads = (int)i % 4 + 1;
        char *got = run_op(&o, &size);
        CHECK(got && !memcmp(want, got, size * (size_t)o.n),
              "%s of %d to %d channels, side %d, kernel %d, %s: other bits for %d samples, %d "
              "threads",
              o.name, (int)o.a, (int)o.b, (int)o.c, (int)o.k, cm_dtype_name(o.dtype), o.n,
              o.threads);
        free(got);
    }
    free(want);
}

static void test_products(void)
{
    static const int64_t depth[] = {1, 5, 32, 64, 128, 130, 300, 1024},
                         width[] = {1, 7, 64, 128, 130, 256};
    for (int bf16 = only_bf16; bf16 <= cm_cpu_has_bf16(); bf16++)
        for (size_t k = 0; k < sizeof depth / sizeof *depth; k++)
            for (size_t n = 0; n < sizeof width / sizeof *width; n++)
                check_op((op){.name = "product",
                              .a = depth[k],
                              .b = width[n],
                              .transposed = n % 3 < 2,
                              .bias = k % 2,
                              .dtype = bf16 ? CM_BF16 : CM_F32});
}

static void test_convolutions(void)
{
    static const struct {
        int side, in, out, kernel, stride;
    } shapes[] = {{32, 1, 32, 3, 1},  {28, 3, 48, 3, 1},   {28, 1, 32, 3, 1},  {16, 32, 64, 3, 1},
                  {8, 64, 64, 3, 1},  {8, 64, 192, 1, 1},  {8, 48, 144, 1, 1}, {8, 96, 48, 1, 1},
                  {14, 48, 48, 3, 2}, {32, 32, 32, 3, 2},  {28, 48, 3, 3, 1},  {32, 32, 1, 3, 1},
                  {7, 96, 96, 3, 1},  {4, 128, 128, 3, 1}, {5, 20, 20, 3, 1},  {9, 10, 6, 3, 1}};
    for (int bf16 = only_bf16; bf16 <= cm_cpu_has_bf16(); bf16++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            check_op((op){.name = "convolution",
                          .a = shapes[i].in,
                          .b = shapes[i].out,
                          .c = shapes[i].side,
                          .k = shapes[i].kernel,
                          .stride = shapes[i].stride,
                          .bias = 1,
                          .dtype = bf16 ? CM_BF16 : CM_F32});
}

static const check_test tests[] = {
    {"products", test_products},      {"convolutions", test_convolutions},
    {"raw numbers", test_forward},    {"small networks", test_small},
    {"shipped models", test_shipped},
};

/* ---- instruction sets ---- */

/* This program again, all at once, each with the instruction set held down. */
static struct held {
    const char *name;
    cm_isa isa;
    const char *cpu, *dnnl; /* NULL: as it is */
    const char *what;       /* bf16: that alone, and few images as with few */
    pid_t child;
} held[] = {
    {"plain", CM_ISA_PLAIN, "plain", "SSE41", "few", 0},
    {"AVX2", CM_ISA_AVX2, "avx2", "AVX2", "all", 0},
    {"AVX-512", CM_ISA_AVX512, "avx512", "AVX512_CORE", "all", 0},
    {"AVX-512 BF16, no AMX", CM_ISA_AVX512_BF16, "avx512_bf16", "AVX512_CORE_BF16", "bf16", 0},
    {"all this CPU has", CM_ISA_PLAIN, NULL, NULL, "all", 0},
};
enum { HELD = sizeof held / sizeof *held };

static void start(struct held *h)
{
    fflush(stdout);
    h->child = fork();
    if (h->child)
        return;
    if (h->cpu) {
        setenv("CM_ISA", h->cpu, 1);
        setenv("ONEDNN_MAX_CPU_ISA", h->dnnl, 1);
    }
    setenv("CM_TEST_IDENTITY", h->what, 1);
    execl("/proc/self/exe", "test_identity", (char *)NULL);
    _exit(127);
}

static void test_held(void)
{
    const cm_isa isa = cm_cpu_isa();
    for (int i = 0; i < HELD; i++)
        if (held[i].isa <= isa)
            start(&held[i]);
    for (int i = 0; i < HELD; i++) {
        int status = -1;
        if (held[i].isa > isa)
            printf("    skipped, this CPU has it not: %s\n", held[i].name);
        else
            CHECK(held[i].child > 0 && waitpid(held[i].child, &status, 0) == held[i].child &&
                      !status,
                  "%s: exit status %d", held[i].name, status);
    }
}

static const check_test all[] = {{"images are the same bits on every instruction set", test_held}};

/* As check_main, but what it prints is no tally of its own, and comes in one piece. */
static int run_tests(const char *what)
{
    static char buffer[1 << 16];
    const char *isa = getenv("ONEDNN_MAX_CPU_ISA");
    int failed = 0;
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    only_bf16 = !strcmp(what, "bf16");
    few = only_bf16 || !strcmp(what, "few");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        check_failures = 0;
        tests[i].run();
        printf("    %s %s, %s\n", check_failures ? "differs:" : "same:", tests[i].name,
               isa ? isa : "all this CPU has");
        failed += check_failures > 0;
    }
    return failed > 0;
}

int main(void)
{
    const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    const char *what = getenv("CM_TEST_IDENTITY");
    if (!what)
        return check_main(all, 1);
    snprintf(scratch_dir, sizeof scratch_dir, "%s/cm-test-XXXXXX", base);
    if (!mkdtemp(scratch_dir))
        return EXIT_FAILURE;
    const int status = run_tests(what);
    scratch_count(1);
    rmdir(scratch_dir);
    return status;
}
