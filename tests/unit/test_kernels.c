/* test_kernels.c - the hand-written CPU kernels against references written here
 * in double precision: functions of one element, broadcasting, sums, moves,
 * softmax.  The others are in test_kernels_norm.c, _random.c and _update.c. */
#include "kernel_check.h"

/* ---- functions of one element ---- */

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}
static double sign(double x)
{
    return (x > 0.0) - (x < 0.0);
}
static double clamp(double x)
{
    return x < (double)-0.3f ? (double)-0.3f : x > 0.5 ? 0.5 : x;
}
static double affine(double x)
{
    return 1.5 * x - 0.25;
}
static double square(double x)
{
    return x * x;
}
static double reciprocal(double x)
{
    return 1.0 / x;
}
static double power(double x)
{
    return pow(x, 1.25);
}
static double same(double x)
{
    return x;
}

typedef struct unary_case {
    cm_op_id op;
    cm_attr attr;
    double (*f)(double);
    double center, width, tol;
} unary_case;

static const unary_case unary_cases[] = {
    {CM_OP_AFFINE, {.affine = {1.5f, -0.25f}}, affine, 0, 3, 1e-6},
    {CM_OP_SILU, {{0}}, silu, 0, 8, 1e-6},
    {CM_OP_SILU, {{0}}, silu, 0, 200, 1e-6},
    {CM_OP_EXP, {{0}}, exp, 0, 8, 4e-7},
    {CM_OP_LOG, {{0}}, log, 5, 4.99, 1e-6},
    {CM_OP_SIN, {{0}}, sin, 0, 20, 1e-6},
    {CM_OP_COS, {{0}}, cos, 0, 20, 1e-6},
    {CM_OP_ATAN, {{0}}, atan, 0, 20, 1e-6},
    {CM_OP_ABS, {{0}}, fabs, 0, 3, 0},
    {CM_OP_SIGN, {{0}}, sign, 0, 3, 0},
    {CM_OP_FLOOR, {{0}}, floor, 0, 30, 0},
    {CM_OP_CLAMP, {.clamp = {-0.3f, 0.5f}}, clamp, 0, 1, 0},
    {CM_OP_POW, {.pow = {2.0f}}, square, 0, 3, 1e-6},
    {CM_OP_POW, {.pow = {0.5f}}, sqrt, 2, 1.9, 1e-6},
    {CM_OP_POW, {.pow = {-1.0f}}, reciprocal, 2, 1.9, 1e-6},
    {CM_OP_POW, {.pow = {1.25f}}, power, 2, 1.9, 1e-6},
    {CM_OP_POW, {.pow = {1.0f}}, same, 0, 3, 0},
};

static void test_unary(void)
{
    static const int64_t sizes[] = {1, 7, 64, 4099, 50001};
    for (size_t k = 0; k < sizeof unary_cases / sizeof *unary_cases; k++)
        for (int t = 0; t < 2; t++)
            for (int s = 0; s < 5; s++) {
                const unary_case *u = &unary_cases[k];
                tensor *x = tensor_random(CM_TYPE(floats[t], sizes[s]), u->center, u->width);
                double *want = doubles(x->n);
                for (int64_t i = 0; i < x->n; i++)
                    want[i] = u->f(x->v[i]);
                /* a clamped value is rounded to bf16 */
                const double tol = t && u->op == CM_OP_CLAMP ? 1e-9 : u->tol;
                expect(u->op, u->attr, x->node.type, 1, &x, want, tol);
                tensor_free(x);
                free(want);
            }
}

