/* test_step.c - two ways to a training step in less memory, for every method and with
 * dropout.  In parts: loss, gradient and updated weights are those of the whole batch,
 * up to the order of sums; masks belong to samples of the batch.  With recomputation:
 * they are the same bits.  And a step computed again is the same bits too, and takes little
 * more memory than it must. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cm.h"
#include "cpu/cpu.h"
#include "model/model.h"
#include "step_settings.h"

enum { BATCH = 12 };

static const cm_net_config net = {.arch = &cm_arch_adm,
                                  .height = 8,
                                  .width = 8,
                                  .in_channels = 2,
                                  .out_channels = 2,
                                  .num_classes = 3,
                                  .time_input = &cm_time_log250,
                                  .dropout = 0.2,
                                  .of.adm = {.model_channels = 32,
                                             .num_res_blocks = 1,
                                             .n_levels = 2,
                                             .channel_mult = {1, 1},
                                             .n_attention = 1,
                                             .attention_resolutions = {2},
                                             .num_heads = 2,
                                             .use_scale_shift_norm = 1}};

static const char *const all_methods[] = {"edm", "cd", "ct", "ct-continuous", "cd-continuous"};
enum { METHODS = sizeof all_methods / sizeof *all_methods };

/* How a step is made. */
typedef struct variant {
    const char *method;
    int parts, recompute;
    cm_dtype dtype;
    int threads; /* 0: two */
} variant;

/* f: what its distance looks through; NULL: it is l2. */
static cm_train_step *step_through(const cm_net_config *n, cm_params *params, variant v, int batch,
                                   const cm_frozen_weights *f)
{
    step_settings o;
    step_settings_make(&o, v.method, batch);
    snprintf(o.options.loss_norm, sizeof o.options.loss_norm, f ? "features" : "l2");
    snprintf(o.options.weighting, sizeof o.options.weighting, "uniform");
    o.options.accumulate = v.parts;
    o.options.recompute = v.recompute;
    step_settings_resolve(&o);
    cm_step_config c = step_settings_config(&o, n, params, 0.9, v.dtype, v.threads ? v.threads : 2);
    c.frozen = f;
    cm_error err = {0};
    cm_train_step *s = NULL;
    if (!CHECK_OK(cm_train_step_new(&c, &s, &err), err))
        return NULL;
    const size_t bytes = s->floats * sizeof(float);
    cm_params_init(params, 5, s->params);
    /* The reference zeroes some layers at first; then little would be compared. */
    for (size_t i = 0; i < s->floats; i++)
        s->params[i] += 0.02f * (cm_uniform(cm_philox(6, (uint32_t)i, 0, 0, 0).v[0]) - 0.5f);
    float *const copies[] = {s->target, s->teacher, s->ema[0]};
    for (int i = 0; i < 3; i++)
        if (copies[i])
            memcpy(copies[i], s->params, bytes);
    for (size_t i = 0; i < (size_t)batch * s->image; i++)
        s->x[i] = 2.0f * cm_uniform(cm_philox(7, (uint32_t)i, 0, 0, 0).v[0]) - 1.0f;
    for (int i = 0; i < batch && s->y; i++)
        s->y[i] = i % 3;
    s->rng[0] = 11;
    s->hyper[0] = 1e-3f;
    s->hyper[1] = 1.0f;
    s->scalars = (cm_step_scalars){.value = {18.0}, .mu = 0.9};
    return s;
}

static cm_train_step *step_of(const cm_net_config *n, cm_params *params, variant v, int batch)
{
    return step_through(n, params, v, batch, NULL);
}

static cm_train_step *step_new(const cm_net_config *n, cm_params *params, variant v)
{
    return step_of(n, params, v, BATCH);
}

/* The largest difference, relative to the largest number. */
static double distance(const float *a, const float *b, size_t n)
{
    double most = 0, size = 1e-30;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)a[i]));
    }
    return most / size;
}

/* In the Euclidean norm, which the rounding of one element does not decide. */
static double norm_distance(const float *a, const float *b, size_t n)
{
    double error = 0, size = 1e-30;
    for (size_t i = 0; i < n; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)a[i] * (double)a[i];
    }
    return sqrt(error / size);
}

