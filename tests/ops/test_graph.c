/* test_graph.c - building graphs: errors that say what is wrong, the two
 * differentiation walks, and running out of memory at every allocation */
#include "check.h"

#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/op.h"
#include "graph/plan.h"

/* ---- the library's allocator can be made to fail: see meson.build, --wrap ---- */

static int fail_at = -1; /* this allocation from now; negative: never */
static int outstanding, failed;

void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);
void __wrap_free(void *p);

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    if (fail_at >= 0 && fail_at-- == 0) {
        failed = 1;
        return NULL;
    }
    outstanding++;
    return __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *p)
{
    outstanding -= !!p;
    __real_free(p);
}

/* ---- errors ---- */

typedef void builder(cm_graph *g);

static cm_node *f32(cm_graph *g, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return cm_input(g, "x", cm_type_make(CM_F32, rank, (int64_t[]){a, b, c, d}));
}

static cm_node *integers(cm_graph *g, int64_t n)
{
    return cm_input(g, "i", CM_TYPE(CM_I32, n));
}

#define ERROR(name, statement)    \
    static void name(cm_graph *g) \
    {                             \
        statement;                \
    }
ERROR(add_shapes, cm_add(g, f32(g, 2, 2, 3, 1, 1), f32(g, 2, 2, 4, 1, 1)))
ERROR(mul_ranks, cm_mul(g, f32(g, 2, 2, 3, 1, 1), f32(g, 1, 3, 1, 1, 1)))
ERROR(add_integers, cm_add(g, f32(g, 1, 3, 1, 1, 1), integers(g, 3)))
ERROR(matmul_depth, cm_matmul(g, f32(g, 2, 2, 3, 1, 1), f32(g, 2, 2, 3, 1, 1), 0, 0))
ERROR(matmul_batch, cm_matmul(g, f32(g, 3, 2, 3, 4, 1), f32(g, 3, 5, 3, 4, 1), 0, 1))
ERROR(conv_channels, cm_conv2d(g, f32(g, 4, 1, 8, 8, 3), f32(g, 4, 5, 4, 3, 3), NULL, 1, 1))
ERROR(conv_bias,
      cm_conv2d(g, f32(g, 4, 1, 8, 8, 3), f32(g, 4, 5, 3, 3, 3), f32(g, 1, 4, 1, 1, 1), 1, 1))
ERROR(conv_small, cm_conv2d(g, f32(g, 4, 1, 2, 8, 3), f32(g, 4, 5, 3, 3, 3), NULL, 1, 0))
ERROR(norm_groups, cm_group_norm(g, f32(g, 4, 2, 3, 3, 6), f32(g, 2, 1, 6, 1, 1),
                                 f32(g, 2, 1, 6, 1, 1), 4, 1, 0))
ERROR(norm_affine, cm_group_norm(g, f32(g, 4, 2, 3, 3, 6), f32(g, 2, 3, 6, 1, 1),
                                 f32(g, 2, 3, 6, 1, 1), 2, 1, 0))
