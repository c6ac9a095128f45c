/* cmd_forward.c - cm forward: the raw network on given tensors, to compare with
 * another framework */
#include "cli/cli.h"

typedef struct forward_options {
    cm_text model, config, input, output, dtype;
} forward_options;

static const cm_option options[] = {
    {"model", CM_OPT_TEXT, offsetof(forward_options, model), "", NULL, 0, 0, "MODEL",
     "weights, .safetensors or PyTorch's .pt"},
    {"config", CM_OPT_TEXT, offsetof(forward_options, config), "", NULL, 0, 0, "FILE",
     "the network's configuration, .json, where the weights carry none"},
    {"input", CM_OPT_TEXT, offsetof(forward_options, input), "", NULL, 0, 0, "IN",
     ".safetensors with x f32 [N,C,H,W], timesteps f32 [N] and, with classes, y int64 [N]"},
    {"output", CM_OPT_TEXT, offsetof(forward_options, output), "", NULL, 0, 0, "OUT",
     ".safetensors that gets out f32 [N,C,H,W]"},
    {"dtype", CM_OPT_TEXT, offsetof(forward_options, dtype), "f32", "f32|bf16", 0, 0, "TYPE",
     "activations and matrix operands"},
    {0},
};

static const char *const of_sampling[] = {"threads", NULL};

static const char text[] =
    "Run the raw network, without preconditioning, on tensors from a file.\n"
    "\n"
    "  cm forward --model M --input in.safetensors --output out.safetensors\n"
    "  cm forward --model W.safetensors --config C.json --input IN --output OUT\n";

cm_status cli_forward(int argc, char **argv, cm_error *err)
{
    forward_options f;
    cm_option shared[cli_most_taken];
    cm_sample_params params = cm_sample_default_params();
    const cli_table tables[] = {{options, &f, NULL}, {shared, &params, NULL}};
    const cli_usage usage = {"cm forward", "--model MODEL --input IN --output OUT", text, tables, 2,
                             NULL};
    cm_options_defaults(options, &f);
    cli_take_options(shared, cm_sample_options(), of_sampling);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", f.model, err);
    if (!status)
        status = cli_require(&usage, "input", f.input, err);
    if (!status)
        status = cli_require(&usage, "output", f.output, err);
    if (!status)
        status = cm_forward(f.model, *f.config ? f.config : NULL, f.input, f.output, f.dtype,
                            (int)params.threads, err);
    return status;
}
