/* test_readers.c - hostile files.  Every reader gets a small valid file cut at
 * every length, with every byte changed in many ways, and with seeded random
 * damage; then a table of malformed safetensors headers, one defect each, with
 * the verdict expected.
 *
 * This program is always built with the address and undefined-behaviour
 * sanitizers, so "no crash" also means no byte out of bounds, no overflow and no
 * leak.  A single allocation above 64 MB counts as a failure too: no file here is
 * larger than a few kilobytes. */
#include "scratch.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/utf8.h"
#include "io/file.h"
#include "io/idx.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/weights_file.h"
#include "malformed_safetensors.h"
#include "png_checksums.h"

#include <fcntl.h>
#include <zlib.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=64";
}

enum { MAX_FILE = 16384, RANDOM_CASES = 3000 };

/* What a reader made of some bytes: a status, and when CM_OK a digest of
 * everything it gave out. */
typedef cm_status (*feed_fn)(const uint8_t *bytes, size_t n, uint64_t *digest);

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) /* FNV-1a */
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

/* An error is one line of UTF-8 without control characters and changes of direction. */
static void check_message(const cm_error *err)
{
    CHECK(strlen(err->message) > 8, "message too short: \"%s\"", err->message);
    for (const char *p = err->message; *p;) {
        uint32_t code = 0;
        const int n = cm_utf8_next(p, &code);
        if (!CHECK(n && cm_is_shown(code), "byte %02x in a message", (unsigned char)*p))
            return;
        p += n;
    }
}

/* ---- the readers -------------------------------------------------------- */

/* Everything of an open file, closed at the end. */
static uint64_t digest_safetensors(cm_st_file *f, size_t n)
{
    cm_error err = {0};
    uint64_t sum = 0;
    for (int i = 0; i < cm_st_count(f); i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        const size_t count = (size_t)cm_st_elements(t);
        CHECK(t->bytes <= n && count <= 2 * n, "tensor larger than its file");
        void *raw = cm_alloc(t->bytes);
        double *x = cm_alloc_array(count, sizeof *x);
        CHECK_OK(cm_st_read(f, t, raw, &err), err);
        cm_st_read_f64(f, t, x, &err);
        cm_st_read_f32(f, t, (float *)x, &err);
        cm_st_read_i64(f, t, (int64_t *)x, &err);
        CHECK(cm_st_find(f, t->name) == t, "a name finds another tensor");
        sum = mix(mix(sum, raw, t->bytes), t->name, strlen(t->name));
        cm_free(raw);
        cm_free(x);
    }
    const char *k, *v;
    for (int i = 0; !cm_st_metadata_at(f, i, &k, &v); i++)
        sum = mix(mix(sum, k, strlen(k)), v, strlen(v));
    cm_st_close(f);
    return sum;
}

