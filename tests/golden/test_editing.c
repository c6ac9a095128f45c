/* test_editing.c - the edits against the released code's images, and against what they promise
 *
 * The released code rotates pixels or patches by an orthogonal matrix, replaces the known
 * coordinates and rotates back; ours are the closed forms. */
#include "check.h"
#include "golden.h"
#include "mixture.h"
#include "sample/edits.h"
#include "sample/sampler.h"

enum { samples = 2, channels = 3, side = 16, pixels = channels * side * side };
enum { total = samples * pixels };

static const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
static cm_st_file *goldens;
static double work[CM_SAMPLING_WORK * total];

/* ---- layout: the goldens are [N,C,H,W], ours [N,H,W,C] ------------------- */

/* Where element i of a golden is. */
static int nhwc(int i)
{
    const int n = i / pixels, c = i / (side * side) % channels, at = i % (side * side);
    return n * pixels + at * channels + c;
}

static void to_nhwc(const double *from, double *to)
{
    for (int i = 0; i < total; i++)
        to[nhwc(i)] = from[i];
}

static void to_nchw(const double *from, double *to)
{
    for (int i = 0; i < total; i++)
        to[i] = from[nhwc(i)];
}

typedef struct golden_run {
    const cm_edit_task *task;
    cm_known known;
    double *means, *noise, *images, *measured, *want;
    double seen[total];
    uint8_t mask[side * side];
} golden_run;

static double *read_as(const char *name, const char *what, size_t expected)
{
    char key[64];
    size_t n;
    snprintf(key, sizeof key, "%s%s%s", name, *name ? "." : "", what);
    double *values = golden_read(goldens, key, &n);
    if (!CHECK(n == expected, "%s: %zu values", key, n))
        exit(EXIT_FAILURE);
    return values;
}

static cm_status run_mixture(void *user, const double *x, double sigma, double *denoised,
                             cm_error *err)
{
    const golden_run *g = user;
    static double in[total], out[total];
    (void)err;
    to_nchw(x, in);
    for (int i = 0; i < samples; i++)
        mixture_mean(g->means, pixels, in + i * pixels, sigma, out + i * pixels);
    to_nhwc(out, denoised);
    return CM_OK;
}

static void draw_recorded(void *user, int draw, double *z)
{
    const golden_run *g = user;
    to_nhwc(g->noise + (size_t)draw * total, z);
}

/* The released code leaves its results as they are, beyond [-1, 1] too. */
static void keep_known(void *user, double *x0, int is_last)
{
    const golden_run *g = user;
    (void)is_last;
    for (int i = 0; i < samples; i++)
        g->task->keep(&g->known, g->seen + i * pixels, x0 + i * pixels);
}

static double worst_of(const double *got, const double *want)
{
    double worst = 0;
    for (int i = 0; i < total; i++)
        worst = fmax(worst, isfinite(got[i]) ? fabs(got[i] - want[i]) : 1e300);
    return worst;
}

static void check_golden_edit(const char *task, const char *name, int factor)
{
    static const int ts[] = {0, 10, 20, 30, 39};
    static golden_run g;
    static double x[total], got[total], image[total];
    double sigma[4];
    cm_error err = {0};
    g = (golden_run){.task = cm_edit_task_find(task),
                     .known = {side, side, channels, g.mask, factor},
                     .means = read_as("", "means", 4 * pixels),
                     .images = read_as("", "images", total),
                     .noise = read_as(name, "noise", 5 * total),
                     .measured = read_as(name, "measured", total),
                     .want = read_as(name, "out", total)};
    if (g.task->needs & CM_EDIT_MASK) { /* of the goldens 1 is known */
        double *mask = read_as(name, "mask", side * side);
        for (int i = 0; i < side * side; i++)
            g.mask[i] = mask[i] == 0 ? 255 : 0;
        cm_free(mask);
    }
    to_nhwc(g.measured, g.seen);
    const cm_sampling s = {.denoiser = {run_mixture, &g},
                           .noise = {draw_recorded, &g},
                           .constraint = {keep_known, &g},
                           .count = total,
                           .work = work,
                           .clip_denoised = 1};
    CHECK_OK(cm_sigma_list_from_ts(&schedule, ts, 5, 40, sigma, &err), err);
    CHECK_OK(cm_sample_multistep(&s, &schedule, sigma, 4, x, &err), err);
    to_nchw(x, got);
    CHECK(worst_of(got, g.want) <= 1e-9, "%s: differs by %.3g", name, worst_of(got, g.want));

    /* The known part of the image itself is that of what was measured. */
    to_nhwc(g.images, image);
    memcpy(x, image, sizeof x);
    keep_known(&g, x, 0);
    CHECK(worst_of(x, image) <= 1e-12, "%s: the image does not agree with itself: %.3g", name,
          worst_of(x, image));
    cm_free(g.means);
    cm_free(g.images);
    cm_free(g.noise);
    cm_free(g.measured);
    cm_free(g.want);
}

static void test_colorize(void)
{
    check_golden_edit("colorize", "colorization", 0);
}

static void test_upscale(void)
{
    check_golden_edit("upscale", "superres", 8);
}

static void test_inpaint(void)
{
    check_golden_edit("inpaint", "inpainting", 0);
}

int main(void)
{
    static const check_test tests[] = {
        {"colorize", test_colorize}, {"upscale", test_upscale}, {"inpaint", test_inpaint}};
    goldens = golden_open("editing.safetensors");
    const int status = check_main(tests, sizeof tests / sizeof *tests);
    cm_st_close(goldens);
    return status;
}
