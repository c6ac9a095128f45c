/* chart.c - where each panel, axis and line of a chart goes */
#include "draw/chart.h"

#include "base/error.h"
#include "draw/ticks.h"

#include <math.h>
#include <string.h>

/* Points of the page. */
static const double margin = 16, gap = 22, row = 17; /* row: a line of text */
static const double tick_room = 50, foot_room = 18, title_room = 20;
static const double small = 1.05, large = 1.3; /* sizes of text */
static const double bin = 0.25;                /* points closer in x than this are thinned out */

static const cm_rgb ink = {0.13, 0.13, 0.13}, grey = {0.42, 0.42, 0.42}, grid = {0.9, 0.9, 0.9};

/* Okabe and Ito 2008: told apart with every kind of colour blindness.  Their yellow is left out,
 * as it is hard to see on white. */
static const cm_rgb colours[] = {
    {0.000, 0.447, 0.698}, {0.835, 0.369, 0.000}, {0.000, 0.620, 0.451}, {0.800, 0.475, 0.655},
    {0.902, 0.624, 0.000}, {0.337, 0.706, 0.914}, {0.000, 0.000, 0.000}};
static const double dashes[][2] = {{0, 0}, {5, 3}, {1, 3}, {9, 3}}; /* on, off */
enum { COLOURS = sizeof colours / sizeof *colours };
_Static_assert(CM_CHART_MOST_NAMES == COLOURS * (sizeof dashes / sizeof *dashes), "a look each");

/* One axis: [low, high] to the page's [from, to]. */
struct axis {
    int is_log;
    double low, high, from, to;
    int n;
    cm_tick ticks[CM_TICKS_MOST];
};

static double place(const struct axis *a, double v)
{
    const double u = a->is_log ? (log(v) - log(a->low)) / (log(a->high) - log(a->low))
                               : (v - a->low) / (a->high - a->low);
    return a->from + u * (a->to - a->from);
}

/* ---- ranges ---- */

struct range {
    double low, high;
};

static void widen(struct range *r, double v)
{
    r->low = fmin(r->low, v);
    r->high = fmax(r->high, v);
}

static struct range y_range(const cm_chart_panel *p)
{
    struct range r = {INFINITY, -INFINITY};
    for (int i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->lines[i].n; k++)
            widen(&r, p->lines[i].points[k].y);
    return r;
}

static struct range x_range(const cm_chart *c)
{
    struct range r = {INFINITY, -INFINITY};
    for (int j = 0; j < c->n; j++)
        for (int i = 0; i < c->panels[j].n; i++) {
            const cm_chart_line *l = &c->panels[j].lines[i];
            if (l->n) {
                widen(&r, l->points[0].x);
                widen(&r, l->points[l->n - 1].x);
            }
        }
    return r;
}

/* Where all values are one, it is in the middle. */
static struct range never_empty(struct range r)
{
    const double around = r.low == 0 ? 1 : 0.1 * fabs(r.low);
    if (r.high - r.low > 1e-12 * fmax(fabs(r.low), fabs(r.high)))
        return r;
    return isfinite(r.low) ? (struct range){r.low - around, r.high + around} : (struct range){0, 1};
}

/* Steps and time begin at 0. */
static struct axis x_axis(const cm_chart *c, double from, double to)
{
    struct range r = x_range(c);
    const int is_log = c->x_can_be_log && r.low > 0 && r.high >= 2 * r.low,
              wanted = (int)fmax(2, (to - from) / 60);
    if (!is_log)
        r.low = fmin(r.low, 0);
    r = never_empty(r);
    struct axis a = {.is_log = is_log, .low = r.low, .high = r.high, .from = from, .to = to};
    a.n = is_log ? cm_ticks_log(a.low, a.high, wanted, a.ticks)
                 : cm_ticks_linear(a.low, a.high, wanted, c->x_is_whole, a.ticks);
    return a;
}