ERROR(reshape_count, CM_RESHAPE(g, f32(g, 2, 2, 3, 1, 1), 5))
ERROR(reshape_rank, cm_reshape(g, f32(g, 2, 2, 3, 1, 1), 5, (int64_t[]){1, 1, 1, 2, 3}))
ERROR(sum_grows, cm_sum_to(g, f32(g, 2, 2, 3, 1, 1), CM_TYPE(CM_F32, 4, 3)))
ERROR(broadcast_rank, cm_broadcast_to(g, f32(g, 1, 3, 1, 1, 1), CM_TYPE(CM_F32, 2, 3)))
ERROR(concat_rows, cm_concat(g, f32(g, 2, 2, 3, 1, 1), f32(g, 2, 4, 3, 1, 1)))
ERROR(slice_far, cm_slice(g, f32(g, 2, 2, 3, 1, 1), 1, 3))
ERROR(pad_short, cm_pad(g, f32(g, 2, 2, 3, 1, 1), 1, 3))
ERROR(swap_rank, cm_swap12(g, f32(g, 3, 2, 3, 4, 1)))
ERROR(pool_odd, cm_sumpool2(g, f32(g, 4, 2, 3, 4, 5), 1))
ERROR(gather_index, cm_gather(g, f32(g, 2, 5, 3, 1, 1), f32(g, 1, 4, 1, 1, 1)))
ERROR(gather_bf16, cm_gather(g, cm_cast(g, f32(g, 2, 5, 3, 1, 1), CM_BF16), integers(g, 4)))
ERROR(rng_shape, cm_normal(g, integers(g, 3), CM_TYPE(CM_F32, 2, 3), 0))
ERROR(store_shape, cm_store(g, cm_exp(g, f32(g, 2, 2, 3, 1, 1)), f32(g, 2, 3, 2, 1, 1)))
ERROR(store_no_leaf, cm_store(g, f32(g, 1, 3, 1, 1, 1), cm_exp(g, f32(g, 1, 3, 1, 1, 1))))
ERROR(ema_shape, cm_ema(g, f32(g, 1, 3, 1, 1, 1), f32(g, 1, 4, 1, 1, 1), f32(g, 1, 1, 1, 1, 1),
                        f32(g, 1, 1, 1, 1, 1)))
ERROR(ema_rate, cm_ema(g, f32(g, 1, 3, 1, 1, 1), f32(g, 1, 3, 1, 1, 1), f32(g, 1, 2, 1, 1, 1),
                       f32(g, 1, 1, 1, 1, 1)))
ERROR(adamw_hyper, cm_adamw(g, f32(g, 1, 3, 1, 1, 1), f32(g, 1, 3, 1, 1, 1), f32(g, 1, 3, 1, 1, 1),
                            f32(g, 1, 3, 1, 1, 1), f32(g, 1, 1, 1, 1, 1), f32(g, 1, 1, 1, 1, 1),
                            (cm_optimizer_attr){0}))
ERROR(store_constant, cm_store(g, f32(g, 1, 3, 1, 1, 1),
                               cm_leaf(g, cm_graph_buffer(g, "b", CM_BUFFER_CONST), 0,
                                       CM_TYPE(CM_F32, 3), "fixed")))
ERROR(dropout_all, cm_dropout(g, f32(g, 1, 3, 1, 1, 1), integers(g, 4), 1.0f, 0))
ERROR(norm_of_bf16, cm_sum_squares(g, cm_cast(g, f32(g, 1, 3, 1, 1, 1), CM_BF16)))
static void vjp_type(cm_graph *g)
{
    cm_node *x = f32(g, 1, 3, 1, 1, 1), *dx;
    cm_graph_vjp(g, cm_exp(g, x), f32(g, 2, 3, 1, 1, 1), 1, &x, &dx);
}
ERROR(constant_bf16, cm_const(g, CM_TYPE(CM_BF16, 1), (const float[]){1}))

