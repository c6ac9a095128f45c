/* report.c - docs/results.md from a page with gaps and the rows of the runs
 *
 *     report PAGE ROWS OUT
 *
 * ROWS/NAME-SEED.json is what one run with one seed scored (experiments.sh writes it); there is
 * one such file of a run and seed, and in it one score of a number of evaluations.  Lines of
 * PAGE that begin with @ are filled in, the others copied, into OUT/results.md; plots go to OUT.
 *
 *     @table               a line of the table for each line up to @end:
 *     NAME EVALUATIONS | what the reader calls it
 *     @end
 *     @claim NAME EVALUATIONS < NAME EVALUATIONS | what the first is and the second
 *     @plot FILE | title of the x axis          a curve for each line up to @end; where the title
 *     legend | X NAME EVALUATIONS, ...          ends in "(log scale)", over the logarithm of X:
 *     @end
 *     @samples FILE        pictures below each other: ROWS/NAME.png for each line up to @end
 *     NAME | caption
 *     @end
 *     @machines            that the rows were made on
 *
 * Over seeds a score is its mean m, and its spread the standard deviation s, with n - 1 below.  A
 * claim a < b holds beyond the spread where b's mean is larger by more than sqrt(s_a^2 + s_b^2) and
 * every seed of a is below every seed of b. */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "draw/chart.h"
#include "draw/font.h"
#include "io/file.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 64, ROWS = 256, SCORES = 8, SEEDS = 16, LINE = 1024, CURVES = 16, POINTS = 32 };

typedef enum quantity { DISTANCE, PRECISION, RECALL, AGREEMENT, NEARER, QUANTITIES } quantity;
static const char *const keys[QUANTITIES] = {"frechet", "precision", "recall", "agreement",
                                             "nearer"};

/* NAN: not scored */
typedef struct score {
    int64_t evaluations;
    double value[QUANTITIES];
} score;

typedef struct row {
    char run[NAME], machine[160], file[2048];
    int64_t seed, images;
    double processor_seconds; /* NAN: not known */
    int n;
    score scores[SCORES];
} row;

static row rows[ROWS];
static int n_rows;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("report: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void need(cm_status s, const cm_error *err)
{
    if (s)
        die("%s", err->message);
}

/* ---- rows ---- */

static void read_score(const json_t *j, const char *path, score *s)
{
    cm_error err;
    const json_t *scores = json_object_get(json_object_get(j, "eval"), "scores");
    need(cm_json_int(j, path, "evaluations", 1, 10000, CM_JSON_REQUIRED, &s->evaluations, &err),
         &err);
    if (!scores)
        die("%s: a sampling has no \"eval\" with \"scores\"", path);
    for (int q = 0; q < QUANTITIES; q++) {
        s->value[q] = NAN;
        need(cm_json_real(scores, path, keys[q], -1e30, 1e30, CM_JSON_OPTIONAL, &s->value[q], &err),
             &err);
    }
}

/* Two scores of one thing would both be in its mean, or one of them in nothing. */
static void refuse_twins(const row *r)
{
    for (const row *o = rows; o < r; o++)
        if (!strcmp(o->run, r->run) && o->seed == r->seed)
            die("%s and %s: both are of run %s with seed %" PRId64, o->file, r->file, r->run,
                r->seed);
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < i; k++)
            if (r->scores[i].evaluations == r->scores[k].evaluations)
                die("%s: \"scores\": two of %" PRId64 " evaluations", r->file,
                    r->scores[i].evaluations);
}

static void read_row(const char *path)
{
    cm_error err;
    json_t *j;
    const char *run = NULL, *machine = NULL;
    if (n_rows == ROWS)
        die("%s: one of more than %d rows", path, ROWS);
    row *r = &rows[n_rows++];
    need(cm_json_load(path, &j, &err), &err);
    need(cm_json_text(j, path, "run", CM_JSON_REQUIRED, &run, &err), &err);
    need(cm_json_text(j, path, "machine", CM_JSON_REQUIRED, &machine, &err), &err);
    need(cm_json_int(j, path, "seed", 0, 1 << 30, CM_JSON_REQUIRED, &r->seed, &err), &err);
    need(cm_json_int(j, path, "images", 0, 1 << 30, CM_JSON_REQUIRED, &r->images, &err), &err);
    r->processor_seconds = NAN;
    need(cm_json_real(j, path, "processor_seconds", 0, 1e9, CM_JSON_OPTIONAL, &r->processor_seconds,
                      &err),
         &err);
    snprintf(r->run, sizeof r->run, "%s", run);
    snprintf(r->machine, sizeof r->machine, "%s", machine);
    snprintf(r->file, sizeof r->file, "%s", path);
    const json_t *scores = json_object_get(j, "scores");
    r->n = (int)json_array_size(scores);
    if (r->n < 1 || r->n > SCORES)
        die("%s: \"scores\": expected 1 to %d, found %d", path, SCORES, r->n);
    for (int i = 0; i < r->n; i++)
        read_score(json_array_get(scores, (size_t)i), path, &r->scores[i]);
    refuse_twins(r);
    json_decref(j);
}

