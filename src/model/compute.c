/* compute.c - the device, the data type, the threads */
#include "model/compute.h"

#include "base/threads.h"
#include "cpu/cpu.h"

#include <stdio.h>
#include <string.h>

cm_status cm_device_open(const cm_device **device, cm_error *err)
{
    const cm_status s = cm_cpu_check(err);
    if (!s)
        *device = cm_cpu_device();
    return s;
}

cm_status cm_dtype_resolve(const char *text, cm_dtype *dtype, cm_error *err)
{
    const int bf16 = cm_cpu_has_bf16();
    if (strcmp(text, "auto") && strcmp(text, "f32") && strcmp(text, "bf16"))
        return cm_fail(err, CM_ERR_ARGUMENT, "dtype: expected auto, f32 or bf16, found '%.100s'",
                       text);
    if (!strcmp(text, "bf16") && !bf16)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "dtype bf16: this CPU does not compute in it (needs AVX-512 BF16 or AMX)");
    const int faster = !strcmp(text, "auto") && cm_cpu_prefers_bf16();
    *dtype = faster || !strcmp(text, "bf16") ? CM_BF16 : CM_F32;
    return CM_OK;
}

int cm_threads_resolve(int64_t threads)
{
    return threads > 0 ? (int)threads : cm_threads_available();
}

void cm_device_describe(char *text, size_t size)
{
    snprintf(text, size, "%s kernels%s, %s", cm_isa_name(cm_cpu_isa()),
             cm_cpu_has_bf16() ? ", bf16" : "", cm_cpu_library());
}
