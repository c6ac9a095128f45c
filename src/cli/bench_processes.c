/* bench_processes.c - cm bench on several processes: times of sums, and of a step that is shared;
 * process 0 prints */
#include "cli/bench_processes.h"

#include "cli/cli.h"

#include <stdio.h>

static void show_sum(const cm_group *g, int64_t bytes, int json, int first, const cm_bench_sum *r)
{
    if (cm_group_rank(g))
        return;
    if (json)
        printf("%s\n {\"work\": \"sums\", \"processes\": %d, \"bytes\": %lld, \"ms\": %.6g, "
               "\"row_ms\": %.6g, \"cpu_ms\": %.6g}",
               first ? "" : ",", cm_group_size(g), (long long)bytes, r->ms, r->row_ms, r->cpu_ms);
    else
        printf("%12lld %12.3f %12.3f %12.3f %12.1f\n", (long long)bytes, r->ms, r->row_ms,
               r->cpu_ms, 1e-3 * (double)bytes / r->row_ms);
    fflush(stdout);
}

cm_status cli_bench_sums(cm_group *g, int json, cm_error *err)
{
    enum { SMALLEST = 1 << 10, LARGEST = 1 << 24 };
    static const double LONG = 200.0; /* ms */
    cm_bench_sum r = {.size = sizeof r};
    cm_status s = CM_OK;
    if (cm_group_size(g) == 1)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'work': sums are taken over several processes: expected to be "
                        "started by mpirun or srun, found one process");
    if (!cm_group_rank(g) && !json)
        printf("sums over %d processes\n%12s %12s %12s %12s %12s\n", cm_group_size(g), "bytes",
               "ms alone", "ms in a row", "ms of CPU", "MB/s in a row");
    for (int64_t bytes = SMALLEST; bytes <= LARGEST && !s; bytes *= 4) {
        if (!(s = cm_bench_sums(g, bytes, &r, err)))
            show_sum(g, bytes, json, bytes == SMALLEST, &r);
        if (r.ms > LONG) /* the same in all processes */
            break;
    }
    return s;
}

static void show_shared_json(const cm_group *g, const cm_work *w, const cm_bench_shared_result *r)
{
    printf("\n {\"work\": \"%s\", \"dtype\": \"%s\", \"batch\": %d, \"processes\": %d, "
           "\"parts\": %d, \"threads\": %d, \"ms\": %.6g, \"images_per_s\": %.6g, "
           "\"update_ms\": %.6g, \"sums_ms\": %.6g, \"waits_ms\": %.6g, \"buckets\": [",
           w->kind, w->dtype, w->batch, cm_group_size(g), r->parts, r->threads, r->ms,
           r->images_per_s, r->update_ms, r->sums_ms, r->waits_ms);
    for (int i = 0; i < r->buckets; i++)
        printf("%s\n  {\"mib\": %.6g, \"begin_ms\": %.6g, \"end_ms\": %.6g}", i ? "," : "",
               r->bucket[i].mib, r->bucket[i].begin_ms, r->bucket[i].end_ms);
    printf("]}");
}

static void show_shared(const cm_group *g, const cm_work *w, const cm_bench_shared_result *r)
{
    printf("%s step, %s, batch %d in %d part%s, %d process%s of %d thread%s\n"
           "%10.2f ms a step, %.1f images/s\n%10.2f ms gradient\n%10.2f ms update\n",
           w->kind, w->dtype, w->batch, r->parts, r->parts == 1 ? "" : "s", cm_group_size(g),
           cm_group_size(g) == 1 ? "" : "es", r->threads, r->threads == 1 ? "" : "s", r->ms,
           r->images_per_s, r->ms - r->waits_ms - r->update_ms, r->update_ms);
    if (!r->buckets)
        return;
    printf("%10.2f ms sums under way, of which\n%10.2f ms waited for: %.2f hidden\n"
           "%10s %12s %12s %12s\n",
           r->sums_ms, r->waits_ms, 1.0 - r->waits_ms / r->sums_ms, "bucket", "MiB", "begin, ms",
           "end, ms");
    for (int i = 0; i < r->buckets; i++)
        printf("%10d %12.2f %12.2f %12.2f\n", i + 1, r->bucket[i].mib, r->bucket[i].begin_ms,
               r->bucket[i].end_ms);
}

cm_status cli_bench_shared(cm_group *g, const cm_model *model, const cm_work *w, int parts,
                           int json, cm_error *err)
{
    cm_bench_shared_result r = {.size = sizeof r};
    const cm_status s = cm_bench_shared(g, model, w, parts, &r, err);
    if (!s && !cm_group_rank(g))
        (json ? show_shared_json : show_shared)(g, w, &r);
    return s;
}
