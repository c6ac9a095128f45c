/* palette.c - median cut (Heckbert 1982) at the mean, as Wu 1991 cuts.
 *
 * All colours are one box.  The box with the largest sum of squared distances along one
 * channel,
 *
 *     sum over its pixels of (v - mean)^2,
 *
 * is cut in two at the mean of that channel, until there are as many as the palette holds or
 * each has one colour.  The palette is the mean colours of the boxes.  Nothing is dithered:
 * samples are drawn enlarged, and dots within their pixels would look like detail. */
#include "io/palette.h"

#include "base/memory.h"

#include <stdlib.h>

/* One colour of the picture. */
struct colour {
    uint32_t rgb; /* 0xRRGGBB */
    uint32_t count;
    uint8_t box;
};

/* Colours [from, to) and how much is gained by cutting them. */
struct box {
    size_t from, to;
    int shift; /* of the channel with the largest spread */
    double mean, spread;
};

static int by_rgb(const void *a, const void *b)
{
    const struct colour *x = a, *y = b;
    return (x->rgb > y->rgb) - (x->rgb < y->rgb);
}

static int channel(const struct colour *c, int shift)
{
    return (int)(c->rgb >> shift & 255);
}

static uint32_t rgb_of(const uint8_t *p, int c)
{
    return c == 1 ? p[0] * 0x010101u : (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

/* Mean of a channel over the pixels of a box, and the spread around it. */
static double moments(const struct colour *colours, const struct box *b, int shift, double *spread)
{
    double n = 0, sum = 0, squares = 0;
    for (const struct colour *c = colours + b->from; c < colours + b->to; c++) {
        const double v = channel(c, shift);
        n += c->count;
        sum += c->count * v;
        squares += c->count * v * v;
    }
    *spread = squares - sum * sum / n;
    return sum / n;
}

static struct box make_box(const struct colour *colours, size_t from, size_t to)
{
    struct box b = {.from = from, .to = to};
    for (int shift = 0; shift <= 16 && to - from > 1; shift += 8) {
        double spread;
        const double mean = moments(colours, &b, shift, &spread);
        if (spread > b.spread) {
            b.spread = spread;
            b.mean = mean;
            b.shift = shift;
        }
    }
    return b;
}

/* Put the colours of b at most at its mean first; returns where the others begin, which is
 * inside it, since its colours differ in that channel. */
static size_t part(struct colour *colours, const struct box *b)
{
    size_t at = b->from;
    for (size_t i = b->from; i < b->to; i++)
        if (channel(&colours[i], b->shift) <= b->mean) {
            const struct colour moved = colours[i];
            colours[i] = colours[at];
            colours[at++] = moved;
        }
    return at;
}

/* Cut n colours into at most CM_PALETTE_MOST boxes; returns how many. */
static int cut(struct colour *colours, size_t n, struct box boxes[CM_PALETTE_MOST])
{
    int count = 1;
    boxes[0] = make_box(colours, 0, n);
    while (count < CM_PALETTE_MOST) {
        struct box *widest = boxes;
        for (int i = 1; i < count; i++)
            if (boxes[i].spread > widest->spread)
                widest = &boxes[i];
        if (widest->spread <= 0)
            break;
        const size_t from = widest->from, to = widest->to, at = part(colours, widest);
        *widest = make_box(colours, from, at);
        boxes[count++] = make_box(colours, at, to);
    }
    return count;
}

/* Sort the pixels' colours and count equal ones; returns how many differ. */
static size_t count_equal(struct colour *colours, size_t n)
{
    size_t last = 0;
    qsort(colours, n, sizeof *colours, by_rgb);
    for (size_t i = 1; i < n; i++)
        if (colours[i].rgb == colours[last].rgb)
            colours[last].count++;
        else
            colours[++last] = colours[i];
    return last + 1;
}

int cm_palette_make(const uint8_t *pixels, size_t count, int c, cm_palette *palette, uint8_t *index)
{
    struct box boxes[CM_PALETTE_MOST];
    struct colour *colours = cm_alloc_array(count, sizeof *colours);
    if (!colours)
        return 0;
    for (size_t i = 0; i < count; i++)
        colours[i] = (struct colour){.rgb = rgb_of(pixels + i * (size_t)c, c), .count = 1};
    const size_t n = count_equal(colours, count);
    palette->n = cut(colours, n, boxes);
    for (int k = 0; k < palette->n; k++) {
        for (int j = 0; j < 3; j++) {
            double spread;
            palette->rgb[k][j] = (uint8_t)(moments(colours, &boxes[k], 16 - 8 * j, &spread) + 0.5);
        }
        for (size_t i = boxes[k].from; i < boxes[k].to; i++)
            colours[i].box = (uint8_t)k;
    }
    qsort(colours, n, sizeof *colours, by_rgb);
    for (size_t i = 0; i < count; i++) {
        const struct colour key = {.rgb = rgb_of(pixels + i * (size_t)c, c)};
        const struct colour *found = bsearch(&key, colours, n, sizeof *colours, by_rgb);
        index[i] = found->box;
    }
    cm_free(colours);
    return 1;
}
