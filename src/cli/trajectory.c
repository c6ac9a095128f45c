/* trajectory.c - x / sqrt(1 + 4 sigma^2) and D(x, sigma) at each noise level.
 *
 * x has the variance sigma_data^2 + sigma^2; scaled by sigma_data / sqrt(sigma_data^2 + sigma^2)
 * with sigma_data = 0.5, that of the released models, it is as bright as an image at each
 * level, and an image at sigma = 0. */
#include "cli/trajectory.h"
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const cli_trajectory_view cli_trajectory_views[] = {
    {"state", 1, 0, "x / sqrt(1 + 4 sigma^2) by sigma"},
    {"estimate", 0, 1, "D(x, sigma) by sigma"},
    {"both", 1, 1, "x / sqrt(1 + 4 sigma^2), below it D(x, sigma), by sigma"},
    {0},
};

static int rows(const cli_trajectory *t)
{
    return t->view->with_state + t->view->with_estimate;
}

/* ---- collecting --------------------------------------------------------------- */

static uint8_t to_byte(double v)
{
    return (uint8_t)(v <= -1 ? 0 : v >= 1 ? 255 : 127.5 * v + 128);
}

static void put(const cli_trajectory *t, int64_t image, int row, const double *from, double scale)
{
    uint8_t *to = t->frames[t->at] + (image * rows(t) + row) * t->size;
    for (int64_t e = 0; e < t->size; e++)
        to[e] = to_byte(scale * from[e]);
}

void cli_trajectory_step(void *user, int64_t first, int64_t n, double sigma, const double *x,
                         const double *denoised)
{
    cli_trajectory *t = user;
    if (first != t->batch)
        t->at = 0;
    t->batch = first;
    if (t->at == trajectory_most_steps)
        t->failed = 1;
    if (!t->failed && t->at == t->steps) {
        t->sigma[t->steps] = sigma;
        t->frames[t->steps] = calloc((size_t)(t->num * rows(t)), (size_t)t->size);
        t->failed = !t->frames[t->steps];
        t->steps += !t->failed;
    }
    if (t->failed)
        return;
    for (int64_t i = 0; i < n; i++) {
        if (t->view->with_state)
            put(t, first + i, 0, x + i * t->size, 1 / sqrt(1 + 4 * sigma * sigma));
        if (t->view->with_estimate)
            put(t, first + i, t->view->with_state, denoised + i * t->size, 1);
    }
    t->at++;
}

/* ---- writing ------------------------------------------------------------------ */

/* Row r of the strip, its results last. */
static void copy_row(const cli_trajectory *t, const cm_images *results, int64_t r, uint8_t *to)
{
    const size_t size = (size_t)t->size;
    for (int k = 0; k < t->steps; k++, to += size)
        memcpy(to, t->frames[k] + r * t->size, size);
    memcpy(to, results->pixels + r / rows(t) * t->size, size);
}

static cm_status write_strip(const cli_trajectory *t, const cm_images *results, const char *path,
                             const cm_layout *layout, uint8_t *pixels, const char **texts,
                             char (*labels)[32], cm_error *err)
{
    const int64_t columns = t->steps + 1;
    cm_layout l = *layout;
    cm_images strip = *results;
    strip.n = t->num * rows(t) * columns;
    strip.pixels = pixels;
    strip.values = NULL;
    strip.labels = NULL;
    /* Above a frame there is room to say what the number is. */
    const char *dot = strrchr(path, '.'), *name = dot && !strcasecmp(dot, ".gif") ? "sigma " : "";
    for (int k = 0; k < t->steps; k++)
        snprintf(labels[k], sizeof *labels, "%s%.3g", name, t->sigma[k]);
    snprintf(labels[t->steps], sizeof *labels, "image");
    for (int64_t i = 0; i < strip.n; i++)
        texts[i] = labels[i % columns];
    for (int64_t r = 0; r < t->num * rows(t); r++)
        copy_row(t, results, r, pixels + r * columns * t->size);
    l.columns = (int)columns;
    l.captions = 1;
    l.texts = texts;
    l.heading = layout->heading && *layout->heading ? layout->heading : t->view->heading;
    return cm_images_write(&strip, path, &l, err);
}

cm_status cli_trajectory_write(const cli_trajectory *t, const cm_images *results, const char *path,
                               const cm_layout *layout, cm_error *err)
{
    const size_t columns = (size_t)t->steps + 1, n = (size_t)(t->num * rows(t)) * columns;
    uint8_t *pixels = calloc(n, (size_t)t->size);
    const char **texts = calloc(n, sizeof *texts);
    char(*labels)[32] = calloc(columns, sizeof *labels);
    const cm_status status =
        t->failed || !pixels || !texts || !labels
            ? cli_fail(err, CM_ERR_MEMORY, "trajectory: out of memory for %d step%s", t->steps,
                       t->steps == 1 ? "" : "s")
            : write_strip(t, results, path, layout, pixels, texts, labels, err);
    free(pixels);
    free(texts);
    free(labels);
    return status;
}

void cli_trajectory_clear(cli_trajectory *t)
{
    for (int k = 0; k < t->steps; k++)
        free(t->frames[k]);
    t->steps = 0;
}
