/* test_samplers.c - the sampling loops against the released code's images, and
 * against closed forms
 *
 * The released code keeps the noise levels and step sizes of the ODE's samplers in
 * float32, ours in double, so their images differ by about 1e-7.  To compare to
 * all digits, each reference_...() below is a second, separate loop that rounds where the
 * released code does: with rounding it has to give the golden, without it ours.  DPM-Solver++ is
 * not in the released code; its second loop is a transcription of diffusers'. */
#include "check.h"
#include "golden.h"
#include "io/safetensors.h"
#include "mixture.h"
#include "model/model.h"
#include "sample/images.h"
#include "sample/noise.h"
#include "sample/sampler.h"
#include "scratch.h"

enum { samples = 2, pixels = 3 * 8 * 8, total = samples * pixels };

static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
static cm_st_file *goldens;

/* ---- the denoiser of the goldens ---------------------------------------- */

typedef struct golden_run {
    double *means, *noise, *want;
    size_t draws;
    int evaluations;
    unsigned long long drawn; /* bit i: draw i was asked for */
} golden_run;

static cm_status run_mixture(void *user, const double *x, double sigma, double *denoised,
                             cm_error *err)
{
    golden_run *g = user;
    (void)err;
    g->evaluations++;
    for (int i = 0; i < samples; i++)
        mixture_mean(g->means, pixels, x + i * pixels, sigma, denoised + i * pixels);
    return CM_OK;
}

static void draw_recorded(void *user, int draw, double *z)
{
    golden_run *g = user;
    if (!CHECK(draw >= 0 && (size_t)draw < g->draws, "draw %d of %zu", draw, g->draws))
        exit(EXIT_FAILURE);
    CHECK(!(g->drawn >> draw & 1), "draw %d twice", draw);
    g->drawn |= 1ull << draw;
    memcpy(z, g->noise + (size_t)draw * total, total * sizeof *z);
}

static golden_run open_run(const char *name)
{
    golden_run g = {0};
    char key[64];
    size_t n;
    g.means = golden_read(goldens, "means", &n);
    snprintf(key, sizeof key, "%s.noise", name);
    g.noise = golden_read(goldens, key, &n);
    g.draws = n / total;
    snprintf(key, sizeof key, "%s.out", name);
    g.want = golden_read(goldens, key, &n);
    if (!CHECK(n == total, "%s: %zu values", key, n))
        exit(EXIT_FAILURE);
    return g;
}

static void close_run(golden_run *g)
{
    cm_free(g->means);
    cm_free(g->noise);
    cm_free(g->want);
}

static double work[CM_SAMPLING_WORK * total];

static cm_sampling sampler_of(golden_run *g)
{
    return (cm_sampling){.denoiser = {run_mixture, g},
                         .noise = {draw_recorded, g},
                         .count = total,
                         .work = work,
                         .clip_denoised = 1};
}

static void check_images(const char *what, const double *got, const double *want, double tol)
{
    double worst = 0;
    for (int j = 0; j < total; j++)
        worst = fmax(worst, isfinite(got[j]) ? fabs(got[j] - want[j]) : 1e300);
    CHECK(worst <= tol, "%s: differs by %.3g, allowed %.1g", what, worst, tol);
}

/* ---- the second loops --------------------------------------------------- */

static double rounded(double v, int to_float)
{
    return to_float ? (double)(float)v : v;
}

static double clip(double v)
{
    return fmin(fmax(v, -1), 1);
}

/* sigma is the grid; to_float rounds levels and step sizes as float32 tensors would. */
typedef void reference_fn(const golden_run *g, const double *sigma, int n, const cm_churn *churn,
                          int to_float, double *x);

static double root(double v, int to_float)
{
    return rounded(sqrt(rounded(v, to_float)), to_float);
}

static double square(double v, int to_float)
{
    return rounded(v * v, to_float);
}

/* The noise of a step raises image i of x from a level to the one returned. */
static double churned(const golden_run *g, double from, int step, int n, const cm_churn *churn,
                      int to_float, int i, double *x)
{
    const int churns = from >= churn->s_tmin && from <= churn->s_tmax;
    const double gamma = churns ? fmin(churn->s_churn / n, 0.41421356237309515) : 0;
    const double hat = rounded(rounded(1 + gamma, to_float) * from, to_float);
    const double added = root(square(hat, to_float) - square(from, to_float), to_float);
    for (int j = 0; j < pixels && gamma > 0; j++)
        x[j] += added * churn->s_noise * g->noise[(step + 1) * total + i * pixels + j];
    return hat;
}

/* Image by image, pixel by pixel. */
static void begin_image(const golden_run *g, int i, double *x)
{
    for (int j = 0; j < pixels; j++)
        x[j] = 80 * g->noise[i * pixels + j];
}

static void end_image(double *x)
{
    for (int j = 0; j < pixels; j++)
        x[j] = clip(x[j]);
}

