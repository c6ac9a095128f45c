/* feature_set.c */
#include "eval/feature_set.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

static cm_status out_of_memory(int64_t n, int64_t d, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY,
                   "features: out of memory for %lld images of %lld: keep fewer (--kept)",
                   (long long)n, (long long)d);
}

cm_status cm_feature_set_add(cm_feature_set *s, int64_t d, int64_t n, const float *rows,
                             cm_error *err)
{
    const size_t row = (size_t)d * sizeof *rows;
    if (s->n + n > s->capacity) {
        const int64_t capacity = s->n + n + s->capacity / 2;
        float *values = cm_grow(s->values, (size_t)s->capacity * row, (size_t)capacity * row);
        if (!values)
            return out_of_memory(capacity, d, err);
        s->values = values;
        s->capacity = capacity;
    }
    s->d = d;
    memcpy(s->values + s->n * d, rows, (size_t)n * row);
    s->n += n;
    return CM_OK;
}

cm_status cm_feature_set_centre(cm_feature_set *s, const double *centre, cm_error *err)
{
    double half = 0;
    s->squares = cm_alloc_array((size_t)s->n + 1, sizeof *s->squares);
    s->along = cm_alloc_array((size_t)s->n + 1, sizeof *s->along);
    if (!s->squares || !s->along)
        return out_of_memory(s->n, s->d, err);
    for (int64_t j = 0; j < s->d; j++)
        half += centre[j] * centre[j] / 2;
    for (int64_t i = 0; i < s->n; i++) {
        float *x = s->values + i * s->d;
        double along = -half, square = 0;
        for (int64_t j = 0; j < s->d; j++) {
            along += centre[j] * (double)x[j];
            x[j] = (float)((double)x[j] - centre[j]);
            square += (double)x[j] * (double)x[j];
        }
        s->along[i] = along;
        s->squares[i] = square;
    }
    return CM_OK;
}

void cm_feature_set_clear(cm_feature_set *s)
{
    cm_free(s->values);
    cm_free(s->squares);
    cm_free(s->along);
    *s = (cm_feature_set){0};
}

double cm_feature_distance2(const cm_feature_set *x, int64_t i, const cm_feature_set *y, int64_t j)
{
    const float *a = x->values + i * x->d, *b = y->values + j * y->d;
    double sum = 0;
    for (int64_t k = 0; k < x->d; k++)
        sum += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return sum;
}
