/* test_data.c - datasets, resizing, the shuffle and the loader */
#define _XOPEN_SOURCE 700 /* nftw */
#include "check.h"
#include "cm.h"
#include "data/dataset.h"
#include "data/dataset_sources.h"
#include "data/loader.h"
#include "data/resize.h"
#include "data/shuffle.h"
#include "io/png.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- a scratch folder --------------------------------------------------- */

static char scratch[64];

static const char *at(const char *name)
{
    static char path[4][512];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

static void scratch_new(void)
{
    snprintf(scratch, sizeof scratch, "/tmp/cm-test-data-XXXXXX");
    if (!mkdtemp(scratch))
        exit(EXIT_FAILURE);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void scratch_free(void)
{
    nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(at(name), "wb");
    CHECK(f && fwrite(bytes, 1, n, f) == n, "cannot write %s", name);
    if (f)
        fclose(f);
}

/* An IDX file of bytes made by value(i); gzip when the name ends in .gz. */
static void write_idx(const char *name, int rank, const int *dim, uint8_t (*value)(size_t))
{
    uint8_t file[1 << 14] = {0, 0, 8, (uint8_t)rank};
    size_t n = 4, count = 1;
    for (int r = 0; r < rank; r++, n += 4) {
        for (int b = 0; b < 4; b++)
            file[n + (size_t)b] = (uint8_t)(dim[r] >> (24 - 8 * b));
        count *= (size_t)dim[r];
    }
    for (size_t i = 0; i < count; i++)
        file[n++] = value(i);
    if (!strstr(name, ".gz")) {
        write_file(name, file, n);
        return;
    }
    gzFile gz = gzopen(at(name), "wb");
    CHECK(gz && gzwrite(gz, file, (unsigned)n) == (int)n, "cannot write %s", name);
    gzclose(gz);
}

static uint8_t pixel_of(size_t i)
{
    return (uint8_t)(i * i * 7 + i * 3 + 5);
}

static uint8_t label_of(size_t i)
{
    return (uint8_t)(i * 2 % 5);
}

/* A w x h PNG of one colour. */
static void write_png(const char *name, int w, int h, int c, uint8_t v)
{
    cm_error err = {0};
    uint8_t *pixels = calloc((size_t)w * (size_t)h, (size_t)c);
    for (int i = 0; i < w * h * c; i++)
        pixels[i] = (uint8_t)(v + i % c);
    CHECK_OK(cm_png_write(at(name), w, h, c, pixels, NULL, &err), err);
    free(pixels);
}

static void make_dir(const char *name)
{
    CHECK(!mkdir(at(name), 0777), "cannot make %s", name);
}

/* Opening must fail with this status and say all these words. */
static void expect_error(const char *what, int size, cm_status status, const char *a, const char *b,
                         const char *c)
{
    cm_error err = {0};
    cm_dataset *d = NULL;
    const cm_status s =
        cm_dataset_open(what, &(cm_dataset_options){.h = size, .w = size}, &d, &err);
    CHECK(s == status && err.status == status, "%s: status %d, expected %d", what, (int)s,
          (int)status);
    CHECK(!d, "out parameter written on failure");
    CHECK(strstr(err.message, a) && strstr(err.message, b) && strstr(err.message, c),
          "message '%s' lacks '%s', '%s' or '%s'", err.message, a, b, c);
    cm_dataset_free(d);
}

static cm_dataset *open_ok(const char *what, int size)
{
    cm_error err = {0};
    cm_dataset *d = NULL;
    CHECK_OK(cm_dataset_open(what, &(cm_dataset_options){.h = size, .w = size}, &d, &err), err);
    return d;
}

static int has_shape(const cm_dataset *d, int64_t n, int h, int w, int c, int classes)
{
    return CHECK(d->n == n && d->h == h && d->w == w && d->c == c && d->classes == classes,
                 "[%lld,%d,%d,%d] and %d classes, expected [%lld,%d,%d,%d] and %d", (long long)d->n,
                 d->h, d->w, d->c, d->classes, (long long)n, h, w, c, classes);
}

/* ---- IDX ---------------------------------------------------------------- */

static void idx_round_trip(void)
{
    scratch_new();
    /* Folder names with the same words must stay as they are. */
    make_dir("images-idx3");
    write_idx("images-idx3/a-images-idx3-ubyte", 3, (int[]){6, 5, 7}, pixel_of);
    write_idx("images-idx3/a-labels-idx1-ubyte", 1, (int[]){6}, label_of);
    cm_dataset *d = open_ok(at("images-idx3/a-images-idx3-ubyte"), 0);
    if (d && has_shape(d, 6, 5, 7, 1, 5)) {
        int wrong = 0;
        for (size_t i = 0; i < 6 * 35; i++)
            wrong += d->pixels[i] != pixel_of(i);
        CHECK(!wrong, "%d wrong pixels", wrong);
        for (size_t i = 0; i < 6; i++)
            CHECK(d->labels[i] == label_of(i), "label %zu is %d", i, d->labels[i]);
    }
    cm_dataset_free(d);
    make_dir("labels-idx1");
    write_idx("images-idx3/plain", 3, (int[]){6, 5, 7}, pixel_of);
    write_idx("labels-idx1/plain", 1, (int[]){6}, label_of);
    d = open_ok(at("images-idx3/plain"), 0);
    if (d)
        has_shape(d, 6, 5, 7, 1, 0);
    cm_dataset_free(d);
    write_idx("b-images-idx4-ubyte.gz", 4, (int[]){3, 4, 4, 3}, pixel_of);
    d = open_ok(at("b-images-idx4-ubyte.gz"), 0);
    if (d && has_shape(d, 3, 4, 4, 3, 0))
        CHECK(!d->labels && d->pixels[143] == pixel_of(143), "labels or last pixel");
    cm_dataset_free(d);
    write_idx("b-labels-idx1-ubyte.gz", 1, (int[]){3}, label_of);
    d = open_ok(at("b-images-idx4-ubyte.gz"), 0);
    if (d)
        has_shape(d, 3, 4, 4, 3, 5);
    cm_dataset_free(d);
    scratch_free();
}

static void idx_errors(void)
{
    scratch_new();
    write_idx("images-idx3", 3, (int[]){6, 4, 4}, pixel_of);
    write_idx("labels-idx1", 1, (int[]){5}, label_of);
    expect_error(at("images-idx3"), 0, CM_ERR_FORMAT, "labels-idx1: count", "6", "5");
    write_idx("labels-idx1", 2, (int[]){6, 1}, label_of);
    expect_error(at("images-idx3"), 0, CM_ERR_FORMAT, "labels-idx1: rank", "1", "2");
    write_idx("flat-images", 2, (int[]){6, 4}, pixel_of);
    expect_error(at("flat-images"), 0, CM_ERR_FORMAT, "flat-images: rank", "3", "2");
    write_idx("two-images", 4, (int[]){6, 4, 4, 2}, pixel_of);
    expect_error(at("two-images"), 0, CM_ERR_FORMAT, "two-images: channels", "1 or 3", "2");
    write_idx("wide-images", 3, (int[]){1, 0, 4}, pixel_of);
    expect_error(at("wide-images"), 0, CM_ERR_FORMAT, "wide-images", "", "");
    write_file("text", "hello, world", 12);
    expect_error(at("text"), 0, CM_ERR_FORMAT, "text", "", "");
    expect_error(at("nowhere"), 0, CM_ERR_IO, "nowhere: expected", "fashion-mnist",
                 "folder of images");
    expect_error(at("images-idx3"), -1, CM_ERR_ARGUMENT, "size", "-1", "16384");
    scratch_free();
}

static void fashion_is_missing(void)
{
    cm_error err = {0};
    cm_dataset d = {0};
    scratch_new();
    const cm_status s = cm_dataset_read_fashion(scratch, 1, &(cm_dataset_options){0}, &d, &err);
    CHECK(s == CM_ERR_IO && strstr(err.message, "apt install dataset-fashion-mnist") &&
              strstr(err.message, "t10k-images-idx3-ubyte.gz"),
          "status %d, '%s'", (int)s, err.message);
    scratch_free();
}

static void fashion_opens(void)
{
    static const int first[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5}; /* labels, as published */
    cm_dataset *d = open_ok("fashion-mnist", 0), *test = open_ok("fashion-mnist-test", 28);
    if (!d || !test || !has_shape(d, 60000, 32, 32, 1, 10) ||
        !has_shape(test, 10000, 28, 28, 1, 10))
        return;
    int count[10] = {0}, border = 0, wrong = 0;
    for (int i = 0; i < 10; i++)
        CHECK(d->labels[i] == first[i], "label %d is %d", i, d->labels[i]);
    for (int64_t i = 0; i < d->n; i++)
        count[d->labels[i]]++;
    for (int k = 0; k < 10; k++)
        CHECK(count[k] == 6000, "%d images of class %d", count[k], k);
    /* The raw file, read here without the library. */
    gzFile gz = gzopen("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", "rb");
    CHECK(gz && gzseek(gz, 16, SEEK_SET) == 16, "cannot read the images again");
    for (size_t i = 0; gz && i < 500; i++) {
        uint8_t raw[784];
        CHECK(gzread(gz, raw, 784) == 784, "short file");
        for (size_t y = 0; y < 32; y++)
            for (size_t x = 0; x < 32; x++) {
                const uint8_t v = d->pixels[(i * 32 + y) * 32 + x];
                if (y < 2 || y >= 30 || x < 2 || x >= 30)
                    border += v != 0;
                else
                    wrong += v != raw[(y - 2) * 28 + x - 2];
            }
    }
    if (gz)
        gzclose(gz);
    CHECK(!border && !wrong, "%d border pixels not 0, %d others wrong", border, wrong);
    CHECK(d->fingerprint != test->fingerprint, "fingerprints are equal");
    cm_dataset_free(d);
    cm_dataset_free(test);
}

static uint8_t other_label_of(size_t i)
{
    return label_of(i ^ 1); /* the same labels on other images */
}

static void fingerprint_notices_changes(void)
{
    /* no labels, labels, other labels, the same bytes cut into larger images */
    static const struct {
        int n, w;
        uint8_t (*label)(size_t);
    } sets[] = {{4, 4, NULL}, {4, 4, label_of}, {4, 4, other_label_of}, {2, 8, NULL}};
    uint64_t seen[4];
    scratch_new();
    for (size_t i = 0; i < 4; i++) {
        write_idx("images", 3, (int[]){sets[i].n, 4, sets[i].w}, pixel_of);
        if (sets[i].label)
            write_idx("labels", 1, (int[]){sets[i].n}, sets[i].label);
        else
            remove(at("labels"));
        cm_dataset *d = open_ok(at("images"), 0), *again = open_ok(at("images"), 0);
        CHECK(d && again && d->fingerprint == again->fingerprint, "not reproducible");
        seen[i] = d ? d->fingerprint : 0;
        for (size_t k = 0; k < i; k++)
            CHECK(seen[k] != seen[i], "sets %zu and %zu look the same", k, i);
        cm_dataset_free(d);
        cm_dataset_free(again);
    }
    scratch_free();
}

/* ---- folders ------------------------------------------------------------ */

static void folder_with_classes(void)
{
    static const char *const names[] = {"Dog", "cat", "cat-2"};
    static const int values[] = {10, 11, 20, 21, 22, 30}, labels[] = {0, 0, 1, 1, 1, 2};
    scratch_new();
    make_dir("cat");
    make_dir("cat/deep");
    make_dir("cat-2");
    make_dir("Dog");
    make_dir("empty");
    make_dir(".hidden");
    write_png("cat/deep/a.png", 6, 4, 1, 21);
    write_png("cat/z.PNG", 6, 4, 1, 22);
    write_png("cat/B.png", 6, 4, 1, 20);
    write_png("cat-2/x.png", 6, 4, 1, 30);
    write_png("Dog/2.png", 6, 4, 1, 11);
    write_png("Dog/10.png", 6, 4, 1, 10);
    write_png("Dog/.thumb.png", 9, 9, 1, 99);
    write_png(".hidden/x.png", 9, 9, 1, 99);
    write_file("notes.txt", "hello", 5);
    write_file("Dog/notes.txt", "hello", 5);
    cm_dataset *d = open_ok(scratch, 0);
    if (d && has_shape(d, 6, 4, 6, 1, 3)) {
        for (int k = 0; k < 3; k++)
            CHECK(!strcmp(d->class_names[k], names[k]), "class %d is %s", k, d->class_names[k]);
        for (int i = 0; i < 6; i++)
            CHECK(d->pixels[24 * i] == values[i] && d->labels[i] == labels[i],
                  "image %d is %d of class %d", i, d->pixels[24 * i], d->labels[i]);
    }
    cm_dataset_free(d);
    write_png("loose.png", 6, 4, 1, 1);
    expect_error(scratch, 0, CM_ERR_FORMAT, "/loose.png", "class folder", "Dog");
    scratch_free();
}

static void folder_promotes_grey(void)
{
    scratch_new();
    write_png("a.png", 4, 4, 1, 50);
    write_png("b.png", 4, 4, 3, 60);
    write_png("c.png", 4, 4, 1, 70);
    cm_dataset *d = open_ok(scratch, 0);
    if (d && has_shape(d, 3, 4, 4, 3, 0)) {
        for (int i = 0; i < 3; i++)
            for (int p = 0; p < 48; p++) {
                const int want = 50 + 10 * i + (i == 1 ? p % 3 : 0);
                CHECK(d->pixels[48 * i + p] == want, "image %d, value %d is %d, expected %d", i, p,
                      d->pixels[48 * i + p], want);
            }
        CHECK(!d->labels && !d->class_names, "labels appeared");
    }
    cm_dataset_free(d);
    scratch_free();
}

static void folder_sizes(void)
{
    scratch_new();
    write_png("a.png", 28, 28, 1, 50);
    cm_dataset *d = open_ok(scratch, 0);
    if (d && has_shape(d, 1, 32, 32, 1, 0))
        CHECK(d->pixels[0] == 0 && d->pixels[2 * 32 + 2] == 50, "not padded");
    cm_dataset_free(d);
    write_png("b.png", 40, 70, 1, 60);
    expect_error(scratch, 0, CM_ERR_FORMAT, "/b.png: size", "28 x 28", "40 x 70");
    d = open_ok(scratch, 16);
    if (d && has_shape(d, 2, 16, 16, 1, 0))
        CHECK(d->pixels[0] == 50 && d->pixels[256 + 255] == 60, "%d %d", d->pixels[0],
              d->pixels[511]);
    cm_dataset_free(d);
    scratch_free();
}

static void folder_errors(void)
{
    scratch_new();
    expect_error(scratch, 0, CM_ERR_FORMAT, scratch, "WebP images", "none");
    make_dir("a");
    expect_error(scratch, 0, CM_ERR_FORMAT, scratch, "WebP images", "none");
    CHECK(!symlink("..", at("a/up")), "cannot link");
    expect_error(scratch, 0, CM_ERR_FORMAT, "none in 1 file,", "a/up", "a link to a folder above");
    remove(at("a/up"));
    write_file("a/bad.png", "not a png", 9);
    expect_error(scratch, 0, CM_ERR_FORMAT, "a/bad.png", "PNG", "text");
    remove(at("a/bad.png"));
    write_png("a/1.png", 3, 3, 1, 0);
    write_png("a/evil\n.png", 4, 4, 1, 0);
    expect_error(scratch, 0, CM_ERR_FORMAT, "a/evil\\x0a.png: size", "3 x 3", "4 x 4");
    remove(at("a/1.png"));
    remove(at("a/evil\n.png"));
    CHECK(!symlink("nowhere", at("a/gone.png")), "cannot link");
    expect_error(scratch, 0, CM_ERR_FORMAT, "none in 1 file,", "gone.png", "");
    remove(at("a/gone.png"));
    for (int i = 0; i < 65; i++) { /* 64 of 256 MiB are just allowed */
        char name[32];
        snprintf(name, sizeof name, "a/%d.png", i);
        write_png(name, 1, 1, 1, 0);
    }
    expect_error(scratch, 16384, CM_ERR_UNSUPPORTED, scratch, "16 GiB", "65 images");
    remove(at("a/0.png"));
    write_png("a/0.png", 4000, 1, 1, 0);
    expect_error(at("a"), 1000, CM_ERR_UNSUPPORTED, "a/0.png: shape", "1 x 4000", "4000000");
    scratch_free();
}

/* ---- resizing ----------------------------------------------------------- */

static void fit(const uint8_t *src, int h, int w, int c, int size, uint8_t *dst)
{
    cm_error err = {0};
    CHECK_OK(cm_image_fit("image", src, h, w, c, size, size, dst, &err), err);
}

static void resize_keeps_constants(void)
{
    static uint8_t src[150 * 201 * 3], dst[128 * 128 * 3];
    static const int shapes[][3] = {{150, 201, 128}, {150, 201, 17}, {33, 64, 128}, {150, 90, 1},
                                    {3, 3, 1},       {2, 3, 2},      {1, 1, 9}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int v = 0; v < 256; v += 51) {
            const int size = shapes[s][2];
            int wrong = 0;
            memset(src, v, sizeof src);
            memset(dst, v + 1, sizeof dst);
            fit(src, shapes[s][0], shapes[s][1], 3, size, dst);
            for (int i = 0; i < size * size * 3; i++)
                wrong += dst[i] != v;
            CHECK(!wrong, "%d x %d to %d: %d values left %d", shapes[s][0], shapes[s][1], size,
                  wrong, v);
        }
}

/* Sampled at the centres of pixels, a ramp stays the ramp away from the border,
 * where the filter is cut off: v = 3 (x + 1/2) on 80 columns. */
static void resize_keeps_ramps(void)
{
    static const int sizes[] = {40, 64, 20, 25, 160, 200};
    static uint8_t src[2][80 * 80], dst[200 * 200];
    for (int i = 0; i < 80 * 80; i++) {
        src[0][i] = (uint8_t)(3 * (i % 80) + 1);
        src[1][i] = (uint8_t)(3 * (i / 80) + 1);
    }
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int axis = 0; axis < 2; axis++) {
            const int size = sizes[s], edge = size / 8;
            double worst = 0;
            fit(src[axis], 80, 80, 1, size, dst);
            for (int y = 0; y < size; y++)
                for (int x = 0; x < size; x++) {
                    const int o = axis ? y : x;
                    const double want = 3 * ((o + 0.5) * 80 / size) - 0.5;
                    const double off = fabs(dst[y * size + x] - want);
                    if (o >= edge && o < size - edge && off > worst)
                        worst = off;
                }
            /* half a step of rounding in each of at most three passes */
            CHECK(worst <= 1.5, "80 to %d, axis %d: off by %.3f", size, axis, worst);
        }
}

static void resize_crops_the_centre(void)
{
    static uint8_t src[32 * 67], dst[32 * 32];
    int wrong = 0;
    for (int i = 0; i < 32 * 67; i++)
        src[i] = pixel_of((size_t)i);
    fit(src, 32, 67, 1, 32, dst); /* 35 columns go: 17 left, 18 right */
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++)
            wrong += dst[y * 32 + x] != src[y * 67 + x + 17];
    CHECK(!wrong, "wide: %d pixels", wrong);
    fit(src, 67, 32, 1, 32, dst);
    CHECK(!memcmp(dst, src + 17 * 32, sizeof dst), "tall");
}

