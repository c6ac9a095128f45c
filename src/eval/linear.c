/* linear.c - panels of columns, taken by whoever is free */
#include "eval/linear.h"

#include "base/error.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { PANEL = 128 }; /* columns */

typedef struct task {
    const cm_linear *linear;
    int m, n, d;
    const double *a, *b;
    double *c;
    atomic_int next; /* panel */
} task;

/* OpenBLAS maps a buffer for each thread that is inside it, and where it gets none it asks again
 * for ever: so ask before it does. */
static cm_status check_buffers(int workers, cm_error *err)
{
    enum { BUFFER_MIB = 128 };
    const size_t bytes = (size_t)workers * BUFFER_MIB << 20;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return cm_fail(err, CM_ERR_MEMORY,
                       "scores: out of memory: OpenBLAS takes %d MiB of addresses a thread, of "
                       "which there are %d",
                       BUFFER_MIB, workers);
    munmap(p, bytes);
    return CM_OK;
}

cm_status cm_linear_open(int threads, cm_linear *l, cm_error *err)
{
    *l = (cm_linear){.workers = threads < CM_BLAS_MOST_WORKERS ? threads : CM_BLAS_MOST_WORKERS};
    cm_status s = cm_blas_open(&l->blas, err);
    if (!s)
        s = check_buffers(l->workers, err);
    if (!s)
        s = cm_pool_new(l->workers, &l->pool, err);
    if (s)
        cm_linear_close(l);
    return s;
}

void cm_linear_close(cm_linear *l)
{
    cm_pool_free(l->pool);
    cm_blas_close(&l->blas);
    *l = (cm_linear){0};
}

/* The next panel: its first column, and how many it has; 0: none is left. */
static int take_panel(task *t, int *first)
{
    *first = atomic_fetch_add(&t->next, 1) * PANEL;
    const int left = t->n - *first;
    return left < 0 ? 0 : left < PANEL ? left : PANEL;
}

/* Of a panel the square on the diagonal, then what is below it. */
static void add_outer(void *context, int worker, int workers)
{
    task *t = context;
    const cm_blas *b = &t->linear->blas;
    (void)worker;
    (void)workers;
    for (int first, columns; (columns = take_panel(t, &first));) {
        double *square = t->c + (size_t)first * (size_t)t->n + first;
        const int below = t->n - first - columns;
        b->dsyrk(CM_BLAS_COLUMNS, CM_BLAS_LOWER, CM_BLAS_AS_IS, columns, t->d, 1, t->a + first,
                 t->n, 1, square, t->n);
        if (below)
            b->dgemm(CM_BLAS_COLUMNS, CM_BLAS_AS_IS, CM_BLAS_TRANSPOSED, below, columns, t->d, 1,
                     t->a + first + columns, t->n, t->a + first, t->n, 1, square + columns, t->n);
    }
}

void cm_linear_add_outer(const cm_linear *l, int d, int n, const double *x, double *c)
{
    task t = {.linear = l, .n = d, .d = n, .a = x};
    t.c = c;
    cm_pool_run(l->pool, add_outer, &t);
}

static void inner(void *context, int worker, int workers)
{
    task *t = context;
    (void)worker;
    (void)workers;
    for (int first, columns; (columns = take_panel(t, &first));)
        t->linear->blas.dgemm(CM_BLAS_COLUMNS, CM_BLAS_TRANSPOSED, CM_BLAS_AS_IS, t->m, columns,
                              t->d, 1, t->a, t->d, t->b + (size_t)first * (size_t)t->d, t->d, 0,
                              t->c + (size_t)first * (size_t)t->m, t->m);
}

void cm_linear_inner(const cm_linear *l, int m, int n, int d, const double *a, const double *b,
                     double *c)
{
    task t = {.linear = l, .m = m, .n = n, .d = d, .a = a, .b = b};
    t.c = c;
    if (m && n)
        cm_pool_run(l->pool, inner, &t);
}
