/* test_eval_files.c - what an evaluation reads and writes: arrays of .npz files that someone else
 * made, statistics, images out of an archive; whole, and damaged in every place */
#include "scratch.h"

#include "base/memory.h"
#include "eval/image_source.h"
#include "eval/statistics_file.h"
#include "io/npz_read.h"

#include <float.h>
#include <sys/stat.h>

static cm_error err;

static void write_arrays(const char *path, int n, const cm_npz_array *arrays)
{
    CHECK_OK(cm_npz_write(path, n, arrays, &err), err);
}

/* ---- arrays --------------------------------------------------------------------- */

static void test_arrays(void)
{
    static const uint8_t bytes[] = {0, 7, 255};
    static const int64_t whole[] = {-5, INT64_C(1) << 40};
    static const float single[] = {1.5f, -0.25f, 3e38f};
    static const double wide[] = {1e300, -1e-300, 0.1, 4};
    const cm_npz_array arrays[] = {{"a", CM_NPZ_U8, 1, {3}, bytes},
                                   {"b", CM_NPZ_I64, 1, {2}, whole},
                                   {"c", CM_NPZ_F32, 2, {1, 3}, single},
                                   {"d", CM_NPZ_F64, 2, {2, 2}, wide}};
    uint8_t u[3];
    int64_t i[3];
    double f[4];
    char text[128];
    cm_npz *npz = NULL;
    cm_npz_member m;
    write_arrays(in_dir("x.npz"), 4, arrays);
    CHECK(cm_npz_is(in_dir("x.npz")), "not an archive");
    CHECK_OK(cm_npz_open(in_dir("x.npz"), &npz, &err), err);
    CHECK(!strcmp(cm_npz_names(npz, text, sizeof text), "a, b, c, d"), "%s", text);
    CHECK_OK(cm_npz_find(npz, "a", &m, &err), err);
    CHECK_OK(cm_npz_read_u8(&m, 2, u, &err), err); /* in parts */
    CHECK_OK(cm_npz_read_u8(&m, 1, u + 2, &err), err);
    CHECK(!memcmp(u, bytes, sizeof u), "bytes differ");
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "b", &m, &err), err);
    CHECK_OK(cm_npz_read_i64(&m, 2, i, &err), err);
    CHECK(!memcmp(i, whole, sizeof whole), "integers differ");
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "c", &m, &err), err);
    CHECK(m.rank == 2 && m.dim[1] == 3 && m.elements == 3, "shape");
    CHECK_OK(cm_npz_read_f64(&m, 3, f, &err), err);
    for (int k = 0; k < 3; k++)
        CHECK(f[k] == (double)single[k], "element %d: %g", k, f[k]);
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "d", &m, &err), err);
    CHECK(!strcmp(cm_npz_describe(&m, text), "float64 [2,2]"), "%s", text);
    CHECK_OK(cm_npz_read_f64(&m, 4, f, &err), err);
    CHECK(!memcmp(f, wide, sizeof wide), "floats differ");
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "a", &m, &err), err);
    CHECK(cm_npz_read_f64(&m, 1, f, &err) == CM_ERR_FORMAT, "bytes as floats");
    has(&err, "a: expected floats, found uint8 [3]");
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "a", &m, &err), err);
    CHECK_OK(cm_npz_read_i64(&m, 3, i, &err), err);
    for (int k = 0; k < 3; k++)
        CHECK(i[k] == bytes[k], "byte %d as an integer: %lld", k, (long long)i[k]);
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "e", &m, &err), err);
    CHECK(!m.stream, "an array that is not there");
    cm_npz_close(npz);
}

