/* fuzz_npz.c - libFuzzer's target for .npz files: arrays, saved statistics, images.  Bytes that
 * begin like an archive are taken as they are; others are .npy files, one behind the other, which
 * are put into an archive by the names below with right checksums, so that damage comes to what
 * reads their headers.  What opens is read, at once and in parts.  ./run fuzz npz
 *
 * The corpus is by NumPy 2.4: savez and savez_compressed of small arrays (*.npz), and np.save of
 * such, joined in the order of the names (all.npy; others are all.npy with what their names say);
 * type-*.npy are other types, shapes and orders, and version*.npy other versions of the header, by
 * numpy.lib.format.write_array. */
#define _GNU_SOURCE /* memmem */
#include "fed_file.h"
#include "torch_maker.h"

#include "base/memory.h"
#include "eval/image_source.h"
#include "eval/statistics_file.h"
#include "io/npz_read.h"

static const char *const names[] = {"arr_0", "arr_1",    "mu",   "sigma",
                                    "n",     "features", "mu_s", "sigma_s"};
enum { NAMES = sizeof names / sizeof *names, D = 3, SPATIAL = 2 };

/* A refusal of the file itself, and in its words. */
static void require_refused(cm_status s, const cm_error *err, const char *path)
{
    const size_t n = strlen(path);
    require(s == CM_ERR_FORMAT);
    require(err->status == s && !strncmp(err->message, path, n) && err->message[n] == ':');
}

/* ---- arrays ----------------------------------------------------------------------- */

typedef struct type {
    const char *letters; /* of descr */
    int bytes;           /* of an element in memory */
    cm_status (*read)(cm_npz_member *m, int64_t n, void *values, cm_error *err);
} type;

static cm_status read_u8(cm_npz_member *m, int64_t n, void *values, cm_error *err)
{
    return cm_npz_read_u8(m, n, values, err);
}

static cm_status read_f64(cm_npz_member *m, int64_t n, void *values, cm_error *err)
{
    return cm_npz_read_f64(m, n, values, err);
}

static cm_status read_i64(cm_npz_member *m, int64_t n, void *values, cm_error *err)
{
    return cm_npz_read_i64(m, n, values, err);
}

static const type types[] = {{"u", 1, read_u8}, {"f", 8, read_f64}, {"iu", 8, read_i64}};
enum { TYPES = sizeof types / sizeof *types };

/* The first n elements, `part` at a time, in a block that ends where they do; NULL: damaged. */
static char *read_parts(const cm_npz *npz, const char *name, const type *t, int64_t n, int64_t part)
{
    cm_error err = {0};
    cm_npz_member m;
    cm_status s = cm_npz_find(npz, name, &m, &err);
    require(!s && m.stream);
    char *values = malloc((size_t)(n ? n : 1) * (size_t)t->bytes);
    require(values != NULL);
    for (int64_t at = 0; at < n && !s; at += part)
        s = t->read(&m, n - at < part ? n - at : part, values + at * t->bytes, &err);
    if (s) {
        require_refused(s, &err, m.path); /* a CRC, or what does not inflate */
        free(values);
        values = NULL;
    }
    cm_npz_member_close(&m);
    return values;
}

static void read_array(const cm_npz *npz, const char *name, cm_npz_member *m)
{
    enum { MOST = 1 << 14 };
    const int64_t n = m->elements < MOST ? m->elements : MOST;
    cm_error err = {0};
    char text[128];
    int64_t product = 1;
    double wide;
    require(m->rank >= 0 && m->rank <= CM_NPZ_MAX_RANK && strlen(m->descr) < sizeof m->descr);
    for (int i = 0; i < m->rank; i++) /* no overflow: their bytes were counted */
        product = product && m->dim[i] > INT64_MAX / product ? -1 : product * m->dim[i];
    require(product == m->elements);
    require(strlen(cm_npz_describe(m, text)) < sizeof text);
    for (int i = 0; i < TYPES; i++) {
        if (!strchr(types[i].letters, m->descr[1])) {
            require(types[i].read(m, 0, &wide, &err) == CM_ERR_FORMAT);
            continue;
        }
        char *whole = read_parts(npz, name, &types[i], n, MOST);
        char *parts = read_parts(npz, name, &types[i], n, n / 3 + 1);
        require(!whole == !parts);
        if (whole)
            require(!memcmp(whole, parts, (size_t)n * (size_t)types[i].bytes));
        free(whole);
        free(parts);
    }
}

