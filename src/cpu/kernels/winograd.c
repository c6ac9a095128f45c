/* winograd.c - convolutions and gradients of their inputs; winograd.h has the algebra.
 *
 * The gradient of the input is the convolution of dy with the taps turned round and the two
 * sides of the weights swapped.
 *
 * pack() brings weights into u[panel][pair][c][PANEL], zeros beyond k.  A task is a block of
 * tiles and some panels: the tiles are transformed to v[pair][tile][c] and multiplied,
 *
 *     m[pair][tile][n] = sum_c v[pair][tile][c] u[panel][pair][c][n]
 *
 * one panel after another, and transformed back.  Each output is a sum of its own in the order
 * of c, so its bits depend on nothing else: tasks are made to suit the workers. */
#include "cpu/kernels/winograd.h"

#include "base/memory.h"

enum {
    BLOCK = 24, /* tiles: v of 128 channels, and a panel of u and m, are in the cache */
    LEAST = 8,  /* tiles, below which panels are shared out instead */
    MANY = 128, /* tiles, beside whose products packing is a few percent */
    DEPTH = 64, /* channels a run; the error of a sum grows with it */
    M_PITCH = BLOCK * PANEL + APART,
};

typedef struct winograd {
    int64_t c, k, panels; /* channels that are summed over, that come out */
    int turned;           /* the gradient of the input */
    winograd_tiles tiles;
} winograd;

/* Of a worker: v, m, half-transformed columns, a pixel of zeros; floats. */
static int64_t v_pitch(const winograd *s)
{
    return BLOCK * s->c + APART;
}

static int64_t room_of(const winograd *s)
{
    return PAIRS * (v_pitch(s) + M_PITCH) + HALF + s->c;
}

int CM_K(conv_suits)(const cm_node *n)
{
    return is_winograd(n, &n->in[1]->type, &n->type);
}

cm_status CM_K(conv_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err)
{
    const cm_type *w = &n->in[1]->type;
    const int turned = n->op == CM_OP_CONV2D_GRAD_INPUT;
    winograd *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "convolution: out of memory");
    *s = (winograd){.c = w->dim[!turned],
                    .k = w->dim[turned],
                    .panels = cm_ceil_div(w->dim[turned], PANEL),
                    .turned = turned,
                    .tiles = tiles_of(&n->type)};
    p->state = s;
    p->packs = 1;
    p->large = 1;
    p->pack_each = s->tiles.all >= MANY;
    p->packed = (size_t)(s->panels * PAIRS * s->c * PANEL) * sizeof(float);
    p->workspace = (size_t)(threads * room_of(s)) * sizeof(float);
    p->impl = WINOGRAD_NAME;
    return CM_OK;
}

int CM_K(conv_same_packed)(const void *a, const void *b)
{
    const winograd *s = a, *t = b;
    return s->c == t->c && s->k == t->k && s->turned == t->turned;
}

/* ---- weights ---- */

/* [TAPS * TAPS][PANEL], of input c and the outputs of a panel. */
static void take_taps(const winograd *s, const float *w, int64_t panel, int64_t c, float *taps)
{
    enum { ALL = TAPS * TAPS };
    const int64_t first = panel * PANEL, n = cm_min(PANEL, s->k - first);
    const int64_t pitch = s->turned ? ALL : s->c * ALL;
    const float *from = w + (s->turned ? c * s->k + first : first * s->c + c) * ALL;
    for (int64_t i = 0; i < n; i++)
        for (int t = 0; t < ALL; t++)
            taps[t * PANEL + i] = from[i * pitch + (s->turned ? ALL - 1 - t : t)];
}

void CM_K(conv_pack)(const cm_call *c)
{
    const winograd *s = c->state;
    float taps[TAPS * TAPS * PANEL] = {0}, half[POINTS * TAPS * PANEL], u[PAIRS * PANEL];
    float scale[PAIRS];
    winograd_run run = {.tiles = 1, .columns = TAPS, .end = TAPS};
    find_scales(scale);
    for (int y = 0; y < TAPS; y++) {
        run.row[y] = taps + y * TAPS * PANEL;
        run.step[y] = PANEL;
    }
    CM_EACH_SHARE (c, c->workers, i, s->panels * s->c, 1) {
        const int64_t panel = i / s->c, ci = i % s->c;
        float *to = (float *)c->packed + (panel * PAIRS * s->c + ci) * PANEL;
        if (ci == 0)
            memset(taps, 0, sizeof taps); /* beyond k */
        take_taps(s, c->in[1], panel, ci, taps);
        to_points(three_taps, TAPS, &run, PANEL, 0, half, u, PANEL, 0);
        for (int k = 0; k < PAIRS; k++)
            for (int j = 0; j < PANEL; j += WIDTH)
                store(to + k * s->c * PANEL + j, load(u + k * PANEL + j) * splat(scale[k]));
    }
}

/* ---- tiles ---- */

/* Where a worker is. */
typedef struct block {
    const cm_call *call;
    const winograd *s;
    int64_t first, n; /* tiles */
    int bf16;
    float *v, *m, *half, *zeros;
} block;

