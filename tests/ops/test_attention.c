/* test_attention.c - attention and its derivatives against the same function made of
 * slices, matrix products and softmax; the same bits for every batch and number of
 * threads; and memory.  Calculus and values are in test_ops.c. */
#include "composed_attention.h"
#include "plan_check.h"

typedef struct shape {
    int64_t n, t, heads, d;
} shape;

enum { Y, DQKV, YDOT, RESULTS };

typedef struct problem {
    cm_graph *g;
    cm_plan *plan;
    cm_node *qkv, *qkvdot, *dy, *result[RESULTS];
} problem;

typedef cm_node *attention_fn(cm_graph *g, cm_node *qkv, int64_t heads);

/* Numbers in -2..2 that follow from the sample and the slot. */
static void fill_samples(const problem *p, const cm_node *n, int slot, int first)
{
    const int64_t samples = n->type.dim[0], size = cm_type_count(&n->type) / samples;
    float *x = data(p->plan, n);
    for (int64_t s = 0; s < samples; s++) {
        plan_random = (uint32_t)(8 * (first + s) + slot) * 2654435761u;
        fill(x + s * size, size);
        for (int64_t i = 0; i < size; i++)
            x[s * size + i] *= 2.0f;
    }
}

/* Samples first.. , computed in dtype. */
static problem problem_new(attention_fn *f, shape s, cm_dtype dtype, int threads, int first)
{
    const int64_t ch = s.heads * s.d;
    cm_error err = {0};
    problem p = {.g = cm_graph_new()};
    p.qkv = cm_input(p.g, "qkv", CM_TYPE(CM_F32, s.n, s.t, 3 * ch));
    p.qkvdot = cm_input(p.g, "qkvdot", CM_TYPE(CM_F32, s.n, s.t, 3 * ch));
    p.dy = cm_input(p.g, "dy", CM_TYPE(CM_F32, s.n, s.t, ch));
    cm_node *y = cm_cast(p.g, f(p.g, cm_cast(p.g, p.qkv, dtype), s.heads), CM_F32);
    p.result[Y] = y;
    cm_graph_vjp(p.g, y, p.dy, 1, &p.qkv, &p.result[DQKV]);
    p.result[YDOT] = cm_graph_jvp(p.g, y, 1, &p.qkv, &p.qkvdot);
    if (!CHECK_OK(cm_plan_compile(p.g, RESULTS, p.result, cm_cpu_device(), threads, &p.plan, &err),
                  err))
        exit(EXIT_FAILURE);
    fill_samples(&p, p.qkv, 0, first);
    fill_samples(&p, p.qkvdot, 1, first);
    fill_samples(&p, p.dy, 2, first);
    return p;
}

static void problem_free(problem *p)
{
    cm_plan_free(p->plan);
    cm_graph_free(p->g);
}

static const shape shapes[] = {
    {3, 16, 1, 16},  {2, 49, 4, 8},   {5, 64, 4, 16},
    {1, 256, 3, 64}, {2, 700, 2, 16}, {1, 1024, 1, 64},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- the composition ---- */

static void test_composition(void)
{
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_new(cm_attention, shapes[i], CM_F32, 2, 0);
        problem q = problem_new(composed_attention, shapes[i], CM_F32, 2, 0);
        cm_plan_run(p.plan);
        cm_plan_run(q.plan);
        for (int k = 0; k < RESULTS; k++) {
            const float *got = data(p.plan, p.result[k]), *want = data(q.plan, q.result[k]);
            double error = 0.0, size = 0.0;
            for (int64_t j = 0; j < cm_type_count(&p.result[k]->type); j++) {
                error += pow((double)got[j] - (double)want[j], 2.0);
                size += pow((double)want[j], 2.0);
            }
            CHECK(sqrt(error / size) < 2e-6, "shape %d, result %d: relative difference %.3g", i, k,
                  sqrt(error / size));
        }
        problem_free(&p);
        problem_free(&q);
    }
}

/* ---- bits ---- */

/* Samples first.. alone, with so many threads, against the same among those of p. */
static void expect_same(const problem *p, int i, cm_dtype dtype, int first, int n, int threads)
{
    shape s = shapes[i];
    s.n = n;
    problem q = problem_new(cm_attention, s, dtype, threads, first);
    cm_plan_run(q.plan);
    for (int k = 0; k < RESULTS; k++) {
        const size_t size = cm_type_bytes(&q.result[k]->type);
        const char *want = cm_plan_data(p->plan, p->result[k]);
        CHECK(!memcmp(cm_plan_data(q.plan, q.result[k]), want + size / (size_t)n * (size_t)first,
                      size),
              "shape %d, %s, result %d: samples %d.. of %d differ with %d threads", i,
              cm_dtype_name(dtype), k, first, n, threads);
    }
    problem_free(&q);
}

static void check_bits(cm_dtype dtype)
{
    for (int i = 0; i < SHAPES; i++) {
        const int n = (int)shapes[i].n;
        problem p = problem_new(cm_attention, shapes[i], dtype, 1, 0);
        cm_plan_run(p.plan);
        expect_same(&p, i, dtype, 0, n, 2);
        expect_same(&p, i, dtype, 0, n, 5);
        expect_same(&p, i, dtype, n - 1, 1, 1);
        expect_same(&p, i, dtype, n - 1, 1, 3);
        problem_free(&p);
    }
}

static void test_bits(void)
{
    check_bits(CM_F32);
}

static void test_bits_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    check_bits(CM_BF16);
}

/* ---- memory ---- */

static void test_memory(void)
{
    const shape s = {2, 2048, 2, 64};
    const size_t scores = (size_t)(s.t * s.t) * sizeof(float); /* of one head of one sample */
    problem p = problem_new(cm_attention, s, CM_F32, 1, 0);
    const cm_plan_memory memory = cm_plan_get_memory(p.plan);
    const size_t tensors =
        2 * cm_type_bytes(&p.result[Y]->type) + cm_type_bytes(&p.result[DQKV]->type);
    CHECK(memory.workspace < scores / 3, "%zu bytes of workspace", memory.workspace);
    CHECK(memory.activations <= tensors, "%zu bytes of activations", memory.activations);
    problem_free(&p);
}

/* ---- what is not finite shows ---- */

static void test_nan(void)
{
    const shape s = {1, 40, 2, 16}; /* keys are padded to 48 */
    problem p = problem_new(cm_attention, s, CM_F32, 1, 0);
    data(p.plan, p.qkv)[7 * 3 * 32 + 3] = NAN; /* query 7 of head 0 */
    cm_plan_run(p.plan);
    const float *y = data(p.plan, p.result[Y]);
    for (int64_t i = 0; i < 40 * 32; i++)
        if (!CHECK(!isfinite(y[i]) == (i / 32 == 7 && i % 32 < 16), "element %d is %g", (int)i,
                   (double)y[i]))
            break;
    problem_free(&p);
}

static const check_test tests[] = {
    {"equals slices, products and softmax", test_composition},
    {"bits do not depend on batch and threads, f32", test_bits},
    {"bits do not depend on batch and threads, bf16", test_bits_bf16},
    {"no memory for the scores", test_memory},
    {"NaN stays where it belongs", test_nan},
};

CHECK_MAIN(tests)
