/* test_ops.c - every op against calculus, with no stored numbers.  For y = f(x),
 * with random xdot and dy, accumulated in double:
 *
 *   jvp       <dy, J xdot>  ==  d/dt <dy, f(x + t xdot)>, by central differences
 *   adjoint   <J^T dy, xdot>  ==  <dy, J xdot>
 *
 * The first ties forward mode to the forward kernel, the second ties reverse
 * mode to forward mode.  dy is random: with dy = 1 (the loss sum(y)) softmax and
 * group norm have zero gradient and the test would check nothing.  The value
 * itself is checked here against references in double for the ops whose kernels
 * come from a library or have much structure, elsewhere in
 * tests/unit/test_kernels*.c.
 *
 * Every case also runs with each input alone as the variable (the others have no
 * tangent), with two threads between guards, and, where it says so, in bf16. */
#include "op_problem.h"

/* ---- calculus ---- */

/* <dy, f(x + t xdot)> */
static double value_at(problem *p, float t)
{
    problem_fill(p);
    for (int i = 0; i < p->n; i++) {
        float *x = cm_plan_data(p->plan, p->x[i]);
        const float *xdot = cm_plan_data(p->plan, p->xdot[i]);
        for (int64_t k = 0; (p->v.mask >> i & 1u) && k < cm_type_count(&p->x[i]->type); k++)
            x[k] += t * xdot[k];
    }
    cm_plan_run(p->plan);
    return problem_dot(p, p->dy, p->out[Y]);
}

/* The derivative at t = 0: two central differences, their error of order h^4 */
static double difference(problem *p, float h)
{
    const double near = value_at(p, h) - value_at(p, -h);
    const double far = value_at(p, 2.0f * h) - value_at(p, -2.0f * h);
    return (8.0 * near - far) / (12.0 * (double)h);
}

static void check_calculus(problem *p)
{
    const op_case *c = p->c;
    const float h = c->step > 0.0f ? c->step : 0x1p-6f;
    const double tol = c->tol > 0.0f ? (double)c->tol : 1e-4;
    const cm_node *y = p->out[Y], *ydot = p->out[YDOT];
    double size = 0.0, forward = 0.0, reverse = 0.0;
    problem_run(p);
    /* rounding of y, magnified by the differences */
    const double noise = 0x1p-21 / (double)h * problem_dot_size(p, p->dy, y);
    if (ydot) {
        CHECK(cm_type_equal(&ydot->type, &y->type), "%s: ydot has another type", c->name);
        forward = problem_dot(p, p->dy, ydot);
        size = problem_dot_size(p, p->dy, ydot);
    }
    for (int i = 0; i < p->n; i++)
        if (p->out[DX + i]) {
            CHECK(cm_type_equal(&p->out[DX + i]->type, &p->x[i]->type),
                  "%s: dx[%d] has another type", c->name, i);
            reverse += problem_dot(p, p->out[DX + i], p->xdot[i]);
        }
    CHECK(fabs(reverse - forward) <= (c->tol > 0.0f ? tol : 1e-5) * size + 1e-12,
          "%s, inputs %x: <dx, xdot> = %.9g, <dy, ydot> = %.9g (of terms of size %.3g)", c->name,
          p->v.mask, reverse, forward, size);
    const double want = difference(p, h);
    CHECK(fabs(forward - want) <= tol * size + noise,
          "%s, inputs %x: <dy, ydot> = %.9g, differences %.9g (of terms of size %.3g)", c->name,
          p->v.mask, forward, want, size);
}

/* ---- values ---- */

