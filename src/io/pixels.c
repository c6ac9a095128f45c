/* pixels.c - the memory of a decoded image, given out only for sizes within the limits */
#include "io/pixels.h"

#include "base/error.h"
#include "base/memory.h"

cm_status cm_image_new(cm_image *im, int64_t w, int64_t h, int c, size_t packed, int64_t gain,
                       const char *name, cm_error *err)
{
    enum { ALWAYS = 1 << 16 }; /* pixels that any file may have */
    if (w < 1 || h < 1)
        return cm_fail(err, CM_ERR_FORMAT, "%s: size: expected at least 1 x 1, found %lld x %lld",
                       name, (long long)w, (long long)h);
    if (w > CM_IMAGE_MAX_SIDE || h > CM_IMAGE_MAX_SIDE || w * h > CM_IMAGE_MAX_PIXELS)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: size: expected at most %d a side and %lld pixels, found %lld x %lld",
                       name, CM_IMAGE_MAX_SIDE, (long long)CM_IMAGE_MAX_PIXELS, (long long)w,
                       (long long)h);
    if (w * h > ALWAYS && w * h / gain > (int64_t)packed)
        return cm_fail(err, CM_ERR_FORMAT, "%s: size: %lld x %lld pixels cannot fit %zu bytes",
                       name, (long long)w, (long long)h, packed);
    *im = (cm_image){.w = (int)w,
                     .h = (int)h,
                     .c = c,
                     .pixels = cm_alloc_array((size_t)h, (size_t)w * (size_t)c)};
    if (!im->pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %lld x %lld pixels", name,
                       (long long)w, (long long)h);
    return CM_OK;
}

void cm_image_clear(cm_image *im)
{
    cm_free(im->pixels);
    *im = (cm_image){0};
}
