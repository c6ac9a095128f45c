/* cmd_data.c - cm data: what a folder of images holds, before training on it */
#include "cli/cli.h"

#include <stdio.h>

typedef struct data_options {
    cm_text pack;
} data_options;

static const cm_option own_options[] = {
    {"pack", CM_OPT_TEXT, offsetof(data_options, pack), "", NULL, 0, 0, "FILE",
     "write the decoded images to one .safetensors file, which --data takes"},
    {0},
};

/* Of the options of training those that say how data are read. */
static const char *const of_training[] = {"labels", "image-size", "background", "strict", NULL};

static const char text[] =
    "Say what a data set holds: images by kind, classes, sizes, and every file that\n"
    "training would leave out, with the reason.\n"
    "\n"
    "  cm data photos --image-size 64\n"
    "  cm data photos --image-size 64 --pack photos.safetensors\n";

static void print_line(void *user, const char *line)
{
    (void)user;
    cli_say(stdout, "%s", line);
}

/* What the user gives has an effect. */
static cm_status check_used(const cli_usage *usage, const cm_train_params *config, cm_error *err)
{
    cm_status status = CM_OK;
    for (const char *const *name = of_training; *name && !status; name++)
        if (cli_was_given(usage, *name))
            status = cm_train_check_used(config, 0, *name, err);
    return status;
}

cm_status cli_data(int argc, char **argv, cm_error *err)
{
    data_options o;
    cm_option shared[cli_most_taken];
    unsigned char given[cli_most_taken] = {0};
    const char *path = NULL;
    cm_train_params config = cm_train_default_params();
    const cli_table tables[] = {{own_options, &o, NULL}, {shared, &config, given}};
    const cli_usage usage = {"cm data", "DATA", text, tables, 2, NULL};
    cm_options_defaults(own_options, &o);
    cli_take_options(shared, cm_train_options(), of_training);
    cm_status status = cli_parse(&usage, argc, argv, &path, err);
    if (status)
        return status;
    if (!path)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "argument DATA: expected a path, found none; see '%s --help'",
                        usage.command);
    status = cm_options_set(cm_train_options(), &config, "data", path, err);
    if (!status)
        status = check_used(&usage, &config, err);
    if (!status)
        status = cm_data(&config, o.pack, print_line, NULL, err);
    if (!status && *o.pack)
        cli_say(stdout, "wrote %s", o.pack);
    return status;
}
