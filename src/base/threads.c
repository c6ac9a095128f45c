/* threads.c */
#include "base/threads.h"

#include <omp.h>
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
    /* Not the affinity of this thread: OMP_PROC_BIND narrows that to one core. */
    int n = omp_get_num_procs();
    const int quota = cgroup_quota();
    if (quota > 0 && quota < n)
        n = quota;
    return n < 1 ? 1 : n;
}
