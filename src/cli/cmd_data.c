/* cmd_data.c - cm data: what a folder of images holds, before training on it */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct data_options {
    cm_text pack;
} data_options;

static const cm_option own_options[] = {
    {"pack", CM_OPT_TEXT, offsetof(data_options, pack), "", NULL, 0, 0, "FILE",
     "write the decoded images to one .safetensors file, which --data takes"},
    {0},
};

/* Of the options of training those that say how data are read. */
static const char *const of_training[] = {"labels", "image-size", "background", "strict"};
enum { OF_TRAINING = sizeof of_training / sizeof *of_training };

static const char text[] =
    "Say what a data set holds: images by kind, classes, sizes, and every file that\n"
    "training would leave out, with the reason.\n"
    "\n"
    "  cm data photos --image-size 64\n"
    "  cm data photos --image-size 64 --pack photos.safetensors\n";

static void print_line(void *user, const char *line)
{
    (void)user;
    puts(line);
}

static void take_options(cm_option to[OF_TRAINING + 1])
{
    for (int i = 0; i < OF_TRAINING; i++) {
        const cm_option *o = cm_train_options();
        while (strcmp(o->name, of_training[i]) != 0)
            o++;
        to[i] = *o;
    }
    to[OF_TRAINING] = (cm_option){0};
}

cm_status cli_data(int argc, char **argv, cm_error *err)
{
    data_options o;
    cm_option shared[OF_TRAINING + 1];
    const char *path = NULL;
    cm_train_params config = cm_train_default_params();
    const cli_table tables[] = {{own_options, &o, NULL}, {shared, &config, NULL}};
    const cli_usage usage = {"cm data", "DATA", text, tables, 2, NULL};
    cm_options_defaults(own_options, &o);
    take_options(shared);
    cm_status status = cli_parse(&usage, argc, argv, &path, err);
    if (status)
        return status;
    if (!path)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "argument DATA: expected a path, found none; see '%s --help'",
                        usage.command);
    status = cm_options_set(cm_train_options(), &config, "data", path, err);
    if (status)
        return status;
    status = cm_data(&config, o.pack, print_line, NULL, err);
    if (!status && *o.pack)
        cli_say(stdout, "wrote %s", o.pack);
    return status;
}
