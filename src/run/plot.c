/* plot.c - from logs to a chart: which keys, which points, how smooth.
 *
 * The average at point i, over points at x_j with values y_j, is
 *
 *     sum over j <= i of exp(-(x_i - x_j) / tau) y_j,  divided by the sum of those weights,
 *
 * tau being the fraction `smooth` of the axis that the line covers. */
#include "run/plot.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "draw/chart.h"
#include "io/file.h"
#include "io/replace.h"
#include "run/folder.h"
#include "run/log_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is known of a key; other keys are scores. */
static const struct quantity {
    const char *name, *key, *title; /* in --what, in the log, above the panel */
    int can_be_log, from_zero, is_noisy, is_whole;
} quantities[] = {
    {"loss", "loss", "loss", 1, 0, 1, 0},
    {"grad-norm", "grad_norm", "gradient norm", 1, 0, 1, 0},
    {"lr", "lr", "learning rate", 0, 1, 0, 0},
    {"N", "scales", "N(k): noise levels", 0, 0, 0, 1},
    {"stage", "stage", "stage", 0, 0, 0, 1},
    {"mu", "mu", "mu(k): decay of the target", 0, 0, 0, 0},
    {"images/s", "images_per_s", "images/s", 0, 1, 1, 0},
};
enum { QUANTITIES = sizeof quantities / sizeof *quantities };
#define NAMES "loss, grad-norm, lr, N, stage, mu, images/s, scores or a key of log.jsonl"

/* A plot in the making; all of it lives in the arena. */
struct plot {
    const cm_plot_params *params;
    int runs, keys;
    const char *const *paths; /* [runs] */
    cm_log *logs;             /* [runs] */
    const char *key[CM_CHART_MOST_PANELS];
    const char *name[CM_CHART_MOST_NAMES];
    cm_chart_panel panel[CM_CHART_MOST_PANELS];
    int is_over_time, is_smooth;
    double unit; /* of the x axis, in seconds or steps */
    cm_arena arena;
};

static const struct quantity *quantity_of(const char *key)
{
    for (int i = 0; i < QUANTITIES; i++)
        if (!strcmp(quantities[i].key, key))
            return &quantities[i];
    return NULL;
}

/* ---- which panels ---- */

/* On the x axis there is: lines may have no time. */
static int is_logged(const struct plot *p, const char *key)
{
    for (int r = 0; r < p->runs; r++) {
        const cm_log_column *c = cm_log_find(&p->logs[r], key);
        for (size_t i = 0; c && i < c->n; i++)
            if (!p->is_over_time || c->points[i].seconds >= 0)
                return 1;
    }
    return 0;
}

/* Once, where a run has it. */
static void add_key(struct plot *p, const char *key)
{
    for (int i = 0; i < p->keys; i++)
        if (!strcmp(p->key[i], key))
            return;
    if (p->keys < CM_CHART_MOST_PANELS && is_logged(p, key))
        p->key[p->keys++] = key;
}

static void add_scores(struct plot *p)
{
    for (int r = 0; r < p->runs; r++)
        for (int i = 0; i < p->logs[r].n; i++)
            if (!quantity_of(p->logs[r].columns[i].key))
                add_key(p, p->logs[r].columns[i].key);
}

static void add_all(struct plot *p)
{
    for (int i = 0; i < QUANTITIES; i++)
        add_key(p, quantities[i].key);
    add_scores(p);
}

static cm_status add_named(struct plot *p, const char *name, cm_error *err)
{
    char shown[128];
    const char *key = name;
    if (!strcmp(name, "scores")) {
        add_scores(p);
        return CM_OK;
    }
    for (int i = 0; i < QUANTITIES; i++)
        if (!strcmp(quantities[i].name, name))
            key = quantities[i].key;
    if (!is_logged(p, key))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "what: expected " NAMES "; found '%s', which none of the runs has logged",
                       cm_escape(shown, sizeof shown, name));
    add_key(p, key);
    return CM_OK;
}

static cm_status choose_keys(struct plot *p, cm_error *err)
{
    char shown[512], *list = cm_arena_strdup(&p->arena, p->params->what), *rest = NULL;
    cm_status s = list ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "plot: out of memory");
    if (!s && !*list)
        add_all(p);
    else if (!s && !list[strspn(list, ",")])
        s = add_named(p, list, err); /* which is none */
    for (char *name = s ? NULL : strtok_r(list, ",", &rest); name && !s;
         name = strtok_r(NULL, ",", &rest))
        s = add_named(p, name, err);
    if (!s && !p->keys)
        s = cm_fail(err, CM_ERR_FORMAT, "%s%s: expected %s in the log of a run, found none",
                    cm_escape(shown, sizeof shown, p->paths[0]), p->runs > 1 ? " and others" : "",
                    *p->params->what  ? p->params->what
                    : p->is_over_time ? "numbers with seconds"
                                      : "numbers at steps");
    return s;
}

