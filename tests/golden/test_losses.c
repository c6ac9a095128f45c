/* test_losses.c - the objectives against the reference implementation: losses of
 * each sample, and gradients of their mean, on given data, noise and levels.
 * The reference computes the noise levels from indices; so does this, through
 * the graph's own grid.  In f32, and in bf16 with what its 8 bits allow. */
#include "golden_network.h"

#include "step_settings.h"

#include "graph/op.h"

#include <inttypes.h>

static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
static const char *const gradients[] = {"out.2.weight", "input_blocks.0.0.weight",
                                        "time_embed.0.weight"};

struct setup {
    cm_dtype dtype;
    network student, target, teacher;
    cm_st_file *file;
    cm_graph *g;
    cm_net net[3];
    cm_node *x0, *z;
    int64_t n;
};

static struct setup open_setup(cm_dtype dtype)
{
    struct setup s = {.dtype = dtype};
    const char *io = "adm_lsun_like.io.safetensors";
    s.student = network_load(io, FORMULA_STUDENT);
    s.target = network_load(io, FORMULA_TARGET);
    s.teacher = network_load(io, FORMULA_TEACHER);
    s.file = network_open("losses.safetensors");
    s.n = cm_st_find(s.file, "x_start")->dim[0];
    s.g = cm_graph_new();
    cm_params *const params[] = {s.student.params, s.target.params, s.teacher.params};
    for (int i = 0; i < 3; i++)
        s.net[i] = cm_net_new(s.g, params[i], cm_graph_buffer(s.g, "params", 0), dtype);
    const int64_t side = s.student.config.height, c = s.student.config.in_channels;
    s.x0 = cm_input(s.g, "x0", CM_TYPE(CM_F32, s.n, side, side, c));
    s.z = cm_input(s.g, "z", CM_TYPE(CM_F32, s.n, side, side, c));
    return s;
}

static void close_setup(struct setup *s)
{
    cm_graph_free(s->g);
    cm_st_close(s->file);
    network_free(&s->student);
    network_free(&s->target);
    network_free(&s->teacher);
}

static void fill(cm_plan *plan, const cm_node *node, float *values)
{
    memcpy(cm_plan_data(plan, node), values, cm_type_bytes(cm_node_type(node)));
    cm_free(values);
}

/* How far bf16 may move the root of an l2 loss.  A network in bf16 errs by 2e-2 of its
 * own size (test_adm_bf16.c); let that size be F.  The loss of dsm is the mean square of
 * a difference of which the network's output is one side, since its weights undo c_out.
 * A consistency loss compares two denoised images, of c_out = sigma_data at most, where
 * student, target and, less, the teacher's step err independently: at most twice
 * 2e-2 sigma_data F.  An l1 loss moves no more than the root of an l2 one. */
static double bf16_shift(int consistency)
{
    cm_st_file *f = network_open("adm_lsun_like.io.safetensors");
    int64_t n;
    double squared = 0.0;
    float *out = network_read(f, "out", &n);
    for (int64_t i = 0; i < n; i++)
        squared += (double)out[i] * (double)out[i];
    cm_free(out);
    cm_st_close(f);
    return (consistency ? 2.0 * schedule.sigma_data : 1.0) * 2e-2 * sqrt(squared / (double)n);
}

/* The losses of each sample, and their mean within 1% in either data type. */
static void check_losses(const struct setup *s, const char *key, const float *got, double shift)
{
    char name[256];
    snprintf(name, sizeof name, "%s.loss", key);
    float *want = network_read(s->file, name, NULL);
    const int root = !strstr(key, ".l1.");
    double sum = 0.0, sum_want = 0.0;
    for (int64_t i = 0; i < s->n; i++) {
        const double a = (double)got[i], b = (double)want[i];
        const int near = s->dtype == CM_F32 ? fabs(a - b) <= 1e-4 * b
                         : root             ? fabs(sqrt(a) - sqrt(b)) <= shift
                                            : fabs(a - b) <= shift;
        CHECK(near, "%s[%" PRId64 "] = %.7g, want %.7g", name, i, a, b);
        sum += a;
        sum_want += b;
    }
    CHECK(fabs(sum / sum_want - 1.0) <= 0.01, "%s: mean %.4f of the reference's", name,
          sum / sum_want);
    cm_free(want);
}

/* In f32: within 1e-3 of the largest element, or f32 rounding of the whole gradient:
 * that of time_embed is exactly zero in this network, where a group norm with one
 * channel a group follows the addition of the embedding.  In bf16 such a one is small
 * beside the whole, and another is off by tol in the Euclidean norm. */