/* e^x over its whole range, in units of the last place, and at its ends. */
static void test_exp(void)
{
    enum { N = 100000 };
    tensor *x = tensor_new(CM_TYPE(CM_F32, N));
    for (int i = 0; i < N; i++)
        set_value(x, i, -87.0 + 175.7 * i / (N - 1));
    const cm_node node = node_make(CM_OP_EXP, (cm_attr){0}, x->node.type, 1, &x);
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++) {
        unsigned char *y = kernel_run(&node, isa, 1, &x);
        double worst = 0.0;
        for (int i = 0; i < N; i++) {
            const double want = exp(x->v[i]), got = value_at(y + GUARD, CM_F32, i);
            worst = fmax(worst, fabs(got - want) / ldexp(1.0, ilogb(want) - 23));
        }
        CHECK(worst <= (isa == CM_ISA_PLAIN ? 2.0 : 1.5), "exp %s: %.2f ulp", cm_isa_name(isa),
              worst);
        free(y);
    }
    tensor_free(x);

    static const double edge[] = {-(double)INFINITY,
                                  -1e30,
                                  -104,
                                  -103.9,
                                  -100,
                                  -88,
                                  -87.4,
                                  -0.0,
                                  0,
                                  88.72283,
                                  88.73,
                                  89,
                                  1e30,
                                  (double)INFINITY,
                                  (double)NAN,
                                  1};
    const double denormal = ldexp(1.0, -149);
    x = tensor_new(CM_TYPE(CM_F32, 16));
    double want[16];
    for (int i = 0; i < 16; i++) {
        set_value(x, i, edge[i]);
        want[i] = exp(x->v[i]);
        want[i] = want[i] > (double)3.402823466e38f ? (double)INFINITY : want[i];
    }
    expect_scaled(CM_OP_EXP, (cm_attr){0}, x->node.type, 1, &x, want, 3e-7, denormal / 3e-7);
    tensor_free(x);
}

static void test_nan_passes(void)
{
    static const cm_op_id ops[] = {CM_OP_AFFINE, CM_OP_SILU, CM_OP_EXP,  CM_OP_ABS,
                                   CM_OP_SIGN,   CM_OP_POW,  CM_OP_CLAMP};
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        for (int t = 0; t < 2; t++) {
            tensor *x = tensor_new(CM_TYPE(floats[t], 33));
            double want[33];
            for (int i = 0; i < 33; i++) {
                set_value(x, i, (double)NAN);
                want[i] = (double)NAN;
            }
            const cm_attr attr =
                ops[k] == CM_OP_POW ? (cm_attr){.pow = {2.0f}} : (cm_attr){.clamp = {0.25f, 0.5f}};
            expect(ops[k], attr, x->node.type, 1, &x, want, 0);
            tensor_free(x);
        }
}

/* derivative times dy, by a central difference; the types may differ */
static void test_unary_grads(void)
{
    for (int ty = 0; ty < 2; ty++)
        for (int tx = 0; tx < 2; tx++)
            for (int silu_case = 0; silu_case < 2; silu_case++) {
                tensor *in[2] = {tensor_random(CM_TYPE(floats[ty], 3, 7001), 0, 2),
                                 tensor_random(CM_TYPE(floats[tx], 3, 7001), 0, 6)};
                double *want = doubles(in[0]->n);
                for (int64_t i = 0; i < in[0]->n; i++) {
                    const double x = in[1]->v[i], h = 1e-5;
                    want[i] = silu_case ? in[0]->v[i] * (silu(x + h) - silu(x - h)) / (2 * h)
                              : x > (double)-1.1f && x < (double)2.2f ? in[0]->v[i]
                                                                      : 0.0;
                }
                expect(silu_case ? CM_OP_SILU_GRAD : CM_OP_CLAMP_GRAD,
                       (cm_attr){.clamp = {-1.1f, 2.2f}}, in[0]->node.type, 2, in, want,
                       silu_case ? 1e-6 : 0);
                tensor_free(in[0]);
                tensor_free(in[1]);
                free(want);
            }
}

/* bf16: every value survives the round trip, ties go to even, NaN stays NaN, what is
 * denormal rounds to 0 */