static void check_parts(const char *method, int parts)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    cm_train_step *whole = step_new(&net, params, (variant){method, 1, 0, CM_F32, 0}),
                  *split = step_new(&net, params, (variant){method, parts, 0, CM_F32, 0});
    for (int k = 0; k < 2 && whole && split; k++) { /* the second with moved weights */
        whole->rng[2] = split->rng[2] = k;
        cm_train_step_run(whole);
        cm_train_step_run(split);
        const double loss = fabs((double)*whole->loss - (double)*split->loss);
        CHECK(*whole->loss > 0 && loss <= 1e-5 * (double)*whole->loss,
              "%d parts, step %d: loss %g, whole %g", parts, k, (double)*split->loss,
              (double)*whole->loss);
        /* Later gradients are of weights that already differ in their last bits. */
        const double tol = k ? 1e-3 : 2e-5, d = distance(whole->grad, split->grad, whole->floats);
        CHECK(d <= tol, "%d parts, step %d: gradients differ by %g", parts, k, d);
    }
    cm_train_step_free(whole);
    cm_train_step_free(split);
    cm_params_free(params);
}

static void test_edm(void)
{
    check_parts("edm", 3);
}

static void test_cd(void)
{
    check_parts("cd", 2);
}

static void test_ct(void)
{
    check_parts("ct", 12);
}

static void test_continuous(void)
{
    check_parts("cd-continuous", 3);
    check_parts("ct-continuous", 2);
}

/* ---- recomputation ---- */

static int same(const float *a, const float *b, size_t n)
{
    return !a || !memcmp(a, b, n * sizeof *a);
}

/* Several steps, so that a wrong gradient moves weights that are compared later. */
static void check_recompute(const cm_net_config *n, variant v)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_net_params_new(n, &params, &err), err);
    cm_train_step *a = step_new(n, params, v);
    v.recompute = 1;
    cm_train_step *b = step_new(n, params, v);
    const size_t size = cm_params_floats(params);
    for (int k = 0; k < 3 && a && b; k++) {
        a->rng[2] = b->rng[2] = k;
        cm_train_step_run(a);
        cm_train_step_run(b);
        CHECK(*a->loss > 0 && *a->loss == *b->loss, "step %d: loss %.9g, again %.9g", k,
              (double)*a->loss, (double)*b->loss);
        CHECK(same(a->grad, b->grad, size), "step %d: gradients differ by %g", k,
              distance(a->grad, b->grad, size));
        CHECK(same(a->params, b->params, size), "step %d: weights differ", k);
        CHECK(same(a->ema[0], b->ema[0], size), "step %d: averages differ", k);
        CHECK(same(a->target, b->target, size), "step %d: targets differ", k);
    }
    if (a && b)
        CHECK(cm_plan_steps(b->part) > cm_plan_steps(a->part), "nothing is computed again");
    cm_train_step_free(a);
    cm_train_step_free(b);
    cm_params_free(params);
}

static void recompute_all_methods(cm_dtype dtype)
{
    for (int i = 0; i < METHODS; i++)
        for (int parts = 1; parts <= 3; parts += 2)
            check_recompute(&net, (variant){all_methods[i], parts, 0, dtype, 0});
}

static void test_recompute_f32(void)
{
    recompute_all_methods(CM_F32);
}

static void test_recompute_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    recompute_all_methods(CM_BF16);
}

/* The other shapes of a block: plain resampling, and points instead of images. */
static void test_recompute_other_networks(void)
{
    cm_net_config plain = net, updown = net, mlp = net;
    plain.of.adm.use_scale_shift_norm = 0;
    updown.of.adm.resblock_updown = 1;
    mlp.arch = &cm_arch_mlp;
    mlp.height = mlp.width = 1;
    mlp.num_classes = 0;
    mlp.of.mlp = (cm_mlp_config){.model_channels = 32, .num_res_blocks = 4};
    check_recompute(&plain, (variant){"ct", 1, 0, CM_F32, 0});
    check_recompute(&updown, (variant){"ct", 1, 0, CM_F32, 0});
    check_recompute(&mlp, (variant){"cd", 1, 0, CM_F32, 0});
}