/* Words of the message: the op, and the shapes in it where they are the matter. */
static const struct {
    builder *build;
    const char *words[4];
} errors[] = {
    {add_shapes, {"add", "f32 [2,3]", "f32 [2,4]"}},
    {mul_ranks, {"mul", "[2,3]", "[3]"}},
    {add_integers, {"add", "f32 [3]", "i32 [3]"}},
    {matmul_depth, {"matmul", "[2,3] @ [2,3]"}},
    {matmul_batch, {"matmul", "[2,3,4]", "[5,3,4]^T"}},
    {conv_channels, {"conv2d", "[1,8,8,3]", "[5,4,3,3]"}},
    {conv_bias, {"conv2d", "[1,8,8,3]", "[5,3,3,3]", "[4]"}},
    {conv_small, {"conv2d", "[1,2,8,3]", "[5,3,3,3]"}},
    {norm_groups, {"group_norm", "6 channels", "4 groups"}},
    {norm_affine, {"group_norm", "[2,3,3,6]", "[3,6]"}},
    {reshape_count, {"reshape", "[2,3]", "[5]"}},
    {reshape_rank, {"reshape", "rank 5"}},
    {sum_grows, {"sum_to", "[2,3]", "[4,3]"}},
    {broadcast_rank, {"broadcast_to", "[3]", "[2,3]"}},
    {concat_rows, {"concat", "[2,3]", "[4,3]"}},
    {slice_far, {"slice", "begin 1, n 3", "3 channels"}},
    {pad_short, {"pad", "begin 1, n 3", "3 channels"}},
    {swap_rank, {"swap12", "rank 3"}},
    {pool_odd, {"sumpool2", "[2,3,4,5]"}},
    {gather_index, {"gather", "[5,3]", "f32 [4]"}},
    {gather_bf16, {"gather", "bf16 [5,3]"}},
    {rng_shape, {"normal", "i32 [4]"}},
    {store_shape, {"store", "f32 [2,3]", "f32 [3,2]"}},
    {store_no_leaf, {"store", "input 1", "leaf"}},
    {ema_shape, {"ema", "[3]", "[4]"}},
    {ema_rate, {"ema", "operand 2", "[2]"}},
    {adamw_hyper, {"adamw", "operand 4", "2 f32"}},
    {store_constant, {"store", "fixed", "constant"}},
    {dropout_all, {"dropout", "below 1"}},
    {norm_of_bf16, {"sum_squares", "bf16"}},
    {vjp_type, {"vjp", "[3,1]", "y is f32 [3]"}},
    {constant_bf16, {"const", "bf16"}},
};

static void test_errors(void)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        cm_graph *g = cm_graph_new();
        cm_error err = {0};
        errors[i].build(g);
        CHECK(cm_graph_check(g, &err), "no error, expected %s", errors[i].words[0]);
        for (int k = 0; k < 4 && errors[i].words[k]; k++)
            CHECK(strstr(err.message, errors[i].words[k]), "\"%s\" does not say \"%s\"",
                  err.message, errors[i].words[k]);
        CHECK(!strchr(err.message, '\n'), "more than a line");
        cm_graph_free(g);
    }
}

/* After an error every builder, the walks and the compiler are harmless. */
static void test_first_error_wins(void)
{
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *p = NULL;
    cm_node *x = f32(g, 4, 1, 4, 4, 3), *dx = x;
    cm_node *bad = cm_add(g, x, f32(g, 4, 1, 5, 4, 3));
    bad = cm_group_norm(g, cm_conv2d(g, bad, x, x, 1, 1), bad, bad, 3, 1, 1);
    bad = CM_RESHAPE(g, cm_matmul(g, cm_swap12(g, bad), bad, 1, 1), 5, 5);
    bad = cm_dropout(g, cm_gather(g, cm_cast(g, bad, CM_BF16), bad), bad, 0.5f, 1);
    cm_store(g, cm_concat(g, bad, cm_slice(g, bad, 7, 7)), bad);
    cm_graph_vjp(g, bad, bad, 1, &x, &dx);
    CHECK(!dx, "a gradient after an error");
    CHECK(!cm_graph_jvp(g, bad, 1, &x, &x), "a tangent after an error");
    CHECK(cm_graph_check(g, &err) == CM_ERR_SHAPE, "status %d", (int)cm_graph_check(g, NULL));
    CHECK(strstr(err.message, "add: f32 [1,4,4,3]") && strstr(err.message, "[1,5,4,3]"), "%s",
          err.message);
    memset(&err, 0, sizeof err);
    CHECK(cm_plan_compile(g, 1, &bad, cm_cpu_device(), 1, &p, &err) == CM_ERR_SHAPE && !p,
          "it compiled");
    CHECK(strstr(err.message, "add"), "%s", err.message);
    cm_graph_free(g);
}

