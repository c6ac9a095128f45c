/* cmd_info.c - cm info: what a model, run folder or file of tensors holds */
#include "cli/cli.h"

typedef struct info_options {
    int json;
} info_options;

static const cm_option options[] = {
    {"json", CM_OPT_FLAG, offsetof(info_options, json), "false", NULL, 0, 1, NULL,
     "print a JSON object"},
    {0},
};

static const char text[] =
    "Describe a model, a run folder, any .safetensors or PyTorch file: what it draws, its\n"
    "classes, its noise levels, its network and what it was trained with.\n"
    "\n"
    "  cm info models/fashion-mnist-cd.safetensors\n"
    "  cm info --json runs/teacher\n";

cm_status cli_info(int argc, char **argv, cm_error *err)
{
    info_options o;
    const char *path = NULL;
    char *description = NULL;
    const cli_table table = {options, &o, NULL};
    const cli_usage usage = {"cm info", "FILE", text, &table, 1, NULL};
    cm_options_defaults(options, &o);
    cm_status status = cli_parse(&usage, argc, argv, &path, err);
    if (!status && !path)
        status =
            cli_fail(err, CM_ERR_ARGUMENT,
                     "argument FILE: expected a path, found none; see '%s --help'", usage.command);
    if (!status)
        status = o.json ? cm_describe_json(path, &description, err)
                        : cm_describe(path, &description, err);
    if (!status)
        cli_print_text(description);
    return status;
}