/* What guided-diffusion's centre crop gives with Pillow 10.4 on the image
 * v(y,x,k) = (7 x x + 5 y y + 3 x y + 40 k) mod 256. */
static void resize_equals_pillow(void)
{
    /* clang-format off */
    static const struct { int h, w, c, size; uint8_t want[108]; } cases[] = {
        {23, 17, 1, 5,
         {122,134,135,123,117,144,118,128,128,128,139,128,131,130,131,104,141,144,130,126,127,136,
          127,158,163}},
        {9, 12, 3, 6,
         {23,63,103,79,120,165,166,198,175,144,84,122,157,144,88,129,122,87,44,84,126,109,159,201,
          176,121,93,80,119,143,104,94,130,98,101,132,90,137,182,177,189,109,96,89,89,142,148,143,
          131,133,104,147,143,95,173,189,113,174,76,52,111,126,151,159,172,119,137,137,94,146,136,
          109,156,98,77,99,115,143,122,172,75,103,111,134,94,94,129,123,117,154,93,143,178,140,182,
          80,72,116,117,151,154,101,143,144,86,166,85,111}},
        {5, 4, 1, 7,
         {1,2,8,18,32,56,69,3,6,13,23,39,64,78,9,13,21,33,50,75,89,19,23,32,45,63,90,104,32,36,46,
          60,79,107,122,48,53,63,78,99,128,143,69,75,87,104,125,155,172}},
    };
    /* clang-format on */
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const int h = cases[t].h, w = cases[t].w, c = cases[t].c, size = cases[t].size;
        uint8_t src[23 * 17 * 3], dst[108];
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                for (int k = 0; k < c; k++)
                    src[(y * w + x) * c + k] =
                        (uint8_t)(7 * x * x + 5 * y * y + 3 * x * y + 40 * k);
        fit(src, h, w, c, size, dst);
        int wrong = 0;
        for (int i = 0; i < size * size * c; i++)
            wrong += dst[i] != cases[t].want[i];
        CHECK(!wrong, "case %zu: %d values differ", t, wrong);
    }
}

