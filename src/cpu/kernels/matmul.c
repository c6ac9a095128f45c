/* matmul.c - products of matrices whose rows are samples, y = a op(b) [+ bias, to each
 * row]
 *
 * Each element of y is a sum of its own, in f32, over runs of DEPTH k's, in order:
 *
 *   y[m,n] = sum_runs (sum_{k in run} a[m,k] op(b)[k,n]) + bias[n]
 *
 * so its bits depend neither on the number of rows nor of threads, and an image is the
 * same beside any others.  oneDNN's products do not keep that (on AVX2 gemm:jit, with
 * AMX brgemm round a row in a way that depends on how many there are), so it is left
 * those of which no network samples: a read transposed, where the sum goes over the
 * samples (gradients of weights).
 *
 * pack() brings op(b) into panels of PANEL columns, f32 [panels][K][PANEL], zeros beyond
 * N.  ROWS rows of a panel are summed in registers.  bf16 rows of a are widened first. */
#include "cpu/kernels/panel.h"

#include "base/memory.h"

enum {
    DEPTH = 256,    /* k's a run; the error of a sum grows with it */
    CHUNK = 48,     /* rows a task: a multiple of ROWS */
    SERIAL = 65536, /* fewer multiply-adds are not worth sharing out */
};

/* What pack() and run() need; the same for all with the same packed b. */
typedef struct matmul {
    int64_t n, depth, matrices; /* columns of y, length of sums, batch */
    int transposed;             /* b is [N,K] */
    int bf16;
} matmul;

int CM_K(matmul_suits)(const cm_node *n)
{
    return !n->attr.matmul.ta;
}

cm_status CM_K(matmul_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *b = &n->in[1]->type;
    const int r = b->rank, tb = n->attr.matmul.tb;
    matmul *s = cm_alloc(sizeof *s);
    (void)threads;
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "matmul: out of memory");
    *s = (matmul){b->dim[r - 1 - tb], b->dim[r - 2 + tb], 1, tb, b->dtype == CM_BF16};
    for (int i = 0; i < r - 2; i++)
        s->matrices *= b->dim[i];
    p->state = s;
    p->packs = 1;
    p->packed = (size_t)(s->matrices * cm_ceil_div(s->n, PANEL) * PANEL * s->depth) * sizeof(float);
    return CM_OK;
}

int CM_K(matmul_same_packed)(const void *a, const void *b)
{
    const matmul *s = a, *t = b;
    return s->n == t->n && s->depth == t->depth && s->matrices == t->matrices &&
           s->transposed == t->transposed && s->bf16 == t->bf16;
}

/* ---- packing ---- */

/* to [K][PANEL] from columns first.. of b */
CM_INLINE void pack_panel(const matmul *s, float *to, const void *b, int64_t first, int bf16)
{
    const int64_t columns = cm_min(PANEL, s->n - first);
    for (int64_t from = 0; from < s->depth && s->transposed; from += CM_LANES)
        for (int64_t j = 0; j < columns; j++)
            for (int64_t k = from; k < cm_min(from + CM_LANES, s->depth); k++)
                to[k * PANEL + j] = cm_get(b, (first + j) * s->depth + k, bf16);
    for (int64_t k = 0; k < s->depth && !s->transposed; k++)
        for (int64_t j = 0; j < columns; j++)
            to[k * PANEL + j] = cm_get(b, k * s->n + first + j, bf16);
}

void CM_K(matmul_pack)(const cm_call *c)
{
    const matmul *s = c->state;
    const int64_t panels = cm_ceil_div(s->n, PANEL), size = s->depth * PANEL;
    CM_EACH_SHARE (c, cm_team(c, s->n * s->depth), i, s->matrices * panels, 1) {
        const void *b = cm_at(c->in[1], i / panels * s->n * s->depth, s->bf16);
        const int64_t first = i % panels * PANEL;
        float *to = (float *)c->packed + i * size;
        if (s->n - first < PANEL)
            memset(to, 0, (size_t)size * sizeof *to);
        if (s->bf16)
            pack_panel(s, to, b, first, 1);
        else
            pack_panel(s, to, b, first, 0);
    }
}

/* ---- products ---- */

/* y[0..n) = sum + bias */
CM_INLINE void put(void *y, int64_t n, int bf16, const float *sum, const float *bias)
{
    if (bias)
        CM_PUT_EACH(y, n, bf16, i, sum[i] + bias[i]);
    else
        CM_PUT_EACH(y, n, bf16, i, sum[i]);
}

/* Rows of a, `rows` of them, one panel. */
static void sum_runs(const matmul *s, const void *a, const float *b, int64_t rows, float *sum)
{
    float wide[ROWS * DEPTH];
    for (int64_t k = 0; k < s->depth; k += DEPTH) {
        const panel_sum t = {.a = s->bf16 ? wide : (const float *)a + k,
                             .b = b + k * PANEL,
                             .row = s->bf16 ? DEPTH : s->depth,
                             .step = 1,
                             .pitch = PANEL,
                             .depth = cm_min(DEPTH, s->depth - k),
                             .sum = sum,
                             .apart = PANEL};
        for (int64_t r = 0; r < rows && s->bf16; r++)
            for (int64_t i = 0; i < t.depth; i++)
                wide[r * DEPTH + i] = cm_get(a, r * s->depth + k + i, 1);
        sum_rows_of(&t, rows, 0);
    }
}

/* Rows first.. of matrix i, one panel. */
static void run_task(const cm_call *c, int64_t i, int64_t first, int64_t last, int64_t panel)
{
    const matmul *s = c->state;
    const int64_t m = c->node->type.dim[c->node->type.rank - 2], n = panel * PANEL;
    const int64_t panels = cm_ceil_div(s->n, PANEL), columns = cm_min(PANEL, s->n - n);
    const float *b = (const float *)c->packed + (i * panels + panel) * s->depth * PANEL;
    const float *bias = c->node->n_in == 3 ? (const float *)c->in[2] + n : NULL;
    for (int64_t row = first; row < last; row += ROWS) {
        const int64_t rows = cm_min(ROWS, last - row);
        float sum[ROWS * PANEL] = {0};
        sum_runs(s, cm_at(c->in[0], (i * m + row) * s->depth, s->bf16), b, rows, sum);
        for (int64_t r = 0; r < rows; r++) {
            void *y = cm_at_out(c->out, (i * m + row + r) * s->n + n, s->bf16);
            if (s->bf16)
                put(y, columns, 1, sum + r * PANEL, bias);
            else
                put(y, columns, 0, sum + r * PANEL, bias);
        }
    }
}

static int team(const matmul *s, int64_t m, int workers)
{
    return s->matrices * m * s->n * s->depth < SERIAL ? 1 : workers;
}

void CM_K(matmul)(const cm_call *c)
{
    const matmul *s = c->state;
    const int64_t m = c->node->type.dim[c->node->type.rank - 2];
    const int64_t panels = cm_ceil_div(s->n, PANEL), chunks = cm_ceil_div(m, CHUNK);
    CM_EACH_SHARE (c, team(s, m, c->workers), task, s->matrices * chunks * panels, 1) {
        const int64_t i = task / panels / chunks, first = task / panels % chunks * CHUNK;
        run_task(c, i, first, cm_min(first + CHUNK, m), task % panels);
    }
}
