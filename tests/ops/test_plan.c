/* test_plan.c - what running a plan does: stores and updates in program order,
 * constants, no allocation, and the search for what is not finite.  Guards
 * around memory bound by the caller are in test_ops.c. */
#include "plan_check.h"

/* ---- allocations of the library are counted: see meson.build, --wrap ---- */

static int allocations;
static size_t largest; /* of those aligned */

void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    allocations++;
    largest = bytes > largest ? bytes : largest;
    return __real_aligned_alloc(align, bytes);
}

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    allocations++;
    return __real_calloc(n, bytes);
}

void *__wrap_realloc(void *p, size_t bytes)
{
    allocations++;
    return __real_realloc(p, bytes);
}

/* ---- stores ---- */

typedef struct state {
    cm_graph *g;
    cm_node *x, *leaf;
    cm_plan *p;
} state;

static state state_new(void)
{
    state s = {.g = cm_graph_new()};
    cm_input(s.g, "unused", CM_TYPE(CM_F32, 3)); /* so that no index is 0 by chance */
    s.x = cm_input(s.g, "x", CM_TYPE(CM_F32, 8));
    s.leaf = cm_input(s.g, "leaf", CM_TYPE(CM_F32, 8));
    return s;
}

/* x = 1, leaf = 100 */
static void state_run(state *s, int n, cm_node *const *out)
{
    s->p = compile(s->g, n, out);
    set(s->p, s->x, 1.0f);
    set(s->p, s->leaf, 100.0f);
    cm_plan_run(s->p);
}

static void state_free(state *s)
{
    cm_plan_free(s->p);
    cm_graph_free(s->g);
}

static void test_store_without_copy(void)
{
    state s = state_new();
    cm_node *v = cm_exp(s.g, cm_affine(s.g, s.x, 0.0f, 0.0f));
    cm_store(s.g, CM_RESHAPE(s.g, cm_affine(s.g, v, 2, 0), 8), s.leaf);
    cm_node *after = cm_affine(s.g, s.leaf, 1, 10);
    state_run(&s, 1, &after);
    expect(s.p, s.leaf, 2.0f, "leaf");
    expect(s.p, after, 12.0f, "read after the store");
    CHECK(cm_plan_steps(s.p) == 4, "%d steps, expected 4: the value is made in the leaf",
          cm_plan_steps(s.p));
    state_free(&s);
}

static void test_store_read_between(void)
{
    state s = state_new();
    cm_node *v = cm_affine(s.g, s.x, 2, 0);
    cm_node *before = cm_affine(s.g, CM_RESHAPE(s.g, s.leaf, 2, 4), 1, 1);
    cm_store(s.g, v, s.leaf);
    cm_node *out[2] = {before, cm_affine(s.g, s.leaf, 1, 10)};
    state_run(&s, 2, out);
    expect(s.p, before, 101.0f, "read between value and store");
    expect(s.p, out[1], 12.0f, "read after the store");
    state_free(&s);
}

/* The second store goes to the first one's result, which is the leaf. */
static void test_store_to_a_store(void)
{
    state s = state_new();
    cm_node *first = cm_store(s.g, cm_affine(s.g, s.x, 2, 0), s.leaf);
    cm_node *v = cm_affine(s.g, s.x, 3, 0);
    cm_node *between = cm_affine(s.g, s.leaf, 1, 10);
    cm_store(s.g, v, first);
    state_run(&s, 1, &between);
    expect(s.p, between, 12.0f, "read between the stores");
    expect(s.p, s.leaf, 3.0f, "leaf");
    state_free(&s);
}

