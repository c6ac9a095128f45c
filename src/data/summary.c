/* summary.c - what a user should know about a data set before training on it */
#include "data/summary.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "draw/sheet.h"
#include "io/png.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

enum { LINE = 900, WIDTH = 79, IN_LINE = 10, MAX_NAMED = 20 /* classes */ };

/* A line that grows; what does not fit is cut. */
typedef struct line_text {
    char text[LINE];
    size_t n;
} line_text;

__attribute__((format(printf, 2, 3))) static void add(line_text *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, args);
    va_end(args);
    l->n += n > 0 ? (size_t)n : 0;
    l->n = l->n < sizeof l->text ? l->n : sizeof l->text - 1;
}

static void add_kinds(line_text *l, const cm_kind_count *list)
{
    for (int k = 0; k < CM_FOUND_KINDS && list[k].kind; k++)
        add(l, "%s%lld %s", k ? ", " : " (", (long long)list[k].n, list[k].kind);
    if (list[0].kind)
        add(l, ")");
}

/* Images of each class, to be freed; NULL: no classes, or no memory to tell. */
static int64_t *count_classes(const cm_dataset *d)
{
    int64_t *n = d->classes ? cm_alloc_array((size_t)d->classes, sizeof *n) : NULL;
    for (int64_t i = 0; n && i < d->n; i++)
        n[d->labels[i]]++;
    return n;
}

/* "cat 3", or "0: 3" where they have no names. */
static const char *class_text(const cm_dataset *d, int k, int64_t n, char buf[96])
{
    char shown[64];
    if (d->class_names)
        cm_escape(shown, sizeof shown, d->class_names[k]);
    else
        snprintf(shown, sizeof shown, "%d:", k);
    snprintf(buf, 96, "%s %lld", shown, (long long)n);
    return buf;
}

/* A few are named in the first line. */
static void add_classes(line_text *l, const cm_dataset *d, const int64_t *n)
{
    char class[96];
    if (!d->classes) {
        add(l, ", no classes");
        return;
    }
    add(l, ", %d class%s", d->classes, d->classes == 1 ? "" : "es");
    for (int k = 0; n && d->classes <= IN_LINE && k < d->classes; k++)
        add(l, "%s%s", k ? ", " : ": ", class_text(d, k, n[k], class));
}

/* Of many the first have lines of their own. */
static void class_lines(const cm_dataset *d, const int64_t *n, void (*line)(void *, const char *),
                        void *user)
{
    char class[96];
    line_text l = {0};
    if (!n || d->classes <= IN_LINE)
        return;
    add(&l, "classes:");
    for (int k = 0; k < d->classes && k <= MAX_NAMED; k++) {
        if (k < MAX_NAMED)
            class_text(d, k, n[k], class);
        else
            snprintf(class, sizeof class, "and %d more", d->classes - MAX_NAMED);
        const int needs = cm_utf8_width(class) + 2; /* " " and "," */
        if (cm_utf8_width(l.text) + needs > WIDTH) {
            line(user, l.text);
            l = (line_text){0};
            add(&l, "       ");
        }
        add(&l, " %s%s", class, k < MAX_NAMED && k < d->classes - 1 ? "," : "");
    }
    line(user, l.text);
}

static void first_line(const cm_dataset *d, const int64_t *in_class, line_text *l)
{
    const cm_found *f = &d->found;
    add(l, "%lld image%s", (long long)d->n, cm_plural(d->n));
    add_kinds(l, f->kinds);
    add_classes(l, d, in_class);
    if (f->n_notes)
        add(l, "; %lld file%s left out", (long long)f->n_notes, cm_plural(f->n_notes));
    add_kinds(l, f->left_out);
}

static void size_line(const cm_dataset *d, line_text *l)
{
    const cm_found *f = &d->found;
    add(l, "images of %d x %d, %s", d->w, d->h,
        d->c == 1 ? "1 channel (grey)" : "3 channels (RGB)");
    if (f->most_w &&
        (f->least_w != d->w || f->least_h != d->h || f->most_w != d->w || f->most_h != d->h)) {
        const int pad = f->most_w == 28 && f->most_h == 28 && d->w == 32 && d->h == 32;
        add(l, ", %s from %d x %d", pad ? "padded" : "resized and cut from the centre", f->least_w,
            f->least_h);
        if (f->least_w != f->most_w || f->least_h != f->most_h)
            add(l, " to %d x %d", f->most_w, f->most_h);
    }
    if (f->recoloured)
        add(l, "; %lld converted from %s", (long long)f->recoloured, d->c == 3 ? "grey" : "RGB");
}

static void transparent_line(const cm_found *f, line_text *l)
{
    const uint8_t *c = f->background;
    const unsigned rgb = (unsigned)c[0] << 16 | (unsigned)c[1] << 8 | c[2];
    char colour[8];
    snprintf(colour, sizeof colour, "%06x", rgb);
    add(l, "%lld image%s partly transparent, on %s (--background)", (long long)f->transparent,
        f->transparent == 1 ? " is" : "s are",
        rgb == 0xffffff ? "white"
        : rgb           ? colour
                        : "black");
}

/* Halves of a set, not kinds of pictures. */
static int is_split_name(const char *name)
{
    static const char *const splits[] = {"train", "training", "test",      "testing",
                                         "val",   "valid",    "validation"};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
        if (!strcasecmp(name, splits[i]))
            return 1;
    return 0;
}

static void warn_of_splits(const cm_dataset *d, void (*line)(void *, const char *), void *user)
{
    for (int k = 0; d->class_names && k < d->classes; k++) {
        line_text l = {0};
        if (!is_split_name(d->class_names[k]))
            continue;
        add(&l,
            "warning: '%s' is taken as a class; if it is a part of the set, give that folder as "
            "the "
            "data, or --labels none",
            d->class_names[k]);
        line(user, l.text);
    }
}

