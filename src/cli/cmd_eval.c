/* cmd_eval.c - cm eval: how good samples are */
#include "cli/cli.h"
#include "cli/processes.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

static const char text[] =
    "Score images against real ones: Frechet distance, Inception score, precision and\n"
    "recall, density and coverage, kernel distance; class agreement and how near samples\n"
    "are to training images.\n"
    "\n"
    "  cm eval --ref VIRTUAL_imagenet64.npz --samples samples.npz\n"
    "  cm eval --ref fashion-mnist --model MODEL --num 10000 --features small \\\n"
    "    --weights CLASSIFIER --train fashion-mnist --test fashion-mnist-test\n"
    "  cm eval --ref photos --save-stats photos.npz\n"
    "  cm eval --ref pictures --samples edited --lpips\n"
    "\n"
    "FID, sFID and the Inception score are those of the Inception network alone, whose\n"
    "weights its project (pytorch-fid) publishes; with a classifier of this program\n"
    "distances have its own name (FD-...), and are for comparing among each other only.\n";

static const cli_group groups[] = {
    {"Common options", "ref samples model num features weights kept json"},
    {"Memorising", "train test nearest"},
    {"Pairs", "lpips lpips-weights"},
    {"Statistics", "save-stats"},
    {"Drawing samples", "seed sampler steps ts sigmas s-churn s-tmin s-tmax s-noise class first "
                        "of micro-batch dtype"},
    {"Machine", "batch threads quiet"},
    {0},
};

/* The table of sampling, where as many images are usual as papers draw. */
static void take_sampling(cm_option to[cli_max_options])
{
    const cm_option *from = cm_sample_options();
    int i = 0;
    do {
        to[i] = from[i];
        if (from[i].name && !strcmp(from[i].name, "num"))
            to[i].initial = "50000";
    } while (from[i++].name);
}

/* What the user gives has an effect on the model. */
static cm_status check_drawing(const cli_usage *usage, const cm_eval_params *params,
                               const cm_sample_params *draw, cm_error *err)
{
    cm_model *model = NULL;
    cm_status status = cm_model_open(params->model, &model, err);
    if (!status)
        status = cli_check_sampling(usage, model, draw, err);
    cm_model_free(model);
    return status;
}

/* What the user gives has an effect. */
static cm_status check_used(const cm_option *sampling, const unsigned char *given,
                            const cm_eval_params *params, cm_error *err)
{
    static const char *const always[] = {"batch", "threads", NULL};
    for (int i = 0; sampling[i].name && !*params->model; i++) {
        int used = !given[i];
        for (int k = 0; always[k]; k++)
            used |= !strcmp(always[k], sampling[i].name);
        if (!used)
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "option '%s': has no effect here, it is for a --model that draws",
                            sampling[i].name);
    }
    return CM_OK;
}

static cm_status check(const cli_usage *usage, const cm_option *sampling,
                       const unsigned char *given, const cm_eval_params *params,
                       const cm_sample_params *draw, cm_error *err)
{
    cm_status status = cli_require(usage, "ref", params->ref, err);
    if (!status && !*params->model && !*params->save_stats)
        status = cli_require(usage, "samples", params->samples, err);
    if (!status)
        status = check_used(sampling, given, params, err);
    return status || !*params->model ? status : check_drawing(usage, params, draw, err);
}

static cm_status eval(int argc, char **argv, cm_group *group, cm_error *err)
{
    cli_quiet own;
    cm_option sampling[cli_max_options];
    unsigned char given[cli_max_options] = {0};
    cm_sample_params draw = cm_sample_default_params();
    cm_eval_params params = cm_eval_default_params();
    const cli_table tables[] = {{cm_eval_options(), &params, NULL},
                                {sampling, &draw, given},
                                {cli_quiet_options, &own, NULL}};
    const cli_usage usage = {"cm eval", "--ref R --samples S", text, tables, 3, groups};
    char *report = NULL;
    cm_options_defaults(cli_quiet_options, &own);
    take_sampling(sampling);
    cm_options_defaults(sampling, &draw);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = check(&usage, sampling, given, &params, &draw, err);
    status = cm_group_agree(group, status, err);
    if (status)
        return status;
    if (cm_group_size(group) > 1)
        draw.threads = cm_group_threads(group, draw.threads);
    if (!cm_group_rank(group))
        cli_warn_threads(draw.threads);
    cli_progress progress;
    cm_eval_hooks hooks = cli_progress_of_work(&progress, own.quiet || cm_group_rank(group));
    hooks.group = group;
    status = cm_eval(&params, &draw, &hooks, &report, err);
    cli_progress_end(&progress);
    status = cm_group_agree(group, status, err);
    if (!status && report)
        cli_print_text(report);
    return status;
}

cm_status cli_eval(int argc, char **argv, cm_error *err)
{
    cm_group *group = NULL;
    const cm_status status = cli_processes_join(&group, err);
    return status ? status : eval(argc, argv, group, err);
}
