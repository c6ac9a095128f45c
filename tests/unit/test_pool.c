/* test_pool.c - workers: each comes once a round, none passes a barrier early, waiting takes
 * no time of a core, a child of a fork has workers of its own. */
#include "check.h"

#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 5, ROUNDS = 3000, STAGES = 4 };

static cm_pool *pool_new(int threads)
{
    cm_pool *p = NULL;
    cm_error err = {0};
    CHECK_OK(cm_pool_new(threads, &p, &err), err);
    return p;
}

/* ---- rounds and barriers ---- */

typedef struct job {
    cm_pool *pool;
    int size, wrong;
    long came[MOST];  /* rounds of each worker */
    long stage[MOST]; /* plain memory: the barrier makes it visible */
} job;

static void work(void *context, int worker, int workers)
{
    job *j = context;
    if (workers != j->size) /* nobody writes it else */
        j->wrong = 1;
    j->came[worker]++;
    for (int s = 0; s < STAGES; s++) {
        j->stage[worker]++;
        cm_pool_barrier(j->pool);
        for (int i = 0; i < workers; i++)
            if (j->stage[i] != j->stage[worker])
                j->wrong = 1;
        cm_pool_barrier(j->pool);
    }
}

static void check_rounds(cm_pool *p, int size, long rounds)
{
    job j = {.pool = p, .size = size};
    for (long r = 0; r < rounds; r++)
        cm_pool_run(p, work, &j);
    for (int i = 0; i < size; i++)
        CHECK(j.came[i] == rounds && j.stage[i] == rounds * STAGES,
              "%d workers: number %d came %ld of %ld times, %ld stages", size, i, j.came[i], rounds,
              j.stage[i]);
    CHECK(!j.wrong, "%d workers: one went on too early, or there were others", size);
}

static void test_rounds(void)
{
    for (int size = 1; size <= MOST; size++) {
        cm_pool *p = pool_new(size);
        check_rounds(p, size, ROUNDS);
        cm_pool_free(p);
    }
    cm_pool_free(NULL);
}

static void *own_pool(void *unused)
{
    cm_pool *p = pool_new(3);
    (void)unused;
    check_rounds(p, 3, ROUNDS);
    cm_pool_free(p);
    return NULL;
}

static void test_several(void)
{
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        CHECK(!pthread_create(&thread[i], NULL, own_pool, NULL), "a thread");
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
}

/* ---- waiting ---- */

static double core_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void rest(double seconds)
{
    const struct timespec t = {0, (long)(1e9 * seconds)};
    nanosleep(&t, NULL);
}

/* The first lets the others wait. */
static void late(void *context, int worker, int workers)
{
    (void)workers;
    if (!worker)
        rest(0.3);
    cm_pool_barrier(*(cm_pool **)context);
}

static void test_waiting(void)
{
    cm_pool *p = pool_new(4);
    check_rounds(p, 4, 10);
    double before = core_seconds();
    rest(0.3);
    CHECK(core_seconds() - before < 0.1, "between rounds: %.3f s of cores in 0.3 s",
          core_seconds() - before);
    before = core_seconds();
    cm_pool_run(p, late, &p);
    CHECK(core_seconds() - before < 0.1, "at a barrier: %.3f s of cores in 0.3 s",
          core_seconds() - before);
    cm_pool_free(p);
}

/* ---- another process ---- */

static int child_fails(cm_pool *p)
{
    check_failures = 0;
    alarm(20); /* a hang is a failure */
    check_rounds(p, 4, 100);
    cm_pool *own = pool_new(3);
    check_rounds(own, 3, 100);
    cm_pool_free(own);
    cm_pool_free(p);
    return check_failures > 0;
}

static void test_fork(void)
{
    cm_pool *p = pool_new(4);
    int status = -1;
    check_rounds(p, 4, 10);
    fflush(stdout);
    const pid_t child = fork();
    if (!child)
        _exit(child_fails(p));
    check_rounds(p, 4, 100);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status),
          "the child: status %d", status);
    cm_pool_free(p);
}

/* A child that brings a pool it may only free. */
static void test_freed_in_child(void)
{
    cm_pool *p = pool_new(3);
    int status = -1;
    const pid_t child = fork();
    if (!child) {
        alarm(20);
        cm_pool_free(p);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && !status, "the child: status %d", status);
    cm_pool_free(p);
}

static int refused_without_memory(void)
{
    const struct rlimit some = {64 << 20, 64 << 20}; /* of addresses: a few stacks */
    cm_pool *p = NULL;
    cm_error err = {0};
    alarm(20);
    setrlimit(RLIMIT_AS, &some);
    const cm_status s = cm_pool_new(100, &p, &err);
    return s == CM_ERR_MEMORY && !p && strstr(err.message, "of 100") ? 0 : 1;
}

static void test_refused(void)
{
    static const int sizes[] = {-1, 0, CM_POOL_MOST + 1, 1000000};
    int status = -1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cm_pool *p = NULL;
        cm_error err = {0};
        CHECK(cm_pool_new(sizes[i], &p, &err) == CM_ERR_ARGUMENT && !p &&
                  strstr(err.message, "1 to 1024"),
              "%d threads: %s", sizes[i], err.message);
    }
    const pid_t child = fork();
    if (!child)
        _exit(refused_without_memory());
    CHECK(waitpid(child, &status, 0) == child && !status, "without memory: status %d", status);
}

/* ---- signals ---- */

static atomic_int taken;
static pthread_t host;

static void take(int signal_number)
{
    (void)signal_number;
    atomic_store(&taken, pthread_equal(pthread_self(), host) ? 1 : 2);
}

/* The host's handlers run in the host's threads. */
static void test_signals(void)
{
    const struct sigaction action = {.sa_handler = take};
    struct sigaction saved;
    cm_pool *p = pool_new(4);
    sigset_t usr1, mask;
    host = pthread_self();
    sigaction(SIGUSR1, &action, &saved);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &mask);
    kill(getpid(), SIGUSR1);
    rest(0.05);
    CHECK(!atomic_load(&taken), "a worker took a signal");
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    CHECK(atomic_load(&taken) == 1, "the signal was lost");
    sigaction(SIGUSR1, &saved, NULL);
    cm_pool_free(p);
}

static const check_test tests[] = {
    {"every worker comes once a round, and waits at barriers", test_rounds},
    {"several pools at once", test_several},
    {"waiting takes no time of a core", test_waiting},
    {"a child of a fork has workers of its own", test_fork},
    {"a child of a fork frees a pool", test_freed_in_child},
    {"sizes and missing memory are refused", test_refused},
    {"signals are the host's", test_signals},
};

int main(void)
{
    return check_main(tests, sizeof tests / sizeof *tests);
}
