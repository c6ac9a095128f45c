/* pen.h - drawing on a page of PNG or SVG with cairo.  Lengths are points of the page, from its
 * top left; text is in the lines of draw/font, so that no font need be installed and a page is
 * the same bytes everywhere. */
#ifndef CM_DRAW_PEN_H
#define CM_DRAW_PEN_H

#include "cm_status.h"

#include <cairo/cairo.h>
#include <stddef.h>
#include <stdint.h>

enum { CM_PEN_PIXELS = 2 /* of a PNG, a point */, CM_PEN_MOST_SIDE = 8192 };

/* The kinds of page; ends with a NULL name. */
typedef struct cm_page_kind {
    const char *name; /* "png", "svg" */
    cairo_surface_t *(*make)(double w, double h, cairo_write_func_t write, void *to);
    cairo_status_t (*finish)(cairo_surface_t *surface, cairo_write_func_t write, void *to);
} cm_page_kind;
extern const cm_page_kind cm_page_kinds[];
/* That of a file, which the option `what` names.  Errors: CM_ERR_ARGUMENT (another ending). */
cm_status cm_page_kind_find(const char *what, const char *path, const cm_page_kind **kind,
                            cm_error *err);

typedef struct cm_pen {
    cairo_t *cr; /* drawn with directly; its errors are told by cm_pen_end */
    cairo_surface_t *surface;
    const cm_page_kind *kind;
    uint8_t *bytes;
    size_t size, room;
} cm_pen;

typedef struct cm_rgb {
    double r, g, b;
} cm_rgb;

/* A white page of w x h.  Errors: CM_ERR_ARGUMENT (a side above CM_PEN_MOST_SIDE),
 * CM_ERR_MEMORY. */
cm_status cm_pen_begin(cm_pen *pen, const cm_page_kind *kind, double w, double h, cm_error *err);
/* Its file; *bytes is freed with cm_free.  Errors: CM_ERR_MEMORY. */
cm_status cm_pen_end(cm_pen *pen, uint8_t **bytes, size_t *size, cm_error *err);
void cm_pen_clear(cm_pen *pen); /* after cm_pen_end too */

/* Where x is in the text. */
typedef enum cm_text_side { CM_TEXT_LEFT, CM_TEXT_MIDDLE, CM_TEXT_RIGHT } cm_text_side;

/* A line of text on the baseline y, `size` points a pixel of the font. */
void cm_pen_text(cm_pen *pen, double x, double y, double size, cm_text_side side, cm_rgb ink,
                 const char *text);
/* How wide that is. */
double cm_pen_width(double size, const char *text);

void cm_pen_line(cm_pen *pen, double x0, double y0, double x1, double y1, double width, cm_rgb ink);

#endif
