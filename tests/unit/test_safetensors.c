/* test_safetensors.c - the tensor file: exact bytes written, conversions, look-up,
 * messages, speed.  tests/fuzz has the malformed files. */
#include "scratch.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors.h"

#include <fcntl.h>
#include <time.h>

/* Write header and n_data zero bytes as a safetensors file. */
static const char *file_with(const char *header, size_t n_data)
{
    static uint8_t bytes[1 << 16];
    const size_t n = strlen(header);
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n >> 8 * i);
    memcpy(bytes + 8, header, n);
    put(in_dir("t"), bytes, 8 + n + n_data);
    return in_dir("t");
}

/* Against bytes laid out by hand from the format's description: alignment falls
 * (I64 before F32 before U8), names rise, the header is padded to 8. */
static void exact_bytes(void)
{
    static const char header[] =
        "{\"__metadata__\":{\"config\":\"{}\"},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,20]},"
        "\"u\":{\"dtype\":\"U8\",\"shape\":[1,3],\"data_offsets\":[20,23]}}";
    static const uint8_t data[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f,
                                   0,    0,    0,    0xc0, 0,    0,    0,    0x3f, 7, 8, 9};
    static const uint8_t u[] = {7, 8, 9};
    static const float a[] = {1, -2}, b[] = {0.5f};
    static const int64_t i[] = {-2};
    const cm_st_entry entries[] = {{"u", CM_ST_U8, 2, {1, 3}, u},
                                   {"b", CM_ST_F32, 0, {0}, b},
                                   {"i", CM_ST_I64, 1, {1}, i},
                                   {"a", CM_ST_F32, 1, {2}, a}};
    const char *keys[] = {"config"}, *values[] = {"{}"};
    cm_error err = {0};
    uint8_t *file = NULL;
    size_t n = 0;
    CHECK_OK(cm_st_write(in_dir("t"), 4, entries, 1, keys, values, &err), err);
    CHECK_OK(cm_file_read(in_dir("t"), 1 << 20, (void **)&file, &n, &err), err);
    const size_t text = sizeof header - 1, padded = (text + 7) / 8 * 8;
    CHECK(file && n == 8 + padded + sizeof data, "%zu bytes", n);
    if (file && n == 8 + padded + sizeof data) {
        CHECK(file[0] == padded % 256 && file[1] == padded / 256, "length %d", file[0]);
        CHECK(!memcmp(file + 8, header, text), "header %.*s", (int)text, (char *)file + 8);
        for (size_t k = text; k < padded; k++)
            CHECK(file[8 + k] == ' ', "padding");
        CHECK(!memcmp(file + 8 + padded, data, sizeof data), "data");
    }
    cm_free(file);
}

