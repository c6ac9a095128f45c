/* plain_edits.c */
#include "eval/plain_edits.h"

#include <math.h>
#include <string.h>

static size_t values_of(const cm_images *m)
{
    return (size_t)m->h * (size_t)m->w * (size_t)m->c;
}

static int is_filled(const cm_edit *edit, size_t pixel)
{
    return edit->mask->pixels[pixel] >= 128;
}

static void mean_of_known(const cm_images *m, const cm_edit *edit, cm_images *edited)
{
    const size_t c = (size_t)m->c, pixels = values_of(m) / c;
    memcpy(edited->pixels, m->pixels, (size_t)m->n * values_of(m));
    for (size_t i = 0; i < (size_t)m->n * c; i++) { /* image i / c, channel i % c */
        uint8_t *x = edited->pixels + i / c * values_of(m) + i % c;
        double sum = 0, known = 0;
        for (size_t p = 0; p < pixels; p++)
            if (!is_filled(edit, p)) {
                sum += x[p * c];
                known++;
            }
        for (size_t p = 0; p < pixels; p++)
            if (is_filled(edit, p))
                x[p * c] = (uint8_t)lround(known > 0 ? sum / known : 0);
    }
}

static void mean_of_all(const cm_images *m, const cm_edit *edit, cm_images *edited)
{
    const size_t n = (size_t)m->n, values = values_of(m);
    memcpy(edited->pixels, m->pixels, n * values);
    for (size_t v = 0; v < values; v++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += m->pixels[i * values + v];
        for (size_t i = 0; i < n && is_filled(edit, v / (size_t)m->c); i++)
            edited->pixels[i * values + v] = (uint8_t)lround(sum / (double)n);
    }
}

static void patches(const cm_images *m, const cm_edit *edit, cm_images *edited)
{
    const size_t k = (size_t)edit->factor, row = (size_t)m->w * (size_t)m->c, c = (size_t)m->c;
    for (size_t i = 0; i < (size_t)m->n * values_of(m); i++) {
        const size_t y = i / row, x = i % row / c; /* y counts through all images */
        const size_t corner = y / k * k * row + x / k * k * c + i % c;
        double sum = 0;
        for (size_t p = 0; p < k * k; p++)
            sum += m->pixels[corner + p / k * row + p % k * c];
        edited->pixels[i] = (uint8_t)lround(sum / (double)(k * k));
    }
}

static void gray(const cm_images *m, const cm_edit *edit, cm_images *edited)
{
    (void)edit;
    for (size_t i = 0; i < (size_t)m->n * values_of(m); i += 3) {
        const uint8_t *x = m->pixels + i;
        memset(edited->pixels + i, (int)lround(0.2989 * x[0] + 0.5870 * x[1] + 0.1140 * x[2]), 3);
    }
}

const cm_plain_edit cm_plain_edits[] = {
    {"inpaint", "the mean of what is known", mean_of_known},
    {"inpaint", "the mean picture", mean_of_all},
    {"upscale", "patches of one value", patches},
    {"colorize", "the gray", gray},
    {0},
};
