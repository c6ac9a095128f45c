/* test_memory.c - every n-th allocation fails, once or for good, while a model is opened,
 * described, validated and sampled, a run is begun and continued, and pictures are read and
 * made.  The answer is CM_ERR_MEMORY or success; never another error, a crash, a changed file
 * or a changed picture.
 *
 * Counted are the library's own blocks (aligned_alloc, which nothing else here calls) and
 * those of jansson, whose hook this program sets; of pictures also what the image libraries
 * take from malloc.  docs/reliability.md has what failures inside the other libraries do.
 *
 * usage: test_memory [MOST]: failures of each kind to try, chosen at random; 0: all */
#include "tiny_run.h"

#include "io/file.h"
#include "io/gif.h"
#include "io/image.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <webp/decode.h>
#include <xxhash.h>

/* ---- allocations that fail --------------------------------------------------- */

static atomic_long counted;
static long fail_at, fail_to; /* counting from 1; 0: none */
static int of_libraries;      /* malloc fails as well */

static int fails(void)
{
    const long n = atomic_fetch_add(&counted, 1) + 1;
    return fail_at && n >= fail_at && n <= fail_to;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    void *p = NULL;
    return fails() || posix_memalign(&p, alignment, size) ? NULL : p;
}

static void *json_block(size_t size)
{
    return fails() ? NULL : malloc(size);
}

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__  /* which has a malloc of its own */
#define EXPORTED __attribute__((visibility("default"))) /* to the libraries */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static int library_fails(void)
{
    const int none = of_libraries && fails();
    if (none)
        errno = ENOMEM;
    return none;
}

EXPORTED void *malloc(size_t size)
{
    return library_fails() ? NULL : __libc_malloc(size);
}

EXPORTED void *calloc(size_t n, size_t size)
{
    return library_fails() ? NULL : __libc_calloc(n, size);
}

EXPORTED void *realloc(void *p, size_t size)
{
    return library_fails() ? NULL : __libc_realloc(p, size);
}
#endif

/* ---- what is tried ----------------------------------------------------------- */

static long most = 10; /* failures to try, of each operation, once and for good; 0: all */
static const char *model_path;

static cm_status do_open(cm_error *err)
{
    cm_model *model = NULL;
    const cm_status s = cm_model_open(model_path, &model, err);
    cm_model_free(model);
    return s;
}

static cm_status do_describe(cm_error *err)
{
    char *text = NULL;
    const cm_status s = cm_describe(model_path, &text, err);
    cm_string_free(text);
    return s;
}

static cm_status do_validate(cm_error *err)
{
    return cm_validate(model_path, err);
}

static cm_status do_sample(cm_error *err)
{
    cm_model *model = NULL;
    cm_images *images = NULL;
    cm_sample_params p = cm_sample_default_params();
    p.num = 2;
    p.threads = 1;
    p.steps = 2;
    snprintf(p.dtype, sizeof p.dtype, "f32");
    cm_status s = cm_model_open(model_path, &model, err);
    if (!s)
        s = cm_sample(model, &p, &images, err);
    cm_images_free(images);
    cm_model_free(model);
    return s;
}

static const char *method;

/* A student is compared in the features of a classifier. */
static cm_train_params params_of(const char *name, int64_t steps)
{
    cm_train_params p = tiny_params(method, name, steps);
    if (!strcmp(method, "cd")) {
        snprintf(p.loss_norm, sizeof p.loss_norm, "features");
        snprintf(p.loss_weights, sizeof p.loss_weights, "%s", in_dir("judge"));
    }
    return p;
}

static cm_status do_begin(cm_error *err)
{
    cm_train_params p = params_of("run", 3);
    p.save_every = 1;
    return cm_train(&p, 0, NULL, err);
}

static cm_status do_resume(cm_error *err)
{
    cm_train_params p = cm_train_default_params();
    const cm_status s = cm_options_read(cm_train_options(), &p, in_dir("run/config.json"), err);
    p.steps = 5;
    return s ? s : cm_train(&p, 1, NULL, err);
}

/* ---- pictures ---------------------------------------------------------------- */

static const char *picture_name; /* to read; or the format to write */
static int picture_is_whole;     /* in the libraries too */
static uint8_t picture[4096];
static size_t picture_bytes;
static uint64_t picture_digest; /* of the result when nothing fails; 0: not known yet */

