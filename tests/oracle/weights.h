/* weights.h - sets of weights against the compact form in which a golden holds them */
#ifndef CM_TESTS_WEIGHTS_H
#define CM_TESTS_WEIGHTS_H

#include "runs.h"

/* All elements as doubles, freed with cm_free; NULL, and a failed CHECK, when the
 * tensor is missing or unreadable. */
double *weights_read(const cm_st_file *f, const char *name, int64_t *n);

/* What a set of weights is held to. */
typedef struct weights_test {
    const char *label; /* of the group: "model", "ema_0.9" */
    double tolerance;  /* of one tensor */
    double pooled;     /* of all together */
    double floor;      /* a deviation counts in units of the update, or of this part of
                          the weights where they moved less */
    double rate_sum;   /* of the learning rates: what a tensor without gradient may move */
    int ignore_null;   /* compare those tensors, too */
} weights_test;

void weights_check(const golden_run *run, const weights_test *test, const char *path);

#endif
