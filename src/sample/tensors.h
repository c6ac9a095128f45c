/* tensors.h - the raw network on tensors from a file */
#ifndef CM_SAMPLE_TENSORS_H
#define CM_SAMPLE_TENSORS_H

#include "cm_status.h"

/* As cm_forward (cm.h). */
cm_status cm_forward_file(const char *weights, const char *config_json, const char *input,
                          const char *output, const char *dtype, int threads, cm_error *err);

#endif