/* ---- shuffle ------------------------------------------------------------ */

static void shuffle_is_a_bijection(void)
{
    static const uint64_t sizes[] = {1, 2, 3, 5, 10, 16, 17, 1000, 60000};
    static uint8_t seen[60000];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            const uint64_t n = sizes[s];
            uint64_t missed = 0, fixed = 0;
            memset(seen, 0, sizeof seen);
            for (uint64_t i = 0; i < n; i++) {
                const uint64_t o = cm_shuffle_index(42, epoch, n, i);
                if (CHECK(o < n, "%llu is not below n", (unsigned long long)o))
                    seen[o]++;
                fixed += o == cm_shuffle_index(42, epoch + 1, n, i);
            }
            for (uint64_t i = 0; i < n; i++)
                missed += seen[i] != 1;
            CHECK(!missed, "n %llu: %llu indices not met once", (unsigned long long)n,
                  (unsigned long long)missed);
            /* two random permutations agree in 1 place on average */
            CHECK(n < 16 || fixed < 10, "n %llu: epochs agree in %llu places",
                  (unsigned long long)n, (unsigned long long)fixed);
        }
}

/* Over many epochs each position meets each image equally often, and so does
 * each ordered pair of images in the first two places.  Chi-square, as standard
 * deviations from its mean. */
