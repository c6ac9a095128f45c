/* images.c - images in memory */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/image.h"

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
