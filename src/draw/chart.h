/* chart.h - line charts: panels that share their x axis, a legend, a note */
#ifndef CM_DRAW_CHART_H
#define CM_DRAW_CHART_H

#include "draw/pen.h"

typedef struct cm_chart_point {
    double x, y;
} cm_chart_point;

typedef struct cm_chart_line {
    int of; /* which of the chart's names: its colour and dashes */
    enum { CM_CHART_PLAIN, CM_CHART_FAINT, CM_CHART_DOTTED } look; /* with a dot at each point */
    size_t n;
    const cm_chart_point *points; /* x rising, from 0 or more */
} cm_chart_line;

typedef struct cm_chart_panel {
    const char *title;
    int can_be_log; /* powers of ten where all y > 0 and the largest is twice the smallest */
    int from_zero;  /* the axis begins at 0 where all y >= 0 */
    int is_whole;   /* y are whole numbers */
    int n;
    const cm_chart_line *lines; /* drawn in this order */
} cm_chart_panel;

enum { CM_CHART_MOST_NAMES = 28 /* that look different */, CM_CHART_MOST_PANELS = 64 };

typedef struct cm_chart {
    const char *x_title, *note; /* note: a line at the foot; NULL: none */
    int x_is_whole;
    int x_can_be_log; /* from the lowest x on, where that is > 0 and the largest twice it */
    int names;
    const char *const *name; /* in the legend; a single one is the heading */
    int n;
    const cm_chart_panel *panels; /* n >= 1, of which one has a point */
} cm_chart;

/* Draw it: the bytes are those of the chart alone, *bytes is freed with cm_free.
 * Errors: CM_ERR_ARGUMENT (too large a page), CM_ERR_MEMORY. */
cm_status cm_chart_encode(const cm_chart *chart, const cm_page_kind *kind, uint8_t **bytes,
                          size_t *size, cm_error *err);

#endif
