/* pen.c - a page in memory */
#include "draw/pen.h"

#include "base/error.h"
#include "base/memory.h"
#include "draw/font.h"

#include <cairo/cairo-svg.h>
#include <math.h>
#include <string.h>

enum { FIRST_ROOM = 1 << 16 };

/* What cairo calls with a part of the file. */
static cairo_status_t append(void *to, const unsigned char *from, unsigned n)
{
    cm_pen *p = to;
    const size_t end = p->size + n;
    if (end > p->room) {
        const size_t room = end < FIRST_ROOM ? FIRST_ROOM : 2 * end;
        uint8_t *grown = cm_grow(p->bytes, p->room, room);
        if (!grown)
            return CAIRO_STATUS_NO_MEMORY;
        p->bytes = grown;
        p->room = room;
    }
    memcpy(p->bytes + p->size, from, n);
    p->size = end;
    return CAIRO_STATUS_SUCCESS;
}

/* ---- kinds of page ---- */

static cairo_surface_t *make_png(double w, double h, cairo_write_func_t write, void *to)
{
    (void)write;
    (void)to;
    cairo_surface_t *s = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)ceil(w * CM_PEN_PIXELS), (int)ceil(h * CM_PEN_PIXELS));
    cairo_surface_set_device_scale(s, CM_PEN_PIXELS, CM_PEN_PIXELS);
    return s;
}

static cairo_surface_t *make_svg(double w, double h, cairo_write_func_t write, void *to)
{
    return cairo_svg_surface_create_for_stream(write, to, w, h);
}

static cairo_status_t finish_svg(cairo_surface_t *s, cairo_write_func_t write, void *to)
{
    (void)write;
    (void)to;
    cairo_surface_finish(s);
    return cairo_surface_status(s);
}

const cm_page_kind cm_page_kinds[] = {
    {"png", make_png, cairo_surface_write_to_png_stream}, {"svg", make_svg, finish_svg}, {0}};

cm_status cm_page_kind_find(const char *what, const char *path, const cm_page_kind **kind,
                            cm_error *err)
{
    char shown[256];
    const char *dot = strrchr(path, '.');
    for (*kind = cm_page_kinds; (*kind)->name; (*kind)++)
        if (dot && !strcasecmp(dot + 1, (*kind)->name))
            return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected a name that ends in .png or .svg, found '%s'", what,
                   cm_escape(shown, sizeof shown, path));
}

/* ---- a page ---- */

static cm_status status_of(const cm_pen *p, cairo_status_t code, cm_error *err)
{
    return code ? cm_fail(err, CM_ERR_MEMORY, "%s page: cairo: %s", p->kind->name,
                          cairo_status_to_string(code))
                : CM_OK;
}

cm_status cm_pen_begin(cm_pen *p, const cm_page_kind *kind, double w, double h, cm_error *err)
{
    if (!(w >= 1 && h >= 1 && w <= CM_PEN_MOST_SIDE && h <= CM_PEN_MOST_SIDE))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s page: expected at most %d points a side, found %.0f x %.0f (plot less)",
                       kind->name, CM_PEN_MOST_SIDE, w, h);
    *p = (cm_pen){.kind = kind};
    p->surface = kind->make(w, h, append, p);
    p->cr = cairo_create(p->surface);
    cairo_set_source_rgb(p->cr, 1, 1, 1);
    cairo_paint(p->cr);
    cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(p->cr, CAIRO_LINE_CAP_ROUND);
    const cm_status s = status_of(p, cairo_status(p->cr), err);
    if (s)
        cm_pen_clear(p);
    return s;
}

/* cairo before 1.17.6 numbers its surfaces in the program's life, which shows in the file. */
static void drop_number(cm_pen *p)
{
    static const char mark[] = "<g id=\"surface";
    const size_t n = sizeof mark - 1;
    for (size_t i = 0; i + n < p->size; i++) {
        if (memcmp(p->bytes + i, mark, n) != 0)
            continue;
        size_t to = i + n, from = to;
        while (from < p->size && p->bytes[from] >= '0' && p->bytes[from] <= '9')
            from++;
        memmove(p->bytes + to, p->bytes + from, p->size - from);
        p->size -= from - to;
        return;
    }
}

cm_status cm_pen_end(cm_pen *p, uint8_t **bytes, size_t *size, cm_error *err)
{
    cairo_status_t code = cairo_status(p->cr);
    if (!code)
        code = p->kind->finish(p->surface, append, p);
    if (code)
        return status_of(p, code, err);
    drop_number(p);
    *bytes = p->bytes;
    *size = p->size;
    p->bytes = NULL;
    return CM_OK;
}

void cm_pen_clear(cm_pen *p)
{
    cairo_destroy(p->cr);
    cairo_surface_destroy(p->surface);
    cm_free(p->bytes);
    *p = (cm_pen){0};
}

/* ---- what is drawn ---- */

static void add_stroke(void *user, double x0, double y0, double x1, double y1)
{
    cairo_move_to(user, x0, y0);
    cairo_line_to(user, x1, y1);
}

static void no_stroke(void *user, double x0, double y0, double x1, double y1)
{
    (void)user, (void)x0, (void)y0, (void)x1, (void)y1;
}

double cm_pen_width(double size, const char *text)
{
    return size * cm_text_strokes(text, no_stroke, NULL);
}

void cm_pen_text(cm_pen *p, double x, double y, double size, cm_text_side side, cm_rgb ink,
                 const char *text)
{
    const double width = cm_pen_width(size, text);
    cairo_save(p->cr);
    cairo_set_source_rgb(p->cr, ink.r, ink.g, ink.b);
    cairo_translate(p->cr, x - width * side / 2, y - size * CM_FONT_ABOVE);
    cairo_scale(p->cr, size, size);
    cairo_set_line_width(p->cr, 0.95); /* of the font's pixels */
    cairo_new_path(p->cr);
    cm_text_strokes(text, add_stroke, p->cr);
    cairo_stroke(p->cr);
    cairo_restore(p->cr);
}

void cm_pen_line(cm_pen *p, double x0, double y0, double x1, double y1, double width, cm_rgb ink)
{
    cairo_set_source_rgb(p->cr, ink.r, ink.g, ink.b);
    cairo_set_line_width(p->cr, width);
    cairo_new_path(p->cr);
    cairo_move_to(p->cr, x0, y0);
    cairo_line_to(p->cr, x1, y1);
    cairo_stroke(p->cr);
}
