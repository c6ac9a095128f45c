/* jpeg.h - JPEG images from and to 8-bit rows, through libjpeg-turbo */
#ifndef CM_IO_JPEG_H
#define CM_IO_JPEG_H

#include "io/pixels.h"

/* Decode, baseline or progressive: grey stays grey, YCbCr becomes RGB, and so do CMYK and
 * YCCK by their plain product (no ink profile).  The orientation of its EXIF data is applied.
 * A file with missing or damaged data is refused, where a viewer would show half of it.
 * Errors: CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_jpeg_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err);

/* The file of [h][w][c] pixels, c 1 or 3, of quality 1 to 100; *bytes is freed with cm_free.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_MEMORY. */
cm_status cm_jpeg_encode(int w, int h, int c, const uint8_t *pixels, int quality, const char *name,
                         uint8_t **bytes, size_t *size, cm_error *err);

#endif
