/* train_settings.c - every option of cm train, and what training draws */
#include "settings.h"

#include "check.h"
#include "cm.h"
#include "command.h"
#include "golden/feature_weights.h"
#include "nn/features/vgg.h"

#include <jansson.h>

/* ---- what is counted ----------------------------------------------------- */

static int log_lines(void)
{
    return count_lines("run/log.jsonl");
}

static int grids(void)
{
    return count_files("run/samples", ".png") - count_files("run/samples", "data.png");
}

static int checkpoints(void)
{
    return count_files("run/ckpt", "") - count_files("run/ckpt", "latest");
}

static double number_in_state(const char *key)
{
    json_t *state = json_load_file(in_scratch("%s/state.json", newest_checkpoint()), 0, NULL);
    const double n = json_number_value(json_object_get(state, key));
    json_decref(state);
    return n;
}

static int threads_of_state(void)
{
    return (int)number_in_state("threads");
}

static int steps_done(void)
{
    return (int)number_in_state("step");
}

static int lines_printed(void)
{
    return count_lines("said") > 0;
}

/* MiB of a step, as the run says at its start. */
static double memory_said(void)
{
    char *text = read_text(in_scratch("said"));
    const char *at = text ? strstr(text, "memory of a step: ") : NULL;
    const double mib = at ? strtod(at + strlen("memory of a step: "), NULL) : (double)NAN;
    free(text);
    return mib;
}

static double last_loss(void)
{
    char *text = read_text(in_scratch("run/log.jsonl")), *line = NULL;
    for (char *at = text ? strtok(text, "\n") : NULL; at; at = strtok(NULL, "\n"))
        line = at;
    json_t *j = line ? json_loads(line, 0, NULL) : NULL;
    const double loss = j ? json_number_value(json_object_get(j, "loss")) : (double)NAN;
    json_decref(j);
    free(text);
    return loss;
}

/* ---- tests of their own -------------------------------------------------- */

static void test_out(void)
{
    for (int i = 0; i < 2; i++) {
        command_works("train " EDM " --out place%d", i);
        CHECK(count_files(i ? "place1" : "place0", "model.safetensors") == 1, "no model in place%d",
              i);
        CHECK(count_files("place1", "") ? i == 1 : i == 0, "place1 after run %d", i);
    }
}

/* Gradients of the whole batch (the oracle holds them); memory of a part. */
static void test_accumulate(void)
{
    double mib[2], loss[2];
    for (int i = 0; i < 2; i++) {
        remove_tree(in_scratch("run"));
        command_works("train " EDM " --batch 12 --no-quiet --out run --accumulate %d", 1 + 3 * i);
        mib[i] = memory_said();
        loss[i] = last_loss();
    }
    CHECK(mib[1] < mib[0], "a part of the batch takes %g MiB, the whole %g", mib[1], mib[0]);
    CHECK_CLOSE(loss[1], loss[0], 1e-5);
}

static void test_recompute(void)
{
    double mib[2], loss[2];
    for (int i = 0; i < 2; i++) {
        remove_tree(in_scratch("run"));
        command_works("train " EDM " --batch 12 --no-quiet --out run --%srecompute",
                      i ? "" : "no-");
        mib[i] = memory_said();
        loss[i] = last_loss();
    }
    CHECK(mib[1] < mib[0], "computed again: %g MiB, kept: %g", mib[1], mib[0]);
    CHECK(loss[1] == loss[0], "computed again: loss %.9g, kept: %.9g", loss[1], loss[0]);
}

/* It is of processes (cli_mpi_shard).  A job that starts one alone goes on as it is: the same
 * memory, the same run. */
static void test_shard(void)
{
    double mib[2], loss[2];
    for (int i = 0; i < 2; i++) {
        remove_tree(in_scratch("run"));
        command_works("train " EDM " --no-quiet --out run --%sshard", i ? "" : "no-");
        mib[i] = memory_said();
        loss[i] = last_loss();
    }
    CHECK(mib[1] == mib[0] && loss[1] == loss[0], "shared by one: %g MiB, loss %.9g; not: %g, %.9g",
          mib[1], loss[1], mib[0], loss[0]);
}

/* ---- networks that a distance looks through ---- */

