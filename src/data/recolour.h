/* recolour.h - grey and RGB into each other */
#ifndef CM_DATA_RECOLOUR_H
#define CM_DATA_RECOLOUR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* n pixels of c channels (1 or 3) as out_c: grey in all three, or the luma of Rec. 601. */
static inline void cm_recolour(const uint8_t *in, size_t n, int c, uint8_t *out, int out_c)
{
    if (c == out_c) {
        memcpy(out, in, n * (size_t)c);
        return;
    }
    for (size_t i = 0; i < n; i++, in += c)
        if (out_c == 3)
            memset(out + 3 * i, in[0], 3);
        else
            out[i] = (uint8_t)((299 * in[0] + 587 * in[1] + 114 * in[2] + 500) / 1000);
}

#endif