/* ---- names of the runs ---- */

/* The last `depth` parts of a path, which has no slash at its end. */
static const char *tail(const char *path, int depth)
{
    const char *at = path + strlen(path);
    while (at > path && (at[-1] != '/' || --depth > 0))
        at--;
    return at;
}

static int are_distinct(const struct plot *p, char *const *paths, int depth)
{
    for (int i = 0; i < p->runs; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(tail(paths[i], depth), tail(paths[j], depth)))
                return 0;
    return 1;
}

/* As short as tells them apart: "teacher", "student". */
static cm_status name_runs(struct plot *p, const char *const *runs, cm_error *err)
{
    enum { MOST_DEPTH = 8 };
    char *paths[CM_CHART_MOST_NAMES];
    int depth = 1;
    for (int i = 0; i < p->runs; i++) {
        paths[i] = cm_arena_strdup(&p->arena, runs[i]);
        if (!paths[i])
            return cm_fail(err, CM_ERR_MEMORY, "plot: out of memory");
        for (size_t n = strlen(paths[i]); n > 1 && paths[i][n - 1] == '/'; n--)
            paths[i][n - 1] = '\0';
    }
    while (depth < MOST_DEPTH && !are_distinct(p, paths, depth))
        depth++;
    for (int i = 0; i < p->runs; i++)
        p->name[i] = tail(paths[i], depth);
    return CM_OK;
}

/* ---- the x axis ---- */

static const struct unit {
    double seconds, up_to; /* of training, at most */
    const char *title;
} units[] = {{1, 180, "time (seconds)"},
             {60, 3 * 3600, "time (minutes)"},
             {3600, 72 * 3600, "time (hours)"},
             {24 * 3600, INFINITY, "time (days)"}};

static const char *choose_x(struct plot *p)
{
    double longest = 0;
    int u = 0;
    p->unit = 1;
    if (!p->is_over_time)
        return "step";
    for (int r = 0; r < p->runs; r++)
        for (int i = 0; i < p->logs[r].n; i++)
            for (size_t k = 0; k < p->logs[r].columns[i].n; k++)
                longest = fmax(longest, p->logs[r].columns[i].points[k].seconds);
    while (longest > units[u].up_to)
        u++;
    p->unit = units[u].seconds;
    return units[u].title;
}

/* ---- lines ---- */

static cm_status points_of(struct plot *p, const cm_log_column *c, cm_chart_point **points,
                           size_t *n, cm_error *err)
{
    *n = 0;
    *points = cm_arena_alloc(&p->arena, (c->n + 1) * sizeof **points);
    if (!*points)
        return cm_fail(err, CM_ERR_MEMORY, "plot: out of memory for %zu points", c->n);
    for (size_t i = 0; i < c->n; i++) {
        const double x = p->is_over_time ? c->points[i].seconds : c->points[i].step;
        if (x < 0 || (*n && x / p->unit < (*points)[*n - 1].x))
            continue; /* no time, or a clock that went back */
        (*points)[(*n)++] = (cm_chart_point){x / p->unit, c->points[i].value};
    }
    return CM_OK;
}

static cm_status average(struct plot *p, const cm_chart_line *of, cm_chart_line *to, cm_error *err)
{
    cm_chart_point *points = cm_arena_alloc(&p->arena, (of->n + 1) * sizeof *points);
    if (!points)
        return cm_fail(err, CM_ERR_MEMORY, "plot: out of memory for %zu points", of->n);
    const double tau = p->params->smooth * (of->points[of->n - 1].x - of->points[0].x);
    double sum = 0, weights = 0;
    for (size_t i = 0; i < of->n; i++) {
        const double keep = i ? exp(-(of->points[i].x - of->points[i - 1].x) / tau) : 0;
        sum = keep * sum + of->points[i].y;
        weights = keep * weights + 1;
        points[i] = (cm_chart_point){of->points[i].x, sum / weights};
    }
    *to = (cm_chart_line){of->of, CM_CHART_PLAIN, of->n, points};
    return CM_OK;
}

