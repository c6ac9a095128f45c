/* threads.c */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): sets of cores */
#define _GNU_SOURCE
#include "base/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* cgroup v2: "max 100000" or "150000 100000" (quota, period in microseconds). */
static int cgroup_quota(void)
{
    long quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 0;
    const int n = fscanf(f, "%ld %ld", &quota, &period); /* NOLINT(cert-err34-c) */
    fclose(f);
    return n == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int cm_threads_available(void)
{
    /* Not the affinity of this thread: OMP_PROC_BIND narrows that to one core. */
    int n = omp_get_num_procs();
    const int quota = cgroup_quota();
    if (quota > 0 && quota < n)
        n = quota;
    return n < 1 ? 1 : n;
}

uint64_t cm_threads_mask(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof set, &set))
        return 0;
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        hash = (hash ^ (CPU_ISSET(i, &set) ? 1u : 0u)) * UINT64_C(0x100000001b3);
    return hash;
}

/* Places are the cores that the process had when it began; there are none without
 * OMP_PROC_BIND or OMP_PLACES. */
void cm_threads_spread(pthread_attr_t *attr)
{
    enum { MOST = 256 };
    int core[MOST];
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int place = 0; place < omp_get_num_places(); place++) {
        const int n = omp_get_place_num_procs(place);
        if (n > MOST)
            return;
        omp_get_place_proc_ids(place, core);
        for (int i = 0; i < n; i++)
            CPU_SET((size_t)core[i], &set);
    }
    if (CPU_COUNT(&set))
        pthread_attr_setaffinity_np(attr, sizeof set, &set);
}
