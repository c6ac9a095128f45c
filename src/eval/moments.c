/* moments.c */
#include "eval/moments.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>

enum { BLOCK = 512 }; /* rows */

struct cm_moments {
    const cm_linear *linear;
    int d, filled;       /* rows in the block */
    int64_t n;           /* rows in the sums */
    double *shift, *sum; /* [d] */
    double *outer;       /* [d,d], lower triangle, column-major */
    double *block;       /* [BLOCK,d], less the shift once there is one */
};

void cm_statistics_clear(cm_statistics *s)
{
    cm_free(s->mean);
    cm_free(s->covariance);
    *s = (cm_statistics){0};
}

cm_status cm_moments_new(const cm_linear *linear, int d, cm_moments **moments, cm_error *err)
{
    cm_moments *m = cm_alloc(sizeof *m);
    const size_t row = (size_t)d * sizeof(double);
    if (m) {
        *m = (cm_moments){.linear = linear, .d = d};
        m->shift = cm_alloc(row);
        m->sum = cm_alloc(row);
        m->outer = cm_alloc_array((size_t)d, row);
        m->block = cm_alloc_array(BLOCK, row);
    }
    if (m && m->shift && m->sum && m->outer && m->block) {
        *moments = m;
        return CM_OK;
    }
    cm_moments_free(m);
    return cm_fail(err, CM_ERR_MEMORY, "statistics: out of memory for %d features", d);
}

void cm_moments_free(cm_moments *m)
{
    if (!m)
        return;
    cm_free(m->shift);
    cm_free(m->sum);
    cm_free(m->outer);
    cm_free(m->block);
    cm_free(m);
}

/* The mean of the first block becomes the shift. */
static void choose_shift(cm_moments *m)
{
    for (int i = 0; i < m->filled; i++)
        for (int j = 0; j < m->d; j++)
            m->shift[j] += m->block[(size_t)i * (size_t)m->d + (size_t)j] / m->filled;
    for (int i = 0; i < m->filled; i++)
        for (int j = 0; j < m->d; j++)
            m->block[(size_t)i * (size_t)m->d + (size_t)j] -= m->shift[j];
}

static void add_block(cm_moments *m)
{
    if (!m->filled)
        return;
    if (!m->n)
        choose_shift(m);
    for (int i = 0; i < m->filled; i++)
        for (int j = 0; j < m->d; j++)
            m->sum[j] += m->block[(size_t)i * (size_t)m->d + (size_t)j];
    cm_linear_add_outer(m->linear, m->d, m->filled, m->block, m->outer);
    m->n += m->filled;
    m->filled = 0;
}

void cm_moments_add(cm_moments *m, int64_t n, const float *rows)
{
    for (int64_t i = 0; i < n; i++, rows += m->d) {
        double *to = m->block + (size_t)m->filled * (size_t)m->d;
        for (int j = 0; j < m->d; j++)
            to[j] = (double)rows[j] - m->shift[j];
        if (++m->filled == BLOCK)
            add_block(m);
    }
}

static int all_finite(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return 0;
    return 1;
}

cm_status cm_moments_finish(cm_moments *m, cm_statistics *s, cm_error *err)
{
    const size_t d = (size_t)m->d;
    add_block(m);
    if (m->n < 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "statistics: expected at least 2 images, found %" PRId64, m->n);
    *s = (cm_statistics){.n = m->n,
                         .d = m->d,
                         .mean = cm_alloc_array(d, sizeof *s->mean),
                         .covariance = cm_alloc_array(d * d, sizeof *s->covariance)};
    if (!s->mean || !s->covariance) {
        cm_statistics_clear(s);
        return cm_fail(err, CM_ERR_MEMORY, "statistics: out of memory for %d features", m->d);
    }
    const double n = (double)m->n;
    for (size_t j = 0; j < d; j++)
        s->mean[j] = m->shift[j] + m->sum[j] / n;
    for (size_t j = 0; j < d; j++)
        for (size_t i = j; i < d; i++) {
            const double v = (m->outer[j * d + i] - m->sum[i] * m->sum[j] / n) / (n - 1);
            s->covariance[j * d + i] = s->covariance[i * d + j] = v;
        }
    if (all_finite(s->mean, d) && all_finite(s->covariance, d * d))
        return CM_OK;
    cm_statistics_clear(s);
    return cm_fail(err, CM_ERR_NUMERIC, "statistics: features that are not finite numbers");
}