static const cm_kernel *no_sine(const cm_node *n)
{
    return n->op == CM_OP_SIN ? NULL : cm_cpu_device()->kernel(n);
}

static void test_what_is_missing_is_named(void)
{
    static const cm_device device = {"tiny", no_sine, NULL};
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *p = NULL;
    cm_node *x = f32(g, 1, 4, 1, 1, 1), *y = cm_affine(g, cm_sin(g, x), 2, 0), *dx;
    CHECK(cm_plan_compile(g, 1, &y, &device, 1, &p, &err) == CM_ERR_UNSUPPORTED && !p &&
              !strcmp(err.message, "sin has no kernel on tiny"),
          "%s", err.message);
    cm_node *z = cm_affine(g, cm_cos(g, x), 2, 0); /* the sine is in the graph, not needed */
    CHECK_OK(cm_plan_compile(g, 1, &z, &device, 1, &p, &err), err);
    cm_plan_free(p);
    y = cm_sum_squares(g, x);
    cm_graph_vjp(g, y, y, 1, &x, &dx);
    CHECK(cm_graph_check(g, &err) == CM_ERR_UNSUPPORTED &&
              !strcmp(err.message, "sum_squares has no vjp"),
          "%s", err.message);
    cm_graph_free(g);
    g = cm_graph_new();
    x = f32(g, 1, 4, 1, 1, 1);
    CHECK(!cm_graph_jvp(g, cm_silu_grad(g, x, x), 1, &x, &x), "a tangent");
    CHECK(cm_graph_check(g, &err) == CM_ERR_UNSUPPORTED &&
              !strcmp(err.message, "silu_grad has no jvp"),
          "%s", err.message);
    cm_graph_free(g);
}

/* ---- walks ---- */

static float run_scalar(cm_graph *g, cm_node *out, int n, cm_node *const *x, const float *value)
{
    cm_error err = {0};
    cm_plan *p = NULL;
    float result = NAN;
    if (CHECK_OK(cm_plan_compile(g, 1, &out, cm_cpu_device(), 1, &p, &err), err)) {
        for (int i = 0; i < n; i++)
            *(float *)cm_plan_data(p, x[i]) = value[i];
        cm_plan_run(p);
        result = *(float *)cm_plan_data(p, out);
    }
    cm_plan_free(p);
    return result;
}

/* y = u^3 + u w, u = x^2: with respect to x, to u (an inner node), and to both. */
static void test_inner_variables(void)
{
    cm_graph *g = cm_graph_new();
    cm_node *x = f32(g, 1, 1, 1, 1, 1), *w = f32(g, 1, 1, 1, 1, 1), *one = cm_scalar(g, 1, 1);
    cm_node *u = cm_mul(g, x, x), *y = cm_add(g, cm_pow(g, u, 3), cm_mul(g, u, w));
    cm_node *both[2] = {x, u}, *in[2] = {x, w}, *dx, *du, *dboth[2], *ones[2] = {one, one};
    const float at[2] = {1.5f, -2.0f}, U = 2.25f, dU = 3 * U * U - 2.0f;
    cm_graph_vjp(g, y, one, 1, &x, &dx);
    cm_graph_vjp(g, y, one, 1, &u, &du);
    cm_graph_vjp(g, y, one, 2, both, dboth);
    CHECK_CLOSE(run_scalar(g, dx, 2, in, at), dU * 3.0f, 1e-6);
    CHECK_CLOSE(run_scalar(g, du, 2, in, at), dU, 1e-6);
    CHECK_CLOSE(run_scalar(g, dboth[0], 2, in, at), dU * 3.0f, 1e-6);
    CHECK_CLOSE(run_scalar(g, dboth[1], 2, in, at), dU, 1e-6);
    CHECK_CLOSE(run_scalar(g, cm_graph_jvp(g, y, 1, &u, &one), 2, in, at), dU, 1e-6);
    /* the adjoint of the two above: a tangent at u adds to the one that comes from x */
    CHECK_CLOSE(run_scalar(g, cm_graph_jvp(g, y, 2, both, ones), 2, in, at), dU * 4.0f, 1e-6);
    /* y itself, and what y does not depend on */
    cm_graph_vjp(g, y, one, 1, &y, &dx);
    CHECK(dx == one, "dy/dy is not dy");
    cm_graph_vjp(g, u, one, 1, &w, &dx);
    CHECK(!dx && !cm_graph_jvp(g, u, 1, &w, &one), "a derivative of nothing");
    CHECK(cm_graph_check(g, NULL) == CM_OK, "an error");
    cm_graph_free(g);
}