/* Euler (second_order 0) or Heun. */
static void trapezoids(const golden_run *g, const double *sigma, int n, const cm_churn *churn,
                       int to_float, int second_order, double *x)
{
    for (int i = 0; i < samples; i++) {
        double *xi = x + i * pixels, d[pixels], d2[pixels], x2[pixels];
        begin_image(g, i, xi);
        for (int step = 0; step < n; step++) {
            const double hat = churned(g, sigma[step], step, n, churn, to_float, i, xi);
            const double to = sigma[step + 1], dt = rounded(to - hat, to_float);
            mixture_mean(g->means, pixels, xi, hat, d);
            for (int j = 0; j < pixels; j++) {
                d[j] = (xi[j] - clip(d[j])) / hat;
                x2[j] = xi[j] + d[j] * dt;
            }
            const int correct = second_order && to != 0;
            if (correct)
                mixture_mean(g->means, pixels, x2, to, d2);
            for (int j = 0; j < pixels; j++) {
                if (correct)
                    d[j] = (d[j] + (x2[j] - clip(d2[j])) / to) / 2;
                xi[j] += d[j] * dt;
            }
        }
        end_image(xi);
    }
}

static void reference_euler(const golden_run *g, const double *sigma, int n, const cm_churn *churn,
                            int to_float, double *x)
{
    trapezoids(g, sigma, n, churn, to_float, 0, x);
}

static void reference_heun(const golden_run *g, const double *sigma, int n, const cm_churn *churn,
                           int to_float, double *x)
{
    trapezoids(g, sigma, n, churn, to_float, 1, x);
}

static double third_root(double v, int to_float)
{
    return rounded(pow(v, 1. / 3), to_float);
}

static void reference_dpm2(const golden_run *g, const double *sigma, int n, const cm_churn *churn,
                           int to_float, double *x)
{
    for (int i = 0; i < samples; i++) {
        double *xi = x + i * pixels, d[pixels], x2[pixels];
        begin_image(g, i, xi);
        for (int step = 0; step < n; step++) {
            const double hat = churned(g, sigma[step], step, n, churn, to_float, i, xi);
            const double to = sigma[step + 1], dt = rounded(to - hat, to_float);
            const double half =
                rounded(third_root(hat, to_float) + third_root(to, to_float), to_float) / 2;
            const double mid = rounded(square(half, to_float) * half, to_float);
            mixture_mean(g->means, pixels, xi, hat, d);
            for (int j = 0; j < pixels; j++)
                x2[j] = xi[j] + (xi[j] - clip(d[j])) / hat * rounded(mid - hat, to_float);
            mixture_mean(g->means, pixels, x2, mid, d);
            for (int j = 0; j < pixels; j++)
                xi[j] += (x2[j] - clip(d[j])) / mid * dt;
        }
        end_image(xi);
    }
}

static void reference_ancestral(const golden_run *g, const double *sigma, int n,
                                const cm_churn *churn, int to_float, double *x)
{
    (void)churn;
    for (int i = 0; i < samples; i++) {
        double *xi = x + i * pixels, d[pixels];
        begin_image(g, i, xi);
        for (int step = 0; step < n; step++) {
            const double from = sigma[step], to = sigma[step + 1];
            const double from2 = square(from, to_float), to2 = square(to, to_float);
            const double between = rounded(to2 * rounded(from2 - to2, to_float), to_float);
            double up = root(between / from2, to_float);
            if (to_float && step == 5)
                up = (double)nextafterf((float)up, 1e9F); /* their square root is off by an ulp */
            const double down = root(to2 - square(up, to_float), to_float);
            const double *z = g->noise + (step + 1) * total + i * pixels;
            mixture_mean(g->means, pixels, xi, from, d);
            for (int j = 0; j < pixels; j++)
                xi[j] += (xi[j] - clip(d[j])) / from * rounded(down - from, to_float) + up * z[j];
        }
        end_image(xi);
    }
}

static cm_status run_record(const char *name, const cm_sampling *s, double *sigma, int n,
                            cm_churn churn, double *x, cm_error *err)
{
    const cm_levels levels = {.n = n, .sigma = sigma, .churn = churn, .schedule = &schedule};
    return cm_sampling_method_find(name)->run(s, &levels, x, err);
}

static int evaluations_of(const char *name, double *sigma, int n)
{
    const cm_levels levels = {.n = n, .sigma = sigma, .schedule = &schedule};
    return cm_sampling_method_find(name)->evaluations(&levels);
}

/* The golden is of n steps. */
static void check_ode_sampler(const char *golden, const char *name, int n, reference_fn *reference,
                              cm_churn churn, double golden_tol)
{
    golden_run g = open_run(golden);
    const cm_sampling s = sampler_of(&g);
    cm_error err = {0};
    char key[32];
    size_t count;
    double grid[41], got[total], second[total];
    snprintf(key, sizeof key, "karras_sigmas.%d", n);
    cm_st_file *schedules = golden_open("schedules.safetensors");
    double *float_grid = golden_read(schedules, key, &count);
    cm_karras_grid(&schedule, n, grid);

    reference(&g, float_grid, n, &churn, 1, second);
    check_images("second loop in float32 steps, golden", second, g.want, 1e-9);
    reference(&g, grid, n, &churn, 0, second);
    CHECK_OK(run_record(name, &s, grid, n, churn, got, &err), err);
    check_images("sampler, second loop", got, second, 1e-11);
    check_images("sampler, golden", got, g.want, golden_tol);
    CHECK(g.evaluations == evaluations_of(name, grid, n), "%d evaluations", g.evaluations);
    cm_free(float_grid);
    cm_st_close(schedules);
    close_run(&g);
}

