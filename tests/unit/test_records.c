/* test_records.c - the tables of methods, distances and the like: every choice of an option
 * has its record and every record its choice; and the distances against their formulas in
 * double precision, values and gradients. */
#include "step_settings.h"

#include "base/philox.h"
#include "cpu/cpu.h"
#include "sample/edits.h"
#include "sample/sampler.h"
#include "train/optimizer.h"

/* ---- choices and records ---- */

static const void *find_distance(const char *name)
{
    return cm_distance_find(name);
}
static const void *find_weighting(const char *name)
{
    return cm_weighting_find(name);
}
static const void *find_solver(const char *name)
{
    return cm_solver_find(name);
}
static const void *find_optimizer(const char *name)
{
    return cm_optimizer_find(name);
}
static const void *find_objective(const char *name)
{
    return cm_objective_find(name);
}
static const void *find_scale_mode(const char *name)
{
    return cm_scale_mode_find(name);
}
static const void *find_target_ema_mode(const char *name)
{
    return cm_target_ema_mode_find(name);
}
static const void *find_sampler(const char *name)
{
    return cm_sampling_method_find(name);
}
/* the models that come out of consistency training: not edm */
static const void *find_boundary(const char *name)
{
    const cm_precondition *p = cm_precondition_find(name);
    return p && p->meets_boundary ? p : NULL;
}

static int count_distances(void)
{
    int n = 0;
    while (cm_distances[n].name)
        n++;
    return n;
}
static int count_weightings(void)
{
    int n = 0;
    while (cm_weightings[n].name)
        n++;
    return n;
}
static int count_solvers(void)
{
    int n = 0;
    while (cm_solvers[n].name)
        n++;
    return n;
}
static int count_optimizers(void)
{
    int n = 0;
    while (cm_optimizers[n].name)
        n++;
    return n;
}
static int count_objectives(void)
{
    int n = 0;
    while (cm_objectives[n])
        n++;
    return n;
}
static int count_scale_modes(void)
{
    int n = 0;
    while (cm_scale_modes[n].name)
        n++;
    return n;
}
static int count_target_ema_modes(void)
{
    int n = 0;
    while (cm_target_ema_modes[n].name)
        n++;
    return n;
}
static int count_samplers(void)
{
    int n = 0;
    while (cm_sampling_methods[n].name)
        n++;
    return n;
}
static const void *find_edit(const char *name)
{
    return cm_edit_task_find(name);
}
static int count_edits(void)
{
    int n = 0;
    while (cm_edit_tasks[n].name)
        n++;
    return n;
}
static int count_boundaries(void)
{
    return 2;
}

/* Each choice of the option but the empty one and "auto" has a record, and there are no
 * more records than those. */
static void check_choices(const cm_option *table, const char *option,
                          const void *(*find)(const char *), int records)
{
    const cm_option *o = table;
    char name[64];
    int choices = 0;
    while (o->name && strcmp(o->name, option))
        o++;
    if (!CHECK(o->name && o->choices, "no option %s with choices", option))
        return;
    for (const char *word = o->choices; word; word = strchr(word, '|'), word += word != NULL) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "|"), word);
        if (!name[0] || !strcmp(name, "auto"))
            continue;
        CHECK(find(name) != NULL, "%s: the choice %s has no record", option, name);
        choices++;
    }
    CHECK(choices == records, "%s: %d choices, %d records", option, choices, records);
    CHECK(!find("nothing") && !find(""), "%s: a record of no name", option);
}

static void test_choices(void)
{
    const cm_option *t = cm_train_options();
    check_choices(t, "method", find_objective, count_objectives());
    check_choices(t, "loss-norm", find_distance, count_distances());
    check_choices(t, "weighting", find_weighting, count_weightings());
    check_choices(t, "solver", find_solver, count_solvers());
    check_choices(t, "optimizer", find_optimizer, count_optimizers());
    check_choices(t, "scale-mode", find_scale_mode, count_scale_modes());
    check_choices(t, "target-ema-mode", find_target_ema_mode, count_target_ema_modes());
    check_choices(t, "boundary", find_boundary, count_boundaries());
    check_choices(cm_sample_options(), "sampler", find_sampler, count_samplers());
    check_choices(cm_edit_options(), "task", find_edit, count_edits());
}

/* ---- distances ---- */

