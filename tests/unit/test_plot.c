/* test_plot.c - ticks against lists made by hand, logs against what was written into them, and
 * plots by the paths of their SVG: a point is where its axes' own grid lines say */
#include "scratch.h"

#include "base/memory.h"
#include "draw/chart.h"
#include "draw/ticks.h"
#include "io/file.h"
#include "run/log_read.h"

#include <locale.h>

/* ---- ticks -------------------------------------------------------------------- */

static void expect_ticks(int n, const cm_tick *ticks, const char *want, const char *what)
{
    char found[512] = "";
    for (int i = 0; i < n; i++) {
        const size_t at = strlen(found);
        snprintf(found + at, sizeof found - at, "%s%s", i ? " " : "", ticks[i].label);
        CHECK(fabs(strtod(ticks[i].label, NULL) - ticks[i].at) <= 1e-12 * fabs(ticks[i].at),
              "%s: '%s' is at %.17g", what, ticks[i].label, ticks[i].at);
    }
    CHECK(!strcmp(found, want), "%s: expected '%s', found '%s'", what, want, found);
}

static void linear_ticks(void)
{
    static const struct {
        double low, high;
        int wanted;
        const char *want;
    } cases[] = {
        {0, 1, 5, "0 0.2 0.4 0.6 0.8 1"},
        {0, 3000, 5, "0 1000 2000 3000"},
        {-0.13, 0.29, 5, "-0.1 0 0.1 0.2"},
        {0, 2.5e6, 5, "0 500000 1e6 1.5e6 2e6 2.5e6"},
        {0, 0.001, 5, "0 0.0002 0.0004 0.0006 0.0008 0.001"},
        {0, 1e-5, 4, "0 5e-6 1e-5"},
        {17, 19, 5, "17 17.5 18 18.5 19"},
        {99.995, 100.005, 2, "99.995 100 100.005"},
        {-3, -1, 4, "-3 -2.5 -2 -1.5 -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_tick t[CM_TICKS_MOST];
        const int n = cm_ticks_linear(cases[i].low, cases[i].high, cases[i].wanted, 0, t);
        expect_ticks(n, t, cases[i].want, "linear");
    }
    cm_tick t[CM_TICKS_MOST];
    expect_ticks(cm_ticks_linear(0, 1, 5, 1, t), t, "0 1", "whole");
    expect_ticks(cm_ticks_linear(16.2, 19.8, 7, 1, t), t, "17 18 19", "whole");
    expect_ticks(cm_ticks_linear(0, 3000, 5, 1, t), t, "0 1000 2000 3000", "whole");
}

static void log_ticks(void)
{
    static const struct {
        double low, high;
        const char *want;
    } cases[] = {
        {0.0005, 20, "0.001 0.01 0.1 1 10"},
        {0.04, 3, "0.05 0.1 0.2 0.5 1 2"},
        {1e-9, 1e9, "1e-9 1e-6 0.001 1 1000 1e6 1e9"},
        {1.1, 1.6, "1.1 1.2 1.3 1.4 1.5 1.6"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_tick t[CM_TICKS_MOST];
        expect_ticks(cm_ticks_log(cases[i].low, cases[i].high, 5, t), t, cases[i].want, "log");
    }
}

/* Any range has marks, in order and within it. */
static void odd_ranges(void)
{
    static const double ends[] = {1e-300, 1e-12, 0.3, 7, 1e5, 1e15, 1e300};
    for (int i = 0; i < 7; i++)
        for (int k = i + 1; k < 7; k++)
            for (int is_log = 0; is_log < 2; is_log++) {
                cm_tick t[CM_TICKS_MOST];
                const int n = is_log ? cm_ticks_log(ends[i], ends[k], 4, t)
                                     : cm_ticks_linear(ends[i], ends[k], 4, 0, t);
                CHECK(n > 1 && n <= CM_TICKS_MOST, "%g to %g: %d", ends[i], ends[k], n);
                for (int j = 0; j < n; j++)
                    CHECK(t[j].at >= ends[i] * (1 - 1e-6) - 1e-6 * ends[k] &&
                              t[j].at <= ends[k] * (1 + 1e-6) && (!j || t[j].at > t[j - 1].at),
                          "%g to %g: mark %d at %g", ends[i], ends[k], j, t[j].at);
            }
}

/* ---- logs --------------------------------------------------------------------- */

static void write_log(const char *name, const char *text)
{
    put(in_dir(name), text, strlen(text));
}

static cm_log read_log(const char *text)
{
    cm_log log;
    cm_error err = {0};
    write_log("log.jsonl", text);
    CHECK_OK(cm_log_read(scratch_dir, &log, &err), err); /* as a run folder */
    return log;
}

static void expect_column(const cm_log *log, const char *key, int n, const double want[][3])
{
    const cm_log_column *c = cm_log_find(log, key);
    if (!CHECK(c && c->n == (size_t)n, "%s: expected %d points, found %zu", key, n, c ? c->n : 0))
        return;
    for (int i = 0; i < n; i++)
        CHECK(c->points[i].step == want[i][0] && c->points[i].seconds == want[i][1] &&
                  c->points[i].value == want[i][2],
              "%s: point %d: step %g, %g s, %g", key, i, c->points[i].step, c->points[i].seconds,
              c->points[i].value);
}

static void columns(void)
{
    cm_log log =
        read_log("{\"step\":10,\"loss\":0.5,\"seconds\":1.5,\"scales\":18}\n"
                 "{\"step\":10,\"FD\":30}\n"
                 "{\"step\":20,\"loss\":0.25,\"seconds\":3,\"note\":\"x\",\"more\":[1]}\n");
    expect_column(&log, "loss", 2, (const double[][3]){{10, 1.5, 0.5}, {20, 3, 0.25}});
    expect_column(&log, "scales", 1, (const double[][3]){{10, 1.5, 18}});
    expect_column(&log, "FD", 1, (const double[][3]){{10, -1, 30}});
    CHECK(log.n == 3 && log.lines == 3 && !log.skipped, "%d columns", log.n);
    cm_log_clear(&log);
}

/* Numbers that no run logs, with which a chart could not reckon. */
static void far_numbers(void)
{
    cm_log log = read_log("{\"step\":1,\"loss\":1e100,\"seconds\":1e101}\n"
                          "{\"step\":2,\"loss\":-1.01e100,\"seconds\":1e-101}\n"
                          "{\"step\":3,\"loss\":-4.9e-324,\"seconds\":1e99}\n"
                          "{\"step\":4,\"loss\":1e-100}\n");
    expect_column(&log, "loss", 3,
                  (const double[][3]){{1, -1, 1e100}, {3, 1e99, 0}, {4, -1, 1e-100}});
    CHECK(log.n == 1 && !log.skipped && log.left_out == 1, "%d columns, %zu skipped, %zu left out",
          log.n, log.skipped, log.left_out);
    cm_log_clear(&log);
}

/* Every kind of damage is a line, and counted. */
static void damaged_lines(void)
{
    cm_log log = read_log("{\"step\":1,\"loss\":4}\n"
                          "\n"
                          "not json\n"
                          "{\"step\":2,\"loss\":NaN}\n"
                          "{\"step\":-1,\"loss\":1}\n"
                          "{\"step\":1.5,\"loss\":1}\n"
                          "{\"step\":\"2\",\"loss\":1}\n"
                          "{\"loss\":1}\n"
                          "[1,2]\n"
                          "{\"step\":2,\"step\":3,\"loss\":1}\n"
                          "{\"step\":3,\"loss\":2}\n"
                          "{\"step\":4,\"lo");
    expect_column(&log, "loss", 2, (const double[][3]){{1, -1, 4}, {3, -1, 2}});
    CHECK(log.lines == 12 && log.skipped == 10, "%zu of %zu lines skipped", log.skipped, log.lines);
    cm_log_clear(&log);
}

/* A kill after step 40, and on from 20: what was there from then on is replaced, scores too. */
static void repeated_steps(void)
{
    cm_log log = read_log("{\"step\":10,\"loss\":1}\n{\"step\":20,\"loss\":2}\n"
                          "{\"step\":30,\"loss\":3}\n{\"step\":30,\"FD\":9}\n"
                          "{\"step\":40,\"loss\":4}\n"
                          "{\"step\":20,\"loss\":5}\n{\"step\":30,\"loss\":6}\n");
    expect_column(&log, "loss", 3, (const double[][3]){{10, -1, 1}, {20, -1, 5}, {30, -1, 6}});
    expect_column(&log, "FD", 0, NULL);
    cm_log_clear(&log);
}

static void hostile_logs(void)
{
    static char text[1 << 18];
    cm_log log;
    cm_error err = {0};
    int n = 0;
    for (int line = 0; line < 3; line++) { /* keys without end */
        n += snprintf(text + n, sizeof text - (size_t)n, "{\"step\":%d", line);
        for (int k = 0; k < 900; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, ",\"k%d-%d\":1", line, k);
        n += snprintf(text + n, sizeof text - (size_t)n, ",\"%0100d\":1}\n", 0);
    }
    log = read_log(text);
    CHECK(log.n == CM_LOG_MOST_COLUMNS && !log.skipped, "%d columns", log.n);
    CHECK(log.left_out == 3 * 901 - CM_LOG_MOST_COLUMNS, "%zu left out", log.left_out);
    cm_log_clear(&log);
    memset(text, ' ', 70000); /* a line that is too long */
    snprintf(text + 70000, 100, "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":1}\n");
    log = read_log(text);
    CHECK(log.lines == 2 && log.skipped == 1, "%zu of %zu", log.skipped, log.lines);
    cm_log_clear(&log);
    put(in_dir("log.jsonl"), "\0\0\n\xff\xfe\n", 6);
    CHECK_OK(cm_log_read(scratch_dir, &log, &err), err);
    CHECK(!log.n && log.skipped == 2, "%d columns, %zu skipped", log.n, log.skipped);
    remove(in_dir("log.jsonl"));
    CHECK(cm_log_read(scratch_dir, &log, &err) == CM_ERR_IO, "%s", err.message);
    has(&err, "log.jsonl");
}

/* ---- plots -------------------------------------------------------------------- */

enum { MOST_POINTS = 200 };

typedef struct path {
    int n;
    double x[MOST_POINTS], y[MOST_POINTS];
} path;

/* The `which`-th path of that stroke and width in an SVG, n 0: there is none. */
static path find_path(const char *svg, const char *rgb, const char *width, int which)
{
    path p = {0};
    char style[100];
    snprintf(style, sizeof style, "<path style=\"fill:none;stroke-width:%s;", width);
    for (const char *at = svg; (at = strstr(at, style)); at++) {
        const char *colour = strstr(at, "stroke:rgb("), *d = strstr(at, " d=\"");
        if (!colour || !d || strncmp(colour + 11, rgb, strlen(rgb)) != 0 || which-- > 0)
            continue;
        for (d += 4; *d != '"' && p.n < MOST_POINTS; p.n++) {
            char *end;
            p.x[p.n] = strtod(d + 2, &end);
            p.y[p.n] = strtod(end, &end);
            d = end + strspn(end, " ");
        }
        return p;
    }
    return p;
}

#define BLUE   "0%,44.7%,69.8%"
#define ORANGE "83.5%,36.9%,0%"
#define GRID   "90%,90%,90%"
#define AXIS   "42%,42%,42%"

static char *plot(const char *const *runs, int n, const char *what, const char *x, double smooth)
{
    cm_error err = {0};
    cm_plot_params p = cm_plot_default_params();
    void *text = NULL;
    size_t size;
    snprintf(p.out, sizeof p.out, "%s", in_dir("plot.svg"));
    snprintf(p.what, sizeof p.what, "%s", what);
    snprintf(p.x, sizeof p.x, "%s", x);
    p.smooth = smooth;
    if (!CHECK_OK(cm_plot(runs, n, &p, NULL, NULL, &err), err) ||
        !CHECK_OK(cm_file_read(p.out, 1 << 24, &text, &size, &err), err))
        exit(EXIT_FAILURE);
    return text;
}

/* The k-th vertical or horizontal line of the grid: its x or y. */
static double grid_line(const char *svg, int is_vertical, int k)
{
    for (int i = 0;; i++) {
        const path p = find_path(svg, GRID, "0.8", i);
        if (!CHECK(p.n == 2, "the grid has no such line"))
            return NAN;
        if ((p.x[0] == p.x[1]) == is_vertical && k-- == 0)
            return is_vertical ? p.x[0] : p.y[0];
    }
}

/* Steps 400 to 1600 with losses 1, 0.01, 0.1 and 0.01: marks are at 0, 200, ..., and at powers of
 * ten from the lowest. */
static void points_are_in_place(void)
{
    static const int vertical[] = {2, 4, 6, 8}, horizontal[] = {2, 0, 1, 0};
    write_log("a.jsonl", "{\"step\":400,\"loss\":1}\n{\"step\":800,\"loss\":0.01}\n"
                         "{\"step\":1200,\"loss\":0.1}\n{\"step\":1600,\"loss\":0.01}\n");
    char *svg = plot((const char *[]){in_dir("a.jsonl")}, 1, "loss", "steps", 0);
    const path p = find_path(svg, BLUE, "1.5", 0);
    CHECK(p.n == 4, "%d points", p.n);
    for (int i = 0; i < p.n; i++) {
        CHECK(fabs(p.x[i] - grid_line(svg, 1, vertical[i])) < 0.01, "point %d: x %g", i, p.x[i]);
        CHECK(fabs(p.y[i] - grid_line(svg, 0, horizontal[i])) < 0.01, "point %d: y %g", i, p.y[i]);
    }
    const path across = find_path(svg, AXIS, "1", 0), up = find_path(svg, AXIS, "1", 1);
    CHECK(across.n == 2 && fabs(p.x[3] - across.x[1]) < 0.01, "the last step is not at the end");
    CHECK(up.n == 2 && p.y[0] > up.y[0] + 5 && fabs(p.y[0] - up.y[0] + p.y[1] - up.y[1]) < 0.02,
          "the extremes are not as far from the ends of the axis");
    cm_free(svg);
}

/* A chart of x = 1, 10, 100, whose axis may be of logarithms: marks at these, evenly. */
static void log_x(void)
{
    static const cm_chart_point points[] = {{1, 3}, {10, 1}, {100, 2}};
    const cm_chart_line line = {0, CM_CHART_DOTTED, 3, points};
    const cm_chart_panel panel = {.title = "y", .n = 1, .lines = &line};
    const char *const name = "curve";
    const cm_chart chart = {
        .x_title = "x", .x_can_be_log = 1, .names = 1, .name = &name, .n = 1, .panels = &panel};
    cm_error err = {0};
    uint8_t *svg = NULL;
    size_t size;
    if (!CHECK_OK(cm_chart_encode(&chart, &cm_page_kinds[1], &svg, &size, &err), err))
        return;
    const path p = find_path((const char *)svg, BLUE, "1.5", 0);
    CHECK(p.n == 3, "%d points", p.n);
    for (int i = 0; i < p.n; i++)
        CHECK(fabs(p.x[i] - grid_line((const char *)svg, 1, i)) < 0.01, "point %d: x %g", i,
              p.x[i]);
    CHECK(fabs(p.x[0] + p.x[2] - 2 * p.x[1]) < 0.02, "10 is not in the middle of 1 and 100");
    cm_free(svg);
}

static int count_paths(const char *svg, const char *rgb, const char *width)
{
    int n = 0;
    while (find_path(svg, rgb, width, n).n)
        n++;
    return n;
}

/* Of one step: marks at 0 and 1 alone, and of N, which is 18, at 17, 18 and 19.. 16 and 20 are
 * at the ends. */
static void one_step(void)
{
    write_log("a.jsonl", "{\"step\":1,\"scales\":18,\"loss\":1}\n");
    const char *runs[] = {in_dir("a.jsonl")};
    char *svg = plot(runs, 1, "N", "steps", 0);
    const double zero = grid_line(svg, 1, 0), one = grid_line(svg, 1, 1);
    CHECK(one > zero, "the marks are not 0 and 1");
    const int lines = count_paths(svg, GRID, "0.8");
    CHECK(lines == 2 + 5, "%d lines of the grid", lines);
    cm_free(svg);
}

/* Over time there is nothing where no line has one. */
static void no_time(void)
{
    cm_error err = {0};
    cm_plot_params p = cm_plot_default_params();
    write_log("a.jsonl", "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n");
    const char *runs[] = {in_dir("a.jsonl")};
    snprintf(p.out, sizeof p.out, "%s", in_dir("none.svg"));
    snprintf(p.x, sizeof p.x, "time");
    CHECK(cm_plot(runs, 1, &p, NULL, NULL, &err) == CM_ERR_FORMAT, "%s", err.message);
    has(&err, "a.jsonl: expected numbers with seconds in the log of a run, found none");
}

/* Runs of one picture share its axes; a score is on a linear axis, and over time. */
static void two_runs_over_time(void)
{
    write_log("a.jsonl", "{\"step\":1,\"FD\":10,\"seconds\":60}\n{\"step\":2,\"FD\":30,\"seconds\":"
                         "120}\n{\"step\":3,\"FD\":20,\"seconds\":240}\n");
    write_log("b.jsonl", "{\"step\":7,\"FD\":20,\"seconds\":60}\n{\"step\":8,\"FD\":10,\"seconds\":"
                         "120}\n");
    char *svg = plot((const char *[]){in_dir("a.jsonl"), in_dir("b.jsonl")}, 2, "FD", "time", 0.1);
    const path a = find_path(svg, BLUE, "1.5", 0), b = find_path(svg, ORANGE, "1.5", 0);
    if (CHECK(a.n == 3 && b.n == 2, "%d and %d points", a.n, b.n)) {
        CHECK(a.x[0] == b.x[0] && a.x[1] == b.x[1] && a.y[0] == b.y[1] && a.y[2] == b.y[0],
              "the axes differ");
        CHECK(fabs((a.x[2] - a.x[0]) / (a.x[1] - a.x[0]) - 3) < 1e-3, "time is not linear");
        CHECK(fabs((a.y[1] - a.y[0]) / (a.y[2] - a.y[0]) - 2) < 1e-3, "scores are not linear");
        CHECK(a.y[1] < a.y[0], "more is not higher");
    }
    cm_free(svg);
}

/* The average of 1, 0, 0, ... with tau a tenth of the axis, by its definition. */
static void average(void)
{
    char text[2000];
    int n = 0;
    for (int i = 0; i <= 20; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "{\"step\":%d,\"images_per_s\":%d}\n",
                      i * 10, i ? 0 : 1);
    write_log("a.jsonl", text);
    char *svg = plot((const char *[]){in_dir("a.jsonl")}, 1, "images/s", "steps", 0.1);
    const path p = find_path(svg, BLUE, "1.5", 0), thin = find_path(svg, "68%,82.3", "0.8", 0);
    /* cairo leaves out points that are on the line between their neighbours. */
    if (CHECK(thin.n == 3 && p.n > 15, "%d and %d points", thin.n, p.n))
        for (int i = 0; i < p.n; i++) {
            const double step = (thin.x[1] - thin.x[0]), zero = thin.y[1], unit = thin.y[0] - zero;
            const int k = (int)lrint((p.x[i] - thin.x[0]) / step);
            double weights = 0;
            for (int j = 0; j <= k; j++)
                weights += exp(-10.0 * j / 20);
            const double want = exp(-10.0 * k / 20) / weights, found = (p.y[i] - zero) / unit;
            CHECK(fabs(found - want) < 1e-3, "point %d: %g, not %g", k, found, want);
        }
    cm_free(svg);
}

/* Of very many points those are left out that nobody could see, and no extreme. */
static void many_points(void)
{
    static char text[40 * 100000];
    size_t n = 0;
    for (int i = 1; i <= 100000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "{\"step\":%d,\"lr\":%s}\n", i,
                              i == 77777 ? "0.9"
                              : i % 2    ? "0.1"
                                         : "0.3");
    put(in_dir("a.jsonl"), text, n);
    char *svg = plot((const char *[]){in_dir("a.jsonl")}, 1, "lr", "steps", 0);
    CHECK(strlen(svg) < 400000, "%zu bytes", strlen(svg));
    const double top = grid_line(svg, 0, 4), low = grid_line(svg, 0, 0); /* 0, 0.2, ..., 0.8 */
    const char *at = strstr(svg, "stroke-width:1.5;");
    double highest = 1e9;
    for (const char *d = strstr(at, " d=\"") + 4; *d != '"';) {
        char *end;
        strtod(d + 2, &end);
        highest = fmin(highest, strtod(end, &end));
        d = end + strspn(end, " ");
    }
    CHECK(fabs((low - highest) / (low - top) - 0.9 / 0.8) < 1e-3, "the highest point is lost");
    cm_free(svg);
}

static void same_bytes(void)
{
    write_log("a.jsonl", "{\"step\":5,\"loss\":1,\"lr\":2}\n{\"step\":9,\"loss\":0.1,\"lr\":1}\n");
    const char *run = in_dir("a.jsonl");
    char *first = plot(&run, 1, "", "steps", 0.02), *second = plot(&run, 1, "", "steps", 0.02);
    CHECK(!strcmp(first, second), "two plots of one log differ");
    cm_free(second);
    if (setlocale(LC_ALL, "de_DE.UTF-8")) { /* where there is one: a decimal comma */
        second = plot(&run, 1, "", "steps", 0.02);
        CHECK(!strcmp(first, second), "the locale shows");
        cm_free(second);
        setlocale(LC_ALL, "C");
    }
    cm_free(first);
}

static void refuse(const char *what, const char *out, cm_status status, const char *says)
{
    cm_error err = {0};
    cm_plot_params p = cm_plot_default_params();
    const char *run = in_dir("a.jsonl");
    snprintf(p.out, sizeof p.out, "%s", out);
    snprintf(p.what, sizeof p.what, "%s", what);
    CHECK(cm_plot(&run, 1, &p, NULL, NULL, &err) == status, "%s", err.message);
    has(&err, says);
    CHECK(access(in_dir("new.svg"), F_OK), "a file was made");
}

static void refuses(void)
{
    char out[600];
    snprintf(out, sizeof out, "%s", in_dir("new.svg"));
    write_log("a.jsonl", "{\"step\":5,\"loss\":1}\n");
    refuse("", "plot.pdf", CM_ERR_ARGUMENT, "out: expected a name that ends in .png or .svg");
    refuse("loss,bogus", out, CM_ERR_ARGUMENT, "found 'bogus', which none of the runs has logged");
    refuse("scores", out, CM_ERR_FORMAT, "expected scores in the log of a run, found none");
    write_log("a.jsonl", "nothing\n");
    refuse("", out, CM_ERR_FORMAT, "found none");
    remove(in_dir("a.jsonl"));
    refuse("", out, CM_ERR_IO, "a.jsonl");
}

static const check_test tests[] = {
    {"linear ticks", linear_ticks},
    {"ticks of logarithms", log_ticks},
    {"ticks of odd ranges", odd_ranges},
    {"columns of a log", columns},
    {"numbers that no run logs", far_numbers},
    {"damaged lines are skipped and counted", damaged_lines},
    {"repeated steps replace the first", repeated_steps},
    {"hostile logs", hostile_logs},
    {"points are where the grid says", points_are_in_place},
    {"an x axis of logarithms", log_x},
    {"plot: one step", one_step},
    {"plot: no time", no_time},
    {"two runs over time", two_runs_over_time},
    {"the average", average},
    {"many points", many_points},
    {"the same bytes", same_bytes},
    {"what cannot be drawn is refused", refuses},
};
SCRATCH_MAIN(tests)
