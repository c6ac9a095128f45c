/* test_adm_bf16.c - the ADM network in bf16 against the reference in f32: output and
 * gradients.
 *
 * What to expect.  A number of 8 bits is off by its last half bit at most, 2^-8 of
 * itself, and by E = 1.6e-3 of itself in the root mean square (a unit of the last
 * place is 2^-7 at 1, over sqrt(12), numbers being 1.4 in the mean).  A convolution
 * rounds thrice: its input, its weights, its output.  Rounding errors are
 * independent, so k of them one after another give E sqrt(k): 1.5e-2 for the 30
 * convolutions in a row of the largest network here, 1.2e-2 for the 20 of the others.
 * So an output within 2e-2, in the Euclidean norm, has the roundings that bf16 must
 * have and no others: with one bit less it would be 2.4e-2 or more.  (PyTorch 2.15's
 * bf16 autocast is 1.7e-2, 1.3e-2 and 1.5e-2 off on these three, ours a tenth less.)
 *
 * A gradient goes through the network twice, and its second way multiplies it by
 * derivatives of the rounded first one: 4e-2 for that of the image and that of the
 * weights as one vector, and twice this for a single tensor, many of which are sums
 * of terms that cancel. */
#include "adm_case.h"

static const double OUT = 2e-2, GRAD = 4e-2, TENSOR = 8e-2;

/* |got - want|^2 and |want|^2 */
struct squares {
    double error, size;
};

static struct squares squares(const float *got, const float *want, int64_t n)
{
    struct squares s = {0.0, 0.0};
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)got[i] - (double)want[i];
        s.error += d * d;
        s.size += (double)want[i] * (double)want[i];
    }
    return s;
}

/* The relative error of an image. */
static double image_error(struct case_ *c, cm_node *node, const char *name)
{
    float *want = network_images(c->io, name);
    const struct squares s =
        squares(cm_plan_data(c->plan, node), want, cm_type_count(cm_node_type(node)));
    cm_free(want);
    return sqrt(s.error / s.size);
}

static double golden_norm(const struct case_ *c, const char *parameter)
{
    char key[300];
    snprintf(key, sizeof key, "gradnorm.%s", parameter);
    float *norm = network_read(c->io, key, NULL);
    const double value = (double)*norm;
    cm_free(norm);
    return value;
}

static double largest_norm(const struct case_ *c)
{
    double largest = 0.0;
    for (int i = 0; i < cm_params_size(c->net.params); i++)
        largest = fmax(largest, golden_norm(c, cm_params_at(c->net.params, i)->name));
    return largest;
}

/* One gradient, its share added to *total.  One that is truly zero (a constant added
 * to a channel before a group norm with one channel a group) is a sum of rounded
 * terms that cancel: small beside the largest gradient is all that it can be. */
static double check_gradient(struct case_ *c, const char *name, const float *got, int64_t n,
                             double largest, struct squares *total)
{
    char key[300];
    const double norm = golden_norm(c, name);
    double size = 0.0;
    for (int64_t i = 0; i < n; i++)
        size += (double)got[i] * (double)got[i];
    size = sqrt(size);
    if (norm < 1e-5 * largest) {
        CHECK(size <= 2e-3 * largest, "|grad %s| = %.2g, want 0, largest %.2g", name, size,
              largest);
        return 0.0;
    }
    CHECK(fabs(size - norm) <= GRAD * norm, "|grad %s| = %g, want %g", name, size, norm);
    snprintf(key, sizeof key, "grad.%s", name);
    if (!cm_st_find(c->io, key))
        return 0.0;
    float *want = network_read(c->io, key, NULL);
    const struct squares s = squares(got, want, n);
    CHECK(sqrt(s.error) <= TENSOR * norm, "%s: relative error %.3f", key, sqrt(s.error) / norm);
    total->error += s.error;
    total->size += s.size;
    cm_free(want);
    return sqrt(s.error) / norm;
}

static void golden(const char *name)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    struct case_ c = open_case(name, CM_BF16);
    cm_graph_vjp(c.g, c.out, c.dy, c.n_wrt, c.wrt, c.dx);
    cm_node *outputs[2 + MAX_PARAMS] = {c.out};
    memcpy(outputs + 1, c.dx, (size_t)c.n_wrt * sizeof *outputs);
    compile(&c, 1 + c.n_wrt, outputs);
    feed(&c);
    cm_plan_run(c.plan);
    const double out = image_error(&c, c.out, "out"), x = image_error(&c, c.dx[0], "grad.x");
    CHECK(out <= OUT && out > 1e-4, "out: relative error %.4f", out);
    CHECK(x <= GRAD, "grad.x: relative error %.4f", x);
    const double largest = largest_norm(&c);
    struct squares total = {0.0, 0.0};
    double worst = 0.0;
    for (int i = 1; i < c.n_wrt; i++) {
        const cm_param *p = cm_params_at(c.net.params, i - 1);
        worst = fmax(worst, check_gradient(&c, p->name, cm_plan_data(c.plan, c.dx[i]),
                                           cm_type_count(&p->type), largest, &total));
    }
    const double all = sqrt(total.error / total.size);
    CHECK(all <= GRAD, "gradients of the weights: relative error %.4f", all);
    printf("    %s: out %.4f, grad.x %.4f, weights %.4f, worst tensor %.4f\n", name, out, x, all,
           worst);
    close_case(&c);
}

static void test_imagenet64(void)
{
    golden("adm_imagenet64_like");
}
static void test_lsun(void)
{
    golden("adm_lsun_like");
}
static void test_conv_resample(void)
{
    golden("adm_conv_resample");
}

static const check_test tests[] = {
    {"adm in bf16: class-conditional, scale-shift, residual resampling", test_imagenet64},
    {"adm in bf16: unconditional, additive embedding", test_lsun},
    {"adm in bf16: convolutional resampling, given heads, one channel", test_conv_resample},
};

CHECK_MAIN(tests)