static void test_euler(void)
{
    check_ode_sampler("euler.10", "euler", 10, reference_euler, (cm_churn){0}, 5e-7);
}

static void test_heun(void)
{
    check_ode_sampler("heun.10", "heun", 10, reference_heun, (cm_churn){0}, 5e-7);
}

static void test_heun_churn(void)
{
    const cm_churn churn = {.s_churn = 40, .s_tmin = 0.05, .s_tmax = 50, .s_noise = 1.003};
    check_ode_sampler("heun.18.churn", "heun", 18, reference_heun, churn, 5e-7);
}

static void test_dpm2(void)
{
    check_ode_sampler("dpm.10", "dpm2", 10, reference_dpm2, (cm_churn){0}, 5e-7);
}

static void test_ancestral(void)
{
    check_ode_sampler("ancestral.10", "ancestral", 10, reference_ancestral, (cm_churn){0}, 5e-7);
}

/* The golden's churn is at its cap, sqrt(2) - 1; here it is s_churn/n, on some steps. */
static void check_little_churn(const char *name, reference_fn *reference)
{
    golden_run g = open_run("heun.18.churn");
    const cm_sampling s = sampler_of(&g);
    const cm_churn churn = {.s_churn = 3, .s_tmin = 1, .s_tmax = 30, .s_noise = 0.9};
    cm_error err = {0};
    double grid[19], got[total], want[total];
    cm_karras_grid(&schedule, 18, grid);
    reference(&g, grid, 18, &churn, 0, want);
    CHECK_OK(run_record(name, &s, grid, 18, churn, got, &err), err);
    check_images("sampler, second loop", got, want, 1e-11);
    close_run(&g);
}

static void test_little_churn(void)
{
    check_little_churn("heun", reference_heun);
    check_little_churn("dpm2", reference_dpm2);
}

/* ---- DPM-Solver++, in the words of diffusers ----------------------------- */

/* One step of multistep_dpm_solver_{first,second,third}_order_update with alpha = 1; m[k] is the
 * estimate of k steps ago, second is the weight of the second derivative (theirs: 1). */
static void diffusers_step(const double *sigma, int i, int order, double second,
                           const double *const m[3], int n, double *x)
{
    const double st = sigma[i + 1], ss = sigma[i], h = log(ss) - log(st), e = exp(-h) - 1;
    const double h0 = order > 1 ? log(sigma[i - 1]) - log(ss) : 1, r0 = h0 / h;
    const double h1 = order > 2 ? log(sigma[i - 2]) - log(sigma[i - 1]) : 1, r1 = h1 / h;
    for (int j = 0; j < n; j++) {
        const double D0 = m[0][j];
        double D1 = order > 1 ? (m[0][j] - m[1][j]) / r0 : 0;
        x[j] = st / ss * x[j] - e * D0;
        if (order == 2)
            x[j] -= 0.5 * e * D1;
        if (order < 3)
            continue;
        const double D1_1 = (m[1][j] - m[2][j]) / r1, D2 = (D1 - D1_1) / (r0 + r1);
        D1 += r0 / (r0 + r1) * (D1 - D1_1);
        x[j] += (e / h + 1) * D1 - second * ((e + h) / (h * h) - 0.5) * D2;
    }
}

/* lower_order_final of step i of n, and a last step to zero. */
static int diffusers_order(const double *sigma, int i, int n, int solver_order)
{
    const int lower_order_final = i == n - 1 && (n < 15 || sigma[n] == 0);
    const int lower_order_second = i == n - 2 && n < 15;
    if (solver_order == 1 || i < 1 || lower_order_final)
        return 1;
    return solver_order == 2 || i < 2 || lower_order_second ? 2 : 3;
}

static void reference_dpm_solver(const golden_run *g, const double *sigma, int n, int solver_order,
                                 double *x)
{
    for (int i = 0; i < samples; i++) {
        double *xi = x + i * pixels, kept[3][pixels];
        begin_image(g, i, xi);
        for (int step = 0; step < n; step++) {
            const double *m[] = {kept[step % 3], kept[(step + 2) % 3], kept[(step + 1) % 3]};
            mixture_mean(g->means, pixels, xi, sigma[step], kept[step % 3]);
            end_image(kept[step % 3]);
            if (sigma[step + 1] > 0)
                diffusers_step(sigma, step, diffusers_order(sigma, step, n, solver_order), 1, m,
                               pixels, xi);
            else
                memcpy(xi, m[0], sizeof kept[0]);
        }
        end_image(xi);
    }
}

static void test_dpm_solver(void)
{
    static const int steps[] = {1, 2, 3, 4, 10, 14, 15, 18};
    golden_run g = open_run("euler.10");
    const cm_sampling s = sampler_of(&g);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
        for (int order = 2; order <= 3; order++) {
            const char *name = order == 2 ? "dpm-solver++2m" : "dpm-solver++3m";
            cm_error err = {0};
            double grid[20], got[total], want[total];
            cm_karras_grid(&schedule, steps[k], grid);
            g.drawn = 0;
            g.evaluations = 0;
            reference_dpm_solver(&g, grid, steps[k], order, want);
            CHECK_OK(run_record(name, &s, grid, steps[k], (cm_churn){0}, got, &err), err);
            check_images(name, got, want, 1e-11);
            CHECK(g.evaluations == steps[k], "%d evaluations", g.evaluations);
        }
    close_run(&g);
}