static void check_value(problem *p)
{
    const cm_node *y = p->out[Y];
    const int64_t count = cm_type_count(&y->type);
    double *x[CASE_INPUTS] = {NULL}, *want = cm_alloc_array((size_t)count, sizeof *want);
    double size = 0.0;
    const double tol = p->c->error > 0 ? (double)p->c->error : 2e-6;
    problem_run(p);
    for (int i = 0; i < p->n; i++) {
        const int64_t n = cm_type_count(&p->x[i]->type);
        x[i] = cm_alloc_array((size_t)n, sizeof **x);
        for (int64_t k = 0; k < n; k++)
            x[i][k] = problem_value(p, p->x[i], k);
    }
    p->c->reference(y, (const double *const *)x, want);
    for (int64_t i = 0; i < count; i++)
        size += want[i] * want[i] / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double got = problem_value(p, y, i);
        if (!CHECK(fabs(got - want[i]) <= tol * (fabs(want[i]) + sqrt(size)),
                   "%s: element %d is %.9g, expected %.9g", p->c->name, (int)i, got, want[i]))
            break;
    }
    for (int i = 0; i < p->n; i++)
        cm_free(x[i]);
    cm_free(want);
}

/* ---- the same case in another plan ---- */

/* The library may split the depth of these sums over threads. */
static int splits_sums(const cm_node *n)
{
    int any = n->op == CM_OP_MATMUL || n->op == CM_OP_CONV2D_GRAD_WEIGHT;
    for (int i = 0; i < n->n_in; i++)
        any |= splits_sums(n->in[i]);
    return any;
}

/* |got - want| <= tol |want| in the Euclidean norm; tol 0: bit for bit. */
static void check_same(const problem *p, const problem *q, int k, double tol, const char *what)
{
    const cm_node *a = p->out[k], *b = q->out[k];
    double error = 0.0, size = 0.0;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++) {
        const double want = problem_value(p, a, i), got = problem_value(q, b, i);
        error += (got - want) * (got - want);
        size += want * want;
    }
    CHECK(error <= tol * tol * size, "%s, %s%s: relative difference %.3g (tolerance %.1g)",
          p->c->name,
          k == Y      ? "y"
          : k == YDOT ? "ydot"
                      : "dx",
          what, sqrt(error / size), tol);
}

/* Another variant must give what p gives. */
static void check_variant(problem *p, variant v, const char *what)
{
    problem q;
    if (!problem_new(&q, p->c, v))
        return;
    problem_run(p);
    problem_run(&q);
    for (int k = 0; k < OUTPUTS; k++)
        if (CHECK(!p->out[k] == !q.out[k], "%s%s: a derivative is missing", p->c->name, what) &&
            p->out[k])
            check_same(p, &q, k, v.bf16 ? 1e-2 : splits_sums(p->out[k]) ? 1e-6 : 0.0, what);
    problem_free(&q);
}

static int needs_bf16_matrices(const problem *p)
{
    for (int i = 0; i < cm_graph_size(p->g); i++) {
        const cm_op_id op = cm_graph_node(p->g, i)->op;
        if (op == CM_OP_MATMUL || op == CM_OP_CONV2D || op == CM_OP_CONV2D_GRAD_INPUT ||
            op == CM_OP_CONV2D_GRAD_WEIGHT || op == CM_OP_ATTENTION)
            return 1;
    }
    return 0;
}

/* ---- the cases ---- */

static void check_case(const op_case *c)
{
    problem p;
    const unsigned all = (1u << case_inputs(c)) - 1u;
    if (!problem_new(&p, c, (variant){.mask = all, .threads = 1}))
        return;
    check_calculus(&p);
    if (c->reference)
        check_value(&p);
    check_variant(&p, (variant){.mask = all, .threads = 2, .guarded = 1}, ", 2 threads");
    problem_free(&p);
    for (unsigned one = 1; all > 1 && one < all; one *= 2)
        if (problem_new(&p, c, (variant){.mask = one, .threads = 1})) {
            check_calculus(&p);
            problem_free(&p);
        }
}

static void test_cases(void)
{
    for (int i = 0; i < op_case_count; i++)
        check_case(&op_cases[i]);
}

