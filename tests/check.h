/* check.h - the test harness: every test program runs a table of named functions,
 * prints "ok", "FAIL" or "skip" a test and closes with "N passed, N failed, N skipped",
 * which ./run test adds up. */
#ifndef CM_TESTS_CHECK_H
#define CM_TESTS_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the running test; one for all files of a program. */
__attribute__((weak)) int check_failures;
/* Why the running test does not apply here; NULL: it does. */
__attribute__((weak)) const char *check_skipped;

/* Report and go on: one run shows every failure.  The value is whether it holds. */
#define CHECK(cond, ...) ((cond) ? 1 : check_fail(__FILE__, __LINE__, __VA_ARGS__))

__attribute__((format(printf, 3, 4))) static inline int check_fail(const char *file, int line,
                                                                   const char *fmt, ...)
{
    va_list ap;
    check_failures++;
    printf("    %s:%d: ", file, line);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    return 0;
}

/* |got - want| <= tol * (1 + |want|) */
#define CHECK_CLOSE(got, want, tol)                                                           \
    CHECK(fabs((double)(got) - (double)(want)) <= (tol) * (1.0 + fabs((double)(want))),       \
          "%s = %.10g, expected %.10g (tolerance %.1g)", #got, (double)(got), (double)(want), \
          (double)(tol))

#define CHECK_OK(call, err) CHECK((call) == CM_OK, "%s: %s", #call, (err).message)

/* Leave the function and count the running test as skipped, unless it failed before:
 * for what this machine cannot do. */
#define CHECK_SKIP(reason)        \
    do {                          \
        check_skipped = (reason); \
        return;                   \
    } while (0)

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;

/* The exit status: 77, which Meson knows as skipped, where all tests were. */
static inline int check_main(const check_test *tests, size_t n)
{
    int passed = 0, failed = 0, skipped = 0;
    for (size_t i = 0; i < n; i++) {
        check_failures = 0;
        check_skipped = NULL;
        tests[i].run();
        if (check_failures) {
            printf("FAIL %s\n", tests[i].name);
            failed++;
        } else if (check_skipped) {
            printf("skip %s: %s\n", tests[i].name, check_skipped);
            skipped++;
        } else {
            printf("ok   %s\n", tests[i].name);
            passed++;
        }
        fflush(stdout);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed ? EXIT_FAILURE : skipped && !passed ? 77 : EXIT_SUCCESS;
}

#define CHECK_MAIN(tests)                                          \
    int main(void)                                                 \
    {                                                              \
        return check_main(tests, sizeof(tests) / sizeof *(tests)); \
    }

/* The path of a file of reference numbers; tests run in the root of the source tree. */
static inline const char *check_golden(const char *file)
{
    static char path[512];
    snprintf(path, sizeof path, "tests/golden/data/%s", file);
    return path;
}

#endif