static struct axis y_axis(const cm_chart_panel *p, double from, double to)
{
    const struct range found = y_range(p), r = never_empty(found);
    const double edge = 0.06; /* of the range, left free above and below */
    struct axis a = {.from = from, .to = to};
    const int wanted = (int)fmax(2, fabs(to - from) / 32);
    a.is_log = p->can_be_log && found.low > 0 && found.high >= 2 * found.low;
    if (a.is_log) {
        a.low = r.low * pow(r.high / r.low, -edge);
        a.high = r.high * pow(r.high / r.low, edge);
        a.n = cm_ticks_log(a.low, a.high, wanted, a.ticks);
        return a;
    }
    a.low = r.low - edge * (r.high - r.low);
    a.high = r.high + edge * (r.high - r.low);
    if (p->from_zero && found.low >= 0)
        a.low = 0;
    a.n = cm_ticks_linear(a.low, a.high, wanted, p->is_whole, a.ticks);
    return a;
}

/* ---- a line ---- */

struct path {
    cm_pen *pen;
    const struct axis *x, *y;
    const cm_chart_point *points;
    int begun;
};

static void add_point(struct path *p, size_t i)
{
    const double x = place(p->x, p->points[i].x), y = place(p->y, p->points[i].y);
    if (p->begun++)
        cairo_line_to(p->pen->cr, x, y);
    else
        cairo_move_to(p->pen->cr, x, y);
}

/* Points [from, to) fall within a bin: the first, the lowest, the highest and the last draw the
 * same as all. */
static void add_bin(struct path *p, size_t from, size_t to)
{
    size_t low = from, high = from;
    for (size_t i = from + 1; i < to; i++) {
        low = p->points[i].y < p->points[low].y ? i : low;
        high = p->points[i].y > p->points[high].y ? i : high;
    }
    const size_t kept[] = {from, low < high ? low : high, low < high ? high : low, to - 1};
    for (int k = 0; k < 4; k++)
        if (!k || kept[k] != kept[k - 1])
            add_point(p, kept[k]);
}

static void add_line(struct path *p, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        const double at = floor(place(p->x, p->points[from].x) / bin);
        for (to = from + 1; to < n && floor(place(p->x, p->points[to].x) / bin) == at;)
            to++;
        add_bin(p, from, to);
    }
}

static void set_look(cm_pen *pen, int of, int is_faint, double width)
{
    const cm_rgb c = colours[of % COLOURS];
    const double *dash = dashes[of / COLOURS % (int)(sizeof dashes / sizeof *dashes)];
    const double fade = is_faint ? 0.68 : 0; /* mixed with white, not see-through: in SVG too */
    cairo_set_source_rgb(pen->cr, c.r + fade * (1 - c.r), c.g + fade * (1 - c.g),
                         c.b + fade * (1 - c.b));
    cairo_set_dash(pen->cr, dash, dash[0] > 0 && !is_faint ? 2 : 0, 0);
    cairo_set_line_width(pen->cr, width);
}

static void draw_line(cm_pen *pen, const cm_chart_line *l, const struct axis *x,
                      const struct axis *y)
{
    const int is_faint = l->look == CM_CHART_FAINT;
    struct path p = {pen, x, y, l->points, 0};
    set_look(pen, l->of, is_faint, is_faint ? 0.8 : 1.5);
    cairo_new_path(pen->cr);
    add_line(&p, l->n);
    cairo_stroke(pen->cr);
    cairo_set_dash(pen->cr, NULL, 0, 0);
    for (size_t i = 0; l->look == CM_CHART_DOTTED && i < l->n; i++) {
        cairo_arc(pen->cr, place(x, l->points[i].x), place(y, l->points[i].y), 2.2, 0,
                  2 * acos(-1));
        cairo_fill(pen->cr);
    }
}

/* ---- a panel ---- */

struct box {
    double x, y, w, h;
};

static void draw_axes(cm_pen *pen, const struct box *b, const struct axis *x, const struct axis *y)
{
    for (int i = 0; i < x->n; i++) {
        const double at = place(x, x->ticks[i].at);
        cm_pen_line(pen, at, b->y, at, b->y + b->h, 0.8, grid);
        cm_pen_text(pen, at, b->y + b->h + 13, small, CM_TEXT_MIDDLE, grey, x->ticks[i].label);
    }
    for (int i = 0; i < y->n; i++) {
        const double at = place(y, y->ticks[i].at);
        cm_pen_line(pen, b->x, at, b->x + b->w, at, 0.8, grid);
        cm_pen_text(pen, b->x - 6, at + small * 3.5, small, CM_TEXT_RIGHT, grey, y->ticks[i].label);
    }
    cm_pen_line(pen, b->x, b->y + b->h, b->x + b->w, b->y + b->h, 1, grey);
    cm_pen_line(pen, b->x, b->y, b->x, b->y + b->h, 1, grey);
}

