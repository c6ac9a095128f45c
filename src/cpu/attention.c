/* attention.c - attention and its derivatives in blocks whose scores stay in a core's
 * cache
 *
 * Each worker does blocks of its own: it copies the operands of one head, or of some
 * heads together where sequences are short, to dense matrices (oneDNN's fast products
 * want them dense), then products, softmax, products, each on one thread.  The
 * block's shape follows from T, d, the heads and the dtype alone, and the last block
 * of a sequence is filled with zeros; so a result depends neither on the number of
 * threads nor on the batch. */
#include "cpu/attention.h"

#include "base/memory.h"
#include "cpu/dnnl_help.h"

#include <math.h>
#include <string.h>

enum {
    LANES = 16,          /* keys are padded to a multiple */
    MIN_ROWS = 16,       /* of queries in a block, where there are as many */
    SCORES = 512 * 1024, /* bytes of f32 scores in a block, where MIN_ROWS allow it */
    SERIAL = 16384,      /* fewer scores in all are not worth sharing out */
    MAX_PRODUCTS = 5
};

/* The matrices of a block, those of a group of heads one after another. */
typedef enum matrix { Q, K, V, DY, QDOT, KDOT, VDOT, S, U, OUT, DK, DV, P, W, MATRICES } matrix;
typedef enum extent { ROWS, KEYS, DEPTH } extent;
static const struct {
    extent rows, columns;
    int f32; /* else of the operands' dtype */
} form[MATRICES] = {
    /* copies of the operands */
    [Q] = {ROWS, DEPTH, 0},
    [K] = {KEYS, DEPTH, 0},
    [V] = {KEYS, DEPTH, 0},
    [DY] = {ROWS, DEPTH, 0},
    [QDOT] = {ROWS, DEPTH, 0},
    [KDOT] = {KEYS, DEPTH, 0},
    [VDOT] = {KEYS, DEPTH, 0},
    /* scores; dP or Sdot, both before scaling */
    [S] = {ROWS, KEYS, 1},
    [U] = {ROWS, KEYS, 1},
    /* y, ydot or dQ; sums over the blocks */
    [OUT] = {ROWS, DEPTH, 1},
    [DK] = {KEYS, DEPTH, 1},
    [DV] = {KEYS, DEPTH, 1},
    /* P; dS or Pdot; where they are f32, in the memory of S and U */
    [P] = {ROWS, KEYS, 0},
    [W] = {ROWS, KEYS, 0},
};

typedef struct product {
    matrix a;
    int ta;
    matrix b;
    int tb;
    matrix y;
    enum { SET, ADD, ADD_BLOCKS } how; /* ADD_BLOCKS: add where there are several blocks */
} product;

/* The products, of which `before` come before the softmax. */
typedef struct recipe {
    int n, before;
    product product[MAX_PRODUCTS];
} recipe;

/* clang-format off */
static const recipe forward = {2, 1, {{Q, 0, K, 1, S, SET},
                                      {P, 0, V, 0, OUT, SET}}};
static const recipe grad = {5, 2, {{Q, 0, K, 1, S, SET},
                                   {DY, 0, V, 1, U, SET},
                                   {P, 1, DY, 0, DV, ADD_BLOCKS},
                                   {W, 0, K, 0, OUT, SET},
                                   {W, 1, Q, 0, DK, ADD_BLOCKS}}};
static const recipe jvp = {5, 3, {{Q, 0, K, 1, S, SET},
                                  {QDOT, 0, K, 1, U, SET},
                                  {Q, 0, KDOT, 1, U, ADD},
                                  {W, 0, V, 0, OUT, SET},
                                  {P, 0, VDOT, 0, OUT, ADD}}};
/* clang-format on */

typedef struct attention {
    const recipe *recipe;
    const cm_attention_kernels *kernels;
    int64_t n, t, heads, d;
    int64_t rows, keys, blocks; /* of queries in a block, of keys with padding; T/rows */
    int64_t group;              /* heads computed together */
    cm_dtype dtype;
    float scale;
    int threads;
    size_t offset[MATRICES], inverse, scratch, bytes; /* of one worker's workspace */
    cm_dnnl product[];                                /* [threads][recipe->n] */
} attention;

/* ---- shapes ---- */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void choose_block(attention *a)
{
    const int64_t row_bytes = (a->keys = ceil_div(a->t, LANES) * LANES) * (int64_t)sizeof(float);
    const int64_t most = SCORES / row_bytes > MIN_ROWS ? SCORES / row_bytes : MIN_ROWS;
    a->blocks = ceil_div(a->t, most);
    a->rows = ceil_div(a->t, a->blocks);
    a->group = a->blocks > 1 ? 1 : a->heads;
    while (a->group > 1 && (a->heads % a->group || a->group * a->rows * row_bytes > SCORES))
        a->group--;
}