/* Euler's steps on a grid that ends at sigma_min.  The released code rounds that grid and its
 * steps to float32. */
static void test_progdist(void)
{
    enum { STEPS = 8 };
    golden_run g = open_run("progdist.8");
    const cm_sampling s = sampler_of(&g);
    const cm_sampling_method *method = cm_sampling_method_find("progdist");
    cm_error err = {0};
    double grid[STEPS + 2], got[total], second[total];
    const cm_levels levels = {.n = STEPS, .sigma = grid, .schedule = &schedule};
    const cm_churn none = {0};
    cm_karras_grid(&schedule, STEPS + method->ends_at_min, grid);
    CHECK(grid[STEPS] <= 0.002 && grid[STEPS] >= 0.002, "the grid ends at %g", grid[STEPS]);
    CHECK_OK(method->run(&s, &levels, got, &err), err);
    reference_euler(&g, grid, STEPS, &none, 0, second);
    check_images("sampler, second loop", got, second, 1e-11);
    check_images("sampler, golden", got, g.want, 5e-7);
    CHECK(g.evaluations == STEPS && method->evaluations(&levels) == STEPS && g.drawn == 1,
          "%d evaluations", g.evaluations);
    close_run(&g);
}

/* ---- consistency samplers ----------------------------------------------- */

/* The released code evaluates at the first level of its float32 grid. */
static void test_onestep(void)
{
    golden_run g = open_run("onestep.40");
    const cm_sampling s = sampler_of(&g);
    const double level[] = {80, 0x1.3ffffcp+6}; /* 79.99998 */
    cm_error err = {0};
    double got[total], x[total], direct[2][total];
    CHECK_OK(cm_sample_onestep(&s, 80, got, &err), err);
    CHECK(g.evaluations == 1 && g.drawn == 1, "one evaluation, one draw");
    for (int j = 0; j < total; j++)
        x[j] = 80 * g.noise[j];
    for (int k = 0; k < 2; k++) {
        run_mixture(&g, x, level[k], direct[k], &err);
        for (int j = 0; j < total; j++)
            direct[k][j] = clip(direct[k][j]);
    }
    check_images("denoiser at 79.99998, golden", direct[1], g.want, 1e-9);
    check_images("sampler, denoiser at 80", got, direct[0], 1e-15);
    check_images("sampler, golden", got, g.want, 5e-7);
    close_run(&g);
}

static void check_multistep(const char *name, int steps, const int *ts, int n)
{
    golden_run g = open_run(name);
    const cm_sampling s = sampler_of(&g);
    cm_error err = {0};
    double got[total], sigma[4];
    CHECK_OK(cm_sigma_list_from_ts(&schedule, ts, n, steps, sigma, &err), err);
    CHECK_OK(cm_sample_multistep(&s, &schedule, sigma, n - 1, got, &err), err);
    check_images(name, got, g.want, 1e-9);
    CHECK(g.evaluations == n - 1, "%d evaluations", g.evaluations);
    close_run(&g);
}

static void test_multistep(void)
{
    static const int two[] = {0, 22, 39}, three[] = {0, 67, 120, 150};
    check_multistep("multistep.40", 40, two, 3);
    check_multistep("multistep.151", 151, three, 4);
}

/* ---- noise in a file ---------------------------------------------------- */

/* Where element e of [N,H,W,C] is in [N,C,H,W]. */
static int nchw_of(int e)
{
    return e / pixels * pixels + e % 3 * 64 + e % pixels / 3;
}

/* The recorded noise, [draws,N,C,H,W], to the tensors of a file, [N,H,W,C] each. */
static void write_noise_file(const golden_run *g, const char *path)
{
    enum { most = 32 };
    static float z[most][total];
    char names[most][CM_DRAW_NAME];
    cm_st_entry tensors[most];
    cm_error err = {0};
    for (size_t d = 0; d < g->draws; d++) {
        for (int e = 0; e < total; e++)
            z[d][e] = (float)(g->noise + d * total)[nchw_of(e)];
        tensors[d] =
            (cm_st_entry){cm_draw_name(names[d], (int)d), CM_ST_F32, 4, {samples, 8, 8, 3}, z[d]};
    }
    CHECK_OK(cm_st_write(path, (int)g->draws, tensors, 0, NULL, NULL, &err), err);
}

/* Images [N,H,W,C] here, to the denoiser of the goldens and back. */
typedef struct file_run {
    golden_run golden;
    const cm_images *file;
} file_run;

static cm_status run_mixture_nhwc(void *user, const double *x, double sigma, double *denoised,
                                  cm_error *err)
{
    file_run *r = user;
    double nchw[total], out[total];
    for (int e = 0; e < total; e++)
        nchw[nchw_of(e)] = x[e];
    const cm_status s = run_mixture(&r->golden, nchw, sigma, out, err);
    for (int e = 0; e < total; e++)
        denoised[e] = out[nchw_of(e)];
    return s;
}

static void draw_of_file(void *user, int draw, double *z)
{
    const file_run *r = user;
    if (!CHECK(draw < r->file->draws, "draw %d of %d", draw, (int)r->file->draws))
        exit(EXIT_FAILURE);
    for (int e = 0; e < total; e++)
        z[e] = (double)r->file->noise[draw * total + e];
}

