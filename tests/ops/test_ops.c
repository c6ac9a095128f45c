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
 * tangent), with two threads, and, where it says so, in bf16. */
#include "check.h"
#include "op_cases.h"

#include "base/bf16.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"

enum { OUTPUTS = 2 + CASE_INPUTS };

static char differentiated[CM_OP_COUNT]; /* some case has it */

/* ---- a case, built and compiled ---- */

typedef struct problem {
    const op_case *c;
    cm_graph *g;
    cm_plan *plan;
    int n; /* inputs */
    cm_node *x[CASE_INPUTS], *xdot[CASE_INPUTS], *dx[CASE_INPUTS];
    cm_node *dy, *y, *ydot;
} problem;

static int input_count(const op_case *c)
{
    int n = 0;
    while (n < CASE_INPUTS && c->dim[n][0])
        n++;
    return n;
}

static void build(problem *p, int bf16)
{
    const op_case *c = p->c;
    cm_node *x[CASE_INPUTS] = {NULL};
    p->n = input_count(c);
    for (int i = 0; i < p->n; i++) {
        int rank = 0;
        while (rank < CM_MAX_RANK && c->dim[i][rank])
            rank++;
        const cm_type t = cm_type_make(CM_F32, rank, c->dim[i]);
        p->x[i] = cm_input(p->g, "x", t);
        p->xdot[i] = cm_input(p->g, "xdot", t);
        x[i] = bf16 && c->bf16 >> i & 1u ? cm_cast(p->g, p->x[i], CM_BF16) : p->x[i];
    }
    p->y = c->build(p->g, x, c);
    if (bf16)
        p->y = cm_cast(p->g, p->y, CM_F32);
    for (int i = 0; i < cm_graph_size(p->g); i++)
        differentiated[cm_graph_node(p->g, i)->op] = 1;
}

/* Derivatives with respect to the inputs of mask. */
static void differentiate(problem *p, unsigned mask)
{
    cm_node *x[CASE_INPUTS], *xdot[CASE_INPUTS], *dx[CASE_INPUTS];
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (mask >> i & 1u) {
            x[n] = p->x[i];
            xdot[n++] = p->xdot[i];
        }
    p->dy = cm_input(p->g, "dy", p->y->type);
    p->ydot = cm_graph_jvp(p->g, p->y, n, x, xdot);
    cm_graph_vjp(p->g, p->y, p->dy, n, x, dx);
    for (int i = p->n; i-- > 0;)
        if (mask >> i & 1u)
            p->dx[i] = dx[--n];
}

static void problem_free(problem *p)
{
    cm_plan_free(p->plan);
    cm_graph_free(p->g);
}

static int outputs(const problem *p, cm_node **out)
{
    int n = 0;
    out[n++] = p->y;
    if (p->ydot)
        out[n++] = p->ydot;
    for (int i = 0; i < p->n; i++)
        if (p->dx[i])
            out[n++] = p->dx[i];
    return n;
}

static int problem_new(problem *p, const op_case *c, unsigned mask, int threads, int bf16)
{
    cm_error err = {0};
    cm_node *out[OUTPUTS];
    *p = (problem){.c = c, .g = cm_graph_new()};
    build(p, bf16);
    if (!cm_graph_check(p->g, NULL))
        differentiate(p, mask);
    cm_status s = cm_graph_check(p->g, &err);
    if (!s)
        s = cm_plan_compile(p->g, outputs(p, out), out, cm_cpu_device(), threads, &p->plan, &err);
    CHECK(!s, "%s: %s", c->name, err.message);
    if (s)
        problem_free(p);
    return !s;
}

/* ---- values ---- */

static double value(const cm_type *t, const void *data, int64_t i)
{
    return (double)(t->dtype == CM_F32 ? ((const float *)data)[i]
                                       : cm_bf16_to_f32(((const cm_bf16 *)data)[i]));
}

static double *values(const problem *p, const cm_node *n)
{
    const int64_t count = cm_type_count(&n->type);
    double *v = cm_alloc_array((size_t)count, sizeof *v);
    for (int64_t i = 0; i < count; i++)
        v[i] = value(&n->type, cm_plan_data(p->plan, n), i);
    return v;
}

