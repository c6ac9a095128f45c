/* cmd_train.c - cm train: settings from defaults, files and options; progress; Ctrl-C */
#include "cli/cli.h"
#include "cli/processes.h"
#include "cli/progress.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct run_options {
    cm_text config, preset;
    int resume, quiet;
} run_options;

static const cm_option options[] = {
    {"config", CM_OPT_TEXT, offsetof(run_options, config), "", NULL, 0, 0, "FILE",
     "settings from a JSON file, such as the config.json of a run; options go before it"},
    {"preset", CM_OPT_TEXT, offsetof(run_options, preset), "", "|tiny|small|base", 0, 0, "NAME",
     "network and optimization that go together; single options go before it"},
    {"resume", CM_OPT_FLAG, offsetof(run_options, resume), "false", NULL, 0, 1, NULL,
     "continue the run in --out, with its settings, from its newest checkpoint"},
    {"quiet", CM_OPT_FLAG, offsetof(run_options, quiet), "false", NULL, 0, 1, NULL,
     "print nothing but errors"},
    {0},
};

static const char text[] =
    "Train a diffusion teacher (edm), distil it into a consistency model (cd) or to ever\n"
    "fewer steps (pd), train a consistency model without a teacher (ct), either in\n"
    "continuous time (cd-continuous, ct-continuous), or a classifier that judges samples.\n"
    "\n"
    "  cm train --method edm --data fashion-mnist --out runs/teacher\n"
    "  cm train --method cd --teacher runs/teacher --data DATA --out runs/cd\n"
    "  cm train --preset small --minutes 30 --data photos --out runs/photos\n"
    "  cm train --resume --out runs/cd --steps 40000\n"
    "  mpirun -n 4 cm train --batch 256 --data DATA --out runs/teacher\n"
    "\n"
    "Ctrl-C, SIGTERM, SIGHUP and a closed pipe save a checkpoint first, and --resume\n"
    "continues from it; SIGUSR1 saves one and goes on.\n";

static const cli_group groups[] = {
    {"Common options", "method data out teacher init preset minutes steps batch max-minutes resume "
                       "config quiet"},
    {"Data", "labels classes image-size background strict flip"},
    {"Network", "channels channel-mult res-blocks attention-resolutions num-heads head-channels "
                "scale-shift-norm resblock-updown dropout"},
    {"Optimization", "lr lr-warmup lr-decay optimizer beta1 beta2 weight-decay ema-rates "
                     "accumulate recompute shard"},
    {"Loss",
     "score loss-norm huber-c loss-weights loss-lpips-weights weighting stop-gradient boundary "
     "solver start-ema target-ema-mode scale-mode "
     "start-scales end-scales"},
    {"Noise", "sigma-min sigma-max sigma-data rho p-mean p-std"},
    {"Scores while training", "eval-every eval-weights eval-num eval-features eval-ref"},
    {"Run", "seed dtype threads log-every sample-every sample-scale save-every keep"},
    {0},
};

/* ---- hooks -------------------------------------------------------------- */

static int should_stop(void *user)
{
    const int wish = cli_stop_wish();
    if (wish == CM_TRAIN_STOP)
        cli_progress_say(user, "stopping: what is done is saved; Ctrl-C again quits at once");
    return wish;
}

static void show(void *user, const cm_train_progress *now)
{
    cli_progress_show(user, now);
}

/* ---- settings ----------------------------------------------------------- */

/* What there is instead of the config.json of a run that is to go on, and what to do. */
static cm_status fail_without_settings(const char *run, cm_error *err)
{
    char path[sizeof(cm_text) + 40];
    if (access(run, F_OK))
        return cli_fail(err, CM_ERR_IO,
                        "%s: %s: no run to continue; without --resume one begins there", run,
                        strerror(errno));
    snprintf(path, sizeof path, "%s/ckpt/latest/model.safetensors", run);
    if (!cm_validate(path, NULL))
        return cli_fail(err, CM_ERR_IO,
                        "%s/config.json: is missing beside a checkpoint, which has its settings: "
                        "put there what 'cm info --json %s' prints as \"training\"",
                        run, path);
    snprintf(path, sizeof path, "%s/model.safetensors", run);
    if (!cm_validate(path, NULL))
        return cli_fail(err, CM_ERR_IO,
                        "%s: holds a model, but neither config.json nor a checkpoint to continue; "
                        "--init %s starts a new run from its weights",
                        run, path);
    return cli_fail(err, CM_ERR_IO,
                    "%s: holds neither config.json nor a whole checkpoint: no run to continue; "
                    "without --resume one begins there",
                    run);
}

/* Options go before --preset, that before --config, that before the settings of the run that
 * is continued, those before the defaults: read in the opposite order. */
