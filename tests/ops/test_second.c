/* test_second.c - the gradient of a tangent, for every op that has a tangent: the cases of
 * op_cases.c again, each as the function (x, xdot) -> J(x) xdot.  For random dy and directions v
 * of x and of xdot, accumulated in double:
 *
 *     <dx, v> + <dxdot, vdot>  ==  d/dt <dy, J(x + t v) (xdot + t vdot)>, by central differences
 *
 * and the same with each input alone as the variable, with two threads, and in bf16 where the
 * case says so. */
#include "op_problem.h"

/* A case, its tangent as the result, and the gradients of that. */
typedef struct tangent {
    problem p; /* of the tangent: out[YDOT]; out[DX + i] is the cotangent of x[i] */
    cm_node *dxdot[CASE_INPUTS];
    float *v[2 * CASE_INPUTS]; /* directions of x, then of xdot */
} tangent;

/* What differentiates to 0 has no tangent, and is not asked. */
static int differentiate_twice(tangent *q)
{
    problem *p = &q->p;
    cm_node *x[2 * CASE_INPUTS], *xdot[CASE_INPUTS], *dx[2 * CASE_INPUTS];
    int n = 0, index[CASE_INPUTS];
    for (int i = 0; i < p->n; i++)
        if (p->v.mask >> i & 1u) {
            index[n] = i;
            x[n] = p->x[i];
            xdot[n++] = p->xdot[i];
        }
    p->out[YDOT] = cm_graph_jvp(p->g, p->out[Y], n, x, xdot);
    p->out[Y] = NULL;
    if (!p->out[YDOT])
        return 0;
    p->dy = cm_input(p->g, "dy", p->out[YDOT]->type);
    memcpy(x + n, xdot, (size_t)n * sizeof *x);
    cm_graph_vjp(p->g, p->out[YDOT], p->dy, 2 * n, x, dx);
    for (int k = 0; k < n; k++) {
        p->out[DX + index[k]] = dx[k];
        q->dxdot[index[k]] = dx[n + k];
    }
    return 1;
}

static void tangent_free(tangent *q)
{
    problem_free(&q->p);
    for (int i = 0; i < 2 * CASE_INPUTS; i++)
        cm_free(q->v[i]);
}

static int tangent_new(tangent *q, const op_case *c, variant v)
{
    cm_error err = {0};
    cm_node *out[1 + 2 * CASE_INPUTS];
    int n = 0;
    *q = (tangent){.p = {.c = c, .v = v, .g = cm_graph_new()}};
    problem *p = &q->p;
    build(p);
    if (!differentiate_twice(q)) {
        CHECK_OK(cm_graph_check(p->g, &err), err);
        cm_graph_free(p->g);
        return 0;
    }
    out[n++] = p->out[YDOT];
    for (int i = 0; i < p->n; i++) {
        if (p->out[DX + i])
            out[n++] = p->out[DX + i];
        if (q->dxdot[i])
            out[n++] = q->dxdot[i];
    }
    if (!CHECK(!cm_plan_compile(p->g, n, out, cm_cpu_device(), v.threads, &p->plan, &err), "%s: %s",
               c->name, err.message)) {
        tangent_free(q);
        return 0;
    }
    for (int i = 0; i < 2 * p->n; i++) {
        const int64_t count = cm_type_count(&p->x[i / 2]->type);
        q->v[i] = cm_alloc_array((size_t)count, sizeof(float));
        problem_random = (uint32_t)(i + 77) * 2654435761u;
        for (int64_t k = 0; k < count; k++)
            q->v[i][k] = uniform(-1.0f, 1.0f);
    }
    return 1;
}

static void move(cm_plan *plan, const cm_node *leaf, const float *v, float t)
{
    float *x = cm_plan_data(plan, leaf);
    for (int64_t k = 0; k < cm_type_count(&leaf->type); k++)
        x[k] += t * v[k];
}

