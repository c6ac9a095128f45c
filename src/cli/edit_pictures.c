/* edit_pictures.c */
#include "cli/edit_pictures.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static cm_status no_memory(cm_error *err)
{
    return cli_fail(err, CM_ERR_MEMORY, "pictures: out of memory");
}

/* ---- sizes ------------------------------------------------------------------- */

/* "2, 4, 8": what divides both sides. */
static void show_factors(const cm_model_facts *f, char *text, size_t size)
{
    size_t at = 0;
    *text = '\0';
    for (int k = 2; k <= f->height && k <= f->width && at < size; k++)
        if (f->height % k == 0 && f->width % k == 0)
            at += (size_t)snprintf(text + at, size - at, "%s%d", at ? ", " : "", k);
}

/* Of the first picture, where the user gives none. */
static cm_status find_factor(const edit_wish *w, const char *path, const cm_images *m,
                             edit_pictures *p, cm_error *err)
{
    const cm_model_facts *f = &w->facts;
    char factors[128];
    const int k = f->height / m->h;
    if (p->factor || !w->takes_factor)
        return CM_OK;
    p->factor = w->factor ? w->factor : k;
    if (p->factor >= 2 && f->height % p->factor == 0 && f->width % p->factor == 0 &&
        (w->factor || (m->h * k == f->height && m->w * k == f->width)))
        return CM_OK;
    show_factors(f, factors, sizeof factors);
    if (w->factor)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'factor': the model draws %d x %d: expected one of %s, found %lld",
                        f->width, f->height, factors, (long long)w->factor);
    return cli_fail(
        err, CM_ERR_ARGUMENT,
        "%s: is %d x %d: expected a picture that the model's %d x %d are 2 or more times "
        "as large as; of others give --factor, one of %s, by which they are reduced",
        path, m->w, m->h, f->width, f->height, factors);
}

/* Room for n pictures. */
static cm_status make(cm_images *to, int64_t n, int h, int w, int c, cm_error *err)
{
    *to = (cm_images){.size = sizeof *to, .n = n, .h = h, .w = w, .c = c};
    to->pixels = calloc((size_t)n, (size_t)h * (size_t)w * (size_t)c);
    to->labels = calloc((size_t)n, sizeof *to->labels);
    return to->pixels && to->labels ? CM_OK : no_memory(err);
}

static void put(cm_images *to, int64_t i, const cm_images *one)
{
    const size_t bytes = (size_t)to->h * (size_t)to->w * (size_t)to->c;
    memcpy(to->pixels + (size_t)i * bytes, one->pixels, bytes);
    to->labels[i] = -1;
}

/* Picture i as the model is told, and as large as its images.  One that is larger than what
 * the model is told becomes as large as its images first, so that a test image and its
 * reduction are the same thing. */
static cm_status fit(const edit_wish *w, edit_pictures *p, int64_t i, const cm_images *m,
                     cm_error *err)
{
    const cm_model_facts *f = &w->facts;
    const int k = p->factor ? (int)p->factor : 1, h = f->height / k, wide = f->width / k;
    const int is_small = m->h <= h && m->w <= wide;
    cm_images *small = NULL, *input = NULL;
    cm_status s = CM_OK;
    if (is_small && k > 1) {
        s = cm_images_resize(m, h, wide, f->channels, w->fit, 0, &small, err);
        if (!s)
            s = cm_images_resize(small, f->height, f->width, f->channels, "stretch", 1, &input,
                                 err);
    } else {
        s = cm_images_resize(m, f->height, f->width, f->channels, w->fit, 0, &input, err);
        if (!s)
            s = cm_images_resize(input, h, wide, f->channels, "stretch", 0, &small, err);
    }
    if (!s) {
        put(&p->input, i, input);
        put(&p->small, i, small);
    }
    cm_images_free(input);
    cm_images_free(small);
    return s;
}

/* ---- masks ------------------------------------------------------------------- */

/* "8,8,12,12": four whole numbers of at most five digits. */
static int read_box(const char *text, int box[4])
{
    char *end = NULL;
    for (int i = 0; i < 4; i++, text = end + 1) {
        const long v = strtol(text, &end, 10);
        if (end == text || end - text > 5 || *end != (i < 3 ? ',' : '\0'))
            return 0;
        box[i] = (int)v;
    }
    return 1;
}

