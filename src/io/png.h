/* png.h - PNG images as 8-bit rows, through libpng's row interface.
 * Limits when reading: 16384 a side, 64 M pixels, a file of 256 MB; text, colour
 * profiles and the like are skipped. */
#ifndef CM_IO_PNG_H
#define CM_IO_PNG_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

/* Read an image as [h][w][c], c 1 (grey) or 3 (RGB): a palette is expanded,
 * alpha dropped, 16 bits rounded to 8, 1 to 4 bits stretched to 8.  *pixels is
 * freed with cm_free.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (damaged, truncated, too large), CM_ERR_MEMORY. */
cm_status cm_png_read(const char *path, int *w, int *h, int *c, uint8_t **pixels, cm_error *err);

/* The same from memory; name is for messages. */
cm_status cm_png_read_memory(const void *data, size_t size, const char *name, int *w, int *h,
                             int *c, uint8_t **pixels, cm_error *err);

/* Write [h][w][c] pixels, c 1 or 3, with n_text pairs of text (keys: 1 to 79
 * printable ASCII characters; values: UTF-8).  The file appears whole or not at
 * all.  Errors: CM_ERR_ARGUMENT, CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_png_write(const char *path, int w, int h, int c, const uint8_t *pixels, int n_text,
                       const char *const *keys, const char *const *values, cm_error *err);

/* The same in memory: *data is freed with cm_free. */
cm_status cm_png_encode(int w, int h, int c, const uint8_t *pixels, int n_text,
                        const char *const *keys, const char *const *values, void **data,
                        size_t *size, cm_error *err);

#endif
