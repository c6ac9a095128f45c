/* noise.h - the noise of an image: a function of the seed, its number and the draw only */
#ifndef CM_SAMPLE_NOISE_H
#define CM_SAMPLE_NOISE_H

#include <stdint.h>

/* Beyond what a draw of N(0, 1) has, or noise that was found for a picture: a file or a caller that
 * gives more is wrong, and a network would make no number of it. */
#define CM_MOST_NOISE 1e6f

/* z[n] from N(0, 1): element e is lane e mod 4 of Philox(seed; e/4, number, draw, r). */
void cm_noise_draw(uint64_t seed, int64_t number, int draw, int64_t n, float *z);

/* The tensor of a draw in a file: "noise", "draw.1", "draw.2", ...; returns buf. */
enum { CM_DRAW_NAME = 24 };
const char *cm_draw_name(char buf[CM_DRAW_NAME], int draw);

#endif