static void read_rows(const char *folder)
{
    char path[2048];
    struct dirent **entry;
    const int n = scandir(folder, &entry, NULL, alphasort);
    if (n < 0)
        die("%s: no such folder", folder);
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(entry[i]->d_name, '.');
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (dot && !strcmp(dot, ".json"))
            read_row(path);
        free(entry[i]);
    }
    free(entry);
}

/* ---- over seeds ---- */

typedef struct which {
    char run[NAME];
    int64_t evaluations;
} which;

/* "cd 2" */
static which parse_which(const char *text)
{
    which w;
    if (sscanf(text, " %63s %" SCNd64, w.run, &w.evaluations) != 2)
        die("expected a run and its evaluations, found '%s'", text);
    return w;
}

typedef struct summary {
    int n; /* seeds */
    double mean, spread, least, most;
} summary;

static summary summarise(int n, const double *v)
{
    summary s = {n, 0, 0, INFINITY, -INFINITY};
    for (int i = 0; i < n; i++) {
        s.mean += v[i] / n;
        s.least = fmin(s.least, v[i]);
        s.most = fmax(s.most, v[i]);
    }
    for (int i = 0; i < n && n > 1; i++)
        s.spread += (v[i] - s.mean) * (v[i] - s.mean) / (n - 1);
    s.spread = sqrt(s.spread);
    return s;
}

static summary of_quantity(which w, quantity q)
{
    double v[SEEDS];
    int n = 0;
    for (int r = 0; r < n_rows && n < SEEDS; r++)
        for (int i = 0; i < rows[r].n && !strcmp(rows[r].run, w.run); i++)
            if (rows[r].scores[i].evaluations == w.evaluations &&
                !isnan(rows[r].scores[i].value[q])) {
                v[n++] = rows[r].scores[i].value[q];
                break;
            }
    return summarise(n, v);
}

/* Images it was trained on, processor seconds an image. */
static summary of_cost(which w, int64_t *images)
{
    double v[SEEDS];
    int n = 0;
    *images = 0;
    for (int r = 0; r < n_rows && n < SEEDS; r++)
        if (!strcmp(rows[r].run, w.run)) {
            *images = rows[r].images;
            if (!isnan(rows[r].processor_seconds))
                v[n++] = rows[r].processor_seconds;
        }
    return summarise(n, v);
}

/* ---- what fills the gaps ---- */

static void put_summary(FILE *out, summary s, double unit, int digits)
{
    if (!s.n)
        fputs(" |", out);
    else if (s.n == 1)
        fprintf(out, " %.*f |", digits, unit * s.mean);
    else
        fprintf(out, " %.*f ± %.*f |", digits, unit * s.mean, digits, unit * s.spread);
}

