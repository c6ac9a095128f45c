/* gif.h - animated GIF, frame by frame into memory, through giflib.  It plays for ever.
 *
 *     cm_gif *gif = NULL;
 *     cm_status s = cm_gif_new(w, h, c, name, &gif, err);
 *     for (int i = 0; i < n && !s; i++)
 *         s = cm_gif_frame(gif, pixels[i], 20, err);
 *     if (!s)
 *         s = cm_gif_end(gif, &bytes, &size, err);
 *     cm_gif_free(gif); */
#ifndef CM_IO_GIF_H
#define CM_IO_GIF_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

enum { CM_GIF_MOST_SIDE = 65535 };

typedef struct cm_gif cm_gif;

/* Begin one of w x h pixels of c channels, 1 grey or 3 RGB; name is for messages.
 * Errors: CM_ERR_ARGUMENT (a size that GIF does not have), CM_ERR_MEMORY. */
cm_status cm_gif_new(int w, int h, int c, const char *name, cm_gif **gif, cm_error *err);

/* Append pixels [h][w][c], shown for that many hundredths of a second (browsers take less
 * than 2 for 10).  Each frame has colours of its own, exact where it has at most 256.
 * Errors: CM_ERR_ARGUMENT (not 0 to 65535 hundredths), CM_ERR_MEMORY. */
cm_status cm_gif_frame(cm_gif *gif, const uint8_t *pixels, int hundredths, cm_error *err);

/* The whole file; *bytes is freed with cm_free.  gif is still to be freed, and of no other
 * use.  Errors: CM_ERR_ARGUMENT (no frame), CM_ERR_MEMORY. */
cm_status cm_gif_end(cm_gif *gif, uint8_t **bytes, size_t *size, cm_error *err);

void cm_gif_free(cm_gif *gif); /* NULL is allowed */

#endif
