/* test_edits.c - what every edit promises of any estimate, and the loops around it against
 * closed forms */
#include "check.h"
#include "data/resize.h"
#include "sample/edit_levels.h"
#include "sample/images.h"
#include "sample/sampler.h"

enum { h = 4, w = 6, c = 3, n = h * w * c };

static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
static const uint8_t mask[h * w] = {0,   127, 255, 255, 0, 0,   0,   128, 255, 255,
                                    255, 0,   255, 0,   0, 200, 127, 0,   255};

/* A number in [-1, 1) of any two. */
static double noise_at(int i, int seed)
{
    const double v = sin(12.9898 * i + 78.233 * seed) * 43758.5453;
    return 2 * (v - floor(v)) - 1;
}

static double luma(const double *rgb)
{
    return 0.2989 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
}

/* The known numbers of an image by their definitions; returns how many. */
static int known_of(const cm_edit_task *t, const cm_known *k, const double *x, double *known)
{
    int m = 0;
    if (t->needs & CM_EDIT_MASK)
        for (int i = 0; i < n; i++)
            if (mask[i / c] < 128)
                known[m++] = x[i];
    if (t->needs & CM_EDIT_COLOUR)
        for (int i = 0; i < h * w; i++)
            known[m++] = luma(x + i * c);
    for (int py = 0; t->needs & CM_EDIT_FACTOR && py < h; py += k->factor)
        for (int px = 0; px < w; px += k->factor)
            for (int ch = 0; ch < c; ch++, m++) {
                known[m] = 0;
                for (int y = py; y < py + k->factor; y++)
                    for (int x1 = px; x1 < px + k->factor; x1++)
                        known[m] += x[(y * w + x1) * c + ch] / (k->factor * k->factor);
            }
    return m;
}