static void shuffle_is_uniform(void)
{
    enum { MAX = 16, EPOCHS = 20000 };
    static const int sizes[] = {2, 3, 7, 10, 16};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        static double where[MAX][MAX], pair[MAX][MAX];
        const int n = sizes[s];
        double chi_where = 0, chi_pair = 0;
        memset(where, 0, sizeof where);
        memset(pair, 0, sizeof pair);
        for (uint64_t e = 0; e < EPOCHS; e++) {
            uint64_t image[MAX];
            for (int i = 0; i < n; i++) {
                image[i] = cm_shuffle_index(7, e, (uint64_t)n, (uint64_t)i);
                where[i][image[i]]++;
            }
            pair[image[0]][image[1]]++;
        }
        const double w = (double)EPOCHS / n, p = (double)EPOCHS / (n * (n - 1));
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++) {
                chi_where += (where[a][b] - w) * (where[a][b] - w) / w;
                chi_pair += a == b ? 0 : (pair[a][b] - p) * (pair[a][b] - p) / p;
            }
        const double free_where = (n - 1) * (n - 1), free_pair = n * (n - 1) - 1;
        CHECK((chi_where - free_where) / sqrt(2 * free_where) < 5, "n %d: positions %.1f of %.0f",
              n, chi_where, free_where);
        CHECK((chi_pair - free_pair) / sqrt(2 * free_pair) < 5, "n %d: pairs %.1f of %.0f", n,
              chi_pair, free_pair);
    }
}

