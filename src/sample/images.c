/* images.c - images in memory */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/recolour.h"
#include "data/resize.h"
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

cm_images *cm_images_new(int64_t n, int h, int w, int c, int with)
{
    const size_t count = count_of(n, h, w, c);
    cm_images *images = count ? cm_alloc(sizeof *images) : NULL;
    if (!images)
        return NULL;
    *images = (cm_images){.size = sizeof *images, .n = n, .h = h, .w = w, .c = c};
    images->pixels = with & CM_WITHOUT_PIXELS ? NULL : cm_alloc(count);
    images->labels = cm_alloc_array((size_t)n, sizeof *images->labels);
    if (with & CM_WITH_VALUES)
        images->values = cm_alloc_array(count, sizeof *images->values);
    if (with & CM_WITH_NOISE)
        images->noise = cm_alloc_array(count, sizeof *images->noise);
    if (cm_images_fit(images, n, h, w, c, with))
        return images;
    cm_images_release(images);
    return NULL;
}

int cm_images_fit(const cm_images *m, int64_t n, int h, int w, int c, int with)
{
    return m && m->n == n && m->h == h && m->w == w && m->c == c && m->labels &&
           !m->pixels == !!(with & CM_WITHOUT_PIXELS) && !m->values == !(with & CM_WITH_VALUES) &&
           !m->noise == !(with & CM_WITH_NOISE);
}

void cm_images_release(cm_images *images)
{
    if (!images)
        return;
    cm_free(images->pixels);
    cm_free(images->values);
    cm_free(images->noise);
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

cm_status cm_images_fit_as(const cm_images *m, int h, int w, int c, const char *name, int nearest,
                           cm_images **resized, cm_error *err)
{
    char found[64];
    const cm_fit *fit = cm_fit_find(name);
    const size_t n = (size_t)m->h * (size_t)m->w, to = (size_t)h * (size_t)w;
    cm_status s = CM_OK;
    if (!fit)
        return cm_fail(err, CM_ERR_ARGUMENT, "fit: expected crop, pad or stretch, found '%s'",
                       cm_escape(found, sizeof found, name));
    if (m->c != 1 && m->c != 3)
        return cm_fail(err, CM_ERR_ARGUMENT, "images: c: expected 1 or 3, found %d", m->c);
    cm_images *out = cm_images_new(m->n, h, w, c, 0);
    cm_image one = {.w = m->w, .h = m->h, .c = c, .pixels = cm_alloc_array(n, (size_t)c)};
    if (!out || !one.pixels)
        s = cm_fail(err, CM_ERR_MEMORY, "images: out of memory for %d x %d", w, h);
    for (int64_t i = 0; i < m->n && !s; i++) {
        uint8_t *dst = out->pixels + (size_t)i * to * (size_t)c;
        out->labels[i] = m->labels ? m->labels[i] : -1;
        cm_recolour(m->pixels + (size_t)i * n * (size_t)m->c, n, m->c, one.pixels, c);
        if (nearest)
            cm_image_fit_nearest(fit, &one, h, w, dst);
        else
            s = cm_image_fit_as(fit, "image", &one, h, w, dst, err);
    }
    cm_image_clear(&one);
    cm_images_release(s ? out : *resized);
    if (!s)
        *resized = out;
    return s;
}
