/* winograd_weights.c - gradients of the weights of 3 x 3 convolutions; winograd.h has the algebra.
 *
 * A task is a part of the tiles, at most C_BLOCK channels of x and K_BLOCK of dy.  Block after
 * block of tiles it transforms both, v[pair][tile][c] and d[pair][tile][k], and adds
 *
 *     m[panel][c][pair][n] += sum_tile v[pair][tile][c] d[pair][tile][n]
 *
 * The sums of the parts are added in order and transformed back to dw.  How many parts, and
 * which tiles each has, follows from the shape alone: dw is the same bits for any number of
 * workers. */
#include "cpu/kernels/winograd.h"

#include "base/memory.h"

enum {
    BLOCK = 64,           /* tiles at most, the length of a sum before it is added to the others */
    LEAST = 32,           /* tiles of a part */
    VALUES = BLOCK * 128, /* transformed, of a pair: with more channels a block has fewer tiles */
    C_BLOCK = 128,
    K_BLOCK = 64,            /* a multiple of PANEL */
    TASKS = 8,               /* wanted, where the sums of all have room in */
    MOST_SUMS = 1280 * 1024, /* floats */
};

typedef struct gradient {
    int64_t c, k, c_blocks, k_blocks, parts;
    int64_t c_size, k_size; /* channels of a block; k_size in whole panels */
    int64_t block;          /* tiles of a block */
    winograd_tiles tiles;
} gradient;

static int64_t v_pitch(const gradient *s)
{
    return s->block * s->c_size + APART;
}

static int64_t d_pitch(const gradient *s)
{
    return s->block * s->k_size + APART;
}

/* What a worker transforms, half of it in between, and a pixel of zeros; floats. */
static int64_t room_of(const gradient *s)
{
    return PAIRS * (v_pitch(s) + d_pitch(s)) + HALF + C_BLOCK;
}

/* The sums of a task: kept for all tasks where there are parts, else of a worker. */
static int64_t sums_of(const gradient *s)
{
    return PAIRS * s->c_size * s->k_size;
}

static int64_t tasks_of(const gradient *s)
{
    return s->parts * s->c_blocks * s->k_blocks;
}

static void plan_tasks(gradient *s)
{
    s->c_size = cm_min(s->c, C_BLOCK);
    s->k_size = cm_ceil_div(cm_min(s->k, K_BLOCK), PANEL) * PANEL;
    /* k_size differs between instruction sets, sums should not */
    s->block = cm_min(BLOCK, VALUES / (s->c_size + cm_min(s->k, K_BLOCK)));
    s->c_blocks = cm_ceil_div(s->c, C_BLOCK);
    s->k_blocks = cm_ceil_div(s->k, K_BLOCK);
    s->parts = 1;
    while (tasks_of(s) < TASKS && (s->parts == 1 || s->parts * LEAST < s->tiles.all) &&
           2 * s->parts * PAIRS * s->c * s->k <= MOST_SUMS)
        s->parts *= 2;
}

int CM_K(conv_weight_suits)(const cm_node *n)
{
    return is_winograd(n, &n->type, &n->in[0]->type);
}

cm_status CM_K(conv_weight_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *w = &n->type;
    gradient *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    *s = (gradient){.c = w->dim[1], .k = w->dim[0], .tiles = tiles_of(&n->in[0]->type)};
    plan_tasks(s);
    const int64_t sums = (s->parts > 1 ? tasks_of(s) : threads) * sums_of(s);
    p->state = s;
    p->workspace = (size_t)(threads * room_of(s) + sums) * sizeof(float);
    p->impl = WINOGRAD_NAME;
    return CM_OK;
}

/* ---- a task ---- */

typedef struct task {
    const cm_call *call;
    const gradient *s;
    int bf16;
    int64_t part, c_first, k_first, c_n, k_n; /* channels */
    float *v, *d, *half, *zeros, *sums, scale[PAIRS];
} task;

static void find_task(task *t, int64_t i)
{
    const gradient *s = t->s;
    const cm_call *c = t->call;
    float *sums = (float *)c->workspace + c->workers * room_of(s);
    t->part = i % s->parts;
    t->c_first = i / s->parts % s->c_blocks * C_BLOCK;
    t->k_first = i / s->parts / s->c_blocks * K_BLOCK;
    t->c_n = cm_min(C_BLOCK, s->c - t->c_first);
    t->k_n = cm_min(K_BLOCK, s->k - t->k_first);
    t->sums = sums + (s->parts > 1 ? i : c->worker) * sums_of(s);
}

CM_APART void dy_f32(const winograd_run *run, int64_t k, float *half, float *d, int64_t pitch,
                     int64_t apart)
{
    to_points(four_taps, OUTPUTS, run, k, 0, half, d, pitch, apart);
}

CM_APART void dy_bf16(const winograd_run *run, int64_t k, float *half, float *d, int64_t pitch,
                      int64_t apart)
{
    to_points(four_taps, OUTPUTS, run, k, 1, half, d, pitch, apart);
}

