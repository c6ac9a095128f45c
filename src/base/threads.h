/* threads.h - how many threads this process may use */
#ifndef CM_BASE_THREADS_H
#define CM_BASE_THREADS_H

/* Cores in the affinity mask, at most the cgroup's cpu quota, at least 1. */
int cm_threads_available(void);

#endif
