/* test_recompute.c - segments that vjp computes again: the bits are the same, memory
 * is that of the borders and one segment, nothing is computed more often than that */
#include "plan_check.h"

/* ---- a network with all that may go wrong ---- */

enum { CHANNELS = 8, BLOCKS = 5, GRADS = 5 };

typedef struct problem {
    cm_graph *g;
    int segments;
    cm_node *x, *w, *a, *rng, *inner, *loss, *grad[GRADS];
    cm_plan *p;
} problem;

static void begin(const problem *q)
{
    if (q->segments)
        cm_graph_begin_segment(q->g);
}

/* h + dropout(conv(silu(norm(h)))); weights are shared, and a fixed scale that does
 * not depend on them is made inside.  Of the readers of n, those that have no part in
 * the gradient are not copied: that must not let n + h be fused, which rounds
 * differently. */
static cm_node *block(problem *q, cm_node *h, uint32_t stream)
{
    cm_graph *g = q->g;
    begin(q);
    cm_node *fixed = cm_broadcast_to(g, cm_exp(g, cm_scalar(g, 4, -0.5f)), h->type);
    cm_node *n = cm_group_norm(g, h, cm_affine(g, q->a, 1.0f, 0.5f), q->a, 4, 1e-5f, 1);
    if (stream == 2)
        q->inner = n;
    n = cm_conv2d(g, n, q->w, NULL, 1, 1);
    cm_node *twice = cm_affine(g, n, 2.0f, 0.0f);
    n = cm_dropout(g, cm_silu(g, cm_add(g, n, h)), q->rng, 0.25f, stream);
    return cm_add(g, cm_add(g, h, cm_mul(g, n, fixed)), twice);
}

/* Blocks, the first of which skips to the last. */
static cm_node *network(problem *q, cm_node *x, uint32_t stream)
{
    cm_graph *g = q->g;
    cm_node *h = block(q, x, stream), *skip = h;
    for (uint32_t i = 1; i < BLOCKS; i++)
        h = block(q, h, stream + i);
    begin(q);
    h = cm_concat(g, h, cm_sin(g, skip));
    h = cm_silu(g, cm_add(g, cm_slice(g, h, 0, CHANNELS), cm_slice(g, h, CHANNELS, CHANNELS)));
    cm_graph_end_segment(g);
    return h;
}

static problem problem_new(cm_dtype dtype, int segments, int outer_steps)
{
    problem q = {.g = cm_graph_new(), .segments = segments};
    const float one = 1.0f;
    q.x = cm_input(q.g, "x", CM_TYPE(CM_F32, 2, 6, 6, CHANNELS));
    q.w = cm_input(q.g, "w", CM_TYPE(CM_F32, CHANNELS, CHANNELS, 3, 3));
    q.a = cm_input(q.g, "a", CM_TYPE(CM_F32, 1, CHANNELS));
    q.rng = cm_input(q.g, "rng", CM_TYPE(CM_I32, 4));
    cm_node *y = cm_cast(q.g, q.x, dtype);
    y = cm_cast(q.g, network(&q, network(&q, y, 1), 100), CM_F32); /* twice, other masks */
    for (int i = 0; i < outer_steps; i++)
        y = cm_sin(q.g, y);
    q.loss = cm_sum_to(q.g, cm_mul(q.g, y, y), CM_TYPE(CM_F32, 1, 1, 1, 1));
    cm_node *dy = cm_const(q.g, q.loss->type, &one), *x[] = {q.x, q.w, q.a, q.inner};
    cm_graph_vjp(q.g, q.loss, dy, 4, x, q.grad);
    cm_graph_vjp(q.g, q.loss, dy, 1, &q.a, &q.grad[4]); /* once more, of one alone */
    cm_node *out[GRADS + 1] = {q.loss};
    for (int i = 0; i < GRADS; i++)
        out[i + 1] = q.grad[i];
    q.p = compile(q.g, GRADS + 1, out);
    plan_random = 9;
    fill(data(q.p, q.x), cm_type_count(&q.x->type));
    fill(data(q.p, q.w), cm_type_count(&q.w->type));
    fill(data(q.p, q.a), cm_type_count(&q.a->type));
    ((int32_t *)cm_plan_data(q.p, q.rng))[0] = 5;
    cm_plan_run(q.p);
    return q;
}

static void problem_free(problem *q)
{
    cm_plan_free(q->p);
    cm_graph_free(q->g);
}