/* What does not depend on x needs no rule: neither what is not between x and y nor
 * how x itself was made. */
static void test_rules_are_not_asked_for(void)
{
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_node *x = f32(g, 1, 4, 1, 1, 1), *noise = cm_normal(g, integers(g, 4), x->type, 1), *dx;
    cm_node *teacher = cm_sum_squares(g, noise);
    cm_node *y = cm_add(g, cm_mul(g, cm_sin(g, noise), x), teacher);
    cm_graph_vjp(g, y, x, 1, &x, &dx);
    CHECK(dx, "no gradient");
    CHECK(cm_graph_jvp(g, y, 1, &x, &x), "no tangent");
    CHECK_OK(cm_graph_check(g, &err), err);
    y = cm_mul(g, cm_sin(g, noise), x);
    cm_graph_vjp(g, y, x, 1, &noise, &dx);
    CHECK(dx, "no gradient");
    CHECK_OK(cm_graph_check(g, &err), err);
    cm_graph_free(g);
}

/* A gradient that reaches x only through a step function is zero: NULL. */
static void test_zero_gradients(void)
{
    cm_graph *g = cm_graph_new();
    cm_node *x = f32(g, 1, 4, 1, 1, 1), *y = cm_add(g, cm_sign(g, x), cm_floor(g, x)), *dx = x;
    cm_graph_vjp(g, y, x, 1, &x, &dx);
    CHECK(!dx && !cm_graph_jvp(g, y, 1, &x, &x), "not zero");
    CHECK(cm_graph_check(g, NULL) == CM_OK, "an error");
    cm_graph_free(g);
}

/* Behind stop_gradient a value is a constant: y = x s x^2 with s stopped has dy = 3 s x^2, though
 * s has no jvp, and is computed from x; its value is not copied. */
static void test_stop_gradient(void)
{
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_node *x = f32(g, 1, 1, 1, 1, 1), *one = cm_scalar(g, 1, 1), *dx, *none = x;
    cm_graph_begin_segment(g);
    cm_node *s = cm_silu_grad(g, x, cm_exp(g, x)), *stopped = cm_stop_gradient(g, s);
    cm_node *y = cm_mul(g, cm_mul(g, x, stopped), cm_mul(g, x, x));
    cm_graph_begin_segment(g);
    y = cm_sin(g, cm_affine(g, y, 0.5f, 0));
    cm_graph_end_segment(g);
    const float at = 0.75f, e = expf(at), sigmoid = 1 / (1 + expf(-e));
    const float scale = at * sigmoid * (1 + e * (1 - sigmoid)); /* 0.75 silu'(e^0.75) */
    const float want = cosf(0.5f * scale * at * at * at) * 1.5f * scale * at * at;
    cm_graph_vjp(g, y, one, 1, &x, &dx);
    cm_node *ydot = cm_graph_jvp(g, y, 1, &x, &one);
    cm_graph_vjp(g, stopped, one, 1, &x, &none);
    CHECK(!none && !cm_graph_jvp(g, stopped, 1, &x, &one), "a derivative passes");
    if (CHECK_OK(cm_graph_check(g, &err), err)) {
        CHECK_CLOSE(run_scalar(g, stopped, 1, &x, &at), scale, 1e-6);
        CHECK_CLOSE(run_scalar(g, dx, 1, &x, &at), want, 1e-6);
        CHECK_CLOSE(run_scalar(g, ydot, 1, &x, &at), want, 1e-6);
    }
    /* it may be a variable itself */
    cm_graph_vjp(g, y, one, 1, &stopped, &dx);
    CHECK_CLOSE(run_scalar(g, dx, 1, &x, &at), want * at / (3 * scale), 1e-6);
    cm_plan *p = NULL;
    cm_node *both[] = {s, stopped};
    if (CHECK_OK(cm_plan_compile(g, 2, both, cm_cpu_device(), 1, &p, &err), err))
        CHECK(cm_plan_data(p, s) == cm_plan_data(p, stopped), "a copy");
    cm_plan_free(p);
    CHECK(!cm_graph_jvp(g, cm_mul(g, s, stopped), 1, &x, &one), "a tangent");
    CHECK(cm_graph_check(g, &err) == CM_ERR_UNSUPPORTED, "a rule that is not there");
    cm_graph_free(g);
}