static void round_trip(void)
{
    static const char *const keys[] = {"zeta", "alpha"}, *const values[] = {"1", "\xc3\xa9 \"q\""};
    static const double f64[] = {1.0 / 3, -1e300};
    static const uint16_t f16[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00, 0xfe00, 0x8000};
    static const uint16_t bf16[] = {0x3f80, 0xc049};
    static const int32_t i32[] = {-5, INT32_MAX};
    static const uint8_t u8[] = {0, 255};
    static const int64_t i64[] = {INT64_MIN, 16777217};
    const cm_st_entry e[] = {
        {"f64", CM_ST_F64, 1, {2}, f64},       {"f16", CM_ST_F16, 1, {8}, f16},
        {"bf16", CM_ST_BF16, 2, {2, 1}, bf16}, {"i32", CM_ST_I32, 1, {2}, i32},
        {"u8", CM_ST_U8, 1, {2}, u8},          {"i64", CM_ST_I64, 1, {2}, i64},
        {"zero", CM_ST_F32, 2, {3, 0}, NULL},  {"\xce\xb1\n", CM_ST_BOOL, 1, {2}, u8}};
    const int n = (int)(sizeof e / sizeof *e);
    cm_error err = {0};
    cm_st_file *f = NULL;
    CHECK_OK(cm_st_write(in_dir("t"), n, e, 2, keys, values, &err), err);
    if (!CHECK_OK(cm_st_open(in_dir("t"), &f, &err), err))
        return;
    CHECK(cm_st_count(f) == n, "%d tensors", cm_st_count(f));
    CHECK(!strcmp(cm_st_path(f), in_dir("t")), "path");
    for (int i = 0; i < n; i++) { /* every name finds its tensor, bytes unchanged */
        const cm_st_tensor *t = cm_st_find(f, e[i].name);
        uint8_t raw[64] = {0};
        if (!CHECK(t, "%s not found", e[i].name))
            continue;
        CHECK(t->dtype == e[i].dtype && t->rank == e[i].rank &&
                  !memcmp(t->dim, e[i].dim, sizeof t->dim),
              "%s: other type or shape", t->name);
        CHECK_OK(cm_st_read(f, t, raw, &err), err);
        CHECK(!t->bytes || !memcmp(raw, e[i].data, t->bytes), "%s: other bytes", t->name);
    }
    CHECK(!cm_st_find(f, "f6") && !cm_st_find(f, "") && !cm_st_find(f, "__metadata__"), "found");
    CHECK(!cm_st_at(f, n) && !cm_st_at(f, -1), "an index out of range");
    const char *k = NULL, *v = NULL;
    CHECK(cm_st_metadata_count(f) == 2 && !cm_st_metadata_at(f, 0, &k, &v) && !strcmp(k, "zeta") &&
              !strcmp(v, "1"),
          "metadata 0");
    CHECK(cm_st_metadata(f, "alpha") && !strcmp(cm_st_metadata(f, "alpha"), values[1]), "alpha");
    CHECK(!cm_st_metadata(f, "beta") && cm_st_metadata_at(f, 2, &k, &v), "metadata not there");

    float r[8] = {0};
    double d[2] = {0};
    int64_t l[2] = {0};
    CHECK_OK(cm_st_read_f32(f, cm_st_find(f, "f64"), r, &err), err);
    CHECK(r[0] == (float)(1.0 / 3) && isinf(r[1]) && r[1] < 0, "f64 as f32");
    CHECK_OK(cm_st_read_f32(f, cm_st_find(f, "f16"), r, &err), err);
    CHECK(r[0] == 1 && r[1] == -2 && r[2] == 65504 && r[3] == 0x1p-24f && r[4] == 0x1p-14f &&
              isinf(r[5]) && isnan(r[6]) && r[7] == 0 && signbit(r[7]),
          "f16: %g %g %g %g %g", (double)r[0], (double)r[1], (double)r[2], (double)r[3],
          (double)r[4]);
    CHECK_OK(cm_st_read_f32(f, cm_st_find(f, "bf16"), r, &err), err);
    CHECK(r[0] == 1 && r[1] == -3.140625f, "bf16: %g", (double)r[1]);
    CHECK_OK(cm_st_read_f32(f, cm_st_find(f, "i64"), r, &err), err);
    CHECK(r[0] == -0x1p63f && r[1] == 16777216, "i64 as f32: to even");
    CHECK_OK(cm_st_read_f64(f, cm_st_find(f, "i64"), d, &err), err);
    CHECK(d[1] == 16777217, "i64 as f64");
    CHECK_OK(cm_st_read_f64(f, cm_st_find(f, "f64"), d, &err), err);
    CHECK(d[0] == f64[0] && d[1] == f64[1], "f64");
    CHECK_OK(cm_st_read_i64(f, cm_st_find(f, "i32"), l, &err), err);
    CHECK(l[0] == -5 && l[1] == INT32_MAX, "i32 as i64");
    CHECK_OK(cm_st_read_i64(f, cm_st_find(f, "u8"), l, &err), err);
    CHECK(l[0] == 0 && l[1] == 255, "u8 as i64");
    CHECK(cm_st_read_i64(f, cm_st_find(f, "f64"), l, &err) == CM_ERR_FORMAT, "f64 as i64");
    has(&err, "tensor \"f64\": dtype: expected I64, I32 or U8, found F64");
    CHECK(cm_st_read_f32(f, cm_st_find(f, "\xce\xb1\n"), r, &err) == CM_ERR_FORMAT, "BOOL as f32");
    has(&err, "\xce\xb1\\x0a");
    cm_st_close(f);
}

