/* edit_output.c */
#include "cli/edit_output.h"

#include "cli/cli.h"
#include "cli/edit_place.h"
#include "cli/pipe.h"
#include "cli/signals.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const cm_images *m)
{
    return (size_t)m->h * (size_t)m->w * (size_t)m->c;
}

/* Image i alone. */
static cm_images one_of(const cm_images *m, int64_t i)
{
    cm_images one = *m;
    one.n = 1;
    one.first = 0;
    one.pixels += (size_t)i * bytes_of(m);
    one.labels += i;
    one.values = one.noise = NULL;
    return one;
}

/* Of n images: one alone, a row a picture, of one picture a square. */
static cm_layout layout_of(const edit_result *r, int64_t n)
{
    cm_layout layout = r->layout;
    if (r->strip) {
        layout.columns = (int)(2 + r->each);
        layout.captions = 1;
    } else if (!layout.columns && n == 1 && !(layout.heading && *layout.heading)) {
        layout.columns = -1;
    } else if (!layout.columns && r->pictures->n != 1) {
        layout.columns = (int)r->each;
    }
    return layout;
}

/* ---- a folder ---------------------------------------------------------------- */

static cm_status write_folder(const edit_result *r, cm_error *err)
{
    char path[4096];
    cm_status s = CM_OK;
    if (!r->pictures->n)
        return cm_images_write(r->images, r->out, &r->layout, err);
    for (int64_t i = 0; i < r->images->n && !s; i++) {
        if (cli_stop_wish() == CM_TRAIN_STOP)
            return cli_fail(err, CM_INTERRUPTED, "%s: stopped after %lld of %lld images", r->out,
                            (long long)i, (long long)r->images->n);
        const cm_images one = one_of(r->images, i);
        const char *name = r->pictures->names[i / r->each];
        const int n = r->each > 1 ? snprintf(path, sizeof path, "%s/%s_%lld.png", r->out, name,
                                             (long long)(i % r->each) + 1)
                                  : snprintf(path, sizeof path, "%s/%s.png", r->out, name);
        cm_layout layout = r->layout;
        layout.columns = -1;
        s = n < 0 || (size_t)n >= sizeof path
                ? cli_fail(err, CM_ERR_ARGUMENT, "%.100s: the path is too long", r->out)
                : edit_place_folders(path, (size_t)(strrchr(path, '/') - path), NULL, err);
        if (!s)
            s = cm_images_write(&one, path, &layout, err);
    }
    return s;
}

/* ---- a strip ----------------------------------------------------------------- */

typedef struct strip {
    cm_images images;
    const char **texts;
    char (*numbers)[24];
} strip;

static void add(strip *s, const uint8_t *pixels, const char *text)
{
    cm_images *m = &s->images;
    memcpy(m->pixels + (size_t)m->n * bytes_of(m), pixels, bytes_of(m));
    m->labels[m->n] = -1;
    s->texts[m->n++] = text;
}

/* A row a picture: itself, what the model was told of it, what came of it. */
static void fill(strip *s, const edit_result *r)
{
    const cm_images *m = r->images;
    const size_t bytes = bytes_of(m);
    for (int64_t p = 0; p < r->pictures->n; p++) {
        add(s, r->pictures->input.pixels + (size_t)p * bytes, "input");
        add(s, r->seen + (size_t)p * bytes, r->seen_as);
        for (int64_t k = 0; k < r->each; k++) {
            snprintf(s->numbers[k], sizeof *s->numbers, "%lld", (long long)k + 1);
            add(s, m->pixels + (size_t)(p * r->each + k) * bytes,
                r->made_as ? r->made_as : s->numbers[k]);
        }
    }
}

static cm_status write_strip(const edit_result *r, const char *path, cm_error *err)
{
    const cm_images *m = r->images;
    const size_t n = (size_t)(r->pictures->n * (2 + r->each));
    strip s = {.images = {.size = sizeof s.images, .h = m->h, .w = m->w, .c = m->c},
               .texts = calloc(n, sizeof *s.texts),
               .numbers = calloc((size_t)r->each, sizeof *s.numbers)};
    s.images.pixels = calloc(n, bytes_of(m));
    s.images.labels = calloc(n, sizeof *s.images.labels);
    cm_status status = cli_fail(err, CM_ERR_MEMORY, "strip: out of memory");
    if (s.texts && s.numbers && s.images.pixels && s.images.labels) {
        cm_layout layout = layout_of(r, (int64_t)n);
        layout.texts = s.texts;
        fill(&s, r);
        status = cm_images_write(&s.images, path, &layout, err);
    }
    free(s.images.pixels);
    free(s.images.labels);
    free(s.texts);
    free(s.numbers);
    return status;
}

/* One picture, a grid, or arrays. */
static cm_status write_file(const void *what, const char *path, cm_error *err)
{
    const edit_result *r = what;
    const cm_layout layout = layout_of(r, r->images->n);
    if (r->strip)
        return write_strip(r, path, err);
    return cm_images_write(r->images, path, &layout, err);
}

/* Of the names in a folder none is longer than a file's may be. */
static cm_status check_names(const edit_result *r, cm_error *err)
{
    char number[32] = "";
    if (r->each > 1)
        snprintf(number, sizeof number, "_%lld", (long long)r->each);
    for (int64_t i = 0; i < r->pictures->n; i++) {
        const char *slash = strrchr(r->pictures->names[i], '/');
        const size_t n = strlen(slash ? slash + 1 : r->pictures->names[i]) + strlen(number) + 4;
        if (n > NAME_MAX)
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "%s: the name of its result, with '%s.png' behind it, has %zu bytes: "
                            "expected at most %d",
                            r->pictures->files.file[i].path, number, n, NAME_MAX);
    }
    return CM_OK;
}

cm_status edit_output_check(const edit_result *r, int64_t n, const cm_model_facts *f, cm_error *err)
{
    const cm_images expected = {.size = sizeof expected,
                                .n = r->strip ? n + 2 * r->pictures->n : n,
                                .h = f->height,
                                .w = f->width,
                                .c = f->channels};
    const cm_layout layout = layout_of(r, n);
    int64_t next = -1;
    if (cli_is_pipe(r->out)) /* which nothing is known of */
        return CM_OK;
    const cm_status s = cm_images_check_path(r->out, &expected, &layout, &next, err);
    if (!s && next > 0 && !r->pictures->n) /* names are numbers, as those of samples */
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "%s: holds images up to number %lld, among which these would be: expected "
                        "another folder",
                        r->out, (long long)next - 1);
    return s || next < 0 ? s : check_names(r, err);
}

cm_status edit_write(const edit_result *r, cm_error *err)
{
    int64_t next = -1;
    if (cli_is_pipe(r->out))
        return cli_pipe_write(write_file, r, err);
    const cm_status s = cm_images_check_path(r->out, NULL, NULL, &next, err);
    if (s)
        return s;
    return next >= 0 ? write_folder(r, err) : write_file(r, r->out, err);
}
