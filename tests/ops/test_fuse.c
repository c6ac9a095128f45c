/* test_fuse.c - each fused op against its composition, which is what a plan computes
 * where the result before the addition is an output too; and where fusion must not
 * happen */
#include "plan_check.h"

#include "base/bf16.h"
#include "cm.h"

typedef struct pair {
    cm_graph *g;
    cm_node *input[8]; /* filled with random numbers */
    int n_input;
    cm_node *part, *sum; /* sum = part + something */
    cm_node *other[2];   /* read too; or NULL */
    cm_node *size;       /* f32, like sum but of absolute values; NULL: sums have one order */
    int terms;           /* of an element of sum */
} pair;

static cm_node *input(pair *p, cm_type t)
{
    cm_node *x = cm_input(p->g, "x", t);
    p->input[p->n_input++] = x;
    return x;
}

static cm_node *input_as(pair *p, cm_dtype dtype, cm_type t)
{
    return cm_cast(p->g, input(p, t), dtype);
}

static cm_node *size_of(pair *p, cm_node *x)
{
    return cm_abs(p->g, cm_cast(p->g, x, CM_F32));
}

/* r is a term of the sum as well. */
static void add_size(pair *p, cm_node *r)
{
    p->size = cm_add(p->g, p->size, size_of(p, r));
    p->terms++;
}

static double value(cm_plan *p, const cm_node *n, int64_t i)
{
    const void *d = cm_plan_data(p, n);
    return (double)(n->type.dtype == CM_BF16 ? cm_bf16_to_f32(((const cm_bf16 *)d)[i])
                                             : ((const float *)d)[i]);
}

static void fill_and_run(pair *p, cm_plan *plan)
{
    plan_random = 5;
    for (int i = 0; i < p->n_input; i++)
        fill(data(plan, p->input[i]), cm_type_count(&p->input[i]->type));
    for (int i = 0; i < 2; i++) /* the second must not see the first */
        cm_plan_run(plan);
}

/* How far apart two evaluations of a sum of n terms may be.
 *
 * part is a sum of products and a bias, and sum = part + r.  The library adds the same n
 * terms in one order where r is fused (it may begin with r, or add it between blocks of
 * input channels, for each of which the sum is stored and read again) and in another where
 * r comes last.  For any order, with u = 2^-24 and products rounded or not,
 *
 *     |fl(sum) - sum| <= gamma_n S,   S = the sum of the terms' absolute values,
 *     gamma_n = n u / (1 - n u)
 *
 * (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 4.2:
 * a term goes through n - 1 additions at most).  So two orders are 2 gamma_n S apart at
 * most.  S is itself computed in f32, so too small by a factor 1 - gamma_n at most, and
 * gamma_n / (1 - gamma_n) = n u / (1 - 2 n u).  It is computed of weights in f32; those of
 * a product in bf16 are rounded first, and may be larger by 2^-8. */
static double summation_bound(const pair *p, double size)
{
    const double nu = (double)p->terms * 0x1p-24;
    return 2.0 * nu / (1.0 - 2.0 * nu) * size * (p->sum->type.dtype == CM_BF16 ? 1 + 0x1p-8 : 1);
}

/* A number stored in bf16 is off by 2^-8 of itself at most: part, where it is an output,
 * and both sums. */
static double storage_bound(cm_dtype dtype, double part, double sum)
{
    return dtype == CM_BF16 ? 0x1p-8 * (fabs(part) + 2.0 * fabs(sum)) : 0.0;
}

static cm_plan *compile_and_run(pair *p, int n, cm_node *const *out)
{
    cm_plan *plan = compile(p->g, n, out);
    fill_and_run(p, plan);
    return plan;
}

/* The sum with and without `part` as an output: equal but for the order of additions and
 * the storage of results; and `steps` fewer. */
