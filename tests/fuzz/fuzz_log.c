/* fuzz_log.c - libFuzzer's target for the log of a run: what was read is in order and within
 * bounds.  With FORMAT plot it is drawn too, which takes a hundred times as long: over time where
 * it begins with an empty line.  ./run fuzz log, ./run fuzz plot
 *
 * The corpus: log.jsonl of runs of six steps by each method, and lines made by hand. */
#include "fed_file.h"

#include "cm.h"
#include "run/log_read.h"

#include <math.h>
#include <string.h>

/* ---- columns ------------------------------------------------------------------------- */

static size_t lines_of(const uint8_t *text, size_t n)
{
    size_t lines = n && text[n - 1] != '\n'; /* the last one without an end */
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void require_column(const cm_log *log, const cm_log_column *c)
{
    require(*c->key && strlen(c->key) < CM_LOG_KEY && cm_log_find(log, c->key) == c);
    require(c->n <= c->room && c->n <= log->lines - log->skipped);
    for (size_t i = 0; i < c->n; i++) {
        const struct cm_log_point *p = &c->points[i];
        require(p->step >= 0 && (!i || p->step > p[-1].step));
        require(isfinite(p->step) && isfinite(p->seconds) && isfinite(p->value));
    }
}

static void read_log(const char *path, size_t lines)
{
    cm_error err = {0};
    cm_log log;
    require(cm_log_read(path, &log, &err) == CM_OK);
    require(log.lines == lines && log.skipped <= lines);
    require(log.n >= 0 && log.n <= CM_LOG_MOST_COLUMNS);
    for (int i = 0; i < log.n; i++)
        require_column(&log, &log.columns[i]);
    cm_log_clear(&log);
}

/* ---- the picture --------------------------------------------------------------------- */

/* Every number of an SVG is one; there is no text in it that could say so. */
static void require_numbers(const char *path)
{
    enum { MOST = 1 << 22 };
    static char svg[MOST + 1];
    FILE *f = fopen(path, "rb");
    require(f != NULL);
    const size_t n = fread(svg, 1, MOST, f);
    fclose(f);
    remove(path);
    svg[n] = '\0';
    require(n < MOST && strstr(svg, "</svg>") && !strstr(svg, "nan") && !strstr(svg, "inf"));
}

static void plot_log(const char *path, int is_over_time)
{
    cm_error err = {0};
    cm_plot_params p = cm_plot_default_params();
    snprintf(p.out, sizeof p.out, "%s/cm-fed-%ld.svg",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
    if (is_over_time)
        snprintf(p.x, sizeof p.x, "time");
    const cm_status s = cm_plot(&path, 1, &p, NULL, NULL, &err);
    if (s)
        require(s == CM_ERR_FORMAT && strstr(err.message, "found none")); /* nothing to draw */
    else
        require_numbers(p.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *path = fed_file(bytes, n);
    read_log(path, lines_of(bytes, n));
    if (!strcmp(FORMAT, "plot"))
        plot_log(path, n && bytes[0] == '\n');
    return 0;
}
