/* images.c - generated images in memory and to files: a grid, an npz archive, a folder */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
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

enum { GAP = 2, BACKGROUND = 255 };

cm_images *cm_images_new(int64_t n, int h, int w, int c)
{
    cm_images *images = cm_alloc(sizeof *images);
    size_t bytes = (size_t)n;
    if (!images)
        return NULL;
    *images = (cm_images){.n = n, .h = h, .w = w, .c = c};
    if (!__builtin_mul_overflow(bytes, (size_t)h, &bytes) &&
        !__builtin_mul_overflow(bytes, (size_t)w, &bytes) &&
        !__builtin_mul_overflow(bytes, (size_t)c, &bytes))
        images->pixels = cm_alloc(bytes);
    images->labels = cm_alloc_array((size_t)n, sizeof *images->labels);
    if (images->pixels && images->labels)
        return images;
    cm_images_release(images);
    return NULL;
}

void cm_images_release(cm_images *images)
{
    if (!images)
        return;
    cm_free(images->pixels);
    cm_free(images->labels);
    cm_free(images);
}

static cm_status write_grid(const cm_images *m, const char *path, int columns, cm_error *err)
{
    const int64_t cols = columns > 0 ? columns : (int64_t)ceil(sqrt((double)m->n));
    const int64_t rows = (m->n + cols - 1) / cols;
    const int64_t w = cols * (m->w + GAP) + GAP, h = rows * (m->h + GAP) + GAP;
    if (w > 65535 || h > 65535)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: %lld images do not fit a grid (write a folder or an .npz)", path,
                       (long long)m->n);
    uint8_t *grid = cm_alloc((size_t)(w * h * m->c));
    if (!grid)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    memset(grid, BACKGROUND, (size_t)(w * h * m->c));
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t y = 0; y < m->h; y++)
            memcpy(grid + (((i / cols) * (m->h + GAP) + GAP + y) * w + (i % cols) * (m->w + GAP) +
                           GAP) *
                              m->c,
                   m->pixels + (i * m->h + y) * m->w * m->c, (size_t)m->w * (size_t)m->c);
    const cm_status s = cm_png_write(path, (int)w, (int)h, m->c, grid, 0, NULL, NULL, err);
    cm_free(grid);
    return s;
}

static cm_status write_npz(const cm_images *m, const char *path, int columns, cm_error *err)
{
    (void)columns;
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
    cm_status (*write)(const cm_images *m, const char *path, int columns, cm_error *err);
    int any_channels;
} kinds[] = {{".png", write_grid, 0}, {".npz", write_npz, 1}};

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

cm_status cm_images_save(const cm_images *m, const char *path, int columns, cm_error *err)
{
    const struct kind *kind = find_kind(path);
    if (m->c != 1 && m->c != 3 && !(kind && kind->any_channels))
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: PNG holds 1 or 3 channels, these images have %d (write an .npz)", path,
                       m->c);
    return kind ? kind->write(m, path, columns, err) : write_folder(m, path, err);
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
                   "%s: expected a name that ends in .png or .npz, or a folder; found '%s'", path,
                   dot);
}

cm_status cm_images_check(const char *path, int64_t *next, cm_error *err)
{
    struct stat st;
    const struct kind *kind = find_kind(path);
    const int is_there = !stat(path, &st), is_folder = is_there && S_ISDIR(st.st_mode);
    cm_status s = CM_OK;
    if (!*path)
        return cm_fail(err, CM_ERR_ARGUMENT, "output: expected a path, found none");
    if (kind && is_folder)
        return cm_fail(err, CM_ERR_IO, "%s: is a folder", path);
    if (!kind && is_there && !is_folder)
        return cm_fail(err, CM_ERR_IO,
                       "%s: is not a folder, and its name ends neither in .png nor "
                       "in .npz",
                       path);
    if (!kind && !is_there)
        s = check_suffix(path, err);
    if (!s && !is_folder)
        s = check_parent(path, !kind, err);
    if (!s)
        *next = kind ? -1 : next_number(path);
    return s;
}
