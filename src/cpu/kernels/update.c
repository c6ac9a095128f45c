/* update.c - parameter updates in place; nothing is written where the gate is
 * not finite (a gradient overflowed: skip the step).
 *
 * RAdam: Liu et al. 2019 (arXiv 1908.03265) with PyTorch's choices: weight decay
 * is added to the gradient, eps to the square root of the uncorrected second
 * moment.  AdamW: Loshchilov and Hutter 2017 (arXiv 1711.05101), decoupled decay
 * of lr * wd. */
#include "cpu/kernels/vec.h"

/* The leaves an op writes come as const inputs. */
static float *writable(const void *p)
{
    return (float *)(uintptr_t)p;
}

static int gated(const cm_call *c, int gate)
{
    return !isfinite(*(const float *)c->in[gate]);
}

/* Both optimizers are: g += l2 p;  p *= keep;  m, v := averages of g, g^2;
 * p -= a m / (b sqrt(v) + eps), or p -= a m where not adaptive. */
typedef struct step {
    float beta1, beta2, one_beta1, one_beta2; /* 1 - beta from the double */
    float l2, keep, a, b, eps;
    int adaptive;
} step;

static void update(const step *s, float *restrict p, float *restrict m, float *restrict v,
                   const float *restrict grad, int64_t n)
{
    CM_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float g = grad[i] + s->l2 * p[i];
        m[i] = s->beta1 * m[i] + s->one_beta1 * g;
        v[i] = s->beta2 * v[i] + s->one_beta2 * (g * g);
        const float scale = s->adaptive ? s->a / (s->b * sqrtf(v[i]) + s->eps) : s->a;
        p[i] = p[i] * s->keep - scale * m[i];
    }
}

static void update_all(const cm_call *c, const step *s)
{
    float *p = writable(c->in[0]), *m = writable(c->in[1]), *v = writable(c->in[2]);
    const float *grad = c->in[3];
    const int64_t n = cm_type_count(cm_in_type(c, 0));
    CM_EACH_SHARE (c, cm_team(c, n), i, n, CM_CHUNK)
        update(s, p + i, m + i, v + i, grad + i, cm_min(CM_CHUNK, n - i));
}

static step step_make(const cm_optimizer_attr *o)
{
    return (step){.beta1 = o->beta1,
                  .beta2 = o->beta2,
                  .one_beta1 = (float)(1.0 - (double)o->beta1),
                  .one_beta2 = (float)(1.0 - (double)o->beta2),
                  .keep = 1.0f,
                  .eps = o->eps};
}

void CM_K(radam)(const cm_call *c)
{
    const cm_optimizer_attr *o = &c->node->attr.optimizer;
    const float *hyper = c->in[4];
    if (gated(c, 5))
        return;
    const double lr = (double)hyper[0], k = (double)hyper[1], beta2 = (double)o->beta2;
    const double bias1 = 1.0 - pow((double)o->beta1, k), bias2 = 1.0 - pow(beta2, k);
    const double rho_inf = 2.0 / (1.0 - beta2) - 1.0;
    const double rho = rho_inf - 2.0 * k * (1.0 - bias2) / bias2;
    step s = step_make(o);
    s.l2 = o->weight_decay;
    s.b = 1.0f;
    s.adaptive = rho > 5.0;
    const double r = s.adaptive ? sqrt((rho - 4.0) * (rho - 2.0) * rho_inf /
                                       ((rho_inf - 4.0) * (rho_inf - 2.0) * rho) * bias2)
                                : 1.0;
    s.a = (float)(lr / bias1 * r);
    update_all(c, &s);
}

void CM_K(adamw)(const cm_call *c)
{
    const cm_optimizer_attr *o = &c->node->attr.optimizer;
    const float *hyper = c->in[4];
    if (gated(c, 5))
        return;
    const double lr = (double)hyper[0], k = (double)hyper[1];
    step s = step_make(o);
    s.keep = (float)(1.0 - lr * (double)o->weight_decay);
    s.a = (float)(lr / (1.0 - pow((double)o->beta1, k)));
    s.b = (float)(1.0 / sqrt(1.0 - pow((double)o->beta2, k)));
    s.adaptive = 1;
    update_all(c, &s);
}

/* From the nearer end, so that weight 0 keeps the average and weight 1 gives p, exactly. */
static void blend(float *restrict average, const float *restrict p, int64_t n, float weight)
{
    if (weight < 0.5f) {
        CM_SIMD
        for (int64_t i = 0; i < n; i++)
            average[i] = cm_fma(weight, p[i] - average[i], average[i]);
    } else {
        const float rate = 1.0f - weight; /* exact */
        CM_SIMD
        for (int64_t i = 0; i < n; i++)
            average[i] = cm_fma(rate, average[i] - p[i], p[i]);
    }
}

void CM_K(ema)(const cm_call *c)
{
    float *average = writable(c->in[0]);
    const float *p = c->in[1], weight = *(const float *)c->in[2];
    const int64_t n = cm_type_count(cm_in_type(c, 0));
    if (gated(c, 3))
        return;
    CM_EACH_SHARE (c, cm_team(c, n), i, n, CM_CHUNK)
        blend(average + i, p + i, cm_min(CM_CHUNK, n - i), weight);
}
