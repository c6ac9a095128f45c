/* font.h - text in a picture, in a small bitmap font of our own */
#ifndef CM_DRAW_FONT_H
#define CM_DRAW_FONT_H

#include <stddef.h>
#include <stdint.h>

/* Pixels of any number of channels, all of which text sets to one value. */
typedef struct cm_canvas {
    int w, h, c;
    uint8_t *pixels; /* [h][w][c] */
} cm_canvas;

/* At size 1: pixels above the baseline, below it, and both. */
enum { CM_FONT_ABOVE = 7, CM_FONT_BELOW = 2, CM_FONT_HEIGHT = CM_FONT_ABOVE + CM_FONT_BELOW };

/* A line of text: from the left or in the middle of a box of `room` pixels. */
typedef struct cm_text_line {
    const char *text; /* UTF-8 */
    int x, y, room;   /* of the box: its top left, its width */
    int size;         /* side of the squares that stand for the font's pixels */
    int centred;
} cm_text_line;

/* Draw it; what the box has no room for is cut, with an ellipsis at its end.  The font has
 * printable ASCII, the middle dot and the ellipsis.  Letters of Latin-1 and combining marks
 * lose their accents (an e for é, an s for ß); anything else, a byte that is not UTF-8 too,
 * is one box. */
void cm_text_draw(const cm_canvas *canvas, const cm_text_line *line);

/* Bytes of text that go on a line of `room` pixels without being cut: all of it, or as many words
 * as fit; where not even the first one does, that one. */
size_t cm_text_fitting(const char *text, int room, int size);

/* The same letters as lines between the middles of neighbouring pixels, at size 1 from (0, 0):
 * what a round pen draws at any size.  Each line, which may be a point, goes to `stroke`.
 * Returns the width of the text in pixels. */
int cm_text_strokes(const char *text,
                    void (*stroke)(void *user, double x0, double y0, double x1, double y1),
                    void *user);

#endif
