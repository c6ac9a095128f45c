/* webp.h - WebP images from and to 8-bit rows, through libwebp */
#ifndef CM_IO_WEBP_H
#define CM_IO_WEBP_H

#include "io/pixels.h"

/* Decode a still picture to RGB, or RGB and alpha where it has some; one of several frames
 * is refused.  Errors: CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_webp_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err);

/* The file of [h][w][c] pixels, c 1 or 3, of quality 1 to 100; *bytes is freed with cm_free.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_MEMORY. */
cm_status cm_webp_encode(int w, int h, int c, const uint8_t *pixels, int quality, const char *name,
                         uint8_t **bytes, size_t *size, cm_error *err);

#endif
