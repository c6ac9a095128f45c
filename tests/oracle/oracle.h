/* oracle.h - the parts of test_train */
#ifndef CM_TESTS_ORACLE_H
#define CM_TESTS_ORACLE_H

#include "command.h"
#include "runs.h"

/* After a replay, in the scratch folder. */
void check_log(const golden_run *run);    /* run/log.jsonl */
void check_export(const golden_run *run); /* run/model.safetensors */

/* Trains anew: what the run's seed makes of its network. */
void check_first_weights(const golden_run *run);

#endif
