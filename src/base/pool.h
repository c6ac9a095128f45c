/* pool.h - threads that work on one thing together, and sleep when they wait for long
 *
 * All workers run the same function, each on its own share of the work, and meet at
 * barriers.  Who waits looks for some microseconds whether the others have come, then
 * sleeps: beside another busy process nobody wastes a time slice, and nothing is asked of
 * the environment or of another thread library (docs/decisions/018-workers-that-sleep.md). */
#ifndef CM_BASE_POOL_H
#define CM_BASE_POOL_H

#include "base/error.h"

enum { CM_POOL_MOST = 1024 };

typedef struct cm_pool cm_pool;

/* The thread that calls cm_pool_run is worker 0; threads - 1 others are started.  They
 * take no signals.  Errors: CM_ERR_ARGUMENT (not 1 to CM_POOL_MOST), CM_ERR_MEMORY (a
 * thread could not be started). */
cm_status cm_pool_new(int threads, cm_pool **pool, cm_error *err);
void cm_pool_free(cm_pool *pool); /* NULL is allowed */

typedef void cm_pool_fn(void *context, int worker, int workers);
/* f(context, worker, workers) in all workers at once; returns when all have returned.  By
 * one thread at a time.  In the child of a fork, where only the calling thread lives, the
 * others are started again; workers is less than asked for where that fails. */
void cm_pool_run(cm_pool *pool, cm_pool_fn *f, void *context);
/* Called by all workers from within f: none goes on before the last has come, and what
 * each wrote before it, all see after it. */
void cm_pool_barrier(cm_pool *pool);

#endif