static void check(pair *p, const char *what, int steps)
{
    cm_node *out[4] = {p->sum, p->part};
    int n = 1;
    for (int i = 0; i < 2; i++)
        if (p->other[i])
            out[n++] = p->other[i];
    cm_plan *fused = compile_and_run(p, n, out);
    out[n] = p->part;
    cm_plan *plain = compile_and_run(p, n + 1, out);
    cm_plan *size = p->size ? compile_and_run(p, 1, &p->size) : NULL;
    CHECK(cm_plan_steps(plain) - cm_plan_steps(fused) == steps, "%s: %d steps saved, expected %d",
          what, cm_plan_steps(plain) - cm_plan_steps(fused), steps);
    double worst = 0.0;
    for (int64_t i = 0; i < cm_type_count(&p->sum->type); i++) {
        const double a = value(fused, p->sum, i), b = value(plain, p->sum, i);
        const double allow =
            storage_bound(p->sum->type.dtype, value(plain, p->part, i), fmax(fabs(a), fabs(b))) +
            (size ? summation_bound(p, value(size, p->size, i)) : 0.0);
        if (!CHECK(fabs(a - b) <= allow, "%s: element %d is %.9g, %.9g not fused (bound %.2g)",
                   what, (int)i, a, b, allow))
            break;
        worst = allow > 0.0 ? fmax(worst, fabs(a - b) / allow) : worst;
    }
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; p->other[k] && i < cm_type_count(&p->other[k]->type); i++)
            if (!CHECK(value(fused, p->other[k], i) == value(plain, p->other[k], i),
                       "%s: another result changed", what))
                break;
    printf("    %s, %s: %.2g of the bound\n", what, cm_dtype_name(p->sum->type.dtype), worst);
    cm_plan_free(size);
    cm_plan_free(fused);
    cm_plan_free(plain);
    cm_graph_free(p->g);
}

/* ---- convolution ---- */

enum { KERNEL, POINT }; /* 3x3, 1x1 */

/* 32 channels to 32; p->size becomes that of its terms. */
static cm_node *conv(pair *p, cm_node *x, int kind, int bias)
{
    const int k = kind == KERNEL ? 3 : 1;
    cm_node *w = input(p, CM_TYPE(CM_F32, 32, 32, k, k));
    cm_node *b = bias ? input(p, CM_TYPE(CM_F32, 32)) : NULL;
    p->size = cm_conv2d(p->g, size_of(p, x), cm_abs(p->g, w), b ? cm_abs(p->g, b) : NULL, 1, k / 2);
    p->terms = 32 * k * k + bias;
    return cm_conv2d(p->g, x, w, b, 1, k / 2);
}

static void check_conv(cm_dtype dtype, int kind, int bias, int lives, int swapped)
{
    const cm_type t = CM_TYPE(CM_F32, 2, 9, 7, 32);
    pair p = {.g = cm_graph_new()};
    cm_node *r = cm_affine(p.g, input_as(&p, dtype, t), 0.5f, 0.25f);
    p.part = conv(&p, input_as(&p, dtype, t), kind, bias);
    p.sum = swapped ? cm_add(p.g, r, p.part) : cm_add(p.g, p.part, r);
    add_size(&p, r);
    if (lives)
        p.other[0] = r;
    check(&p, "conv2d + r", 1);
}

static void check_convs(cm_dtype dtype)
{
    for (int v = 0; v < 16; v++)
        check_conv(dtype, v & 1, v >> 1 & 1, v >> 2 & 1, v >> 3);
}

/* The end of a residual block that changes the width: both operands are convolutions,
 * the younger takes the older one. */
static void check_two_convs(cm_dtype dtype)
{
    const cm_type t = CM_TYPE(CM_F32, 3, 8, 8, 32);
    pair p = {.g = cm_graph_new()};
    cm_node *x = input_as(&p, dtype, t), *h = conv(&p, x, KERNEL, 1);
    p.part = conv(&p, x, POINT, 1);
    p.sum = cm_add(p.g, h, p.part);
    add_size(&p, h);
    check(&p, "conv2d + conv2d", 1);
}

/* ---- linear layer ---- */

static void check_matmul(cm_dtype dtype, int swapped)
{
    pair p = {.g = cm_graph_new()};
    cm_node *bias = input(&p, CM_TYPE(CM_F32, 24));
    cm_node *a = input_as(&p, dtype, CM_TYPE(CM_F32, 5, 16));
    cm_node *b = input_as(&p, dtype, CM_TYPE(CM_F32, 24, 16));
    p.part = cm_matmul(p.g, a, b, 0, 1);
    cm_node *row = CM_RESHAPE(p.g, bias, 1, 24);
    p.sum = swapped ? cm_add(p.g, row, p.part) : cm_add(p.g, p.part, row);
    p.size = cm_matmul(p.g, size_of(&p, a), size_of(&p, b), 0, 1);
    p.terms = 16;
    add_size(&p, row);
    check(&p, "matmul + bias", 1);
}

/* ---- in both types ---- */

static void test_f32(void)
{
    check_convs(CM_F32);
    check_two_convs(CM_F32);
    check_matmul(CM_F32, 0);
    check_matmul(CM_F32, 1);
}

static void test_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU has no bf16 matrix products");
    check_convs(CM_BF16);
    check_two_convs(CM_BF16);
    check_matmul(CM_BF16, 0); /* the sum has the type of its first operand */
}

