/* images.c - generated images in memory and to files: a grid, an npz archive, a folder */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/npz.h"
#include "io/png.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

static int ends_with(const char *text, const char *tail)
{
    const size_t n = strlen(text), k = strlen(tail);
    return n >= k && !strcmp(text + n - k, tail);
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
        int n = snprintf(file, sizeof file, "%s/%06lld", path, (long long)i);
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

cm_status cm_images_save(const cm_images *m, const char *path, int columns, cm_error *err)
{
    if (m->c != 1 && m->c != 3 && !ends_with(path, ".npz"))
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: PNG holds 1 or 3 channels, these images have %d (write an .npz)", path,
                       m->c);
    if (ends_with(path, ".png"))
        return write_grid(m, path, columns, err);
    if (ends_with(path, ".npz"))
        return write_npz(m, path, err);
    return write_folder(m, path, err);
}
