/* test_io.c - files, gzip, IDX, JSON configuration and npz: round trips, what the
 * messages say, and that a failed write leaves nothing behind */
#include "scratch.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/idx.h"
#include "io/json.h"
#include "io/npz.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zip.h>
#include <zlib.h>

static void clean(void)
{
    scratch_count(1);
    CHECK(scratch_count(0) == 0, "%d entries stay", scratch_count(0));
}

/* ---- files -------------------------------------------------------------- */

static void file_read_refuses(void)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 77;
    const char *path = in_dir("x");
    CHECK(cm_file_read(path, 10, &data, &n, &err) == CM_ERR_IO, "a missing file was read");
    has(&err, path);
    has(&err, "No such file");
    CHECK(cm_file_read(scratch_dir, 10, &data, &n, &err) == CM_ERR_IO, "a folder was read");
    has(&err, "a folder");
    CHECK(mkfifo(path, 0600) == 0, "no FIFO");
    CHECK(cm_file_read(path, 10, &data, &n, &err) == CM_ERR_IO, "a FIFO was read");
    has(&err, "regular file");
    remove(path);
    put(path, "0123456789a", 11);
    CHECK(cm_file_read(path, 10, &data, &n, &err) == CM_ERR_FORMAT, "the cap does not hold");
    has(&err, "at most 10 bytes, found 11");
    CHECK(!data && n == 77, "outputs changed on failure");
    CHECK_OK(cm_file_read(path, 11, &data, &n, &err), err);
    CHECK(n == 11 && !strcmp(data, "0123456789a"), "other bytes came back");
    cm_free(data);
    put(path, "", 0);
    CHECK_OK(cm_file_read(path, 0, &data, &n, &err), err);
    CHECK(n == 0 && data, "an empty file is not an empty block");
    cm_free(data);
    clean();
}

static void check_content(const char *path, const char *text)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 0;
    CHECK_OK(cm_file_read(path, 1 << 20, &data, &n, &err), err);
    CHECK(data && n == strlen(text) && !memcmp(data, text, n), "%s: not \"%s\"", path, text);
    cm_free(data);
}

static void staged_writer(void)
{
    cm_error err = {0};
    cm_file_writer *w = NULL, *v = NULL;
    const char *path = in_dir("out");
    CHECK_OK(cm_file_create(path, &w, &err), err);
    CHECK_OK(cm_file_write(w, "new", 3, &err), err);
    CHECK(access(path, F_OK), "the file appeared before the commit");
    CHECK(scratch_count(0) == 1, "expected one temporary file");
    CHECK_OK(cm_file_create(path, &v, &err), err); /* two at once do not collide */
    CHECK_OK(cm_file_write(v, "other", 5, &err), err);
    CHECK_OK(cm_file_commit(w, &err), err);
    check_content(path, "new");
    cm_file_abandon(v);
    check_content(path, "new");
    CHECK(scratch_count(0) == 1, "%d files after abandon", scratch_count(0));

    CHECK_OK(cm_file_create(path, &w, &err), err); /* patch a header, end at the highest byte */
    CHECK_OK(cm_file_reserve(w, 1000, &err), err);
    CHECK_OK(cm_file_write(w, "....tail", 8, &err), err);
    cm_file_seek(w, 0);
    CHECK_OK(cm_file_write(w, "head", 4, &err), err);
    CHECK_OK(cm_file_commit(w, &err), err);
    check_content(path, "headtail");
    cm_file_abandon(NULL);
    clean();
}

static void staged_writer_failures(void)
{
    cm_error err = {0};
    cm_file_writer *w = NULL;
    CHECK(cm_file_create(in_dir("no/such/x"), &w, &err) == CM_ERR_IO, "made in a missing folder");
    has(&err, "no/such/x");
    has(&err, "No such file or directory");
    CHECK(cm_file_create(scratch_dir, &w, &err) == CM_ERR_IO, "a folder would be replaced");
    has(&err, "found a folder");
    CHECK(cm_file_create(in_dir("x/"), &w, &err) == CM_ERR_IO, "a name that ends in a slash");
    CHECK(scratch_count(0) == 0, "%d files left", scratch_count(0));

    /* The target becomes a folder between create and commit: rename fails. */
    CHECK_OK(cm_file_create(in_dir("late"), &w, &err), err);
    mkdir(in_dir("late"), 0700);
    CHECK(cm_file_commit(w, &err) == CM_ERR_IO, "replaced a folder");
    CHECK(scratch_count(0) == 1, "the temporary file stayed");
    rmdir(in_dir("late"));
}