/* ---- cotangent of a residual block: x -> norm(x) + x ---- */

static void test_norm_gradient(void)
{
    for (int d = 0; d < 2; d++)
        for (int silu = 0; silu < 2; silu++) {
            const cm_type t = CM_TYPE(CM_F32, 3, 5, 4, 12);
            pair p = {.g = cm_graph_new()};
            cm_node *x = input_as(&p, d ? CM_BF16 : CM_F32, t), *dx = NULL;
            cm_node *a = input(&p, CM_TYPE(CM_F32, 3, 12)), *b = input(&p, CM_TYPE(CM_F32, 1, 12));
            b = cm_broadcast_to(p.g, b, a->type);
            cm_node *y = cm_add(p.g, cm_group_norm(p.g, x, a, b, 4, 1e-5f, silu), x);
            cm_node *dy = input_as(&p, d ? CM_BF16 : CM_F32, t), *in[] = {x, a, b}, *grad[3];
            cm_graph_vjp(p.g, y, dy, 3, in, grad);
            dx = grad[0];
            p.sum = dx;
            p.part = dx->in[0]->op == CM_OP_GROUP_NORM_GRAD ? dx->in[0] : dx->in[1];
            p.other[0] = grad[1];
            p.other[1] = grad[2];
            CHECK(p.part->op == CM_OP_GROUP_NORM_GRAD, "not the graph meant");
            check(&p, "group_norm_grad + r", 1);
        }
}

/* ---- cotangents of what a concatenation joined: x = [x1, x2] -> norm(x) [+ x] ---- */

/* Both slices, or `lives`: the tensor that they are of as well, which keeps it whole. */
static cm_plan *run_halves(pair *p, cm_node *const half[2], int lives)
{
    cm_node *out[] = {half[0], half[1], p->part};
    return compile_and_run(p, lives ? 3 : 2, out);
}

static int same_values(cm_plan *a, cm_plan *b, const cm_node *n)
{
    return !memcmp(cm_plan_data(a, n), cm_plan_data(b, n), cm_type_bytes(&n->type));
}

static void check_halves(cm_dtype dtype, int64_t first, int residual, int saved)
{
    enum { CHANNELS = 24 };
    const cm_type t = CM_TYPE(CM_F32, 3, 9, 4, CHANNELS);
    pair p = {.g = cm_graph_new()};
    cm_node *x = input_as(&p, dtype, t), *dy = input_as(&p, dtype, t), *dx;
    cm_node *a = input(&p, CM_TYPE(CM_F32, 3, CHANNELS)), *b = input(&p, a->type);
    cm_node *y = cm_group_norm(p.g, x, a, b, 4, 1e-5f, 1);
    cm_graph_vjp(p.g, residual ? cm_add(p.g, y, x) : y, dy, 1, &x, &dx);
    p.part = dx;
    cm_node *const half[] = {cm_slice(p.g, dx, 0, first),
                             cm_slice(p.g, dx, first, CHANNELS - first)};
    cm_plan *split = run_halves(&p, half, 0), *whole = run_halves(&p, half, 1);
    CHECK(cm_plan_steps(whole) - cm_plan_steps(split) == saved, "%d steps saved, expected %d",
          cm_plan_steps(whole) - cm_plan_steps(split), saved);
    for (int k = 0; k < 2; k++)
        CHECK(same_values(split, whole, half[k]), "%s, %d channels%s: half %d differs",
              cm_dtype_name(dtype), (int)first, residual ? " + r" : "", k);
    cm_plan_free(split);
    cm_plan_free(whole);
    cm_graph_free(p.g);
}

static void test_slices(void)
{
    for (int residual = 0; residual < 2; residual++) {
        check_halves(CM_F32, 8, residual, 2);
        check_halves(CM_F32, 20, residual, 2);
        check_halves(CM_BF16, 8, residual, 2);
        check_halves(CM_BF16, 16, residual, 2);
        check_halves(CM_F32, 3, residual, 0); /* the second would not be aligned */
        check_halves(CM_BF16, 7, residual, 0);
    }
}

