/* frechet.c - factors by Cholesky with pivots, then singular values */
#include "eval/frechet.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Of a trace, that rounding may leave beside a factor. */
static const double NEGLIGIBLE = 1e-6;

static cm_status out_of_memory(int64_t d, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "Frechet distance: out of memory for %lld features",
                   (long long)d);
}

static double trace(const cm_statistics *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->d; i++)
        sum += s->covariance[i * (s->d + 1)];
    return sum;
}

/* The triangle [n,r] of the permuted matrix at l, to rows in their own order at a. */
static double put_rows(int n, int r, const double *l, const int *pivot, double *a)
{
    double squares = 0;
    for (int j = 0; j < r; j++)
        for (int i = j; i < n; i++) {
            const double v = l[(size_t)j * (size_t)n + (size_t)i];
            a[(size_t)j * (size_t)n + (size_t)(pivot[i] - 1)] = v;
            squares += v * v;
        }
    return squares;
}

/* A [d,rank] with A A^T = S.  a is zeroed; work is [d,d] */
static cm_status factor(const cm_linear *l, const cm_statistics *s, const char *name, double *work,
                        double *a, int *rank, cm_error *err)
{
    const int n = (int)s->d;
    const double its_own = -1; /* d eps max S_ii */
    int info;
    int *pivot = cm_alloc_array((size_t)n, sizeof *pivot);
    double *more = cm_alloc_array(2 * (size_t)n, sizeof *more);
    if (!pivot || !more) {
        cm_free(pivot);
        cm_free(more);
        return out_of_memory(n, err);
    }
    memcpy(work, s->covariance, (size_t)n * (size_t)n * sizeof *work);
    l->blas.dpstrf("L", &n, work, &n, pivot, rank, &its_own, more, &info, 1);
    const double found = put_rows(n, *rank, work, pivot, a), expected = trace(s);
    cm_free(pivot);
    cm_free(more);
    if (info >= 0 && fabs(found - expected) <= NEGLIGIBLE * expected)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: sigma: expected a covariance, whose eigenvalues are not negative, found "
                   "another matrix",
                   name);
}

/* Of C [m,n], which is lost. */
static cm_status sum_singular_values(const cm_linear *l, int m, int n, double *c, double *sum,
                                     cm_error *err)
{
    const int least = m < n ? m : n, one = 1, ask = -1;
    int info = 0, length;
    double wanted = 0, unused;
    *sum = 0;
    if (!least)
        return CM_OK;
    int *integers = cm_alloc_array(8 * (size_t)least, sizeof *integers);
    double *values = cm_alloc_array((size_t)least, sizeof *values), *work = NULL;
    if (integers && values) {
        l->blas.dgesdd("N", &m, &n, c, &m, values, &unused, &one, &unused, &one, &wanted, &ask,
                       integers, &info, 1);
        length = (int)wanted;
        work = cm_alloc_array((size_t)length, sizeof *work);
    }
    if (work)
        l->blas.dgesdd("N", &m, &n, c, &m, values, &unused, &one, &unused, &one, work, &length,
                       integers, &info, 1);
    for (int i = 0; i < least && work; i++)
        *sum += values[i];
    const cm_status s =
        !work ? out_of_memory(m, err)
        : info || !isfinite(*sum)
            ? cm_fail(err, CM_ERR_NUMERIC, "Frechet distance: the singular values do not converge")
            : CM_OK;
    cm_free(integers);
    cm_free(values);
    cm_free(work);
    return s;
}

cm_status cm_frechet(const cm_linear *l, const cm_statistics *s1, const char *name1,
                     const cm_statistics *s2, const char *name2, double *distance, cm_error *err)
{
    const size_t d = (size_t)s1->d;
    double sum = 0, apart = 0, *a[4] = {NULL};
    int r1 = 0, r2 = 0, missing = 0;
    if (s1->d != s2->d)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s has statistics of %lld features, %s of %lld: expected those of one "
                       "network",
                       name1, (long long)s1->d, name2, (long long)s2->d);
    for (int i = 0; i < 4; i++)
        missing |= !(a[i] = cm_alloc_array(d * d, sizeof **a));
    cm_status s = missing ? out_of_memory(s1->d, err) : CM_OK;
    if (!s)
        s = factor(l, s1, name1, a[2], a[0], &r1, err);
    if (!s)
        s = factor(l, s2, name2, a[2], a[1], &r2, err);
    if (!s) {
        cm_linear_inner(l, r1, r2, (int)d, a[0], a[1], a[3]);
        s = sum_singular_values(l, r1, r2, a[3], &sum, err);
    }
    for (int i = 0; i < 4; i++)
        cm_free(a[i]);
    if (s)
        return s;
    for (size_t i = 0; i < d; i++)
        apart += (s1->mean[i] - s2->mean[i]) * (s1->mean[i] - s2->mean[i]);
    const double squared = apart + trace(s1) + trace(s2) - 2 * sum;
    *distance = squared > 0 ? squared : 0; /* of equal ones rounding leaves this or that side */
    return CM_OK;
}
