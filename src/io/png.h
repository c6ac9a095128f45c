/* png.h - PNG images as 8-bit rows, through libpng's row interface.  Reading skips text,
 * colour profiles and the like. */
#ifndef CM_IO_PNG_H
#define CM_IO_PNG_H

#include "io/pixels.h"

/* Decode to grey or RGB, with alpha where the file has some: a palette is expanded, 16 bits
 * rounded to 8, 1 to 4 bits stretched to 8.  name is for messages.
 * Errors: CM_ERR_FORMAT (damaged, cut short, too large), CM_ERR_MEMORY. */
cm_status cm_png_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                        cm_error *err);

/* Pairs of text: keys of 1 to 79 printable ASCII characters, values in UTF-8. */
typedef struct cm_png_text {
    int n;
    const char *const *keys, *const *values;
} cm_png_text;

/* Write [h][w][c] pixels, c 1 or 3; text may be NULL.  The file appears whole or not at all.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_png_write(const char *path, int w, int h, int c, const uint8_t *pixels,
                       const cm_png_text *text, cm_error *err);

/* The same in memory: *bytes is freed with cm_free. */
cm_status cm_png_encode(int w, int h, int c, const uint8_t *pixels, const cm_png_text *text,
                        uint8_t **bytes, size_t *size, cm_error *err);

#endif