/* What a success gave. */
static void same_picture(const void *p, size_t n)
{
    const uint64_t digest = XXH3_64bits(p, n);
    if (!picture_digest)
        picture_digest = digest;
    CHECK(digest == picture_digest, "%s: another picture", picture_name);
}

static cm_status do_decode(cm_error *err)
{
    static const uint8_t background[] = {200, 100, 50};
    cm_image im = {0};
    of_libraries = picture_is_whole;
    const cm_status s = cm_image_decode(picture, picture_bytes, "fed", background, &im, err);
    of_libraries = 0;
    if (!s)
        same_picture(im.pixels, (size_t)im.w * (size_t)im.h * (size_t)im.c);
    cm_image_clear(&im);
    return s;
}

static cm_status do_encode(cm_error *err)
{
    uint8_t pixels[20 * 20 * 3], *bytes = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i / 3 % 20 * 9 + i % 3 * 40 + i / 60 * 5);
    of_libraries = picture_is_whole;
    const cm_status s = cm_image_encode(&(cm_encoding){picture_name, 70, "a title"}, 20, 20, 3,
                                        pixels, &bytes, &n, err);
    of_libraries = 0;
    if (!s)
        same_picture(bytes, n);
    cm_free(bytes);
    return s;
}

static cm_status do_gif(cm_error *err)
{
    uint8_t pixels[40 * 40 * 3], *bytes = NULL;
    size_t n = 0;
    cm_gif *gif = NULL;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i % 251);
    of_libraries = 1;
    cm_status s = cm_gif_new(40, 40, 3, "film", &gif, err);
    for (int i = 0; i < 2 && !s; i++)
        s = cm_gif_frame(gif, pixels, 10, err);
    if (!s)
        s = cm_gif_end(gif, &bytes, &n, err);
    cm_gif_free(gif);
    of_libraries = 0;
    if (!s)
        same_picture(bytes, n);
    cm_free(bytes);
    return s;
}

static void write_plot_log(void)
{
    static const char text[] = "{\"step\":1,\"loss\":2,\"FD\":3}\nhalf\n{\"step\":2,\"loss\":1}\n";
    put(in_dir("log.jsonl"), text, sizeof text - 1);
    remove(in_dir("plot.svg"));
}

static cm_status do_plot(cm_error *err)
{
    const char *run = in_dir("log.jsonl");
    cm_plot_params p = cm_plot_default_params();
    snprintf(p.out, sizeof p.out, "%s", in_dir("plot.svg"));
    return cm_plot(&run, 1, &p, NULL, NULL, err);
}

/* A plot is there, whole, or not at all. */
static void plot_is_whole(long n, cm_status status)
{
    void *bytes = NULL;
    size_t size = 0;
    cm_error err = {0};
    const cm_status s = cm_file_read(in_dir("plot.svg"), 1 << 20, &bytes, &size, &err);
    CHECK((s == CM_OK) == (status == CM_OK), "allocation %ld: %s, and the plot %s", n,
          cm_status_name(status), s ? "is missing" : "is there");
    if (!s)
        same_picture(bytes, size);
    cm_free(bytes);
}

/* ---- the sweep --------------------------------------------------------------- */

/* Of every name and content below a folder, in any order. */
static uint64_t tree(const char *path)
{
    char child[2048], bytes[65536];
    uint64_t sum = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(child, sizeof child, "%.1500s/%.255s", path, e->d_name);
        uint64_t one = XXH3_64bits(child, strlen(child));
        const int fd = open(child, O_RDONLY);
        for (ssize_t n; fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0;)
            one = XXH3_64bits_withSeed(bytes, (size_t)n, one);
        if (fd >= 0)
            close(fd);
        sum += one + tree(child);
    }
    if (d)
        closedir(d);
    return sum;
}

typedef struct sweep {
    const char *what;
    cm_status (*run)(cm_error *err);
    void (*before)(void);                    /* NULL allowed */
    void (*after)(long n, cm_status status); /* NULL: nothing may have changed */
} sweep;

static long count_of(const sweep *s)
{
    cm_error err = {0};
    if (s->before)
        s->before();
    fail_at = 0;
    counted = 0;
    CHECK_OK(s->run(&err), err);
    return counted;
}