static cm_plan_memory memory_of(const cm_net_config *n, cm_params *params, variant v)
{
    cm_train_step *s = step_new(n, params, v);
    const cm_plan_memory m = s ? cm_plan_get_memory(s->part) : (cm_plan_memory){0};
    cm_train_step_free(s);
    return m;
}

/* Of a deep network most activations are inside of blocks.  Weights are packed no more
 * often than by a step that keeps them because it has two parts. */
static void test_recompute_memory(void)
{
    cm_net_config deep = net;
    cm_error err = {0};
    cm_params *params = NULL;
    deep.of.adm.num_res_blocks = 8;
    CHECK_OK(cm_net_params_new(&deep, &params, &err), err);
    const cm_plan_memory a = memory_of(&deep, params, (variant){"cd", 1, 0, CM_F32, 0}),
                         b = memory_of(&deep, params, (variant){"cd", 1, 1, CM_F32, 0}),
                         c = memory_of(&deep, params, (variant){"cd", 2, 0, CM_F32, 0});
    CHECK((double)b.activations < 0.4 * (double)a.activations, "%zu bytes of activations, kept %zu",
          b.activations, a.activations);
    CHECK(b.constants == c.constants, "%zu bytes of packed weights, in two parts %zu", b.constants,
          c.constants);
    cm_params_free(params);
}

/* Where weights change, all steps share the room of the largest, forward or turned: 36 values
 * for 9 taps, outputs in panels of two vectors. */
static void test_packed_bytes(void)
{
    const cm_isa isa = cm_cpu_isa();
    const int64_t panel = isa == CM_ISA_PLAIN ? 8 : isa == CM_ISA_AVX2 ? 16 : 32;
    cm_error err = {0};
    cm_model *m = NULL;
    if (cm_cpu_direct_only())
        CHECK_SKIP("without Winograd's convolutions");
    CHECK_OK(cm_model_open("models/fashion-mnist-edm.safetensors", &m, &err), err);
    const cm_plan_memory memory = memory_of(&m->net, m->params, (variant){"edm", 1, 0, CM_F32, 0});
    int64_t want = 0;
    for (int i = 0; i < cm_params_size(m->params); i++) {
        const cm_type *t = &cm_params_at(m->params, i)->type;
        for (int turned = 0; turned < 2 && t->rank == 4 && t->dim[2] == 3; turned++) {
            const int64_t from = t->dim[!turned], to = (t->dim[turned] + panel - 1) / panel * panel;
            if (from % 16 == 0 && t->dim[turned] % 16 == 0 && 4 * 36 * from * to > want)
                want = 4 * 36 * from * to;
        }
    }
    CHECK(memory.packed == (size_t)want, "%zu bytes, expected %lld", memory.packed,
          (long long)want);
    cm_model_free(m);
}

/* What a step takes in all is at most 1.2 times the weights, moments, averages and the
 * activations that the gradient reads; batch 64 of the shipped network and of one four
 * times as wide.  Compiled, not run.  A tangent that no gradient passes adds what of it is alive
 * at once, skips of the U-Net most of all: 1.35. */
static void check_memory(const cm_model *m, const char *method, cm_dtype dtype)
{
    cm_train_step *s = step_of(&m->net, m->params, (variant){method, 1, 0, dtype, 0}, 64);
    if (!s)
        return;
    const double needed = (double)cm_train_step_needed_bytes(s),
                 all = (double)cm_train_step_bytes(s);
    const size_t kept = cm_train_step_kept_bytes(s),
                 activations = cm_plan_get_memory(s->part).activations;
    const double most = strcmp(method, "ct-continuous") ? 1.2 : 1.35;
    CHECK(all <= most * needed, "%d channels, method %s, %s: %.0f bytes, %.2f of the needed",
          m->net.of.adm.model_channels, method, cm_dtype_name(dtype), all, all / needed);
    CHECK(kept <= activations && kept > activations / 2, "%zu of %zu bytes of activations kept",
          kept, activations);
    cm_train_step_free(s);
}

