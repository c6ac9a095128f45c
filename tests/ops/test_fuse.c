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

/* The sum with and without `part` as an output: equal but for the rounding of part and
 * of both sums, half a unit each; and `steps` fewer. */
static void check(pair *p, const char *what, int steps)
{
    cm_node *out[4] = {p->sum, p->part};
    int n = 1;
    for (int i = 0; i < 2; i++)
        if (p->other[i])
            out[n++] = p->other[i];
    cm_plan *fused = compile(p->g, n, out);
    out[n] = p->part;
    cm_plan *plain = compile(p->g, n + 1, out);
    fill_and_run(p, fused);
    fill_and_run(p, plain);
    CHECK(cm_plan_steps(plain) - cm_plan_steps(fused) == steps, "%s: %d steps saved, expected %d",
          what, cm_plan_steps(plain) - cm_plan_steps(fused), steps);
    const double unit =
        p->sum->type.dtype == CM_BF16 ? 0x1p-8 : 0x1p-22; /* f32: the sum inside the product too */
    double worst = 0.0;
    for (int64_t i = 0; i < cm_type_count(&p->sum->type); i++) {
        const double a = value(fused, p->sum, i), b = value(plain, p->sum, i);
        const double allow = unit * (fabs(value(plain, p->part, i)) + 2.0 * fabs(b)) + 1e-6;
        worst = fmax(worst, fabs(a - b) / allow);
    }
    CHECK(worst <= 1.0, "%s: %g roundings apart", what, worst);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; p->other[k] && i < cm_type_count(&p->other[k]->type); i++)
            if (!CHECK(value(fused, p->other[k], i) == value(plain, p->other[k], i),
                       "%s: another result changed", what))
                break;
    cm_plan_free(fused);
    cm_plan_free(plain);
    cm_graph_free(p->g);
}

static const cm_dtype dtypes[] = {CM_F32, CM_BF16};

static int dtype_count(void)
{
    if (!cm_cpu_has_bf16())
        printf("    skipped: bf16, this CPU has no bf16 matrix products\n");
    return cm_cpu_has_bf16() ? 2 : 1;
}

/* ---- convolution ---- */

enum { KERNEL, POINT }; /* 3x3, 1x1 */

static cm_node *conv(pair *p, cm_node *x, int kind, int bias)
{
    const int k = kind == KERNEL ? 3 : 1;
    cm_node *w = input(p, CM_TYPE(CM_F32, 32, 32, k, k));
    return cm_conv2d(p->g, x, w, bias ? input(p, CM_TYPE(CM_F32, 32)) : NULL, 1, k / 2);
}

static void check_conv(cm_dtype dtype, int kind, int bias, int lives, int swapped)
{
    const cm_type t = CM_TYPE(CM_F32, 2, 9, 7, 32);
    pair p = {.g = cm_graph_new()};
    cm_node *r = cm_affine(p.g, input_as(&p, dtype, t), 0.5f, 0.25f);
    p.part = conv(&p, input_as(&p, dtype, t), kind, bias);
    p.sum = swapped ? cm_add(p.g, r, p.part) : cm_add(p.g, p.part, r);
    if (lives)
        p.other[0] = r;
    check(&p, "conv2d + r", 1);
}

static void test_conv(void)
{
    for (int d = 0; d < dtype_count(); d++)
        for (int v = 0; v < 16; v++)
            check_conv(dtypes[d], v & 1, v >> 1 & 1, v >> 2 & 1, v >> 3);
}

/* The end of a residual block that changes the width: both operands are convolutions,
 * the younger takes the older one. */
static void test_two_convs(void)
{
    for (int d = 0; d < dtype_count(); d++) {
        const cm_type t = CM_TYPE(CM_F32, 3, 8, 8, 32);
        pair p = {.g = cm_graph_new()};
        cm_node *x = input_as(&p, dtypes[d], t), *h = conv(&p, x, KERNEL, 1);
        p.part = conv(&p, x, POINT, 1);
        p.sum = cm_add(p.g, h, p.part);
        check(&p, "conv2d + conv2d", 1);
    }
}

/* ---- linear layer ---- */

static void test_matmul(void)
{
    for (int d = 0; d < dtype_count(); d++)
        for (int swapped = 0; swapped < 2; swapped++) {
            pair p = {.g = cm_graph_new()};
            cm_node *bias = input(&p, CM_TYPE(CM_F32, 24));
            cm_node *a = input_as(&p, dtypes[d], CM_TYPE(CM_F32, 5, 16));
            cm_node *b = input_as(&p, dtypes[d], CM_TYPE(CM_F32, 24, 16));
            p.part = cm_matmul(p.g, a, b, 0, 1);
            cm_node *row = CM_RESHAPE(p.g, bias, 1, 24);
            p.sum = swapped && dtypes[d] == CM_F32 ? cm_add(p.g, row, p.part)
                                                   : cm_add(p.g, p.part, row);
            check(&p, "matmul + bias", 1);
        }
}

/* ---- cotangent of a residual block: x -> norm(x) + x ---- */

static void test_norm_gradient(void)
{
    for (int d = 0; d < 2; d++)
        for (int silu = 0; silu < 2; silu++) {
            const cm_type t = CM_TYPE(CM_F32, 3, 5, 4, 12);
            pair p = {.g = cm_graph_new()};
            cm_node *x = input_as(&p, dtypes[d], t), *dx = NULL;
            cm_node *a = input(&p, CM_TYPE(CM_F32, 3, 12)), *b = input(&p, CM_TYPE(CM_F32, 1, 12));
            b = cm_broadcast_to(p.g, b, a->type);
            cm_node *y = cm_add(p.g, cm_group_norm(p.g, x, a, b, 4, 1e-5f, silu), x);
            cm_node *dy = input_as(&p, dtypes[d], t), *in[] = {x, a, b}, *grad[3];
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

/* ---- where it must not happen ---- */

static void not_fused(pair *p, cm_node *sum, cm_node *other, const char *what)
{
    cm_node *out[] = {sum, other ? other : sum};
    cm_plan *plan = compile(p->g, 2, out);
    char *text = cm_plan_explain(plan, 0);
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

static const check_test tests[] = {
    {"conv2d + r", test_conv},      {"conv2d + conv2d", test_two_convs},
    {"matmul + bias", test_matmul}, {"group_norm_grad + r", test_norm_gradient},
    {"not fused", test_not_fused},
};

CHECK_MAIN(tests)
