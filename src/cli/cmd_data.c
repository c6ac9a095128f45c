/* cmd_data.c - cm data: what a folder of images holds, before training on it */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct data_options {
    cm_text pack, labels, image_size, background;
    int strict;
} data_options;

static const cm_option options[] = {
    {"pack", CM_OPT_TEXT, offsetof(data_options, pack), "", NULL, 0, 0, "FILE",
     "write the decoded images to one .safetensors file, which --data takes"},
    {"labels", CM_OPT_TEXT, offsetof(data_options, labels), "folder", "folder|names|none", 0, 0,
     "FROM", "classes: the subfolders, names such as cat_0001.png, or none"},
    {"image-size", CM_OPT_TEXT, offsetof(data_options, image_size), "0", NULL, 0, 0, "N|WxH",
     "side, or width and height, to bring the images to (0: their own)"},
    {"background", CM_OPT_TEXT, offsetof(data_options, background), "white", NULL, 0, 0, "COLOUR",
     "what transparent images show: white, black or RRGGBB"},
    {"strict", CM_OPT_FLAG, offsetof(data_options, strict), "false", NULL, 0, 1, NULL,
     "a damaged image is an error, else it is left out by name"},
    {0},
};

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

cm_status cli_data(int argc, char **argv, cm_error *err)
{
    data_options o;
    const char *path = NULL;
    const cli_table table = {options, &o, NULL};
    const cli_usage usage = {"cm data", "DATA", text, &table, 1, NULL};
    cm_train_params config = cm_train_default_params();
    cm_options_defaults(options, &o);
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
    memcpy(config.labels, o.labels, sizeof o.labels);
    memcpy(config.image_size, o.image_size, sizeof o.image_size);
    memcpy(config.background, o.background, sizeof o.background);
    config.strict = o.strict;
    status = cm_data(&config, o.pack, print_line, NULL, err);
    if (!status && *o.pack)
        printf("wrote %s\n", o.pack);
    return status;
}
