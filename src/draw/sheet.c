/* sheet.c - where each image of a sheet goes, and its text */
#include "draw/sheet.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    GAP = 2,
    SPACE = 2,
    BACKGROUND = 255,
    MOST_SIDE = 65535,
    MOST_BYTES = 1 << 30,
    WIDE = 96, /* pixels for each size of text */
    MOST_HEADING = 4096
};

/* Text grows with the images: from about twelve letters below one to twenty. */
static int text_size(const cm_sheet_layout *l)
{
    const int size = (l->w * l->scale + WIDE / 3) / WIDE;
    return size > 1 ? size : 1;
}

static int64_t columns_of(const cm_sheet_layout *l)
{
    return l->columns > 0 ? l->columns : (int64_t)ceil(sqrt((double)l->n));
}

static int gap(const cm_sheet_layout *l)
{
    return l->columns < 0 ? 0 : GAP * l->scale;
}

/* Of a caption or a line of the heading, with the space to the images. */
static int text_height(const cm_sheet_layout *l)
{
    return (SPACE + CM_FONT_HEIGHT) * text_size(l);
}

/* From an image to the next, to the right and down. */
static int64_t step_x(const cm_sheet_layout *l)
{
    return (int64_t)l->w * l->scale + gap(l);
}

static int64_t step_y(const cm_sheet_layout *l)
{
    return (int64_t)l->h * l->scale + gap(l) + (l->captions ? text_height(l) : 0);
}

static int64_t width_of(const cm_sheet_layout *l)
{
    return columns_of(l) * step_x(l) + gap(l);
}

/* Bytes of text on the next line of the heading. */
static size_t line_of(const cm_sheet_layout *l, const char *text)
{
    const int64_t room = width_of(l) - 2 * gap(l);
    return cm_text_fitting(text, room < MOST_SIDE ? (int)room : MOST_SIDE, text_size(l));
}

static const char *after_line(const char *text, size_t n)
{
    return text + n + strspn(text + n, " ");
}

int cm_sheet_heading_lines(const cm_sheet_layout *l)
{
    int lines = 0;
    for (const char *at = l->heading ? l->heading : ""; *at; lines++)
        at = after_line(at, line_of(l, at));
    return lines && lines < l->least_lines ? l->least_lines : lines;
}

static int heading_height(const cm_sheet_layout *l)
{
    return cm_sheet_heading_lines(l) * text_height(l);
}

static void draw_heading(const cm_sheet_layout *l, const cm_canvas *canvas)
{
    char line[MOST_HEADING];
    int y = gap(l);
    for (const char *at = l->heading ? l->heading : ""; *at; y += text_height(l)) {
        const size_t n = line_of(l, at);
        snprintf(line, sizeof line, "%.*s", (int)n, at);
        at = after_line(at, n);
        cm_text_draw(canvas, &(cm_text_line){.text = line,
                                             .x = gap(l),
                                             .y = y,
                                             .room = canvas->w - 2 * gap(l),
                                             .size = text_size(l)});
    }
}

void cm_sheet_size(const cm_sheet_layout *l, int64_t *w, int64_t *h)
{
    const int64_t columns = columns_of(l), rows = (l->n + columns - 1) / columns;
    *w = width_of(l);
    *h = rows * step_y(l) + gap(l) + heading_height(l);
}

cm_status cm_sheet_check(const cm_sheet_layout *l, int most_side, const char *name, cm_error *err)
{
    int64_t w, h;
    const int most = most_side ? most_side : MOST_SIDE;
    cm_sheet_size(l, &w, &h);
    if (w <= most && h <= most && w * h * l->c <= MOST_BYTES)
        return CM_OK;
    return cm_fail(
        err, CM_ERR_ARGUMENT,
        "%s: %lld image%s at scale %d: a grid of %lld x %lld pixels; expected at most "
        "%d a side and %d MiB in all (other columns, a smaller scale, a folder or an .npz)",
        name, (long long)l->n, cm_plural(l->n), l->scale, (long long)w, (long long)h, most,
        MOST_BYTES >> 20);
}

cm_status cm_sheet_new(const cm_sheet_layout *l, const char *name, cm_sheet *sheet, cm_error *err)
{
    int64_t w, h;
    const cm_status s = cm_sheet_check(l, 0, name, err);
    if (s)
        return s;
    cm_sheet_size(l, &w, &h);
    const cm_canvas canvas = {(int)w, (int)h, l->c, cm_alloc((size_t)(w * h * l->c))};
    if (!canvas.pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", name);
    memset(canvas.pixels, BACKGROUND, (size_t)(w * h * l->c));
    *sheet = (cm_sheet){canvas, columns_of(l), *l};
    draw_heading(l, &canvas);
    return CM_OK;
}

void cm_sheet_clear(cm_sheet *sheet)
{
    cm_free(sheet->canvas.pixels);
    *sheet = (cm_sheet){0};
}

/* A row of an image, each pixel as many times as the scale says. */
static void widen(const cm_sheet_layout *l, const uint8_t *row, uint8_t *to)
{
    const size_t c = (size_t)l->c;
    if (l->scale == 1) {
        memcpy(to, row, (size_t)l->w * c);
        return;
    }
    for (int x = 0; x < l->w; x++)
        for (int i = 0; i < l->scale; i++, to += c)
            memcpy(to, row + (size_t)x * c, c);
}

void cm_sheet_put(const cm_sheet *s, int64_t i, const uint8_t *pixels, const char *caption)
{
    const cm_sheet_layout *l = &s->layout;
    const int x = (int)(gap(l) + i % s->columns * step_x(l));
    const int y = (int)(gap(l) + heading_height(l) + i / s->columns * step_y(l));
    const size_t pitch = (size_t)s->canvas.w * (size_t)l->c, c = (size_t)l->c,
                 width = (size_t)l->w * (size_t)l->scale * c;
    uint8_t *to = s->canvas.pixels + (size_t)y * pitch + (size_t)x * c;
    for (int r = 0; r < l->h; r++) {
        widen(l, pixels + (size_t)r * (size_t)l->w * c, to);
        for (int k = 1; k < l->scale; k++)
            memcpy(to + (size_t)k * pitch, to, width);
        to += (size_t)l->scale * pitch;
    }
    if (l->captions && caption)
        cm_text_draw(&s->canvas, &(cm_text_line){.text = caption,
                                                 .x = x,
                                                 .y = y + l->h * l->scale + SPACE * text_size(l),
                                                 .room = l->w * l->scale,
                                                 .size = text_size(l),
                                                 .centred = 1});
}
