/* threads.c */
#define _GNU_SOURCE
#include "base/threads.h"

#include <sched.h>
#include <stdio.h>

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
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    const int quota = cgroup_quota();
    if (quota > 0 && quota < n)
        n = quota;
    return n < 1 ? 1 : n;
}