/* From a file and from memory: the same verdict, the same content. */
static cm_status feed_safetensors(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    static int fd = -1; /* one file, rewritten: creating thousands would be slow */
    cm_error err = {0}, memory_err = {0};
    cm_st_file *f = NULL, *m = NULL;
    if (fd < 0)
        fd = open(in_dir("fed"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n)
        return CHECK(0, "cannot write"), CM_ERR_IO;
    const cm_status s = cm_st_open(in_dir("fed"), &f, &err);
    const cm_status from_memory = cm_st_open_memory(bytes, n, in_dir("fed"), &m, &memory_err);
    CHECK(s == from_memory && !strcmp(err.message, memory_err.message), "from memory: %s, not %s",
          memory_err.message, err.message);
    if (s) {
        check_message(&err);
        return s;
    }
    *digest = digest_safetensors(f, n);
    CHECK(digest_safetensors(m, n) == *digest, "from memory: other content");
    return CM_OK;
}

/* A checkpoint of PyTorch's; damage that only its checksums know is found when it is read. */
static cm_status feed_torch(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    cm_status s = cm_weights_open_memory(bytes, n, "fed.pt", &f, NULL, &err);
    *digest = 0;
    for (int i = 0; !s && i < cm_st_count(f); i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        void *raw = cm_alloc(t->bytes + 1);
        CHECK(t->bytes <= n, "tensor larger than its file");
        if (!(s = cm_st_read(f, t, raw, &err)))
            *digest = mix(mix(*digest, raw, t->bytes), t->name, strlen(t->name));
        cm_free(raw);
    }
    cm_st_close(f);
    if (s)
        check_message(&err);
    return s;
}

static cm_status feed_image(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    static const uint8_t background[] = {200, 100, 50};
    cm_error err = {0};
    cm_image im;
    const cm_status s = cm_image_decode(bytes, n, "fed", background, &im, &err);
    if (s) {
        check_message(&err);
        return s;
    }
    *digest = mix((uint64_t)(im.w << 16 | im.h << 4 | im.c), im.pixels,
                  (size_t)im.w * (size_t)im.h * (size_t)im.c);
    cm_image_clear(&im);
    return CM_OK;
}

/* With the checksum of every chunk set right, so that damage gets past them. */
static cm_status feed_png_repaired(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    uint8_t copy[MAX_FILE];
    memcpy(copy, bytes, n);
    repair_png(copy, n);
    return feed_image(copy, n, digest);
}

static cm_status feed_idx(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    cm_error err = {0};
    cm_idx idx;
    const cm_status s = cm_idx_read_memory(bytes, n, "fed.idx", &idx, &err);
    if (s) {
        check_message(&err);
        return s;
    }
    size_t product = 1;
    for (int i = 0; i < CM_IDX_MAX_RANK; i++)
        product *= (size_t)idx.dim[i];
    *digest = mix(mix(0, idx.dim, sizeof idx.dim), idx.data, product);
    cm_idx_free(&idx);
    return CM_OK;
}

/* jansson's own reader says the same, but that it reads over a zero byte behind a number. */
static void check_jansson(const uint8_t *bytes, size_t n, cm_status s, const json_t *j,
                          const cm_error *err)
{
    json_t *same = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    CHECK(s ? !json_is_object(same) || memchr(bytes, 0, n) : json_equal(j, same),
          "%.*s: %s, jansson says otherwise", (int)n, (const char *)bytes,
          s ? err->message : "read");
    json_decref(same);
}

static cm_status feed_json(const uint8_t *bytes, size_t n, uint64_t *digest)
{
    cm_error err = {0};
    json_t *j = NULL;
    int64_t i = 0, list[4];
    double r = 0;
    int b = 0, count = 0;
    const char *t = "";
    const cm_status s = cm_json_parse(bytes, n, "fed.json", &j, &err);
    check_jansson(bytes, n, s, j, &err);
    if (s) {
        check_message(&err);
        return s;
    }
    if (cm_json_int(j, "f", "heads", 1, 64, CM_JSON_REQUIRED, &i, &err))
        check_message(&err);
    if (cm_json_real(j, "f", "lr", 0, 1, CM_JSON_REQUIRED, &r, &err))
        check_message(&err);
    if (cm_json_bool(j, "f", "on", CM_JSON_REQUIRED, &b, &err))
        check_message(&err);
    if (cm_json_text(j, "f", "name", CM_JSON_REQUIRED, &t, &err))
        check_message(&err);
    if (cm_json_int_list(j, "f", "mult", 4, list, &count, &err))
        check_message(&err);
    static const char *const known[] = {"heads", "lr", "on", "name", "mult", NULL};
    if (cm_json_only(j, "f", known, &err))
        check_message(&err);
    *digest = mix((uint64_t)i, t, strlen(t));
    json_decref(j);
    return CM_OK;
}

/* ---- damage ------------------------------------------------------------- */

typedef struct target {
    const char *name;
    feed_fn feed;
    int checksummed; /* what is accepted after damage must read the same */
    uint8_t bytes[MAX_FILE];
    size_t n;
} target;

static void feed_exact(const target *t, const uint8_t *bytes, size_t n, uint64_t whole,
                       const char *what, size_t where)
{
    uint64_t digest = 0;
    uint8_t *copy =
        malloc(n ? n : 1); /* of exactly this size, so that the sanitizer sees its end */
    memcpy(copy, bytes, n);
    const cm_status s = t->feed(copy, n, &digest);
    free(copy);
    CHECK(s == CM_OK || s == CM_ERR_FORMAT, "%s: %s %zu: %s", t->name, what, where,
          cm_status_name(s));
    if (t->checksummed && s == CM_OK)
        CHECK(digest == whole, "%s: %s %zu: accepted with other content", t->name, what, where);
}

static void damage(target *t)
{
    static const uint8_t values[] = {0, 0xff, ' ', '"', '\\', '{', '}', '[', ']', ',', '-', '9'};
    uint64_t whole = 0, digest = 0;
    uint8_t *b = t->bytes, copy[MAX_FILE];
    CHECK(t->feed(b, t->n, &whole) == CM_OK, "%s: the valid file is refused", t->name);
    for (size_t n = 0; n < t->n; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, b, n);
        CHECK(t->feed(cut, n, &digest) != CM_OK, "%s: accepted %zu of %zu bytes", t->name, n, t->n);
        free(cut);
    }
    for (size_t i = 0; i < t->n; i++) {
        const uint8_t old = b[i];
        for (int bit = 0; bit < 8; bit++) {
            b[i] = (uint8_t)(old ^ 1u << bit);
            feed_exact(t, b, t->n, whole, "bit flipped in byte", i);
        }
        for (size_t v = 0; v < sizeof values; v++) {
            b[i] = values[v];
            feed_exact(t, b, t->n, whole, "value put in byte", i);
        }
        b[i] = (uint8_t)~old;
        feed_exact(t, b, t->n, whole, "byte inverted", i);
        b[i] = old;
    }
    /* Random: a few bytes changed, or a run of bytes copied elsewhere, or removed. */
    for (uint32_t k = 0; k < RANDOM_CASES; k++) {
        const cm_philox_block r = cm_philox(1, k, 0, 0, 0);
        size_t n = t->n;
        memcpy(copy, b, n);
        const size_t from = r.v[0] % n, to = r.v[1] % n, longer = from > to ? from : to;
        const size_t run = r.v[2] % (n - longer) % 32 + (n - longer > 32);
        if (k % 3 == 0) {
            memmove(copy + to, copy + from, run);
        } else if (k % 3 == 1) {
            memmove(copy + from, copy + from + run, n - from - run);
            n -= run;
        } else {
            copy[from] = (uint8_t)r.v[2];
            copy[to] = (uint8_t)r.v[3];
        }
        feed_exact(t, copy, n, whole, "random case", k);
    }
}

