/* test_kernels_norm.c - group norm and its derivatives.
 *
 * The only formula here is the forward one, in double; cotangents and tangents
 * are central differences of it, so the kernels' closed forms are checked
 * against the definition of a derivative. */
#include "kernel_check.h"

typedef struct problem {
    int64_t n, h, w, c;
    int groups, silu;
    int64_t an; /* rows of a and b: n or 1 */
    cm_dtype dtype;
    double mean; /* of x */
} problem;

static const double eps = (double)1e-3f;

static cm_attr norm_attr(const problem *p)
{
    return (cm_attr){.norm = {p->groups, p->silu, 1e-3f}};
}

static cm_type image(const problem *p)
{
    return CM_TYPE(p->dtype, p->n, p->h, p->w, p->c);
}

/* y of sample s; x [h w, c], a and b [c] */
static void reference(const problem *p, const double *x, const double *a, const double *b,
                      double *y)
{
    const int64_t rows = p->h * p->w, c = p->c, d = c / p->groups;
    for (int64_t g = 0; g < c; g += d) {
        double mean = 0.0, var = 0.0;
        for (int64_t i = 0; i < rows * d; i++)
            mean += x[i / d * c + g + i % d] / (double)(rows * d);
        for (int64_t i = 0; i < rows * d; i++)
            var += pow(x[i / d * c + g + i % d] - mean, 2) / (double)(rows * d);
        for (int64_t i = 0; i < rows * d; i++) {
            const int64_t k = g + i % d, at = i / d * c + k;
            const double z = a[k] * (x[at] - mean) / sqrt(var + eps) + b[k];
            y[at] = p->silu ? z / (1.0 + exp(-z)) : z;
        }
    }
}

typedef struct setup {
    tensor *x, *a, *b, *dy, *xdot, *adot, *bdot;
    int64_t size; /* elements a sample */
} setup;

static setup setup_new(const problem *p)
{
    const cm_type affine = CM_TYPE(CM_F32, p->an, p->c);
    return (setup){
        .x = tensor_random(image(p), p->mean, 2.0),
        .a = tensor_random(affine, 1.0, 0.5),
        .b = tensor_random(affine, 0.0, 1.0),
        .dy = tensor_random(image(p), 0.1, 1.0),
        .xdot = tensor_random(image(p), 0.1, 1.0),
        .adot = tensor_random(affine, 0.0, 1.0),
        .bdot = tensor_random(affine, 0.0, 1.0),
        .size = p->h * p->w * p->c,
    };
}

static void setup_free(setup *u)
{
    tensor *all[] = {u->x, u->a, u->b, u->dy, u->xdot, u->adot, u->bdot};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tensor_free(all[i]);
}

/* y at (x, a, b) + t (xdot, adot, bdot), all samples */
static double *forward(const problem *p, const setup *u, double t)
{
    const int64_t c = p->c;
    double *y = doubles(p->n * u->size), *x = doubles(u->size), *a = doubles(2 * c), *b = a + c;
    for (int64_t s = 0; s < p->n; s++) {
        const int64_t at = p->an == 1 ? 0 : s * c;
        for (int64_t i = 0; i < u->size; i++)
            x[i] = u->x->v[s * u->size + i] + t * u->xdot->v[s * u->size + i];
        for (int64_t i = 0; i < c; i++) {
            a[i] = u->a->v[at + i] + t * u->adot->v[at + i];
            b[i] = u->b->v[at + i] + t * u->bdot->v[at + i];
        }
        reference(p, x, a, b, y + s * u->size);
    }
    free(x);
    free(a);
    return y;
}

/* <dy, y> of sample s after adding t to element i of the triple (x, a, b) */
static double objective(const problem *p, const setup *u, int64_t s, int64_t i, double t)
{
    const int64_t c = p->c, n = u->size, at = p->an == 1 ? 0 : s * c;
    double *v = doubles(2 * n + 2 * c), *y = v + n + 2 * c, sum = 0.0;
    memcpy(v, u->x->v + s * n, (size_t)n * sizeof *v);
    memcpy(v + n, u->a->v + at, (size_t)c * sizeof *v);
    memcpy(v + n + c, u->b->v + at, (size_t)c * sizeof *v);
    v[i] += t;
    reference(p, v, v + n, v + n + c, y);
    for (int64_t k = 0; k < n; k++)
        sum += u->dy->v[s * n + k] * y[k];
    free(v);
    return sum;
}