static void same_bits(const problem *q, cm_node *a, const problem *r, cm_node *b, const char *what)
{
    CHECK(!memcmp(cm_plan_data(q->p, a), cm_plan_data(r->p, b), cm_type_bytes(&a->type)),
          "%s differs", what);
}

/* outer 0: the walk begins in a segment; 1: it does not. */
static void check_bits(cm_dtype dtype)
{
    static const char *const names[] = {"dx", "dw", "da", "gradient of an inner node",
                                        "da of the second walk"};
    for (int outer = 0; outer < 2; outer++) {
        problem kept = problem_new(dtype, 0, outer), again = problem_new(dtype, 1, outer);
        same_bits(&kept, kept.loss, &again, again.loss, "loss");
        for (int i = 0; i < GRADS; i++) {
            const float first = i == 3 ? 1.0f : *data(kept.p, kept.grad[i]);
            CHECK(first != 0.0f && isfinite(first), "%s: %g", names[i], (double)first);
            same_bits(&kept, kept.grad[i], &again, again.grad[i], names[i]);
        }
        CHECK(cm_plan_steps(again.p) > cm_plan_steps(kept.p), "nothing was computed again");
        problem_free(&kept);
        problem_free(&again);
    }
}

static void test_f32(void)
{
    check_bits(CM_F32);
}

static void test_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    check_bits(CM_BF16);
}

/* ---- what is computed again ---- */

enum { SEGMENTS = 24, LENGTH = 8 };

/* SEGMENTS times: LENGTH sines of y + e^z. */
static cm_plan *chain(cm_graph *g, int segments)
{
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 4096)), *z = cm_input(g, "z", x->type);
    cm_node *y = x, *out[2] = {NULL};
    for (int i = 0; i < SEGMENTS; i++) {
        if (segments)
            cm_graph_begin_segment(g);
        y = cm_add(g, y, cm_exp(g, z));
        for (int k = 0; k < LENGTH; k++)
            y = cm_sin(g, y);
    }
    cm_graph_end_segment(g);
    cm_graph_vjp(g, y, cm_broadcast_to(g, cm_scalar(g, 1, 1.0f), y->type), 1, &x, &out[0]);
    out[1] = y;
    return compile(g, 2, out);
}

/* Not again: the last sine of a segment, whose cosine needs only what goes in; e^z,
 * which does not depend on x; and the segment where the walk begins. */
static void test_no_more_than_needed(void)
{
    cm_graph *g = cm_graph_new(), *h = cm_graph_new();
    cm_plan *kept = chain(g, 0), *again = chain(h, 1);
    const int more = cm_plan_steps(again) - cm_plan_steps(kept);
    const size_t block = 4096 * sizeof(float), all = cm_plan_get_memory(kept).activations,
                 some = cm_plan_get_memory(again).activations;
    CHECK(more == (SEGMENTS - 1) * LENGTH, "%d steps more", more);
    CHECK(all >= SEGMENTS * LENGTH * block, "kept: %zu blocks", all / block);
    CHECK(some <= (2 * SEGMENTS + LENGTH + 4) * block, "with segments: %zu blocks", some / block);
    cm_plan_free(kept);
    cm_plan_free(again);
    cm_graph_free(g);
    cm_graph_free(h);
}

/* A node that writes a leaf does so once. */
static void test_writes_once(void)
{
    cm_graph *g = cm_graph_new();
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 8)), *average = cm_input(g, "average", x->type),
            *dx;
    cm_graph_begin_segment(g);
    cm_node *y = cm_mul(g, x, cm_affine(g, x, 2.0f, 0.0f));
    cm_ema(g, average, y, cm_scalar(g, 1, 0.5f), cm_scalar(g, 1, 0.0f));
    cm_graph_begin_segment(g);
    cm_node *z = cm_mul(g, y, y);
    cm_graph_end_segment(g);
    cm_graph_vjp(g, z, z, 1, &x, &dx); /* z = 4 x^4, with dz = z */
    cm_plan *p = compile(g, 1, &dx);
    set(p, x, 1.0f);
    cm_plan_run(p);
    expect(p, average, 1.0f, "the average");
    expect(p, dx, 64.0f, "dx");
    cm_plan_free(p);
    cm_graph_free(g);
}

static const check_test tests[] = {
    {"the same bits in f32", test_f32},
    {"the same bits in bf16", test_bf16},
    {"no more than needed is kept, or computed again", test_no_more_than_needed},
    {"leaves are written once", test_writes_once},
};

CHECK_MAIN(tests)