static void check_gradient(const struct setup *s, const char *name, const float *got, int64_t n,
                           const double *turned, double grad_norm, double tol)
{
    float *want = network_read(s->file, name, NULL);
    double worst = 0.0, largest = 0.0, error = 0.0, size = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        worst = fmax(worst, d - turned[i]);
        largest = fmax(largest, fabs((double)want[i]));
        error += d * d;
        size += (double)want[i] * (double)want[i];
    }
    if (s->dtype == CM_F32)
        CHECK(worst <= 1e-3 * largest + 4.0 * 0x1p-23 * grad_norm, "%s: off by %.2g, largest %.2g",
              name, worst, largest);
    else if (sqrt(size) <= 1e-5 * grad_norm)
        CHECK(sqrt(error) <= 2e-3 * grad_norm, "%s: %.2g, want 0", name, sqrt(error));
    else
        CHECK(sqrt(error) <= tol * sqrt(size), "%s: relative error %.3f, tolerance %.3f", name,
              sqrt(error / size), tol);
    cm_free(want);
}

/* Tolerances: of a tensor of the gradient, in the Euclidean norm (bf16 only), and of the
 * norm of the whole gradient.
 *
 * In bf16 the gradient of an l2 loss is the residual taken back through the network,
 * which adds 4e-2 (test_adm_bf16.c); the residual itself, of the size of the loss's
 * root, is off by `shift`.  That of l1 is the residual's sign, which rounding turns where the
 * residual is smallest: a share p of signs turned is a relative error of 2 sqrt(p), so
 * tensors are not compared, but the norm stays. */
struct tolerance {
    double tensor, norm;
};

static struct tolerance tolerances(const struct setup *s, const char *key, double shift)
{
    if (s->dtype == CM_F32)
        return (struct tolerance){0.0, 1e-3};
    if (strstr(key, ".l1."))
        return (struct tolerance){INFINITY, 4e-2};
    char name[256];
    snprintf(name, sizeof name, "%s.loss", key);
    float *loss = network_read(s->file, name, NULL);
    double mean = 0.0;
    for (int64_t i = 0; i < s->n; i++)
        mean += (double)loss[i] / (double)s->n;
    cm_free(loss);
    return (struct tolerance){4e-2 + shift / sqrt(mean), 4e-2};
}

/* ---- signs of an l1 loss that rounding turns ----
 *
 * The gradient of l1 is linear in the signs of the residual r = f - f-.  Two computations in
 * f32 may give an element of r whose size is below its rounding error either sign, and then
 * their gradients differ by what that element adds, twice |dl/dr_e| dr_e/dtheta: computed
 * here, element by element, and allowed.  The rounding error of r: its two networks each err
 * by up to 4e-6 of their largest output (test_adm.c prints what it sees), times c_out, which
 * is at most sigma_data; the level t2 adds the teacher's, no more.  With F the largest output
 * of the golden network that is 3 4e-6 sigma_data F. */
struct signs {
    cm_node *residual, *slope, *dy, *dr[600]; /* r, dl/dr, a cotangent of r and its pull-back */
};

static struct signs signs_of(const struct setup *s, cm_node *loss, cm_node *cotangent,
                             cm_node *const *wrt)
{
    struct signs q = {0};
    for (int i = 0; i <= loss->id && !q.residual; i++) /* l1 is where |.| is taken */
        if (cm_graph_node(s->g, i)->op == CM_OP_ABS)
            q.residual = cm_graph_node(s->g, i)->in[0];
    cm_graph_vjp(s->g, loss, cotangent, 1, &q.residual, &q.slope);
    q.dy = cm_input(s->g, "dy", *cm_node_type(q.residual));
    cm_graph_vjp(s->g, q.residual, q.dy, cm_params_size(s->student.params), wrt, q.dr);
    return q;
}

static double rounding_of_residual(void)
{
    cm_st_file *f = network_open("adm_lsun_like.io.safetensors");
    int64_t n;
    double largest = 0.0;
    float *out = network_read(f, "out", &n);
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)out[i]));
    cm_free(out);
    cm_st_close(f);
    return 3.0 * 4e-6 * schedule.sigma_data * largest;
}