static void transform(const block *b)
{
    const winograd *s = b->s;
    winograd_spot at = spot_of(&s->tiles, b->first);
    for (int64_t i = 0, n; i < b->n; i += n, move_on(&s->tiles, &at, n)) {
        const winograd_run run =
            run_of(&s->tiles, &at, b->n - i, POINTS, 1, b->call->in[0], s->c, 0, b->bf16, b->zeros);
        (b->bf16 ? tiles_bf16 : tiles_f32)(&run, s->c, b->half, b->v + i * s->c, v_pitch(s), s->c);
        n = run.tiles;
    }
}

static void multiply(const block *b, int64_t panel)
{
    const winograd *s = b->s;
    const float *u = (const float *)b->call->packed + panel * PAIRS * s->c * PANEL;
    for (int64_t pair = 0; pair < PAIRS; pair++)
        for (int64_t c = 0; c < s->c; c += DEPTH) {
            const panel_sum sum = {.a = b->v + pair * v_pitch(s) + c,
                                   .b = u + (pair * s->c + c) * PANEL,
                                   .row = s->c,
                                   .step = 1,
                                   .pitch = PANEL,
                                   .depth = cm_min(DEPTH, s->c - c),
                                   .sum = b->m + pair * M_PITCH,
                                   .apart = PANEL};
            sum_panel(&sum, b->n, !c);
        }
}

/* What is added to the sums, and where. */
typedef struct ending {
    const float *bias;    /* NULL: none; likewise */
    const void *residual; /* may be the output */
    int relu;
} ending;

/* Channels k..k + WIDTH of tile `at`, from the sums m. */
CM_INLINE void to_outputs(const block *b, const ending *e, const winograd_spot *at, int64_t k,
                          const float *m, int bf16)
{
    const winograd_tiles *t = &b->s->tiles;
    const int64_t rows = cm_min(OUTPUTS, t->h - at->y), columns = cm_min(OUTPUTS, t->w - at->x);
    const int64_t pixel = b->s->k, row = t->w * pixel;
    const int64_t first = at->image * t->h * row + at->y * row + at->x * pixel + k;
    const vec bias = e->bias ? load(e->bias + k) : splat(0);
    vec half[PAIRS], y[OUTPUTS];
    from_points(four_outputs, OUTPUTS, m, M_PITCH, half);
    for (int64_t r = 0; r < rows; r++) {
        four_outputs(half + r * POINTS, y);
        UNROLL
        for (int64_t q = 0; q < OUTPUTS; q++) {
            const int64_t i = first + r * row + q * pixel;
            if (q == columns)
                break;
            y[q] += bias;
            if (e->residual)
                y[q] += load_as(e->residual, i, bf16);
            store_as(b->call->out, i, bf16, e->relu ? at_least_0(y[q]) : y[q]);
        }
    }
}

CM_APART void to_outputs_f32(const block *b, const ending *e, const winograd_spot *at, int64_t k,
                             const float *m)
{
    to_outputs(b, e, at, k, m, 0);
}

CM_APART void to_outputs_bf16(const block *b, const ending *e, const winograd_spot *at, int64_t k,
                              const float *m)
{
    to_outputs(b, e, at, k, m, 1);
}

static void transform_back(const block *b, const ending *e, int64_t panel)
{
    winograd_spot at = spot_of(&b->s->tiles, b->first);
    for (int64_t i = 0; i < b->n; i++, move_on(&b->s->tiles, &at, 1)) {
        for (int64_t j = 0; j < PANEL && panel * PANEL + j < b->s->k; j += WIDTH)
            (b->bf16 ? to_outputs_bf16 : to_outputs_f32)(b, e, &at, panel * PANEL + j,
                                                         b->m + i * PANEL + j);
    }
}

static ending ending_of(const cm_call *c)
{
    const cm_node *n = c->node;
    ending e = {.bias = NULL};
    if (n->op == CM_OP_CONV2D) {
        e.relu = n->attr.conv.relu;
        e.residual = n->attr.conv.residual ? c->in[n->n_in - 1] : NULL;
        e.bias = n->n_in - n->attr.conv.residual == 3 ? c->in[2] : NULL;
    }
    return e;
}

void CM_K(conv)(const cm_call *c)
{
    const winograd *s = c->state;
    const ending end = ending_of(c);
    const int64_t fit = s->tiles.all / LEAST, workers = c->workers;
    int64_t blocks = cm_ceil_div(cm_ceil_div(s->tiles.all, BLOCK), workers) * workers;
    blocks = fit < 1 ? 1 : fit < blocks && fit < workers ? fit : blocks;
    const int64_t size = cm_ceil_div(s->tiles.all, blocks);
    const int64_t parts = blocks >= workers ? 1 : cm_min(s->panels, workers / blocks);
    block b = {.call = c, .s = s, .bf16 = c->node->type.dtype == CM_BF16};
    b.v = (float *)c->workspace + c->worker * room_of(s);
    b.m = b.v + PAIRS * v_pitch(s);
    b.half = b.m + PAIRS * M_PITCH;
    b.zeros = b.half + HALF;
    memset(b.zeros, 0, (size_t)s->c * sizeof *b.zeros);
    CM_EACH_SHARE (c, c->workers, task, blocks * parts, 1) {
        const int64_t part = task % parts;
        b.first = task / parts * size;
        b.n = cm_min(size, s->tiles.all - b.first);
        if (b.n <= 0)
            continue;
        transform(&b);
        for (int64_t p = s->panels * part / parts; p < s->panels * (part + 1) / parts; p++) {
            multiply(&b, p);
            transform_back(&b, &end, p);
        }
    }
}