static void one(const sweep *s, long n, int for_good, uint64_t files, int *succeeded)
{
    cm_error err = {0};
    if (s->before)
        s->before();
    counted = 0;
    fail_at = n;
    fail_to = for_good ? LONG_MAX : n;
    const cm_status status = s->run(&err);
    fail_at = 0;
    *succeeded += status == CM_OK;
    CHECK(status == CM_OK || status == CM_ERR_MEMORY, "%s, allocation %ld%s: %s: %s", s->what, n,
          for_good ? " and all after it" : "", cm_status_name(status), err.message);
    CHECK(status == err.status, "%s, allocation %ld: the error says %s", s->what, n,
          cm_status_name(err.status));
    if (s->after)
        s->after(n, status);
    else
        CHECK(tree(scratch_dir) == files, "%s, allocation %ld: files changed", s->what, n);
}

static void sweep_all(const sweep *s)
{
    const long all = count_of(s);
    const uint64_t files = s->after ? 0 : tree(scratch_dir);
    const long tries = most && most < all ? most : all;
    unsigned short seed[3] = {1, 2, 3};
    int tried = 0, succeeded = 0;
    for (int for_good = 0; for_good < 2 && check_failures < 9; for_good++)
        for (long i = 0; i < tries && check_failures < 9; i++) {
            one(s, tries == all ? i + 1 : 1 + (long)((double)all * erand48(seed)), for_good, files,
                &succeeded);
            tried++;
        }
    printf("    %s: %ld allocations, %d failures tried: %d CM_ERR_MEMORY, %d went on\n", s->what,
           all, tried, tried - succeeded, succeeded);
}

/* ---- runs -------------------------------------------------------------------- */

static void remove_run(void)
{
    tiny_remove(in_dir("run"));
}

static void copy_file(const char *from, const char *to)
{
    void *data = NULL;
    size_t n = 0;
    cm_error err = {0};
    if (CHECK_OK(cm_file_read(from, 1 << 30, &data, &n, &err), err))
        put(to, data, n);
    cm_free(data);
}

static void copy_tree(const char *from, const char *to)
{
    char a[2048], b[2048];
    struct stat st;
    mkdir(to, 0777);
    DIR *d = opendir(from);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(a, sizeof a, "%.1500s/%.255s", from, e->d_name);
        snprintf(b, sizeof b, "%.1500s/%.255s", to, e->d_name);
        if (lstat(a, &st))
            continue;
        if (S_ISDIR(st.st_mode))
            copy_tree(a, b);
        else if (S_ISREG(st.st_mode))
            copy_file(a, b);
    }
    if (d)
        closedir(d);
}

/* What was begun equals the run left alone, as far as it came, and can be gone on with. */
static void begun(long n, cm_status status)
{
    const int64_t step = tiny_newest(in_dir("run"));
    if (status == CM_OK)
        CHECK(step == 3, "allocation %ld: step %d", n, (int)step);
    if (step > 0)
        CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), step),
              "allocation %ld: step %d differs", n, (int)step);
}

/* The run as it was after step 3. */
static void restore_run(void)
{
    remove_run();
    copy_tree(in_dir("three"), in_dir("run"));
}

static void resumed(long n, cm_status status)
{
    cm_model *model = NULL;
    cm_error err = {0};
    const int64_t step = tiny_newest(in_dir("run"));
    CHECK(status == CM_OK ? step == 5 : step >= 3, "allocation %ld: step %d", n, (int)step);
    CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), step),
          "allocation %ld: step %d differs", n, (int)step);
    CHECK_OK(cm_model_open(in_dir("run"), &model, &err), err);
    cm_model_free(model);
}

static void train_to(const char *name, int64_t steps)
{
    cm_error err = {0};
    cm_train_params p = params_of(name, steps);
    p.save_every = 1;
    p.keep = 100;
    CHECK_OK(cm_train(&p, 0, NULL, &err), err);
}

static void of_method(const char *name)
{
    method = name;
    remove_run();
    tiny_remove(in_dir("straight"));
    tiny_remove(in_dir("three"));
    train_to("straight", 5);
    train_to("run", 3);
    copy_tree(in_dir("run"), in_dir("three"));
    sweep_all(&(sweep){"begin a run", do_begin, remove_run, begun});
    sweep_all(&(sweep){"continue a run", do_resume, restore_run, resumed});
}

/* ---- tests ------------------------------------------------------------------- */

