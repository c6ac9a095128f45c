/* workload.h - what a kind of work is and costs: one-step sampling, or a training step */
#ifndef CM_TRAIN_WORKLOAD_H
#define CM_TRAIN_WORKLOAD_H

#include "cm.h"

/* As cm_explain and cm_bench (cm.h). */
cm_status cm_workload_explain(const cm_model *model, const cm_work *work, int profile, char **text,
                              cm_error *err);
cm_status cm_workload_time(const cm_model *model, const cm_work *work, cm_bench_result *result,
                           cm_error *err);
/* As cm_bench_shared. */
cm_status cm_workload_time_shared(cm_group *group, const cm_model *model, const cm_work *work,
                                  int parts, cm_bench_shared_result *result, cm_error *err);

#endif
