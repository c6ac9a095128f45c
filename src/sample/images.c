/* images.c - generated images in memory and to files: a grid, an npz archive, a folder */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/image.h"
#include "io/npz.h"
#include "io/png.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GAP = 2, BACKGROUND = 255, QUALITY = 92 };

/* 0: more than there can be, or none. */
static size_t count_of(int64_t n, int h, int w, int c)
{
    size_t count = (size_t)n;
    if (__builtin_mul_overflow(count, (size_t)h, &count) ||
        __builtin_mul_overflow(count, (size_t)w, &count) ||
        __builtin_mul_overflow(count, (size_t)c, &count))
        return 0;
    return count;
}

cm_images *cm_images_new(int64_t n, int h, int w, int c, int with_values)
{
    const size_t count = count_of(n, h, w, c);
    cm_images *images = count ? cm_alloc(sizeof *images) : NULL;
    if (!images)
        return NULL;
    *images = (cm_images){.size = sizeof *images, .n = n, .h = h, .w = w, .c = c};
    images->pixels = cm_alloc(count);
    images->labels = cm_alloc_array((size_t)n, sizeof *images->labels);
    if (with_values)
        images->values = cm_alloc_array(count, sizeof *images->values);
    if (images->pixels && images->labels && (images->values || !with_values))
        return images;
    cm_images_release(images);
    return NULL;
}

int cm_images_fit(const cm_images *m, int64_t n, int h, int w, int c, int with_values)
{
    return m && m->n == n && m->h == h && m->w == w && m->c == c && m->pixels && m->labels &&
           !m->values == !with_values;
}

void cm_images_release(cm_images *images)
{
    if (!images)
        return;
    cm_free(images->pixels);
    cm_free(images->values);
    cm_free(images->labels);
    cm_free(images);
}

/* ---- files ---- */

/* Images beside and below each other, with borders; freed with cm_free. */
typedef struct grid {
    int w, h;
    uint8_t *pixels;
} grid;

static cm_status make_grid(const cm_images *m, const char *name, int columns, grid *g,
                           cm_error *err)
{
    const int64_t cols = columns > 0 ? columns : (int64_t)ceil(sqrt((double)m->n));
    const int64_t rows = (m->n + cols - 1) / cols;
    const int64_t w = cols * (m->w + GAP) + GAP, h = rows * (m->h + GAP) + GAP;
    if (w > 65535 || h > 65535)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: %lld images do not fit a grid (write a folder or an .npz)", name,
                       (long long)m->n);
    uint8_t *pixels = cm_alloc((size_t)(w * h * m->c));
    if (!pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
    memset(pixels, BACKGROUND, (size_t)(w * h * m->c));
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t y = 0; y < m->h; y++)
            memcpy(pixels + (((i / cols) * (m->h + GAP) + GAP + y) * w + (i % cols) * (m->w + GAP) +
                             GAP) *
                                m->c,
                   m->pixels + (i * m->h + y) * m->w * m->c, (size_t)m->w * (size_t)m->c);
    *g = (grid){(int)w, (int)h, pixels};
    return CM_OK;
}

/* The file of a grid, in memory. */
static cm_status encode_grid(const cm_images *m, const char *format, const char *name, int columns,
                             uint8_t **bytes, size_t *size, cm_error *err)
{
    grid g;
    cm_status s = make_grid(m, name, columns, &g, err);
    if (s)
        return s;
    s = cm_image_encode(format, g.w, g.h, m->c, g.pixels, QUALITY, bytes, size, err);
    cm_free(g.pixels);
    return s;
}

static cm_status write_grid(const cm_images *m, const char *format, const char *path, int columns,
                            cm_error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    cm_status s = encode_grid(m, format, path, columns, &bytes, &size, err);
    if (!s)
        s = cm_file_save(path, bytes, size, err);
    cm_free(bytes);
    return s;
}

static cm_status write_npz(const cm_images *m, const char *path, cm_error *err)
{
    const cm_npz_array arrays[] = {
        {"arr_0", CM_NPZ_U8, 4, {m->n, m->h, m->w, m->c}, m->pixels},
        {"arr_1", CM_NPZ_I64, 1, {m->n}, m->labels},
    };
    return cm_npz_write(path, 2, arrays, err);
}

static cm_status write_folder(const cm_images *m, const char *path, cm_error *err)
{
    char file[4096];
    cm_status s = cm_make_dirs(path, err);
    for (int64_t i = 0; i < m->n && !s; i++) {
        int n = snprintf(file, sizeof file, "%s/%06lld", path, (long long)(m->first + i));
        if (m->labels[i] >= 0 && n > 0 && (size_t)n < sizeof file)
            n += snprintf(file + n, sizeof file - (size_t)n, "_class%lld", (long long)m->labels[i]);
        if (n > 0 && (size_t)n < sizeof file)
            n += snprintf(file + n, sizeof file - (size_t)n, ".png");
        if (n < 0 || (size_t)n >= sizeof file)
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: the path is too long", path);
        s = cm_png_write(file, m->w, m->h, m->c, m->pixels + i * m->h * m->w * m->c, 0, NULL, NULL,
                         err);
    }
    return s;
}

/* ---- kinds of output --------------------------------------------------------- */

/* Known by the end of the name, in any case; anything else is a folder. */
static const struct kind {
    const char *suffix;
    const char *format; /* of the grid; NULL: arrays, of any number of channels */
} kinds[] = {
    {".png", "png"}, {".jpg", "jpeg"}, {".jpeg", "jpeg"}, {".webp", "webp"}, {".npz", NULL}};
#define KINDS ".png, .jpg, .webp or .npz"

