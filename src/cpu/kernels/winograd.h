/* winograd.h - 3 x 3 convolutions with 36 products for 4 x 4 outputs instead of 144
 *
 * Source: Lavin and Gray 2015 (arXiv 1509.09308), after Winograd, Toom and Cook.  In one
 * dimension, the n outputs y[j] = sum_{i < m} d[i + j] g[i] of d[0..5], with n + m = 6 + 1, are
 *
 *     y = A^T [ (G g) * (B^T d) ]                      * element by element
 *
 * with a row or column for each of six points p, 0, infinity, a, -a, b and -b:
 *
 *     A^T[j,p] = p^j                                   infinity: 1 where j = n - 1, else 0
 *     G[p,i]   = p^i / N_p, N_p = prod_{q != p} (p - q)   infinity: 1 where i = m - 1
 *     B^T[p,k] = coefficient of x^k in prod_{q != p} (x - q)   (all q finite)
 *
 * as A^T D(G g) B^T is the transpose of multiplying polynomials by their values at the points.
 * In two dimensions each matrix is applied to columns, then to rows (at 36 pairs of points).
 *
 *     forward, gradient of the input    n = 4 outputs, m = 3 taps of weights
 *     gradient of the weights           n = 3 taps of it, m = 4 values of dy
 *
 * The products at a pair of points, summed over channels (or, for weights, over tiles) are a
 * product of matrices (panel.h).  a = 5/8 and b = 3/2 lose fewer digits than the paper's 1
 * and 2 (docs/decisions/021-winograd.md). */
#ifndef CM_CPU_KERNELS_WINOGRAD_H
#define CM_CPU_KERNELS_WINOGRAD_H

#include "cpu/kernels/panel.h"

enum {
    POINTS = 6,
    PAIRS = POINTS * POINTS,
    OUTPUTS = 4,  /* a tile's side: outputs of a convolution, dy of a weight gradient */
    TAPS = 3,     /* of weights */
    APART = 16,   /* floats between the matrices of two pairs, so that caches do not collide */
    GRANULE = 16, /* channels are a multiple of it */
    RUN = 8,      /* tiles beside each other that are transformed together, and channels of them: */
    DEEP = 128,   /* half-transformed they fill a part of the second cache, these floats */
    HALF = POINTS * ((RUN - 1) * OUTPUTS + POINTS) * DEEP,
};

#define WINOGRAD_TEXT(suffix)  #suffix
#define WINOGRAD_NAMED(suffix) "winograd " WINOGRAD_TEXT(suffix)
#define WINOGRAD_NAME          WINOGRAD_NAMED(CM_ISA_SUFFIX)

static const float point[2] = {0.625f, 1.5f}; /* a, b */

/* ---- one dimension ----
 *
 * Points are two by two, 0 and infinity, then a and -a, then b and -b, as what is even and what is
 * odd in x serves two of them. */

enum { TWOS = POINTS / 2 };

/* To the points of the i'th two. */
typedef void winograd_to_two(const vec *from, int i, vec *to);
typedef void winograd_outputs(const vec *m, vec *y);

/* (x^2 - a^2) (x^2 - b^2) at c0, c2, c4 for 1, x^2, x^4 */
CM_INLINE vec both_squares(vec c0, vec c2, vec c4)
{
    const float aa = point[0] * point[0], bb = point[1] * point[1];
    return FMA(splat(aa * bb), c0, FMA(splat(-(aa + bb)), c2, c4));
}

/* B^T: 6 to 6 */
CM_INLINE void input_transform(const vec *d, int i, vec *v)
{
    if (i == 0) {
        v[0] = both_squares(d[0], d[2], d[4]);
        v[1] = both_squares(d[1], d[3], d[5]);
        return;
    }
    const float p = point[i - 1], other = point[2 - i];
    const vec even = FMA(splat(-other * other), d[2], d[4]);
    const vec odd = FMA(splat(-other * other), d[1], d[3]);
    v[0] = FMA(splat(p), odd, even);
    v[1] = FMA(splat(-p), odd, even);
}

/* G without its 1 / N: m = 3 or 4 to 6 */
CM_INLINE void taps_transform(const vec *g, int i, vec *v, int m)
{
    if (i == 0) {
        v[0] = g[0];
        v[1] = g[m - 1];
        return;
    }
    const float p = point[i - 1];
    const vec even = FMA(splat(p * p), g[2], g[0]);
    vec odd = splat(p) * g[1];
    if (m == 4)
        odd = FMA(splat(p * p * p), g[m - 1], odd);
    v[0] = even + odd;
    v[1] = even - odd;
}

/* A^T: 6 to n = 4 or 3 */
CM_INLINE void output_transform(const vec *m, vec *y, int n)
{
    const vec even0 = m[2] + m[3], odd0 = m[2] - m[3], even1 = m[4] + m[5], odd1 = m[4] - m[5];
    const float a = point[0], b = point[1];
    y[0] = m[0] + (even0 + even1);
    y[1] = FMA(splat(a), odd0, splat(b) * odd1);
    y[2] = FMA(splat(a * a), even0, splat(b * b) * even1);
    if (n == 4)
        y[3] = FMA(splat(a * a * a), odd0, splat(b * b * b) * odd1);
    y[n - 1] += m[1];
}