static double distance(const double *a, const double *b, int count)
{
    double worst = 0;
    for (int i = 0; i < count; i++)
        worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* Estimates of any contrast: kept, kept twice, and brought within [-1, 1]. */
static void check_promises(const cm_edit_task *t, double contrast)
{
    const cm_known k = {h, w, c, mask, 2};
    double y[n], seen[n], x0[n], twice[n], want[n], got[n], moved = 0, along = 0;
    for (int i = 0; i < n; i++) {
        y[i] = i % 7 ? noise_at(i, 1) : i % 2 ? 1 : -1;
        x0[i] = contrast * noise_at(i, 2);
        twice[i] = x0[i];
    }
    if (t->needs & CM_EDIT_FACTOR) /* a small picture */
        for (int i = n / 4; i < n; i++)
            y[i] = NAN;
    t->see(&k, y, seen);
    const int m = known_of(t, &k, seen, want);
    t->keep(&k, seen, x0);
    known_of(t, &k, x0, got);
    CHECK(m > 0 && distance(got, want, m) < 1e-12, "%s: kept to %.3g", t->name,
          distance(got, want, m));
    /* The nearest that agrees: what was added is orthogonal to all that agrees with 0. */
    double zero[n] = {0}, inside[n];
    for (int i = 0; i < n; i++)
        inside[i] = noise_at(i, 3);
    t->keep(&k, zero, inside);
    for (int i = 0; i < n; i++) {
        moved = fmax(moved, fabs(x0[i] - twice[i]));
        along += (x0[i] - twice[i]) * inside[i];
    }
    CHECK(moved > 0.1 && fabs(along) < 1e-12 * n, "%s: moved %g, along %g", t->name, moved, along);
    memcpy(twice, x0, sizeof x0);
    t->keep(&k, seen, twice);
    CHECK(distance(twice, x0, n) < 1e-14, "%s: twice is not once", t->name);
    t->settle(&k, seen, x0);
    known_of(t, &k, x0, got);
    CHECK(distance(got, want, m) < 1e-12, "%s: settled to %.3g", t->name, distance(got, want, m));
    for (int i = 0; i < n; i++)
        CHECK(x0[i] >= -1 && x0[i] <= 1, "%s: %g", t->name, x0[i]);
}

static void test_promises(void)
{
    int tried = 0;
    for (const cm_edit_task *t = cm_edit_tasks; t->name; t++)
        for (int i = 0; t->keep && i < 3; i++, tried++)
            check_promises(t, (const double[]){0.001, 1, 4}[i]);
    CHECK(tried == 9, "%d tried", tried);
}

/* An estimate within [-1, 1] that agrees is left as it is. */
static void test_settled(void)
{
    const cm_known k = {h, w, c, mask, 2};
    for (const cm_edit_task *t = cm_edit_tasks; t->name; t++) {
        double seen[n], x0[n], before[n];
        if (!t->keep)
            continue;
        for (int i = 0; i < n; i++) {
            seen[i] = 0.2;
            x0[i] = 0.3 * noise_at(i, 2);
        }
        t->keep(&k, seen, x0);
        memcpy(before, x0, sizeof x0);
        t->settle(&k, seen, x0);
        CHECK(!memcmp(before, x0, sizeof x0), "%s: changed", t->name);
    }
}

static void test_table(void)
{
    for (const cm_edit_task *t = cm_edit_tasks; t->name; t++) {
        CHECK(cm_edit_task_find(t->name) == t, "%s", t->name);
        CHECK(!t->keep == !t->settle, "%s: keep without settle", t->name);
        CHECK(!t->see == !!(t->needs & CM_EDIT_ENDS), "%s: see", t->name);
        CHECK(t->n >= 1 && t->strength > 0 && t->strength <= 1, "%s: strength", t->name);
        CHECK(t->n == 1 || (t->last > 0 && t->last < 1), "%s: falling", t->name);
    }
    CHECK(!cm_edit_task_find("paint") && !cm_edit_task_find(""), "found what is none");
}

/* ---- slerp ---- */

static void test_slerp(void)
{
    static const float z0[] = {3, 0, 0}, z1[] = {0, 3, 0}, z2[] = {0, 0, 0};
    double z[3];
    for (int i = 0; i <= 4; i++) {
        const double angle = acos(-1) / 2 * i / 4;
        cm_slerp(z0, z1, i / 4., 3, z);
        CHECK_CLOSE(z[0], 3 * cos(angle), 1e-15);
        CHECK_CLOSE(z[1], 3 * sin(angle), 1e-15);
    }
    cm_slerp(z0, z0, 0.3, 3, z);
    CHECK_CLOSE(z[0], 3, 1e-15);
    cm_slerp(z2, z1, 0.25, 3, z);
    CHECK_CLOSE(z[1], 0.75, 1e-15);
}

/* ---- loops, with data N(mean, std^2) ------------------------------------- */

enum { count = 3 };
static const double mean = 0.1, std = 0.3;

static cm_status run_gaussian(void *user, const double *x, double sigma, double *denoised,
                              cm_error *err)
{
    (void)err;
    ++*(int *)user;
    for (int i = 0; i < count; i++)
        denoised[i] = mean + std * std / (std * std + sigma * sigma) * (x[i] - mean);
    return CM_OK;
}

static void draw_zero(void *user, int draw, double *z)
{
    (void)user, (void)draw;
    memset(z, 0, count * sizeof *z);
}

static double work[CM_SAMPLING_WORK * count];

/* Up the ODE: x(sigma) - mean grows as sqrt(std^2 + sigma^2). */
static double inversion_error(int steps)
{
    static const double y[count] = {-0.7, 0.1, 0.4};
    double grid[2050], x[count], worst = 0;
    int calls = 0;
    cm_error err = {0};
    const cm_sampling s = {.denoiser = {run_gaussian, &calls}, .count = count, .work = work};
    cm_karras_grid(&schedule, steps + 1, grid);
    memcpy(x, y, sizeof x);
    CHECK_OK(cm_sample_invert(&s, grid, steps, x, &err), err);
    CHECK(calls == 2 * steps, "%d evaluations", calls);
    const double growth = sqrt((std * std + 6400) / (std * std + 0.002 * 0.002));
    for (int i = 0; i < count; i++)
        worst = fmax(worst, fabs(x[i] - (mean + growth * (y[i] - mean)) / 80));
    return worst;
}

static void test_inversion(void)
{
    const double coarse = inversion_error(256), fine = inversion_error(512);
    CHECK(inversion_error(2048) < 2e-5, "2048 steps: %g", inversion_error(2048));
    CHECK(coarse / fine > 3.7 && coarse / fine < 4.3, "of order 2: %g", coarse / fine);
}

/* From a picture with a noise of zero, one step is D of the picture. */
static void test_from(void)
{
    static const double from[count] = {-0.7, 0.1, 0.4}, sigma[] = {2, 0};
    double x[count];
    int calls = 0;
    cm_error err = {0};
    const cm_sampling s = {.denoiser = {run_gaussian, &calls},
                           .noise = {draw_zero, NULL},
                           .from = from,
                           .count = count,
                           .work = work};
    CHECK_OK(cm_sample_onestep(&s, 2, x, &err), err);
    for (int i = 0; i < count; i++)
        CHECK_CLOSE(x[i], mean + 0.09 / 4.09 * (from[i] - mean), 1e-15);
    CHECK_OK(cm_sample_euler(&s, sigma, 1, x, &err), err);
    for (int i = 0; i < count; i++)
        CHECK_CLOSE(x[i], mean + 0.09 / 4.09 * (from[i] - mean), 1e-15);
}

/* Of a constraint that sets the first value, every sampler keeps it to the end. */
static void set_first(void *user, double *x0, int is_last)
{
    *(int *)user += is_last;
    x0[0] = 0.25;
}

static void test_constraint(void)
{
    const cm_churn churn = {.s_churn = 10, .s_tmax = 80, .s_noise = 1};
    double grid[9], x[count];
    int calls = 0, last = 0;
    cm_error err = {0};
    const cm_sampling s = {.denoiser = {run_gaussian, &calls},
                           .noise = {draw_zero, NULL},
                           .constraint = {set_first, &last},
                           .count = count,
                           .work = work};
    cm_karras_grid(&schedule, 8, grid);
    for (int kind = 0; kind < 4; kind++) {
        x[0] = 0;
        CHECK_OK(kind == 0   ? cm_sample_onestep(&s, 80, x, &err)
                 : kind == 1 ? cm_sample_multistep(&s, &schedule, grid, 3, x, &err)
                 : kind == 2 ? cm_sample_euler(&s, grid, 8, x, &err)
                             : cm_sample_heun(&s, grid, 8, &churn, x, &err),
                 err);
        CHECK(x[0] == 0.25 && last == kind + 1, "sampler %d: %g, %d last", kind, x[0], last);
        CHECK(x[1] != 0.25, "the others are free");
    }
}

/* ---- noise levels ---- */

/* What a session of these has: a consistency model, or a teacher with a grid of 5. */
typedef struct levels_case {
    double own[CM_MOST_NOISE_LEVELS + 2], made[CM_MOST_NOISE_LEVELS + 2];
    cm_recipe recipe;
    cm_edit_search search;
    const cm_sampling_method *method;
    cm_levels levels;
} levels_case;

static levels_case *prepare(int of_teacher)
{
    static levels_case c_;
    c_ = (levels_case){.levels = {.sigma = c_.made}};
    c_.recipe.method = cm_sampling_method_default(of_teacher, 0);
    c_.recipe.levels = (cm_levels){.n = 5, .sigma = c_.own, .schedule = &schedule};
    return &c_;
}

static cm_status choose(levels_case *l, const cm_edit *e, cm_error *err)
{
    return cm_edit_levels(&l->recipe, &l->search, cm_edit_task_find(e->task), e, &l->method,
                          &l->levels, err);
}

/* The task's own, by definition; strength: as much of the way of inpaint as is left. */
static void test_levels(void)
{
    cm_error err = {0};
    levels_case *l = prepare(0);
    cm_edit e = cm_edit_default("stroke");
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 10 && l->method->takes_list, "%d levels", l->levels.n); /* .39 of .8 / 19 */
    CHECK(fabs(l->levels.sigma[0] - 5.38) < 0.02, "the paper's, %g", l->levels.sigma[0]);
    CHECK_CLOSE(l->levels.sigma[9], cm_sigma_at(&schedule, 0.8), 1e-12);
    CHECK_OK(cm_sigma_list_check(&schedule, l->levels.sigma, l->levels.n, &err), err);
    e.strength = 1;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 20 && l->levels.sigma[0] == 80, "%g", l->levels.sigma[0]);
    e.strength = 0.15;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 1, "%d levels below the last", l->levels.n);
    CHECK_CLOSE(l->levels.sigma[0], cm_sigma_at(&schedule, 0.85), 1e-12);
    e = cm_edit_default("denoise");
    e.sigma = 0.25;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 1 && l->levels.sigma[0] == 0.25, "%g", l->levels.sigma[0]);
    e = cm_edit_default("inpaint");
    CHECK_OK(choose(l, &e, &err), err);
    CHECK_OK(cm_sigma_list_check(&schedule, l->levels.sigma, l->levels.n, &err), err);
    CHECK(l->levels.sigma[0] == 80 && l->levels.n > 8, "%d levels", l->levels.n);
    l->recipe.one_step = 1;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 1, "%d levels", l->levels.n);
    l = prepare(0);
    l->recipe.list_given = 1;
    l->own[0] = 7;
    l->recipe.levels.n = 1;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 1 && l->levels.sigma[0] == 7, "%g", l->levels.sigma[0]);
    e = cm_edit_default("vary");
    e.strength = 0.5;
    CHECK(choose(l, &e, &err) == CM_ERR_ARGUMENT, "both strength and levels");
    l = prepare(1); /* a grid that begins lower */
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 5 && l->method->of_teacher, "%d levels", l->levels.n);
    CHECK_CLOSE(l->levels.sigma[0], cm_sigma_at(&schedule, 0.5), 1e-12);
    CHECK(l->levels.sigma[4] == 0.002 && l->levels.sigma[5] == 0, "the end of the grid");
}

