/* test_schedules.c - noise grid, preconditioning, loss weights and curriculum
 * against the released code's numbers, and against the tables of the papers */
#include "check.h"
#include "consistency/curriculum.h"
#include "consistency/precondition.h"
#include "consistency/weighting.h"
#include "cpu/cpu.h"
#include "golden.h"
#include "graph/plan.h"
#include "nn/time_input.h"

static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
static cm_st_file *goldens;

/* |got - want| <= tol |want|: a small number has to be right too. */
static void check_relative(const char *what, size_t i, double got, double want, double tol)
{
    CHECK(fabs(got - want) <= tol * fabs(want), "%s[%zu] = %.17g, expected %.17g (relative %.1g)",
          what, i, got, want, tol);
}

/* ---- grid --------------------------------------------------------------- */

/* The goldens are in float32: (1.87 - u 1.46)^7 in steps of 6e-8 is good to about
 * 7 1.87/0.41 6e-8 = 2e-6.  test_grid_values has the further digits. */
static void test_grid_golden(void)
{
    static const int sizes[] = {2, 10, 18, 40, 151};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        char name[32];
        size_t count;
        double grid[152];
        snprintf(name, sizeof name, "karras_sigmas.%d", sizes[k]);
        double *want = golden_read(goldens, name, &count);
        cm_karras_grid(&schedule, sizes[k], grid);
        CHECK(count == (size_t)sizes[k] + 1, "%s: %zu", name, count);
        for (size_t i = 0; i < count; i++)
            check_relative(name, i, grid[i], want[i], 2e-6);
        cm_free(want);
    }
}

/* Levels of published models, and the ends, exactly. */
static void test_grid_values(void)
{
    static const struct {
        int n, i;
        double sigma;
    } levels[] = {{18, 1, 57.5859847},   {18, 11, 0.585348123}, {18, 16, 0.00752801996},
                  {40, 17, 4.36556169},  {40, 22, 1.38236796},  {40, 38, 0.00367658917},
                  {151, 62, 5.24850323}, {151, 67, 3.99121861}, {201, 106, 1.91284362}};
    double grid[202];
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
        cm_karras_grid(&schedule, levels[k].n, grid);
        check_relative("sigma", k, grid[levels[k].i], levels[k].sigma, 5e-9);
        check_relative("sigma_at", k,
                       cm_sigma_at(&schedule, (double)levels[k].i / (levels[k].n - 1)),
                       levels[k].sigma, 5e-9);
    }
    for (int n = 1; n <= 201; n++) {
        cm_karras_grid(&schedule, n, grid);
        CHECK(grid[0] == 80 && grid[n] == 0 && (n == 1 || grid[n - 1] == 0.002), "ends, n = %d", n);
        for (int i = 0; i < n; i++)
            CHECK(grid[i] > grid[i + 1], "n = %d: level %d does not fall", n, i);
    }
    for (int i = 1; i <= 1000; i++) {
        const cm_noise_schedule s = {
            .sigma_min = i * 1e-4, .sigma_max = i, .sigma_data = 1, .rho = 1 + i % 10};
        CHECK(cm_sigma_at(&s, 0) == s.sigma_max && cm_sigma_at(&s, -1) == s.sigma_max &&
                  cm_sigma_at(&s, 1) == s.sigma_min && cm_sigma_at(&s, 2) == s.sigma_min,
              "the ends are exact: sigma_max %d", i);
    }
    /* rho = 1 is linear. */
    const cm_noise_schedule linear = {.sigma_min = 1, .sigma_max = 3, .sigma_data = 1, .rho = 1};
    check_relative("linear", 0, cm_sigma_at(&linear, 0.25), 2.5, 1e-15);
}