/* ---- loader ------------------------------------------------------------- */

enum { MAX_IMAGES = 64, H = 2, W = 3, C = 2, VALUES = H * W * C };
static uint8_t loader_pixels[MAX_IMAGES * VALUES];
static int32_t loader_labels[MAX_IMAGES];

/* Value v of image i is 12 (i mod 20) + v: every value tells its place. */
static cm_dataset numbered(int n)
{
    for (int i = 0; i < n * VALUES; i++)
        loader_pixels[i] = (uint8_t)(VALUES * (i / VALUES % 20) + i % VALUES);
    for (int i = 0; i < n; i++)
        loader_labels[i] = i;
    return (cm_dataset){.n = n,
                        .h = H,
                        .w = W,
                        .c = C,
                        .classes = n,
                        .pixels = loader_pixels,
                        .labels = loader_labels};
}

static cm_loader *loader_at(const cm_dataset *d, int batch, uint64_t seed, int flip, int64_t step)
{
    cm_error err = {0};
    cm_loader *l = NULL;
    CHECK_OK(cm_loader_new(d, batch, (cm_loader_slice){0, batch}, seed, flip, step, &l, &err), err);
    return l;
}

/* 0: x is image i; 1: mirrored; -1: something else. */
static int is_image(const float *x, int i)
{
    int same = 1, mirrored = 1;
    for (int v = 0; v < VALUES; v++) {
        const int c = v % C, column = v / C % W, row = v / C / W;
        const int m = (row * W + (W - 1 - column)) * C + c, base = VALUES * (i % 20);
        same &= fabs((base + v) / 127.5 - 1 - (double)x[v]) < 1e-6;
        mirrored &= fabs((base + m) / 127.5 - 1 - (double)x[v]) < 1e-6;
    }
    return same ? 0 : mirrored ? 1 : -1;
}

