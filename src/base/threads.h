/* threads.h - how many threads this process may use */
#ifndef CM_BASE_THREADS_H
#define CM_BASE_THREADS_H

#include <pthread.h>
#include <stdint.h>

/* Cores in the affinity mask, at most the cgroup's cpu quota, at least 1. */
int cm_threads_available(void);
/* A hash of the affinity mask of this process's first thread. */
uint64_t cm_threads_mask(void);
/* Let a new thread run on all cores of the process, where OMP_PROC_BIND has bound the
 * calling one to a few, which a thread it makes would inherit. */
void cm_threads_spread(pthread_attr_t *attr);

#endif