static void test_schedule_check(void)
{
    static const cm_noise_schedule bad[] = {
        {.sigma_min = 0, .sigma_max = 80, .sigma_data = 0.5, .rho = 7},
        {.sigma_min = 80, .sigma_max = 80, .sigma_data = 0.5, .rho = 7},
        {.sigma_min = 0.002, .sigma_max = (double)INFINITY, .sigma_data = 0.5, .rho = 7},
        {.sigma_min = (double)NAN, .sigma_max = 80, .sigma_data = 0.5, .rho = 7},
        {.sigma_min = 0.002, .sigma_max = 80, .sigma_data = 0, .rho = 7},
        {.sigma_min = 0.002, .sigma_max = 80, .sigma_data = 0.5, .rho = -1},
        {.sigma_min = 0.002, .sigma_max = 80, .sigma_data = 0.5, .rho = (double)NAN},
    };
    cm_error err = {0};
    CHECK_OK(cm_noise_schedule_check(&schedule, &err), err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(cm_noise_schedule_check(&bad[i], &err) == CM_ERR_ARGUMENT, "schedule %zu taken", i);
}

/* ---- preconditioning and weights: graph nodes, in f32 -------------------- */

enum { MOST = 128 };

struct row { /* coefficients or one weight at a sigma */
    double c_skip, c_out, c_in, c_noise, weight;
};

/* Compile both for n noise levels and run them. */
static void evaluate(const cm_precondition *kind, const char *weighting, size_t n,
                     const double *sigma, struct row *rows)
{
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_node *x = cm_input(g, "sigma", CM_TYPE(CM_F32, (int64_t)n));
    const cm_coefficients p = kind->of_sigma(g, &schedule, x);
    cm_node *out[] = {p.c_skip, p.c_out, p.c_in,
                      cm_time_log250.of_sigma(g, x, schedule.sigma_data, 1.0f),
                      cm_weighting_find(weighting)->of_sigma(g, &schedule, x)};
    if (CHECK_OK(cm_plan_compile(g, 5, out, cm_cpu_device(), 1, &plan, &err), err)) {
        const float *v[5];
        for (size_t i = 0; i < n; i++)
            ((float *)cm_plan_data(plan, x))[i] = (float)sigma[i];
        cm_plan_run(plan);
        for (int k = 0; k < 5; k++)
            v[k] = cm_plan_data(plan, out[k]);
        for (size_t i = 0; i < n; i++)
            rows[i] = (struct row){(double)v[0][i], (double)v[1][i], (double)v[2][i],
                                   (double)v[3][i], (double)v[4][i]};
    }
    cm_plan_free(plan);
    cm_graph_free(g);
}

/* Ten times what rounding sigma to f32 does to c_out (it is a difference of levels)
 * and to c_noise (250 ln sigma). */
static void check_row(const char *what, size_t i, double sigma, struct row got, struct row want)
{
    const double tol = 6e-7;
    check_relative(what, i, got.c_skip, want.c_skip, tol);
    check_relative(what, i, got.c_in, want.c_in, tol);
    CHECK(fabs(got.c_out - want.c_out) <= tol * (fabs(want.c_out) + sigma),
          "%s[%zu]: c_out = %.9g, expected %.9g", what, i, got.c_out, want.c_out);
    CHECK(fabs(got.c_noise - want.c_noise) <= tol * (fabs(want.c_noise) + 250),
          "%s[%zu]: c_noise = %.9g, expected %.9g", what, i, got.c_noise, want.c_noise);
}

static void test_precondition_golden(void)
{
    static const struct {
        const char *name;
        const cm_precondition *kind;
    } kinds[] = {{"edm", &cm_precondition_edm}, {"boundary", &cm_precondition_skip}};
    static const char *const fields[] = {"c_skip", "c_out", "c_in"};
    struct row rows[MOST];
    size_t n, m;
    double *sigma = golden_read(goldens, "sigma", &n);
    double *noise = golden_read(goldens, "rescaled_t", &m);
    for (int k = 0; k < 2; k++) {
        double *want[3];
        CHECK(n >= 8 && n <= MOST && m == n, "%zu and %zu levels", n, m);
        evaluate(kinds[k].kind, "uniform", n, sigma, rows);
        for (int f = 0; f < 3; f++) {
            char name[32];
            snprintf(name, sizeof name, "%s.%s", kinds[k].name, fields[f]);
            want[f] = golden_read(goldens, name, &m);
            CHECK(m == n, "%s: %zu values", name, m);
        }
        for (size_t i = 0; i < n; i++)
            check_row(kinds[k].name, i, sigma[i], rows[i],
                      (struct row){want[0][i], want[1][i], want[2][i], noise[i], 1});
        for (int f = 0; f < 3; f++)
            cm_free(want[f]);
    }
    cm_free(noise);
    cm_free(sigma);
}

/* Worked out by hand from the formulas, nine digits. */
static void test_precondition_values(void)
{
    static const struct {
        double sigma, skip_edm, out_edm, in, skip_cm, out_cm, noise, karras;
    } rows[] = {
        {0.002, 0.999984000, 0.00199998400, 1.99998400, 1, 0, -1553.65202, 250004},
        {0.01, 0.99960016, 0.00999800060, 1.99960012, 0.999744066, 0.00799840048, -1151.29255,
         10004},
        {0.5, 0.5, 0.353553391, 1.41421356, 0.502004, 0.352139177, -173.286795, 8},
        {1, 0.2, 0.447213595, 0.894427191, 0.20064141, 0.446319168, 0, 5},
        {80, 3.90609742e-05, 0.499990235, 0.0124997559, 3.90629272e-05, 0.499977735, 1095.50666,
         4.00015625},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double sigma = rows[i].sigma;
        struct row edm, skip, piece;
        evaluate(&cm_precondition_edm, "karras", 1, &sigma, &edm);
        evaluate(&cm_precondition_skip, "karras", 1, &sigma, &skip);
        evaluate(&cm_precondition_piecewise, "karras", 1, &sigma, &piece);
        check_row("edm", i, sigma, edm,
                  (struct row){rows[i].skip_edm, rows[i].out_edm, rows[i].in, rows[i].noise, 0});
        check_row("skip", i, sigma, skip,
                  (struct row){rows[i].skip_cm, rows[i].out_cm, rows[i].in, rows[i].noise, 0});
        check_relative("karras", i, edm.weight, rows[i].karras, 1e-6);
        /* piecewise is the EDM form above sigma_min, and the identity there */
        CHECK(piece.c_skip == (i ? edm.c_skip : 1) && piece.c_out == (i ? edm.c_out : 0) &&
                  piece.c_in == edm.c_in && piece.c_noise == edm.c_noise,
              "piecewise at sigma %g", sigma);
        CHECK(i || (skip.c_skip == 1 && skip.c_out == 0), "skip at sigma_min");
    }
}

static void test_weightings(void)
{
    static const char *const names[] = {"uniform", "snr", "snr+1", "karras", "truncated-snr"};
    struct row rows[MOST];
    size_t n, m;
    double *sigma = golden_read(goldens, "sigma", &n);
    for (int k = 0; k < 5 && n <= MOST; k++) {
        char name[32];
        snprintf(name, sizeof name, "weight.%s", names[k]);
        double *want = golden_read(goldens, name, &m);
        if (CHECK(cm_weighting_find(names[k]) != NULL, "%s", names[k])) {
            evaluate(&cm_precondition_edm, names[k], n, sigma, rows);
            for (size_t i = 0; i < n; i++)
                check_relative(name, i, rows[i].weight, want[i], 6e-7);
        }
        cm_free(want);
    }
    cm_free(sigma);
    CHECK(!cm_weighting_find("snr+2") && !cm_weighting_find(""), "no such weighting");
    CHECK(cm_precondition_find("piecewise") == &cm_precondition_piecewise, "piecewise");
    CHECK(!cm_precondition_find(""), "empty name");
}

/* The time inputs by their formulas, in double; log250 is in the rows above. */
static void test_time_inputs(void)
{
    enum { N = 7 };
    static const double sigma[N] = {0.002, 0.01, 0.3, 0.5, 1, 7, 80};
    static const char *const names[] = {"log", "trig", "flow"};
    const double d = 0.5, scale = 1000;
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *plan = NULL;
    cm_node *x = cm_input(g, "sigma", CM_TYPE(CM_F32, N)), *out[3];
    float in[N], got[N];
    for (int k = 0; k < 3; k++)
        out[k] = cm_time_input_find(names[k])->of_sigma(g, x, d, (float)scale);
    CHECK_OK(cm_plan_compile(g, 3, out, cm_cpu_device(), 1, &plan, &err), err);
    for (int i = 0; i < N; i++)
        in[i] = (float)sigma[i];
    cm_plan_write(plan, x, in);
    cm_plan_run(plan);
    for (int k = 0; k < 3; k++) {
        cm_plan_read(plan, out[k], got);
        for (int i = 0; i < N; i++) {
            const double s = (double)in[i], want[] = {log(s) / 4, atan(s / d), s / (1 + s)};
            CHECK(fabs((double)got[i] - scale * want[k]) <= 1e-6 * scale * (1 + fabs(want[k])),
                  "%s of %g: %g, expected %g", names[k], s, (double)got[i], scale * want[k]);
        }
    }
    CHECK(!cm_time_input_find("cubic"), "cubic");
    cm_plan_free(plan);
    cm_graph_free(g);
}

/* ---- curriculum --------------------------------------------------------- */

static void test_curriculum_golden(void)
{
    static const char *const modes[][2] = {
        {"fixed", "fixed"}, {"fixed", "progressive"}, {"adaptive", "progressive"}};
    for (int k = 0; k < 3; k++) {
        char name[64];
        cm_error err = {0};
        size_t n;
        cm_curriculum c = {.start_ema = 0.95,
                           .start_scales = 2,
                           .end_scales = 150,
                           .total_steps = 1000,
                           .target_ema = cm_target_ema_mode_find(modes[k][0]),
                           .scale = cm_scale_mode_find(modes[k][1])};
        CHECK_OK(cm_curriculum_check(&c, &err), err);
        snprintf(name, sizeof name, "ema_and_scales.%s.%s", modes[k][0], modes[k][1]);
        double *rows = golden_read(goldens, name, &n); /* step, mu, N */
        CHECK(n == 30, "%s: %zu", name, n);
        for (size_t i = 0; i + 2 < n; i += 3) {
            const cm_curriculum_point p = cm_curriculum_at(&c, (int64_t)rows[i]);
            check_relative(name, i / 3, p.target_ema, rows[i + 1], 1e-12);
            CHECK((double)p.scales == rows[i + 2], "%s: step %g: N = %lld, expected %g", name,
                  rows[i], (long long)p.scales, rows[i + 2]);
        }
        cm_free(rows);
    }
}

/* (N, mu) of the published runs at k/K = 0, .001, .01, .1, .25, .5, .75, 1. */
static void test_curriculum_values(void)
{
    static const double at[] = {0, .001, .01, .1, .25, .5, .75, 1};
    static const struct {
        int64_t end;
        double start_ema;
        int scales[8];
        double mu[8];
    } runs[] = {
        {200,
         0.95,
         {2, 7, 21, 64, 101, 143, 175, 201},
         {.9025, .983048, .994884, .998373, .998975, .999278, .999411, .999487}},
        {150,
         0.95,
         {2, 6, 16, 48, 76, 107, 131, 151},
         {.9025, .979692, .993184, .99782, .998633, .999033, .999211, .999316}},
        {150,
         0.90,
         {2, 6, 16, 48, 76, 107, 131, 151},
         {.81, .958732, .98605, .995527, .997194, .998014, .99838, .998596}},
    };
    for (size_t r = 0; r < 3; r++) {
        const cm_curriculum c = {.target_ema = cm_target_ema_mode_find("adaptive"),
                                 .scale = cm_scale_mode_find("progressive"),
                                 .start_ema = runs[r].start_ema,
                                 .start_scales = 2,
                                 .end_scales = runs[r].end,
                                 .total_steps = 800000};
        for (size_t i = 0; i < 8; i++) {
            const cm_curriculum_point p = cm_curriculum_at(&c, llround(at[i] * 800000));
            CHECK(p.scales == runs[r].scales[i], "run %zu, k/K = %g: N = %lld", r, at[i],
                  (long long)p.scales);
            check_relative("mu", i, p.target_ema, runs[r].mu[i], 1e-6);
        }
        CHECK(cm_curriculum_at(&c, 5000000).scales == runs[r].end + 1, "beyond K");
    }
}

static void test_curriculum_check(void)
{
    const cm_curriculum good = {.target_ema = cm_target_ema_mode_find("adaptive"),
                                .scale = cm_scale_mode_find("progressive"),
                                .start_ema = 0.95,
                                .start_scales = 2,
                                .end_scales = 150,
                                .total_steps = 1000};
    cm_error err = {0};
    cm_curriculum bad[7];
    for (int i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].scale = cm_scale_mode_find("fixed");
    bad[1].start_ema = 0; /* ln(0) */
    bad[2].start_ema = (double)NAN;
    bad[3].start_ema = 1.5;
    bad[4].start_scales = 1;
    bad[5].end_scales = 0;
    bad[6].total_steps = 0;
    CHECK_OK(cm_curriculum_check(&good, &err), err);
    for (int i = 0; i < 7; i++)
        CHECK(cm_curriculum_check(&bad[i], &err) == CM_ERR_ARGUMENT, "curriculum %d taken", i);
    cm_curriculum_check(&bad[0], &err);
    CHECK(strstr(err.message, "adaptive") && strstr(err.message, "scale-mode fixed"), "%s",
          err.message);
    CHECK(!cm_scale_mode_find("linear") && !cm_scale_mode_find("progdist"), "no such mode");
}

int main(void)
{
    static const check_test tests[] = {
        {"grid_golden", test_grid_golden},
        {"grid_values", test_grid_values},
        {"schedule_check", test_schedule_check},
        {"precondition_golden", test_precondition_golden},
        {"precondition_values", test_precondition_values},
        {"weightings", test_weightings},
        {"time_inputs", test_time_inputs},
        {"curriculum_golden", test_curriculum_golden},
        {"curriculum_values", test_curriculum_values},
        {"curriculum_check", test_curriculum_check},
    };
    goldens = golden_open("schedules.safetensors");
    const int status = check_main(tests, sizeof tests / sizeof *tests);
    cm_st_close(goldens);
    return status;
}
