/* bench.c - the public functions that look inside: plans, times, the machine */
#include "base/error.h"
#include "cm.h"
#include "model/compute.h"
#include "train/workload.h"

#include <stdio.h>
#include <string.h>

static cm_status check_work(const cm_work *w, cm_error *err)
{
    const struct {
        const char *field;
        int value, min, max;
    } fields[] = {{"batch", w->batch, 1, 65536},
                  {"micro_batch", w->micro_batch, 0, 65536},
                  {"threads", w->threads, 0, 4096}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value < fields[i].min || fields[i].value > fields[i].max)
            return cm_fail(err, CM_ERR_ARGUMENT, "work: %s: expected %d to %d, found %d",
                           fields[i].field, fields[i].min, fields[i].max, fields[i].value);
    return CM_OK;
}

cm_status cm_explain(cm_model *model, const cm_work *work, int profile, char **text, cm_error *err)
{
    const cm_status s = check_work(work, err);
    return s ? s : cm_workload_explain(model, work, profile, text, err);
}

cm_status cm_bench(cm_model *model, const cm_work *work, cm_bench_result *result, cm_error *err)
{
    const cm_status s = check_work(work, err);
    return s ? s : cm_workload_time(model, work, result, err);
}

/* The processor's name as the system gives it. */
static void processor_name(char *name, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    snprintf(name, size, "unknown processor");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !value)
            continue;
        snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
        break;
    }
    if (f)
        fclose(f);
}

void cm_machine(char *text, size_t size)
{
    char name[128], device[128];
    processor_name(name, sizeof name);
    cm_device_describe(device, sizeof device);
    snprintf(text, size, "%s, %d cores, %s", name, cm_threads_resolve(0), device);
}