/* By numpy.savez_compressed: integers of 32 bits. */
static void test_foreign_arrays(void)
{
    static const char archive[] = "tests/fuzz/corpus/npz/images-labels.npz";
    int64_t labels[2] = {0};
    uint8_t black[2 * 8 * 8];
    cm_npz *npz = NULL;
    cm_npz_member m;
    CHECK_OK(cm_npz_open(archive, &npz, &err), err);
    CHECK_OK(cm_npz_find(npz, "arr_1", &m, &err), err);
    CHECK(!strcmp(m.descr, "<i4") && m.rank == 1 && m.elements == 2, "another array");
    CHECK_OK(cm_npz_read_i64(&m, 2, labels, &err), err);
    CHECK(labels[0] == 7 && labels[1] == INT32_MIN, "%lld, %lld", (long long)labels[0],
          (long long)labels[1]);
    cm_npz_member_close(&m);
    CHECK_OK(cm_npz_find(npz, "arr_0", &m, &err), err);
    CHECK(m.rank == 4 && m.dim[1] == 8 && m.elements == sizeof black, "another array");
    CHECK_OK(cm_npz_read_u8(&m, sizeof black, black, &err), err);
    for (size_t i = 0; i < sizeof black; i++)
        CHECK(!black[i], "byte %zu: %d", i, black[i]);
    cm_npz_member_close(&m);
    cm_npz_close(npz);
}

/* A member whose header is this dictionary, and four bytes of data: numpy's own spacing, and what
 * is not numpy's.  Stored without compression, with the CRC of an archive of our own: the header
 * text is replaced in a file that has room for it. */
static cm_status open_header(const char *dictionary)
{
    enum { ROOM = 118 };
    char text[ROOM + 1];
    static unsigned char file[4096];
    static const uint8_t data[4] = {1, 2, 3, 4};
    cm_npz *npz = NULL;
    cm_npz_member m = {0};
    write_arrays(in_dir("h.npz"), 1, (const cm_npz_array[]){{"a", CM_NPZ_U8, 1, {4}, data}});
    snprintf(text, sizeof text, "%-*s", ROOM - 1, dictionary);
    FILE *f = fopen(in_dir("h.npz"), "rb");
    const size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    for (size_t i = 0; i + 10 + ROOM < n; i++)
        if (!memcmp(file + i, "\x93NUMPY", 6)) {
            memcpy(file + i + 10, text, strlen(dictionary));
            memset(file + i + 10 + strlen(dictionary), ' ',
                   (size_t)(file[i + 8] | file[i + 9] << 8) - strlen(dictionary));
        }
    put(in_dir("h.npz"), file, n);
    err = (cm_error){0};
    cm_status s = cm_npz_open(in_dir("h.npz"), &npz, &err);
    if (!s)
        s = cm_npz_find(npz, "a", &m, &err);
    cm_npz_member_close(&m);
    cm_npz_close(npz);
    return s;
}

static void test_headers(void)
{
    static const struct {
        const char *text;
        cm_status status;
    } cases[] = {
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }", CM_OK},
        {"{'shape': (2, 2), 'fortran_order': False, \"descr\": \"|u1\"}", CM_OK},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (), }", CM_OK},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", CM_OK},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}", CM_ERR_FORMAT},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", CM_ERR_FORMAT},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (4,)}", CM_ERR_FORMAT},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (5,)}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (-4,)}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4,)} x", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': 0, 'shape': (4,)}", CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4,), 'more': 1}", CM_ERR_FORMAT},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         CM_ERR_FORMAT},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,4)}", CM_ERR_FORMAT},
        {"", CM_ERR_FORMAT},
        {"{'descr", CM_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cm_status s = open_header(cases[i].text);
        CHECK(s == cases[i].status, "%s: status %d, expected %d: %s", cases[i].text, (int)s,
              (int)cases[i].status, err.message);
    }
}

/* ---- statistics ------------------------------------------------------------------- */

static double mean[3] = {1, 2, 3}, covariance[9] = {2, 1, 0, 1, 2, 0, 0, 0, 1};
static double mean_s[2] = {4, 5}, covariance_s[4] = {1, 0, 0, 1};

static cm_status read_statistics(const char *path, const char *network, int64_t d,
                                 cm_saved_statistics *s)
{
    int found = 0;
    err = (cm_error){0};
    const cm_status status = cm_statistics_read(path, network, d, 2, &found, s, &err);
    CHECK(status || found, "no statistics in it");
    return status;
}