/* Another classifier, another loss. */
static void test_loss_weights(void)
{
    double loss[2];
    for (int i = 0; i < 2; i++) {
        command_works("train --method classifier" LABELLED SMALL
                      " --channels 8 --channel-mult 1 --seed %d --out judge%d",
                      1 + i, i);
        remove_tree(in_scratch("run"));
        command_works(
            "train " CD " --steps 1 --loss-norm features --loss-weights judge%d --out run", i);
        loss[i] = last_loss();
    }
    CHECK(fabs(loss[1] / loss[0] - 1.0) > 1e-3, "losses of two classifiers: %g and %g", loss[0],
          loss[1]);
}

/* LPIPS is linear in its own weights: twice them, twice the loss. */
static void test_loss_lpips_weights(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    double loss[2];
    if (!CHECK_OK(cm_lpips_params(&params, &err), err))
        return;
    float *flat = feature_weights(params);
    feature_file(params, flat, in_scratch("vgg.safetensors"), VGG_FILE, NULL);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < cm_params_size(params); k++) {
            const cm_param *p = cm_params_at(params, k);
            for (int64_t j = 0; i && is_linear(p) && j < cm_type_count(&p->type); j++)
                flat[p->offset + (size_t)j] *= 2.0f;
        }
        feature_file(params, flat, in_scratch("linear.safetensors"), LINEAR_FILE, NULL);
        remove_tree(in_scratch("run"));
        command_works("train " CD " --steps 1 --batch 1 --loss-norm lpips --loss-weights "
                      "vgg.safetensors --loss-lpips-weights linear.safetensors --out run");
        loss[i] = last_loss();
    }
    CHECK_CLOSE(loss[1] / loss[0], 2.0, 1e-6);
    cm_free(flat);
    cm_params_free(params);
}

/* ---- scores while training: in the log alone ---- */

/* Of a run with these settings: how many lines of its log have a score, and the last one. */
static int scores_of(const char *settings, double *last)
{
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --out run %s", settings);
    char *text = read_text(in_scratch("run/log.jsonl"));
    int n = 0;
    for (char *at = text; at && (at = strstr(at, "\"FD-judge\":")); n++) {
        at += strlen("\"FD-judge\":");
        *last = strtod(at, NULL);
    }
    free(text);
    return n;
}

static void test_scores(void)
{
    double first = (double)NAN, other = (double)NAN;
    if (count_files("judge", "model.safetensors")) /* it is one test for all of these options */
        return;
    command_works("train --method classifier" LABELLED SMALL
                  " --channels 8 --channel-mult 1 --score FD-judge --out judge");
    CHECK(!scores_of("", &first), "scores that nobody asked for");
    CHECK(scores_of("--eval-every 1 --eval-num 6 --eval-weights judge", &first) == 4,
          "not one a step");
    CHECK(scores_of("--eval-every 2 --eval-num 6 --eval-weights judge", &other) == 2,
          "not one every second step");
    CHECK(other == first, "every 2: the last is %.9g, every 1: %.9g", other, first);
    scores_of("--eval-every 2 --eval-num 7 --eval-weights judge", &other);
    CHECK(other != first, "7 images and 6: %.9g", first);
    scores_of("--eval-every 2 --eval-num 6 --eval-weights judge --eval-features small", &other);
    CHECK(other == first, "features small, as is the default: %.9g, not %.9g", other, first);
    CHECK(command("train " EDM " --out x --eval-every 2 --eval-features inception") == 1 &&
              said("pt_inception"),
          "features inception: not the file that is missing");
    scores_of("--eval-every 2 --eval-num 6 --eval-weights judge --eval-ref data/sizes", &other);
    CHECK(other != first, "another reference: %.9g", first);
}

static void test_max_minutes(void)
{
    const int many = 5000; /* no machine does these in an eighth of a second */
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --steps %d --max-minutes 0.002 --out run", many);
    const int done = steps_done();
    CHECK(done > 0 && done < many, "%d steps of %d in 0.12 seconds", done, many);
    CHECK(count_files("run", "model.safetensors") == 1, "no model was exported");
    CHECK(grids() == 1, "%d grids were drawn at the end", grids());
    CHECK(log_lines() == done, "%d lines for %d steps", log_lines(), done);
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --max-minutes 60 --out run");
    CHECK(steps_done() == 4, "an hour ends at step %d of 4", steps_done());
}

static void test_minutes(void)
{
    int done[2];
    for (int i = 0; i < 2; i++) {
        remove_tree(in_scratch("run"));
        command_works("train " EDM " --steps 0 --minutes %s --out run", i ? "0.05" : "0.005");
        done[i] = steps_done();
    }
    CHECK(2 * done[0] < done[1], "%d steps in 0.3 seconds, %d in 3", done[0], done[1]);
}