static void test_cast(void)
{
    tensor *h = tensor_new(CM_TYPE(CM_BF16, 65536));
    for (int i = 0; i < 65536; i++) {
        ((cm_bf16 *)(void *)(h->block + GUARD))[i] = (cm_bf16)i;
        h->v[i] = value_at(h->block + GUARD, CM_BF16, i);
    }
    expect(CM_OP_CAST, (cm_attr){0}, CM_TYPE(CM_F32, 65536), 1, &h, h->v, 0);

    tensor *f = tensor_new(CM_TYPE(CM_F32, 3 * 65536));
    double *want = doubles(f->n);
    for (uint32_t i = 0; i < 65536; i++)
        for (uint32_t k = 0; k < 3; k++) { /* below, at, above the middle to i + 1 */
            const uint32_t bits = i << 16 | (0x7fffu + k);
            const int64_t at = (int64_t)(3 * i + k);
            memcpy(f->block + GUARD + 4 * at, &bits, 4);
            f->v[at] = value_at(f->block + GUARD, CM_F32, at);
            const uint32_t up = k == 2 || (k == 1 && i % 2);
            want[at] = isnan(f->v[at])             ? (double)NAN
                       : fabs(f->v[at]) < 0x1p-126 ? 0.0
                                                   : (double)cm_bf16_to_f32((cm_bf16)(i + up));
        }
    expect(CM_OP_CAST, (cm_attr){0}, CM_TYPE(CM_BF16, 3 * 65536), 1, &f, want, 0);

    tensor *n = tensor_random(CM_TYPE(CM_I32, 1001), 0, 1000);
    expect(CM_OP_CAST, (cm_attr){0}, CM_TYPE(CM_F32, 1001), 1, &n, n->v, 0);
    expect(CM_OP_CAST, (cm_attr){0}, CM_TYPE(CM_BF16, 1001), 1, &n, n->v, 1e-9);
    tensor_free(h);
    tensor_free(f);
    tensor_free(n);
    free(want);
}

/* ---- broadcasting ---- */

/* Index in x of element i of type y, x repeated along its axes of length 1. */
static int64_t source(const cm_type *y, const cm_type *x, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        at += x->dim[d] == 1 ? 0 : i % y->dim[d] * step;
        step *= x->dim[d];
        i /= y->dim[d];
    }
    return at;
}

/* dims of a, dims of b */
static const int64_t pairs[][2][4] = {
    {{2, 3, 5, 7}, {2, 3, 5, 7}},     {{8, 16, 16, 32}, {8, 16, 16, 32}},
    {{8, 16, 16, 3}, {8, 1, 1, 1}},   {{8, 16, 16, 33}, {8, 1, 1, 33}},
    {{8, 16, 16, 32}, {1, 1, 1, 32}}, {{8, 16, 16, 32}, {1, 16, 1, 32}},
    {{1, 16, 1, 5}, {8, 1, 4, 5}},    {{1, 1, 1, 1}, {8, 33, 5, 17}},
    {{3, 1, 9000, 1}, {3, 2, 1, 1}},  {{3, 4, 1, 5000}, {1, 4, 3, 5000}},
    {{1, 1, 1, 1}, {1, 1, 1, 1}},     {{2, 1, 3, 1}, {1, 5, 1, 7}},
};

static cm_type rank4(cm_dtype t, const int64_t *dim)
{
    return cm_type_make(t, 4, dim);
}

static void binary(cm_dtype ta, cm_dtype tb, const int64_t *da, const int64_t *db)
{
    tensor *in[2] = {tensor_random(rank4(ta, da), 0, 2), tensor_random(rank4(tb, db), 0.5, 2)};
    cm_type y = in[0]->node.type;
    for (int d = 0; d < 4; d++)
        y.dim[d] = da[d] > db[d] ? da[d] : db[d];
    const int64_t n = cm_type_count(&y);
    double *sum = doubles(n), *product = doubles(n), *first = doubles(n);
    for (int64_t i = 0; i < n; i++) {
        const double a = in[0]->v[source(&y, &in[0]->node.type, i)];
        const double b = in[1]->v[source(&y, &in[1]->node.type, i)];
        sum[i] = a + b;
        product[i] = a * b;
        first[i] = a;
    }
    expect(CM_OP_ADD, (cm_attr){0}, y, 2, in, sum, 1e-7);
    expect(CM_OP_MUL, (cm_attr){0}, y, 2, in, product, 1e-7);
    y.dtype = tb;
    expect(CM_OP_BROADCAST_TO, (cm_attr){.to = {y}}, y, 1, in, first, tb == ta ? 0 : 1e-9);
    tensor_free(in[0]);
    tensor_free(in[1]);
    free(sum);
    free(product);
    free(first);
}

