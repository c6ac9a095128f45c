/* test_continuous_limit.c - the losses in continuous time against what they are the limits of.
 *
 * With t2 = t - h and the same weights on both sides, a discrete loss over h^p, p the power of the
 * distance, tends to the continuous one as h falls, and its gradient with it: without
 * stop-gradient that through both sides over h^p, with it that through the student over h^(p-1)
 * (Consistency Models, appendix B, theorems 3 to 6).  The error is of order h: halving h halves
 * it.  Shown for a U-Net with dropout and attention, and of distances that look through a network
 * for a small classifier and for VGG16. */
#include "continuous_loss.h"
#include "nn/features/vgg.h"

enum checked { BOTH, LOSS, GRADIENT };

/* The power of a distance; pseudo-huber's c is scaled with h. */
static int power(const char *norm)
{
    return !strcmp(norm, "l1") || !strcmp(norm, "pseudo-huber") ? 1 : 2;
}

typedef struct error {
    double loss, grad; /* relative, of what is at h */
} error;

static error error_at(loss_case k, double h, const result *want)
{
    const int p = power(k.norm);
    const size_t n = cm_params_floats(params);
    k.h = h;
    result r = evaluate(k);
    const error e = {distance(r.loss, pow(h, -p), want->loss, (size_t)images),
                     distance(r.grad, pow(h, k.stop ? 1 - p : -p), want->grad, n)};
    cm_free(r.grad);
    return e;
}

/* finer: times that the steps are halved before the first; checked: what has the limit.
 *
 * Errors at t/512, t/1024 and t/2048, where the angle of the time embedding, 250 ln t, moves by
 * less than one: each half of the one before.  Of l1 the slope and the gradient jump where a
 * sign does, so that its error, of as many elements as have a small tangent, is less even. */
static void check_limit(loss_case k, int finer, enum checked checked)
{
    const result want = evaluate(k);
    const int jumps = !strcmp(k.norm, "l1");
    error last = {0};
    for (int i = 9; i <= 11; i++) {
        const error e = error_at(k, ldexp(k.t, -i - finer), &want);
        const double loss = last.loss / e.loss, grad = last.grad / e.grad;
        if (i > 9) {
            CHECK(checked == GRADIENT || (loss > (jumps ? 1.3 : 1.7) && loss < (jumps ? 3.0 : 2.4)),
                  "%s, %s, stop %d, t %g: the loss errs by %g, then %g", k.method, k.norm, k.stop,
                  k.t, last.loss, e.loss);
            CHECK(checked == LOSS || (grad > (jumps ? 1.1 : 1.7) && grad < (jumps ? 4.0 : 2.4)),
                  "%s, %s, stop %d, t %g: the gradient errs by %g, then %g", k.method, k.norm,
                  k.stop, k.t, last.grad, e.grad);
        }
        last = e;
    }
    CHECK((checked == GRADIENT || last.loss < 0.1) &&
              (checked == LOSS || last.grad < (jumps ? 0.3 : 0.1)),
          "errors of %g and %g", last.loss, last.grad);
    printf("    %s, %s, stop-gradient %d, t %g: errors at t/%d: %.2g, of the gradient %.2g\n",
           k.method, k.norm, k.stop, k.t, 1 << (11 + finer), last.loss, last.grad);
    cm_free(want.grad);
}

static void check_limits(const char *method, int stop)
{
    static const char *const norms[] = {"l1", "l2", "l2-32", "pseudo-huber"};
    static const double levels[] = {0.1, 1.0, 20.0};
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < 3; l++)
            check_limit((loss_case){method, norms[i], stop, levels[l], 0.0, CM_F32}, 0, BOTH);
}

static void test_distillation(void)
{
    check_limits("cd-continuous", 0);
}

static void test_distillation_stopped(void)
{
    check_limits("cd-continuous", 1);
}

static void test_training(void)
{
    check_limits("ct-continuous", 1);
}

/* ---- distances that look through a network ---- */

static void look_through(cm_status (*make)(cm_params **, cm_error *))
{
    cm_error err = {0};
    cm_free(judge);
    cm_params_free(judge_params);
    judge = NULL;
    judge_params = NULL;
    if (make && CHECK_OK(make(&judge_params, &err), err))
        judge = feature_weights(judge_params);
}

static cm_status classifier_params(cm_params **out, cm_error *err)
{
    return cm_net_params_new(&convnet, out, err);
}

/* Its activations are SiLU: nothing jumps.  At t = 20 the second power of h still shows at
 * t/512, so that steps begin one finer. */
static void test_features(void)
{
    static const double levels[] = {0.1, 1.0, 20.0};
    look_through(classifier_params);
    for (int l = 0; l < 3; l++) {
        loss_case k = {"cd-continuous", "features", 0, levels[l], 0.0, CM_F32};
        check_limit(k, l == 2, BOTH);
        k.stop = 1;
        check_limit(k, l == 2, BOTH);
        k.method = "ct-continuous";
        check_limit(k, l == 2, BOTH);
    }
    look_through(NULL);
}

static void change_network(int n, int channels)
{
    images = n;
    unet.in_channels = unet.out_channels = channels;
    cm_free(weights);
    cm_free(teacher);
    cm_params_free(params);
    weights = teacher = NULL;
    params = NULL;
}

/* Kernels of positive numbers whose sums are about 1, and a first layer lifted above 0: then no
 * relu is ever at its corner. */
static void lift_above_relu(void)
{
    for (int k = 0; k < cm_params_size(judge_params); k++) {
        const cm_param *p = cm_params_at(judge_params, k);
        const size_t n = (size_t)cm_type_count(&p->type), row = n / (size_t)p->type.dim[0];
        const int kernel = p->type.rank > 1;
        const float lift = strcmp(p->name, "features.0.bias") ? 0.0f : 6.0f;
        for (size_t i = p->offset; !is_linear(p) && i < p->offset + n; i++) {
            const float w = fabsf(judge[i]), u = w * sqrtf((float)row / 6.0f);
            judge[i] = kernel ? 5.0f * u * u * u * u / (float)row : w + lift;
        }
    }
}

/* At 224 x 224 a case costs seconds, so one gray image at one level.
 *
 * Without stop-gradient only the loss has the continuous one as its limit.  Where a relu is within
 * h of its corner its slope differs between the two sides by 1 and not by order h: such a value
 * counts 1/h in the gradient, and a share h of all is so.  What these add up to is no part of the
 * gradient as rules of derivatives have it, here and in the authors' code; as few values are hit,
 * it even grows as h falls (0.46, 0.45 and 0.67 of the gradient).
 *
 * Away from corners the gradient has its limit.  There the loss is not looked at: the deep layers
 * of such kernels see nearly the same in all images, and their rounding, over h^2, is 4 times as
 * large at each halving. */
static void test_lpips(void)
{
    loss_case k = {"cd-continuous", "lpips", 1, 1.0, 0.0, CM_F32};
    look_through(cm_lpips_params);
    change_network(1, 1);
    check_limit(k, 0, BOTH);
    k.stop = 0;
    check_limit(k, 0, LOSS);
    lift_above_relu();
    check_limit(k, 0, GRADIENT);
    change_network(N, CHANNELS);
    look_through(NULL);
}

static const check_test tests[] = {
    {"distillation: the limit of the discrete loss and gradient", test_distillation},
    {"distillation with stop-gradient: the limit likewise", test_distillation_stopped},
    {"training: the limit likewise", test_training},
    {"in a classifier's features: the limit likewise", test_features},
    {"in LPIPS: the limit likewise", test_lpips},
};

CHECK_MAIN(tests)
