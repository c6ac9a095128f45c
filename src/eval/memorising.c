/* memorising.c */
#include "eval/memorising.h"

#include "base/error.h"
#include "base/memory.h"
#include "draw/sheet.h"
#include "eval/neighbours.h"
#include "io/png.h"

#include <math.h>
#include <stdlib.h>

enum { K = CM_NEIGHBOURS, ROWS = 12, SCALE = 2 };

/* Images of a path, as features. */
typedef struct gathered {
    cm_image_source source;
    cm_feature_set kept;
} gathered;

typedef struct memory {
    const cm_memorising_task *of;
    int counts; /* this process, with what all have found */
    cm_products *products;
    gathered train, test;
    cm_neighbours near, near_test; /* training images of samples, of test images */
} memory;

static cm_status gather(memory *m, const char *path, int64_t most, const char *what, gathered *g,
                        cm_error *err)
{
    const cm_image_source *from = m->of->samples;
    char of[600];
    snprintf(of, sizeof of, "the samples %s", from->name);
    const cm_image_shape as = {from->h, from->w, from->c, of};
    cm_status s = cm_image_source_open(path, &as, 0, &g->source, err);
    s = cm_group_agree(cm_eval_group(m->of->hooks), s, err);
    if (s)
        return s;
    if (g->source.n > most)
        g->source.n = most;
    cm_collection to = {.kept = &g->kept, .most_kept = most};
    cm_eval_phase phase = cm_eval_phase_begin(m->of->hooks, what, (double)g->source.n);
    s = cm_collect(m->of->extractor, m->of->batch, &g->source, &to, &phase, err);
    return s || !m->counts ? s : cm_feature_set_centre(&g->kept, m->of->centre, err);
}

static cm_status after_tile(void *user, double products, cm_error *err)
{
    return cm_eval_phase_add(user, products, err);
}

static cm_status find_nearest(memory *m, const cm_feature_set *x, cm_neighbours *near,
                              cm_error *err)
{
    const cm_feature_set *train = &m->train.kept;
    const cm_tile_visitor visitors[] = {{cm_neighbours_visit, near}, {0}};
    cm_eval_phase phase = cm_eval_phase_begin(m->of->hooks, "nearest training images",
                                              (double)x->n * (double)train->n);
    cm_status s = cm_neighbours_start(near, x->n, err);
    if (!s)
        s = cm_products_each(m->products, x, train, visitors, after_tile, &phase, err);
    if (!s)
        cm_neighbours_refine(near, x, train);
    return s;
}

/* ---- numbers ------------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The least distances in rising order; NULL: out of memory. */
static double *sorted(const cm_neighbours *near)
{
    double *d = cm_alloc_array((size_t)near->n + 1, sizeof *d);
    for (int64_t i = 0; i < near->n && d; i++)
        d[i] = sqrt(near->distance2[i * K]);
    if (d)
        qsort(d, (size_t)near->n, sizeof *d, rising);
    return d;
}

static double median(const double *d, int64_t n)
{
    return n ? (d[(n - 1) / 2] + d[n / 2]) / 2 : (double)NAN;
}

/* Share of pairs (i, j) with a_i < b_j, equal ones by half; both rise. */
static double share_below(const double *a, int64_t n, const double *b, int64_t m)
{
    double sum = 0;
    int64_t below = 0, not_above = 0; /* of a, beside b_j */
    for (int64_t j = 0; j < m; j++) {
        while (below < n && a[below] < b[j])
            below++;
        while (not_above < n && a[not_above] <= b[j])
            not_above++;
        sum += (double)(below + not_above) / 2;
    }
    return n && m ? sum / (double)n / (double)m : (double)NAN;
}

static cm_status count(const memory *m, cm_scores *r, cm_error *err)
{
    double *a = sorted(&m->near), *b = sorted(&m->near_test);
    const cm_status s = a && b ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "neighbours: out of memory");
    if (!s) {
        r->nearest = median(a, m->near.n);
        r->nearest_test = median(b, m->near_test.n);
        r->nearer = share_below(a, m->near.n, b, m->near_test.n);
    }
    cm_free(a);
    cm_free(b);
    return s;
}

/* ---- the picture ------------------------------------------------------------------ */