/* That it is one, whatever the picture. */
static cm_status check_box(const char *text, cm_error *err)
{
    int box[4];
    if (!*text || (read_box(text, box) && box[0] >= 0 && box[1] >= 0 && box[2] > 0 && box[3] > 0))
        return CM_OK;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option 'box': expected x,y,w,h such as 8,8,12,12, found '%s'", text);
}

/* The box of a picture in white on black. */
static cm_status draw_box(const char *text, const char *path, const cm_images *m, cm_images *mask,
                          cm_error *err)
{
    int box[4] = {0};
    read_box(text, box);
    const int x = box[0], y = box[1], w = box[2], h = box[3];
    if (x + w > m->w || y + h > m->h)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'box': expected a box within the %d x %d of %s, found %s", m->w,
                        m->h, path, text);
    const cm_status s = make(mask, 1, m->h, m->w, 1, err);
    for (int row = y; row < y + h && !s; row++)
        memset(mask->pixels + (size_t)row * (size_t)m->w + x, 255, (size_t)w);
    return s;
}

static void clear(cm_images *m)
{
    free(m->pixels);
    free(m->labels);
    *m = (cm_images){0};
}

static int64_t count_white(const cm_images *m)
{
    int64_t white = 0;
    for (int k = 0; k < m->h * m->w; k++)
        white += m->pixels[k] > 127;
    return white;
}

/* In gray, of its own size. */
static cm_status read_mask(const char *path, cm_images **mask, cm_error *err)
{
    cm_images *m = NULL;
    cm_status s = cm_images_read(path, &m, err);
    if (!s)
        s = cm_images_resize(m, m->h, m->w, 1, "stretch", 1, mask, err);
    cm_images_free(m);
    return s || count_white(*mask)
               ? s
               : cli_fail(err, CM_ERR_ARGUMENT,
                          "%s: expected white where the picture is to be filled, found none", path);
}

/* There is white in a mask of picture m, but nothing of it comes to the model. */
static cm_status fail_too_small(const edit_wish *w, const cm_images *mask, const cm_images *m,
                                const char *path, cm_error *err)
{
    char what[64 + sizeof(cm_text)], found[128];
    snprintf(what, sizeof what, *w->box ? "option 'box': %s" : "%s", *w->box ? w->box : w->mask);
    snprintf(found, sizeof found, "; found %lld of %d x %d pixels white",
             (long long)count_white(mask), mask->w, mask->h);
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "%s: covers no pixel of the model's %d x %d where %s, %d x %d, is fitted to it "
                    "(--fit %s)%s: expected %s",
                    what, w->facts.width, w->facts.height, path, m->w, m->h, w->fit,
                    *w->box ? "" : found, *w->box ? "a larger box, or another" : "more, or others");
}

/* The mask of picture i.  One of the picture's own size goes where the picture goes, another is
 * stretched over the model's image. */
static cm_status fit_mask(const edit_wish *w, const cm_images *mask, const char *path,
                          const cm_images *m, edit_pictures *p, int64_t i, cm_error *err)
{
    const int same = mask->h == m->h && mask->w == m->w;
    cm_images *fitted = NULL;
    const cm_status s = cm_images_resize(mask, w->facts.height, w->facts.width, 1,
                                         same ? w->fit : "stretch", 1, &fitted, err);
    if (s)
        return s;
    const int64_t filled = count_white(fitted);
    put(&p->mask, i, fitted);
    cm_images_free(fitted);
    return filled ? CM_OK : fail_too_small(w, mask, m, path, err);
}

static cm_status add_mask(const edit_wish *w, const cm_images *mask, const char *path,
                          const cm_images *m, edit_pictures *p, int64_t i, cm_error *err)
{
    cm_images box = {0};
    if (mask)
        return fit_mask(w, mask, path, m, p, i, err);
    if (!*w->box)
        return CM_OK;
    cm_status s = draw_box(w->box, path, m, &box, err);
    if (!s)
        s = fit_mask(w, &box, path, m, p, i, err);
    clear(&box);
    return s;
}

/* ---- all of them ------------------------------------------------------------- */

/* Files are sorted: those that begin with this name are the last ones. */
static int is_taken(const edit_pictures *p, const char *name)
{
    const size_t length = strlen(name);
    for (int64_t i = p->n - 1; i >= 0 && !strncmp(p->files.file[i].below, name, length); i--)
        if (!strcmp(p->names[i], name))
            return 1;
    return 0;
}

