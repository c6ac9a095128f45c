/* cmd_explain.c - cm explain: the compiled plan of sampling or of a training step */
#include "cli/cli.h"

typedef struct explain_options {
    cm_text model, method, dtype;
    int64_t batch, micro_batch, threads;
    int recompute, profile;
} explain_options;

static const cm_option options[] = {
    {"model", CM_OPT_TEXT, offsetof(explain_options, model), "", NULL, 0, 0, "MODEL",
     "a .safetensors model or a run folder"},
    {"method", CM_OPT_TEXT, offsetof(explain_options, method), "", NULL, 0, 0, "METHOD",
     "explain a training step of this method of cm train (default: one-step sampling)"},
    {"batch", CM_OPT_INT, offsetof(explain_options, batch), "64", NULL, 1, 65536, "N",
     "images of a run"},
    {"micro-batch", CM_OPT_INT, offsetof(explain_options, micro_batch), "0", NULL, 0, 65536, "N",
     "sampling: images in the network at a time (0: as many as the caches hold)"},
    {"dtype", CM_OPT_TEXT, offsetof(explain_options, dtype), "auto", "auto|f32|bf16", 0, 0, "TYPE",
     "activations and matrix operands"},
    {"threads", CM_OPT_INT, offsetof(explain_options, threads), "0", NULL, 0, 4096, "N",
     "threads (0: the cores this process may use)"},
    {"recompute", CM_OPT_FLAG, offsetof(explain_options, recompute), "false", NULL, 0, 1, NULL,
     "a training step as with cm train --recompute"},
    {"profile", CM_OPT_FLAG, offsetof(explain_options, profile), "false", NULL, 0, 1, NULL,
     "run the plan too; add milliseconds and share of each step"},
    {0},
};

static const char text[] =
    "Print the compiled plan: step, op, shape, dtype, offset, implementation.\n"
    "\n"
    "  cm explain --model models/fashion-mnist-cd.safetensors\n"
    "  cm explain --model M --method cd --batch 128 --profile\n";

static cm_status explain(cm_model *model, const explain_options *e, cm_error *err)
{
    const cm_work work = {.size = sizeof work,
                          .kind = *e->method ? e->method : "onestep",
                          .dtype = e->dtype,
                          .batch = (int)e->batch,
                          .micro_batch = (int)e->micro_batch,
                          .recompute = e->recompute,
                          .threads = (int)e->threads};
    char *plan = NULL;
    const cm_status status = cm_explain(model, &work, e->profile, &plan, err);
    if (!status)
        cli_print_text(plan);
    return status;
}

cm_status cli_explain(int argc, char **argv, cm_error *err)
{
    explain_options e;
    const cli_table table = {options, &e, NULL};
    const cli_usage usage = {"cm explain", "--model MODEL", text, &table, 1, NULL};
    cm_model *model = NULL;
    cm_options_defaults(options, &e);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", e.model, err);
    if (!status)
        status = cm_model_open(e.model, &model, err);
    if (!status)
        status = explain(model, &e, err);
    cm_model_free(model);
    return status;
}
