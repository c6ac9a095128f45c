/* feature_weights.h - the formula weights of the golden feature networks: as formula.h, but
 * kernels are u sqrt(6 / n), variances of batch norms 1 + 0.5 |u| and LPIPS' linear layers |u|;
 * their files; and the comparison of an output with its golden. */
#ifndef CM_TESTS_FEATURE_WEIGHTS_H
#define CM_TESTS_FEATURE_WEIGHTS_H

#include "formula.h"
#include "golden.h"
#include "graph/plan.h"
#include "nn/params.h"

#include <stdio.h>

/* lin0.model.1.weight, which the goldens call lin0 */
static inline int is_linear(const cm_param *p)
{
    return !strncmp(p->name, "lin", 3);
}

static inline double feature_weight(const cm_param *p, double row, double u)
{
    if (is_linear(p))
        return fabs(u);
    if (p->type.rank > 1)
        return u * sqrt(6.0 / row);
    return strstr(p->name, ".weight")       ? 1.0 + 0.1 * u
           : strstr(p->name, "running_var") ? 1.0 + 0.5 * fabs(u)
                                            : 0.1 * u;
}

/* Freed with cm_free. */
static inline float *feature_weights(const cm_params *params)
{
    float *flat = cm_alloc_array(cm_params_floats(params), sizeof *flat);
    for (int k = 0; k < cm_params_size(params); k++) {
        const cm_param *p = cm_params_at(params, k);
        const int64_t n = cm_type_count(&p->type);
        char name[300];
        snprintf(name, sizeof name, "%s", p->name);
        if (is_linear(p))
            *strchr(name, '.') = '\0';
        const uint32_t seed = formula_seed(name);
        for (int64_t i = 0; i < n; i++)
            flat[p->offset + (size_t)i] =
                (float)feature_weight(p, (double)(n / p->type.dim[0]), formula_at(seed, i));
    }
    return flat;
}

/* The parameters as a file: all of them, or those of one of LPIPS' two files; with one tensor
 * more, NULL: none. */
enum feature_file { VGG_FILE, LINEAR_FILE, WHOLE_FILE };
static inline void feature_file(const cm_params *params, const float *flat, const char *path,
                                enum feature_file which, const char *more)
{
    static const float zero = 0.0f;
    cm_error err = {0};
    const int all = cm_params_size(params);
    cm_st_entry *e = cm_alloc_array((size_t)all + 1, sizeof *e);
    int n = 0;
    cm_params_entries(params, flat, e);
    for (int i = 0; i < all; i++)
        if (which == WHOLE_FILE || is_linear(cm_params_at(params, i)) == (which == LINEAR_FILE))
            e[n++] = e[i];
    if (more)
        e[n++] = (cm_st_entry){more, CM_ST_F32, 1, {1}, &zero};
    CHECK_OK(cm_st_write(path, n, e, 0, NULL, NULL, &err), err);
    cm_free(e);
}

/* The largest difference is at most tol of the largest magnitude. */
static inline void check_feature(const cm_st_file *f, const char *name, const float *got,
                                 size_t count, double tol)
{
    size_t n;
    double *want = golden_read(f, name, &n), size = 0.0, worst = 0.0;
    CHECK(n == count, "%s: %d values", name, (int)count);
    for (size_t i = 0; i < n && n == count; i++) {
        size = fmax(size, fabs(want[i]));
        worst = fmax(worst, fabs((double)got[i] - want[i]));
    }
    CHECK(worst <= tol * size, "%s: differs by %.3g of %.3g", name, worst, size);
    cm_free(want);
}

#endif