static size_t load(const char *path, uint8_t *bytes)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 0;
    if (CHECK_OK(cm_file_read(path, MAX_FILE, &data, &n, &err), err))
        memcpy(bytes, data, n);
    cm_free(data);
    return n;
}

static void damaged_safetensors(void)
{
    static target t = {.name = "safetensors", .feed = feed_safetensors};
    static const float x[] = {1, 2, 3};
    static const uint8_t u[] = {1, 2};
    static const uint16_t h[] = {0x3c00};
    const cm_st_entry e[] = {{"a", CM_ST_F32, 2, {1, 3}, x},
                             {"\xc3\xa9", CM_ST_U8, 1, {2}, u},
                             {"h", CM_ST_F16, 0, {0}, h},
                             {"z", CM_ST_I64, 2, {0, 7}, NULL}};
    const char *k[] = {"config"}, *v[] = {"{\"a\":[1,\"\\\\\"]}"};
    cm_error err = {0};
    CHECK_OK(cm_st_write(in_dir("v"), 4, e, 1, k, v, &err), err);
    t.n = load(in_dir("v"), t.bytes);
    damage(&t);
}

static void damaged_torch(void)
{
    static target t = {.feed = feed_torch};
    static const char *const files[] = {"one-tensor.pt", "t_legacy.pt"};
    for (int i = 0; i < 2; i++) {
        char path[256];
        t.name = files[i];
        t.checksummed = i == 0;
        snprintf(path, sizeof path, "tests/fuzz/corpus/torch/%s", files[i]);
        t.n = load(path, t.bytes);
        damage(&t);
    }
}

