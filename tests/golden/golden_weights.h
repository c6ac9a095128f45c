/* golden_weights.h - the weights of the golden networks, which are a formula (formula.h),
 * so that no file holds them.  The target and the teacher of the losses are the student's
 * weights times 1 + 0.05 u("target." NAME, i) and 1 + 0.1 u("teacher." NAME, i), rounded
 * again. */
#ifndef CM_TESTS_GOLDEN_WEIGHTS_H
#define CM_TESTS_GOLDEN_WEIGHTS_H

#include "formula.h"
#include "nn/params.h"

#include <stdio.h>

typedef enum formula_role { FORMULA_STUDENT, FORMULA_TARGET, FORMULA_TEACHER } formula_role;

/* All parameters, each at its place in flat. */
static inline void formula_fill(const cm_params *params, formula_role role, float *flat)
{
    char name[300];
    for (int k = 0; k < cm_params_size(params); k++) {
        const cm_param *p = cm_params_at(params, k);
        const int64_t n = cm_type_count(&p->type);
        float *w = flat + p->offset;
        formula_weights("", p->name, p->type.rank, p->type.dim[0], n, w);
        snprintf(name, sizeof name, "%s.%s", role == FORMULA_TARGET ? "target" : "teacher",
                 p->name);
        const double share = role == FORMULA_TARGET ? 0.05 : role == FORMULA_TEACHER ? 0.1 : 0.0;
        for (int64_t i = 0; i < n && share > 0.0; i++)
            w[i] = (float)((double)w[i] * (1.0 + share * formula_u(name, i)));
    }
}

#endif