/* Batches across the ends of epochs; also batches larger than the data. */
static void loader_sees_each_image_once_an_epoch(void)
{
    static const int cases[][2] = {{10, 4}, {10, 10}, {3, 8}, {1, 5}, {20, 64}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const int n = cases[t][0], batch = cases[t][1], epochs = 6 * batch;
        const cm_dataset d = numbered(n);
        float x[64 * VALUES];
        int32_t y[64];
        int seen[MAX_IMAGES] = {0}, p = 0;
        cm_loader *l = loader_at(&d, batch, 5, 0, 0);
        for (int k = 0; k < epochs * n / batch; k++) {
            cm_loader_next(l, x, y);
            for (int j = 0; j < batch; j++) {
                CHECK(!is_image(x + j * VALUES, y[j]), "pixels and label %d do not fit", y[j]);
                seen[y[j]]++;
                if (++p % n == 0)
                    for (int i = 0; i < n; i++)
                        CHECK(seen[i] == p / n, "n %d, batch %d: image %d seen %d times in %d", n,
                              batch, i, seen[i], p / n);
            }
        }
        cm_loader_free(l);
    }
}

static void loader_resumes_exactly(void)
{
    enum { BATCH = 6, STEPS = 20 };
    static float straight[STEPS][BATCH * VALUES], x[2 * BATCH * VALUES];
    static int32_t y[STEPS][BATCH], y2[2 * BATCH];
    const cm_dataset d = numbered(10);
    cm_loader *l = loader_at(&d, BATCH, 9, 1, 0);
    for (int k = 0; k < STEPS; k++)
        cm_loader_next(l, straight[k], y[k]);
    cm_loader_free(l);
    for (int from = 0; from < STEPS; from += 3) {
        l = loader_at(&d, BATCH, 9, 1, from);
        for (int k = from; k < STEPS; k++) {
            cm_loader_next(l, x, y2);
            CHECK(!memcmp(x, straight[k], sizeof straight[k]) && !memcmp(y2, y[k], sizeof y[k]),
                  "from %d: step %d differs", from, k);
        }
        cm_loader_free(l);
    }
    CHECK(memcmp(y[0], y[5], sizeof y[0]), "epochs 0 and 3 begin alike"); /* samples 0 and 30 */
    /* Twice the batch, the same sequence; another seed, another one. */
    l = loader_at(&d, 2 * BATCH, 9, 1, 2);
    cm_loader_next(l, x, y2);
    CHECK(!memcmp(x, straight[4], sizeof straight[4]) && !memcmp(y2 + BATCH, y[5], sizeof y[5]),
          "depends on the batch size");
    cm_loader_free(l);
    l = loader_at(&d, BATCH, 10, 1, 0);
    cm_loader_next(l, x, NULL);
    CHECK(memcmp(x, straight[0], sizeof straight[0]), "does not depend on the seed");
    cm_loader_free(l);
}

