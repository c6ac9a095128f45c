/* scores_text.c - the scores for people, and as JSON */
#include "base/memory.h"
#include "base/text.h"
#include "eval/evaluate.h"
#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* In the order of the report.  A score that is a NaN is left out. */
static const struct row {
    const char *key, *title; /* title NULL: the name of that field */
    size_t name, value;      /* in cm_scores; name: of its title */
    int digits, percent;
    const char *meaning;
} rows[] = {
    {"frechet", NULL, offsetof(cm_scores, names.distance), offsetof(cm_scores, frechet), 5, 0,
     "Frechet distance of the features; 0 is best"},
    {"spatial", "sFID", 0, offsetof(cm_scores, spatial), 5, 0, "of the spatial features"},
    {"inception_score", "Inception score", 0, offsetof(cm_scores, inception), 5, 0,
     "higher is better"},
    {"kid", NULL, offsetof(cm_scores, names.kernel), offsetof(cm_scores, kid), 5, 0,
     "kernel distance, mean of the subsets; 0 is best"},
    {"kid_deviation", "  its deviation", 0, offsetof(cm_scores, kid_deviation), 2, 0,
     "over the subsets"},
    {"precision", "precision", 0, offsetof(cm_scores, precision), 4, 0,
     "samples that are like real images"},
    {"recall", "recall", 0, offsetof(cm_scores, recall), 4, 0, "real images that are like samples"},
    {"density", "density", 0, offsetof(cm_scores, density), 4, 0,
     "real images around a sample; of real images 1"},
    {"coverage", "coverage", 0, offsetof(cm_scores, coverage), 4, 0,
     "real images with a sample near"},
    {"agreement", "class agreement", 0, offsetof(cm_scores, agreement), 4, 1,
     "samples taken for their class"},
    {"agreement_ref", "  of the reference", 0, offsetof(cm_scores, agreement_ref), 4, 1,
     "real images taken for theirs"},
    {"nearest", "to training image", 0, offsetof(cm_scores, nearest), 4, 0,
     "median distance from a sample to the nearest"},
    {"nearest_test", "  of test images", 0, offsetof(cm_scores, nearest_test), 4, 0,
     "the same from an image of the test set"},
    {"nearer", "nearer than test", 0, offsetof(cm_scores, nearer), 4, 1,
     "samples; 50% is as new images are, 100% copies"},
    {"lpips", "LPIPS", 0, offsetof(cm_scores, lpips), 5, 0,
     "mean over the pairs; 0 where both are the same"},
    {"lpips_deviation", "  its deviation", 0, offsetof(cm_scores, lpips_deviation), 4, 0,
     "over the pairs"},
    {"lpips_least", "  least", 0, offsetof(cm_scores, lpips_least), 5, 0, "of a pair"},
    {"lpips_most", "  most", 0, offsetof(cm_scores, lpips_most), 5, 0, "of a pair"},
};
enum { ROWS = sizeof rows / sizeof *rows };

cm_scores cm_scores_none(void)
{
    const double none = (double)NAN;
    cm_scores s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < ROWS; i++)
        memcpy((char *)&s + rows[i].value, &none, sizeof none);
    return s;
}

void cm_scores_note(cm_scores *scores, const char *fmt, ...)
{
    va_list ap;
    if (scores->n_notes == CM_SCORE_NOTES)
        return;
    va_start(ap, fmt);
    vsnprintf(scores->notes[scores->n_notes++], CM_SCORE_NOTE, fmt, ap);
    va_end(ap);
}

void cm_scores_note_of(cm_scores *scores, const char *text)
{
    for (int i = 0; i < scores->n_notes; i++)
        if (!strncmp(scores->notes[i], text, CM_SCORE_NOTE - 1))
            return;
    if (*text)
        cm_scores_note(scores, "%s", text);
}

static double value_of(const cm_scores *s, const struct row *r)
{
    double v;
    memcpy(&v, (const char *)s + r->value, sizeof v);
    return v;
}

/* A buffer that text is put behind; out of memory it stays NULL. */
typedef struct writer {
    char *text;
    size_t n, room;
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *fmt, ...)
{
    va_list ap;
    if (!w->text)
        return;
    va_start(ap, fmt);
    w->n += (size_t)vsnprintf(w->text + w->n, w->room - w->n, fmt, ap);
    va_end(ap);
    if (w->n >= w->room)
        w->n = w->room - 1;
}

static void put_sides(writer *w, const cm_scores *s)
{
    put(w, "reference  %s", s->ref);
    if (s->n_ref)
        put(w, ", %" PRId64 " image%s", s->n_ref, cm_plural(s->n_ref));
    if (s->n_samples)
        put(w, "\nsamples    %s, %" PRId64 " image%s", s->samples, s->n_samples,
            cm_plural(s->n_samples));
    put(w, "\nfeatures   %s\n", s->names.network);
}

char *cm_scores_text(const cm_scores *s)
{
    enum { ROOM = 16384 };
    char value[CM_REAL_TEXT];
    writer w = {.text = cm_alloc(ROOM), .room = ROOM};
    put_sides(&w, s);
    for (int i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        const double v = value_of(s, r);
        if (isnan(v))
            continue;
        cm_text_rounded(value, r->percent ? 100 * v : v, r->digits);
        const char *title = r->title ? r->title : (const char *)s + r->name, *meaning = r->meaning;
        if (r->value == offsetof(cm_scores, agreement_ref) && isnan(s->agreement)) {
            title = "reference agreement"; /* the line above it is missing */
            meaning = "real images taken for their class; of the samples none is known";
        }
        put(&w, "%-19s%11s%-3s%s\n", title, value, r->percent ? "%" : "", meaning);
    }
    if (s->kept_samples)
        put(&w, "pairs: the first %" PRId64 " image%s of the reference and %" PRId64 " sample%s\n",
            s->kept_ref, cm_plural(s->kept_ref), s->kept_samples, cm_plural(s->kept_samples));
    for (int i = 0; i < s->n_notes; i++)
        put(&w, "note: %s\n", s->notes[i]);
    return w.text;
}

static int set(json_t *j, const char *key, json_t *value)
{
    return json_object_set_new(j, key, value);
}

char *cm_scores_json(const cm_scores *s)
{
    json_t *j = json_object(), *scores = json_object(), *notes = json_array();
    int bad = set(j, "features", json_string(s->names.network)) |
              set(j, "name", json_string(s->names.distance)) |
              set(j, "reference", json_string(s->ref)) |
              set(j, "samples", json_string(s->samples)) |
              set(j, "reference_images", json_integer(s->n_ref)) |
              set(j, "sample_images", json_integer(s->n_samples)) |
              set(j, "reference_kept", json_integer(s->kept_ref)) |
              set(j, "samples_kept", json_integer(s->kept_samples));
    for (int i = 0; i < ROWS; i++)
        if (!isnan(value_of(s, &rows[i])))
            bad |= set(scores, rows[i].key, json_real(value_of(s, &rows[i])));
    for (int i = 0; i < s->n_notes; i++)
        bad |= json_array_append_new(notes, json_string(s->notes[i]));
    bad |= set(j, "scores", scores) | set(j, "notes", notes);
    char *text = bad ? NULL : cm_json_for_machines(j);
    json_decref(j);
    return text;
}
