/* check.h - the test harness: every test program runs a table of named
 * functions, prints "ok" or "FAIL" a test and closes with "N passed, N failed",
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

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;

static inline int check_main(const check_test *tests, size_t n)
{
    int passed = 0, failed = 0;
    for (size_t i = 0; i < n; i++) {
        check_failures = 0;
        tests[i].run();
        printf("%s %s\n", check_failures ? "FAIL" : "ok  ", tests[i].name);
        fflush(stdout);
        check_failures ? failed++ : passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define CHECK_MAIN(tests)                                          \
    int main(void)                                                 \
    {                                                              \
        return check_main(tests, sizeof(tests) / sizeof *(tests)); \
    }

/* The reference outputs; a test fails loudly when they are missing. */
static inline const char *check_golden(const char *file)
{
    static char path[4096];
    const char *dir = getenv("CM_GOLDENS");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "../shared/goldens", file);
    return path;
}

#endif