static void put_table_head(FILE *out)
{
    fputs(
        "| what | seeds | evaluations | FD-fashion | precision | recall | taken for their class, % "
        "| nearer than test images, % | images | processor minutes | images/s a core |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        out);
}

static void put_table_line(FILE *out, char *line)
{
    char *label = strchr(line, '|');
    if (!label)
        die("a line of a table without '|': %s", line);
    *label++ = '\0';
    const which w = parse_which(line);
    int64_t images;
    const summary cost = of_cost(w, &images), distance = of_quantity(w, DISTANCE);
    fprintf(out, "|%s | %d | %" PRId64 " |", label, distance.n, w.evaluations);
    if (!distance.n) {
        fputs(" not run | | | | | | | |\n", out);
        return;
    }
    put_summary(out, distance, 1, 2);
    put_summary(out, of_quantity(w, PRECISION), 1, 3);
    put_summary(out, of_quantity(w, RECALL), 1, 3);
    put_summary(out, of_quantity(w, AGREEMENT), 100, 1);
    put_summary(out, of_quantity(w, NEARER), 100, 0);
    fprintf(out, " %" PRId64 " |", images);
    if (cost.n)
        fprintf(out, " %.1f | %.0f |\n", cost.mean / 60, (double)images / cost.mean);
    else
        fputs(" | |\n", out);
}

static void put_score(FILE *out, summary s)
{
    fprintf(out, s.n > 1 ? "%.3f ± %.3f (%d seeds)" : "%.3f", s.mean, s.spread, s.n);
}

static void put_claim(FILE *out, char *line)
{
    char *less = strchr(line, '<'), *label = strchr(line, '|');
    if (!less || !label || label < less)
        die("expected @claim A < B | text, found %s", line);
    *less++ = '\0';
    *label++ = '\0';
    const summary a = of_quantity(parse_which(line), DISTANCE),
                  b = of_quantity(parse_which(less), DISTANCE);
    fprintf(out, "- **%s**: ", label + strspn(label, " "));
    if (!a.n || !b.n) {
        fputs("not run yet.\n", out);
        return;
    }
    const double spread = hypot(a.spread, b.spread), gap = b.mean - a.mean;
    fputs("FD ", out);
    put_score(out, a);
    fputs(" against ", out);
    put_score(out, b);
    fputs(a.n < 2 || b.n < 2                 ? ", one seed: no verdict.\n"
          : gap <= 0                         ? ": **it does not hold**.\n"
          : gap > spread && a.most < b.least ? ": it holds, beyond the spread.\n"
                                             : ": so on average, within the spread.\n",
          out);
}

static void put_machines(FILE *out)
{
    for (int r = 0; r < n_rows; r++) {
        int seen = 0, n = 0;
        for (int i = 0; i < n_rows; i++) {
            const int same = !strcmp(rows[i].machine, rows[r].machine);
            seen |= same && i < r;
            n += same;
        }
        if (!seen)
            fprintf(out, "- %s: %d row%s\n", rows[r].machine, n, cm_plural(n));
    }
}

/* ---- plots ---- */

typedef struct plot {
    char file[LINE], x_title[LINE], legend[CURVES][LINE];
    const char *name[CURVES];
    cm_chart_point points[CURVES][POINTS];
    cm_chart_line lines[CURVES];
    int n;
} plot;

/* "legend | 10 cd-n10 1, 18 cd 1" */
static void add_curve(plot *p, char *line)
{
    char *list = strchr(line, '|');
    if (!list || p->n == CURVES)
        die("expected at most %d curves, 'legend | X NAME EVALUATIONS, ...', found %s", CURVES,
            line);
    *list++ = '\0';
    size_t n = 0;
    for (char *item = strtok(list, ","); item && n < POINTS; item = strtok(NULL, ",")) {
        char *end;
        const double x = strtod(item, &end);
        const summary s = of_quantity(parse_which(end), DISTANCE);
        if (s.n)
            p->points[p->n][n++] = (cm_chart_point){x, s.mean};
    }
    if (!n)
        return;
    line[strlen(line) - 1] = '\0'; /* the blank before | */
    snprintf(p->legend[p->n], LINE, "%s", line);
    p->name[p->n] = p->legend[p->n];
    p->lines[p->n] = (cm_chart_line){p->n, CM_CHART_DOTTED, n, p->points[p->n]};
    p->n++;
}

static void draw_plot(FILE *out, const plot *p, const char *folder)
{
    cm_error err;
    char path[4096];
    uint8_t *bytes;
    size_t size;
    const cm_chart_panel panel = {.title = "FD-fashion (mean over seeds)",
                                  .from_zero = 1,
                                  .can_be_log = 1,
                                  .n = p->n,
                                  .lines = p->lines};
    static const char log_scale[] = "(log scale)";
    const char *ends = strstr(p->x_title, log_scale);
    const cm_chart chart = {.x_title = p->x_title,
                            .x_is_whole = 1,
                            .x_can_be_log = ends && !ends[sizeof log_scale - 1],
                            .names = p->n,
                            .name = p->name,
                            .n = 1,
                            .panels = &panel};
    if (!p->n) {
        fputs("*(no rows yet for this plot)*\n", out);
        return;
    }
    need(cm_chart_encode(&chart, &cm_page_kinds[0], &bytes, &size, &err), &err);
    snprintf(path, sizeof path, "%s/%s", folder, p->file);
    need(cm_file_save(path, bytes, size, &err), &err);
    cm_free(bytes);
    fprintf(out, "![FD-fashion over %s](%s)\n", p->x_title, p->file);
}

/* ---- samples ---- */

typedef struct strips {
    char caption[CURVES][LINE];
    cm_image image[CURVES];
    int n;
} strips;

/* "NAME | caption"; a run that has not been made has no picture */
static void add_strip(strips *s, char *line, const char *folder)
{
    static const uint8_t white[3] = {255, 255, 255};
    char run[NAME], path[4096];
    cm_error err;
    if (s->n == CURVES || sscanf(line, " %63s | %1023[^\n]", run, s->caption[s->n]) != 2)
        die("expected at most %d lines 'NAME | caption', found %s", CURVES, line);
    snprintf(path, sizeof path, "%s/%s.png", folder, run);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    fclose(f);
    cm_image *im = &s->image[s->n++];
    need(cm_image_read(path, white, im, &err), &err);
    if (im->w != s->image->w || im->h != s->image->h || im->c != s->image->c)
        die("%s: expected %d x %d pixels as the first of these samples, found %d x %d", path,
            s->image->w, s->image->h, im->w, im->h);
}

enum { TEXT = 2, LABEL = TEXT * CM_FONT_HEIGHT + 4, BETWEEN = 8 };

/* A band for each: its caption, and below that its picture. */
static void draw_strips(FILE *out, const strips *s, const char *folder, const char *file)
{
    cm_error err;
    char path[4096];
    if (!s->n) {
        fputs("*(no samples yet)*\n", out);
        return;
    }
    const int w = s->image->w, h = s->image->h, c = s->image->c, band = LABEL + h + BETWEEN;
    const size_t bytes = (size_t)w * (size_t)c * (size_t)band * (size_t)s->n;
    uint8_t *const pixels = cm_alloc(bytes);
    if (!pixels)
        die("no memory for samples");
    memset(pixels, 255, bytes);
    const cm_canvas canvas = {w, s->n * band, c, pixels};
    for (int i = 0; i < s->n; i++) {
        const int y = i * band;
        cm_text_draw(&canvas, &(cm_text_line){
                                  .text = s->caption[i], .x = 2, .y = y, .room = w, .size = TEXT});
        memcpy(pixels + (size_t)w * (size_t)c * (size_t)(y + LABEL), s->image[i].pixels,
               (size_t)w * (size_t)c * (size_t)h);
    }
    snprintf(path, sizeof path, "%s/%s", folder, file);
    need(cm_png_write(path, w, canvas.h, c, pixels, NULL, &err), &err);
    cm_free(pixels);
    fprintf(out, "![samples](%s)\n", file);
}

/* ---- the page ---- */

static int next_line(FILE *in, char line[LINE])
{
    if (!fgets(line, LINE, in))
        return 0;
    line[strcspn(line, "\n")] = '\0';
    return 1;
}

static void fill_table(FILE *in, FILE *out)
{
    char line[LINE];
    put_table_head(out);
    while (next_line(in, line) && strcmp(line, "@end") != 0)
        put_table_line(out, line);
}

static void fill_plot(FILE *in, FILE *out, char *how, const char *folder)
{
    static plot p;
    char line[LINE];
    p = (plot){.n = 0};
    if (sscanf(how, " %1023s | %1023[^\n]", p.file, p.x_title) != 2)
        die("expected @plot FILE | title of x, found %s", how);
    while (next_line(in, line) && strcmp(line, "@end") != 0)
        add_curve(&p, line);
    draw_plot(out, &p, folder);
}

static void fill_samples(FILE *in, FILE *out, const char *file, const char *rows_folder,
                         const char *folder)
{
    static strips s;
    char line[LINE];
    s.n = 0;
    while (next_line(in, line) && strcmp(line, "@end") != 0)
        add_strip(&s, line, rows_folder);
    draw_strips(out, &s, folder, file);
    for (int i = 0; i < s.n; i++)
        cm_image_clear(&s.image[i]);
}

static int begins(const char *line, const char *with)
{
    return !strncmp(line, with, strlen(with));
}

int main(int argc, char **argv)
{
    char line[LINE], path[4096];
    if (argc != 4)
        die("usage: report PAGE ROWS OUT");
    read_rows(argv[2]);
    snprintf(path, sizeof path, "%s/results.md", argv[3]);
    FILE *in = fopen(argv[1], "r"), *out = in ? fopen(path, "w") : NULL;
    if (!in || !out)
        die("%s: cannot be opened", in ? path : argv[1]);
    while (next_line(in, line)) {
        if (!strcmp(line, "@table"))
            fill_table(in, out);
        else if (begins(line, "@claim "))
            put_claim(out, line + strlen("@claim "));
        else if (begins(line, "@plot "))
            fill_plot(in, out, line + strlen("@plot "), argv[3]);
        else if (begins(line, "@samples "))
            fill_samples(in, out, line + strlen("@samples "), argv[2], argv[3]);
        else if (!strcmp(line, "@machines"))
            put_machines(out);
        else
            fprintf(out, "%s\n", line);
    }
    fclose(in);
    if (fclose(out))
        die("%s: not written", path);
    printf("%s: of %d rows\n", path, n_rows);
    return 0;
}