static void test_store_overlapping_views(void)
{
    state s = state_new();
    const int buffer = s.leaf->attr.leaf.buffer;
    cm_node *low = cm_leaf(s.g, buffer, 0, CM_TYPE(CM_F32, 4), "low");
    cm_node *high = cm_leaf(s.g, buffer, 4 * sizeof(float), CM_TYPE(CM_F32, 4), "high");
    cm_node *v = cm_affine(s.g, cm_slice(s.g, s.x, 0, 4), 2, 0);
    cm_node *w = cm_affine(s.g, cm_slice(s.g, s.x, 4, 4), 3, 0);
    cm_node *old = cm_affine(s.g, s.leaf, 1, 0);
    cm_store(s.g, v, low);
    cm_node *half = cm_affine(s.g, s.leaf, 1, 0);
    cm_store(s.g, w, high);
    cm_node *out[] = {old, half};
    state_run(&s, 2, out);
    expect(s.p, old, 100.0f, "before both");
    CHECK(data(s.p, half)[3] == 2.0f && data(s.p, half)[4] == 100.0f, "between: %g, %g",
          (double)data(s.p, half)[3], (double)data(s.p, half)[4]);
    CHECK(data(s.p, s.leaf)[3] == 2.0f && data(s.p, s.leaf)[4] == 3.0f, "after both");
    state_free(&s);
}

/* A value with another reader, one that is an output, one stored twice, and a
 * leaf stored over itself. */
static void test_store_of_shared_values(void)
{
    state s = state_new();
    cm_node *other = cm_input(s.g, "other", CM_TYPE(CM_F32, 8));
    cm_node *third = cm_input(s.g, "third", CM_TYPE(CM_F32, 8));
    cm_node *v = cm_affine(s.g, s.x, 2, 0), *w = cm_affine(s.g, s.x, 5, 0);
    cm_store(s.g, v, s.leaf);
    cm_store(s.g, v, other);
    cm_store(s.g, w, third);
    cm_store(s.g, cm_affine(s.g, third, 2, 0), third);
    cm_node *out[] = {cm_affine(s.g, v, 1, 1), w};
    state_run(&s, 2, out);
    expect(s.p, s.leaf, 2.0f, "first leaf");
    expect(s.p, other, 2.0f, "second leaf");
    expect(s.p, third, 10.0f, "leaf doubled");
    expect(s.p, out[0], 3.0f, "later reader");
    expect(s.p, w, 5.0f, "output");
    state_free(&s);
}

/* ---- updates ---- */

static void test_updates_in_order(void)
{
    cm_graph *g = cm_graph_new();
    const cm_type t = CM_TYPE(CM_F32, 8), one = CM_TYPE(CM_F32, 1);
    cm_node *p = cm_input(g, "p", t), *m = cm_input(g, "m", t), *v = cm_input(g, "v", t);
    cm_node *grad = cm_input(g, "grad", t), *hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    cm_node *gate = cm_input(g, "gate", one), *copy = cm_scalar(g, 1, 1.0f);
    cm_node *old = cm_input(g, "old", t), *new = cm_input(g, "new", t),
            *last = cm_input(g, "last", t);
    cm_node *before = cm_affine(g, p, 1, 0);
    cm_ema(g, old, p, copy, gate); /* weight 1: copies */
    cm_node *stepped =
        cm_radam(g, p, m, v, grad, hyper, gate, (cm_optimizer_attr){0.9f, 0.999f, 1e-8f, 0});
    cm_ema(g, new, p, copy, gate);
    cm_node *after = cm_affine(g, stepped, 1, 0);
    cm_adamw(g, stepped, m, v, grad, hyper, gate, (cm_optimizer_attr){0, 0, 0, 0});
    cm_ema(g, last, stepped, copy, gate);
    cm_node *out[] = {before, after};
    cm_plan *plan = compile(g, 2, out);
    set(plan, p, 1.0f);
    set(plan, grad, 0.5f);
    data(plan, hyper)[0] = 0.125f;
    data(plan, hyper)[1] =
        1.0f; /* the first RAdam step is p -= lr g; AdamW's with no averages lr sign(g) */
    cm_plan_run(plan);
    expect(plan, before, 1.0f, "p before");
    expect(plan, old, 1.0f, "average before the step");
    expect(plan, after, 0.9375f, "p after the step");
    expect(plan, new, 0.9375f, "average after the step");
    expect(plan, last, 0.8125f, "average after both steps");
    expect(plan, p, 0.8125f, "p");
    data(plan, gate)[0] = NAN;
    cm_plan_run(plan);
    expect(plan, p, 0.8125f, "p behind a closed gate");
    expect(plan, old, 1.0f, "average behind a closed gate");
    cm_plan_free(plan);
    cm_graph_free(g);
}