CM_INLINE void three_taps(const vec *g, int i, vec *v)
{
    taps_transform(g, i, v, 3);
}

CM_INLINE void four_taps(const vec *g, int i, vec *v)
{
    taps_transform(g, i, v, 4);
}

CM_INLINE void four_outputs(const vec *m, vec *y)
{
    output_transform(m, y, 4);
}

CM_INLINE void three_outputs(const vec *m, vec *y)
{
    output_transform(m, y, 3);
}

/* 1 / N of each pair of points: for a whole call, as divisions are slow. */
CM_INLINE void find_scales(float scale[PAIRS])
{
    const double a = (double)point[0], b = (double)point[1], aa = a * a, bb = b * b;
    const double n[POINTS] = {
        aa * bb, 1, 2 * aa * (aa - bb), 2 * aa * (aa - bb), 2 * bb * (bb - aa), 2 * bb * (bb - aa)};
    for (int i = 0; i < PAIRS; i++)
        scale[i] = (float)(1 / n[i / POINTS] * (1 / n[i % POINTS]));
}

/* ---- two dimensions: columns, then rows ---- */

CM_INLINE vec load_as(const void *p, int64_t i, int bf16)
{
    if (!bf16)
        return load((const float *)p + i);
    float wide[WIDTH];
    CM_SIMD
    for (int k = 0; k < WIDTH; k++)
        wide[k] = cm_get(p, i + k, 1);
    return load(wide);
}

CM_INLINE void store_as(void *p, int64_t i, int bf16, vec v)
{
    float wide[WIDTH];
    if (!bf16) {
        store((float *)p + i, v);
        return;
    }
    store(wide, v);
    CM_SIMD
    for (int k = 0; k < WIDTH; k++)
        cm_put(p, i + k, 1, wide[k]);
}

/* Tiles beside each other.  Neighbours share columns, which are transformed once. */
typedef struct winograd_run {
    const void *row[POINTS]; /* the first column of each row of pixels */
    int64_t step[POINTS];    /* elements from a column to the next; 0: zeros that stand for all */
    int64_t tiles, columns;
    int64_t begin, end; /* of those columns, what is in the image; others are 0 */
} winograd_run;

/* Channels [first, first + n) of the columns of a run, to half[point][column][n]. */
CM_INLINE void columns_to_points(winograd_to_two *f, int side, const winograd_run *run,
                                 int64_t first, int64_t n, int bf16, float *half)
{
    const int64_t columns = run->columns, begin = run->begin, end = run->end, plane = columns * n;
    const void *row[POINTS];
    for (int y = 0; y < side; y++)
        row[y] = cm_at(run->row[y], begin * run->step[y] + first, bf16);
    for (int64_t x = 0; x < columns; x++, half += n) {
        const int inside = x >= begin && x < end;
        for (int64_t k = 0; k < n; k += WIDTH) {
            vec from[POINTS], two[2];
            UNROLL
            for (int y = 0; y < side; y++)
                from[y] = inside ? load_as(row[y], k, bf16) : splat(0);
            UNROLL
            for (int i = 0; i < TWOS; i++) {
                f(from, i, two);
                store(half + 2 * i * plane + k, two[0]);
                store(half + (2 * i + 1) * plane + k, two[1]);
            }
        }
        for (int y = 0; y < side && inside; y++)
            row[y] = cm_at(row[y], run->step[y], bf16);
    }
}

/* Those to v: pair i at v + i pitch, a tile `apart` behind another. */
CM_INLINE void rows_to_points(winograd_to_two *f, int side, const winograd_run *run, int64_t n,
                              const float *half, float *v, int64_t pitch, int64_t apart)
{
    const int64_t tiles = run->tiles, plane = run->columns * n;
    for (int64_t t = 0; t < tiles; t++, half += OUTPUTS * n, v += apart)
        for (int p = 0; p < POINTS; p++) {
            const float *columns = half + p * plane;
            float *to = v + p * POINTS * pitch;
            for (int64_t k = 0; k < n; k += WIDTH) {
                vec from[POINTS], two[2];
                UNROLL
                for (int x = 0; x < side; x++)
                    from[x] = load(columns + x * n + k);
                UNROLL
                for (int i = 0; i < TWOS; i++) {
                    f(from, i, two);
                    store(to + 2 * i * pitch + k, two[0]);
                    store(to + (2 * i + 1) * pitch + k, two[1]);
                }
            }
        }
}

/* Channels [0, n) of side x side pixels a tile to their 36 values: all of them together where that
 * is possible, so that pixels are read as they lie. */
CM_INLINE void to_points(winograd_to_two *f, int side, const winograd_run *run, int64_t n, int bf16,
                         float *half, float *v, int64_t pitch, int64_t apart)
{
    for (int64_t k = 0; k < n; k += DEEP) {
        const int64_t some = cm_min(DEEP, n - k);
        columns_to_points(f, side, run, k, some, bf16, half);
        rows_to_points(f, side, run, some, half, v + k, pitch, apart);
    }
}

