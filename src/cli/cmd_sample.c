/* cmd_sample.c - cm sample: images from a model, into a grid, an archive or a folder */
#include "cli/cli.h"

#include <stdio.h>

typedef struct sample_files {
    cm_text model, out;
    int64_t columns;
} sample_files;

static const cm_option file_options[] = {
    {"model", CM_OPT_TEXT, offsetof(sample_files, model), "", NULL, 0, 0, "MODEL",
     "a .safetensors model or a run folder"},
    {"out", CM_OPT_TEXT, offsetof(sample_files, out), "", NULL, 0, 0, "X",
     "X.png is a grid, X.npz holds arr_0 (pixels) and arr_1 (labels), else a folder of PNG images"},
    {"columns", CM_OPT_INT, offsetof(sample_files, columns), "0", NULL, 0, 1e6, "N",
     "columns of the grid (0: square)"},
    {0},
};

static const char text[] =
    "Generate images from a model.\n"
    "\n"
    "  cm sample --model models/fashion-mnist-cd.safetensors --out clothes.png\n"
    "  cm sample --model M --num 100 --class all --columns 10 --out grid.png\n"
    "  cm sample --model M --sampler multistep --sigmas 80,5 --out x.png\n"
    "  cm sample --model M --num 10000 --class random --out samples.npz\n";

static const cli_group groups[] = {
    {"Common options", "model out num class seed sampler"},
    {"Sampler", "steps ts sigmas s-churn s-tmin s-tmax s-noise"},
    {"Output", "columns"},
    {"Machine", "dtype batch micro-batch threads"},
    {0},
};

static cm_status generate(const sample_files *files, const cm_sample_params *config, cm_error *err)
{
    cm_model *model = NULL;
    cm_images *images = NULL;
    double seconds = 0;
    cm_status status = cm_model_open(files->model, &model, err);
    if (!status) {
        const double start = cli_seconds();
        status = cm_sample(model, config, &images, err);
        seconds = cli_seconds() - start;
    }
    if (!status)
        status = cm_images_write(images, files->out, (int)files->columns, err);
    if (!status)
        printf("%s: %lld image%s in %.3f s (%.1f images/s), seed %lld\n", files->out,
               (long long)images->n, images->n == 1 ? "" : "s", seconds,
               (double)images->n / seconds, (long long)config->seed);
    cm_images_free(images);
    cm_model_free(model);
    return status;
}

cm_status cli_sample(int argc, char **argv, cm_error *err)
{
    sample_files files;
    cm_sample_params config;
    const cli_table tables[] = {{file_options, &files, NULL}, {cm_sample_options(), &config, NULL}};
    const cli_usage usage = {"cm sample", "--model MODEL --out X", text, tables, 2, groups};
    cm_options_defaults(file_options, &files);
    config = cm_sample_default_params();
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", files.model, err);
    if (!status)
        status = cli_require(&usage, "out", files.out, err);
    return status ? status : generate(&files, &config, err);
}