static void test_preset(void)
{
    static const char *const names[] = {"tiny", "small"};
    for (int i = 0; i < 2; i++) {
        remove_tree(in_scratch("run"));
        command_works("train --preset %s --method edm" LABELLED " --steps 1 --dtype f32 --out run",
                      names[i]);
        command_works("info run");
        CHECK(said(i ? "model_channels         32" : "model_channels         16"), "preset %s",
              names[i]);
    }
}

static void test_config(void)
{
    double loss[2];
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(in_scratch("settings.json"), "w");
        fprintf(f, "{\"p-mean\": %d}", -i);
        fclose(f);
        remove_tree(in_scratch("run"));
        command_works("train " EDM " --out run --config settings.json");
        loss[i] = last_loss();
    }
    CHECK(loss[0] != loss[1], "p-mean of the file changes nothing: loss %.9g", loss[0]);
}

static void test_resume(void)
{
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --out run");
    CHECK(command("train " EDM " --out run --steps 6 --no-resume") == 2, "a run was overwritten");
    CHECK(steps_done() == 4, "it is at step %d", steps_done());
    command_works("train --out run --steps 6 --resume");
    CHECK(steps_done() == 6, "the continued run is at step %d", steps_done());
}

/* auto is bf16 where the processor is faster in it. */
static void test_dtype(void)
{
    static const char *const type[] = {"f32", "auto", "bf16"};
    double loss[3];
    int code = 0;
    for (int i = 0; i < 3 && !code; i++) {
        remove_tree(in_scratch("run"));
        code = command("train " EDM " --out run --dtype %s", type[i]);
        loss[i] = last_loss();
        CHECK(!code || (i == 2 && said("bf16")), "--dtype %s: code %d", type[i], code);
    }
    if (code) { /* no such processor */
        CHECK(loss[1] == loss[0], "auto is not f32");
        return;
    }
    CHECK(loss[1] == loss[auto_is_bf16() ? 2 : 0], "auto is not the faster");
    CHECK(loss[0] != loss[2], "bf16 gives the loss of f32, %.9g", loss[0]);
}

/* ---- what a run draws ---------------------------------------------------- */

static cm_images *read_grid(const char *file)
{
    cm_error err = {0};
    cm_images *m = NULL;
    CHECK_OK(cm_images_read(in_scratch("%s", file), &m, &err), err);
    return m;
}

enum { DRAWN = 24, A_ROW = 8, STEP = 8 + 2 }; /* images of 8 pixels and gaps of 2 */

/* Row r of the plain grid is in the other, twice as large, at this height. */
static int is_row(const cm_images *plain, int r, const cm_images *twice, int y)
{
    for (int k = 0; k < 16; k++)
        for (int i = 0; i < A_ROW; i++)
            for (int x = 0; x < 16 * plain->c; x++) {
                const int of_plain = (2 + r * STEP + k / 2) * plain->w + 2 + i * STEP;
                const int of_twice = (y + k) * twice->w + 2 * (2 + i * STEP);
                if (twice->pixels[of_twice * plain->c + x] !=
                    plain->pixels[of_plain * plain->c + x / 2 / plain->c * plain->c + x % plain->c])
                    return 0;
            }
    return 1;
}

/* All images of the plain grid, a row below the other; what is written between is not
 * looked at. */
static int holds_images(const cm_images *twice, const cm_images *plain)
{
    int y = 0;
    if (!CHECK(plain->w == A_ROW * STEP + 2 && plain->h == DRAWN / A_ROW * STEP + 2 &&
                   twice->w == 2 * plain->w && twice->h > 2 * plain->h && twice->c == plain->c,
               "grids of %d x %d and %d x %d", plain->w, plain->h, twice->w, twice->h))
        return 0;
    for (int r = 0; r < DRAWN / A_ROW; r++, y++)
        while (!is_row(plain, r, twice, y))
            if (++y + 16 > twice->h)
                return 0;
    return 1;
}

/* The grid that training drew, and one of cm sample from the run: 8 images a class. */
static int is_drawn(const char *grid, const char *options)
{
    command_works("sample --model run --seed 1 --num 24 --columns 8 --dtype f32 --threads 1 "
                  "--out drawn.png %s",
                  options);
    cm_images *twice = read_grid(grid), *plain = read_grid("drawn.png");
    const int same = twice && plain && holds_images(twice, plain);
    cm_images_free(twice);
    cm_images_free(plain);
    return same;
}

