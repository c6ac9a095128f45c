/* points_plot.c */
#include "eval/points_plot.h"

#include "base/memory.h"
#include "base/text.h"
#include "draw/chart.h"
#include "io/file.h"
#include "io/replace.h"

#include <math.h>
#include <stdio.h>

cm_status cm_points_plot_check(const char *path, cm_error *err)
{
    const cm_page_kind *kind;
    const cm_status s = cm_page_kind_find("plot", path, &kind, err);
    return s ? s : cm_replace_check(path, &cm_replaced_plot, err);
}

/* Those of a round in the order of the grid; how many. */
static size_t points_of(const cm_points_round *r, int N, cm_chart_point *to)
{
    size_t n = 0;
    for (int k = 0; k < N; k++)
        if (!isnan(r->distance[k]))
            to[n++] = (cm_chart_point){k, r->distance[k]};
    return n;
}

/* "levels of the grid: 80 at 0 to 0.002 at 39; lowest: 2.37 at 19, 0.89 at 25" */
static void note_of(char *note, size_t size, const cm_noise_schedule *schedule, int N,
                    const cm_points_round *rounds, int n)
{
    int at = snprintf(note, size, "noise levels of the grid: %.3g at 0 to %.3g at %d; lowest:",
                      schedule->sigma_max, schedule->sigma_min, N - 1);
    for (int r = 0; r < n && (size_t)at < size; r++)
        at += snprintf(note + at, size - (size_t)at, "%s %.3g at %d", r ? "," : "",
                       cm_sigma_at(schedule, (double)rounds[r].best / (N - 1)), rounds[r].best);
}

cm_status cm_points_plot(const char *path, const cm_noise_schedule *schedule, int N,
                         const cm_points_round *rounds, int n, const char *score, cm_error *err)
{
    char names[CM_MOST_ROUNDS][32], note[512];
    const char *name[CM_MOST_ROUNDS];
    cm_chart_line lines[CM_MOST_ROUNDS];
    const cm_page_kind *kind;
    uint8_t *bytes = NULL;
    size_t size = 0;
    cm_chart_point *points = cm_alloc_array((size_t)n * (size_t)N, sizeof *points);
    cm_status s = points ? cm_page_kind_find("plot", path, &kind, err)
                         : cm_fail(err, CM_ERR_MEMORY, "%.400s: out of memory", path);
    for (int r = 0; r < n && !s; r++) {
        cm_chart_point *own = points + (size_t)r * (size_t)N;
        snprintf(names[r], sizeof names[r], "%d evaluations", rounds[r].evaluations);
        name[r] = names[r];
        lines[r] = (cm_chart_line){r, CM_CHART_DOTTED, points_of(&rounds[r], N, own), own};
    }
    const cm_chart_panel panel = {.title = score, .can_be_log = 1, .n = n, .lines = lines};
    const cm_chart chart = {.x_title = "point of the last level",
                            .note = note,
                            .x_is_whole = 1,
                            .names = n,
                            .name = name,
                            .n = 1,
                            .panels = &panel};
    note_of(note, sizeof note, schedule, N, rounds, n);
    if (!s)
        s = cm_chart_encode(&chart, kind, &bytes, &size, err);
    if (!s)
        s = cm_file_save(path, bytes, size, err);
    cm_free(bytes);
    cm_free(points);
    return s;
}
