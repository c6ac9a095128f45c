/* bench.c - cm bench: times of training steps and sampling */
#include "cli/cli.h"

#include <stdio.h>

typedef struct bench_options {
    cm_text model;
    int64_t threads;
} bench_options;

static const cm_option options[] = {
    {"model", CM_OPT_TEXT, offsetof(bench_options, model), "models/fashion-mnist-cd.safetensors",
     NULL, 0, 0, "MODEL", "a .safetensors model or a run folder"},
    {"threads", CM_OPT_INT, offsetof(bench_options, threads), "0", NULL, 0, 4096, "N",
     "threads (0: the cores this process may use)"},
    {0},
};

static const char text[] =
    "Time one training step of each method and one-step sampling of a model.\n"
    "\n"
    "  cm bench\n"
    "  cm bench --model runs/student --threads 1\n";

/* A row may take seconds: show each when it is known. */
static void print_line(void *user, const char *line)
{
    (void)user;
    puts(line);
    fflush(stdout);
}

cm_status cli_bench(int argc, char **argv, cm_error *err)
{
    bench_options b;
    const cli_table table = {options, &b};
    const cli_usage usage = {"cm bench", "", text, &table, 1};
    cm_model *model = NULL;
    cm_options_defaults(options, &b);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cm_model_open(b.model, &model, err);
    if (!status)
        status = cm_bench(model, (int)b.threads, print_line, NULL, err);
    cm_model_free(model);
    return status;
}
