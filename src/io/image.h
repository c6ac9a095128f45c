/* image.h - pictures that someone else made: PNG, JPEG and WebP, known by their first bytes
 * and never by their name.
 * Limits: those of pixels.h, and a file of 256 MB. */
#ifndef CM_IO_IMAGE_H
#define CM_IO_IMAGE_H

#include "io/pixels.h"

/* What the bytes are, for counting and for messages: "PNG", "JPEG", "WebP"; of what is not
 * read "a GIF image", "text", "empty", cm_image_no_kind ("of no known kind") and the like. */
extern const char cm_image_no_kind[];
const char *cm_image_kind(const void *data, size_t size);
/* Whether cm_image_decode reads that kind. */
int cm_image_is_known(const void *data, size_t size);

/* Decode to 8-bit grey (c 1) or RGB (c 3), the right way up: palettes are expanded, 16 bits
 * rounded to 8, fewer stretched to 8, ink and YCbCr converted; what is transparent shows
 * `background`, an RGB colour (a grey picture on a colour becomes RGB).  The pixels are the
 * caller's: cm_image_clear.  name is for messages.
 * Errors: CM_ERR_FORMAT (of another kind, damaged, cut short, too large), CM_ERR_MEMORY. */
cm_status cm_image_decode(const void *data, size_t size, const char *name,
                          const uint8_t background[3], cm_image *im, cm_error *err);

/* What the file is, as cm_image_kind says, from its first bytes alone; *known as
 * cm_image_is_known.  Errors: CM_ERR_IO. */
cm_status cm_image_file_kind(const char *path, const char **kind, int *known, cm_error *err);

/* The image of a file.  Errors: also CM_ERR_IO. */
cm_status cm_image_read(const char *path, const uint8_t background[3], cm_image *im, cm_error *err);

/* How to write an image. */
typedef struct cm_encoding {
    const char *format; /* "png", "jpeg" or "webp" */
    int quality;        /* 1 to 100; png has none */
    const char *title;  /* UTF-8: the Title of a png; NULL or empty: none */
} cm_encoding;

/* The file of [h][w][c] pixels, c 1 or 3, in memory.  *bytes is freed with cm_free.
 * Errors: CM_ERR_ARGUMENT (unknown format, a size it cannot hold), CM_ERR_MEMORY. */
cm_status cm_image_encode(const cm_encoding *encoding, int w, int h, int c, const uint8_t *pixels,
                          uint8_t **bytes, size_t *size, cm_error *err);

#endif