/* ---- constants; a device that counts ---- */

static int sines, packs;

static void counted_sin(const cm_call *c)
{
    if (!c->worker) /* the others would race with it */
        sines++;
    cm_cpu_device()->kernel(c->node)->run(c);
}

static void counted_pack(const cm_call *c)
{
    if (!c->worker)
        packs++;
    cm_cpu_device()->kernel(c->node)->pack(c);
}

/* The convolutions of the test are all of one kernel. */
static const cm_kernel *counting_kernel(const cm_node *n)
{
    static cm_kernel sine, conv;
    const cm_kernel *k = cm_cpu_device()->kernel(n);
    if (n->op != CM_OP_SIN && n->op != CM_OP_CONV2D)
        return k;
    cm_kernel *counted = n->op == CM_OP_SIN ? &sine : &conv;
    *counted = *k;
    if (n->op == CM_OP_SIN)
        sine.run = counted_sin;
    else
        conv.pack = counted_pack;
    return counted;
}

static const cm_device counting = {"counting", counting_kernel, NULL};

static void test_constants(void)
{
    cm_graph *g = cm_graph_new();
    const int fixed = cm_graph_buffer(g, "fixed", CM_BUFFER_CONST);
    cm_node *c = cm_leaf(g, fixed, 0, CM_TYPE(CM_F32, 1, 1, 1, 4), "c");
    cm_node *w = cm_leaf(g, fixed, 64, CM_TYPE(CM_F32, 4, 4, 1, 1), "w");
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 2, 3, 3, 4));
    cm_node *v = cm_input(g, "v", CM_TYPE(CM_F32, 4, 4, 1, 1));
    cm_node *hoisted = cm_sin(g, cm_affine(g, c, 0.5f, 0)); /* 0 or 1/2: depends on c alone */
    cm_node *y = cm_add(g, cm_conv2d(g, x, w, NULL, 1, 0), hoisted);
    cm_node *z = cm_conv2d(g, y, v, NULL, 1, 0);
    float *memory = cm_alloc(64 + 64);
    cm_node *out[] = {y, z};
    cm_plan *p = compile_on(&counting, g, 2, out);
    cm_plan_bind(p, fixed, memory);
    set(p, x, 1.0f);
    set(p, v, 0.25f);
    for (int i = 0; i < 16; i++)
        memory[16 + i] = 0.5f;
    sines = packs = 0;
    for (int i = 0; i < 3; i++)
        cm_plan_run(p);
    expect(p, y, 2.0f, "y");
    CHECK(sines == 1, "sin of a constant ran %d times", sines);
    CHECK(packs == 1 + 3, "weights were packed %d times, expected once and 3 times", packs);
    for (int i = 0; i < 4; i++)
        memory[i] = 3.14159265f;
    for (int i = 0; i < 16; i++)
        memory[16 + i] = 1.0f;
    cm_plan_run(p);
    expect(p, y, 2.0f, "y before the refresh");
    cm_plan_refresh(p);
    CHECK(sines == 2, "sin ran %d times", sines);
    cm_plan_run(p);
    expect(p, y, 5.0f, "y after the refresh");
    set(p, v, 0.5f); /* not constant: seen at once */
    cm_plan_run(p);
    expect(p, z, 10.0f, "z with other weights");
    cm_plan_bind(p, fixed, memory + 0); /* binding again refreshes */
    cm_plan_run(p);
    CHECK(sines == 3, "sin ran %d times", sines);
    cm_plan_free(p);
    cm_graph_free(g);
    cm_free(memory);
}

/* Weights read twice are packed and kept once; other weights are not mixed up with
 * them, nor is another layout of the same ones. */