static void test_broadcast(void)
{
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        for (int ta = 0; ta < 2; ta++)
            for (int tb = 0; tb < 2; tb++) {
                binary(floats[ta], floats[tb], pairs[k][0], pairs[k][1]);
                binary(floats[ta], floats[tb], pairs[k][1], pairs[k][0]);
            }
}

static void test_sum_to(void)
{
    static const int64_t shapes[][4] = {{2, 3, 5, 7},    {5, 33, 16, 48},  {3, 4, 5, 3},
                                        {2, 9, 11, 530}, {1, 1, 1, 20000}, {20000, 1, 1, 2}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (unsigned mask = 0; mask < 16; mask++) /* axes summed */
            for (int t = 0; t < 4; t++) {
                tensor *x = tensor_random(rank4(floats[t & 1], shapes[k]), 0.5, 1);
                cm_type y = rank4(floats[t >> 1], shapes[k]);
                for (int d = 0; d < 4; d++)
                    y.dim[d] = mask >> d & 1u ? 1 : y.dim[d];
                double *want = doubles(cm_type_count(&y));
                for (int64_t i = 0; i < x->n; i++)
                    want[source(&x->node.type, &y, i)] += x->v[i];
                expect(CM_OP_SUM_TO, (cm_attr){.to = {y}}, y, 1, &x, want, 1e-6);
                tensor_free(x);
                free(want);
            }
}

/* ---- moving ---- */

static void channels(cm_dtype t, int64_t n, int64_t h, int64_t ca, int64_t cb)
{
    tensor *in[2] = {tensor_random(CM_TYPE(t, n, h, ca), 0, 1),
                     tensor_random(CM_TYPE(t, n, h, cb), 0, 1)};
    const int64_t c = ca + cb, rows = n * h;
    tensor *both = tensor_new(CM_TYPE(t, n, h, c));
    for (int64_t i = 0; i < both->n; i++)
        set_value(both, i,
                  i % c < ca ? in[0]->v[i / c * ca + i % c] : in[1]->v[i / c * cb + i % c - ca]);
    expect(CM_OP_CONCAT, (cm_attr){0}, both->node.type, 2, in, both->v, 0);
    expect(CM_OP_SLICE, (cm_attr){.range = {0, ca}}, in[0]->node.type, 1, &both, in[0]->v, 0);
    expect(CM_OP_SLICE, (cm_attr){.range = {ca, cb}}, in[1]->node.type, 1, &both, in[1]->v, 0);
    double *want = doubles(rows * (c + 2));
    for (int64_t i = 0; i < in[1]->n; i++)
        want[i / cb * (c + 2) + ca + i % cb] = in[1]->v[i];
    expect(CM_OP_PAD, (cm_attr){.range = {ca, c + 2}}, CM_TYPE(t, n, h, c + 2), 1, &in[1], want, 0);
    tensor_free(in[0]);
    tensor_free(in[1]);
    tensor_free(both);
    free(want);
}

static void test_channels(void)
{
    for (int t = 0; t < 2; t++) {
        channels(floats[t], 2, 3, 5, 1);
        channels(floats[t], 1, 1, 1, 2);
        channels(floats[t], 4, 200, 32, 65);
        channels(floats[t], 3, 2, 9000, 7);
    }
}

static void swap12(cm_dtype t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    tensor *x = tensor_random(CM_TYPE(t, a, b, c, d), 0, 1);
    double *want = doubles(x->n);
    for (int64_t i = 0; i < x->n; i++)
        want[((i / (d * c * b) * c + i / d % c) * b + i / (d * c) % b) * d + i % d] = x->v[i];
    expect(CM_OP_SWAP12, (cm_attr){0}, CM_TYPE(t, a, c, b, d), 1, &x, want, 0);
    tensor_free(x);
    free(want);
}

static void resample(cm_dtype t, int64_t n, int64_t h, int64_t w, int64_t c)
{
    const cm_attr attr = {.affine = {0.75f, 0.0f}};
    tensor *x = tensor_random(CM_TYPE(t, n, h, w, c), 0, 1);
    tensor *y = tensor_random(CM_TYPE(t, n, 2 * h, 2 * w, c), 0, 1);
    double *up = doubles(y->n), *down = doubles(x->n);
    for (int64_t i = 0; i < y->n; i++) {
        const int64_t j = i / c % (2 * w) / 2, k = i / (2 * w * c) % (2 * h) / 2;
        const int64_t at = ((i / (4 * h * w * c) * h + k) * w + j) * c + i % c;
        up[i] = 0.75 * x->v[at];
        down[at] += 0.75 * y->v[i];
    }
    expect(CM_OP_UPSAMPLE2, attr, y->node.type, 1, &x, up, 1e-7);
    expect(CM_OP_SUMPOOL2, attr, x->node.type, 1, &y, down, 3e-7);
    tensor_free(x);
    tensor_free(y);
    free(up);
    free(down);
}

static void test_images(void)
{
    for (int t = 0; t < 2; t++) {
        swap12(floats[t], 2, 3, 5, 7);
        swap12(floats[t], 4, 64, 3, 64);
        resample(floats[t], 1, 1, 1, 1);
        resample(floats[t], 2, 3, 5, 7);
        resample(floats[t], 3, 8, 8, 96);
    }
}

static void test_gather(void)
{
    for (int t = 0; t < 2; t++) {
        enum { K = 11, D = 700, N = 23 };
        tensor *in[2] = {tensor_random(CM_TYPE(CM_F32, K, D), 0, 1),
                         tensor_new(CM_TYPE(CM_I32, N))};
        tensor *add[2] = {tensor_random(CM_TYPE(floats[t], N, D), 0, 1), in[1]};
        double *rows = doubles(N * D), *sums = doubles(K * D);
        for (int i = 0; i < N; i++) {
            set_value(in[1], i, i == 5 ? K : i == 6 ? -1 : i * i % K);
            for (int k = 0; k < D; k++) {
                const int out = i == 5 || i == 6;
                rows[i * D + k] = out ? (double)NAN : in[0]->v[(i * i % K) * D + k];
                sums[(i * i % K) * D + k] += out ? 0.0 : add[0]->v[i * D + k];
            }
        }
        expect(CM_OP_GATHER, (cm_attr){0}, CM_TYPE(CM_F32, N, D), 2, in, rows, 0);
        expect(CM_OP_SCATTER_ADD, (cm_attr){0}, CM_TYPE(CM_F32, K, D), 2, add, sums, 1e-6);
        tensor_free(in[0]);
        tensor_free(in[1]);
        tensor_free(add[0]);
        free(rows);
        free(sums);
    }
}

static void test_softmax(void)
{
    static const int64_t shapes[][2] = {{1, 1}, {3, 2}, {5, 17}, {700, 64}, {9, 5003}};
    for (size_t s = 0; s < 5; s++)
        for (int t = 0; t < 2; t++) {
            const int64_t n = shapes[s][1];
            tensor *x = tensor_random(CM_TYPE(floats[t], 1, shapes[s][0], n), -60, 20);
            tensor *in[2] = {tensor_random(x->node.type, 0, 1), tensor_new(x->node.type)};
            double *y = doubles(x->n), *d = doubles(x->n), *l = doubles(x->n);
            for (int64_t i = 0; i < x->n; i += n) {
                double sum = 0.0, dot = 0.0;
                for (int64_t k = i; k < i + n; k++)
                    sum += exp(x->v[k]);
                for (int64_t k = i; k < i + n; k++) {
                    y[k] = exp(x->v[k]) / sum;
                    l[k] = x->v[k] - log(sum);
                    set_value(in[1], k, y[k]);
                    dot += in[1]->v[k] * in[0]->v[k];
                }
                for (int64_t k = i; k < i + n; k++)
                    d[k] = in[1]->v[k] * (in[0]->v[k] - dot);
            }
            expect_scaled(CM_OP_SOFTMAX, (cm_attr){0}, x->node.type, 1, &x, y, 4e-6, 1e-6);
            expect(CM_OP_SOFTMAX_GRAD, (cm_attr){0}, x->node.type, 2, in, d, 1e-6);
            expect(CM_OP_LOG_SOFTMAX, (cm_attr){0}, x->node.type, 1, &x, l, 1e-6);
            tensor_free(x);
            tensor_free(in[0]);
            tensor_free(in[1]);
            free(y);
            free(d);
            free(l);
        }
}

/* ---- the tables ---- */

/* Nodes of no size, which no kernel for a few shapes takes. */
static void test_tables(void)
{
    cm_node none = {.op = CM_OP_LEAF}, node = {.op = CM_OP_LEAF};
    for (int i = 0; i < CM_MAX_IN; i++)
        node.in[i] = &none;
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++)
        for (int op = 0; op < CM_OP_COUNT; op++) {
            node.op = (cm_op_id)op;
            CHECK(op == CM_OP_LEAF || op == CM_OP_CONST || cm_ops[op]->alias ||
                      cm_cpu_kernel(&node, isa),
                  "%s has no kernel for %s", cm_ops[op]->name, cm_isa_name(isa));
        }
    const cm_isa best = cm_cpu_isa();
    setenv("CM_ISA", "plain", 1);
    CHECK(cm_cpu_isa() == CM_ISA_PLAIN, "CM_ISA=plain gives %s", cm_isa_name(cm_cpu_isa()));
    setenv("CM_ISA", "no such", 1);
    CHECK(cm_cpu_isa() >= best, "an unknown CM_ISA lowers the instruction set");
    unsetenv("CM_ISA");
}

