/* webp.h - WebP images as 8-bit rows, through libwebp */
#ifndef CM_IO_WEBP_H
#define CM_IO_WEBP_H

#include "io/pixels.h"

/* Decode a still picture to RGB, or RGB and alpha where it has some; one of several frames
 * is refused.  Errors: CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_webp_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err);

#endif