static void check_shared_packing(int half)
{
    cm_graph *g = cm_graph_new();
    const int fixed = cm_graph_buffer(g, "fixed", CM_BUFFER_CONST);
    const size_t bytes = 16 * 16 * sizeof(float);
    const cm_type weights = CM_TYPE(CM_F32, 16, 16, 1, 1);
    cm_node *w = cm_leaf(g, fixed, 0, weights, "w"), *v = cm_leaf(g, fixed, bytes, weights, "v");
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 2, 4, 4, 16));
    cm_node *ones = cm_broadcast_to(g, cm_scalar(g, 4, 1.0f), x->type), *out[5];
    out[0] = cm_conv2d(g, x, w, NULL, 1, 0);
    out[1] = cm_conv2d(g, out[0], v, NULL, 1, 0);
    out[2] = cm_conv2d(g, out[1], w, NULL, 1, 0);
    out[3] = cm_conv2d(g, ones, w, NULL, 1, 0); /* constant itself */
    cm_node *low = half ? cm_cast(g, x, CM_BF16) : x;
    out[4] = cm_cast(g, cm_conv2d(g, low, w, NULL, 1, 0), CM_F32);
    float *memory = cm_alloc(2 * bytes);
    cm_plan *p = compile_on(&counting, g, 5, out);
    const size_t images = 2 * cm_type_bytes(&x->type); /* the constant ones */
    cm_plan_bind(p, fixed, memory);
    set(p, x, 1.0f);
    for (int i = 0; i < 512; i++)
        memory[i] = i < 256 ? 0.0625f : 0.125f; /* a row sums to 1 and to 2 */
    packs = 0;
    for (int run = 0; run < 2; run++)
        cm_plan_run(p);
    CHECK(packs == 2 + half, "weights were packed %d times, expected %d", packs, 2 + half);
    CHECK(cm_plan_get_memory(p).constants == images + 2 * bytes + (half ? bytes / 2 : 0),
          "%zu bytes of constants", cm_plan_get_memory(p).constants);
    for (int i = 0; i < 5; i++)
        expect(p, out[i], i == 1 || i == 2 ? 2.0f : 1.0f, "before the refresh");
    for (int i = 0; i < 256; i++)
        memory[i] = 0.1875f; /* 3 */
    cm_plan_refresh_buffer(p, fixed);
    cm_plan_run(p);
    for (int i = 0; i < 5; i++)
        expect(p, out[i], i == 1 ? 6.0f : i == 2 ? 18.0f : 3.0f, "after the refresh");
    cm_plan_free(p);
    cm_graph_free(g);
    cm_free(memory);
}

static void test_shared_packing(void)
{
    check_shared_packing(0);
}

/* Of a convolution in bf16, the weights have that other layout. */
static void test_shared_packing_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    check_shared_packing(1);
}

/* ---- running ---- */