/* turned[3]: what each element of the three gradients may be off by. */
static void allow_turned_signs(const struct setup *s, const struct signs *q, cm_plan *plan,
                               double *turned[3])
{
    const int64_t n = cm_type_count(cm_node_type(q->residual));
    float *r = cm_alloc_array((size_t)n, sizeof *r), *slope = cm_alloc_array((size_t)n, sizeof *r),
          *dy = cm_alloc_array((size_t)n, sizeof *dy);
    const double small = rounding_of_residual();
    int elements = 0;
    cm_plan_read(plan, q->residual, r);
    cm_plan_read(plan, q->slope, slope);
    for (int64_t e = 0; e < n; e++) {
        if (fabs((double)r[e]) > small)
            continue;
        dy[e] = 2.0f * fabsf(slope[e]);
        cm_plan_write(plan, q->dy, dy);
        cm_plan_run(plan);
        for (int i = 0; i < cm_params_size(s->student.params); i++)
            for (int j = 0; j < 3; j++)
                if (!strcmp(cm_params_at(s->student.params, i)->name, gradients[j])) {
                    const float *v = cm_plan_data(plan, q->dr[i]);
                    for (int64_t k = 0; k < cm_type_count(cm_node_type(q->dr[i])); k++)
                        turned[j][k] += fabs((double)v[k]);
                }
        dy[e] = 0.0f;
        elements++;
    }
    printf("    %d of %d residuals are below %.1g\n", elements, (int)n, small);
    CHECK(elements <= n / 100, "%d of %d residuals are rounding", elements, (int)n);
    cm_free(r);
    cm_free(slope);
    cm_free(dy);
}

static void check_gradients(const struct setup *s, const char *key, cm_plan *plan,
                            cm_node *const *dx, double *const turned[3], double shift)
{
    const struct tolerance tol = tolerances(s, key, shift);
    char name[256];
    double squared = 0.0;
    snprintf(name, sizeof name, "%s.grad_norm", key);
    float *norm = network_read(s->file, name, NULL);
    for (int i = 0; i < cm_params_size(s->student.params); i++) {
        const float *v = cm_plan_data(plan, dx[i]);
        const int64_t n = cm_type_count(cm_node_type(dx[i]));
        for (int64_t k = 0; k < n; k++)
            squared += (double)v[k] * (double)v[k];
        for (int j = 0; j < 3; j++)
            if (!strcmp(cm_params_at(s->student.params, i)->name, gradients[j])) {
                snprintf(name, sizeof name, "%s.grad.%s", key, gradients[j]);
                check_gradient(s, name, v, n, turned[j], (double)*norm, tol.tensor);
            }
    }
    CHECK(fabs(sqrt(squared) - (double)*norm) <= tol.norm * (double)*norm,
          "%s.grad_norm = %g, want %g", key, sqrt(squared), (double)*norm);
    cm_free(norm);
}

/* Differentiate the mean of loss [N], run, and compare with the golden `key`;
 * `level` [N] is fed with the tensor of that name. */
static void compare(struct setup *s, cm_node *loss, cm_node *level, const char *level_name,
                    const char *key)
{
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_node *wrt[600], *dx[600], *out[1300] = {loss};
    double *turned[3];
    struct signs signs = {0};
    float *share = cm_alloc_array((size_t)s->n, sizeof *share);
    for (int64_t i = 0; i < s->n; i++)
        share[i] = 1.0f / (float)s->n;
    const int n = cm_params_size(s->student.params);
    memcpy(wrt, s->net[0].leaf, (size_t)n * sizeof *wrt);
    cm_node *cotangent = cm_const(s->g, CM_TYPE(CM_F32, s->n), share);
    cm_graph_vjp(s->g, loss, cotangent, n, wrt, dx);
    memcpy(out + 1, dx, (size_t)n * sizeof *dx);
    int n_out = 1 + n;
    if (strstr(key, ".l1.") && s->dtype == CM_F32) {
        signs = signs_of(s, loss, cotangent, wrt);
        out[n_out++] = signs.residual;
        out[n_out++] = signs.slope;
        memcpy(out + n_out, signs.dr, (size_t)n * sizeof *signs.dr);
        n_out += n;
    }
    cm_free(share);
    if (!CHECK(!cm_plan_compile(s->g, n_out, out, cm_cpu_device(), 2, &plan, &err), "%s",
               err.message))
        return;
    float *const flat[] = {s->student.flat, s->target.flat, s->teacher.flat};
    for (int i = 0; i < 3; i++)
        cm_plan_bind(plan, s->net[i].buffer, flat[i]);
    fill(plan, s->x0, network_images(s->file, "x_start"));
    fill(plan, s->z, network_images(s->file, "noise"));
    fill(plan, level, network_read(s->file, level_name, NULL));
    cm_plan_run(plan);
    const double shift = bf16_shift(strcmp(key, "dsm.karras") != 0);
    check_losses(s, key, cm_plan_data(plan, loss), shift);
    for (int j = 0; j < 3; j++) {
        const cm_param *q = cm_params_find(s->student.params, gradients[j]);
        turned[j] = cm_alloc_array((size_t)cm_type_count(&q->type), sizeof **turned);
    }
    if (signs.residual)
        allow_turned_signs(s, &signs, plan, turned);
    check_gradients(s, key, plan, dx, turned, shift);
    for (int j = 0; j < 3; j++)
        cm_free(turned[j]);
    cm_plan_free(plan);
}

