/* picture.c - images as one picture: a sheet of rows and columns, or a film whose frames are its
 * columns */
#include "sample/picture.h"

#include "base/error.h"
#include "io/gif.h"
#include "io/image.h"
#include "model/class_names.h"

#include <stdio.h>

enum { QUALITY = 92 };

/* ---- grids ---- */

/* The layout's own text, else "cat", else "3"; NULL: no class.  number is room for the latter. */
static const char *caption_of(const cm_images *m, int64_t i, const cm_layout *l,
                              const json_t *names, char number[24])
{
    const int64_t label = m->labels ? m->labels[i] : -1;
    const char *name = l->texts ? l->texts[i] : cm_class_name(names, label);
    snprintf(number, 24, "%lld", (long long)label);
    return name ? name : label >= 0 ? number : NULL;
}

static cm_sheet_layout sheet_of(const cm_images *m, const cm_layout *l)
{
    return (cm_sheet_layout){.n = m->n,
                             .h = m->h,
                             .w = m->w,
                             .c = m->c,
                             .columns = l->columns,
                             .scale = l->scale,
                             .captions = l->captions,
                             .heading = l->heading};
}

static cm_status check_one(const cm_images *m, const cm_layout *l, cm_error *err)
{
    if (l->columns >= 0 || m->n == 1)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "layout: columns: expected 0 or more for %lld images, found %d", (long long)m->n,
                   l->columns);
}

cm_status cm_picture_grid(const cm_images *m, const char *format, const char *name,
                          const cm_layout *l, uint8_t **bytes, size_t *size, cm_error *err)
{
    const cm_sheet_layout as = sheet_of(m, l);
    char number[24];
    json_t *names = NULL;
    cm_sheet sheet = {0};
    cm_status s = check_one(m, l, err);
    if (!s)
        s = cm_model_class_names(l->model, &names, err);
    if (!s)
        s = cm_sheet_new(&as, name, &sheet, err);
    for (int64_t i = 0; i < m->n && !s; i++)
        cm_sheet_put(&sheet, i, m->pixels + i * m->h * m->w * m->c,
                     caption_of(m, i, l, names, number));
    if (!s)
        s = cm_image_encode(&(cm_encoding){format, QUALITY, l->heading}, sheet.canvas.w,
                            sheet.canvas.h, m->c, sheet.canvas.pixels, bytes, size, err);
    cm_sheet_clear(&sheet);
    json_decref(names);
    return s;
}

/* ---- animations ---- */

static int64_t frames_of(const cm_images *m, const cm_layout *l)
{
    return l->columns > 0 && l->columns < m->n ? l->columns : m->n;
}

/* A frame: column k of the grid, as a square one; an image without text is a frame as it is. */
static cm_sheet_layout frame_of(const cm_images *m, const cm_layout *l, int64_t k, int lines)
{
    cm_sheet_layout as = sheet_of(m, l);
    as.n = (m->n + frames_of(m, l) - 1) / frames_of(m, l);
    as.columns = 0;
    as.captions = l->captions && !l->texts;
    if (l->texts)
        as.heading = *l->texts[k] ? l->texts[k] : " "; /* all frames are of one size */
    if (as.n == 1 && !as.captions && !(as.heading && *as.heading))
        as.columns = -1;
    as.least_lines = lines;
    return as;
}

/* Lines of the longest heading. */
static int lines_of(const cm_images *m, const cm_layout *l)
{
    int most = 0;
    for (int64_t k = 0; k < (l->texts ? frames_of(m, l) : 0); k++) {
        const cm_sheet_layout as = frame_of(m, l, k, 0);
        const int lines = cm_sheet_heading_lines(&as);
        most = lines > most ? lines : most;
    }
    return most;
}

static cm_status draw_frame(const cm_images *m, int64_t k, int lines, const char *name,
                            const cm_layout *l, const json_t *names, cm_sheet *sheet, cm_error *err)
{
    char number[24];
    const cm_sheet_layout as = frame_of(m, l, k, lines);
    const int64_t frames = frames_of(m, l);
    const cm_status s = cm_sheet_new(&as, name, sheet, err);
    for (int64_t i = k; i < m->n && !s; i += frames)
        cm_sheet_put(sheet, i / frames, m->pixels + i * m->h * m->w * m->c,
                     caption_of(m, i, l, names, number));
    return s;
}

/* About four seconds, and the last frame to be looked at. */
static int hundredths(int64_t k, int64_t frames)
{
    const int64_t each = 400 / frames;
    return k == frames - 1 ? 150 : each > 50 ? 50 : each < 4 ? 4 : (int)each;
}

cm_status cm_picture_film(const cm_images *m, const char *name, const cm_layout *l, uint8_t **bytes,
                          size_t *size, cm_error *err)
{
    json_t *names = NULL;
    cm_gif *gif = NULL;
    const int64_t frames = frames_of(m, l);
    const int lines = lines_of(m, l);
    cm_status s = cm_model_class_names(l->model, &names, err);
    for (int64_t k = 0; k < frames && !s; k++) {
        cm_sheet sheet = {0};
        s = draw_frame(m, k, lines, name, l, names, &sheet, err);
        if (!s && !gif)
            s = cm_gif_new(sheet.canvas.w, sheet.canvas.h, m->c, name, &gif, err);
        if (!s)
            s = cm_gif_frame(gif, sheet.canvas.pixels, hundredths(k, frames), err);
        cm_sheet_clear(&sheet);
    }
    if (!s)
        s = cm_gif_end(gif, bytes, size, err);
    cm_gif_free(gif);
    json_decref(names);
    return s;
}

cm_sheet_layout cm_picture_layout(const cm_images *m, const cm_layout *l, int is_film)
{
    return is_film ? frame_of(m, l, 0, lines_of(m, l)) : sheet_of(m, l);
}