/* Mean and 1/sigma of each sample's channels, [n,2c]: what forward keeps. */
static tensor *statistics(const problem *p, const setup *u)
{
    const int64_t rows = p->h * p->w, c = p->c, d = c / p->groups;
    tensor *t = tensor_new(CM_TYPE(CM_F32, p->n, 2 * c));
    for (int64_t i = 0; i < p->n * c; i++) {
        const double *x = u->x->v + i / c * u->size + i % c / d * d;
        double mean = 0.0, var = 0.0;
        for (int64_t k = 0; k < rows * d; k++)
            mean += x[k / d * c + k % d] / (double)(rows * d);
        for (int64_t k = 0; k < rows * d; k++)
            var += pow(x[k / d * c + k % d] - mean, 2) / (double)(rows * d);
        set_value(t, i / c * 2 * c + i % c, mean);
        set_value(t, i / c * 2 * c + c + i % c, 1.0 / sqrt(var + eps));
    }
    return t;
}

/* Every derivative of the objective: dx [n,h,w,c] and dab [n,2c]. */
static void gradients(const problem *p, const setup *u, double *dx, double *dab)
{
    const double t = 1e-5;
    for (int64_t s = 0; s < p->n; s++)
        for (int64_t i = 0; i < u->size + 2 * p->c; i++) {
            const double d = (objective(p, u, s, i, t) - objective(p, u, s, i, -t)) / (2.0 * t);
            if (i < u->size)
                dx[s * u->size + i] = d;
            else
                dab[s * 2 * p->c + i - u->size] = d;
        }
}

static void check_forward_and_jvp(const problem *p, const setup *u, double tol)
{
    const double t = 1e-5;
    double *y = forward(p, u, 0.0), *plus = forward(p, u, t), *minus = forward(p, u, -t);
    for (int64_t i = 0; i < p->n * u->size; i++)
        plus[i] = (plus[i] - minus[i]) / (2.0 * t);
    tensor *kept = statistics(p, u);
    expect_both(CM_OP_GROUP_NORM, norm_attr(p), image(p), 3, (tensor *[]){u->x, u->a, u->b}, y,
                kept->v, tol, 1.0);
    tensor_free(kept);
    expect(CM_OP_GROUP_NORM_JVP, norm_attr(p), image(p), 6,
           (tensor *[]){u->x, u->a, u->b, u->xdot, u->adot, u->bdot}, plus, tol);
    free(y);
    free(plus);
    free(minus);
}

static void check_gradients(const problem *p, const setup *u, double tol)
{
    double *dx = doubles(p->n * u->size), *dab = doubles(2 * p->n * p->c);
    tensor *in[6] = {u->dy, u->x, u->a, u->b, statistics(p, u), u->xdot};
    gradients(p, u, dx, dab);
    expect_both(CM_OP_GROUP_NORM_GRAD, norm_attr(p), image(p), 5, in, dx, dab, tol, 1.0);
    for (int64_t i = 0; i < p->n * u->size; i++)
        dx[i] += u->xdot->v[i];
    expect_both(CM_OP_GROUP_NORM_GRAD, norm_attr(p), image(p), 6, in, dx, dab, tol, 1.0);
    tensor_free(in[4]);
    free(dx);
    free(dab);
}

/* All three, on small odd shapes. */
static void test_small(void)
{
    static const problem shapes[] = {
        {.n = 2, .h = 3, .w = 3, .c = 8, .groups = 2, .an = 2},
        {.n = 3, .h = 5, .w = 1, .c = 6, .groups = 6, .an = 1}, /* a channel a group */
        {.n = 1, .h = 2, .w = 2, .c = 35, .groups = 5, .an = 1},
        {.n = 4, .h = 1, .w = 7, .c = 3, .groups = 1, .an = 4},
        {.n = 2, .h = 1, .w = 1, .c = 64, .groups = 32, .an = 2}, /* two elements a group */
    };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int v = 0; v < 4; v++) {
            problem p = shapes[k];
            p.silu = v & 1;
            p.dtype = v & 2 ? CM_BF16 : CM_F32;
            p.mean = 0.5;
            setup u = setup_new(&p);
            check_forward_and_jvp(&p, &u, 2e-5);
            check_gradients(&p, &u, 2e-5);
            setup_free(&u);
        }
}

/* Several chunks of pixels a sample, more samples than threads, and one. */
static void test_large(void)
{
    static const problem shapes[] = {
        {.n = 4, .h = 40, .w = 33, .c = 20, .groups = 5, .an = 4},
        {.n = 1, .h = 64, .w = 65, .c = 32, .groups = 32, .an = 1},
        {.n = 3, .h = 16, .w = 16, .c = 130, .groups = 10, .an = 3},
        {.n = 12, .h = 8, .w = 8, .c = 64, .groups = 16, .an = 1},
    };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int v = 0; v < 4; v++) {
            problem p = shapes[k];
            p.silu = v & 1;
            p.dtype = v & 2 ? CM_BF16 : CM_F32;
            setup u = setup_new(&p);
            check_forward_and_jvp(&p, &u, 1e-5);
            setup_free(&u);
        }
}