/* The cases in bf16 with matrix products, or those without. */
static void check_bf16(int matrices)
{
    for (int i = 0; i < op_case_count; i++) {
        const op_case *c = &op_cases[i];
        const unsigned all = (1u << case_inputs(c)) - 1u;
        problem p;
        if (!c->bf16 || !problem_new(&p, c, (variant){.mask = all, .threads = 1}))
            continue;
        if (needs_bf16_matrices(&p) == matrices)
            check_variant(&p, (variant){.mask = all, .threads = 1, .bf16 = 1}, ", bf16");
        problem_free(&p);
    }
}

static void test_bf16(void)
{
    check_bf16(0);
}

static void test_bf16_matrices(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU has no bf16 matrix products");
    check_bf16(1);
}

/* ---- the table of ops against the table of cases ---- */

static const struct {
    cm_op_id op;
    const char *why;
} without_rules[] = {
    {CM_OP_LEAF, "has no inputs"},
    {CM_OP_CONST, "has no inputs"},
    {CM_OP_STOP_GRADIENT, "has no derivative; test_graph.c"},
    {CM_OP_AUX, "a part of a result that has no cotangent of its own"},
    {CM_OP_SECOND, "by fusion only; test_fuse.c"},
    {CM_OP_ATTENTION_GRAD, "derivative of attention"},
    {CM_OP_GROUP_NORM_GRAD, "derivative of group_norm"},
    {CM_OP_GROUP_NORM_JVP_GRAD, "second derivative of group_norm"},
    {CM_OP_MAX_POOL2D_GRAD, "derivative of max_pool2d"},
    {CM_OP_NORMAL, "a function of integers"},
    {CM_OP_UNIFORM, "a function of integers"},
    {CM_OP_STORE, "an update: ends a step"},
    {CM_OP_SUM_SQUARES, "gates the updates"},
    {CM_OP_RADAM, "an update"},
    {CM_OP_ADAMW, "an update"},
    {CM_OP_EMA, "an update"},
};

/* Ops that tangents are made of, with a vjp alone: test_second.c. */
static const cm_op_id of_tangents[] = {CM_OP_SILU_GRAD,      CM_OP_CLAMP_GRAD,
                                       CM_OP_SOFTMAX_GRAD,   CM_OP_ATTENTION_JVP,
                                       CM_OP_GROUP_NORM_JVP, CM_OP_MAX_POOL2D_JVP};

static int is_of_tangents(cm_op_id op)
{
    for (size_t i = 0; i < sizeof of_tangents / sizeof *of_tangents; i++)
        if (of_tangents[i] == op)
            return 1;
    return 0;
}

static void test_coverage(void)
{
    const char *why[CM_OP_COUNT] = {NULL};
    for (size_t i = 0; i < sizeof without_rules / sizeof *without_rules; i++)
        why[without_rules[i].op] = without_rules[i].why;
    for (int op = 0; op < CM_OP_COUNT; op++) {
        const char *name = cm_ops[op]->name;
        CHECK(!cm_ops[op]->vjp == !cm_ops[op]->jvp || is_of_tangents((cm_op_id)op),
              "%s has one of vjp and jvp", name);
        if (is_of_tangents((cm_op_id)op))
            CHECK(cm_ops[op]->vjp && !cm_ops[op]->jvp && !why[op], "%s: rules of a tangent", name);
        else if (cm_ops[op]->vjp) {
            CHECK(op_differentiated[op], "%s: no case in op_cases.c", name);
            CHECK(!why[op], "%s has rules, and a reason to have none: %s", name, why[op]);
        } else
            CHECK(why[op], "%s has no rules, and no reason why", name);
    }
}

static const check_test tests[] = {
    {"jvp, vjp, values, threads, guards", test_cases}, /* first: it marks the ops */
    {"in bf16", test_bf16},
    {"matrix products in bf16", test_bf16_matrices},
    {"every op with rules has a case", test_coverage},
};

CHECK_MAIN(tests)