/* Slices that leave something out, or beside which something else is read. */
static void check_slices_stay(int64_t begin, int64_t n, int third)
{
    const cm_type t = CM_TYPE(CM_F32, 2, 8, 8, 24), ab = CM_TYPE(CM_F32, 1, 24);
    pair p = {.g = cm_graph_new()};
    cm_node *x = input(&p, t), *dy = input(&p, t), *dx;
    cm_node *y = cm_group_norm(p.g, x, input(&p, ab), input(&p, ab), 4, 1e-5f, 1);
    cm_graph_vjp(p.g, y, dy, 1, &x, &dx);
    cm_node *out[] = {cm_slice(p.g, dx, 0, 8), cm_slice(p.g, dx, begin, n),
                      third ? cm_sin(p.g, dx) : dy};
    cm_plan *plan = compile(p.g, 3, out);
    char *text = cm_plan_explain(plan, 0, NULL);
    CHECK(text && !strstr(text, ", split"), "split, slices [0,8) and [%d,%d)%s", (int)begin,
          (int)(begin + n), third ? " and a third reader" : "");
    cm_string_free(text);
    cm_plan_free(plan);
    cm_graph_free(p.g);
}

static void test_slices_stay(void)
{
    check_slices_stay(8, 8, 0);
    check_slices_stay(12, 12, 0);
    check_slices_stay(4, 20, 0);
    check_slices_stay(8, 16, 1);
}

/* ---- where it must not happen ---- */

static void not_fused(pair *p, cm_node *sum, cm_node *other, const char *what)
{
    cm_node *out[] = {sum, other ? other : sum};
    cm_plan *plan = compile(p->g, 2, out);
    char *text = cm_plan_explain(plan, 0, NULL);
    CHECK(text && !strstr(text, " + "), "%s: fused", what);
    CHECK(text && strstr(text, " add "), "%s: no addition left", what);
    cm_string_free(text);
    cm_plan_free(plan);
    cm_graph_free(p->g);
}

static pair one_conv(cm_node **r, cm_node **x)
{
    pair p = {.g = cm_graph_new()};
    *r = input(&p, CM_TYPE(CM_F32, 1, 4, 4, 32));
    *x = input(&p, CM_TYPE(CM_F32, 1, 4, 4, 32));
    p.part = conv(&p, *x, KERNEL, 0);
    return p;
}

static void test_not_fused(void)
{
    cm_node *r, *x;
    pair p = one_conv(&r, &x);
    not_fused(&p, cm_add(p.g, p.part, r), cm_affine(p.g, p.part, 2, 0), "read twice");
    p = one_conv(&r, &x);
    not_fused(&p, cm_add(p.g, p.part, p.part), NULL, "added to itself");
    p = one_conv(&r, &x);
    not_fused(&p, cm_add(p.g, p.part, cm_sin(p.g, p.part)), NULL, "depends on the convolution");
    p = one_conv(&r, &x);
    not_fused(&p, cm_add(p.g, p.part, cm_sin(p.g, r)), NULL, "younger");
    p = one_conv(&r, &x);
    not_fused(&p, cm_add(p.g, p.part, input(&p, CM_TYPE(CM_F32, 1, 1, 1, 32))), NULL, "broadcast");
    p = one_conv(&r, &x);
    cm_store(p.g, cm_affine(p.g, x, 3, 0), r);
    not_fused(&p, cm_add(p.g, p.part, r), NULL, "written between");
}

/* relu(conv2d(..)) is one step where nothing else reads the convolution; behind an addition it
 * stays two. */
static void check_relu(cm_dtype dtype, int residual)
{
    pair p = {.g = cm_graph_new()};
    cm_node *x = input_as(&p, dtype, CM_TYPE(CM_F32, 2, 9, 7, 8));
    cm_node *w = input(&p, CM_TYPE(CM_F32, 8, 8, 3, 3)), *bias = input(&p, CM_TYPE(CM_F32, 8));
    cm_node *r = residual ? cm_cast(p.g, input(&p, CM_TYPE(CM_F32, 2, 9, 7, 8)), dtype) : NULL;
    cm_node *conv = cm_conv2d(p.g, x, w, bias, 1, 1);
    p.part = residual ? cm_add(p.g, conv, r) : conv;
    p.sum = cm_relu(p.g, p.part);
    check(&p, residual ? "relu(conv + r)" : "relu(conv)", residual ? 0 : 1);
}

static void test_relu(void)
{
    check_relu(CM_F32, 0);
    check_relu(CM_F32, 1);
    if (cm_cpu_has_bf16())
        check_relu(CM_BF16, 0);
}

static const check_test tests[] = {
    {"conv2d + r, matmul + bias, f32", test_f32},
    {"conv2d + r, matmul + bias, bf16", test_bf16},
    {"group_norm_grad + r", test_norm_gradient},
    {"slices of group_norm_grad", test_slices},
    {"slices that stay", test_slices_stay},
    {"relu of conv2d", test_relu},
    {"not fused", test_not_fused},
};

CHECK_MAIN(tests)
