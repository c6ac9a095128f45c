/* pixels.h - one decoded image, and the size that an image may have. */
#ifndef CM_IO_PIXELS_H
#define CM_IO_PIXELS_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

#define CM_IMAGE_MAX_SIDE   16384
#define CM_IMAGE_MAX_PIXELS ((int64_t)64 << 20)

typedef struct cm_image {
    int w, h, c;     /* c: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha */
    uint8_t *pixels; /* [h][w][c], of cm_alloc */
    int transparent; /* of a picture without alpha: some of it shows the background */
} cm_image;

/* Set *im to w x h pixels of zeros, from a file of `packed` bytes that may hold at most `gain`
 * pixels a byte: a small file cannot make us allocate a large image.  name is for messages.
 * Errors: CM_ERR_FORMAT (too large, with the limit and the size), CM_ERR_MEMORY. */
cm_status cm_image_new(cm_image *im, int64_t w, int64_t h, int c, size_t packed, int64_t gain,
                       const char *name, cm_error *err);
void cm_image_clear(cm_image *im);

#endif