/* The loss of a method on the given networks; which distance and weighting. */
static cm_loss_context context_of(struct setup *s, step_settings *o, const char *method,
                                  const char *distance, const char *weighting)
{
    step_settings_make(o, method, (int)s->n);
    snprintf(o->options.loss_norm, sizeof o->options.loss_norm, "%s", distance);
    snprintf(o->options.weighting, sizeof o->options.weighting, "%s", weighting);
    step_settings_resolve(o);
    const cm_objective_settings *q = &o->settings;
    const cm_net_config *n = &s->student.config;
    cm_loss_context c = {.settings = q, .g = s->g, .x0 = s->x0};
    c.student = (cm_denoiser){&s->net[0], n, q->precondition, &schedule, NULL};
    if (q->objective->has_target)
        c.target = (cm_denoiser){&s->net[1], n, q->precondition, &schedule, NULL};
    if (q->objective->needs_teacher)
        c.teacher = (cm_denoiser){&s->net[2], n, &cm_precondition_edm, &schedule, NULL};
    return c;
}

static void consistency(cm_dtype dtype, const char *key, int scales, const char *method,
                        const char *distance, const char *weighting)
{
    struct setup s = open_setup(dtype);
    step_settings o;
    char indices[256];
    cm_node *i = cm_input(s.g, "indices", CM_TYPE(CM_F32, s.n));
    cm_node *n = cm_scalar(s.g, 1, (float)scales);
    const cm_loss_context c = context_of(&s, &o, method, distance, weighting);
    cm_node *loss =
        cm_loss_consistency(&c, s.z, cm_sigma_at_index(s.g, &schedule, i, n),
                            cm_sigma_at_index(s.g, &schedule, cm_affine(s.g, i, 1.0f, 1.0f), n));
    snprintf(indices, sizeof indices, "%s.indices", key);
    compare(&s, loss, i, indices, key);
    close_setup(&s);
}

static void test_cd(void)
{
    consistency(CM_F32, "cd_heun.n18.l2.uniform", 18, "cd", "l2", "uniform");
    consistency(CM_F32, "cd_heun.n18.l2.karras", 18, "cd", "l2", "karras");
    consistency(CM_F32, "cd_heun.n18.l1.uniform", 18, "cd", "l1", "uniform");
    consistency(CM_F32, "cd_heun.n18.l1.karras", 18, "cd", "l1", "karras");
    consistency(CM_F32, "cd_heun.n18.l2-32.uniform", 18, "cd", "l2-32", "uniform");
    consistency(CM_F32, "cd_heun.n18.l2-32.karras", 18, "cd", "l2-32", "karras");
}

static void test_ct(void)
{
    consistency(CM_F32, "ct.n40.l2.uniform", 40, "ct", "l2", "uniform");
}

/* On the grid of 8 intervals the index i is level 2i of that of 16, whose levels are 17. */
static void progressive(cm_dtype dtype)
{
    static const char key[] = "progdist.n8.l2.truncated-snr";
    struct setup s = open_setup(dtype);
    step_settings o;
    cm_node *i = cm_input(s.g, "indices", CM_TYPE(CM_F32, s.n)), *t[3];
    cm_node *levels = cm_scalar(s.g, 1, 17.0f);
    const cm_loss_context c = context_of(&s, &o, "pd", "l2", "truncated-snr");
    for (int k = 0; k < 3; k++)
        t[k] = cm_sigma_at_index(s.g, &schedule, cm_affine(s.g, i, 2.0f, (float)k), levels);
    compare(&s, cm_loss_progressive(&c, s.z, t[0], t[1], t[2]), i,
            "progdist.n8.l2.truncated-snr.indices", key);
    close_setup(&s);
}

static void test_progressive(void)
{
    progressive(CM_F32);
}