/* A tensor longer than the conversion buffer, at an odd offset. */
static void long_and_unaligned(void)
{
    enum { N = 10001 };
    cm_error err = {0};
    cm_st_file *f = NULL;
    char header[256];
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
             "\"x\":{\"dtype\":\"I32\",\"shape\":[%d],\"data_offsets\":[1,%d]}}",
             N, 1 + 4 * N);
    const char *path = file_with(header, 1 + 4 * N);
    const int fd = open(path, O_WRONLY);
    for (int32_t i = 0; i < N; i++)
        CHECK(pwrite(fd, &i, 4, (off_t)(8 + strlen(header) + 1 + 4 * (size_t)i)) == 4, "pwrite");
    close(fd);
    if (!CHECK_OK(cm_st_open(path, &f, &err), err))
        return;
    double *d = cm_alloc(N * sizeof *d);
    float *r = cm_alloc(N * sizeof *r);
    int64_t *l = cm_alloc(N * sizeof *l);
    CHECK_OK(cm_st_read_f64(f, cm_st_find(f, "x"), d, &err), err);
    CHECK_OK(cm_st_read_f32(f, cm_st_find(f, "x"), r, &err), err);
    CHECK_OK(cm_st_read_i64(f, cm_st_find(f, "x"), l, &err), err);
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += d[i] != i || r[i] != (float)i || l[i] != i;
    CHECK(!wrong, "%d of %d values differ", wrong, (int)N);
    /* The file shrinks while it is open: an error, not a crash. */
    CHECK(truncate(path, 8 + (off_t)strlen(header) + 100) == 0, "truncate");
    CHECK(cm_st_read_f32(f, cm_st_find(f, "x"), r, &err) == CM_ERR_IO, "read past the end");
    has(&err, "end of the file");
    cm_free(d);
    cm_free(r);
    cm_free(l);
    cm_st_close(f);
}

static void messages(void)
{
    static const struct {
        const char *header;
        size_t data;
        const char *says;
    } cases[] = {
        {"{\"in.0.weight\":{\"dtype\":\"F32\",\"shape\":[3,128,3,3],\"data_offsets\":[0,13820]}}",
         13820,
         "tensor \"in.0.weight\": shape [3,128,3,3] F32 needs 13824 bytes, data_offsets give "
         "13820"},
        {"{\"a\":{\"dtype\":\"Q7\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16,
         "tensor \"a\": dtype: expected a type such as \"F32\", found \"Q7\""},
        {"{\"a\\u001b[31m\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16,
         "tensor \"a\\x1b[31m\": shape: expected integers from 0 to 2^48-1, found -4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 17,
         "data: expected 16 bytes, found 17"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 12, "cut short"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
         "\"data_offsets\":[0,1]}}",
         1, "at most 16 dimensions, found 17"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},", 1, ": header:1:"},
        {"{\"__metadata__\":{\"k\":3}}", 0, "__metadata__: \"k\": expected text, found 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_error err = {0};
        cm_st_file *f = NULL;
        const char *path = file_with(cases[i].header, cases[i].data);
        CHECK(cm_st_open(path, &f, &err) != CM_OK && !f, "case %zu opened", i);
        has(&err, path);
        has(&err, cases[i].says);
    }
}

static void write_refuses(void)
{
    cm_error err = {0};
    static const float x[2] = {0};
    const char *k[] = {"k", "k"}, *v[] = {"1", "2"}, *broken[] = {"\xff"};
    const cm_st_entry bad[] = {{"", CM_ST_F32, 1, {2}, x},
                               {"__metadata__", CM_ST_F32, 1, {2}, x},
                               {"\xff", CM_ST_F32, 1, {2}, x},
                               {"a", CM_ST_F32, 1, {-2}, x},
                               {"a", CM_ST_F32, 17, {2}, x},
                               {"a", CM_ST_F32, 2, {INT64_MAX, 4}, x},
                               {"a", CM_ST_F32, 2, {(int64_t)1 << 40, (int64_t)1 << 20}, x},
                               {"a", CM_ST_F4, 1, {3}, x}};
    const cm_st_entry twice[] = {{"a", CM_ST_F32, 1, {2}, x}, {"a", CM_ST_I32, 1, {2}, x}};
    scratch_count(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(cm_st_write(in_dir("t"), 1, &bad[i], 0, NULL, NULL, &err) == CM_ERR_ARGUMENT,
              "case %zu", i);
    CHECK(cm_st_write(in_dir("t"), 2, twice, 0, NULL, NULL, &err) == CM_ERR_ARGUMENT, "twice");
    has(&err, "tensor \"a\": expected once, found twice");
    CHECK(cm_st_write(in_dir("t"), 1, twice, 2, k, v, &err) == CM_ERR_ARGUMENT, "key twice");
    CHECK(cm_st_write(in_dir("t"), 1, twice, 1, k, broken, &err) == CM_ERR_ARGUMENT, "no UTF-8");
    CHECK(cm_st_write(in_dir("no/t"), 1, twice, 0, NULL, NULL, &err) == CM_ERR_IO, "no folder");
    CHECK(scratch_count(0) == 0, "%d files left", scratch_count(0));
    cm_st_file *f = NULL;
    CHECK_OK(cm_st_write(in_dir("t"), 0, NULL, 0, NULL, NULL, &err), err); /* no tensors: fine */
    CHECK_OK(cm_st_open(in_dir("t"), &f, &err), err);
    cm_st_close(f);
}

/* 100,000 tensors open, and are all found, in well below the 10^10 comparisons of a
 * search from the front: half a second, but sanitizers are several times slower. */
static void many_tensors(void)
{
    enum { N = 100000 };
    cm_error err = {0};
    cm_st_file *f = NULL;
    static const uint8_t byte = 7;
    cm_st_entry *e = cm_alloc(N * sizeof *e);
    char(*names)[48] = cm_alloc(N * sizeof *names);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "model.layer.%d.weight", (i * 7919) % N);
        e[i] = (cm_st_entry){names[i], CM_ST_U8, 4, {1, 1, 1, 1}, &byte};
    }
    CHECK_OK(cm_st_write(in_dir("t"), N, e, 0, NULL, NULL, &err), err);
    const clock_t start = clock(); /* processor time: the machine may be busy */
    CHECK_OK(cm_st_open(in_dir("t"), &f, &err), err);
    int missing = 0;
    for (int i = 0; i < N && f; i++)
        missing += !cm_st_find(f, names[i]);
    const double s = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(!missing, "%d names not found", missing);
    CHECK(s < 10, "opening %d tensors took %.2f s", (int)N, s);
    cm_st_close(f);
    cm_free(e);
    cm_free(names);
}