/* Picture n is that of the file: called so without the ending, and with it where another has the
 * name: a, a.png. */
static cm_status add_file(const edit_wish *w, edit_pictures *p, edit_file *f, cm_error *err)
{
    char *name = strdup(f->below);
    if (!name)
        return no_memory(err);
    char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    if (dot && dot != name && dot[-1] != '/') {
        *dot = '\0';
        if (is_taken(p, name))
            *dot = '.';
    }
    const edit_file this = *f;
    *f = p->files.file[p->n];
    p->files.file[p->n] = this;
    p->classes[p->n] = this.class_name ? cm_model_class(w->model, this.class_name) : -1;
    p->classed += p->classes[p->n] >= 0;
    p->names[p->n++] = name;
    return CM_OK;
}

/* Of a folder what is no picture, cannot be read, or is not covered by box or mask, is left out. */
static int is_left_out(const edit_pictures *p, cm_status s, const cm_error *why)
{
    const int is_out =
        p->files.of_folder && (s == CM_ERR_FORMAT || s == CM_ERR_IO || s == CM_ERR_ARGUMENT);
    if (is_out)
        cli_say(stderr, "cm: left out: %s", why->message);
    return is_out;
}

static cm_status read_one(const edit_wish *w, const cm_images *mask, edit_file *f, edit_pictures *p,
                          cm_error *err)
{
    cm_images *m = NULL;
    cm_error why = {0};
    cm_status s = cm_images_read(f->path, &m, &why);
    if (s)
        return is_left_out(p, s, &why) ? CM_OK : cli_fail(err, s, "%s", why.message);
    s = find_factor(w, f->path, m, p, err);
    if (!s && !p->small.pixels)
        s = make(&p->small, p->input.n, w->facts.height / (p->factor ? (int)p->factor : 1),
                 w->facts.width / (p->factor ? (int)p->factor : 1), w->facts.channels, err);
    if (!s)
        s = fit(w, p, p->n, m, err);
    const cm_status covers = s ? s : add_mask(w, mask, f->path, m, p, p->n, &why);
    if (!s && !covers)
        s = add_file(w, p, f, err);
    else if (!s && !is_left_out(p, covers, &why))
        s = cli_fail(err, covers, "%s", why.message);
    cm_images_free(m);
    return s;
}

static cm_status make_all(const edit_wish *w, int64_t n, int has_mask, edit_pictures *p,
                          cm_error *err)
{
    const cm_model_facts *f = &w->facts;
    p->names = calloc((size_t)n + 1, sizeof *p->names);
    p->classes = calloc((size_t)n + 1, sizeof *p->classes);
    cm_status s = p->names && p->classes ? CM_OK : no_memory(err);
    if (!s && n)
        s = make(&p->input, n, f->height, f->width, f->channels, err);
    if (!s && n && has_mask)
        s = make(&p->mask, n, f->height, f->width, 1, err);
    return s;
}

cm_status edit_pictures_read(const edit_wish *w, edit_pictures *p, cm_error *err)
{
    cm_images *mask = NULL;
    cm_status s = check_box(w->box, err);
    if (!s && *w->mask)
        s = read_mask(w->mask, &mask, err);
    if (!s)
        s = edit_list_read(w->image, w->to, &p->files, err);
    if (!s)
        s = make_all(w, p->files.n, mask || *w->box, p, err);
    for (int64_t i = 0; i < p->files.n && !s; i++)
        s = read_one(w, mask, &p->files.file[i], p, err);
    if (!s && !p->n)
        s = cli_fail(err, CM_ERR_FORMAT, "%s: expected PNG, JPEG or WebP pictures%s, found none",
                     w->image, *w->box || *w->mask ? " that the box or mask covers part of" : "");
    p->input.n = p->small.n = p->n; /* some may have been left out */
    p->mask.n = p->mask.pixels ? p->n : 0;
    cm_images_free(mask);
    return s;
}

void edit_pictures_free(edit_pictures *p)
{
    clear(&p->input);
    clear(&p->small);
    clear(&p->mask);
    for (int64_t i = 0; p->names && i < p->n; i++)
        free(p->names[i]);
    free(p->names);
    free(p->classes);
    edit_list_free(&p->files);
    *p = (edit_pictures){0};
}