static void draw_panel(cm_pen *pen, const cm_chart *c, const cm_chart_panel *p, struct box b)
{
    const struct axis x = x_axis(c, b.x, b.x + b.w), y = y_axis(p, b.y + b.h, b.y);
    cm_pen_text(pen, b.x, b.y - 7, large, CM_TEXT_LEFT, ink, p->title);
    if (y.is_log)
        cm_pen_text(pen, b.x + cm_pen_width(large, p->title) + 8, b.y - 7, small, CM_TEXT_LEFT,
                    grey, "log scale");
    draw_axes(pen, &b, &x, &y);
    cairo_save(pen->cr);
    cairo_rectangle(pen->cr, b.x - 3, b.y - 3, b.w + 6, b.h + 6); /* half a dot more */
    cairo_clip(pen->cr);
    for (int i = 0; i < p->n; i++)
        draw_line(pen, &p->lines[i], &x, &y);
    cairo_restore(pen->cr);
}

/* ---- the page ---- */

struct page {
    int columns, rows;
    double w, panel_w, panel_h; /* of a plot within its axes */
    double head;                /* of the legend */
};

static const double swatch = 26; /* of a line in the legend, with the space after it */

/* Draw the legend, or with pen NULL see how high it is. */
static double legend(cm_pen *pen, const cm_chart *c, double w)
{
    double x = margin, y = margin + row / 2;
    for (int i = 0; i < c->names; i++) {
        const double width = swatch + cm_pen_width(small, c->name[i]);
        if (x > margin && x + width > w - margin) {
            x = margin;
            y += row;
        }
        if (pen) {
            set_look(pen, i, 0, 2);
            cairo_move_to(pen->cr, x + 1, y);
            cairo_line_to(pen->cr, x + swatch - 8, y);
            cairo_stroke(pen->cr);
            cairo_set_dash(pen->cr, NULL, 0, 0);
            cm_pen_text(pen, x + swatch, y + small * 3.5, small, CM_TEXT_LEFT, ink, c->name[i]);
        }
        x += width + gap;
    }
    return y + row / 2 + 6;
}

static struct page lay_out(const cm_chart *c)
{
    struct page p = {.columns = c->n > 2 ? 2 : 1};
    p.rows = (c->n + p.columns - 1) / p.columns;
    p.panel_w = p.columns > 1 ? 380 : 620;
    p.panel_h = p.columns > 1 ? 170 : 240;
    p.w = 2 * margin + p.columns * (tick_room + p.panel_w) + (p.columns - 1) * gap;
    p.head = legend(NULL, c, p.w);
    return p;
}

static double row_height(const struct page *p)
{
    return title_room + p->panel_h + foot_room + gap / 2;
}

static void draw(cm_pen *pen, const cm_chart *c, const struct page *p, double h)
{
    legend(pen, c, p->w);
    for (int i = 0; i < c->n; i++) {
        const int column = i % p->columns;
        const struct box b = {margin + tick_room + column * (tick_room + p->panel_w + gap),
                              p->head + title_room + i / p->columns * row_height(p), p->panel_w,
                              p->panel_h};
        draw_panel(pen, c, &c->panels[i], b);
        if (i + p->columns >= c->n) /* the lowest of its column */
            cm_pen_text(pen, b.x + b.w / 2, b.y + b.h + 13 + row, small, CM_TEXT_MIDDLE, ink,
                        c->x_title);
    }
    if (c->note)
        cm_pen_text(pen, margin, h - margin + 2, small, CM_TEXT_LEFT, grey, c->note);
}

cm_status cm_chart_encode(const cm_chart *c, const cm_page_kind *kind, uint8_t **bytes,
                          size_t *size, cm_error *err)
{
    const struct page p = lay_out(c);
    const double h = p.head + p.rows * row_height(&p) + row + (c->note ? row : 0) + margin / 2;
    cm_pen pen;
    cm_status s = cm_pen_begin(&pen, kind, p.w, h, err);
    if (s)
        return s;
    draw(&pen, c, &p, h);
    s = cm_pen_end(&pen, bytes, size, err);
    cm_pen_clear(&pen);
    return s;
}