static void loader_flips_half(void)
{
    static float x[64 * VALUES];
    int32_t y[64];
    cm_dataset d = numbered(20);
    for (int flip = 0; flip < 2; flip++) {
        int flipped = 0, by_image[20] = {0};
        cm_loader *l = loader_at(&d, 64, 3, flip, 0);
        for (int k = 0; k < 100; k++) {
            cm_loader_next(l, x, y);
            for (int j = 0; j < 64; j++) {
                const int m = is_image(x + j * VALUES, y[j]);
                CHECK(m >= 0, "neither the image nor its mirror");
                flipped += m == 1;
                by_image[y[j]] += m == 1;
            }
        }
        cm_loader_free(l);
        /* 6400 coins: sd 40; 320 an image: sd 9 */
        CHECK(flip ? abs(flipped - 3200) < 200 : !flipped, "%d of 6400 flipped", flipped);
        for (int i = 0; flip && i < 20; i++)
            CHECK(abs(by_image[i] - 160) < 45, "image %d flipped %d of 320", i, by_image[i]);
    }
    d.labels = NULL;
    memset(loader_pixels, 0, VALUES);
    memset(loader_pixels, 255, VALUES / 2);
    d.n = 1;
    cm_loader *l = loader_at(&d, 1, 3, 0, 0);
    cm_loader_next(l, x, y);
    CHECK(x[0] == 1.0f && x[VALUES - 1] == -1.0f && y[0] == -1, "%g %g, label %d", (double)x[0],
          (double)x[VALUES - 1], y[0]);
    cm_loader_free(l);
}