static cm_status read_search(char *text, int teacher, cm_edit_search *s, cm_error *err)
{
    const cm_model m = {.name = (char[]){"m.safetensors"},
                        .precondition = teacher ? &cm_precondition_edm : &cm_precondition_skip,
                        .net.arch = cm_arch_find("adm"),
                        .schedule = schedule,
                        .edits = text};
    *s = (cm_edit_search){0};
    return cm_edit_search_read(&m, s, err);
}

/* What a search has written into the model file comes before the task's own. */
static void test_search(void)
{
    static char good[] =
        "{\"inpaint\": {\"sigmas\": \"80,5,0.5\", \"score\": 0.9}, \"sculpt\": {}}";
    static char of_teacher[] = "{\"inpaint\": {\"score\": 0.9}, \"vary\": {\"steps\": 7}}";
    char *const bad[] = {(char[]){"{\"inpaint\": 3}"},
                         (char[]){"{\"sculpt\": 3}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"\"}}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"5\", \"score\": \"high\"}}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"5\", \"score_name\": 3}}"},
                         (char[]){"{\"inpaint\": {\"sigmas\": [80]}}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"5,80\"}}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"nan\"}}"},
                         (char[]){"{\"vary\": {\"sigmas\": \"81\"}}"},
                         (char[]){"{\"vary\": {\"steps\": 0}}"},
                         (char[]){"{\"vary\": {\"steps\": 7}}"},
                         (char[]){"[]"},
                         (char[]){"{"}};
    cm_error err = {0};
    levels_case *l = prepare(0);
    cm_edit e = cm_edit_default("inpaint");
    CHECK_OK(read_search(good, 0, &l->search, &err), err);
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 3 && l->levels.sigma[1] == 5, "%d levels", l->levels.n);
    e = cm_edit_default("vary");
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 6, "its own %d", l->levels.n);
    l = prepare(1);
    CHECK_OK(read_search(of_teacher, 1, &l->search, &err), err);
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 7, "%d steps", l->levels.n);
    l->recipe.steps_given = 1;
    CHECK_OK(choose(l, &e, &err), err);
    CHECK(l->levels.n == 5, "%d steps", l->levels.n);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cm_error why = {0};
        CHECK(read_search(bad[i], 0, &l->search, &why) == CM_ERR_FORMAT &&
                  strstr(why.message, "m.safetensors: \"edits\""),
              "%s: %s", bad[i], why.message);
    }
    cm_error why = {0};
    CHECK(read_search(good, 1, &l->search, &why) == CM_ERR_FORMAT &&
              strstr(why.message, "\"sigmas\""),
          "levels of a teacher: %s", why.message);
}