static const struct kind *find_kind(const char *path)
{
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t k = strlen(kinds[i].suffix);
        if (n > k && !strcasecmp(path + n - k, kinds[i].suffix))
            return &kinds[i];
    }
    return NULL;
}

/* "png", "jpg": a suffix without its dot, in any case. */
static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcasecmp(name, kinds[i].suffix + 1))
            return &kinds[i];
    return NULL;
}

cm_status cm_images_save(const cm_images *m, const char *path, int columns, cm_error *err)
{
    const struct kind *kind = find_kind(path);
    if (kind && !kind->format)
        return write_npz(m, path, err);
    if (m->c != 1 && m->c != 3)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: pictures have 1 or 3 channels, these %d (write an .npz)", path, m->c);
    return kind ? write_grid(m, kind->format, path, columns, err) : write_folder(m, path, err);
}

/* ---- before the work --------------------------------------------------------- */

/* The number of "000012.png" or "000012_class3.png", else -1. */
static int64_t number_of(const char *name)
{
    char *end;
    const size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, ".png") != 0 || *name < '0' || *name > '9')
        return -1;
    const long long number = strtoll(name, &end, 10);
    return *end == '.' || !strncmp(end, "_class", 6) ? number : -1;
}

/* The number after the last sample of a folder. */
static int64_t next_number(const char *path)
{
    int64_t next = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        const int64_t number = number_of(e->d_name);
        next = number >= next ? number + 1 : next;
    }
    if (d)
        closedir(d);
    return next;
}

/* The folder that path is in, or, where folders are made, the nearest that is there. */
static cm_status check_parent(const char *path, int makes_folders, cm_error *err)
{
    char parent[4096];
    struct stat st;
    if (strlen(path) >= sizeof parent)
        return cm_fail(err, CM_ERR_ARGUMENT, "%.100s...: the path is too long", path);
    strcpy(parent, path);
    for (;;) {
        size_t n = strlen(parent);
        while (n > 1 && parent[n - 1] == '/')
            n--;
        while (n > 0 && parent[n - 1] != '/')
            n--;
        while (n > 1 && parent[n - 1] == '/')
            n--;
        strcpy(parent + n, n ? "" : "."); /* "a/b/" to "a", "a" to "." */
        if (!stat(parent, &st) || !makes_folders || !strcmp(parent, "."))
            break;
    }
    if (stat(parent, &st))
        return cm_fail(err, CM_ERR_IO, "%s: %s: %s", path, parent, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return cm_fail(err, CM_ERR_IO, "%s: %s is not a folder", path, parent);
    if (access(parent, W_OK))
        return cm_fail(err, CM_ERR_IO, "%s: %s: %s", path, parent, strerror(errno));
    return CM_OK;
}

/* "x.jpg" as a folder is a mistake, unless it is one already. */
static cm_status check_suffix(const char *path, cm_error *err)
{
    const char *name = strrchr(path, '/'), *dot = strrchr(name ? name + 1 : path, '.');
    if (!dot || dot == path || dot[-1] == '/' || !isalpha((unsigned char)dot[1]) || strlen(dot) > 6)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected a name that ends in " KINDS ", or a folder; found '%s'", path,
                   dot);
}

cm_status cm_images_check(const char *path, int64_t *next, cm_error *err)
{
    struct stat st;
    const struct kind *kind = find_kind(path);
    const int is_there = !stat(path, &st), is_folder = is_there && S_ISDIR(st.st_mode);
    cm_status s = CM_OK;
    if (kind && is_folder)
        return cm_fail(err, CM_ERR_IO, "%s: is a folder", path);
    if (!kind && is_there && !is_folder)
        return cm_fail(err, CM_ERR_IO, "%s: is not a folder, and its name does not end in " KINDS,
                       path);
    if (!kind && !is_there)
        s = check_suffix(path, err);
    if (!s && !is_folder)
        s = check_parent(path, !kind, err);
    if (!s && kind)
        s = cm_file_check(path, err);
    if (!s)
        *next = kind ? -1 : next_number(path);
    return s;
}

/* ---- memory ---- */

cm_status cm_images_to_memory(const cm_images *m, const char *kind, int columns, void **bytes,
                              size_t *size, cm_error *err)
{
    uint8_t *made = NULL;
    char found[128];
    const struct kind *k = kind_named(kind);
    if (!k || !k->format)
        return cm_fail(err, CM_ERR_ARGUMENT, "kind: expected png, jpeg or webp, found '%s'",
                       cm_escape(found, sizeof found, kind));
    if (m->c != 1 && m->c != 3)
        return cm_fail(err, CM_ERR_UNSUPPORTED, "pictures have 1 or 3 channels, these %d", m->c);
    if (columns < 0 && m->n != 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "columns: expected 0 or more for %lld images, found %d", (long long)m->n,
                       columns);
    const cm_status s = columns < 0 ? cm_image_encode(k->format, m->w, m->h, m->c, m->pixels,
                                                      QUALITY, &made, size, err)
                                    : encode_grid(m, k->format, "grid", columns, &made, size, err);
    if (!s)
        *bytes = made;
    return s;
}

cm_status cm_images_from_memory(const void *bytes, size_t size, const char *name,
                                cm_images **images, cm_error *err)
{
    static const uint8_t white[] = {255, 255, 255};
    cm_image im = {0};
    cm_status s = cm_image_decode(bytes, size, name, white, &im, err);
    if (s)
        return s;
    cm_images *out = cm_images_new(1, im.h, im.w, im.c, 0);
    if (out) {
        cm_free(out->pixels);
        out->pixels = im.pixels;
        out->labels[0] = -1;
        cm_images_release(*images);
        *images = out;
        return CM_OK;
    }
    cm_image_clear(&im);
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
}