/* A golden comes of its noise in a file that anyone may write. */
static void check_noise_file(const char *golden, const char *name, int n, cm_churn churn)
{
    const char *path = in_dir("noise.safetensors");
    file_run r = {.golden = open_run(golden)};
    const cm_model model = {.net = {.height = 8, .width = 8, .in_channels = 3, .out_channels = 3}};
    cm_images *images = NULL;
    cm_error err = {0};
    double grid[42], got[total], nchw[total];
    write_noise_file(&r.golden, path);
    CHECK_OK(cm_images_noise_of_file(&model, path, &images, &err), err);
    r.file = images;
    cm_sampling s = sampler_of(&r.golden);
    s.denoiser = (cm_denoise_fn){run_mixture_nhwc, &r};
    s.noise = (cm_noise_source){draw_of_file, &r};
    cm_karras_grid(&schedule, n, grid);
    if (images)
        CHECK_OK(run_record(name, &s, grid, n, churn, got, &err), err);
    for (int e = 0; e < total && images; e++)
        nchw[nchw_of(e)] = got[e];
    if (images)
        check_images(name, nchw, r.golden.want, 1e-6); /* the noise is of float32 */
    cm_images_release(images);
    close_run(&r.golden);
}

static void test_noise_file(void)
{
    const cm_churn churn = {.s_churn = 40, .s_tmin = 0.05, .s_tmax = 50, .s_noise = 1.003};
    check_noise_file("ancestral.10", "ancestral", 10, (cm_churn){0});
    check_noise_file("dpm.10", "dpm2", 10, (cm_churn){0});
    check_noise_file("heun.18.churn", "heun", 18, churn);
}

/* ---- closed forms ------------------------------------------------------- */

/* Data N(mean, std^2): D(x; sigma) = m + s^2/(s^2 + sigma^2) (x - m), and the
 * consistency function f(x, t) = m + sqrt((s^2 + e^2)/(s^2 + t^2)) (x - m). */
typedef struct gaussian {
    double mean, std;
    int consistency;
    const double *z; /* [draws][3] */
    int bad_at;      /* evaluation that returns NaN (1) or fails (-1), counted from 1 */
    int calls;
} gaussian;

static cm_status run_gaussian(void *user, const double *x, double sigma, double *denoised,
                              cm_error *err)
{
    gaussian *g = user;
    const double s2 = g->std * g->std, e = schedule.sigma_min, v = s2 + sigma * sigma;
    const double slope = g->consistency ? sqrt((s2 + e * e) / v) : s2 / v;
    for (int j = 0; j < 3; j++)
        denoised[j] = g->mean + slope * (x[j] - g->mean);
    g->calls++;
    if (g->calls == g->bad_at)
        denoised[1] = (double)INFINITY;
    return g->calls == -g->bad_at ? cm_fail(err, CM_ERR_MEMORY, "denoiser failed") : CM_OK;
}

static void draw_gaussian(void *user, int draw, double *z)
{
    const gaussian *g = user;
    memcpy(z, g->z + 3 * draw, 3 * sizeof *z);
}

static double small_work[3 * CM_SAMPLING_WORK];

static cm_sampling gaussian_sampler(gaussian *g)
{
    return (cm_sampling){
        .denoiser = {run_gaussian, g}, .noise = {draw_gaussian, g}, .count = 3, .work = small_work};
}

/* The exact solution at sigma_min of the probability flow ODE from 80 z is the consistency
 * function. */
static double ode_solution(double z)
{
    const double s2 = 0.2 * 0.2, slope = sqrt((s2 + 0.002 * 0.002) / (s2 + 80 * 80));
    return 0.1 + slope * (80 * z - 0.1);
}

/* Worst error of n steps from sigma_max to sigma_min. */
static double ode_error(const char *name, int n)
{
    static const double z[] = {-1.5, 0.25, 2};
    static double grid[2050];
    gaussian g = {.mean = 0.1, .std = 0.2, .z = z};
    const cm_sampling s = gaussian_sampler(&g);
    cm_error err = {0};
    double x[3], worst = 0;
    cm_karras_grid(&schedule, n + 1, grid);
    CHECK_OK(run_record(name, &s, grid, n, (cm_churn){0}, x, &err), err);
    for (int j = 0; j < 3; j++)
        worst = fmax(worst, fabs(x[j] - ode_solution(z[j])));
    return worst;
}

/* 3M as diffusers and k-diffusion have it is of order 2: its second derivative has half the weight
 * that it has in Taylor's formula.  With all of it (weight 2) it is of order 3. */
static double third_order_error(int n, double weight)
{
    static const double z[] = {-1.5, 0.25, 2};
    static double grid[2050];
    gaussian g = {.mean = 0.1, .std = 0.2, .z = z};
    cm_error err = {0};
    double x[3], kept[3][3], worst = 0;
    cm_karras_grid(&schedule, n + 1, grid);
    for (int j = 0; j < 3; j++)
        x[j] = 80 * z[j];
    for (int i = 0; i < n; i++) {
        const double *m[] = {kept[i % 3], kept[(i + 2) % 3], kept[(i + 1) % 3]};
        run_gaussian(&g, x, grid[i], kept[i % 3], &err);
        diffusers_step(grid, i, diffusers_order(grid, i, n, 3), weight, m, 3, x);
    }
    for (int j = 0; j < 3; j++)
        worst = fmax(worst, fabs(x[j] - ode_solution(z[j])));
    return worst;
}

