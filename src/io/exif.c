/* exif.c - the orientation in EXIF data: a TIFF header, and in its first directory the entry
 * 0x0112 (Exif 2.32, sections 4.5.2, 4.5.4 and 4.6.4 A) */
#include "io/exif.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    int big_endian;
} tiff;

/* n bytes as a number; 0 beyond the end. */
static uint32_t number(const tiff *t, size_t at, int n)
{
    uint32_t v = 0;
    if (at > t->size || t->size - at < (size_t)n)
        return 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | t->bytes[at + (size_t)(t->big_endian ? i : n - 1 - i)];
    return v;
}

int cm_exif_orientation(const uint8_t *segment, size_t size)
{
    enum { MARK = 6, ENTRY = 12, TAG = 0x0112, SHORT = 3 };
    if (size < MARK + 8 || memcmp(segment, "Exif\0", MARK) != 0)
        return 1;
    tiff t = {segment + MARK, size - MARK, segment[MARK] == 'M'};
    if (memcmp(t.bytes, t.big_endian ? "MM\0*" : "II*\0", 4) != 0)
        return 1;
    const size_t directory = number(&t, 4, 4);
    const uint32_t entries = number(&t, directory, 2);
    for (uint32_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + (size_t)i * ENTRY;
        if (at >= t.size)
            break;
        if (number(&t, at, 2) == TAG && number(&t, at + 2, 2) == SHORT) {
            const uint32_t v = number(&t, at + 8, 2);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    }
    return 1;
}

/* Orientations 5 to 8 exchange rows and columns; then each is a choice of two mirrors. */
cm_status cm_image_orient(cm_image *im, int orientation, const char *name, cm_error *err)
{
    if (orientation < 2 || orientation > 8)
        return CM_OK;
    const int swap = orientation >= 5;
    static const uint8_t mirrors_x[9] = {[2] = 1, [3] = 1, [7] = 1, [8] = 1};
    static const uint8_t mirrors_y[9] = {[3] = 1, [4] = 1, [6] = 1, [7] = 1};
    const int mirror_x = mirrors_x[orientation], mirror_y = mirrors_y[orientation];
    const int w = swap ? im->h : im->w, h = swap ? im->w : im->h;
    const size_t c = (size_t)im->c;
    uint8_t *out = cm_alloc_array((size_t)h, (size_t)w * c);
    if (!out)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %d x %d pixels", name, w, h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int u = swap ? y : x, v = swap ? x : y; /* of the stored image */
            const int from_x = mirror_x ? im->w - 1 - u : u, from_y = mirror_y ? im->h - 1 - v : v;
            memcpy(out + ((size_t)y * (size_t)w + (size_t)x) * c,
                   im->pixels + ((size_t)from_y * (size_t)im->w + (size_t)from_x) * c, c);
        }
    cm_free(im->pixels);
    im->w = w;
    im->h = h;
    im->pixels = out;
    return CM_OK;
}