enum { N = 5, H = 3, W = 4, C = 2, VALUES = H * W * C };

/* d(a, b) of one sample, and its gradient in a */
static double l1(const float *a, const float *b, double c, double *grad)
{
    double sum = 0.0;
    (void)c;
    for (int i = 0; i < VALUES; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += fabs(d) / VALUES;
        grad[i] = (d > 0.0 ? 1.0 : -1.0) / VALUES;
    }
    return sum;
}

static double l2(const float *a, const float *b, double c, double *grad)
{
    double sum = 0.0;
    (void)c;
    for (int i = 0; i < VALUES; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d / VALUES;
        grad[i] = 2.0 * d / VALUES;
    }
    return sum;
}

static double pseudo_huber(const float *a, const float *b, double c, double *grad)
{
    double q = 0.0;
    for (int i = 0; i < VALUES; i++)
        q += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    for (int i = 0; i < VALUES; i++)
        grad[i] = ((double)a[i] - (double)b[i]) / sqrt(q + c * c);
    return sqrt(q + c * c) - c;
}

/* Samples whose differences range from far below c to far above. */
static void check_distance(const char *name, double option_c, double c,
                           double (*want)(const float *, const float *, double, double *))
{
    step_settings o;
    cm_error err = {0};
    cm_plan *plan = NULL;
    step_settings_make(&o, "ct", N);
    snprintf(o.options.loss_norm, sizeof o.options.loss_norm, "%s", name);
    o.options.huber_c = option_c;
    step_settings_resolve(&o);
    cm_graph *g = cm_graph_new();
    const cm_loss_context context = {.settings = &o.settings, .g = g};
    cm_node *a = cm_input(g, "a", CM_TYPE(CM_F32, N, H, W, C)),
            *b = cm_input(g, "b", CM_TYPE(CM_F32, N, H, W, C));
    float x[N * VALUES], y[N * VALUES], ones[N], got[N], gradient[N * VALUES];
    for (int n = 0; n < N; n++) {
        ones[n] = 1.0f;
        for (int i = 0; i < VALUES; i++) {
            const cm_philox_block r = cm_philox(3, (uint32_t)i, (uint32_t)n, 0, 0);
            y[n * VALUES + i] = cm_uniform(r.v[0]) - 0.5f;
            x[n * VALUES + i] =
                y[n * VALUES + i] + powf(10.0f, (float)(n - 4)) * (cm_uniform(r.v[1]) - 0.5f);
        }
    }
    cm_node *d = cm_distance_between(o.settings.distance, &context, a, b), *da = NULL;
    cm_graph_vjp(g, d, cm_const(g, CM_TYPE(CM_F32, N), ones), 1, &a, &da);
    cm_node *out[] = {d, da};
    if (CHECK_OK(cm_plan_compile(g, 2, out, cm_cpu_device(), 1, &plan, &err), err)) {
        cm_plan_write(plan, a, x);
        cm_plan_write(plan, b, y);
        cm_plan_run(plan);
        cm_plan_read(plan, d, got);
        cm_plan_read(plan, da, gradient);
    }
    for (int n = 0; n < N && plan; n++) {
        double grad[VALUES], largest = 0.0, worst = 0.0;
        const double value = want(x + n * VALUES, y + n * VALUES, c, grad);
        for (int i = 0; i < VALUES; i++) {
            largest = fmax(largest, fabs(grad[i]));
            worst = fmax(worst, fabs((double)gradient[n * VALUES + i] - grad[i]));
        }
        CHECK(fabs((double)got[n] - value) <= 2e-6 * value, "%s, sample %d: %.9g, expected %.9g",
              name, n, (double)got[n], value);
        CHECK(worst <= 2e-6 * largest, "%s, sample %d: gradient off by %g of %g", name, n, worst,
              largest);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
}

static void test_distances(void)
{
    check_distance("l1", 0.0, 0.0, l1);
    check_distance("l2", 0.0, 0.0, l2);
    check_distance("pseudo-huber", 0.03, 0.03, pseudo_huber);
    check_distance("pseudo-huber", 0.0, 0.00054 * sqrt(VALUES), pseudo_huber); /* iCT's */
}

static const check_test tests[] = {
    {"every choice has its record, and every record its choice", test_choices},
    {"distances and their gradients, in double", test_distances},
};

CHECK_MAIN(tests)
