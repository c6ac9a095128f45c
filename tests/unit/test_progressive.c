/* test_progressive.c - the stages of progressive distillation: their steps against the released
 * code's table, what does not fit, and that a stage is a run of its own from the weights that the
 * one before it left.  What a stage learns is in test_gaussian.c, golden/test_losses.c and oracle.
 */
#include "check.h"
#include "golden/golden.h"
#include "step_settings.h"

#include "base/philox.h"

/* ---- when N halves ---- */

/* The table is of stages of 100 steps from 64 on, where 2 lasts two of them and 1 ever after: as
 * many as 900 steps have shares. */
static void test_released(void)
{
    step_settings s;
    size_t n;
    cm_st_file *goldens = golden_open("schedules.safetensors");
    double *rows = golden_read(goldens, "ema_and_scales.fixed.progdist", &n); /* step, mu, N */
    step_settings_make(&s, "pd", 4);
    s.options.start_scales = 64;
    s.options.steps = 900;
    step_settings_resolve(&s);
    CHECK(n == 30, "%zu rows", n / 3);
    for (size_t i = 0; i + 2 < n; i += 3) {
        cm_step_scalars at = {0};
        s.settings.objective->at(&s.settings, (int64_t)rows[i], &at);
        CHECK(at.value[0] == rows[i + 2], "step %g: N = %g, expected %g", rows[i], at.value[0],
              rows[i + 2]);
    }
    cm_free(rows);
    cm_st_close(goldens);
}

/* Stages follow each other without a gap, halve N to the end, and have their shares to a step. */
static void check_stages(int64_t start, int64_t end, int64_t steps)
{
    step_settings s;
    step_settings_make(&s, "pd", 4);
    s.options.start_scales = start;
    s.options.end_scales = end;
    s.options.steps = steps;
    step_settings_resolve(&s);
    cm_stage before = {.scales = 2 * start, .number = -1};
    int64_t shares = 0;
    for (int64_t N = start; N >= end; N /= 2)
        shares += N > 2 ? 1 : 2;
    for (int64_t k = 0; k < steps; k++) {
        const cm_stage now = cm_objective_stage(&s.settings, k);
        const int same = now.number == before.number;
        CHECK(now.first <= k && k < now.first + now.steps, "step %lld is in no stage",
              (long long)k);
        CHECK(same ? now.first == before.first && now.scales == before.scales
                   : now.number == before.number + 1 && now.scales * 2 == before.scales &&
                         now.first == before.first + before.steps && now.first == k,
              "%lld to %lld, step %lld: stage %lld of N %lld from %lld on", (long long)start,
              (long long)end, (long long)k, (long long)now.number, (long long)now.scales,
              (long long)now.first);
        const double exact = (double)(steps * (now.scales > 2 ? 1 : 2)) / (double)shares;
        CHECK(fabs((double)now.steps - exact) < 1.0, "N %lld: %lld steps, expected %g",
              (long long)now.scales, (long long)now.steps, exact);
        CHECK(s.settings.objective->levels(&s.settings, k + 1) == now.scales + 1,
              "the model of step %lld", (long long)k);
        before = now;
    }
    CHECK(cm_objective_stage(&s.settings, steps).number == before.number, "a stage after the last");
    CHECK(before.scales == end && before.first + before.steps == steps, "ends with N %lld at %lld",
          (long long)before.scales, (long long)(before.first + before.steps));
}

static void test_stages(void)
{
    check_stages(2, 1, 4);
    check_stages(2, 2, 5);
    check_stages(16, 1, 7);
    check_stages(16, 1, 1000);
    check_stages(1024, 1, 999);
    check_stages(40, 5, 123);
    check_stages(12, 3, 3);
}

/* ---- what does not fit ---- */

static void refuse(const char *what, int64_t start, int64_t end, int64_t steps, int teacher_steps,
                   double teacher_data, const char *message)
{
    step_settings s;
    cm_error err = {0};
    step_settings_make(&s, "pd", 4);
    s.options.start_scales = start;
    s.options.end_scales = end;
    s.options.steps = steps;
    cm_status status = cm_objective_resolve(&s.options, &s.settings, &err);
    s.settings.teacher_steps = teacher_steps;
    s.settings.teacher_schedule.sigma_data = teacher_data;
    if (!status)
        status = cm_objective_check(&s.settings, &err);
    if (message)
        CHECK(status == CM_ERR_ARGUMENT && strstr(err.message, message), "%s: %s", what,
              err.message);
    else
        CHECK_OK(status, err);
}