/* ---- out of memory ---- */

/* A bit of everything that allocates. */
static cm_status build_all(cm_plan **p, cm_graph **graph, cm_error *err)
{
    cm_graph *g = *graph = cm_graph_new();
    *p = NULL;
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "graph: out of memory");
    cm_node *x = f32(g, 4, 1, 4, 4, 8), *w = f32(g, 4, 8, 8, 3, 3), *in[2], *d[2];
    cm_node *y = cm_conv2d(g, x, w, NULL, 1, 1);
    y = cm_matmul(g, CM_RESHAPE(g, y, 16, 8), CM_RESHAPE(g, y, 16, 8), 0, 1);
    cm_node *one = cm_broadcast_to(g, cm_scalar(g, 2, 1.0f), CM_TYPE(CM_F32, 16, 16));
    for (int i = 0; i < 300; i++) { /* so that tables grow */
        if (i % 100 == 0)
            cm_graph_begin_segment(g);
        y = cm_affine(g, y, 0.5f, f32(g, 1, 4, 1, 1, 1) ? 0.25f : 0.0f);
    }
    in[0] = x;
    in[1] = w;
    cm_graph_vjp(g, y, one, 2, in, d);
    cm_graph_jvp(g, y, 1, &x, &x);
    cm_store(g, d[1], f32(g, 4, 8, 8, 3, 3));
    return cm_plan_compile(g, 1, &y, cm_cpu_device(), 1, p, err);
}

static void test_out_of_memory(void)
{
    const int before = outstanding;
    int at = 0;
    for (;; at++) {
        cm_error err = {0};
        cm_graph *g;
        cm_plan *p;
        fail_at = at;
        failed = 0;
        const cm_status s = build_all(&p, &g, &err);
        fail_at = -1;
        if (failed)
            CHECK(s == CM_ERR_MEMORY && strstr(err.message, "memory"),
                  "allocation %d failed: status %d, \"%s\"", at, (int)s, err.message);
        else
            CHECK_OK(s, err);
        cm_plan_free(p);
        cm_graph_free(g);
        CHECK(outstanding == before, "allocation %d: %d blocks leaked", at, outstanding - before);
        if (!failed)
            break;
    }
    CHECK(at > 20, "only %d allocations", at);
}

static const check_test tests[] = {
    {"errors name the op and the shapes", test_errors},
    {"the first error wins", test_first_error_wins},
    {"what is missing is named", test_what_is_missing_is_named},
    {"derivatives with respect to inner nodes", test_inner_variables},
    {"rules are asked for only in between", test_rules_are_not_asked_for},
    {"zero gradients", test_zero_gradients},
    {"stop_gradient", test_stop_gradient},
    {"out of memory at every allocation", test_out_of_memory},
};

CHECK_MAIN(tests)