/* <dy, J(x + t v) (xdot + t vdot)> */
static double value_at(tangent *q, float t)
{
    problem *p = &q->p;
    problem_fill(p);
    for (int i = 0; i < p->n; i++)
        if (p->v.mask >> i & 1u) {
            move(p->plan, p->x[i], q->v[2 * i], t);
            move(p->plan, p->xdot[i], q->v[2 * i + 1], t);
        }
    cm_plan_run(p->plan);
    return problem_dot(p, p->dy, p->out[YDOT]);
}

/* <d, v>, and the squares of its terms to *size */
static double along(const problem *p, const cm_node *d, const float *v, double *size)
{
    double sum = 0.0;
    for (int64_t k = 0; d && k < cm_type_count(&d->type); k++) {
        const double term = problem_value(p, d, k) * (double)v[k];
        sum += term;
        *size += term * term;
    }
    return sum;
}

static double gradient(const tangent *q, double *size)
{
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < q->p.n; i++) {
        sum += along(&q->p, q->p.out[DX + i], q->v[2 * i], &squares);
        sum += along(&q->p, q->dxdot[i], q->v[2 * i + 1], &squares);
    }
    *size = sqrt(squares);
    return sum;
}

static void check_calculus(const op_case *c, unsigned mask)
{
    tangent q;
    if (!tangent_new(&q, c, (variant){.mask = mask, .threads = 1}))
        return;
    const float h = c->step > 0.0f ? c->step : 0x1p-7f; /* one more derivative than test_ops.c */
    const double tol = c->tol > 0.0f ? (double)c->tol : 1e-4;
    double size;
    problem_run(&q.p);
    const double noise = 0x1p-20 / (double)h * problem_dot_size(&q.p, q.p.dy, q.p.out[YDOT]);
    const double got = gradient(&q, &size);
    const double near = value_at(&q, h) - value_at(&q, -h);
    const double far = value_at(&q, 2.0f * h) - value_at(&q, -2.0f * h);
    const double want = (8.0 * near - far) / (12.0 * (double)h);
    CHECK(fabs(got - want) <= tol * size + noise,
          "%s, inputs %x: gradient of the tangent %.9g, differences %.9g (of terms of size %.3g)",
          c->name, mask, got, want, size);
    tangent_free(&q);
}

static void test_calculus(void)
{
    for (int i = 0; i < op_case_count; i++) {
        const op_case *c = &op_cases[i];
        const unsigned all = (1u << case_inputs(c)) - 1u;
        check_calculus(c, all);
        for (unsigned one = 1; all > 1 && one < all; one *= 2)
            check_calculus(c, one);
    }
}

/* Another variant gives what one thread in f32 gives. */
static void check_variant(const op_case *c, variant v, double tol)
{
    tangent p, q;
    const unsigned all = (1u << case_inputs(c)) - 1u;
    double size, other;
    v.mask = all;
    if (!tangent_new(&p, c, (variant){.mask = all, .threads = 1}))
        return;
    if (tangent_new(&q, c, v)) {
        problem_run(&p.p);
        problem_run(&q.p);
        const double a = gradient(&p, &size), b = gradient(&q, &other);
        CHECK(fabs(a - b) <= tol * size, "%s%s: gradient of the tangent %.9g, expected %.9g",
              c->name, v.bf16 ? ", bf16" : ", 2 threads", b, a);
        tangent_free(&q);
    }
    tangent_free(&p);
}

static void test_threads(void)
{
    for (int i = 0; i < op_case_count; i++)
        check_variant(&op_cases[i], (variant){.threads = 2}, 1e-6);
}

static void test_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU has no bf16 matrix products");
    for (int i = 0; i < op_case_count; i++)
        if (op_cases[i].bf16)
            check_variant(&op_cases[i], (variant){.threads = 1, .bf16 = 1}, 3e-2);
}

static const check_test tests[] = {
    {"gradients of tangents against differences", test_calculus},
    {"two threads", test_threads},
    {"in bf16", test_bf16},
};

CHECK_MAIN(tests)