/* A full disk, by way of the largest file this process may write. */
static void disk_full(void)
{
    cm_error err = {0};
    cm_file_writer *w = NULL;
    struct rlimit old, small;
    const char *path = in_dir("big");
    static const char bytes[6000];
    put(path, "before", 6);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK_OK(cm_file_create(path, &w, &err), err);
    CHECK(cm_file_write(w, bytes, sizeof bytes, &err) == CM_ERR_IO, "wrote beyond the limit");
    has(&err, path);
    has(&err, "needs 6000 bytes");
    cm_file_abandon(w);
    CHECK_OK(cm_file_create(path, &w, &err), err);
    CHECK(cm_file_reserve(w, 123456, &err) == CM_ERR_IO, "reserved beyond the limit");
    has(&err, "needs 123456 bytes");
    cm_file_abandon(w);
    const cm_npz_array a = {"arr_0", CM_NPZ_U8, 1, {sizeof bytes}, bytes};
    CHECK(cm_npz_write(path, 1, &a, &err) == CM_ERR_IO, "npz beyond the limit");
    has(&err, "File too large");
    setrlimit(RLIMIT_FSIZE, &old);
    check_content(path, "before");
    CHECK(scratch_count(0) == 1, "a temporary file stayed");
    clean();
}

static void make_dirs(void)
{
    cm_error err = {0};
    struct stat st;
    const char *deep = in_dir("a//b/c/");
    CHECK_OK(cm_make_dirs(deep, &err), err);
    CHECK(stat(in_dir("a/b/c"), &st) == 0 && S_ISDIR(st.st_mode), "no folder a/b/c");
    CHECK_OK(cm_make_dirs(deep, &err), err);
    put(in_dir("a/b/c/f"), "x", 1);
    CHECK(cm_make_dirs(in_dir("a/b/c/f"), &err) == CM_ERR_IO, "a file is not a folder");
    has(&err, "found a file");
    CHECK(cm_make_dirs(in_dir("a/b/c/f/g"), &err) == CM_ERR_IO, "a folder in a file");
    CHECK_OK(cm_dir_sync(in_dir("a/b"), &err), err);
    CHECK(cm_dir_sync(in_dir("none"), &err) == CM_ERR_IO, "synced a folder that is not");
    remove(in_dir("a/b/c/f"));
    rmdir(in_dir("a/b/c"));
    rmdir(in_dir("a/b"));
    rmdir(in_dir("a"));
}

/* ---- gzip and IDX ------------------------------------------------------- */

/* One gzip member of the bytes at out; returns its length. */
static size_t gzip(const void *in, size_t n, uint8_t *out, size_t room)
{
    z_stream z = {0};
    Bytef copy[4096];
    memcpy(copy, in, n);
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = copy;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate failed");
    deflateEnd(&z);
    return room - z.avail_out;
}

static void gzip_files(void)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 0;
    uint8_t z[8192];
    char text[3000];
    memset(text, 'a', sizeof text);
    size_t len = gzip(text, sizeof text, z, sizeof z);
    len += gzip("tail", 4, z + len, sizeof z - len); /* a second member */
    put(in_dir("g"), z, len);
    CHECK_OK(cm_gz_read(in_dir("g"), 3004, &data, &n, &err), err);
    CHECK(n == 3004 && !memcmp(data, text, 3000) && !memcmp((char *)data + 3000, "tail", 5),
          "other bytes came back");
    cm_free(data);
    CHECK(cm_gz_read(in_dir("g"), 3003, &data, &n, &err) == CM_ERR_FORMAT, "the cap does not hold");
    has(&err, "at most 3003 bytes");
    z[len] = 'x';
    CHECK(cm_gz_read_memory(z, len + 1, "g", 9999, &data, &n, &err) == CM_ERR_FORMAT,
          "a byte after the end was accepted");
    z[len - 6] ^= 1; /* in the checksum */
    CHECK(cm_gz_read_memory(z, len, "g", 9999, &data, &n, &err) == CM_ERR_FORMAT, "wrong checksum");
    has(&err, "g: damaged gzip");
    CHECK(cm_gz_read_memory(z, 20, "g", 9999, &data, &n, &err) == CM_ERR_FORMAT, "cut short");
    put(in_dir("g"), "plain", 5);
    CHECK_OK(cm_gz_read(in_dir("g"), 5, &data, &n, &err), err);
    CHECK(n == 5 && !memcmp(data, "plain", 5), "plain bytes changed");
    cm_free(data);
    clean();
}