/* Eighths, so that all sums are exact and their order is no matter: y = a op(b) + bias to
 * the last bit, rounded once where it is bf16. */
static void check_matmul(cm_dtype t, int64_t m, int64_t n, int64_t k, int tb, int bias)
{
    tensor *in[3] = {tensor_new(CM_TYPE(t, 2, m, k)),
                     tensor_new(tb ? CM_TYPE(t, 2, n, k) : CM_TYPE(t, 2, k, n)),
                     tensor_new(CM_TYPE(CM_F32, n))};
    double *y = doubles(2 * m * n);
    for (int i = 0; i < 3; i++)
        for (int64_t j = 0; j < in[i]->n; j++)
            set_value(in[i], j, floor(8.0 * random_unit() + 0.5) / 8.0);
    for (int64_t i = 0; i < 2 * m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = bias ? in[2]->v[j] : 0.0;
            for (int64_t d = 0; d < k; d++)
                sum += in[0]->v[i * k + d] * in[1]->v[i / m * n * k + (tb ? j * k + d : d * n + j)];
            y[i * n + j] = t == CM_BF16 ? (double)cm_bf16_to_f32(cm_f32_to_bf16((float)sum)) : sum;
        }
    expect(CM_OP_MATMUL, (cm_attr){.matmul = {0, tb}}, CM_TYPE(t, 2, m, n), 2 + bias, in, y, 0);
    for (int i = 0; i < 3; i++)
        tensor_free(in[i]);
    free(y);
}

static void test_matmul(void)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 50}, widths[] = {1, 8, 31, 32, 70},
                         depths[] = {1, 17, 256, 257, 600};
    for (size_t m = 0; m < 10; m++)
        for (size_t n = 0; n < 5; n++)
            for (size_t k = 0; k < 5; k++)
                check_matmul(floats[(m + n) % 2], rows[m], widths[n], depths[k], (n + k) % 2,
                             (m + k) % 2);
}

static const check_test tests[] = {
    {"tables", test_tables},
    {"unary", test_unary},
    {"exp to the last place", test_exp},
    {"NaN passes", test_nan_passes},
    {"derivatives of unary", test_unary_grads},
    {"cast", test_cast},
    {"add, mul, broadcast_to", test_broadcast},
    {"sum_to", test_sum_to},
    {"concat, slice, pad", test_channels},
    {"swap12, upsample2, sumpool2", test_images},
    {"gather, scatter_add", test_gather},
    {"softmax", test_softmax},
    {"matmul", test_matmul},
};

CHECK_MAIN(tests)