static void test_statistics(void)
{
    const cm_statistics f = {77, 3, mean, covariance}, spatial = {77, 2, mean_s, covariance_s};
    cm_saved_statistics s;
    CHECK_OK(cm_statistics_write(in_dir("s.npz"), "FD-x 12", &f, &spatial, &err), err);
    CHECK_OK(read_statistics(in_dir("s.npz"), "FD-x 12", 3, &s), err);
    CHECK(s.features.n == 77 && s.features.d == 3 && s.spatial.d == 2 && !s.has_images, "shape");
    CHECK(!memcmp(s.features.mean, mean, sizeof mean) &&
              !memcmp(s.features.covariance, covariance, sizeof covariance) &&
              !memcmp(s.spatial.mean, mean_s, sizeof mean_s) &&
              !memcmp(s.spatial.covariance, covariance_s, sizeof covariance_s),
          "numbers differ");
    cm_saved_statistics_clear(&s);
    CHECK_OK(cm_statistics_write(in_dir("s.npz"), "FD-x 12", &f, NULL, &err), err);
    CHECK_OK(read_statistics(in_dir("s.npz"), "FD-x 12", 3, &s), err);
    CHECK(s.spatial.d == 0, "spatial ones");
    cm_saved_statistics_clear(&s);
    CHECK(read_statistics(in_dir("s.npz"), "FD-x 13", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "expected statistics of the network FD-x 13, found those of FD-x 12");
    CHECK(read_statistics(in_dir("s.npz"), "inception", 2048, &s) == CM_ERR_FORMAT, "%s",
          err.message);
}

/* mu and sigma alone, of any float type: those of EDM, OpenAI and clean-fid. */
static void test_foreign_statistics(void)
{
    float small_mean[3], small[9];
    double bad[9];
    cm_saved_statistics s;
    for (int i = 0; i < 9; i++)
        small[i] = (float)covariance[i];
    for (int i = 0; i < 3; i++)
        small_mean[i] = (float)mean[i];
    const cm_npz_array arrays[] = {{"mu", CM_NPZ_F32, 1, {3}, small_mean},
                                   {"sigma", CM_NPZ_F32, 2, {3, 3}, small}};
    write_arrays(in_dir("f.npz"), 2, arrays);
    CHECK_OK(read_statistics(in_dir("f.npz"), "inception", 3, &s), err);
    CHECK(s.features.n == 0 && s.features.covariance[1] == 1, "numbers differ");
    cm_saved_statistics_clear(&s);
    CHECK(read_statistics(in_dir("f.npz"), "FD-x 12", 3, &s) == CM_ERR_FORMAT, "of no network");
    has(&err, "found some that name none");
    CHECK(read_statistics(in_dir("f.npz"), "inception", 4, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "mu: expected floats [4] of this network, found float32 [3]");
    memcpy(bad, covariance, sizeof bad);
    bad[5] = NAN;
    const cm_npz_array nan[] = {{"mu", CM_NPZ_F64, 1, {3}, mean},
                                {"sigma", CM_NPZ_F64, 2, {3, 3}, bad}};
    write_arrays(in_dir("f.npz"), 2, nan);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "sigma: element 5: expected a finite number");
    bad[5] = 0.5;
    write_arrays(in_dir("f.npz"), 2, nan);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "expected a symmetric matrix");
    write_arrays(in_dir("f.npz"), 1, nan);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "sigma: expected floats [3,same] of this network, found no such array");
    bad[1] = bad[3] = 0.9 * DBL_MAX; /* whose sum is none */
    bad[5] = 0;
    write_arrays(in_dir("f.npz"), 2, nan);
    CHECK_OK(read_statistics(in_dir("f.npz"), "inception", 3, &s), err);
    CHECK(s.features.covariance[1] == bad[1] && s.features.covariance[3] == bad[1], "%g",
          s.features.covariance[1]);
    cm_saved_statistics_clear(&s);
    bad[3] = -bad[1];
    write_arrays(in_dir("f.npz"), 2, nan);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "expected a symmetric matrix");
    const int64_t less = -5;
    const cm_npz_array counted[] = {{"mu", CM_NPZ_F64, 1, {3}, mean},
                                    {"sigma", CM_NPZ_F64, 2, {3, 3}, covariance},
                                    {"n", CM_NPZ_I64, 0, {0}, &less}};
    write_arrays(in_dir("f.npz"), 3, counted);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "f.npz: n: expected a number of images, found -5");
    const cm_npz_array wrong[] = {counted[0], counted[1], {"n", CM_NPZ_F64, 1, {3}, mean}};
    write_arrays(in_dir("f.npz"), 3, wrong);
    CHECK(read_statistics(in_dir("f.npz"), "inception", 3, &s) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "f.npz: n: expected a number of images, found float64 [3]");
}

