/* plan_check.h - what the tests of plans share: compile or stop, random numbers,
 * memory of nodes as floats */
#ifndef CM_TESTS_PLAN_CHECK_H
#define CM_TESTS_PLAN_CHECK_H

#include "check.h"

#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/op.h"
#include "graph/plan.h"

static uint32_t plan_random;

static inline int below(int n) /* 0..n-1 */
{
    plan_random = plan_random * 1664525u + 1013904223u;
    return (int)((uint64_t)(plan_random >> 8) * (uint64_t)n >> 24);
}

static inline void fill(float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)below(2001) * 1e-3f - 1.0f;
}

static inline cm_plan *compile_on(const cm_device *device, cm_graph *g, int n, cm_node *const *out)
{
    cm_error err = {0};
    cm_plan *p = NULL;
    if (!CHECK_OK(cm_plan_compile(g, n, out, device, 2, &p, &err), err))
        exit(EXIT_FAILURE);
    return p;
}

static inline cm_plan *compile(cm_graph *g, int n, cm_node *const *out)
{
    return compile_on(cm_cpu_device(), g, n, out);
}

static inline float *data(cm_plan *p, const cm_node *n)
{
    return cm_plan_data(p, n);
}

static inline void expect(cm_plan *p, const cm_node *n, float want, const char *what)
{
    for (int64_t i = 0; i < cm_type_count(&n->type); i++)
        if (!CHECK(fabsf(data(p, n)[i] - want) < 1e-6f, "%s: element %d is %.9g, expected %.9g",
                   what, (int)i, (double)data(p, n)[i], (double)want))
            return;
}

static inline void set(cm_plan *p, const cm_node *n, float v)
{
    for (int64_t i = 0; i < cm_type_count(&n->type); i++)
        data(p, n)[i] = v;
}

#endif
