/* noise_level.c - how much noise a picture has, from its finest wavelet coefficients
 *
 * The diagonal Haar coefficient of 2 x 2 pixels, (a - b - c + d) / 2, has the noise's own
 * standard deviation and hardly any picture in it; the median of its magnitude is 0.6745 sigma,
 * and edges do not move a median far.
 * Source: Donoho and Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage".
 *
 * Black and white cut noise off.  A flat ground of either is there half the time, and the
 * coefficients of what is left, max(0, noise), have a median of 0.5267 times the usual.  With a
 * share b of such ground the median of all is 0.5267^b times the usual (by simulation, within
 * 1%); b is twice the share of pixels that are black or white. */
#include "sample/images.h"

#include <math.h>

enum { MOST = 2 * 255 }; /* of |a - b - c + d| */
static const double cut_off = 0.5267;

/* The median of |a - b - c + d| over all 2 x 2 pixels, to a part of the step of a byte. */
static double median_of(const int64_t count[MOST + 1], int64_t n)
{
    int64_t below = 0;
    int at = 0;
    while (at < MOST && 2 * (below + count[at]) < n)
        below += count[at++];
    const double part = count[at] ? ((double)n / 2 - (double)below) / (double)count[at] : 0;
    return at ? at - 0.5 + part : 0;
}

double cm_images_noise_level(const cm_images *m, int64_t i)
{
    const uint8_t *image = m->pixels + i * m->h * m->w * m->c;
    const int row = m->w * m->c, all = m->h * row;
    int64_t count[MOST + 1] = {0}, n = 0, ends = 0;
    for (int at = 0; at < all; at++)
        ends += image[at] == 0 || image[at] == 255;
    for (int y = 0; y + 1 < m->h; y++)
        for (int x = 0; x + m->c < row; x++, n++) {
            const uint8_t *p = image + y * row + x, *q = p + row;
            const int e = p[0] - p[m->c] - q[0] + q[m->c];
            count[e < 0 ? -e : e]++;
        }
    const double ground = fmin(1, 2.0 * (double)ends / all);
    return median_of(count, n) / 2 / 0.6745 / 127.5 / pow(cut_off, ground);
}