static void check_memory_of_all(cm_dtype dtype)
{
    cm_error err = {0};
    cm_model *shipped = NULL, *wide = NULL;
    CHECK_OK(cm_model_open("models/fashion-mnist-edm.safetensors", &shipped, &err), err);
    CHECK_OK(cm_model_random("bench/networks/wide.json", 1, &wide, &err), err);
    for (int i = 0; i < METHODS && wide && shipped; i++) {
        check_memory(shipped, all_methods[i], dtype);
        check_memory(wide, all_methods[i], dtype);
    }
    cm_model_free(shipped);
    cm_model_free(wide);
}

static void test_memory(void)
{
    check_memory_of_all(CM_F32);
}

static void test_memory_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    check_memory_of_all(CM_BF16);
}

/* ---- the same step again ---- */

/* Three steps each of two equal beginnings: the same bits throughout. */
static void check_repeats(variant v)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    cm_train_step *one = step_new(&net, params, v), *two = step_new(&net, params, v);
    for (int k = 0; k < 3 && one && two; k++) {
        const size_t bytes = one->floats * sizeof(float);
        one->rng[2] = two->rng[2] = k;
        cm_train_step_run(one);
        cm_train_step_run(two);
        CHECK(*one->loss > 0 && *one->loss == *two->loss && !memcmp(one->grad, two->grad, bytes) &&
                  !memcmp(one->params, two->params, bytes) &&
                  !memcmp(one->ema[0], two->ema[0], bytes),
              "method %s, %s, %d threads, step %d: gradients differ by %g", v.method,
              cm_dtype_name(v.dtype), v.threads, k, distance(one->grad, two->grad, one->floats));
    }
    cm_train_step_free(one);
    cm_train_step_free(two);
    cm_params_free(params);
}

/* With another number of threads loss and gradients have the same bits. */
static void check_threads(const char *method, cm_dtype dtype)
{
    cm_error err = {0};
    cm_params *params = NULL;
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    cm_train_step *one = step_new(&net, params, (variant){method, 1, 0, dtype, 1}),
                  *two = step_new(&net, params, (variant){method, 1, 0, dtype, 2});
    if (one && two) {
        cm_train_step_run(one);
        cm_train_step_run(two);
        CHECK(*one->loss > 0 && *one->loss == *two->loss,
              "method %s, %s: loss %.9g with 1 thread, %.9g with 2", method, cm_dtype_name(dtype),
              (double)*one->loss, (double)*two->loss);
        CHECK(!memcmp(one->grad, two->grad, one->floats * sizeof(float)),
              "method %s, %s: gradients of 1 and 2 threads differ by %g", method,
              cm_dtype_name(dtype), norm_distance(one->grad, two->grad, one->floats));
    }
    cm_train_step_free(one);
    cm_train_step_free(two);
    cm_params_free(params);
}

static void check_again(cm_dtype dtype)
{
    for (int i = 0; i < METHODS; i++) {
        check_repeats((variant){all_methods[i], 1, 0, dtype, 1});
        check_repeats((variant){all_methods[i], 1, 0, dtype, 2});
        check_threads(all_methods[i], dtype);
    }
}

static void test_again(void)
{
    check_again(CM_F32);
}

static void test_again_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    check_again(CM_BF16);
}

/* ---- a network that the distance looks through ---- */

static const cm_net_config convnet = {.arch = &cm_arch_convnet,
                                      .height = 8,
                                      .width = 8,
                                      .in_channels = 2,
                                      .out_channels = 2,
                                      .num_classes = 3,
                                      .time_input = &cm_time_log250,
                                      .of.convnet = {8, 2, 2, {1, 2}}};

/* In parts, and computed again: the same step; the network stays as it is, is counted, and is
 * what the loss is of. */