/* The `rows` samples that are nearest to a training image, the nearest first. */
static void choose(const cm_neighbours *near, int rows, int64_t *sample)
{
    int n = 0;
    for (int64_t i = 0; i < near->n; i++) {
        int at = n < rows ? n++ : rows;
        for (; at > 0 && near->distance2[sample[at - 1] * K] > near->distance2[i * K]; at--)
            if (at < rows)
                sample[at] = sample[at - 1];
        if (at < rows)
            sample[at] = i;
    }
}

/* A sample, then the training images nearest to it, each with its distance. */
static cm_status draw_row(memory *m, const cm_sheet *sheet, int row, int64_t sample,
                          uint8_t *pixels, cm_error *err)
{
    char caption[32];
    snprintf(caption, sizeof caption, "%lld", (long long)sample);
    cm_status s = cm_image_source_pick(m->of->samples, sample, pixels, err);
    if (!s)
        cm_sheet_put(sheet, row * (K + 1), pixels, caption);
    for (int k = 0; k < K && !s && m->near.index[sample * K + k] >= 0; k++) {
        s = cm_image_source_pick(&m->train.source, m->near.index[sample * K + k], pixels, err);
        snprintf(caption, sizeof caption, "%.3g", sqrt(m->near.distance2[sample * K + k]));
        if (!s)
            cm_sheet_put(sheet, row * (K + 1) + k + 1, pixels, caption);
    }
    return s;
}

static cm_status draw(memory *m, const char *distance, cm_error *err)
{
    char heading[128];
    const cm_image_source *as = m->of->samples;
    const char *path = m->of->params->nearest;
    const int rows = m->near.n < ROWS ? (int)m->near.n : ROWS;
    int64_t sample[ROWS];
    snprintf(heading, sizeof heading, "samples, nearest training images (%s)", distance);
    const cm_sheet_layout layout = {.n = rows * (K + 1),
                                    .h = as->h,
                                    .w = as->w,
                                    .c = as->c,
                                    .columns = K + 1,
                                    .scale = SCALE,
                                    .captions = 1,
                                    .heading = heading};
    cm_sheet sheet;
    cm_status s = cm_sheet_new(&layout, path, &sheet, err);
    if (s)
        return s;
    uint8_t *pixels = cm_alloc((size_t)as->h * (size_t)as->w * (size_t)as->c);
    if (!pixels)
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    choose(&m->near, rows, sample);
    for (int row = 0; row < rows && !s; row++)
        s = draw_row(m, &sheet, row, sample[row], pixels, err);
    if (!s)
        s = cm_png_write(path, sheet.canvas.w, sheet.canvas.h, as->c, sheet.canvas.pixels, NULL,
                         err);
    cm_free(pixels);
    cm_sheet_clear(&sheet);
    return s;
}

/* ---- in order ------------------------------------------------------------------------ */

static cm_status run(memory *m, cm_scores *r, cm_error *err)
{
    const cm_feature_set *kept = m->of->kept;
    cm_status s = gather(m, m->of->params->train, INT64_MAX, "training images", &m->train, err);
    if (!s && *m->of->params->test)
        s = gather(m, m->of->params->test, m->of->params->kept, "test images", &m->test, err);
    cm_scores_note_of(r, m->train.source.left_out);
    cm_scores_note_of(r, m->test.source.left_out);
    if (s || !m->counts)
        return s;
    s = cm_products_new(kept->d, m->of->threads, &m->products, err);
    if (!s)
        s = find_nearest(m, kept, &m->near, err);
    if (!s && m->test.kept.n)
        s = find_nearest(m, &m->test.kept, &m->near_test, err);
    if (!s)
        s = count(m, r, err);
    return s || !*m->of->params->nearest ? s : draw(m, r->names.distance, err);
}

cm_status cm_memorising(const cm_memorising_task *task, cm_scores *scores, cm_error *err)
{
    memory m = {.of = task, .counts = !cm_group_rank(cm_eval_group(task->hooks))};
    const cm_status s = run(&m, scores, err);
    cm_image_source_close(&m.train.source);
    cm_image_source_close(&m.test.source);
    cm_feature_set_clear(&m.train.kept);
    cm_feature_set_clear(&m.test.kept);
    cm_neighbours_clear(&m.near);
    cm_neighbours_clear(&m.near_test);
    cm_products_free(m.products);
    return s;
}