/* Functions of their own, so that registers are theirs alone: a third faster. */
CM_APART void tiles_f32(const winograd_run *run, int64_t c, float *half, float *v, int64_t pitch,
                        int64_t apart)
{
    to_points(input_transform, POINTS, run, c, 0, half, v, pitch, apart);
}

CM_APART void tiles_bf16(const winograd_run *run, int64_t c, float *half, float *v, int64_t pitch,
                         int64_t apart)
{
    to_points(input_transform, POINTS, run, c, 1, half, v, pitch, apart);
}

/* A vector of channels from their 36 values, along columns: half [side][POINTS], whose rows f
 * brings to `side` outputs each. */
CM_INLINE void from_points(winograd_outputs *f, int side, const float *m, int64_t pitch, vec *half)
{
    vec from[POINTS], to[POINTS];
    UNROLL
    for (int j = 0; j < POINTS; j++) {
        UNROLL
        for (int i = 0; i < POINTS; i++)
            from[i] = load(m + (i * POINTS + j) * pitch);
        f(from, to);
        UNROLL
        for (int i = 0; i < side; i++)
            half[i * POINTS + j] = to[i];
    }
}

/* ---- tiles of images ---- */

/* h x w images in tiles of 4 x 4; what a tile has beyond the edge is 0 and not stored. */
typedef struct winograd_tiles {
    int64_t h, w, down, across, all;
} winograd_tiles;

CM_INLINE winograd_tiles tiles_of(const cm_type *images)
{
    winograd_tiles t = {.h = images->dim[1], .w = images->dim[2]};
    t.down = cm_ceil_div(t.h, OUTPUTS);
    t.across = cm_ceil_div(t.w, OUTPUTS);
    t.all = images->dim[0] * t.down * t.across;
    return t;
}

/* A tile's image, and its first pixel there. */
typedef struct winograd_spot {
    int64_t image, y, x;
} winograd_spot;

CM_INLINE winograd_spot spot_of(const winograd_tiles *t, int64_t i)
{
    const int64_t each = t->down * t->across, in = i % each;
    return (winograd_spot){i / each, in / t->across * OUTPUTS, in % t->across * OUTPUTS};
}

/* n tiles further in a row, without a division. */
CM_INLINE void move_on(const winograd_tiles *t, winograd_spot *at, int64_t n)
{
    at->x += n * OUTPUTS;
    if (at->x < t->w)
        return;
    at->x = 0;
    at->y += OUTPUTS;
    if (at->y < t->h)
        return;
    at->y = 0;
    at->image++;
}

/* How many of n tiles from `at` on lie beside each other, at most RUN. */
CM_INLINE int64_t beside(const winograd_tiles *t, const winograd_spot *at, int64_t n)
{
    return cm_min(cm_min(n, RUN), cm_ceil_div(t->w - at->x, OUTPUTS));
}

/* Those.  side x side pixels each of images
 * [n,h,w,channels] from channel `from` on, the first of them `margin` above and left of a tile. */
CM_INLINE winograd_run run_of(const winograd_tiles *t, const winograd_spot *at, int64_t n, int side,
                              int margin, const void *images, int64_t channels, int64_t from,
                              int bf16, const float *zeros)
{
    const int64_t top = at->y - margin, left = at->x - margin;
    const int64_t first = ((at->image * t->h + top) * t->w + left) * channels + from;
    winograd_run r = {.tiles = beside(t, at, n)};
    r.columns = (r.tiles - 1) * OUTPUTS + side;
    r.begin = left < 0 ? -left : 0;
    r.end = cm_min(r.columns, t->w - left);
    for (int y = 0; y < side; y++) {
        const int inside = top + y >= 0 && top + y < t->h;
        r.row[y] = inside ? cm_at(images, first + y * t->w * channels, bf16) : zeros;
        r.step[y] = inside ? channels : 0;
    }
    return r;
}

/* Whether the convolution that n is, or is a gradient of, is of this kind: 3 x 3, each pixel, as
 * many out as in, channels in whole granules; bf16 where the processor has no tiles for it.  Not
 * where an image has so few pixels, and so many channels, that its time is that of reading
 * weights, of which there are four times as many.  w: type of the weights, y: of the output. */
static inline int is_winograd(const cm_node *n, const cm_type *w, const cm_type *y)
{
    enum { FEW_PIXELS = 64, MANY_WEIGHTS = 512 * 512 };
    return !cm_cpu_direct_only() && (n->in[0]->type.dtype == CM_F32 || !cm_cpu_has_amx()) &&
           w->dim[2] == TAPS && w->dim[3] == TAPS && n->attr.conv.stride == 1 &&
           n->attr.conv.pad_h == 1 && n->attr.conv.pad_w == 1 && w->dim[0] % GRANULE == 0 &&
           w->dim[1] % GRANULE == 0 &&
           !(y->dim[1] * y->dim[2] <= FEW_PIXELS && w->dim[0] * w->dim[1] > MANY_WEIGHTS);
}

#endif