static uint32_t rng;

static float uniform(float lo, float hi)
{
    rng = rng * 1664525u + 1013904223u;
    return lo + (hi - lo) * ((float)(rng >> 8) + 0.5f) * 0x1p-24f;
}

enum { SLOT_DY = 2 * CASE_INPUTS };

/* Numbers given by the case and the slot alone, so that every plan of a case has
 * the same; they are bf16 numbers where the case is to run in bf16 too, so that
 * both compute the same function. */
static void fill(const problem *p, const cm_node *n, int slot, float lo, float hi)
{
    const op_case *c = p->c;
    void *data = cm_plan_data(p->plan, n);
    rng = (uint32_t)((c - op_cases) * 64 + slot + 1) * 2654435761u;
    for (int64_t i = 0; i < cm_type_count(&n->type); i++) {
        float v = uniform(lo, hi);
        while (slot % 2 == 0 && slot < SLOT_DY && fabsf(fabsf(v) - c->kink) < c->gap)
            v = uniform(lo, hi);
        const cm_bf16 h = cm_f32_to_bf16(v);
        if (n->type.dtype == CM_BF16)
            ((cm_bf16 *)data)[i] = h;
        else
            ((float *)data)[i] = c->bf16 ? cm_bf16_to_f32(h) : v;
    }
}

static void fill_all(const problem *p)
{
    const op_case *c = p->c;
    const int any = c->lo >= c->hi;
    for (int i = 0; i < p->n; i++) {
        fill(p, p->x[i], 2 * i, any ? -1.0f : c->lo, any ? 1.0f : c->hi);
        fill(p, p->xdot[i], 2 * i + 1, -1.0f, 1.0f);
    }
    fill(p, p->dy, SLOT_DY, -1.0f, 1.0f);
    for (int i = 0; i < cm_graph_size(p->g); i++) {
        const cm_node *n = cm_graph_node(p->g, i);
        if (n->op != CM_OP_LEAF || n->type.dtype != CM_I32)
            continue;
        int32_t *data = cm_plan_data(p->plan, n);
        for (int64_t k = 0; k < cm_type_count(&n->type); k++)
            data[k] = (int32_t)((3 * k * k + 2 * k + 1) % c->i[0]);
    }
}

static double dot(const problem *p, const cm_node *a, const cm_node *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++)
        sum += value(&a->type, cm_plan_data(p->plan, a), i) *
               value(&b->type, cm_plan_data(p->plan, b), i);
    return sum;
}

/* sqrt(sum (a b)^2): how large dot(a, b) is when its terms do not conspire */
static double dot_size(const problem *p, const cm_node *a, const cm_node *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++)
        sum += pow(value(&a->type, cm_plan_data(p->plan, a), i) *
                       value(&b->type, cm_plan_data(p->plan, b), i),
                   2.0);
    return sqrt(sum);
}

/* ---- calculus ---- */

/* x[i] += t xdot[i] for the inputs of mask */
static void move(const problem *p, unsigned mask, float t)
{
    for (int i = 0; i < p->n; i++) {
        float *x = cm_plan_data(p->plan, p->x[i]);
        const float *xdot = cm_plan_data(p->plan, p->xdot[i]);
        for (int64_t k = 0; (mask >> i & 1u) && k < cm_type_count(&p->x[i]->type); k++)
            x[k] += t * xdot[k];
    }
}

static double value_at(const problem *p, unsigned mask, float t)
{
    fill_all(p);
    move(p, mask, t);
    cm_plan_run(p->plan);
    return dot(p, p->dy, p->y);
}

/* d/dt <dy, f(x + t xdot)>: two central differences, their error of order h^4 */
static double difference(const problem *p, unsigned mask, float h)
{
    const double near = value_at(p, mask, h) - value_at(p, mask, -h);
    const double far = value_at(p, mask, 2.0f * h) - value_at(p, mask, -2.0f * h);
    return (8.0 * near - far) / (12.0 * (double)h);
}

