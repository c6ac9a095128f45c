/* bench.c - the public functions that look inside: plans, times, the machine */
#include "api/door.h"
#include "base/text.h"
#include "group/group.h"
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

cm_status cm_bench_sums(cm_group *group, int64_t bytes, cm_bench_sum *result, cm_error *err)
{
    cm_group_speed speed;
    cm_status s = cm_door_need(err, {"result", result});
    if (!s)
        s = cm_door_size("sum", result->size, sizeof *result, err);
    if (!s)
        s = cm_door_range("bytes", bytes, sizeof(float), INT64_C(1) << 30, err);
    if (!s)
        s = cm_group_time_sum(group, (size_t)bytes / sizeof(float), &speed, err);
    if (!s)
        *result =
            (cm_bench_sum){sizeof *result, 1e3 * speed.alone, 1e3 * speed.in_row, 1e3 * speed.cpu};
    return s;
}

cm_status cm_bench_shared(cm_group *group, const cm_model *model, const cm_work *work, int parts,
                          cm_bench_shared_result *result, cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"result", result});
    if (!s)
        s = cm_door_work(work, err);
    if (!s)
        s = cm_door_size("bench result", result->size, sizeof *result, err);
    if (!s)
        s = cm_door_range("parts", parts, 0, work->batch, err);
    return s ? s : cm_workload_time_shared(group, model, work, parts, result, err);
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
