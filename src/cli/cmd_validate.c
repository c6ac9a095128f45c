/* cmd_validate.c - cm validate: files checked before they are used */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char text[] =
    "Check models, run folders, .safetensors and PyTorch files: the header against the\n"
    "rules of the format, every size, and of a model that its weights are those of\n"
    "its configuration; of a run that a checkpoint is whole.\n"
    "\n"
    "  cm validate downloaded.safetensors\n"
    "  cm validate models/*.safetensors\n"
    "\n"
    "Prints a line a file.  Exit code 0: all are good; 4: one is refused.\n";

/* What is wrong with the content, in this machine's eyes, is a bad file. */
static cm_status verdict(const char *path, cm_error *why)
{
    const cm_status status = cm_validate(path, why);
    return status == CM_ERR_UNSUPPORTED ? CM_ERR_FORMAT : status;
}

/* Several: a line each, and the gravest: what could not be judged goes before a bad file. */
static cm_status validate_all(int n, char **paths, cm_error *err)
{
    cm_status worst = CM_OK;
    int refused = 0;
    for (int i = 0; i < n; i++) {
        cm_error why = {0};
        const cm_status status = verdict(paths[i], &why);
        if (status)
            cli_say(stdout, "%s", why.message);
        else
            cli_say(stdout, "%s: ok", paths[i]);
        refused += status != CM_OK;
        if (worst == CM_OK || worst == CM_ERR_FORMAT)
            worst = status ? status : worst;
    }
    return worst ? cli_fail(err, worst, "%d of %d file%s refused", refused, n, n == 1 ? "" : "s")
                 : CM_OK;
}

static cm_status validate_one(const char *path, cm_error *err)
{
    const cm_status status = verdict(path, err);
    if (!status)
        cli_say(stdout, "%s: ok", path);
    return status;
}

cm_status cli_validate(int argc, char **argv, cm_error *err)
{
    const cli_usage usage = {.command = "cm validate", .arguments = "FILE...", .text = text};
    const int dash = argc > 1 && argv[1][0] == '-';
    const int first = dash ? 2 : 1;
    /* Of options there is --help alone: the files are not for the parser. */
    const cm_status status =
        cli_parse(&usage, dash && strcmp(argv[1], "--") != 0 ? 2 : 1, argv, NULL, err);
    if (status)
        return status;
    if (first >= argc)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "argument FILE: expected a path, found none; see '%s --help'",
                        usage.command);
    return argc - first == 1 ? validate_one(argv[first], err)
                             : validate_all(argc - first, argv + first, err);
}