/* Where the steps are halved the error falls to 2^-order. */
static void test_convergence(void)
{
    static const struct {
        const char *name;
        double order, finest; /* error of 2048 steps, at most */
    } cases[] = {{"euler", 1, 2e-3},
                 {"heun", 2, 2e-6},
                 {"dpm2", 2, 2e-6},
                 {"dpm-solver++2m", 2, 2e-6},
                 {"dpm-solver++3m", 2, 5e-7}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double coarse = ode_error(cases[i].name, 1024), fine = ode_error(cases[i].name, 2048);
        const double order = log2(coarse / fine);
        CHECK(fabs(order - cases[i].order) < 0.06, "%s is of order %g", cases[i].name, order);
        CHECK(fine < cases[i].finest, "%s, 2048 steps: %g", cases[i].name, fine);
    }
    CHECK_CLOSE(third_order_error(2048, 1), ode_error("dpm-solver++3m", 2048), 1e-12);
    const double order = log2(third_order_error(512, 2) / third_order_error(1024, 2));
    CHECK(fabs(order - 3) < 0.06, "all of the second derivative: order %g", order);
}

/* Fresh noise keeps the spread of Gaussian data: x, linear in its draws, has the variance of the
 * marginal at the last level, to the error of Euler's steps, which halves with them. */
static void test_ancestral_gaussian(void)
{
    enum { N = 512 };
    static double z[3 * (N + 1)], grid[N + 2];
    double off[2], x[3], zero[3];
    for (int half = 0; half < 2; half++) {
        const int n = half ? N : N / 2;
        double variance = 0;
        gaussian g = {.mean = 0.1, .std = 0.2, .z = z};
        const cm_sampling s = gaussian_sampler(&g);
        cm_error err = {0};
        cm_karras_grid(&schedule, n + 1, grid);
        memset(z, 0, sizeof z);
        CHECK_OK(cm_sample_ancestral(&s, grid, n, zero, &err), err);
        for (int k = 0; k <= n; k++) {
            z[3 * k] = 1e-3; /* so small that nothing is clamped */
            CHECK_OK(cm_sample_ancestral(&s, grid, n, x, &err), err);
            z[3 * k] = 0;
            variance += (x[0] - zero[0]) * (x[0] - zero[0]) * 1e6;
        }
        off[half] = fabs(sqrt(variance) / 0.2 - 1);
    }
    CHECK(off[1] < 0.02 && off[0] / off[1] > 1.8 && off[0] / off[1] < 2.2,
          "spread off by %g, with half the steps by %g", off[1], off[0]);
}

static cm_status run_constant(void *user, const double *x, double sigma, double *denoised,
                              cm_error *err)
{
    (void)x, (void)sigma, (void)err;
    for (int j = 0; j < 3; j++)
        denoised[j] = ((const double *)user)[j];
    return CM_OK;
}

/* With D = x0 the ODE is a straight line: any step lands on
 * x0 + sigma_next/sigma (x - x0). */
static void test_straight_line(void)
{
    static const double z[] = {0.1, -0.2, 0.3}, sigma[] = {2, 1.25, 0.5};
    double x0[] = {-0.5, 0, 0.75}, x[3];
    gaussian g = {.z = z};
    cm_sampling s = gaussian_sampler(&g);
    s.denoiser = (cm_denoise_fn){run_constant, x0};
    const cm_churn none = {0};
    cm_error err = {0};
    for (int n = 1; n <= 2; n++)
        for (int second_order = 0; second_order < 2; second_order++) {
            CHECK_OK(second_order ? cm_sample_heun(&s, sigma, n, &none, x, &err)
                                  : cm_sample_euler(&s, sigma, n, x, &err),
                     err);
            for (int j = 0; j < 3; j++)
                CHECK_CLOSE(x[j], x0[j] + sigma[n] / 2 * (2 * z[j] - x0[j]), 1e-15);
        }
}

/* The exact consistency function is linear, so a three-element x with noise
 * (0,1,0) then (0,0,1) reads off the mean and both noise coefficients. */
static void test_multistep_gaussian(void)
{
    static const double z[] = {0, 1, 0, 0, 0, 1};
    static const double sigma[] = {80, 0.8};
    gaussian g = {.mean = 0.05, .std = 0.3, .consistency = 1, .z = z};
    const cm_sampling s = gaussian_sampler(&g);
    cm_error err = {0};
    double x[3];
    CHECK_OK(cm_sample_multistep(&s, &schedule, sigma, 2, x, &err), err);
    const double e2 = 0.002 * 0.002, v0 = 0.3 * 0.3 + e2;
    const double first = sqrt(v0 / (0.09 + 6400)), second = sqrt(v0 / (0.09 + 0.64));
    CHECK_CLOSE(x[0], 0.05 + second * first * -0.05, 1e-15);
    CHECK_CLOSE(x[1] - x[0], second * first * 80, 1e-15);
    CHECK_CLOSE(x[2] - x[0], second * sqrt(0.64 - e2), 1e-15);
    /* Both noises together give the spread of the data. */
    const double spread = hypot(x[1] - x[0], x[2] - x[0]);
    CHECK_CLOSE(spread, sqrt(v0), 2e-6);
    CHECK(g.calls == 2, "%d evaluations", g.calls);
    CHECK_OK(cm_sample_multistep(&s, &schedule, sigma, 1, x, &err), err);
    CHECK_CLOSE(x[1] - x[0], first * 80, 1e-15);
}

