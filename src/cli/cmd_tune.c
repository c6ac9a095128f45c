/* cmd_tune.c - cm tune: the noise levels of edits and of samples by a model */
#include "cli/cli.h"
#include "cli/progress.h"

#include <string.h>

static const char text[] =
    "Find the noise levels with which a model edits or samples best: real pictures are edited and\n"
    "compared with themselves by the features of a classifier, with one level, then with\n"
    "more as long as that helps.  The levels become part of the model's file, and cm edit\n"
    "takes them where --sigmas is not given (of a teacher: --steps).\n"
    "\n"
    "  cm train --method classifier --data fashion-mnist --out runs/judge\n"
    "  cm tune --model M --data fashion-mnist-test --weights runs/judge --out tuned.safetensors\n"
    "  cm tune --task sample --model M --data fashion-mnist-test --weights runs/judge \\\n"
    "    --evaluations 3 --out tuned.safetensors\n"
    "\n"
    "With --task sample it finds the levels that cm sample --steps 2 (or 3, ...) takes, by the\n"
    "distance of samples from the data.  A search that was stopped goes on from its log.\n"
    "\n"
    "The distance (FD-...) is for comparing the rows of a task among each other only.\n";

static const cli_group groups[] = {
    {"Common options", "model data weights out task"},
    {"Search", "num most factor classes evaluations seed"},
    {"Files of a search of samples", "log plot"},
    {"Machine", "batch threads quiet"},
    {0},
};

/* As it goes, also into a file. */
static void print_row(void *user, const char *row)
{
    cli_progress_end(user);
    cli_say(stdout, "%s", row);
    fflush(stdout);
}

/* Of the task sample what is for edits is refused, and more are drawn. */
static cm_status take_samples(const cli_usage *usage, cm_tune_params *params, cm_error *err)
{
    static const char *const of_edits[] = {"most", "factor", "classes", "batch", NULL};
    if (strcmp(params->task, "sample") != 0)
        return CM_OK;
    for (int i = 0; of_edits[i]; i++)
        if (cli_was_given(usage, of_edits[i]))
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "option '%s': has no effect here, it is for edits", of_edits[i]);
    if (!cli_was_given(usage, "num"))
        params->num = 2000;
    return CM_OK;
}

cm_status cli_tune(int argc, char **argv, cm_error *err)
{
    cli_quiet own;
    unsigned char given[cli_max_options] = {0};
    cm_tune_params params = cm_tune_default_params();
    const cli_table tables[] = {{cm_tune_options(), &params, given},
                                {cli_quiet_options, &own, NULL}};
    const cli_usage usage = {
        "cm tune", "--model M --data DATA --weights CLASSIFIER", text, tables, 2, groups};
    cm_options_defaults(cli_quiet_options, &own);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", params.model, err);
    if (!status)
        status = cli_require(&usage, "data", params.data, err);
    if (!status)
        status = cli_require(&usage, "weights", params.weights, err);
    if (!status && cli_was_given(&usage, "factor") && *params.task &&
        !strstr(params.task, "upscale"))
        status = cli_fail(err, CM_ERR_ARGUMENT,
                          "option 'factor': has no effect here, it is for upscale");
    if (!status)
        status = take_samples(&usage, &params, err);
    if (status)
        return status;
    cli_warn_threads(params.threads);
    cli_progress progress;
    const cm_eval_hooks hooks = cli_progress_of_work(&progress, own.quiet);
    status = cm_tune(&params, &hooks, print_row, &progress, err);
    cli_progress_end(&progress);
    if (!status && *params.out)
        cli_say(stdout, "wrote %s", params.out);
    return status;
}