static void test_running_allocates_nothing(void)
{
    cm_graph *g = cm_graph_new();
    const float one = 1.0f;
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 2, 8, 8, 16));
    cm_node *w = cm_input(g, "w", CM_TYPE(CM_F32, 16, 16, 3, 3));
    cm_node *m = cm_input(g, "m", w->type), *v = cm_input(g, "v", w->type);
    cm_node *a = cm_input(g, "a", CM_TYPE(CM_F32, 1, 16)), *dw = NULL;
    cm_node *hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2)),
            *gate = cm_input(g, "gate", CM_TYPE(CM_F32, 1));
    cm_node *rng_leaf = cm_input(g, "rng", CM_TYPE(CM_I32, 4)),
            *grad = cm_input(g, "grad", w->type);
    cm_node *h = cm_add(g, x, cm_normal(g, rng_leaf, x->type, 1));
    h = cm_conv2d(g, cm_group_norm(g, h, a, a, 4, 1e-5f, 1), w, NULL, 1, 1);
    h = CM_RESHAPE(g, cm_dropout(g, h, rng_leaf, 0.1f, 2), 2, 64, 16);
    h = cm_matmul(g, cm_softmax(g, cm_matmul(g, h, h, 0, 1)), h, 0, 0);
    cm_node *loss = cm_sum_to(g, cm_mul(g, h, h), CM_TYPE(CM_F32, 1, 1, 1));
    cm_graph_vjp(g, loss, cm_const(g, loss->type, &one), 1, &w, &dw);
    cm_store(g, dw, grad);
    cm_radam(g, w, m, v, grad, hyper, gate, (cm_optimizer_attr){0.9f, 0.999f, 1e-8f, 0});
    cm_plan *p = compile(g, 1, &loss);
    plan_random = 3;
    fill(data(p, x), cm_type_count(&x->type));
    fill(data(p, w), cm_type_count(&w->type));
    set(p, a, 1.0f);
    data(p, hyper)[1] = 1.0f;
    cm_plan_run(p);
    const float first = *data(p, loss);
    CHECK(allocations > 0, "the counter does not count");
    allocations = 0;
    for (int i = 0; i < 3; i++)
        cm_plan_run(p);
    cm_plan_refresh(p);
    CHECK(allocations == 0, "%d allocations in 3 runs", allocations);
    CHECK(isfinite(first) && first > 0.0f && *data(p, loss) == first, "loss %g, then %g",
          (double)first, (double)*data(p, loss));
    cm_plan_free(p);
    cm_graph_free(g);
}

static void nonfinite(cm_plan *p, const char *want)
{
    char text[256] = "all finite";
    cm_plan_find_nonfinite(p, text, sizeof text);
    CHECK(strstr(text, want), "found: %s; expected: %s", text, want);
}

static void test_find_nonfinite(void)
{
    state s = state_new();
    cm_node *half = cm_cast(s.g, cm_affine(s.g, s.x, 1, 1), CM_BF16);
    cm_node *log = cm_log(s.g, cm_cast(s.g, half, CM_F32));
    cm_node *exp = cm_exp(s.g, cm_affine(s.g, log, 2, 0));
    cm_store(s.g, exp, s.leaf);
    cm_node *sum = cm_sum_squares(s.g, s.leaf);
    s.p = compile(s.g, 1, &sum);
    set(s.p, s.x, 1.0f);
    nonfinite(s.p, "all finite"); /* also where the plan never ran */
    data(s.p, s.x)[5] = -3.0f;
    cm_plan_run(s.p);
    nonfinite(s.p, "log f32 [8]"); /* though the leaf now holds NaN too */
    data(s.p, s.x)[5] = -1.0f;
    nonfinite(s.p, "log f32 [8]"); /* -infinity; exp makes it 0 again */
    data(s.p, s.x)[5] = 1e30f;
    nonfinite(s.p, "exp f32 [8]");
    data(s.p, s.x)[5] = INFINITY;
    nonfinite(s.p, "leaf f32 [8] x");
    data(s.p, s.x)[5] = 3.39e38f; /* the largest float is beyond bf16 */
    nonfinite(s.p, "exp f32 [8]");
    data(s.p, s.x)[5] = 3.4e38f;
    nonfinite(s.p, "cast bf16 [8]");
    data(s.p, s.x)[5] = 1.0f;
    nonfinite(s.p, "all finite");
    state_free(&s);
}

/* An input that nothing reads still has memory, so that filling it is safe. */
static void test_unread_input(void)
{
    state s = state_new();
    cm_node *labels = cm_input(s.g, "labels", CM_TYPE(CM_F32, 9));
    cm_node *y = cm_affine(s.g, s.x, 2, 0);
    state_run(&s, 1, &y);
    CHECK(cm_plan_data(s.p, labels), "no memory");
    CHECK(cm_plan_data(s.p, labels) == cm_plan_data(s.p, labels), "it moves");
    expect(s.p, y, 2.0f, "y");
    state_free(&s);
}