static void damaged_png(void)
{
    static target t = {.name = "png", .feed = feed_image, .checksummed = 1}, repaired;
    static const char *const k[] = {"seed", "t"}, *const v[] = {"1", "\xc3\xa9"};
    uint8_t pixels[5 * 4 * 3];
    cm_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i);
    for (int c = 1; c <= 3; c += 2) {
        CHECK_OK(cm_png_write(in_dir("v"), 5, 4, c, pixels, &(cm_png_text){2, k, v}, &err), err);
        t.n = load(in_dir("v"), t.bytes);
        damage(&t);
        repaired = t;
        repaired.feed = feed_png_repaired;
        repaired.checksummed = 0;
        damage(&repaired);
    }
}

/* A JPEG and a WebP of a smooth picture, in grey and in colour. */
static void damaged_photos(void)
{
    static target t = {.feed = feed_image};
    static const char *const formats[] = {"jpeg", "webp"};
    uint8_t pixels[16 * 12 * 3], *bytes;
    cm_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i / 3 % 16 * 9 + i % 3 * 40 + i / 48 * 5);
    for (int f = 0; f < 2; f++)
        for (int c = 1; c <= 3; c += 2) {
            t.name = formats[f];
            if (!CHECK_OK(cm_image_encode(&(cm_encoding){formats[f], 70, NULL}, 16, 12, c, pixels,
                                          &bytes, &t.n, &err),
                          err))
                return;
            memcpy(t.bytes, bytes, t.n);
            cm_free(bytes);
            damage(&t);
        }
}

/* Files of other programs: progressive, CMYK, EXIF, lossless, with alpha. */
static void damaged_corpus(void)
{
    static target t = {.feed = feed_image};
    static const char *const files[] = {"progressive.jpg", "cmyk.jpg", "exif6.jpg", "alpha.webp",
                                        "lossless.webp"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        t.name = files[i];
        snprintf(path, sizeof path, "tests/fuzz/corpus/image/%s", files[i]);
        t.n = load(path, t.bytes);
        damage(&t);
    }
}

static const uint8_t idx_file[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0,
                                   0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2};

static void damaged_idx(void)
{
    static target t = {.name = "idx", .feed = feed_idx};
    t.n = sizeof idx_file;
    memcpy(t.bytes, idx_file, t.n);
    damage(&t);
}

static void damaged_idx_gz(void)
{
    static target t = {.name = "idx.gz", .feed = feed_idx, .checksummed = 1};
    gzFile g = gzopen(in_dir("v"), "wb");
    CHECK(gzwrite(g, idx_file, sizeof idx_file) == sizeof idx_file, "gzwrite");
    gzclose(g);
    t.n = load(in_dir("v"), t.bytes);
    damage(&t);
}

static void damaged_json(void)
{
    static target t = {.name = "json", .feed = feed_json};
    static const char text[] =
        "{\"heads\": 4, \"lr\": 1e-3, \"on\": true,\n \"name\": "
        "\"e\\u00e9\\ud83d\\ude00\\n\xc3\xa9\xf0\x9f\x98\x80\", \"mult\": [1, 2, -3], "
        "\"more\": {\"\": [], \"no\": null, \"x\": [0.5E+2, false, {}]}}";
    t.n = sizeof text - 1;
    memcpy(t.bytes, text, t.n);
    damage(&t);
}

/* ---- malformed safetensors headers -------------------------------------- */