static cm_type type_of(const attention *a, matrix m)
{
    const int64_t length[] = {[ROWS] = a->rows, [KEYS] = a->keys, [DEPTH] = a->d};
    return CM_TYPE(form[m].f32 ? CM_F32 : a->dtype, a->group, length[form[m].rows],
                   length[form[m].columns]);
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static void place(attention *a, matrix m, char *placed)
{
    const cm_type t = type_of(a, m);
    if (placed[m])
        return;
    placed[m] = 1;
    if (a->dtype == CM_F32 && (m == P || m == W)) {
        a->offset[m] = a->offset[m == P ? S : U];
        return;
    }
    a->offset[m] = a->bytes;
    a->bytes += round_up(cm_type_bytes(&t));
}

static void place_all(attention *a)
{
    char placed[MATRICES] = {0};
    for (int i = 0; i < a->recipe->n; i++) {
        const product *p = &a->recipe->product[i];
        place(a, p->a, placed);
        place(a, p->b, placed);
        place(a, p->y, placed);
    }
    a->inverse = a->bytes;
    a->scratch = a->inverse + round_up((size_t)(a->group * a->rows) * sizeof(float));
    a->bytes = a->scratch;
}

/* ---- preparation ---- */

static void release(void *state)
{
    attention *a = state;
    for (int i = 0; i < a->threads * a->recipe->n; i++)
        cm_dnnl_release(&a->product[i]);
    cm_free(a);
}

/* One worker's; all workers' are of one kind, which the library compiles once. */
static cm_status make_products(attention *a, cm_dnnl *out, size_t *scratch, cm_error *err)
{
    cm_status s = CM_OK;
    for (int i = 0; i < a->recipe->n && !s; i++) {
        const product *p = &a->recipe->product[i];
        const cm_type x = type_of(a, p->a), w = type_of(a, p->b), y = type_of(a, p->y);
        const cm_dnnl_matmul_spec spec = {.a = &x,
                                          .b = &w,
                                          .y = &y,
                                          .ta = p->ta,
                                          .tb = p->tb,
                                          .residual = p->how == ADD ||
                                                      (p->how == ADD_BLOCKS && a->blocks > 1)};
        s = cm_dnnl_matmul(&spec, &out[i], err);
        if (out[i].scratch_bytes > *scratch)
            *scratch = out[i].scratch_bytes;
    }
    return s;
}

static attention *attention_new(const cm_node *n, const recipe *r, int threads)
{
    const cm_type *qkv = &n->in[n->n_in - 1]->type;
    attention *a = cm_alloc(sizeof *a + (size_t)(threads * r->n) * sizeof(cm_dnnl));
    if (!a)
        return NULL;
    *a = (attention){.recipe = r,
                     .kernels = cm_cpu_attention(cm_cpu_isa()),
                     .n = qkv->dim[0],
                     .t = qkv->dim[1],
                     .heads = n->attr.attention.heads,
                     .d = qkv->dim[2] / (3 * n->attr.attention.heads),
                     .dtype = qkv->dtype,
                     .threads = threads};
    a->scale = 1.0f / sqrtf((float)a->d);
    choose_block(a);
    place_all(a);
    return a;
}

static cm_status prepare(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const recipe *r = n->op == CM_OP_ATTENTION        ? &forward
                      : n->op == CM_OP_ATTENTION_GRAD ? &grad
                                                      : &jvp;
    attention *a = attention_new(n, r, threads);
    size_t scratch = 0;
    cm_status s = CM_OK;
    if (!a)
        return cm_fail(err, CM_ERR_MEMORY, "attention: out of memory");
    for (int i = 0; i < threads && !s; i++)
        s = make_products(a, &a->product[i * r->n], &scratch, err);
    a->bytes += round_up(scratch);
    if (s) {
        release(a);
        return s;
    }
    p->state = a;
    p->workspace = (size_t)threads * a->bytes;
    p->impl = a->product[0].impl;
    return CM_OK;
}

/* ---- one block ---- */

typedef struct worker {
    const attention *a;
    const cm_call *call;
    const cm_dnnl *product;
    char *memory;
    int64_t sample, head; /* the first of its heads */
} worker;

static void *memory_of(const worker *w, matrix m)
{
    return w->memory + w->a->offset[m];
}

/* Rows from `first` on of matrix m in a tensor [N,T,parts*C]. */
static cm_attention_heads heads_of(const attention *a, matrix m, int parts, int64_t first)
{
    const int64_t all = form[m].rows == KEYS ? a->keys : a->rows;
    return (cm_attention_heads){.n = a->group,
                                .rows = all < a->t - first ? all : a->t - first,
                                .padded = all,
                                .d = a->d,
                                .pitch = parts * a->heads * a->d,
                                .bf16 = a->dtype == CM_BF16};
}

/* Byte offset of row `first` of part `part` of the heads. */
static size_t at(const worker *w, int parts, int part, int64_t first)
{
    const attention *a = w->a;
    const int64_t row = w->sample * a->t + first;
    return (size_t)(((row * parts + part) * a->heads + w->head) * a->d) * cm_dtype_bytes(a->dtype);
}

static void load(const worker *w, matrix m, const void *x, int parts, int part, int64_t first)
{
    const cm_attention_heads h = heads_of(w->a, m, parts, first);
    w->a->kernels->gather(&h, memory_of(w, m), (const char *)x + at(w, parts, part, first));
}

static void save(const worker *w, matrix m, const float *factor, int parts, int part, int64_t first)
{
    const cm_attention_heads h = heads_of(w->a, m, parts, first);
    w->a->kernels->scatter(&h, (char *)w->call->out + at(w, parts, part, first), memory_of(w, m),
                           factor);
}

static void multiply(const worker *w, int begin, int end)
{
    const attention *a = w->a;
    for (int i = begin; i < end; i++) {
        const product *p = &a->recipe->product[i];
        cm_dnnl_run(&w->product[i],
                    (const void *[]){memory_of(w, p->a), memory_of(w, p->b), memory_of(w, p->y)},
                    w->memory + a->scratch);
    }
}

/* Keys and values of the heads; sums over blocks start at zero. */
static void begin_heads(const worker *w)
{
    const attention *a = w->a;
    const cm_call *c = w->call;
    const size_t sums = (size_t)(a->group * a->keys * a->d) * sizeof(float);
    load(w, K, c->in[c->node->n_in - 1], 3, 1, 0);
    load(w, V, c->in[c->node->n_in - 1], 3, 2, 0);
    if (a->recipe == &jvp) {
        load(w, KDOT, c->in[0], 3, 1, 0);
        load(w, VDOT, c->in[0], 3, 2, 0);
    } else if (a->recipe == &grad && a->blocks > 1) {
        memset(memory_of(w, DK), 0, sums);
        memset(memory_of(w, DV), 0, sums);
    }
}

static void run_block(const worker *w, int64_t block)
{
    const attention *a = w->a;
    const cm_call *c = w->call;
    const int64_t first = block * a->rows;
    const cm_attention_rows rows = {.n = a->group * a->rows,
                                    .length = a->t,
                                    .padded = a->keys,
                                    .scale = a->scale,
                                    .bf16 = a->dtype == CM_BF16,
                                    .s = memory_of(w, S),
                                    .u = memory_of(w, U),
                                    .p = memory_of(w, P),
                                    .w = memory_of(w, W),
                                    .inverse = (float *)(void *)(w->memory + a->inverse)};
    load(w, Q, c->in[c->node->n_in - 1], 3, 0, first);
    if (a->recipe == &grad)
        load(w, DY, c->in[0], 1, 0, first);
    else if (a->recipe == &jvp)
        load(w, QDOT, c->in[0], 3, 0, first);
    multiply(w, 0, a->recipe->before);
    (a->recipe == &forward ? a->kernels->softmax : a->kernels->softmax_grad)(&rows);
    multiply(w, a->recipe->before, a->recipe->n);
    save(w, OUT, a->recipe == &forward ? rows.inverse : NULL, a->recipe == &grad ? 3 : 1, 0, first);
}

static void end_heads(const worker *w)
{
    if (w->a->recipe == &grad) {
        save(w, DK, NULL, 3, 1, 0);
        save(w, DV, NULL, 3, 2, 0);
    }
}

/* ---- all blocks ---- */

/* Blocks begin..end-1 in the order (sample, group of heads, block of queries) */
static void run_blocks(worker *w, int64_t begin, int64_t end)
{
    const attention *a = w->a;
    const int64_t groups = a->heads / a->group;
    for (int64_t i = begin; i < end; i++) {
        const int64_t heads = i / a->blocks;
        w->sample = heads / groups;
        w->head = heads % groups * a->group;
        if (i == begin || i % a->blocks == 0)
            begin_heads(w);
        run_block(w, i % a->blocks);
        if (i % a->blocks == a->blocks - 1)
            end_heads(w);
    }
}

static void run(const cm_call *c)
{
    const attention *a = c->state;
    const int64_t all = a->n * (a->heads / a->group) * a->blocks;
    const int64_t unit = a->recipe == &grad ? a->blocks : 1; /* which no two workers share */
    const int team = a->n * a->heads * a->t * a->keys < SERIAL ? 1 : c->workers;
    const cm_share share = cm_share_of(c, team, all, unit);
    worker w = {.a = a,
                .call = c,
                .product = &a->product[c->worker * a->recipe->n],
                .memory = (char *)c->workspace + (size_t)c->worker * a->bytes};
    run_blocks(&w, share.begin, share.end);
}

const cm_kernel cm_kernels_attention[CM_OP_COUNT] = {
    [CM_OP_ATTENTION] = {"oneDNN", prepare, NULL, run, release},
    [CM_OP_ATTENTION_GRAD] = {"oneDNN", prepare, NULL, run, release},
    [CM_OP_ATTENTION_JVP] = {"oneDNN", prepare, NULL, run, release},
};