/* The lines of a run: as logged, and the average over it. */
static cm_status add_run(struct plot *p, cm_chart_panel *panel, cm_chart_line *lines, int run,
                         const char *key, cm_error *err)
{
    const struct quantity *q = quantity_of(key);
    const cm_log_column *c = cm_log_find(&p->logs[run], key);
    cm_chart_line *plain = &lines[run], *smooth = &lines[p->runs + run];
    cm_chart_point *points = NULL;
    size_t n = 0;
    const cm_status s = c ? points_of(p, c, &points, &n, err) : CM_OK;
    *plain = (cm_chart_line){run, q && n > 1 ? CM_CHART_PLAIN : CM_CHART_DOTTED, n, points};
    *smooth = (cm_chart_line){.of = run};
    if (s || !q || !q->is_noisy || n < 3 || p->params->smooth <= 0 ||
        points[n - 1].x <= points[0].x)
        return s;
    plain->look = CM_CHART_FAINT;
    p->is_smooth = 1;
    panel->n = 2 * p->runs;
    return average(p, plain, smooth, err);
}

static cm_status make_panel(struct plot *p, int i, cm_error *err)
{
    const struct quantity *q = quantity_of(p->key[i]);
    cm_chart_line *lines = cm_arena_alloc(&p->arena, 2 * (size_t)p->runs * sizeof *lines);
    if (!lines)
        return cm_fail(err, CM_ERR_MEMORY, "plot: out of memory");
    p->panel[i] = (cm_chart_panel){.title = q ? q->title : p->key[i],
                                   .can_be_log = q && q->can_be_log,
                                   .from_zero = q && q->from_zero,
                                   .is_whole = q && q->is_whole,
                                   .n = p->runs,
                                   .lines = lines};
    cm_status s = CM_OK;
    for (int r = 0; r < p->runs && !s; r++)
        s = add_run(p, &p->panel[i], lines, r, p->key[i], err);
    return s;
}

/* ---- the plot ---- */

static cm_status draw(struct plot *p, const cm_page_kind *kind, cm_error *err)
{
    char note[128];
    uint8_t *bytes = NULL;
    size_t size = 0;
    cm_chart chart = {.names = p->runs,
                      .name = p->name,
                      .n = p->keys,
                      .panels = p->panel,
                      .x_is_whole = !p->is_over_time};
    cm_status s = CM_OK;
    chart.x_title = choose_x(p);
    for (int i = 0; i < p->keys && !s; i++)
        s = make_panel(p, i, err);
    snprintf(note, sizeof note, "thin: as logged. thick: exponential average over %.3g%% of the %s",
             100 * p->params->smooth, p->is_over_time ? "time" : "steps");
    chart.note = p->is_smooth ? note : NULL;
    if (!s)
        s = cm_chart_encode(&chart, kind, &bytes, &size, err);
    if (!s)
        s = cm_file_save(p->params->out, bytes, size, err);
    cm_free(bytes);
    return s;
}

/* What of the logs is not in the picture. */
static void tell_skipped(const struct plot *p, void (*line)(void *user, const char *text),
                         void *user)
{
    char text[CM_RUN_PATH + 64];
    for (int r = 0; r < p->runs && line; r++) {
        const cm_log *log = &p->logs[r];
        if (log->skipped) {
            snprintf(text, sizeof text, "%s: %zu of %zu lines are none of a log: skipped",
                     p->paths[r], log->skipped, log->lines);
            line(user, text);
        }
        if (log->left_out) {
            snprintf(text, sizeof text,
                     "%s: %zu number%s left out: beyond %g, or of more than %d keys", p->paths[r],
                     log->left_out, cm_plural((int64_t)log->left_out), CM_LOG_MOST,
                     (int)CM_LOG_MOST_COLUMNS);
            line(user, text);
        }
    }
}

cm_status cm_plot_runs(const char *const *runs, int n, const cm_plot_params *params,
                       void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    const cm_page_kind *kind;
    struct plot *p = cm_alloc(sizeof *p);
    cm_log *logs = cm_alloc_array((size_t)n, sizeof *logs);
    cm_status s = p && logs ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "plot: out of memory");
    if (!s) {
        p->params = params;
        p->runs = n;
        p->paths = runs;
        p->logs = logs;
        p->is_over_time = !strcmp(params->x, "time");
        s = cm_page_kind_find("out", params->out, &kind, err);
    }
    if (!s)
        s = cm_replace_check(params->out, &cm_replaced_plot, err);
    for (int r = 0; r < n && !s; r++)
        s = cm_log_read(runs[r], &p->logs[r], err);
    if (!s)
        s = choose_keys(p, err);
    if (!s)
        s = name_runs(p, runs, err);
    if (!s)
        s = draw(p, kind, err);
    if (!s)
        tell_skipped(p, line, user);
    for (int r = 0; logs && r < n; r++)
        cm_log_clear(&logs[r]);
    if (p)
        cm_arena_free(&p->arena);
    cm_free(logs);
    cm_free(p);
    return s;
}