static void malformed_headers(void)
{
    static uint8_t file[MAX_FILE];
    int refused = 0;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const malformed_case *c = &malformed[i];
        const uint64_t n = c->length ? c->length : c->header_bytes;
        uint64_t digest;
        memset(file, 0, sizeof file);
        for (int b = 0; b < 8; b++)
            file[b] = (uint8_t)(n >> 8 * b);
        memcpy(file + 8, c->header, c->header_bytes);
        const cm_status s = feed_safetensors(file, 8 + c->header_bytes + c->data_bytes, &digest);
        CHECK(s == c->verdict, "%s: expected \"%s\", found \"%s\"", c->what,
              cm_status_name(c->verdict), cm_status_name(s));
        refused += c->verdict != CM_OK;
    }
    CHECK(refused >= 40, "only %d malformed headers", refused);
}

/* Headers too long for the table: nesting, names, many entries. */
static void large_headers(void)
{
    static uint8_t file[8 + 500000];
    uint64_t digest;
    struct {
        const char *what, *unit, *end;
        int units;
        cm_status verdict;
    } cases[] = {
        {"deep lists", "[", "", 100000, CM_ERR_FORMAT},
        {"deep objects", "{\"a\":", "", 50000, CM_ERR_FORMAT},
        {"padding", " ", "{}", 1000, CM_OK},
        {"long text", "x", "", 300000, CM_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 8;
        for (int k = 0; k < cases[i].units; k++, n += strlen(cases[i].unit))
            memcpy(file + n, cases[i].unit, strlen(cases[i].unit));
        memcpy(file + n, cases[i].end, strlen(cases[i].end));
        n += strlen(cases[i].end);
        for (int b = 0; b < 8; b++)
            file[b] = (uint8_t)((uint64_t)(n - 8) >> 8 * b);
        CHECK(feed_safetensors(file, n, &digest) == cases[i].verdict, "%s", cases[i].what);
    }
    static const int counts[] = {3000, 5000};
    for (size_t i = 0; i < 2; i++) { /* many tensors; and a byte too few for the last */
        char *text = (char *)file + 8;
        int n = sprintf(text, "{");
        for (int k = 0; k < counts[i]; k++)
            n += sprintf(text + n,
                         "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                         k ? "," : "", k, k, k + 1);
        n += sprintf(text + n, "}");
        for (int b = 0; b < 8; b++)
            file[b] = (uint8_t)((uint64_t)n >> 8 * b);
        const size_t size = 8 + (size_t)n + (size_t)counts[i];
        CHECK(feed_safetensors(file, size, &digest) == CM_OK, "%d tensors", counts[i]);
        CHECK(feed_safetensors(file, size - 1, &digest) == CM_ERR_FORMAT, "%d, cut", counts[i]);
    }
    for (size_t length = 4095; length <= 4097; length++) { /* the longest name is 4096 bytes */
        char *text = (char *)file + 8;
        size_t n = (size_t)sprintf(text, "{\"");
        memset(text + n, 'n', length);
        n += length;
        n +=
            (size_t)sprintf(text + n, "\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}");
        for (int b = 0; b < 8; b++)
            file[b] = (uint8_t)((uint64_t)n >> 8 * b);
        CHECK(feed_safetensors(file, 8 + n + 1, &digest) == (length > 4096 ? CM_ERR_FORMAT : CM_OK),
              "a name of %zu bytes", length);
    }
}

static const check_test tests[] = {
    {"safetensors: cut, changed, shuffled", damaged_safetensors},
    {"PyTorch's: cut, changed, shuffled", damaged_torch},
    {"png: cut, changed, shuffled", damaged_png},
    {"jpeg and webp: cut, changed, shuffled", damaged_photos},
    {"images of other programs: cut, changed, shuffled", damaged_corpus},
    {"idx: cut, changed, shuffled", damaged_idx},
    {"idx.gz: cut, changed, shuffled", damaged_idx_gz},
    {"json: cut, changed, shuffled", damaged_json},
    {"safetensors: malformed headers", malformed_headers},
    {"safetensors: large headers", large_headers},
};

SCRATCH_MAIN(tests)