/* A file made elsewhere. */
static void golden(void)
{
    const char *path = check_golden("adm_lsun_like.weights.safetensors");
    cm_error err = {0};
    cm_st_file *f = NULL;
    uint8_t *file = NULL;
    size_t size = 0;
    if (!CHECK_OK(cm_st_open(path, &f, &err), err))
        return;
    CHECK(cm_st_count(f) == 142, "%d tensors", cm_st_count(f));
    CHECK(cm_st_metadata(f, "config") && cm_st_metadata(f, "config")[0] == '{', "no config");
    CHECK_OK(cm_file_read(path, 1 << 28, (void **)&file, &size, &err), err);
    size_t at = 8 + (size_t)file[0] + 256 * (size_t)file[1] + 65536 * (size_t)file[2];
    for (int i = 0; i < cm_st_count(f); i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        float *x = cm_alloc(t->bytes);
        CHECK_OK(cm_st_read_f32(f, t, x, &err), err);
        CHECK(cm_st_find(f, t->name) == t, "%s not found", t->name);
        CHECK(t->dtype == CM_ST_F32 && !memcmp(x, file + at, t->bytes), "%s: other bytes", t->name);
        at += t->bytes;
        cm_free(x);
    }
    CHECK(at == size, "tensors end at %zu of %zu", at, size);
    cm_free(file);
    cm_st_close(f);
}

static const check_test tests[] = {
    {"the bytes written are those of the format", exact_bytes},
    {"round trip and conversions", round_trip},
    {"a long tensor at an odd offset, and a file that shrinks", long_and_unaligned},
    {"messages name file, tensor, expected and found", messages},
    {"what cannot be written is refused and leaves nothing", write_refuses},
    {"100,000 tensors", many_tensors},
    {"a golden file", golden},
};

SCRATCH_MAIN(tests)
