/* sheet.h - images beside and below each other on white: grids of samples, contact sheets.
 * Each pixel is drawn as `scale` x `scale`, and so are the gaps of 2 pixels around each image;
 * without captions and heading, a sheet is the sheet of scale 1 enlarged. */
#ifndef CM_DRAW_SHEET_H
#define CM_DRAW_SHEET_H

#include "cm_status.h"
#include "draw/font.h"

typedef struct cm_sheet_layout {
    int64_t n;           /* images, at least 1 */
    int h, w, c;         /* of each */
    int64_t columns;     /* 0: square; -1: one image without a gap around it */
    int scale;           /* at least 1 */
    int captions;        /* a line below each image */
    const char *heading; /* above all, in as many lines as it takes; NULL or empty: none */
    int least_lines;     /* of a heading, so that sheets with others are of one size */
} cm_sheet_layout;

typedef struct cm_sheet {
    cm_canvas canvas;
    int64_t columns;
    cm_sheet_layout layout;
} cm_sheet;

/* Pixels that it takes, which may be more than a picture can have. */
void cm_sheet_size(const cm_sheet_layout *layout, int64_t *w, int64_t *h);

/* Lines that its heading takes. */
int cm_sheet_heading_lines(const cm_sheet_layout *layout);

/* Whether it is a picture at all: most_side pixels wide and high, 0: 65535, and a GiB in all.
 * name is for messages.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_sheet_check(const cm_sheet_layout *layout, int most_side, const char *name,
                         cm_error *err);

/* An empty sheet with its heading.  Errors: CM_ERR_ARGUMENT as cm_sheet_check, CM_ERR_MEMORY. */
cm_status cm_sheet_new(const cm_sheet_layout *layout, const char *name, cm_sheet *sheet,
                       cm_error *err);
void cm_sheet_clear(cm_sheet *sheet);

/* Draw image i, [h][w][c], and its caption where the layout has captions; NULL: none. */
void cm_sheet_put(const cm_sheet *sheet, int64_t i, const uint8_t *pixels, const char *caption);

#endif