static void test_refused(void)
{
    refuse("one step of a teacher of two", 1, 1, 0, 2, 0.5, NULL);
    refuse("a teacher of one step", 16, 1, 0, 1, 0.5, "teacher: expected a model of more steps");
    refuse("not a power of two", 24, 1, 0, 0, 0.5, "expected 1, 2, 4 and so on");
    refuse("fewer than the end", 2, 4, 0, 0, 0.5, "expected 4, 8, 16 and so on");
    refuse("too few steps", 16, 1, 6, 0, 0.5, "steps: expected at least 7");
    refuse("enough", 16, 1, 7, 0, 0.5, NULL);
    refuse("a teacher of 16 steps", 16, 1, 0, 16, 0.5, "half of the 16 steps");
    refuse("a teacher of 32 steps", 16, 1, 0, 32, 0.5, NULL);
    refuse("other data", 16, 1, 0, 0, 0.6, "sigma-data: expected 0.6");
    refuse("other data", 16, 1, 0, 0, 0.4, "sigma-data: expected 0.4");
}

/* ---- a stage is a run of its own ---- */

enum { SIDE = 8, BATCH = 4 };

static const cm_net_config net = {.arch = &cm_arch_adm,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .in_channels = 1,
                                  .out_channels = 1,
                                  .time_input = &cm_time_log250,
                                  .of.adm = {.model_channels = 32,
                                             .num_res_blocks = 1,
                                             .n_levels = 1,
                                             .channel_mult = {1.0},
                                             .num_heads = 1,
                                             .use_scale_shift_norm = 1}};

static void steps_from(cm_train_step *s, const step_settings *o, int64_t from, int64_t n,
                       int64_t counted_from)
{
    for (int64_t k = from; k < from + n; k++) {
        for (int i = 0; i < BATCH * SIDE * SIDE; i += 4)
            cm_normal4(cm_philox(5, (uint32_t)i, (uint32_t)k, 0, 0), s->x + i);
        s->rng[2] = (int32_t)k;
        s->hyper[0] = 0.01f;
        s->hyper[1] = (float)(k - counted_from + 1);
        o->settings.objective->at(&o->settings, k, &s->scalars);
        cm_train_step_run(s);
    }
}

/* Bit for bit that of a step that was made anew, with both arrays of the average: what is packed
 * of the teacher's weights, moments and averages are of it too. */
static void test_restart(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    step_settings o;
    cm_train_step *a = NULL, *b = NULL;
    step_settings_make(&o, "pd", BATCH);
    o.options.start_scales = 4;
    o.options.steps = 20; /* stages end at 4 and 12 */
    step_settings_resolve(&o);
    CHECK_OK(cm_net_params_new(&net, &params, &err), err);
    const cm_step_config config = step_settings_config(&o, &net, params, 0.5, CM_F32, 1);
    CHECK_OK(cm_train_step_new(&config, &a, &err), err);
    CHECK_OK(cm_train_step_new(&config, &b, &err), err);
    const size_t bytes = a->floats * sizeof(float);
    float *const first[] = {a->params, a->teacher, a->ema[0]};
    for (int i = 0; i < 3; i++) { /* no layer is zero */
        cm_params_init(params, 3, first[i]);
        for (size_t k = 0; k < a->floats; k++)
            first[i][k] += 0.01f * (float)(k % 7);
    }
    steps_from(a, &o, 0, 4, 0);
    float *const again[] = {b->params, b->teacher, b->ema[0]};
    for (int i = 0; i < 3; i++)
        memcpy(again[i], a->ema[0], bytes);
    CHECK(memcmp(a->params, a->ema[0], bytes) != 0, "the average is the student");
    cm_train_step_restart(a);
    CHECK(!memcmp(a->params, again[0], bytes) && !memcmp(a->teacher, again[0], bytes),
          "student and teacher are not the average");
    steps_from(a, &o, 4, 3, 4);
    steps_from(b, &o, 4, 3, 4);
    CHECK(!memcmp(a->params, b->params, bytes) && !memcmp(a->ema[0], b->ema[0], bytes) &&
              !memcmp(a->m, b->m, bytes) && !memcmp(a->v, b->v, bytes) &&
              !memcmp(a->teacher, b->teacher, bytes) && *a->loss == *b->loss,
          "a stage is not a run of its own: losses %.9g and %.9g", (double)*a->loss,
          (double)*b->loss);
    CHECK(memcmp(a->params, a->teacher, bytes) != 0 && isfinite(*a->loss) && *a->loss > 0.0f,
          "nothing was learned");
    cm_train_step_free(a);
    cm_train_step_free(b);
    cm_params_free(params);
}

static const check_test tests[] = {
    {"stages are those of the released code", test_released},
    {"stages follow each other", test_stages},
    {"what does not fit", test_refused},
    {"a stage is a run of its own", test_restart},
};

CHECK_MAIN(tests)