static void read_arrays(const char *path)
{
    cm_error err = {0};
    cm_npz *npz = NULL;
    char text[64];
    const cm_status s = cm_npz_open(path, &npz, &err);
    if (s) {
        require_refused(s, &err, path);
        return;
    }
    require(strlen(cm_npz_names(npz, text, sizeof text)) < sizeof text);
    for (int i = 0; i < NAMES; i++) {
        cm_npz_member m;
        const cm_status found = cm_npz_find(npz, names[i], &m, &err);
        if (found)
            require_refused(found, &err, path);
        else if (m.stream)
            read_array(npz, names[i], &m);
        cm_npz_member_close(&m);
    }
    cm_npz_close(npz);
}

/* ---- what is made of them --------------------------------------------------------- */

static void require_statistics(const cm_statistics *s, int64_t d)
{
    require(s->d == d && s->n >= 0);
    for (int64_t i = 0; i < d; i++) {
        require(isfinite(s->mean[i]));
        for (int64_t j = 0; j < d; j++)
            require(isfinite(s->covariance[i * d + j]) &&
                    s->covariance[i * d + j] == s->covariance[j * d + i]);
    }
}

static void read_statistics(const char *path)
{
    cm_error err = {0};
    cm_saved_statistics saved;
    int found;
    const cm_status s = cm_statistics_read(path, "inception", D, SPATIAL, &found, &saved, &err);
    if (s)
        require_refused(s, &err, path);
    else if (found)
        require_statistics(&saved.features, D);
    if (!s && saved.spatial.d)
        require_statistics(&saved.spatial, SPATIAL);
    cm_saved_statistics_clear(&saved);
}

static void read_images(const char *path)
{
    enum { MOST = 1 << 16 };
    cm_error err = {0};
    cm_image_source from = {0};
    int64_t labels[3];
    cm_status s = cm_npz_is(path) ? cm_image_source_open(path, NULL, 1, &from, &err) : CM_OK;
    const int64_t bytes = (int64_t)from.h * from.w * from.c, n = from.n < 3 ? from.n : 3;
    require(s || !from.n || (bytes > 0 && (from.c == 1 || from.c == 3)));
    if (!s && n && bytes <= MOST) {
        uint8_t *pixels = malloc((size_t)(n * bytes));
        require(pixels != NULL);
        s = cm_image_source_next(&from, n, pixels, labels, &err);
        if (!s)
            s = cm_image_source_pick(&from, 0, pixels, &err);
        free(pixels);
    }
    if (s)
        require_refused(s, &err, path);
    cm_image_source_close(&from);
}

/* ---- bytes ------------------------------------------------------------------------- */

static void feed(const void *bytes, size_t n)
{
    const char *path = fed_file(bytes, n);
    read_arrays(path);
    read_statistics(path);
    read_images(path);
}

/* Cut before each of numpy's first bytes; the k-th piece is the array of name k. */
static void feed_wrapped(const uint8_t *bytes, size_t n)
{
    static const char magic[] = "\x93NUMPY";
    static zip_maker z;
    char *archive = NULL, name[32];
    size_t size = 0;
    z = (zip_maker){.f = open_memstream(&archive, &size)};
    for (int k = 0; k < NAMES && n; k++) {
        const uint8_t *next = memmem(bytes + 1, n - 1, magic, sizeof magic - 1);
        const size_t length = next && k < NAMES - 1 ? (size_t)(next - bytes) : n;
        snprintf(name, sizeof name, "%s.npy", names[k]);
        zip_maker_add(&z, name, bytes, (uint32_t)length);
        bytes += length;
        n -= length;
    }
    zip_maker_end(&z);
    fclose(z.f);
    feed(archive, size);
    free(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n >= 4 && !memcmp(bytes, "PK", 2))
        feed(bytes, n);
    else
        feed_wrapped(bytes, n);
    return 0;
}