static int width_of_grid(void)
{
    cm_images *m = read_grid("run/samples/00000004_heun.png");
    const int w = m ? m->w : 0;
    cm_images_free(m);
    return w;
}

static void test_strict(void)
{
    remove_tree(in_scratch("run"));
    command_works("train --method edm --data torn" SMALL FRESH " --image-size 8 --out run");
    const int code = command("train --method edm --data torn" SMALL FRESH
                             " --image-size 8 --out strict --strict");
    CHECK(code == 4 && said("b.png"), "a damaged image and --strict: code %d", code);
}

static void test_grid_of_teacher(void)
{
    static const char grid[] = "run/samples/00000004_heun.png";
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --ema-rates 0.5,0.9 --out run");
    CHECK(grids() == 1, "%d grids, expected one", grids());
    CHECK(is_drawn(grid, "--sampler heun"), "%s was not drawn by heun, from the first average",
          grid);
    CHECK(!is_drawn(grid, "--sampler euler"), "%s is what euler draws", grid);
    CHECK(!is_drawn(grid, "--sampler heun --model run/ckpt/latest/ema_0.9.safetensors"),
          "%s is of the second average", grid);
}

static void test_grids_of_student(void)
{
    static const char one[] = "run/samples/00000004_onestep.png",
                      two[] = "run/samples/00000004_multistep.png";
    remove_tree(in_scratch("run"));
    command_works("train " CT " --out run");
    CHECK(grids() == 2, "%d grids, expected two", grids());
    CHECK(is_drawn(one, "--sampler onestep"), "%s was not drawn by onestep", one);
    CHECK(is_drawn(two, "--sampler multistep"), "%s was not drawn by multistep", two);
    CHECK(!same_files(one, two), "both grids are the same");
}

static void draw_from(const char *model, const char *grid)
{
    command_works("sample --model %s --num 6 --dtype f32 --threads 1 --out %s", model, grid);
}

/* A run stands for its first average, whichever rate is larger. */
static void test_average_of_run(void)
{
    remove_tree(in_scratch("run"));
    command_works("train " EDM " --ema-rates 0.5,0.9,0.1 --out run");
    draw_from("run", "run.png");
    draw_from("run/ckpt/latest/ema_0.5.safetensors", "first.png");
    draw_from("run/ckpt/latest/ema_0.9.safetensors", "second.png");
    draw_from("run/ckpt/latest/ema_0.1.safetensors", "last.png");
    draw_from("run/ckpt/latest/model.safetensors", "raw.png");
    CHECK(same_files("run.png", "first.png"), "a run is not its first average");
    CHECK(!same_files("first.png", "second.png"), "two averages draw the same");
    CHECK(!same_files("first.png", "last.png"), "the first average and the last draw the same");
    CHECK(!same_files("first.png", "raw.png"), "the average and the weights draw the same");
}

const settings_test train_tests[] = {
    {"the grid of a teacher is of heun", test_grid_of_teacher},
    {"the grids of a consistency model are of onestep and multistep", test_grids_of_student},
    {"a run stands for its first average", test_average_of_run},
    {NULL, NULL},
};

/* ---- the table ----------------------------------------------------------- */

#define AT_RATE_0 NEW " --lr 0"