static void check_calculus(const problem *p, unsigned mask)
{
    const op_case *c = p->c;
    const float h = c->step > 0.0f ? c->step : 0x1p-6f;
    const double tol = c->tol > 0.0f ? (double)c->tol : 1e-4;
    double size = 0.0, forward = 0.0, reverse = 0.0;
    fill_all(p);
    cm_plan_run(p->plan);
    /* rounding of y, magnified by the differences */
    const double noise = 0x1p-21 / (double)h * dot_size(p, p->dy, p->y);
    if (p->ydot) {
        CHECK(cm_type_equal(&p->ydot->type, &p->y->type), "%s: ydot has another type", c->name);
        forward = dot(p, p->dy, p->ydot);
        size = dot_size(p, p->dy, p->ydot);
    }
    for (int i = 0; i < p->n; i++) {
        if (!p->dx[i])
            continue;
        CHECK(cm_type_equal(&p->dx[i]->type, &p->x[i]->type), "%s: dx has another type", c->name);
        reverse += dot(p, p->dx[i], p->xdot[i]);
    }
    CHECK(fabs(reverse - forward) <= (c->tol > 0.0f ? tol : 1e-5) * size + 1e-12,
          "%s, inputs %x: <dx, xdot> = %.9g, <dy, ydot> = %.9g (of terms of size %.3g)", c->name,
          mask, reverse, forward, size);
    const double want = difference(p, mask, h);
    CHECK(fabs(forward - want) <= tol * size + noise,
          "%s, inputs %x: <dy, ydot> = %.9g, differences %.9g (of terms of size %.3g)", c->name,
          mask, forward, want, size);
}