/* Every byte changed, and every length: an answer each time, and never other numbers. */
static void test_damage(void)
{
    const cm_statistics f = {77, 3, mean, covariance};
    static unsigned char file[4096], changed[4096];
    CHECK_OK(cm_statistics_write(in_dir("d.npz"), "FD-x 12", &f, NULL, &err), err);
    FILE *in = fopen(in_dir("d.npz"), "rb");
    const size_t n = fread(file, 1, sizeof file, in);
    fclose(in);
    for (size_t i = 0; i < 2 * n; i++) {
        cm_saved_statistics s = {0};
        int found = 0;
        memcpy(changed, file, n);
        changed[i % n] ^= 0x11;
        put(in_dir("d.npz"), changed, i < n ? n : i - n);
        err = (cm_error){0};
        const cm_status status =
            cm_statistics_read(in_dir("d.npz"), "FD-x 12", 3, 0, &found, &s, &err);
        CHECK(status || !found ||
                  (!memcmp(s.features.mean, mean, sizeof mean) &&
                   !memcmp(s.features.covariance, covariance, sizeof covariance)),
              "byte %zu of %zu: other numbers", i % n, n);
        cm_saved_statistics_clear(&s);
    }
}

/* ---- images ------------------------------------------------------------------------ */

static void test_archive(void)
{
    enum { N = 40, H = 3, W = 2, C = 3, IMAGE = H * W * C };
    static uint8_t pixels[N * IMAGE], got[N * IMAGE];
    int64_t labels[N], got_labels[N];
    cm_image_source s;
    for (int i = 0; i < N * IMAGE; i++)
        pixels[i] = (uint8_t)(i * 37 + i / 11);
    for (int i = 0; i < N; i++)
        labels[i] = i % 7;
    const cm_npz_array arrays[] = {{"arr_0", CM_NPZ_U8, 4, {N, H, W, C}, pixels},
                                   {"arr_1", CM_NPZ_I64, 1, {N}, labels}};
    write_arrays(in_dir("i.npz"), 2, arrays);
    CHECK_OK(cm_image_source_open(in_dir("i.npz"), NULL, 0, &s, &err), err);
    CHECK(s.n == N && s.h == H && s.w == W && s.c == C && s.classes, "shape");
    CHECK_OK(cm_image_source_next(&s, 17, got, got_labels, &err), err);
    CHECK_OK(cm_image_source_pick(&s, 30, got + 17 * IMAGE, &err), err);
    CHECK(!memcmp(got + 17 * IMAGE, pixels + 30 * IMAGE, IMAGE), "image 30 differs");
    CHECK_OK(cm_image_source_pick(&s, 2, got + 17 * IMAGE, &err), err);
    CHECK(!memcmp(got + 17 * IMAGE, pixels + 2 * IMAGE, IMAGE), "image 2 differs");
    CHECK_OK(cm_image_source_next(&s, N - 17, got + 17 * IMAGE, got_labels + 17, &err), err);
    CHECK(!memcmp(got, pixels, sizeof got) && !memcmp(got_labels, labels, sizeof labels),
          "images differ");
    cm_image_source_close(&s);
    const cm_image_shape as = {3, 3, 3, "the samples s.npz"};
    CHECK(cm_image_source_open(in_dir("i.npz"), &as, 0, &s, &err) == CM_ERR_FORMAT, "other size");
    has(&err, "i.npz: expected images of 3x3 with 3 channels, as the samples s.npz have, "
              "found 2x3 with 3");
}