static cm_status read_settings(const cli_usage *usage, int argc, char **argv, run_options *run,
                               cm_train_params *config, cm_error *err)
{
    char path[sizeof(cm_text) + 16];
    cm_text out;
    cm_options_defaults(options, run);
    *config = cm_train_default_params();
    cm_status status = cli_parse(usage, argc, argv, NULL, err);
    if (status || (!run->resume && !*run->config && !*run->preset))
        return status;
    if (run->resume && *run->preset)
        return cli_fail(
            err, CM_ERR_ARGUMENT,
            "option 'preset': has no effect here, the run goes on with its own settings");
    if (run->resume)
        status = cli_require(usage, "out", config->out, err);
    memcpy(out, config->out, sizeof out);
    snprintf(path, sizeof path, "%s/config.json", out);
    *config = cm_train_default_params();
    if (!status && run->resume && access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR))
        status = fail_without_settings(out, err);
    if (!status && run->resume)
        status = cm_options_read(cm_train_options(), config, path, err);
    if (!status && *run->config)
        status = cm_options_read(cm_train_options(), config, run->config, err);
    if (!status && *run->preset)
        status = cm_train_preset(config, run->preset, err);
    return status ? status : cli_parse(usage, argc, argv, NULL, err);
}

static cm_status check_settings(const cli_usage *usage, const cm_train_params *config,
                                cm_error *err)
{
    cm_status status = cli_require(usage, "data", config->data, err);
    if (!status)
        status = cli_require(usage, "out", config->out, err);
    return status;
}

/* What the user gives has an effect. */
static cm_status check_used(const cm_train_params *config, int resume, const unsigned char *given,
                            cm_error *err)
{
    const cm_option *options_of_training = cm_train_options();
    cm_status status = CM_OK;
    for (int i = 0; options_of_training[i].name && !status; i++)
        if (given[i])
            status = cm_train_check_used(config, resume, options_of_training[i].name, err);
    return status;
}

/* ---- what a preset set ---------------------------------------------------- */

/* Options that a network's shape comes of, parted by spaces. */
static const char *network_options(void)
{
    const cli_group *g = groups;
    while (strcmp(g->title, "Network") != 0)
        g++;
    return g->options;
}

static int is_listed(const char *list, const char *name, size_t length)
{
    for (; *list; list += strspn(list, " ")) {
        const size_t n = strcspn(list, " ");
        if (n == length && !memcmp(list, name, n))
            return 1;
        list += n;
    }
    return 0;
}

/* The value of an option as text; "" where it is 0 or empty. */
static const char *value_text(const cm_option *o, const cm_train_params *params, char buf[64])
{
    const void *field = (const char *)params + o->offset;
    const int64_t whole = o->type == CM_OPT_INT ? *(const int64_t *)field : 0;
    buf[0] = '\0';
    if (o->type == CM_OPT_TEXT)
        snprintf(buf, 64, "%s", (const char *)field);
    else if (whole)
        snprintf(buf, 64, "%lld", (long long)whole);
    return buf;
}

/* A message on the shape of a network ("channel-mult: ...") speaks of settings that a preset
 * made and nobody typed: name them. */
static void name_preset(const char *preset, const unsigned char *given, cm_error *err)
{
    const cm_option *o = cm_train_options();
    cm_train_params made; /* the preset alone: else 0 and empty */
    char value[64];
    size_t at = strlen(err->message);
    memset(&made, 0, sizeof made);
    if (cm_train_preset(&made, preset, NULL))
        return;
    const char *separator = "";
    for (int i = 0; o[i].name && at < sizeof err->message; i++)
        if (!given[i] && is_listed(network_options(), o[i].name, strlen(o[i].name)) &&
            *value_text(&o[i], &made, value)) {
            const int n = snprintf(err->message + at, sizeof err->message - at, "%s--%s %s",
                                   *separator ? separator : "; the preset set ", o[i].name, value);
            at += (size_t)n;
            separator = ", ";
        }
}

static void explain_preset(const char *preset, const unsigned char *given, cm_error *err)
{
    if (*preset && err->status == CM_ERR_ARGUMENT &&
        is_listed(network_options(), err->message, strcspn(err->message, ":")))
        name_preset(preset, given, err);
}

static cm_status train(int argc, char **argv, cm_group *group, cm_error *err)
{
    run_options run;
    cm_train_params config;
    unsigned char given[cli_max_options] = {0};
    const cli_table tables[] = {{cm_train_options(), &config, given}, {options, &run, NULL}};
    const cli_usage usage = {"cm train", "--method METHOD --data DATA --out RUN", text, tables, 2,
                             groups};
    cm_status status = read_settings(&usage, argc, argv, &run, &config, err);
    if (!status)
        status = check_settings(&usage, &config, err);
    if (!status)
        status = check_used(&config, run.resume, given, err);
    status = cm_group_agree(group, status, err);
    if (status)
        return status;
    cli_warn_threads(config.threads);
    cli_progress progress;
    const cm_train_hooks hooks = {sizeof hooks, show, should_stop, &progress, group};
    cli_catch_signals();
    cli_progress_start(&progress, run.quiet);
    status = cm_train(&config, run.resume, &hooks, err);
    cli_progress_end(&progress);
    if (status)
        explain_preset(run.preset, given, err);
    return status;
}

cm_status cli_train(int argc, char **argv, cm_error *err)
{
    cm_group *group = NULL;
    const cm_status status = cli_processes_join(&group, err);
    return status ? status : train(argc, argv, group, err);
}
