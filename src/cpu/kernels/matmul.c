/* matmul.c - products of f32 matrices whose rows are samples, y = a op(b) [+ bias, to
 * each row]
 *
 * Each element of y is a sum of its own, over runs of DEPTH k's, in order:
 *
 *   y[m,n] = sum_runs (sum_{k in run} a[m,k] op(b)[k,n]) + bias[n]
 *
 * so its bits depend neither on the number of rows nor of threads, and an image is the
 * same beside any others.  oneDNN's products do not keep that (on AVX2, gemm:jit rounds
 * a row in a way that depends on how many there are), so it is left those of which no
 * network samples: a read transposed, where the sum goes over the samples (gradients of
 * weights), and bf16.
 *
 * pack() brings op(b) into panels of PANEL columns, [panels][K][PANEL], zeros beyond N.
 * ROWS rows of a panel are summed in registers. */
#include "cpu/kernels/vec.h"

#include "base/memory.h"

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

enum {
    PANEL = 2 * WIDTH,
    DEPTH = 256,    /* a panel's run stays in the first cache */
    CHUNK = 48,     /* rows a task: a multiple of ROWS */
    SERIAL = 65536, /* fewer multiply-adds are not worth waking threads for */
};

typedef float vec __attribute__((vector_size(WIDTH * sizeof(float))));

/* What pack() and run() need; the same for all with the same packed b. */
typedef struct matmul {
    int64_t n, depth, matrices; /* columns of y, length of sums, batch */
    int transposed;             /* b is [N,K] */
    void *library;              /* oneDNN's state, where it computes; else NULL */
} matmul;

static const cm_kernel *library(void)
{
    return &cm_kernels_dnnl[CM_OP_MATMUL];
}

cm_status CM_K(matmul_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *b = &n->in[1]->type;
    const int r = b->rank, tb = n->attr.matmul.tb;
    matmul *s = cm_alloc(sizeof *s);
    cm_status status = CM_OK;
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "matmul: out of memory");
    if (n->attr.matmul.ta || b->dtype != CM_F32) {
        status = library()->prepare(n, threads, p, err);
        s->library = p->state;
    } else {
        *s = (matmul){b->dim[r - 1 - tb], b->dim[r - 2 + tb], 1, tb, NULL};
        for (int i = 0; i < r - 2; i++)
            s->matrices *= b->dim[i];
        p->packs = 1;
        p->packed =
            (size_t)(s->matrices * cm_ceil_div(s->n, PANEL) * PANEL * s->depth) * sizeof(float);
    }
    p->state = s;
    if (status) {
        p->state = NULL;
        cm_free(s);
    }
    return status;
}

void CM_K(matmul_release)(void *state)
{
    matmul *s = state;
    if (s->library)
        library()->release(s->library);
    cm_free(s);
}

int CM_K(matmul_same_packed)(const void *a, const void *b)
{
    const matmul *s = a, *t = b;
    return s->n == t->n && s->depth == t->depth && s->matrices == t->matrices &&
           s->transposed == t->transposed;
}

/* ---- packing ---- */

/* to [K][PANEL] from `columns` rows of length K */
static void pack_transposed(float *to, const float *b, int64_t depth, int64_t columns)
{
    for (int64_t from = 0; from < depth; from += CM_LANES)
        for (int64_t j = 0; j < columns; j++)
            for (int64_t k = from; k < cm_min(from + CM_LANES, depth); k++)
                to[k * PANEL + j] = b[j * depth + k];
}

static void pack_rows(float *to, const float *b, int64_t depth, int64_t pitch, int64_t columns)
{
    for (int64_t k = 0; k < depth; k++)
        memcpy(to + k * PANEL, b + k * pitch, (size_t)columns * sizeof *to);
}

void CM_K(matmul_pack)(const cm_call *c)
{
    const matmul *s = c->state;
    const int64_t panels = cm_ceil_div(s->n, PANEL), size = s->depth * PANEL;
    if (s->library)
        return;
#pragma omp parallel for num_threads(cm_team(c, s->n * s->depth)) schedule(static)
    for (int64_t i = 0; i < s->matrices * panels; i++) {
        const int64_t first = i % panels * PANEL, columns = cm_min(PANEL, s->n - first);
        const float *b = (const float *)c->in[1] + i / panels * s->n * s->depth;
        float *to = (float *)c->packed + i * size;
        if (columns < PANEL)
            memset(to, 0, (size_t)size * sizeof *to);
        if (s->transposed)
            pack_transposed(to, b + first * s->depth, s->depth, columns);
        else
            pack_rows(to, b + first, s->depth, s->n, columns);
    }
}