/* A large expansion: 64 MB of zeros, through growing buffers, in a small file. */
static void gzip_bomb(void)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 0;
    const size_t size = (size_t)64 << 20;
    gzFile g = gzopen(in_dir("bomb"), "wb9");
    static const char zeros[1 << 16];
    for (size_t i = 0; i < size; i += sizeof zeros)
        gzwrite(g, zeros, sizeof zeros);
    gzclose(g);
    CHECK(cm_gz_read(in_dir("bomb"), size - 1, &data, &n, &err) == CM_ERR_FORMAT, "no cap");
    CHECK_OK(cm_gz_read(in_dir("bomb"), size, &data, &n, &err), err);
    CHECK(n == size, "%zu bytes", n);
    cm_free(data);
    clean();
}

static void idx_files(void)
{
    cm_error err = {0};
    cm_idx idx = {0};
    uint8_t z[256];
    static const uint8_t file[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0,
                                   1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
    put(in_dir("i"), file, sizeof file);
    put(in_dir("i.gz"), z, gzip(file, sizeof file, z, sizeof z));
    for (int k = 0; k < 2; k++) {
        CHECK_OK(cm_idx_read(in_dir(k ? "i.gz" : "i"), &idx, &err), err);
        CHECK(idx.rank == 3 && idx.dim[0] == 2 && idx.dim[1] == 1 && idx.dim[2] == 3 &&
                  idx.dim[3] == 1 && !memcmp(idx.data, "\1\2\3\4\5\6", 6),
              "other shape or bytes");
        cm_idx_free(&idx);
    }
    struct {
        size_t at;
        uint8_t value;
        const char *says;
    } wrong[] = {{0, 1, "magic"},
                 {2, 13, "type: expected 0x08 (bytes), found 0x0d"},
                 {3, 0, "rank"},
                 {3, 5, "rank: expected 1 to 4, found 5"},
                 {7, 3, "expected 9 bytes by the dimensions, found 6"},
                 {7, 1, "expected 3 bytes by the dimensions, found 6"},
                 {7, 0, "dimension 0"},
                 {4, 255, "data: expected"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t copy[sizeof file];
        memcpy(copy, file, sizeof file);
        copy[wrong[i].at] = wrong[i].value;
        CHECK(cm_idx_read_memory(copy, sizeof copy, "f", &idx, &err) == CM_ERR_FORMAT, "case %zu",
              i);
        has(&err, wrong[i].says);
    }
    CHECK(cm_idx_read_memory(file, 15, "f", &idx, &err) == CM_ERR_FORMAT, "a cut header");
    has(&err, "f: dimensions: expected 3, found the end of the file");
    clean();
}

/* ---- JSON --------------------------------------------------------------- */

static void json_parsing(void)
{
    cm_error err = {0};
    json_t *j = NULL;
    put(in_dir("c.json"), "{\n  \"a\": 1,\n  \"a\": 2\n}", 23);
    CHECK(cm_json_load(in_dir("c.json"), &j, &err) == CM_ERR_FORMAT, "duplicate key accepted");
    has(&err, "c.json:3:");
    has(&err, "duplicate object key");
    CHECK(cm_json_parse("[1]", 3, "f", &j, &err) == CM_ERR_FORMAT, "an array accepted");
    CHECK(cm_json_parse("{\"\x1b[31m", 8, "f", &j, &err) == CM_ERR_FORMAT, "escape accepted");
    CHECK(!strchr(err.message, 0x1b), "a terminal escape reached the message");
    CHECK(cm_json_load(in_dir("none"), &j, &err) == CM_ERR_IO, "missing file");
    CHECK(!j, "output changed on failure");
    clean();
}

/* Where jansson has memory it says what is JSON, and what it holds. */
static void json_as_jansson(void)
{
    static const char *const texts[] = {
        "[]",
        " {\t\r\n} ",
        "[1,-0,-1,0.5,-2.5e-3,1E+2,1e5,9223372036854775807,-9223372036854775808]",
        "[9223372036854775808]",
        "[1e308,1e-400]",
        "[1e309]",
        "[01]",
        "[-]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[+1]",
        "[0x10]",
        "[1.5.5]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\x7f\"]",
        "[\"\\u0000\"]",
        "[\"\\ud83d\"]",
        "[\"\\ude00\\ud83d\"]",
        "[\"\\ud83d\\u0041\"]",
        "[\"\\ud83d\\ud83d\"]",
        "[\"\\ude00\\ude00\"]",
        "[\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff\"]",
        "[\"\\u12g4\"]",
        "[\"\\x41\"]",
        "[\"\n\"]",
        "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]",
        "[\"\xc3\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xc0\x80\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[true,false,null]",
        "[truex]",
        "[True]",
        "[nul]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\"}",
        "{a:1}",
        "{1:1}",
        "{\"\":0,\"a\":{\"a\":[{\"b\":[]}]}}",
        "{\"a\":1,\"\\u0061\":2}",
        "[1] 2",
        "[1]]",
        "{]",
        "[}",
        "\"text\"",
        "1",
        "",
        " ",
        "[",
        "{\"a",
        "{\"a\\",
        "[\"\\u",
        "[\"\\ud83d\\",
        "\xef\xbb\xbf[]",
        "[\f1]",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "['a']",
        "[1]//",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cm_error err = {0};
        json_t *j = NULL, *same = json_loads(texts[i], JSON_REJECT_DUPLICATES, NULL);
        const cm_status s = cm_json_parse_any(texts[i], strlen(texts[i]), "f", &j, &err);
        CHECK(s ? s == CM_ERR_FORMAT && !same && !j : json_equal(j, same), "%s: %s", texts[i],
              s ? err.message : "read");
        json_decref(j);
        json_decref(same);
    }
    cm_error err = {0};
    json_t *j = NULL;
    CHECK(cm_json_parse_any("[1]\0", 4, "f", &j, &err) == CM_ERR_FORMAT, "a zero byte read");
    has(&err, "f:1:4: not valid JSON: expected the end");
    CHECK(cm_json_parse_any("[\n  tru]", 8, "f", &j, &err) == CM_ERR_FORMAT, "tru read");
    has(&err, "f:2:3: not valid JSON: expected a value, found 'tru]'");
    CHECK(cm_json_parse_any("[1", 2, "f", &j, &err) == CM_ERR_FORMAT, "[1 read");
    has(&err, "f:1:3: not valid JSON: expected ',' or ']', found the end");
}

static void json_depth(void)
{
    char text[2 * 257];
    for (int levels = 256; levels <= 257; levels++) {
        cm_error err = {0};
        json_t *j = NULL;
        memset(text, '[', (size_t)levels);
        memset(text + levels, ']', (size_t)levels);
        const cm_status s = cm_json_parse_any(text, 2 * (size_t)levels, "f", &j, &err);
        CHECK(s == (levels == 256 ? CM_OK : CM_ERR_FORMAT), "%d levels: %s", levels, err.message);
        json_decref(j);
    }
}

static void json_fields(void)
{
    cm_error err = {0};
    json_t *j = NULL;
    int64_t i = 5, list[3] = {0};
    double r = 0;
    int b = 0, n = -1;
    const char *t = NULL;
    static const char text[] = "{\"heads\":\"x\",\"n\":64,\"lr\":1e-3,\"on\":true,\"name\":\"edm\","
                               "\"mult\":[1,2,3],\"nul\":null,\"bad\":[1,2.5]}";
    CHECK_OK(cm_json_parse(text, sizeof text - 1, "F", &j, &err), err);
    CHECK(cm_json_int(j, "F", "heads", 1, 1024, CM_JSON_REQUIRED, &i, &err) == CM_ERR_FORMAT, "x");
    CHECK(!strcmp(err.message, "F: \"heads\": expected an integer from 1 to 1024, found \"x\""),
          "%s", err.message);
    CHECK(cm_json_int(j, "F", "n", 1, 63, CM_JSON_OPTIONAL, &i, &err) == CM_ERR_FORMAT, "range");
    CHECK(cm_json_int(j, "F", "lr", 0, 9, CM_JSON_OPTIONAL, &i, &err) == CM_ERR_FORMAT, "real");
    CHECK(cm_json_int(j, "F", "nul", 0, 9, CM_JSON_OPTIONAL, &i, &err) == CM_ERR_FORMAT, "null");
    CHECK(cm_json_int(j, "F", "gone", 0, 9, CM_JSON_REQUIRED, &i, &err) == CM_ERR_FORMAT, "gone");
    has(&err, "\"gone\": expected an integer from 0 to 9, found nothing");
    CHECK_OK(cm_json_int(j, "F", "gone", 0, 9, CM_JSON_OPTIONAL, &i, &err), err);
    CHECK(i == 5, "a default was overwritten with %lld", (long long)i);
    CHECK_OK(cm_json_int(j, "F", "n", 1, 64, CM_JSON_REQUIRED, &i, &err), err);
    CHECK(i == 64, "n = %lld", (long long)i);
    CHECK_OK(cm_json_real(j, "F", "lr", 0, 1, CM_JSON_REQUIRED, &r, &err), err);
    CHECK_CLOSE(r, 1e-3, 1e-15);
    CHECK_OK(cm_json_real(j, "F", "n", 0, 100, CM_JSON_REQUIRED, &r, &err), err);
    CHECK_CLOSE(r, 64, 0);
    CHECK(cm_json_real(j, "F", "on", 0, 1, CM_JSON_REQUIRED, &r, &err) == CM_ERR_FORMAT, "bool");
    CHECK_OK(cm_json_bool(j, "F", "on", CM_JSON_REQUIRED, &b, &err), err);
    CHECK(b == 1, "on = %d", b);
    CHECK(cm_json_bool(j, "F", "n", CM_JSON_REQUIRED, &b, &err) == CM_ERR_FORMAT, "64 is no bool");
    CHECK_OK(cm_json_text(j, "F", "name", CM_JSON_REQUIRED, &t, &err), err);
    CHECK(t && !strcmp(t, "edm"), "name = %s", t);
    CHECK(cm_json_text(j, "F", "n", CM_JSON_REQUIRED, &t, &err) == CM_ERR_FORMAT, "64 is no text");
    CHECK_OK(cm_json_int_list(j, "F", "mult", 3, list, &n, &err), err);
    CHECK(n == 3 && list[0] == 1 && list[2] == 3, "mult has %d", n);
    CHECK(cm_json_int_list(j, "F", "mult", 2, list, &n, &err) == CM_ERR_FORMAT, "too many");
    CHECK(cm_json_int_list(j, "F", "bad", 3, list, &n, &err) == CM_ERR_FORMAT, "a real in a list");
    has(&err, "found [1,2.5]");
    CHECK_OK(cm_json_int_list(j, "F", "gone", 3, list, &n, &err), err);
    CHECK(n == 0, "an absent list has %d", n);
    static const char *const known[] = {"heads", "n", "lr", "on", "name", "mult", "nul", NULL};
    CHECK(cm_json_only(j, "F", known, &err) == CM_ERR_FORMAT, "unknown key accepted");
    has(&err, "F: \"bad\": unknown key");
    json_decref(j);
}

/* ---- npz ---------------------------------------------------------------- */

static void check_member(zip_t *zip, const char *name, const char *header, const void *data,
                         size_t bytes)
{
    uint8_t got[512] = {0};
    zip_stat_t st;
    zip_file_t *f = zip_fopen(zip, name, 0);
    if (!CHECK(f, "no member %s", name))
        return;
    const zip_int64_t n = zip_fread(f, got, sizeof got); /* reading to the end checks the CRC */
    zip_stat(zip, name, 0, &st);
    CHECK(st.comp_method == ZIP_CM_STORE, "%s is compressed", name);
    CHECK(zip_fclose(f) == 0, "%s: bad CRC", name);
    const size_t start = 10 + (size_t)got[8] + 256 * (size_t)got[9];
    CHECK(!memcmp(got, "\x93NUMPY\1\0", 8) && start % 64 == 0 && got[start - 1] == '\n' &&
              !strncmp((char *)got + 10, header, strlen(header)),
          "%s: header \"%.100s\"", name, got + 10);
    CHECK(n == (zip_int64_t)(start + bytes) && !memcmp(got + start, data, bytes),
          "%s: other elements", name);
}

static void npz_files(void)
{
    cm_error err = {0};
    static const uint8_t u[2 * 3] = {1, 2, 3, 4, 5, 250};
    static const int64_t l[2] = {-1, INT64_MAX};
    static const float f[1] = {0.5f};
    const cm_npz_array a[] = {{"arr_0", CM_NPZ_U8, 3, {1, 2, 3}, u},
                              {"labels", CM_NPZ_I64, 1, {2}, l},
                              {"scalar", CM_NPZ_F32, 0, {0}, f},
                              {"none", CM_NPZ_F32, 2, {0, 4}, NULL}};
    CHECK_OK(cm_npz_write(in_dir("a.npz"), 4, a, &err), err);
    int code = 0;
    zip_t *zip = zip_open(in_dir("a.npz"), ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (CHECK(zip, "libzip refuses it: %d", code)) {
        CHECK(zip_get_num_entries(zip, 0) == 4, "%d members", (int)zip_get_num_entries(zip, 0));
        check_member(zip, "arr_0.npy",
                     "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3), }", u, sizeof u);
        check_member(zip, "labels.npy", "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
                     l, sizeof l);
        check_member(zip, "scalar.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
                     f, sizeof f);
        check_member(zip, "none.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }",
                     "", 0);
        zip_close(zip);
    }
    /* The same arrays give the same bytes, whenever. */
    CHECK_OK(cm_npz_write(in_dir("b.npz"), 4, a, &err), err);
    void *x = NULL, *y = NULL;
    size_t nx = 0, ny = 0;
    CHECK_OK(cm_file_read(in_dir("a.npz"), 1 << 20, &x, &nx, &err), err);
    CHECK_OK(cm_file_read(in_dir("b.npz"), 1 << 20, &y, &ny, &err), err);
    CHECK(x && y && nx == ny && !memcmp(x, y, nx), "two writes differ");
    /* Times of members are fixed: 00:00:00, 1980-01-01, at offset 10 of a local header. */
    CHECK(x && !memcmp((char *)x + 10, "\x00\x00\x21\x00", 4), "a member has a time");
    cm_free(x);
    cm_free(y);
    clean();
}

static void npz_refuses(void)
{
    cm_error err = {0};
    const cm_npz_array bad[] = {{"../x", CM_NPZ_U8, 1, {1}, "a"},
                                {"", CM_NPZ_U8, 1, {1}, "a"},
                                {"a", CM_NPZ_U8, 1, {-1}, "a"},
                                {"a", CM_NPZ_I64, 2, {INT64_MAX, 2}, "a"},
                                {"a", CM_NPZ_U8, 9, {1}, "a"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(cm_npz_write(in_dir("bad"), 1, &bad[i], &err) == CM_ERR_ARGUMENT, "case %zu", i);
    const cm_npz_array twice[] = {{"a", CM_NPZ_U8, 1, {1}, "a"}, {"a", CM_NPZ_U8, 1, {1}, "a"}};
    CHECK(cm_npz_write(in_dir("bad"), 2, twice, &err) == CM_ERR_ARGUMENT, "a name twice");
    CHECK(cm_npz_write(in_dir("no/x"), 1, twice, &err) == CM_ERR_IO, "a missing folder");
    CHECK(scratch_count(0) == 0, "%d files left", scratch_count(0));
}

static const check_test tests[] = {
    {"a file is read whole or refused", file_read_refuses},
    {"a staged file appears whole", staged_writer},
    {"a failed staged file leaves nothing", staged_writer_failures},
    {"a full disk keeps the old file", disk_full},
    {"folders are made", make_dirs},
    {"gzip: members, cap, damage", gzip_files},
    {"gzip: a bomb meets its cap", gzip_bomb},
    {"idx: plain and gzip, and what is wrong", idx_files},
    {"json: place of an error", json_parsing},
    {"json: as jansson reads it", json_as_jansson},
    {"json: depth", json_depth},
    {"json: typed fields", json_fields},
    {"npz: members as numpy wants them", npz_files},
    {"npz: refusals leave nothing", npz_refuses},
};

SCRATCH_MAIN(tests)