static void dsm(cm_dtype dtype)
{
    struct setup s = open_setup(dtype);
    cm_node *sigma = cm_input(s.g, "sigma", CM_TYPE(CM_F32, s.n));
    step_settings o;
    const cm_loss_context c = context_of(&s, &o, "edm", "l2", "karras");
    compare(&s, cm_loss_dsm(&c, s.z, sigma), sigma, "dsm.sigmas", "dsm.karras");
    close_setup(&s);
}

static void test_dsm(void)
{
    dsm(CM_F32);
}

static void test_bf16(void)
{
    if (!cm_cpu_has_bf16())
        CHECK_SKIP("this CPU does not compute in bf16");
    consistency(CM_BF16, "cd_heun.n18.l2.uniform", 18, "cd", "l2", "uniform");
    consistency(CM_BF16, "cd_heun.n18.l1.uniform", 18, "cd", "l1", "uniform");
    consistency(CM_BF16, "cd_heun.n18.l2-32.uniform", 18, "cd", "l2-32", "uniform");
    consistency(CM_BF16, "ct.n40.l2.uniform", 40, "ct", "l2", "uniform");
    progressive(CM_BF16);
    dsm(CM_BF16);
}

/* The grid in the graph against the one in double, and its last level exactly
 * sigma_min for every N: a level above it would be off the boundary. */
static void test_grid(void)
{
    enum { MOST = 200 };
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_node *index = cm_input(g, "index", CM_TYPE(CM_F32, MOST));
    cm_node *scales = cm_input(g, "scales", CM_TYPE(CM_F32, 1));
    cm_node *out = cm_sigma_at_index(g, &schedule, index, scales);
    CHECK_OK(cm_plan_compile(g, 1, &out, cm_cpu_device(), 2, &plan, &err), err);
    const float *sigma = cm_plan_data(plan, out);
    for (int n = 2; n <= MOST; n++) {
        *(float *)cm_plan_data(plan, scales) = (float)n;
        for (int i = 0; i < MOST; i++)
            ((float *)cm_plan_data(plan, index))[i] = (float)(i < n ? i : n - 1);
        cm_plan_run(plan);
        for (int i = 0; i < n; i++) {
            const double want = cm_sigma_at(&schedule, (double)i / (n - 1));
            CHECK(fabs((double)sigma[i] / want - 1.0) < 5e-6, "N %d, level %d: %g, expected %g", n,
                  i, (double)sigma[i], want);
        }
        CHECK(sigma[n - 1] == (float)schedule.sigma_min, "N %d ends at %.9g", n,
              (double)sigma[n - 1]);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
}

/* f(x, sigma_min) = x bit for bit, whatever the weights and the deviation of the
 * data, in both boundary forms. */
static void check_boundary(const cm_precondition *kind, double sigma_data)
{
    struct setup s = open_setup(CM_F32);
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_noise_schedule own = schedule;
    own.sigma_data = sigma_data;
    cm_node *sigma = cm_input(s.g, "sigma", CM_TYPE(CM_F32, s.n));
    const cm_denoiser d = {&s.net[0], &s.student.config, kind, &own, NULL};
    cm_node *out = cm_denoise(&d, s.x0, sigma).D;
    CHECK_OK(cm_plan_compile(s.g, 1, &out, cm_cpu_device(), 2, &plan, &err), err);
    cm_plan_bind(plan, s.net[0].buffer, s.student.flat);
    fill(plan, s.x0, network_images(s.file, "x_start"));
    for (int64_t i = 0; i < s.n; i++)
        ((float *)cm_plan_data(plan, sigma))[i] = (float)own.sigma_min;
    cm_plan_run(plan);
    CHECK(!memcmp(cm_plan_data(plan, out), cm_plan_data(plan, s.x0),
                  cm_type_bytes(cm_node_type(out))),
          "%s, sigma_data %g: f(x, sigma_min) is not x", kind->name, sigma_data);
    cm_plan_free(plan);
    close_setup(&s);
}

static void test_boundary(void)
{
    const double deviations[] = {0.5, 0.3, 0.7, 1.1};
    for (int i = 0; i < 4; i++) {
        check_boundary(&cm_precondition_skip, deviations[i]);
        check_boundary(&cm_precondition_piecewise, deviations[i]);
    }
}

static const check_test tests[] = {
    {"consistency distillation: l1, l2, l2-32; uniform and karras weights", test_cd},
    {"consistency training", test_ct},
    {"progressive distillation", test_progressive},
    {"denoising score matching", test_dsm},
    {"in bf16", test_bf16},
    {"noise levels by index, the last exactly sigma_min", test_grid},
    {"boundary condition, bit for bit", test_boundary},
};

CHECK_MAIN(tests)