static void teacher(void)
{
    cm_error err = {0};
    tiny_data();
    cm_train_params p = tiny_params("edm", "teacher", 2),
                    judge = tiny_params("classifier", "judge", 2);
    p.save_every = 1;
    CHECK_OK(cm_train(&p, 0, NULL, &err), err);
    CHECK_OK(cm_train(&judge, 0, NULL, &err), err);
}

static void readers(const char *path)
{
    model_path = path;
    sweep_all(&(sweep){"open", do_open, NULL, NULL});
    sweep_all(&(sweep){"describe", do_describe, NULL, NULL});
    sweep_all(&(sweep){"validate", do_validate, NULL, NULL});
    sweep_all(&(sweep){"sample", do_sample, NULL, NULL});
}

static void a_file(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", in_dir("teacher/model.safetensors"));
    readers(path);
}

/* In both of PyTorch's layouts. */
static void checkpoints(void)
{
    static const char *const files[] = {"tests/fuzz/corpus/torch/all.pt",
                                        "tests/fuzz/corpus/torch/all-legacy.pt"};
    for (int i = 0; i < 2; i++) {
        model_path = files[i];
        sweep_all(&(sweep){files[i], do_describe, NULL, NULL});
    }
}

static void a_run(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", in_dir("teacher"));
    readers(path);
}

/* libwebp before 1.3.2 frees through a pointer that it never set when there is no memory for
 * the tables of lossless data, which alpha is too unless it is raw. */
static int webp_can_fail(const char *file)
{
    return strncmp(file, "webp/", 5) != 0 || !strncmp(file, "webp/lossy", 10) ||
           !strncmp(file, "webp/alpha-raw", 14) || WebPGetDecoderVersion() >= 0x010302;
}

static void read_pictures(void)
{
    static const char *const files[] = {"jpeg/baseline.jpg",
                                        "jpeg/progressive-odd.jpg",
                                        "jpeg/arithmetic-progressive.jpg",
                                        "jpeg/exif6.jpg",
                                        "jpeg/ycck.jpg",
                                        "webp/lossy.webp",
                                        "webp/alpha-raw.webp",
                                        "webp/alpha-best.webp",
                                        "webp/lossless-alpha.webp",
                                        "webp/palette12.webp",
                                        "png/rgb8.png",
                                        "png/rgba16-adam7.png",
                                        "png/pal-trns.png",
                                        "png/graya8.png"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        void *data = NULL;
        cm_error err = {0};
        picture_name = files[i];
        picture_digest = 0;
        picture_is_whole = webp_can_fail(files[i]);
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s", files[i]);
        if (!CHECK_OK(cm_file_read(path, sizeof picture, &data, &picture_bytes, &err), err))
            return;
        memcpy(picture, data, picture_bytes);
        cm_free(data);
        sweep_all(&(sweep){files[i], do_decode, NULL, NULL});
    }
}

static void write_pictures(void)
{
    static const char *const formats[] = {"png", "jpeg", "webp"};
    picture_is_whole = 1;
    for (size_t i = 0; i < 3; i++) {
        picture_name = formats[i];
        picture_digest = 0;
        sweep_all(&(sweep){formats[i], do_encode, NULL, NULL});
    }
    picture_name = "gif";
    picture_digest = 0;
    sweep_all(&(sweep){"gif", do_gif, NULL, NULL});
    picture_name = "plot";
    picture_digest = 0;
    sweep_all(&(sweep){"plot", do_plot, write_plot_log, plot_is_whole});
    remove(in_dir("log.jsonl"));
    remove(in_dir("plot.svg"));
}

static void edm(void)
{
    of_method("edm");
}

static void cd(void)
{
    of_method("cd");
}

static void clean_up(void)
{
    remove_run();
    tiny_remove(in_dir("straight"));
    tiny_remove(in_dir("three"));
    tiny_remove(in_dir("teacher"));
    tiny_remove(in_dir("judge"));
}

static const check_test tests[] = {
    {"no memory: pictures to read", read_pictures},
    {"no memory: pictures to write", write_pictures},
    {"a run to read", teacher},
    {"no memory: a model file", a_file},
    {"no memory: PyTorch checkpoints", checkpoints},
    {"no memory: a run folder", a_run},
    {"no memory: edm", edm},
    {"no memory: cd", cd},
    {"folders removed", clean_up},
};

int main(int argc, char **argv)
{
    if (argc > 1)
        most = atol(argv[1]);
    json_set_alloc_funcs(json_block, free);
    return scratch_main(tests, sizeof tests / sizeof *tests);
}