/* ---- one tile ---- */

/* A tile's rows of a, its panel, and where the sums go. */
typedef struct tile {
    const float *a, *b;
    int64_t pitch, depth; /* of a row of a; of the run */
    float *sum;           /* [ROWS][PANEL] */
} tile;

CM_INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

CM_INLINE void sum_tile(const tile *t, int rows)
{
    vec sum[ROWS][2] = {{{0}}};
    for (int64_t k = 0; k < t->depth; k++) {
        const vec b0 = load(t->b + k * PANEL), b1 = load(t->b + k * PANEL + WIDTH);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vec a = t->a[r * t->pitch + k] - (vec){0}; /* in all lanes */
            sum[r][0] = FMA(a, b0, sum[r][0]);
            sum[r][1] = FMA(a, b1, sum[r][1]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        memcpy(t->sum + r * PANEL, sum[r], sizeof sum[r]);
}

/* Compiled for each number of rows, so that sums are registers. */
static void sum_rows(const tile *t, int64_t rows)
{
    switch (rows) {
    case 1:
        sum_tile(t, 1);
        return;
    case 2:
        sum_tile(t, 2);
        return;
    case 3:
        sum_tile(t, 3);
        return;
#if defined(__AVX2__)
    case 4:
        sum_tile(t, 4);
        return;
    case 5:
        sum_tile(t, 5);
        return;
#endif
#if defined(__AVX512F__)
    case 6:
        sum_tile(t, 6);
        return;
    case 7:
        sum_tile(t, 7);
        return;
#endif
    default:
        sum_tile(t, ROWS);
    }
}

/* ---- all tiles ---- */

typedef struct place {
    float *y;
    const float *bias; /* NULL: none, or not yet */
    int64_t pitch, rows, columns;
    int first; /* set y instead of adding to it */
} place;

static void add(float *y, const float *x, int64_t n)
{
    CM_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void put(const place *p, const float *sum)
{
    for (int64_t r = 0; r < p->rows; r++) {
        float *y = p->y + r * p->pitch;
        const float *s = sum + r * PANEL;
        if (p->first)
            memcpy(y, s, (size_t)p->columns * sizeof *y);
        else
            add(y, s, p->columns);
        if (p->bias)
            add(y, p->bias, p->columns);
    }
}

/* Rows first.. of matrix i, one panel. */
static void run_task(const cm_call *c, int64_t i, int64_t first, int64_t last, int64_t panel)
{
    const matmul *s = c->state;
    const int64_t m = c->node->type.dim[c->node->type.rank - 2], n = panel * PANEL;
    const int64_t panels = cm_ceil_div(s->n, PANEL);
    const float *a = (const float *)c->in[0] + i * m * s->depth;
    const float *b = (const float *)c->packed + (i * panels + panel) * s->depth * PANEL;
    float *y = (float *)c->out + i * m * s->n + n, sum[ROWS * PANEL];
    for (int64_t k = 0; k < s->depth; k += DEPTH)
        for (int64_t row = first; row < last; row += ROWS) {
            const int64_t rows = cm_min(ROWS, last - row), depth = cm_min(DEPTH, s->depth - k);
            const tile t = {.a = a + row * s->depth + k,
                            .b = b + k * PANEL,
                            .pitch = s->depth,
                            .depth = depth,
                            .sum = sum};
            const int biased = c->node->n_in == 3 && k + depth == s->depth;
            const place p = {.y = y + row * s->n,
                             .bias = biased ? (const float *)c->in[2] + n : NULL,
                             .pitch = s->n,
                             .rows = rows,
                             .columns = cm_min(PANEL, s->n - n),
                             .first = !k};
            sum_rows(&t, rows);
            put(&p, sum);
        }
}

void CM_K(matmul)(const cm_call *c)
{
    const matmul *s = c->state;
    if (s->library) {
        cm_call call = *c;
        call.state = s->library;
        library()->run(&call);
        return;
    }
    const int64_t m = c->node->type.dim[c->node->type.rank - 2];
    const int64_t panels = cm_ceil_div(s->n, PANEL), chunks = cm_ceil_div(m, CHUNK);
    const int team = s->matrices * m * s->n * s->depth < SERIAL ? 1 : c->threads;
#pragma omp parallel for num_threads(team) schedule(static)
    for (int64_t task = 0; task < s->matrices * chunks * panels; task++) {
        const int64_t i = task / panels / chunks, first = task / panels % chunks * CHUNK;
        run_task(c, i, first, cm_min(first + CHUNK, m), task % panels);
    }
}