/* a = e^x, b = sin a, c = sum b; then a, through a view, and c are read again; b is not */
static void test_kept_bytes(void)
{
    cm_graph *g = cm_graph_new();
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 64, 64));
    cm_node *a = cm_exp(g, x), *b = cm_sin(g, a), *c = cm_sum_to(g, b, CM_TYPE(CM_F32, 1, 1));
    cm_node *view = CM_RESHAPE(g, a, 4096), *d = cm_mul(g, view, CM_RESHAPE(g, c, 1));
    cm_node *e = cm_add(g, d, view);
    cm_plan *p = NULL;
    cm_error err = {0};
    if (CHECK_OK(cm_plan_compile(g, 1, &e, cm_cpu_device(), 2, &p, &err), err)) {
        const size_t kept = cm_plan_kept_bytes(p, c), before = cm_plan_kept_bytes(p, a),
                     end = cm_plan_kept_bytes(p, e);
        CHECK(kept == 4096 * 4 + 4, "%zu bytes kept after the sum", kept);
        CHECK(before == 4096 * 4, "%zu bytes kept after the first step", before);
        CHECK(end == 0, "%zu bytes kept at the end", end);
    }
    cm_plan_free(p);
    cm_graph_free(g);
}

/* exp then group norm: in the memory of exp, unless a gradient wants the statistics. */
static void test_norm_in_place(void)
{
    for (int gradient = 0; gradient < 2; gradient++) {
        cm_graph *g = cm_graph_new();
        cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 2, 8, 8, 32));
        cm_node *a = cm_input(g, "a", CM_TYPE(CM_F32, 1, 32)), *u = cm_exp(g, x), *da = NULL;
        cm_node *y = cm_group_norm(g, u, a, a, 4, 1e-5f, 1);
        const size_t tensor = cm_type_bytes(&x->type);
        if (gradient)
            cm_graph_vjp(g, y, x, 1, &a, &da);
        cm_node *out[] = {y, da};
        cm_plan *p = compile(g, gradient ? 2 : 1, out);
        const size_t bytes = cm_plan_get_memory(p).activations;
        plan_random = 3;
        fill(data(p, x), cm_type_count(&x->type));
        fill(data(p, a), 32);
        cm_plan_run(p);
        float *y0 = data(p, y), sum = 0;
        for (int i = 0; i < 4096; i++)
            sum += y0[i] * (float)(i % 7 + 1);
        static float before;
        CHECK(gradient ? bytes >= 2 * tensor : bytes == tensor, "%zu bytes, a tensor has %zu",
              bytes, tensor);
        CHECK(!gradient || sum == before, "%g in place, %g apart", (double)before, (double)sum);
        before = sum;
        cm_plan_free(p);
        cm_graph_free(g);
    }
}

/* ---- what is packed, what is computed ---- */

/* 36 values for 9 taps, outputs in panels of two vectors */
static size_t winograd_bytes(size_t from, size_t to)
{
    const cm_isa isa = cm_cpu_isa();
    const size_t panel = isa == CM_ISA_PLAIN ? 8 : isa == CM_ISA_AVX2 ? 16 : 32;
    return 36 * from * ((to + panel - 1) / panel * panel) * sizeof(float);
}

/* Two convolutions of weights that stay, the second of few tiles or of many. */
static cm_plan *two_convolutions(cm_graph *g, unsigned without, int64_t images, cm_node **out)
{
    const int fixed = cm_graph_buffer(g, "fixed", CM_BUFFER_CONST);
    const cm_type w = CM_TYPE(CM_F32, 16, 48, 3, 3), v = CM_TYPE(CM_F32, 80, 16, 3, 3);
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, images, 8, 12, 48));
    cm_node *y = cm_conv2d(g, x, cm_leaf(g, fixed, 0, w, "w"), NULL, 1, 1);
    *out = cm_conv2d(g, y, cm_leaf(g, fixed, cm_type_bytes(&w), v, "v"), NULL, 1, 1);
    cm_plan *p = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_plan_compile_without(without, g, 1, out, cm_cpu_device(), 2, &p, &err), err))
        exit(EXIT_FAILURE);
    return p;
}

/* Kept, all in one block; or, of training or where it is little beside the products, in
 * what is large enough for the largest.  6 tiles an image. */
