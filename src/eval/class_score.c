/* class_score.c */
#include "eval/class_score.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

cm_status cm_class_score_start(cm_class_score *s, int64_t classes, cm_error *err)
{
    *s = (cm_class_score){.classes = classes};
    s->q = cm_alloc_array((size_t)classes, sizeof *s->q);
    s->p = cm_alloc_array((size_t)classes, sizeof *s->p);
    if (s->q && s->p)
        return CM_OK;
    cm_class_score_clear(s);
    return cm_fail(err, CM_ERR_MEMORY, "Inception score: out of memory");
}

void cm_class_score_clear(cm_class_score *s)
{
    cm_free(s->q);
    cm_free(s->p);
    *s = (cm_class_score){0};
}

static void end_split(cm_class_score *s)
{
    double kl = s->entropy / (double)s->in_split;
    for (int64_t k = 0; k < s->classes; k++) {
        const double q = s->q[k] / (double)s->in_split;
        kl -= q > 0 ? q * log(q) : 0;
    }
    s->sum += exp(kl);
    s->splits++;
    s->in_split = 0;
    s->entropy = 0;
    memset(s->q, 0, (size_t)s->classes * sizeof *s->q);
}

static void add_image(cm_class_score *s, const float *logits)
{
    double largest = -HUGE_VAL, sum = 0, dot = 0;
    for (int64_t k = 0; k < s->classes; k++)
        largest = fmax(largest, (double)logits[k]);
    for (int64_t k = 0; k < s->classes; k++)
        sum += s->p[k] = exp((double)logits[k] - largest);
    for (int64_t k = 0; k < s->classes; k++) {
        const double p = s->p[k] / sum;
        s->q[k] += p;
        dot += p * ((double)logits[k] - largest);
    }
    /* cppcheck-suppress invalidFunctionArg ; the largest adds 1 */
    s->entropy += dot - log(sum); /* sum p ln p, as ln p = logit - largest - ln sum */
    if (++s->in_split == CM_CLASS_SCORE_SPLIT)
        end_split(s);
}

void cm_class_score_add(cm_class_score *s, int64_t n, const float *logits)
{
    for (int64_t i = 0; i < n; i++)
        add_image(s, logits + i * s->classes);
}

double cm_class_score_finish(cm_class_score *s)
{
    if (s->in_split)
        end_split(s);
    return s->splits ? s->sum / (double)s->splits : (double)NAN;
}