static void test_wrong_archives(void)
{
    static const float floats[12];
    static const uint8_t bytes[12];
    cm_image_source s;
    const cm_npz_array wrong_type = {"arr_0", CM_NPZ_F32, 4, {1, 2, 2, 3}, floats};
    const cm_npz_array wrong_key = {"samples", CM_NPZ_U8, 4, {1, 2, 2, 3}, bytes};
    const cm_npz_array wrong_shape = {"arr_0", CM_NPZ_U8, 4, {1, 3, 2, 2}, bytes};
    write_arrays(in_dir("w.npz"), 1, &wrong_type);
    CHECK(cm_image_source_open(in_dir("w.npz"), NULL, 0, &s, &err) == CM_ERR_FORMAT, "floats");
    has(&err, "w.npz: arr_0: expected uint8 [N,H,W,3] or [N,H,W,1] of 0 to 255, N, H and W at least 1, found "
              "float32 [1,2,2,3]");
    write_arrays(in_dir("w.npz"), 1, &wrong_key);
    CHECK(cm_image_source_open(in_dir("w.npz"), NULL, 0, &s, &err) == CM_ERR_FORMAT, "another key");
    has(&err, "expected the images as arr_0 (uint8 [N,H,W,C]), found samples");
    write_arrays(in_dir("w.npz"), 1, &wrong_shape);
    CHECK(cm_image_source_open(in_dir("w.npz"), NULL, 0, &s, &err) == CM_ERR_FORMAT,
          "two channels");
    has(&err, "found uint8 [1,3,2,2]");
}

/* Labels that are none of these images: nothing of them is dropped without a word. */
static void test_wrong_labels(void)
{
    static const uint8_t pixels[3 * 4], small[3] = {2, 0, 255};
    static const float floats[3] = {0, 1, 2};
    static const int64_t good[3] = {0, -1, 1}, below[3] = {0, 1, -5};
    const struct {
        cm_npz_array labels;
        const char *says; /* NULL: they are taken */
    } cases[] = {
        {{"arr_1", CM_NPZ_I64, 1, {3}, good}, NULL},
        {{"arr_1", CM_NPZ_U8, 1, {3}, small}, NULL},
        {{"arr_1", CM_NPZ_I64, 1, {2}, good},
         "expected the class of each image, int64 [3], found "
         "int64 [2]"},
        {{"arr_1", CM_NPZ_I64, 2, {3, 1}, good}, "found int64 [3,1]"},
        {{"arr_1", CM_NPZ_F32, 1, {3}, floats}, "found float32 [3]"},
        {{"arr_1", CM_NPZ_I64, 1, {3}, below},
         "element 2: expected a class, 0 or more (-1: none), "
         "found -5"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const cm_npz_array arrays[] = {{"arr_0", CM_NPZ_U8, 4, {3, 2, 2, 1}, pixels},
                                       cases[k].labels};
        uint8_t got[sizeof pixels];
        int64_t labels[3] = {9, 9, 9};
        cm_image_source s = {0};
        write_arrays(in_dir("l.npz"), 2, arrays);
        err = (cm_error){0};
        cm_status status = cm_image_source_open(in_dir("l.npz"), NULL, 0, &s, &err);
        if (!status)
            status = cm_image_source_next(&s, 3, got, labels, &err);
        cm_image_source_close(&s);
        CHECK(!status == !cases[k].says, "case %zu: %s", k, err.message);
        if (!status) {
            const int bytes = cases[k].labels.dtype == CM_NPZ_U8;
            for (int i = 0; i < 3; i++)
                CHECK(labels[i] == (bytes ? small[i] : good[i]), "case %zu, label %d: %lld", k, i,
                      (long long)labels[i]);
            continue;
        }
        CHECK(status == CM_ERR_FORMAT, "case %zu: %s", k, cm_status_name(status));
        has(&err, "l.npz: arr_1: ");
        has(&err, cases[k].says);
    }
}

static const check_test tests[] = {
    {"npz: arrays of every type", test_arrays},
    {"npz: arrays by numpy", test_foreign_arrays},
    {"npz: headers", test_headers},
    {"statistics: written and read", test_statistics},
    {"statistics: of others", test_foreign_statistics},
    {"statistics: damaged in every place", test_damage},
    {"images: out of an archive", test_archive},
    {"images: archives of something else", test_wrong_archives},
    {"images: labels of something else", test_wrong_labels},
};
SCRATCH_MAIN(tests)
