/* bench.c - the public functions that look inside: plans, times, the machine */
#include "api/door.h"
#include "base/text.h"
#include "model/compute.h"
#include "train/workload.h"

#include <stdio.h>
#include <string.h>

cm_status cm_explain(const cm_model *model, const cm_work *work, int profile, char **text,
                     cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"text", text});
    if (!s)
        s = cm_door_work(work, err);
    if (!s)
        s = cm_door_range("profile", profile, 0, 1, err);
    return s ? s : cm_workload_explain(model, work, profile, text, err);
}

cm_status cm_bench(const cm_model *model, const cm_work *work, cm_bench_result *result,
                   cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"result", result});
    if (!s)
        s = cm_door_work(work, err);
    if (!s)
        s = cm_door_size("bench result", result->size, sizeof *result, err);
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
    if (!text)
        return;
    processor_name(name, sizeof name);
    cm_device_describe(device, sizeof device);
    const int cores = cm_threads_resolve(0);
    snprintf(text, size, "%s, %d core%s, %s", name, cores, cm_plural(cores), device);
}
