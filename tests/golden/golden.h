/* golden.h - tensors of the golden files as doubles, for tests */
#ifndef CM_TESTS_GOLDEN_H
#define CM_TESTS_GOLDEN_H

#include "base/memory.h"
#include "check.h"
#include "io/safetensors.h"

/* The named file of goldens; ends the program when it is not there: without it no
 * test of that program means anything. */
static inline cm_st_file *golden_open(const char *file)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    if (cm_st_open(check_golden(file), &f, &err)) {
        printf("FAIL %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    return f;
}

/* All elements of a tensor; *n gets how many.  Freed with cm_free. */
static inline double *golden_read(const cm_st_file *f, const char *name, size_t *n)
{
    cm_error err = {0};
    const cm_st_tensor *t = cm_st_find(f, name);
    double *values = t ? cm_alloc_array((size_t)cm_st_elements(t) + 1, sizeof *values) : NULL;
    if (!values || cm_st_read_f64(f, t, values, &err)) {
        printf("FAIL %s: %s\n", name, t ? err.message : "no such tensor");
        exit(EXIT_FAILURE);
    }
    *n = (size_t)cm_st_elements(t);
    return values;
}

#endif