const char *cm_dataset_left_out(const cm_dataset *d, const char *source, char text[CM_LEFT_OUT])
{
    const cm_found *f = &d->found;
    *text = '\0';
    if (f->n_notes)
        snprintf(text, CM_LEFT_OUT, "%.100s: %lld file%s left out, the first of them %.300s",
                 source, (long long)f->n_notes, cm_plural(f->n_notes), f->notes[0]);
    return text;
}

void cm_dataset_summary(const cm_dataset *d, int64_t names, void (*line)(void *, const char *),
                        void *user)
{
    const cm_found *f = &d->found;
    line_text first = {0}, size = {0}, transparent = {0};
    int64_t *in_class = count_classes(d);
    first_line(d, in_class, &first);
    size_line(d, &size);
    line(user, first.text);
    class_lines(d, in_class, line, user);
    cm_free(in_class);
    line(user, size.text);
    transparent_line(f, &transparent);
    if (f->transparent)
        line(user, transparent.text);
    warn_of_splits(d, line, user);
    for (int64_t i = 0; i < f->n_notes && i < names; i++) {
        line_text l = {0};
        add(&l, "left out: %s", f->notes[i]);
        line(user, l.text);
    }
    if (f->n_notes > names) {
        line_text l = {0};
        add(&l, "left out: %lld more, which 'cm data' names", (long long)(f->n_notes - names));
        line(user, l.text);
    }
}

/* ---- statistics ---- */

typedef struct moments {
    double mean, deviation;
} moments;

/* Of channel c, or of all where c is -1; 0 to 255 stands for -1 to 1. */
static moments moments_of(const cm_dataset *d, int c)
{
    int64_t count[256] = {0};
    const int64_t first = c < 0 ? 0 : c, step = c < 0 ? 1 : d->c;
    for (int64_t i = first; i < d->n * d->h * d->w * d->c; i += step)
        count[d->pixels[i]]++;
    double n = 0.0, sum = 0.0, squares = 0.0;
    for (int v = 0; v < 256; v++) {
        const double x = v / 127.5 - 1.0, k = (double)count[v];
        n += k;
        sum += k * x;
        squares += k * x * x;
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    return (moments){mean, variance > 0.0 ? sqrt(variance) : 0.0};
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Images whose pixels another before them has; 0 too where there is no memory to tell. */
static int64_t count_copies(const cm_dataset *d)
{
    const size_t bytes = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    uint64_t *hash = cm_alloc_array((size_t)d->n, sizeof *hash);
    int64_t copies = 0;
    if (!hash)
        return 0;
    for (int64_t i = 0; i < d->n; i++)
        hash[i] = XXH3_64bits(d->pixels + (size_t)i * bytes, bytes);
    qsort(hash, (size_t)d->n, sizeof *hash, by_value);
    for (int64_t i = 1; i < d->n; i++)
        copies += hash[i] == hash[i - 1];
    cm_free(hash);
    return copies;
}

void cm_dataset_statistics(const cm_dataset *d, void (*line)(void *, const char *), void *user)
{
    static const char *const names[] = {"red", "green", "blue"};
    line_text values = {0}, same = {0};
    const moments all = moments_of(d, -1);
    add(&values, "values within [-1, 1]: mean %.2f, standard deviation %.2f", all.mean,
        all.deviation);
    for (int c = 0; c < d->c && d->c == 3; c++) {
        const moments m = moments_of(d, c);
        add(&values, "%s %s %.2f and %.2f", c ? "," : ";", names[c], m.mean, m.deviation);
    }
    line(user, values.text);
    const int64_t copies = count_copies(d);
    add(&same, "%lld image%s of another", (long long)copies,
        copies == 1 ? " is a copy" : "s are copies");
    if (copies)
        line(user, same.text);
}

/* ---- the sheet ---- */

/* As many as a sheet that people look at may have. */
static cm_sheet_layout sheet_layout(const cm_dataset *d, int most, int scale)
{
    enum { MOST_SIDE = 8192 };
    cm_sheet_layout l = {.n = d->n < most ? d->n : most,
                         .h = d->h,
                         .w = d->w,
                         .c = d->c,
                         .columns = 1,
                         .scale = scale,
                         .captions = d->classes > 0};
    int64_t w, h;
    while (l.columns * l.columns < l.n)
        l.columns++;
    for (cm_sheet_size(&l, &w, &h); l.columns > 1 && w > MOST_SIDE; cm_sheet_size(&l, &w, &h))
        l.columns--;
    for (; l.n > 1 && h > MOST_SIDE; cm_sheet_size(&l, &w, &h))
        l.n--;
    return l;
}

cm_status cm_dataset_sheet(const cm_dataset *d, int most, int scale, const char *path,
                           cm_error *err)
{
    const cm_sheet_layout l = sheet_layout(d, most, scale);
    char number[16];
    cm_sheet sheet;
    cm_status s = cm_sheet_new(&l, path, &sheet, err);
    if (s)
        return s;
    for (int64_t i = 0; i < l.n; i++) {
        const int64_t at = i * d->n / l.n;
        const int label = d->classes ? d->labels[at] : 0;
        snprintf(number, sizeof number, "%d", label);
        cm_sheet_put(&sheet, i, d->pixels + at * d->h * d->w * d->c,
                     d->class_names ? d->class_names[label] : number);
    }
    s = cm_png_write(path, sheet.canvas.w, sheet.canvas.h, d->c, sheet.canvas.pixels, NULL, err);
    cm_sheet_clear(&sheet);
    return s;
}
