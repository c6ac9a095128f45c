/* judge.c - how many of the pictures kept back from training a classifier recognises */
#include "train/trainer.h"

#include "base/memory.h"
#include "base/text.h"
#include "eval/extractor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum { BATCH = 64 };

static int is_best(const float *logits, int classes, int32_t label)
{
    for (int k = 0; k < classes; k++)
        if (k != label && !(logits[k] < logits[label]))
            return 0;
    return 1;
}

static cm_status measure(const cm_trainer *t, float *weights, double *accuracy, cm_error *err)
{
    const cm_dataset *d = t->held;
    const cm_model judge = cm_trainer_model(t, weights);
    const int classes = t->net.num_classes;
    cm_extractor *e = NULL;
    int64_t right = 0;
    float *logits = cm_alloc_array((size_t)d->n * (size_t)classes, sizeof *logits);
    cm_status s = logits ? cm_extractor_of(&judge, BATCH, t->threads, &e, err)
                         : cm_fail(err, CM_ERR_MEMORY, "held-out pictures: out of memory");
    if (!s)
        s = cm_extractor_run(e, d->n, d->pixels, d->h, d->w, d->c, NULL, NULL, logits, err);
    for (int64_t i = 0; i < d->n && !s; i++)
        right += is_best(logits + i * classes, classes, d->labels[i]);
    *accuracy = (double)right / (double)d->n;
    cm_extractor_close(e);
    cm_free(logits);
    return s;
}

cm_status cm_trainer_judge(cm_trainer *t, float *weights, char *event, size_t size, cm_error *err)
{
    double accuracy;
    cm_status s = measure(t, weights, &accuracy, err);
    if (s)
        return s;
    t->accuracy = accuracy;
    snprintf(event, size, "recognised %.2f%% of the %" PRId64 " picture%s kept back",
             100.0 * accuracy, t->held->n, cm_plural(t->held->n));
    json_t *line = json_pack("{s:I,s:f}", "step", (json_int_t)t->k, "accuracy", accuracy);
    s = cm_runlog_line(t->log, line, err);
    json_decref(line);
    return s;
}
