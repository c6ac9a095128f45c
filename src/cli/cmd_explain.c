/* cmd_explain.c - cm explain: the compiled plan of sampling or of a training step */
#include "cli/cli.h"

#include <string.h>

typedef struct explain_options {
    cm_text model, method;
    int recompute, profile;
} explain_options;

static const cm_option options[] = {
    {"model", CM_OPT_TEXT, offsetof(explain_options, model), "", NULL, 0, 0, "MODEL",
     "a .safetensors model or a run folder"},
    {"method", CM_OPT_TEXT, offsetof(explain_options, method), "", NULL, 0, 0, "METHOD",
     "explain a training step of this method of cm train (default: one-step sampling)"},
    {"recompute", CM_OPT_FLAG, offsetof(explain_options, recompute), "false", NULL, 0, 1, NULL,
     "a training step as with cm train --recompute"},
    {"profile", CM_OPT_FLAG, offsetof(explain_options, profile), "false", NULL, 0, 1, NULL,
     "run the plan too; add milliseconds, share and speed of each step"},
    {0},
};

static const char *const of_sampling[] = {"batch", "micro-batch", "dtype", "threads", NULL};

static const char text[] =
    "Print the compiled plan: step, op, shape, dtype, offset, implementation.\n"
    "\n"
    "  cm explain --model models/fashion-mnist-cd.safetensors\n"
    "  cm explain --model M --method cd --batch 128 --profile\n"
    "\n"
    "With --profile a step's speed is also given as a share of the machine's, which is\n"
    "measured before: of f32 multiply-adds in registers for convolutions and matrix products,\n"
    "of a copy in memory for all others.  Above 1 are convolutions by Winograd (counted as they\n"
    "are defined, and computed with fewer operations), products by bf16 instructions, and\n"
    "steps whose operands are in a cache.\n";

/* What the user gives has an effect. */
static cm_status check_used(const cli_usage *usage, const explain_options *e, cm_error *err)
{
    const int sampling = !*e->method || !strcmp(e->method, "onestep");
    if (!sampling && cli_was_given(usage, "micro-batch"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'micro-batch': has no effect here, it is for sampling, without "
                        "--method");
    if (sampling && cli_was_given(usage, "recompute"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'recompute': has no effect here, it is for a training step, with "
                        "--method");
    return CM_OK;
}

static cm_status explain(cm_model *model, const explain_options *e, const cm_sample_params *p,
                         cm_error *err)
{
    const cm_work work = {.size = sizeof work,
                          .kind = *e->method ? e->method : "onestep",
                          .dtype = p->dtype,
                          .batch = (int)p->batch,
                          .micro_batch = (int)p->micro_batch,
                          .recompute = e->recompute,
                          .threads = (int)p->threads};
    char *plan = NULL;
    const cm_status status = cm_explain(model, &work, e->profile, &plan, err);
    if (!status)
        cli_print_text(plan);
    return status;
}

cm_status cli_explain(int argc, char **argv, cm_error *err)
{
    explain_options e;
    cm_option shared[cli_most_taken];
    cm_sample_params params = cm_sample_default_params();
    unsigned char given[2][cli_max_options] = {{0}};
    const cli_table tables[] = {{options, &e, given[0]}, {shared, &params, given[1]}};
    const cli_usage usage = {"cm explain", "--model MODEL", text, tables, 2, NULL};
    cm_model *model = NULL;
    cm_options_defaults(options, &e);
    cli_take_options(shared, cm_sample_options(), of_sampling);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", e.model, err);
    if (!status)
        status = check_used(&usage, &e, err);
    if (!status)
        status = cm_model_open(e.model, &model, err);
    if (!status)
        status = explain(model, &e, &params, err);
    cm_model_free(model);
    return status;
}