static void loader_stops_cleanly(void)
{
    const cm_dataset d = numbered(10);
    float x[4 * VALUES];
    for (int i = 0; i < 200; i++) { /* while it fills, and while it waits */
        cm_loader *l = loader_at(&d, 4, 1, 1, 0);
        for (int k = 0; k < i % 5; k++)
            cm_loader_next(l, x, NULL);
        cm_loader_free(l);
    }
    cm_loader_free(NULL);
    cm_error err = {0};
    cm_loader *l = NULL;
    CHECK(cm_loader_new(&d, 0, (cm_loader_slice){0, 0}, 1, 0, 0, &l, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "batch"),
          "batch 0: %s", err.message);
    CHECK(cm_loader_new(&d, 1, (cm_loader_slice){0, 1}, 1, 0, -1, &l, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "first step"),
          "step -1: %s", err.message);
    CHECK(cm_loader_new(&d, INT32_MAX, (cm_loader_slice){0, 1}, 1, 0, INT64_MAX, &l, &err) ==
              CM_ERR_ARGUMENT,
          "huge step");
    CHECK(!l, "out parameter written on failure");
}

/* Every third of seven: 2 and 5. */
static void hold_out_takes_every_third(void)
{
    uint8_t *bytes = malloc(7 * 4);
    int32_t *labels = malloc(7 * sizeof *labels);
    for (int i = 0; i < 7 * 4; i++)
        bytes[i] = (uint8_t)(i / 4 * 10 + i % 4);
    for (int i = 0; i < 7; i++)
        labels[i] = i;
    cm_dataset d = {.n = 7,
                    .h = 2,
                    .w = 2,
                    .c = 1,
                    .classes = 7,
                    .pixels = bytes,
                    .labels = labels,
                    .fingerprint = 5};
    cm_dataset *held = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_dataset_hold_out(&d, 3, &held, &err), err))
        return;
    static const int kept[] = {0, 1, 3, 4, 6}, out[] = {2, 5};
    CHECK(d.n == 5 && held->n == 2 && held->classes == 7 && d.fingerprint == 5, "%d and %d",
          (int)d.n, (int)held->n);
    for (int i = 0; i < 5; i++)
        CHECK(d.labels[i] == kept[i] && d.pixels[4 * i + 3] == kept[i] * 10 + 3, "image %d", i);
    for (int i = 0; i < 2; i++)
        CHECK(held->labels[i] == out[i] && held->pixels[4 * i + 3] == out[i] * 10 + 3,
              "held image %d", i);
    cm_dataset_free(held);
    free(bytes);
    free(labels);
}

static const check_test tests[] = {
    {"idx round trip", idx_round_trip},
    {"idx errors", idx_errors},
    {"fashion-mnist missing", fashion_is_missing},
    {"fashion-mnist opens", fashion_opens},
    {"fingerprint notices changes", fingerprint_notices_changes},
    {"folder with classes", folder_with_classes},
    {"folder promotes grey", folder_promotes_grey},
    {"folder sizes", folder_sizes},
    {"folder errors", folder_errors},
    {"resize keeps constants", resize_keeps_constants},
    {"resize keeps ramps", resize_keeps_ramps},
    {"resize crops the centre", resize_crops_the_centre},
    {"resize equals Pillow", resize_equals_pillow},
    {"shuffle is a bijection", shuffle_is_a_bijection},
    {"shuffle is uniform", shuffle_is_uniform},
    {"loader sees each image once an epoch", loader_sees_each_image_once_an_epoch},
    {"loader resumes exactly", loader_resumes_exactly},
    {"loader flips half", loader_flips_half},
    {"loader stops cleanly", loader_stops_cleanly},
    {"hold out takes every third", hold_out_takes_every_third},
};
CHECK_MAIN(tests)