static void check_value(const problem *p)
{
    const cm_node *y = p->y;
    const int64_t count = cm_type_count(&y->type);
    const double *x[CASE_INPUTS] = {NULL};
    double *in[CASE_INPUTS] = {NULL}, *want, *got, size = 0.0;
    if (!p->c->reference)
        return;
    fill_all(p);
    cm_plan_run(p->plan);
    for (int i = 0; i < p->n; i++)
        x[i] = in[i] = values(p, p->x[i]);
    got = values(p, y);
    want = cm_alloc_array((size_t)count, sizeof *want);
    p->c->reference(y, x, want);
    for (int64_t i = 0; i < count; i++)
        size += want[i] * want[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        if (!CHECK(fabs(got[i] - want[i]) <= 2e-6 * (fabs(want[i]) + sqrt(size)),
                   "%s: element %d is %.9g, expected %.9g", p->c->name, (int)i, got[i], want[i]))
            break;
    for (int i = 0; i < p->n; i++)
        cm_free(in[i]);
    cm_free(got);
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

/* A node's value in p and in q: bit for bit, or |got - want| <= tol |want| in the
 * Euclidean norm. */
static void compare(const problem *p, const cm_node *a, const problem *q, const cm_node *b,
                    double tol, const char *what)
{
    double error = 0.0, size = 0.0;
    CHECK(!a == !b, "%s, %s: one derivative is missing", p->c->name, what);
    if (!a || !b)
        return;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++) {
        const double want = value(&a->type, cm_plan_data(p->plan, a), i);
        error += pow(value(&b->type, cm_plan_data(q->plan, b), i) - want, 2.0);
        size += want * want;
    }
    CHECK(error <= tol * tol * size, "%s, %s: relative difference %.3g (tolerance %.1g)",
          p->c->name, what, sqrt(error / size), tol);
}

static void compare_all(const problem *p, const problem *q, const char *what, int bf16)
{
    const cm_node *a[OUTPUTS] = {p->y, p->ydot, p->dx[0], p->dx[1], p->dx[2]};
    const cm_node *b[OUTPUTS] = {q->y, q->ydot, q->dx[0], q->dx[1], q->dx[2]};
    fill_all(p);
    fill_all(q);
    cm_plan_run(p->plan);
    cm_plan_run(q->plan);
    for (int i = 0; i < OUTPUTS; i++)
        compare(p, a[i], q, b[i], bf16 ? 1e-2 : a[i] && splits_sums(a[i]) ? 1e-6 : 0.0, what);
}

static int is_matrix(cm_op_id op)
{
    return op == CM_OP_MATMUL || op == CM_OP_CONV2D || op == CM_OP_CONV2D_GRAD_INPUT ||
           op == CM_OP_CONV2D_GRAD_WEIGHT;
}

static int has_matrices(const problem *p)
{
    int any = 0;
    for (int i = 0; i < cm_graph_size(p->g); i++)
        any |= is_matrix(cm_graph_node(p->g, i)->op);
    return any;
}

static int skipped;

static void check_case(const op_case *c)
{
    problem p, q;
    const unsigned all = (1u << input_count(c)) - 1u;
    if (!problem_new(&p, c, all, 1, 0))
        return;
    check_calculus(&p, all);
    check_value(&p);
    if (problem_new(&q, c, all, 2, 0)) {
        compare_all(&p, &q, "2 threads", 0);
        problem_free(&q);
    }
    if (c->bf16 && has_matrices(&p) && !cm_cpu_has_bf16())
        skipped++;
    else if (c->bf16 && problem_new(&q, c, all, 1, 1)) {
        compare_all(&p, &q, "bf16", 1);
        problem_free(&q);
    }
    problem_free(&p);
    for (unsigned one = 1; all > 1 && one < all; one *= 2)
        if (problem_new(&p, c, one, 1, 0)) {
            check_calculus(&p, one);
            problem_free(&p);
        }
}

static void test_cases(void)
{
    for (int i = 0; i < op_case_count; i++)
        check_case(&op_cases[i]);
    if (skipped)
        printf("    skipped: %d of %d cases in bf16, this CPU has no bf16 matrix products\n",
               skipped, op_case_count);
}

/* ---- the table of ops against the table of cases ---- */

static const struct {
    cm_op_id op;
    const char *why;
} without_rules[] = {
    {CM_OP_LEAF, "has no inputs"},
    {CM_OP_CONST, "has no inputs"},
    {CM_OP_SILU_GRAD, "derivative of silu: no objective takes second derivatives"},
    {CM_OP_CLAMP_GRAD, "derivative of clamp"},
    {CM_OP_SOFTMAX_GRAD, "derivative of softmax"},
    {CM_OP_GROUP_NORM_GRAD_AFFINE, "derivative of group_norm"},
    {CM_OP_GROUP_NORM_GRAD_INPUT, "derivative of group_norm"},
    {CM_OP_GROUP_NORM_JVP, "derivative of group_norm"},
    {CM_OP_NORMAL, "a function of integers"},
    {CM_OP_UNIFORM, "a function of integers"},
    {CM_OP_STORE, "an update: ends a step"},
    {CM_OP_SUM_SQUARES, "an update: gates the others"},
    {CM_OP_RADAM, "an update"},
    {CM_OP_ADAMW, "an update"},
    {CM_OP_EMA, "an update"},
};

static void test_coverage(void)
{
    char excused[CM_OP_COUNT] = {0};
    for (size_t i = 0; i < sizeof without_rules / sizeof *without_rules; i++)
        excused[without_rules[i].op] = 1;
    for (int op = 0; op < CM_OP_COUNT; op++) {
        const int rules = !!cm_ops[op]->vjp + !!cm_ops[op]->jvp;
        CHECK(rules != 1, "%s has one of vjp and jvp", cm_ops[op]->name);
        if (rules)
            CHECK(differentiated[op], "%s: no case in op_cases.c", cm_ops[op]->name);
        CHECK((rules == 0) == excused[op], "%s: %s", cm_ops[op]->name,
              rules ? "has rules, and is listed as having none"
                    : "has no rules, and no reason why");
    }
}

static const check_test tests[] = {
    {"jvp, vjp, values, threads, bf16", test_cases}, /* first: it marks what it covers */
    {"every op with rules has a case", test_coverage},
};

CHECK_MAIN(tests)