/* clang-format off */
const setting train_settings[] = {
    {"method", LABELLED SMALL " --init one.safetensors", "edm|ct", .changes = STUDENT | INFO},
    {"data", "--method edm --classes none" SMALL FRESH,
     "data/train-images-idx3-ubyte|data/plain-idx3-ubyte", .changes = STUDENT, .given = 1},
    {"out", .test = test_out},
    {"teacher", CD " --init one.safetensors", "one.safetensors|two.safetensors",
     .changes = STUDENT, .given = 1},
    {"init", "--method edm" LABELLED SMALL, "one.safetensors|two.safetensors", .changes = STUDENT, .given = 1},
    {"teacher", PD " --init one.safetensors", "one.safetensors|two.safetensors", .changes = STUDENT, .given = 1},
    {"init", CD " --teacher one.safetensors", "one.safetensors|two.safetensors",
     .changes = STUDENT},
    {"steps", EDM, "4|5", .changes = STUDENT, .given = 1, .measure = steps_done, .measures = "4|5"},
    {"minutes", .test = test_minutes},
    {"batch", EDM, "4|6", .changes = STUDENT, .given = 1},
    {"accumulate", .test = test_accumulate},
    {"recompute", .test = test_recompute},
    {"shard", .test = test_shard},
    {"lr", EDM, "0.02|0.01", .changes = STUDENT, .given = 1},
    {"lr-warmup", EDM, "0|9", .changes = STUDENT},
    {"lr-decay", EDM, "no|yes", .changes = STUDENT},
    {"lr-decay", CDC, "no|yes", .changes = STUDENT},
    {"optimizer", EDM, "radam|adamw", .changes = STUDENT},
    {"beta1", EDM, "0.9|0.5", .changes = STUDENT},
    {"beta1", EDM " --optimizer adamw", "0.9|0.5", .changes = STUDENT},
    {"beta2", EDM " --optimizer adamw", "0.999|0.9", .changes = STUDENT},
    {"beta2", EDM " --steps 8", "0.999|0.9", .changes = STUDENT},
     /* RAdam's first five steps have no need of it */
    {"weight-decay", EDM, "0|0.2", .changes = STUDENT},
    {"weight-decay", EDM " --optimizer adamw", "0|0.2", .changes = STUDENT},
    {"ema-rates", EDM, "0.5|0.9|0.1,0.5", .changes = EXPORT, .keeps = STUDENT, .given = 1},
    {"loss-norm", CT, "l2|l1", .changes = STUDENT},
    {"loss-norm", CD, "l2|l1|pseudo-huber|l2-32", .changes = STUDENT},
    {"loss-weights", .test = test_loss_weights},
    {"loss-lpips-weights", .test = test_loss_lpips_weights},
    {"huber-c", CD " --loss-norm pseudo-huber", "0|0.5", .changes = STUDENT},
    {"weighting", EDM " --p-mean 0", "karras|uniform|snr|snr+1|truncated-snr", .changes = STUDENT},
    {"weighting", CT, "uniform|karras|snr|snr+1|truncated-snr", .changes = STUDENT},
    {"weighting", CD, "uniform|karras|snr|snr+1|truncated-snr", .changes = STUDENT},
    {"weighting", PD " --start-scales 4", "truncated-snr|uniform|snr|snr+1|karras", .changes = STUDENT},
    {"loss-norm", PD, "l2|l1|pseudo-huber", .changes = STUDENT},
    {"ema-rates", PD, "0|0.5", .changes = STUDENT | EXPORT, .given = 1}, /* the average is the next teacher */
    {"sigma-max", PD, "80|10", .changes = STUDENT | INFO},
    {"rho", PD, "7|3", .changes = STUDENT | INFO},
    {"lr-warmup", PD, "0|3", .changes = STUDENT},
    {"dropout", PD, "0|0.3", .changes = STUDENT},
    {"loss-norm", CDC, "l2|l1|pseudo-huber", .changes = STUDENT},
    {"stop-gradient", CDC, "false|true", .changes = STUDENT},
    {"solver", CD, "heun|euler", .changes = STUDENT},
    {"boundary", CT, "skip|piecewise", .changes = STUDENT | INFO},
    {"boundary", CD, "skip|piecewise", .changes = STUDENT | INFO},
    {"target-ema-mode", CT, "adaptive|fixed", .changes = TARGET},
    {"target-ema-mode", CD, "fixed", .changes = TARGET},
    {"scale-mode", CT " --target-ema-mode fixed", "progressive|fixed", .changes = STUDENT | INFO},
    {"scale-mode", CD, "fixed|progressive", .changes = STUDENT | INFO},
    {"start-ema", CT, "0.95|0.5", .changes = TARGET},
    {"start-ema", CD, "0.95|0.5", .changes = TARGET},
    {"start-scales", PD, "32|8|4", .changes = STUDENT},
    {"start-scales", CT, "2|20", .changes = STUDENT},
    {"start-scales", CD, "18|6", .changes = STUDENT | INFO},
    {"end-scales", CT, "150|20", .changes = STUDENT | INFO},
    {"end-scales", PD, "1|2|4", .changes = STUDENT | INFO},
    {"sigma-min", CT, "0.002|0.05", .changes = STUDENT | INFO},
    {"sigma-min", EDM, "0.002|0.05", .changes = INFO, .keeps = STUDENT},
    {"sigma-max", CT, "80|10", .changes = STUDENT | INFO},
    {"sigma-max", EDM, "80|10", .changes = INFO, .keeps = STUDENT},
    {"sigma-data", CT, "0.5|0.9", .changes = STUDENT | INFO},
    {"sigma-data", EDM, "0.5|0.9", .changes = STUDENT | INFO},
    {"rho", CT " --start-scales 9", "7|3", .changes = STUDENT | INFO},
    {"rho", EDM, "7|3", .changes = INFO, .keeps = STUDENT},
    {"p-mean", EDM, "-1.2|0", .changes = STUDENT},
    {"p-std", EDM, "1.2|0.6", .changes = STUDENT},
    {"score", "--method classifier" LABELLED SMALL " --channels 8 --channel-mult 1", "FD-a|FD-b",
     .changes = INFO, .keeps = STUDENT | EXPORT, .given = 1},
    {"classes", NEW, "auto|none", .changes = STUDENT | INFO},
    {"image-size", "--method edm --data data/sizes" SMALL FRESH, "8|16",
     .changes = STUDENT | INFO, .given = 1},
    {"labels", "--method edm --data data/sizes" SMALL FRESH " --image-size 8", "folder|none",
     .changes = STUDENT | INFO},
    {"background", "--method edm --data clear" SMALL FRESH " --image-size 8", "white|black",
     .changes = STUDENT},
    {"strict", NULL, NULL, .test = test_strict},
    {"eval-every", NULL, NULL, .test = test_scores},
    {"eval-num", NULL, NULL, .test = test_scores},
    {"eval-weights", NULL, NULL, .test = test_scores},
    {"eval-features", NULL, NULL, .test = test_scores},
    {"eval-ref", NULL, NULL, .test = test_scores},
    {"flip", EDM, "no|yes", .changes = STUDENT},
    {"channels", NEW, "32|64", .changes = STUDENT | INFO},
    {"channel-mult", NEW, "1|2|1,1", .changes = STUDENT | INFO, .given = 1},
    {"res-blocks", NEW, "1|2", .changes = STUDENT | INFO},
    {"attention-resolutions", NEW, "|8", .changes = STUDENT | INFO, .given = 1},
    {"num-heads", NEW, "4|2", .changes = STUDENT | INFO},
    {"head-channels", PLAIN, "0|16", .changes = STUDENT | INFO},
    {"scale-shift-norm", NEW, "yes|no", .changes = STUDENT | INFO},
    {"resblock-updown", NEW " --channel-mult 1,1", "yes|no", .changes = STUDENT | INFO},
    {"dropout", EDM, "0|0.3", .changes = STUDENT},
    {"dropout", CT, "0|0.3", .changes = STUDENT},
    {"seed", AT_RATE_0, "1|2|4294967297", .changes = STUDENT}, /* the first weights */
    {"seed", EDM, "1|2|4294967297", .changes = STUDENT},       /* the steps and the data */
    {"seed", "--method edm --data single --init lone.safetensors" SMALL, "1|2|4294967297",
     .changes = STUDENT}, /* the steps alone: one image has no order */
    {"dtype", .test = test_dtype},
    {"threads", EDM, "1|2", .given = 1, .measure = threads_of_state, .measures = "1|2"},
    {"log-every", EDM, "1|2|3", .keeps = STUDENT | EXPORT, .given = 1, .measure = log_lines,
     .measures = "4|2|2"},
    {"sample-every", EDM, "1|2|3|9", .keeps = STUDENT | EXPORT, .given = 1, .measure = grids,
     .measures = "4|2|2|1"},
    {"sample-scale", EDM, "2|1|5", .keeps = STUDENT | EXPORT, .measure = width_of_grid,
     .measures = "164|82|410"},
    {"save-every", EDM " --keep 9", "0|1|2|3|9", .keeps = STUDENT | EXPORT, .given = 1,
     .measure = checkpoints, .measures = "4|4|2|2|1"},
    {"keep", EDM " --save-every 1", "2|1|3", .keeps = STUDENT | EXPORT, .measure = checkpoints,
     .measures = "2|1|3"},
    {"max-minutes", .test = test_max_minutes},
    {"config", .test = test_config},
    {"preset", .test = test_preset},
    {"resume", .test = test_resume},
    {"quiet", EDM, "yes|no", .keeps = STUDENT | EXPORT, .given = 1, .measure = lines_printed,
     .measures = "0|1"},
    {0},
};
/* clang-format on */