/* ---- sizes ---- */

/* A picture of 4 x 2, each pixel of its own value, in 8 x 8. */
static void test_fit(void)
{
    static uint8_t src[8] = {10, 20, 30, 40, 50, 60, 70, 80};
    const cm_image picture = {.w = 4, .h = 2, .c = 1, .pixels = src};
    uint8_t dst[64], want[64];
    cm_error err = {0};
    CHECK(!cm_fit_find("fill"), "no such fit");
    cm_image_fit_nearest(cm_fit_find("stretch"), &picture, 8, 8, dst);
    for (int i = 0; i < 64; i++)
        CHECK(dst[i] == src[i / 32 * 4 + i % 8 / 2], "stretched, pixel %d: %d", i, dst[i]);
    cm_image_fit_nearest(cm_fit_find("pad"), &picture, 8, 8, dst);
    for (int i = 0; i < 64; i++) {
        const int row = i / 8 - 2;
        CHECK(dst[i] == (row < 0 || row > 3 ? 0 : src[row / 2 * 4 + i % 8 / 2]),
              "padded, pixel %d: %d", i, dst[i]);
    }
    cm_image_fit_nearest(cm_fit_find("crop"), &picture, 8, 8, dst);
    for (int i = 0; i < 64; i++)
        CHECK(dst[i] == src[i / 32 * 4 + 1 + i % 8 / 4], "cropped, pixel %d: %d", i, dst[i]);
    CHECK_OK(cm_image_fit_as(cm_fit_find("crop"), "x", &picture, 8, 8, dst, &err), err);
    CHECK_OK(cm_image_fit("x", src, 2, 4, 1, 8, 8, want, &err), err);
    CHECK(!memcmp(dst, want, 64), "crop is what training does");
    CHECK_OK(cm_image_fit_as(cm_fit_find("pad"), "x", &picture, 8, 8, dst, &err), err);
    for (int i = 0; i < 16; i++)
        CHECK(dst[i] == 45 && dst[48 + i] == 45, "the border is the mean of the corners");
    CHECK(dst[16] < dst[23] && dst[16] < dst[40], "the picture is in the middle");
    CHECK_OK(cm_image_fit_as(cm_fit_find("stretch"), "x", &picture, 2, 2, dst, &err), err);
    CHECK(dst[0] == 15 && dst[1] == 35 && dst[2] == 55 && dst[3] == 75, "%d %d %d %d", dst[0],
          dst[1], dst[2], dst[3]);
}

