/* palette.h - the colours of a picture as at most 256 */
#ifndef CM_IO_PALETTE_H
#define CM_IO_PALETTE_H

#include <stddef.h>
#include <stdint.h>

enum { CM_PALETTE_MOST = 256 };

typedef struct cm_palette {
    int n;
    uint8_t rgb[CM_PALETTE_MOST][3];
} cm_palette;

/* Of count > 0 pixels of c channels (1 grey, 3 RGB): a palette, and index[count], the colour
 * of it that stands for each pixel.  A picture of at most 256 colours keeps them exactly.
 * 0: out of memory. */
int cm_palette_make(const uint8_t *pixels, size_t count, int c, cm_palette *palette,
                    uint8_t *index);

#endif