/* The cotangents on large shapes: <dy, J t> = <dx, xdot> + <da, adot> + <db, bdot>. */
static void check_adjoint(const problem *p, cm_isa isa)
{
    const double t = 1e-5;
    setup u = setup_new(p);
    double *plus = forward(p, &u, t), *minus = forward(p, &u, -t), want = 0.0, got = 0.0;
    for (int64_t i = 0; i < p->n * u.size; i++)
        want += u.dy->v[i] * (plus[i] - minus[i]) / (2.0 * t);

    tensor *in[5] = {u.dy, u.x, u.a, u.b, statistics(p, &u)};
    const cm_node node = node_make(CM_OP_GROUP_NORM_GRAD, norm_attr(p), image(p), 5, in);
    unsigned char *dx = kernel_run(&node, isa, 5, in);
    const unsigned char *dab = dx + GUARD + cm_aux_offset(&node);
    for (int64_t i = 0; i < in[4]->n; i++) {
        const int64_t s = i / (2 * p->c), k = i % p->c, at = p->an == 1 ? k : s * p->c + k;
        got += value_at(dab, CM_F32, i) * (i / p->c % 2 ? u.bdot->v[at] : u.adot->v[at]);
    }
    for (int64_t i = 0; i < u.x->n; i++)
        got += value_at(dx + GUARD, p->dtype, i) * u.xdot->v[i];
    /* rounding to bf16 is random: it grows with the root of the count */
    const double noise = p->dtype == CM_BF16 ? 2e-3 * sqrt((double)u.x->n) : 1e-3;
    CHECK(fabs(got - want) < noise + 1e-6 * fabs(want), "%s: <dx, xdot> = %.9g, expected %.9g",
          cm_isa_name(isa), got, want);
    tensor_free(in[4]);
    free(dx);
    free(plus);
    free(minus);
    setup_free(&u);
}

static void test_adjoint(void)
{
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++)
        for (int v = 0; v < 4; v++) {
            const cm_dtype t = v & 2 ? CM_BF16 : CM_F32;
            check_adjoint(&(problem){2, 40, 33, 20, 5, v & 1, 2, t, 0.3}, isa);
            check_adjoint(&(problem){1, 48, 48, 64, 32, v & 1, 1, t, 0.3}, isa);
            check_adjoint(&(problem){9, 8, 8, 96, 8, v & 1, 1, t, 0.3}, isa);
        }
}

/* Mean 1000 times the deviation: f32 has 7 digits, 3 go to the mean. */
static void test_large_mean(void)
{
    const problem p = {2, 64, 64, 32, 8, 0, 2, CM_F32, 2000.0};
    setup u = setup_new(&p);
    check_forward_and_jvp(&p, &u, 2e-4);
    setup_free(&u);
}

/* A constant group has variance 0: y = b, and NaN spreads over its group only. */
static void test_special(void)
{
    const problem p = {2, 6, 6, 8, 4, 0, 1, CM_F32, 0.0};
    setup u = setup_new(&p);
    for (int64_t i = 0; i < u.x->n; i++)
        set_value(u.x, i, 3.7);
    double *want = doubles(u.x->n);
    for (int64_t i = 0; i < u.x->n; i++)
        want[i] = u.b->v[i % p.c];
    tensor *in[3] = {u.x, u.a, u.b};
    expect(CM_OP_GROUP_NORM, norm_attr(&p), image(&p), 3, in, want, 1e-5);
    set_value(u.x, 17 * p.c + 2, (double)NAN);
    for (int64_t i = 0; i < u.size; i++)
        want[i] = i % p.c / 2 == 1 ? (double)NAN : want[i];
    expect(CM_OP_GROUP_NORM, norm_attr(&p), image(&p), 3, in, want, 1e-5);
    setup_free(&u);
    free(want);
}

static void test_mixed_types_fail(void)
{
    const problem p = {2, 2, 2, 4, 2, 0, 1, CM_F32, 0.0};
    setup u = setup_new(&p);
    u.dy->node.type.dtype = CM_BF16;
    tensor *in[5] = {u.dy, u.x, u.a, u.b, statistics(&p, &u)};
    const cm_node node = node_make(CM_OP_GROUP_NORM_GRAD, norm_attr(&p), image(&p), 5, in);
    cm_prepared prepared = {0};
    cm_error err;
    CHECK(cm_cpu_kernel(&node, CM_ISA_PLAIN)->prepare(&node, 1, &prepared, &err) ==
              CM_ERR_UNSUPPORTED,
          "dy bf16 and x f32 pass prepare");
    tensor_free(in[4]);
    setup_free(&u);
}

static const check_test tests[] = {
    {"small, all three", test_small},     {"large, forward and jvp", test_large},
    {"large, cotangents", test_adjoint},  {"large mean", test_large_mean},
    {"variance 0 and NaN", test_special}, {"types differ", test_mixed_types_fail},
};

CHECK_MAIN(tests)