static void test_frozen(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    cm_model judge = {.net = convnet};
    cm_frozen_weights f = {.model = &judge};
    cm_train_step *s[5] = {NULL};
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    CHECK_OK(cm_net_params_new(&convnet, &f.params, &err), err);
    const size_t floats = cm_params_floats(f.params);
    float *first = cm_alloc_array(floats, sizeof *first);
    f.flat = cm_alloc_array(floats, sizeof *f.flat);
    cm_params_init(f.params, 3, f.flat);
    memcpy(first, f.flat, floats * sizeof *first);
    for (int i = 0; i < 4; i++) { /* whole, in parts, computed again, and without */
        const variant v = {"cd", i == 1 ? 3 : 1, i == 2, CM_F32, 0};
        if (!(s[i] = step_through(&net, params, v, BATCH, i < 3 ? &f : NULL)))
            return;
        cm_train_step_run(s[i]);
    }
    CHECK(*s[0]->loss > 0.0f && *s[0]->loss != *s[3]->loss, "loss %g, of l2 %g",
          (double)*s[0]->loss, (double)*s[3]->loss);
    const double loss = fabs((double)*s[0]->loss - (double)*s[1]->loss),
                 grad = distance(s[0]->grad, s[1]->grad, s[0]->floats);
    CHECK(loss <= 1e-5 * (double)*s[0]->loss && grad <= 2e-5,
          "in parts: loss differs by %g, the gradient by %g", loss, grad);
    CHECK(same(s[0]->grad, s[2]->grad, s[0]->floats), "computed again: another gradient");
    CHECK(!memcmp(first, f.flat, floats * sizeof *first), "the network was changed");
    CHECK(cm_train_step_needed_bytes(s[0]) >
              cm_train_step_needed_bytes(s[3]) + floats * sizeof(float),
          "its weights are not counted");
    f.flat[cm_params_find(f.params, "level.0.0.conv.weight")->offset] += 1.0f;
    s[4] = step_through(&net, params, (variant){"cd", 1, 0, CM_F32, 0}, BATCH, &f);
    cm_train_step_run(s[4]);
    CHECK(fabs((double)*s[4]->loss / (double)*s[0]->loss - 1.0) > 1e-3,
          "with other weights loss %g", (double)*s[4]->loss);
    for (int i = 0; i < 5; i++)
        cm_train_step_free(s[i]);
    cm_free(first);
    cm_free(f.flat);
    cm_params_free(f.params);
    cm_params_free(params);
}

/* A rate near 1 is not rounded to a float: the first average of zeros is (1 - rate) p. */
static void test_average_weight(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    step_settings o;
    cm_train_step *s = NULL;
    const double rate = 0.99999;
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    step_settings_make(&o, "ct", BATCH);
    const cm_step_config c = step_settings_config(&o, &net, params, rate, CM_F32, 1);
    if (CHECK_OK(cm_train_step_new(&c, &s, &err), err)) {
        cm_params_init(params, 5, s->params);
        s->hyper[0] = 1e-3f;
        s->hyper[1] = 1.0f;
        s->scalars = (cm_step_scalars){.value = {18.0}, .mu = rate};
        cm_train_step_run(s);
        for (size_t i = 0; i < s->floats; i++) {
            const double want = (1.0 - rate) * (double)s->params[i], tol = 1e-6 * fabs(want);
            if (!CHECK(fabs((double)s->ema[0][i] - want) <= tol &&
                           fabs((double)s->target[i] - want) <= tol,
                       "average %zu is %.9g, target %.9g, expected %.9g", i, (double)s->ema[0][i],
                       (double)s->target[i], want))
                break;
        }
    }
    cm_train_step_free(s);
    cm_params_free(params);
}

static const check_test tests[] = {
    {"averages of rates near 1", test_average_weight},
    {"a network that the distance looks through", test_frozen},
    {"edm in parts", test_edm},
    {"cd in parts", test_cd},
    {"ct in parts", test_ct},
    {"cd-continuous and ct-continuous in parts", test_continuous},
    {"the same step again, f32", test_again},
    {"the same step again, bf16", test_again_bf16},
    {"recomputation: the same bits in f32", test_recompute_f32},
    {"recomputation: the same bits in bf16", test_recompute_bf16},
    {"recomputation: other networks", test_recompute_other_networks},
    {"recomputation: memory of a deep network", test_recompute_memory},
    {"packed weights of a step", test_packed_bytes},
    {"memory of a step, f32", test_memory},
    {"memory of a step, bf16", test_memory_bf16},
};

CHECK_MAIN(tests)
