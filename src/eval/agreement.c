/* agreement.c */
#include "eval/agreement.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/sample_names.h"
#include "model/class_names.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- which class is which ---- */

/* Of names [classes], which may be NULL, the class of this name, or of a file named for it, or
 * where there are no names of this number; -1. */
static int64_t find_class(const json_t *names, int64_t classes, const char *text)
{
    int64_t named = cm_class_named(names, text);
    if (!names && (!cm_text_to_int(text, &named) || named < 0))
        named = -1;
    for (int64_t k = 0; k < classes && named < 0; k++)
        if (cm_sample_is_of(text, k, cm_class_name(names, k)) || cm_sample_is_of(text, k, NULL))
            return k;
    return named < classes ? named : -1;
}

static void leave_out(cm_agreement *a, const char *found)
{
    snprintf(a->why_not, sizeof a->why_not,
             "%.200s: expected classes of the classifier, %s, found %.64s: no class agreement",
             a->source->name, a->known, found);
}

/* Without names of the network's own, as many classes are the same in their order. */
static void match_names(cm_agreement *a, const json_t *names)
{
    char shown[64];
    const char *unknown = NULL;
    for (int k = 0; k < a->source->classes && !unknown; k++) {
        const char *text = cm_class_name(a->source->names, k);
        a->class_of[k] = text ? find_class(names, a->classes, text) : k < a->classes ? k : -1;
        if (a->class_of[k] < 0)
            unknown = text ? text : "one without a name";
    }
    if (!unknown)
        return;
    if (names || a->source->classes != a->classes)
        leave_out(a, cm_escape(shown, sizeof shown, unknown));
    else
        for (int64_t k = 0; k < a->classes; k++)
            a->class_of[k] = k;
}

cm_status cm_agreement_start(cm_agreement *a, const cm_extractor *e, const cm_image_source *source,
                             cm_error *err)
{
    json_t *names = NULL;
    const cm_model *m = cm_extractor_model(e);
    *a = (cm_agreement){.source = source};
    if (!m || !source->classes)
        return CM_OK;
    cm_status s = cm_model_class_names(m, &names, err);
    a->classes = cm_extractor_dims(e).logits;
    cm_model_show_classes(m, names, a->known, sizeof a->known);
    if (!s && source->names &&
        !(a->class_of = cm_alloc_array((size_t)source->classes, sizeof *a->class_of)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: classes: out of memory", source->name);
    if (!s && source->names)
        match_names(a, names);
    json_decref(names);
    return s;
}

void cm_agreement_clear(cm_agreement *a)
{
    cm_free(a->class_of);
    *a = (cm_agreement){.seen = 0};
}

/* ---- counting ---- */

int64_t cm_largest(const float *v, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        if (v[k] > v[best])
            best = k;
    return best;
}

void cm_agreement_add(cm_agreement *a, int64_t n, const float *logits, const int64_t *labels)
{
    char found[64];
    for (int64_t i = 0; i < n && a->classes && !*a->why_not; i++, logits += a->classes, a->seen++) {
        const int64_t label = labels[i] < 0 || !a->class_of ? labels[i] : a->class_of[labels[i]];
        if (label >= a->classes) {
            snprintf(found, sizeof found, "%" PRId64 " at image %" PRId64, label, a->seen);
            leave_out(a, found);
        }
        a->with_class += label >= 0;
        a->agree += label >= 0 && label == cm_largest(logits, a->classes);
    }
}

double cm_agreement_finish(cm_agreement *a)
{
    const int is_whole = !*a->why_not, some = a->with_class && a->with_class < a->seen;
    if (is_whole && some)
        snprintf(a->why_not, sizeof a->why_not,
                 "%.200s: %" PRId64 " of %" PRId64
                 " images have no class: agreement is of the others",
                 a->source->name, a->seen - a->with_class, a->seen);
    return is_whole && a->with_class ? (double)a->agree / (double)a->with_class : (double)NAN;
}