/* A mask stays one: of its pixels some are picked, and none is made. */
static void test_mask_fit(void)
{
    static uint8_t boards[2][16] = {
        {0, 255, 255, 0, 255, 0, 0, 255, 255, 255, 0, 0, 0, 255, 0, 255},
        {255, 0, 0, 255, 0, 255, 255, 0, 0, 0, 255, 255, 255, 0, 255, 0}};
    const cm_images masks = {.n = 2, .h = 4, .w = 4, .c = 1, .pixels = boards[0]};
    cm_error err = {0};
    cm_images *out = NULL;
    CHECK_OK(cm_images_fit_as(&masks, 2, 2, 1, "stretch", 1, &out, &err), err);
    for (int i = 0; i < 8; i++) {
        const uint8_t want = boards[i / 4][(i / 2 % 2 * 2 + 1) * 4 + i % 2 * 2 + 1];
        CHECK(out->pixels[i] == want, "mask %d: pixel %d: %d", i / 4, i % 4, out->pixels[i]);
    }
    cm_images_release(out);
}

static const check_test tests[] = {
    {"levels", test_levels},         {"search", test_search},       {"fit", test_fit},
    {"promises", test_promises},     {"settled", test_settled},     {"table", test_table},
    {"slerp", test_slerp},           {"inversion", test_inversion}, {"from", test_from},
    {"constraint", test_constraint}, {"mask fit", test_mask_fit},
};

CHECK_MAIN(tests)