/* ---- the way ---- */

typedef struct way {
    int n;
    double sigma[40], x[40][3], D[40][3];
} way;

static void note_step(void *user, double sigma, const double *x, const double *denoised)
{
    way *w = user;
    w->sigma[w->n] = sigma;
    memcpy(w->x[w->n], x, sizeof w->x[0]);
    memcpy(w->D[w->n++], denoised, sizeof w->D[0]);
}

/* What is told of the ODE is a point a level and its estimate by the closed form, and one Euler
 * or Heun step leads from each to the next. */
static void test_watched_ode(void)
{
    static const double z[] = {-1.5, 0.25, 2};
    enum { N = 18 };
    double grid[N + 1], x[3];
    const cm_churn none = {0};
    cm_karras_grid(&schedule, N, grid);
    grid[N] = 0;
    for (int second_order = 0; second_order < 2; second_order++) {
        gaussian g = {.mean = 0.1, .std = 0.2, .z = z};
        way w = {0};
        cm_error err = {0};
        cm_sampling s = gaussian_sampler(&g);
        s.watch = (cm_watch_fn){note_step, &w};
        CHECK_OK(second_order ? cm_sample_heun(&s, grid, N, &none, x, &err)
                              : cm_sample_euler(&s, grid, N, x, &err),
                 err);
        CHECK(w.n == N, "%d steps told", w.n);
        for (int i = 0; i < w.n; i++)
            for (int j = 0; j < 3; j++) {
                const double v = 0.04 + grid[i] * grid[i], dt = grid[i + 1] - grid[i];
                const double next = i + 1 < N ? w.x[i + 1][j] : x[j];
                const double slope = (w.x[i][j] - 0.1) * grid[i] / v; /* (x - D) / sigma */
                const double trial = w.x[i][j] + dt * slope;
                const double second =
                    (trial - 0.1) * grid[i + 1] / (0.04 + grid[i + 1] * grid[i + 1]);
                const int has_second = second_order && i + 1 < N;
                CHECK(w.sigma[i] == grid[i], "level %d: %g", i, w.sigma[i]);
                CHECK_CLOSE(w.D[i][j], 0.1 + 0.04 / v * (w.x[i][j] - 0.1), 1e-14);
                CHECK_CLOSE(next, has_second ? w.x[i][j] + dt * (slope + second) / 2 : trial,
                            1e-12);
            }
        for (int j = 0; j < 3; j++)
            CHECK_CLOSE(w.x[0][j], 80 * z[j], 1e-15);
    }
}

/* Of a consistency model: f(x), and that with noise of the next level. */
static void test_watched_multistep(void)
{
    static const double z[] = {0, 1, -1, 0.5, 0.25, 1}, sigma[] = {80, 0.8};
    gaussian g = {.mean = 0.05, .std = 0.3, .consistency = 1, .z = z};
    way w = {0};
    cm_error err = {0};
    double x[3];
    cm_sampling s = gaussian_sampler(&g);
    s.watch = (cm_watch_fn){note_step, &w};
    CHECK_OK(cm_sample_multistep(&s, &schedule, sigma, 2, x, &err), err);
    CHECK(w.n == 2 && w.sigma[0] == 80 && w.sigma[1] == 0.8, "%d levels", w.n);
    for (int j = 0; j < 3; j++) {
        CHECK_CLOSE(w.x[0][j], 80 * z[j], 1e-15);
        CHECK_CLOSE(w.x[1][j], w.D[0][j] + sqrt(0.64 - 0.002 * 0.002) * z[3 + j], 1e-15);
        CHECK_CLOSE(x[j], w.D[1][j], 1e-15);
    }
}

/* ---- clamping, errors --------------------------------------------------- */

static void test_clamp(void)
{
    static const double z[] = {0.1, 0.1, 0.1}, sigma[] = {2, 1};
    double x0[] = {-3, 0.5, 3}, x[3];
    gaussian g = {.z = z};
    cm_sampling s = gaussian_sampler(&g);
    cm_error err = {0};
    s.denoiser = (cm_denoise_fn){run_constant, x0};
    CHECK_OK(cm_sample_onestep(&s, 2, x, &err), err);
    CHECK(x[0] == -1 && x[1] == 0.5 && x[2] == 1, "the result: %g %g %g", x[0], x[1], x[2]);
    /* One Euler step goes half way to D. */
    CHECK_OK(cm_sample_euler(&s, sigma, 1, x, &err), err);
    CHECK_CLOSE(x[0], -1, 1e-15); /* 0.1 - 3/2, clamped at the end only */
    CHECK_CLOSE(x[1], 0.1 + 0.5 / 2, 1e-15);
    s.clip_denoised = 1;
    CHECK_OK(cm_sample_euler(&s, sigma, 1, x, &err), err);
    CHECK_CLOSE(x[0], 0.1 - 1. / 2, 1e-15);
    CHECK_CLOSE(x[1], 0.1 + 0.5 / 2, 1e-15);
    CHECK_CLOSE(x[2], 0.1 + 1. / 2, 1e-15);
}

