/* cmd_info.c - cm info: what a model, run folder or .safetensors file holds */
#include "cli/cli.h"

static const char text[] = "Describe a model, a run folder or any .safetensors file.\n"
                           "\n"
                           "  cm info models/fashion-mnist-cd.safetensors\n"
                           "  cm info runs/teacher\n";

cm_status cli_info(int argc, char **argv, cm_error *err)
{
    const char *path = NULL;
    char *description = NULL;
    const cli_usage usage = {"cm info", "FILE", text, NULL, 0, NULL};
    cm_status status = cli_parse(&usage, argc, argv, &path, err);
    if (!status && !path)
        status =
            cli_fail(err, CM_ERR_ARGUMENT,
                     "argument FILE: expected a path, found none; see '%s --help'", usage.command);
    if (!status)
        status = cm_describe(path, &description, err);
    if (!status)
        cli_print_text(description);
    return status;
}
