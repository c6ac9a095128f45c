/* ternary.h - the lowest point of a function on integers that falls and then rises */
#ifndef CM_EVAL_TERNARY_H
#define CM_EVAL_TERNARY_H

#include "base/error.h"

/* A function that is asked for each of its values once at most, if it remembers them. */
typedef struct cm_integer_function {
    cm_status (*value)(void *user, int p, double *y, cm_error *err);
    void *user;
} cm_integer_function;

/* The point of left to right, left <= right, with the lowest value of all that were asked for, the
 * first of equal ones: of a function that falls strictly and then rises strictly the lowest of all.
 * Errors: those of the function. */
cm_status cm_ternary_search(const cm_integer_function *f, int left, int right, int *best,
                            cm_error *err);

#endif