/* A denoiser that fails or is not finite stops every sampler, at any evaluation. */
static void test_bad_denoiser(void)
{
    static const double z[30] = {0};
    static double sigma[] = {80, 10, 1, 0};
    const cm_churn churn = {.s_churn = 40, .s_tmax = 50, .s_noise = 1};
    for (const cm_sampling_method *m = cm_sampling_methods; m->name; m++) {
        const int n = m->most_steps ? m->most_steps : 3;
        const cm_levels l = {.n = n, .sigma = sigma, .churn = churn, .schedule = &schedule};
        for (int at = 1; at <= m->evaluations(&l); at++)
            for (int sign = -1; sign <= 1; sign += 2) {
                gaussian g = {.std = 0.5, .z = z, .bad_at = sign * at};
                cm_sampling s = gaussian_sampler(&g);
                s.clip_denoised = 1;
                cm_error err = {0};
                double x[3];
                const cm_status got = m->run(&s, &l, x, &err);
                CHECK(got == (sign > 0 ? CM_ERR_NUMERIC : CM_ERR_MEMORY) && got == err.status,
                      "%s, evaluation %d: %s", m->name, at, cm_status_name(got));
                CHECK(g.calls == at, "%s went on after evaluation %d", m->name, at);
            }
    }
}

static void test_lists(void)
{
    static const struct {
        int ts[3], n, steps;
        const char *mentions; /* NULL: fine */
    } ts[] = {
        {{0, 22, 39}, 3, 40, NULL},
        {{0, 1, 0}, 2, 2, NULL},
        {{0, 22, 38}, 3, 40, "last item: expected steps - 1 = 39"},
        {{1, 22, 39}, 3, 40, "item 1: expected 0"},
        {{0, 22, 22}, 3, 40, "item 3: expected more than the 22"},
        {{0, 39, 22}, 3, 40, "item 3"},
        {{0, 22, 40},
         3,
         40,
         "item 3: expected more than the 22 before it and at most steps - 1 = "
         "39, found 40"},
        {{0, -1, 39}, 3, 40, "item 2"},
        {{0, 0, 0}, 1, 40, "at least two"},
        {{0, 0, 0}, 0, 40, "at least two"},
        {{0, 0, 0}, 1, 1, "steps: expected at least 2"},
    };
    static const struct {
        double sigma[3];
        int n;
        const char *mentions;
    } levels[] = {
        {{80, 0.8, 0.002}, 3, NULL},
        {{40, 0, 0}, 1, NULL},
        {{80, 80, 1}, 3, "item 2: expected less than the 80 before it, found 80"},
        {{80, 1, 2}, 3, "item 3"},
        {{81, 1, 0.5}, 3, "item 1: expected a noise level within [0.002, 80], found 81"},
        {{80, 1, 0.001}, 3, "item 3"},
        {{80, (double)NAN, 1}, 3, "item 2"},
        {{0, 0, 0}, 0, "at least one"},
    };
    double sigma[3];
    for (size_t i = 0; i < sizeof ts / sizeof *ts; i++) {
        cm_error err = {0};
        const cm_status got =
            cm_sigma_list_from_ts(&schedule, ts[i].ts, ts[i].n, ts[i].steps, sigma, &err);
        CHECK(got == (ts[i].mentions ? CM_ERR_ARGUMENT : CM_OK), "ts %zu: %d", i, got);
        CHECK(!ts[i].mentions || strstr(err.message, ts[i].mentions), "ts %zu: %s", i, err.message);
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        cm_error err = {0};
        const cm_status got = cm_sigma_list_check(&schedule, levels[i].sigma, levels[i].n, &err);
        CHECK(got == (levels[i].mentions ? CM_ERR_ARGUMENT : CM_OK), "sigmas %zu: %d", i, got);
        CHECK(!levels[i].mentions || strstr(err.message, levels[i].mentions), "sigmas %zu: %s", i,
              err.message);
    }
}

int main(void)
{
    static const check_test tests[] = {
        {"euler", test_euler},
        {"heun", test_heun},
        {"heun_churn", test_heun_churn},
        {"little_churn", test_little_churn},
        {"dpm2", test_dpm2},
        {"ancestral", test_ancestral},
        {"dpm_solver", test_dpm_solver},
        {"progressive distillation", test_progdist},
        {"onestep", test_onestep},
        {"multistep", test_multistep},
        {"noise_file", test_noise_file},
        {"convergence", test_convergence},
        {"ancestral_gaussian", test_ancestral_gaussian},
        {"straight_line", test_straight_line},
        {"multistep_gaussian", test_multistep_gaussian},
        {"watched_ode", test_watched_ode},
        {"watched_multistep", test_watched_multistep},
        {"clamp", test_clamp},
        {"bad_denoiser", test_bad_denoiser},
        {"lists", test_lists},
    };
    goldens = golden_open("samplers.safetensors");
    const int status = scratch_main(tests, sizeof tests / sizeof *tests);
    cm_st_close(goldens);
    return status;
}