static void transform(const task *t, int64_t first, int64_t all)
{
    const gradient *s = t->s;
    const void *const *in = t->call->in;
    winograd_spot at = spot_of(&s->tiles, first);
    for (int64_t i = 0, n; i < all; i += n, move_on(&s->tiles, &at, n)) {
        const winograd_run x =
            run_of(&s->tiles, &at, all - i, POINTS, 1, in[1], s->c, t->c_first, t->bf16, t->zeros);
        const winograd_run dy =
            run_of(&s->tiles, &at, all - i, OUTPUTS, 0, in[0], s->k, t->k_first, t->bf16, t->zeros);
        (t->bf16 ? tiles_bf16 : tiles_f32)(&x, t->c_n, t->half, t->v + i * s->c_size, v_pitch(s),
                                           s->c_size);
        (t->bf16 ? dy_bf16 : dy_f32)(&dy, t->k_n, t->half, t->d + i * s->k_size, d_pitch(s),
                                     s->k_size);
        n = x.tiles;
    }
}

static void multiply(const task *t, int64_t n, int fresh)
{
    const gradient *s = t->s;
    for (int64_t pair = 0; pair < PAIRS; pair++)
        for (int64_t k = 0; k < t->k_n; k += PANEL) {
            const panel_sum sum = {.a = t->v + pair * v_pitch(s),
                                   .b = t->d + pair * d_pitch(s) + k,
                                   .row = 1,
                                   .step = s->c_size,
                                   .pitch = s->k_size,
                                   .depth = n,
                                   .sum = t->sums + k * s->c_size * PAIRS + pair * PANEL,
                                   .apart = PAIRS * PANEL};
            sum_panel(&sum, t->c_n, fresh);
        }
}

static void sum_part(const task *t)
{
    const gradient *s = t->s;
    const int64_t begin = s->tiles.all * t->part / s->parts;
    const int64_t end = s->tiles.all * (t->part + 1) / s->parts;
    if (begin == end)
        memset(t->sums, 0, (size_t)sums_of(s) * sizeof *t->sums);
    for (int64_t first = begin; first < end; first += s->block) {
        const int64_t n = cm_min(s->block, end - first);
        transform(t, first, n);
        multiply(t, n, first == begin);
    }
}

/* ---- its end ---- */

/* dw of channel c, and a vector of k, of a task's block; the sums of its parts are a task's
 * apart. */
static void finish(const task *t, int64_t c, int64_t k)
{
    const gradient *s = t->s;
    const float *from = t->sums + (k / PANEL * s->c_size + c) * PAIRS * PANEL + k % PANEL;
    float all[PAIRS * WIDTH];
    vec half[PAIRS], y[TAPS * TAPS];
    for (int i = 0; i < PAIRS; i++) {
        vec x = load(from + i * PANEL);
        for (int64_t p = 1; p < s->parts; p++)
            x += load(from + i * PANEL + p * sums_of(s));
        store(all + i * WIDTH, x * splat(t->scale[i]));
    }
    from_points(three_outputs, TAPS, all, WIDTH, half);
    UNROLL
    for (int i = 0; i < TAPS; i++)
        three_outputs(half + i * POINTS, y + i * TAPS);
    for (int j = 0; j < WIDTH; j++) {
        float *to =
            (float *)t->call->out + ((t->k_first + k + j) * s->c + t->c_first + c) * TAPS * TAPS;
        for (int i = 0; i < TAPS * TAPS; i++)
            to[i] = y[i][j];
    }
}

/* Where there are no parts, each task at once; else all channels are shared out. */
static void finish_all(const cm_call *c, task *t)
{
    const gradient *s = t->s;
    cm_pool_barrier(c->pool);
    CM_EACH_SHARE (c, c->workers, i, s->c_blocks * s->k_blocks * s->c_size, 1) {
        find_task(t, i / s->c_size * s->parts);
        for (int64_t k = 0; k < t->k_n && i % s->c_size < t->c_n; k += WIDTH)
            finish(t, i % s->c_size, k);
    }
}

void CM_K(conv_weight)(const cm_call *c)
{
    const gradient *s = c->state;
    task t = {.call = c, .s = s, .bf16 = c->node->in[0]->type.dtype == CM_BF16};
    find_scales(t.scale);
    t.v = (float *)c->workspace + c->worker * room_of(s);
    t.d = t.v + PAIRS * v_pitch(s);
    t.half = t.d + PAIRS * d_pitch(s);
    t.zeros = t.half + HALF;
    memset(t.zeros, 0, C_BLOCK * sizeof *t.zeros);
    if (s->k % PANEL) /* a panel has columns beyond k */
        memset(t.d, 0, (size_t)(PAIRS * d_pitch(s)) * sizeof *t.d);
    CM_EACH_SHARE (c, c->workers, i, tasks_of(s), 1) {
        find_task(&t, i);
        sum_part(&t);
        for (int64_t k = 0; s->parts == 1 && k < t.k_n; k += WIDTH)
            for (int64_t ci = 0; ci < t.c_n; ci++)
                finish(&t, ci, k);
    }
    if (s->parts > 1)
        finish_all(c, &t);
}
