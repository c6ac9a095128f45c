/* runs.h - the runs of runs.json and their golden files (tests/golden/data/train,
 * whose README says what they hold) */
#ifndef CM_TESTS_RUNS_H
#define CM_TESTS_RUNS_H

#include "io/safetensors.h"

#include <jansson.h>

typedef struct golden_run {
    const char *name, *args, *resume; /* resume: NULL where the run is not continued */
    int64_t drop;                     /* 0, or the last checkpoint that is left to it */
    const json_t *prepare, *tolerance;
    cm_st_file *gold;
    json_t *names, *groups; /* of its tensors; of its sets of weights */
    int64_t steps;
} golden_run;

/* What is missing or malformed ends the process: the test would mean nothing. */
json_t *runs_read(const char *folder);
golden_run run_open(const char *folder, const char *name, const json_t *spec);
void run_close(golden_run *run);

double run_tolerance(const golden_run *run, const char *what, const char *suffix);
/* Tensor `label.what` of the golden as doubles; freed with cm_free.  n: its elements,
 * -1 for any number.  NULL when it is absent and n is -1. */
double *run_tensor(const golden_run *run, const char *label, const char *what, int64_t n);

/* The value of --name in a command; fallback when it is not there. */
const char *option_of(const char *args, const char *name, const char *fallback);
double option_number(const char *args, const char *name, double fallback);

#endif
