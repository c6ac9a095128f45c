/* panel.h - the inner loop of every product: some rows of a times a panel of columns of b,
 *
 *   sum[r][n] += sum_{k < depth} a[r, k] b[k, n],   n in [0, PANEL)
 *
 * in registers, in vectors of this instruction set.  Each element is one chain of multiply-adds
 * in the order of k, then added: its bits depend neither on how many rows there are nor on the
 * width of the vectors. */
#ifndef CM_CPU_KERNELS_PANEL_H
#define CM_CPU_KERNELS_PANEL_H

#include "cpu/kernels/vec.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { WIDTH = 16, ROWS = 8 };
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#elif defined(__AVX2__)
enum { WIDTH = 8, ROWS = 6 };
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#else
enum { WIDTH = 4, ROWS = 4 };
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
enum { PANEL = 2 * WIDTH };

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

typedef float vec __attribute__((vector_size(WIDTH * sizeof(float))));

CM_INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

CM_INLINE void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

CM_INLINE vec splat(float f)
{
    return f - (vec){0};
}

CM_INLINE vec at_least_0(vec v)
{
    typedef int32_t mask __attribute__((vector_size(sizeof v)));
    return (vec)(~(v < splat(0)) & (mask)v);
}

typedef struct panel_sum {
    const float *a, *b;
    int64_t row, step; /* of a: from a row to the next, from k to k + 1 */
    int64_t pitch;     /* of b: from k to k + 1 */
    int64_t depth;
    float *sum;    /* rows of PANEL */
    int64_t apart; /* of sum: from a row to the next */
} panel_sum;

/* fresh: what is in sum is not looked at, as if it were 0. */
CM_INLINE void sum_rows_fixed(const panel_sum *t, int rows, int fresh)
{
    vec sum[ROWS][2] = {{{0}}};
    for (int64_t k = 0; k < t->depth; k++) {
        const float *b = t->b + k * t->pitch, *a = t->a + k * t->step;
        const vec b0 = load(b), b1 = load(b + WIDTH);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vec in_all = splat(a[r * t->row]);
            sum[r][0] = FMA(in_all, b0, sum[r][0]);
            sum[r][1] = FMA(in_all, b1, sum[r][1]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 2; i++) {
            float *to = t->sum + r * t->apart + i * WIDTH;
            store(to, fresh ? sum[r][i] : load(to) + sum[r][i]);
        }
}

/* Compiled for each number of rows, so that sums are registers. */
CM_INLINE void sum_rows_of(const panel_sum *t, int64_t rows, int fresh)
{
    switch (rows) {
    case 1:
        sum_rows_fixed(t, 1, fresh);
        return;
    case 2:
        sum_rows_fixed(t, 2, fresh);
        return;
    case 3:
        sum_rows_fixed(t, 3, fresh);
        return;
#if defined(__AVX2__)
    case 4:
        sum_rows_fixed(t, 4, fresh);
        return;
    case 5:
        sum_rows_fixed(t, 5, fresh);
        return;
#endif
#if defined(__AVX512F__)
    case 6:
        sum_rows_fixed(t, 6, fresh);
        return;
    case 7:
        sum_rows_fixed(t, 7, fresh);
        return;
#endif
    default:
        sum_rows_fixed(t, ROWS, fresh);
    }
}

/* Any number of rows.  The last two blocks share what is left: a row alone would wait for its own
 * sums. */
CM_INLINE void sum_panel(const panel_sum *all, int64_t rows, int fresh)
{
    panel_sum t = *all;
    int64_t left = rows, n;
    for (; left >= 2 * ROWS || left == ROWS; left -= ROWS) {
        sum_rows_fixed(&t, ROWS, fresh);
        t.a += ROWS * t.row;
        t.sum += ROWS * t.apart;
    }
    for (n = left > ROWS ? left / 2 : left; left > 0; left -= n, n = left) {
        sum_rows_of(&t, n, fresh);
        t.a += n * t.row;
        t.sum += n * t.apart;
    }
}

#endif
