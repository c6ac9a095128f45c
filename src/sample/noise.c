/* noise.c */
#include "sample/noise.h"

#include "base/philox.h"

#include <stdio.h>

enum { STREAM_NOISE = 0x5a3b1e };

void cm_noise_draw(uint64_t seed, int64_t number, int draw, int64_t n, float *z)
{
    for (int64_t e = 0; e < n; e += 4) {
        float v[4];
        cm_normal4(
            cm_philox(seed, (uint32_t)(e / 4), (uint32_t)number, (uint32_t)draw, STREAM_NOISE), v);
        for (int64_t k = 0; k < 4 && e + k < n; k++)
            z[e + k] = v[k];
    }
}

const char *cm_draw_name(char buf[CM_DRAW_NAME], int draw)
{
    snprintf(buf, CM_DRAW_NAME, draw ? "draw.%d" : "noise", draw);
    return buf;
}
