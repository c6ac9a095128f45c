/* bench_processes.h - cm bench on several processes */
#ifndef CM_CLI_BENCH_PROCESSES_H
#define CM_CLI_BENCH_PROCESSES_H

#include "cm.h"

/* Sums of 1 KiB to 16 MiB, until one takes a fifth of a second. */
cm_status cli_bench_sums(cm_group *group, int json, cm_error *err);
/* A training step in so many parts, and where its time goes. */
cm_status cli_bench_shared(cm_group *group, const cm_model *model, const cm_work *work, int parts,
                           int json, cm_error *err);

#endif
