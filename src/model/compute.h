/* compute.h - where and how networks are computed: the device, which is named here and
 * nowhere else, the data type of activations, and the threads */
#ifndef CM_MODEL_COMPUTE_H
#define CM_MODEL_COMPUTE_H

#include "graph/device.h"

/* The device of this process.  Errors: CM_ERR_ARGUMENT (the environment asks for an
 * instruction set that is unknown, or not here). */
cm_status cm_device_open(const cm_device **device, cm_error *err);

/* "auto", "f32" or "bf16"; auto is bf16 where the device is faster in it.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_UNSUPPORTED (bf16 asked for where it does not). */
cm_status cm_dtype_resolve(const char *text, cm_dtype *dtype, cm_error *err);
/* 0: the cores this process may use. */
int cm_threads_resolve(int64_t threads);

/* "avx2 kernels, oneDNN 2.6.3", cut to size. */
void cm_device_describe(char *text, size_t size);

#endif