static void test_packed_bytes(void)
{
    const size_t w = winograd_bytes(48, 16), v = winograd_bytes(16, 80), larger = w > v ? w : v;
    const struct {
        int64_t images;
        unsigned without;
        size_t kept, packed;
    } rows[] = {{2, 0, w + v, w + v},
                {2, CM_PLAN_NO_PACKED, 0, larger},
                {30, 0, 0, larger},
                {2, CM_PLAN_NO_MEMORY, w + v, w + v}};
    if (cm_cpu_direct_only())
        CHECK_SKIP("without Winograd's convolutions");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cm_graph *g = cm_graph_new();
        cm_node *out;
        largest = 0;
        cm_plan *p = two_convolutions(g, rows[i].without, rows[i].images, &out);
        const cm_plan_memory m = cm_plan_get_memory(p);
        CHECK(m.constants == rows[i].kept, "%zu: kept %zu bytes, expected %zu", i, m.constants,
              rows[i].kept);
        CHECK((largest >= m.packed) == !(rows[i].without & CM_PLAN_NO_MEMORY),
              "%zu: packed %zu bytes, the largest allocation has %zu", i, m.packed, largest);
        CHECK(m.packed == rows[i].packed, "%zu: packed %zu bytes, expected %zu", i, m.packed,
              rows[i].packed);
        cm_plan_free(p);
        cm_graph_free(g);
    }
}

/* Two operations for each tap, each input and output channel and each output pixel, borders
 * included; a matrix product's; nothing for what is done once or is no product. */
static void test_counts(void)
{
    cm_graph *g = cm_graph_new();
    const int fixed = cm_graph_buffer(g, "fixed", CM_BUFFER_CONST);
    cm_node *w = cm_input(g, "w", CM_TYPE(CM_F32, 5, 3, 3, 3));
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 2, 7, 9, 3));
    cm_node *a = cm_input(g, "a", CM_TYPE(CM_F32, 4, 6)),
            *b = cm_input(g, "b", CM_TYPE(CM_F32, 6, 8));
    cm_node *c = cm_leaf(g, fixed, 0, CM_TYPE(CM_F32, 4, 4), "c");
    cm_node *out[] = {cm_conv2d(g, x, w, NULL, 2, 1), cm_matmul(g, a, b, 0, 0),
                      cm_matmul(g, c, c, 0, 0), cm_sin(g, b)};
    cm_plan *p = compile(g, 4, out);
    const double conv = 2.0 * 9 * 3 * 5 * (2 * 4 * 5), product = 2.0 * 4 * 6 * 8;
    const double moved = 4.0 * (135 + 378 + 200) + 4.0 * (24 + 48 + 32) + 4.0 * (48 + 48);
    CHECK(cm_plan_flops(p) == conv + product, "%g operations, expected %g", cm_plan_flops(p),
          conv + product);
    CHECK(cm_plan_bytes_moved(p) == moved, "%g bytes, expected %g", cm_plan_bytes_moved(p), moved);
    cm_plan_free(p);
    cm_graph_free(g);
}

static const check_test tests[] = {
    {"store: the value is made in the leaf", test_store_without_copy},
    {"store: the leaf is read in between", test_store_read_between},
    {"store: to another store", test_store_to_a_store},
    {"store: overlapping views", test_store_overlapping_views},
    {"store: shared values", test_store_of_shared_values},
    {"updates in program order", test_updates_in_order},
    {"constants: hoisted, packed once, refreshed", test_constants},
    {"constants: packed once for all who read them", test_shared_packing},
    {"constants: the same, some in bf16", test_shared_packing_bf16},
    {"running allocates nothing", test_running_allocates_nothing},
    {"the first node that is not finite", test_find_nonfinite},
    {"an input that nothing reads", test_unread_input},
    {"what later steps read", test_kept_bytes},
    {"group norm in place", test_norm_in_place},
    {"packed weights: bytes", test_packed_bytes},
    {"operations and bytes of a run", test_counts},
};

CHECK_MAIN(tests)
