/* ternary.c - two points at the thirds of what is left; the third beyond the higher of them goes.
 *
 * Source: scripts/ternary_search.py of the released code, whose last step (two points left) gives
 * back a point of the step before; here the two or three that are left are all asked. */
#include "eval/ternary.h"

#include <math.h>

typedef struct lowest {
    int p;
    double y;
} lowest;

static cm_status ask(const cm_integer_function *f, int p, double *y, lowest *low, cm_error *err)
{
    const cm_status s = f->value(f->user, p, y, err);
    if (!s && (*y < low->y || (*y <= low->y && p < low->p)))
        *low = (lowest){p, *y};
    return s;
}

cm_status cm_ternary_search(const cm_integer_function *f, int left, int right, int *best,
                            cm_error *err)
{
    lowest low = {left, (double)INFINITY};
    double at_first, at_second;
    cm_status s = CM_OK;
    while (right - left >= 3 && !s) {
        const int first = left + (right - left) / 3, second = right - (right - left + 2) / 3;
        s = ask(f, first, &at_first, &low, err);
        if (!s)
            s = ask(f, second, &at_second, &low, err);
        if (!s && at_first < at_second)
            right = second;
        else
            left = first;
    }
    for (int p = left; p <= right && !s; p++)
        s = ask(f, p, &at_first, &low, err);
    if (!s)
        *best = low.p;
    return s;
}
