/* cmd_bench.c - cm bench: times of training steps and sampling */
#include "cli/bench_processes.h"
#include "cli/cli.h"
#include "cli/processes.h"

#include <stdio.h>
#include <string.h>

typedef struct bench_options {
    cm_text model, config, work, dtype;
    int64_t accumulate;
    int recompute, json;
} bench_options;

static const cm_option options[] = {
    {"model", CM_OPT_TEXT, offsetof(bench_options, model), "models/fashion-mnist-cd.safetensors",
     NULL, 0, 0, "MODEL", "a .safetensors model or a run folder"},
    {"config", CM_OPT_TEXT, offsetof(bench_options, config), "", NULL, 0, 0, "FILE",
     "instead of a model: the network of this JSON file, with random weights"},
    {"work", CM_OPT_TEXT, offsetof(bench_options, work), "all", NULL, 0, 0, "WORK",
     "onestep (sampling), a method of cm train (a step of it), or all; on several processes\n"
     "a method, whose step they share, or sums"},
    {"dtype", CM_OPT_TEXT, offsetof(bench_options, dtype), "all", "all|f32|bf16", 0, 0, "TYPE",
     "activations and matrix operands"},
    {"accumulate", CM_OPT_INT, offsetof(bench_options, accumulate), "0", NULL, 0, 65536, "P",
     "parts of the batch in a step that processes share (0: one each)"},
    {"recompute", CM_OPT_FLAG, offsetof(bench_options, recompute), "false", NULL, 0, 1, NULL,
     "training steps as with cm train --recompute"},
    {"json", CM_OPT_FLAG, offsetof(bench_options, json), "false", NULL, 0, 1, NULL,
     "print an array of objects"},
    {0},
};

static const char *const of_sampling[] = {"batch", "micro-batch", "threads", NULL};

static const char text[] =
    "Time training steps and one-step sampling of a network.\n"
    "\n"
    "  cm bench\n"
    "  cm bench --model runs/student --threads 1\n"
    "  cm bench --config bench/networks/imagenet64.json --work onestep --batch 8\n"
    "\n"
    "Efficiency is the matrix floor (the best isolated times of the convolutions and\n"
    "matrix products, added up) over the time of the whole; the memory floor is what\n"
    "the steps read and write at the speed of a copy.  Of peak is the share of the f32\n"
    "multiply-adds that this instruction set does in registers: operations of convolutions\n"
    "and products as they are defined, so that Winograd's convolutions, which need fewer,\n"
    "and bf16 instructions may bring it above 1.  Of memory is the memory floor over the\n"
    "time, above 1 where caches hold much of it.  Both speeds are measured before each row;\n"
    "the first line has those of the first row.  MiB needed are those of weights, moments,\n"
    "averages and the activations that the gradient reads.\n"
    "\n"
    "On several processes, started by MPI:\n"
    "\n"
    "  mpirun -n 4 cm bench --work sums\n"
    "  mpirun -n 4 cm bench --work edm --dtype f32 --batch 64\n"
    "\n"
    "The first times the sum of an array over the processes by its size, the second a step that\n"
    "they share: how long sums of the gradient's ranges were under way, and waited for.\n";

typedef struct bench {
    const bench_options *options;
    const cm_sample_params *params;
    cm_model *model;
    char network[128]; /* the file's name without folder and ending */
    int rows;          /* printed */
} bench;

static void name_network(bench *b)
{
    const char *path = *b->options->config ? b->options->config : b->options->model;
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const int n = dot ? (int)(dot - name) : (int)strlen(name);
    char raw[sizeof(cm_text)];
    snprintf(raw, sizeof raw, "%.*s", n, name);
    cli_escape(b->network, sizeof b->network, raw);
    for (char *c = b->network; *c; c++) /* so that it is a JSON text as it is */
        if (*c == '"' || *c == '\\')
            *c = '_';
}

/* The machine, as the first row found it. */
static void show_head(const cm_bench_result *r)
{
    char machine[256];
    cm_machine(machine, sizeof machine);
    printf("%s; with %d thread%s %.0f GFLOP/s of f32 multiply-adds, %.1f GB/s copied\n"
           "work     network              dtype batch         ms  images/s efficiency of peak "
           "of memory matrix floor memory floor       MiB    needed\n",
           machine, r->threads, r->threads == 1 ? "" : "s", r->peak_gflops, r->memory_gb_s);
}

/* A row may take seconds: show each when it is known. */
static void show(bench *b, const char *work, const char *dtype, int batch, const cm_bench_result *r)
{
    const double efficiency = r->matrix_floor_ms / r->ms, mib = 1.0 / 1048576.0;
    if (!b->options->json && !b->rows)
        show_head(r);
    if (b->options->json)
        printf("%s\n {\"work\": \"%s\", \"network\": \"%s\", \"dtype\": \"%s\", \"batch\": %d, "
               "\"threads\": %d, \"ms\": %.6g, \"images_per_s\": %.6g, \"efficiency\": %.6g, "
               "\"matrix_floor_ms\": %.6g, \"memory_floor_ms\": %.6g, \"gflop\": %.6g, "
               "\"peak_gflops\": %.6g, \"peak_share\": %.6g, \"memory_gb_s\": %.6g, "
               "\"memory_share\": %.6g, \"peak_bytes\": %lld, \"needed_bytes\": %lld}",
               b->rows ? "," : "", work, b->network, dtype, batch, r->threads, r->ms,
               r->images_per_s, efficiency, r->matrix_floor_ms, r->memory_floor_ms, r->gflop,
               r->peak_gflops, r->peak_share, r->memory_gb_s, r->memory_share,
               (long long)r->peak_bytes, (long long)r->needed_bytes);
    else
        cli_say(stdout,
                "%-8s %-20s %-5s %5d %10.2f %9.1f %10.2f %7.2f %9.2f %12.2f %12.2f %9.1f %9.1f",
                work, b->network, dtype, batch, r->ms, r->images_per_s, efficiency, r->peak_share,
                r->memory_share, r->matrix_floor_ms, r->memory_floor_ms,
                (double)r->peak_bytes * mib, (double)r->needed_bytes * mib);
    fflush(stdout);
    b->rows++;
}

static cm_status run_work(bench *b, const char *work, const char *dtype, cm_error *err)
{
    const int sampling = !strcmp(work, "onestep");
    const int given = (int)b->params->batch;
    const int batch[] = {given ? given : sampling ? 1 : 64, 64};
    for (int i = 0; i < (sampling && !given ? 2 : 1); i++) {
        cm_bench_result r = {.size = sizeof r};
        const cm_work w = {.size = sizeof w,
                           .kind = work,
                           .dtype = dtype,
                           .batch = batch[i],
                           .micro_batch = sampling ? (int)b->params->micro_batch : 0,
                           .recompute = !sampling && b->options->recompute,
                           .threads = (int)b->params->threads};
        const cm_status status = cm_bench(b->model, &w, &r, err);
        if (status)
            return status;
        show(b, work, dtype, batch[i], &r);
    }
    return CM_OK;
}

/* A step that processes share. */
static cm_status run_shared(bench *b, cm_group *group, cm_error *err)
{
    const bench_options *o = b->options;
    const cm_work w = {.size = sizeof w,
                       .kind = o->work,
                       .dtype = strcmp(o->dtype, "all") ? o->dtype : "auto",
                       .batch = b->params->batch ? (int)b->params->batch : 64,
                       .recompute = o->recompute,
                       .threads = (int)b->params->threads};
    return cli_bench_shared(group, b->model, &w, (int)o->accumulate, o->json, err);
}

/* One-step sampling, then the methods of cm train, of those asked for. */
static cm_status run_dtype(bench *b, const char *dtype, cm_error *err)
{
    const bench_options *o = b->options;
    const cm_option *method = cm_train_options();
    char name[sizeof(cm_text)];
    if (strcmp(o->work, "all") != 0)
        return run_work(b, o->work, dtype, err);
    cm_status status = run_work(b, "onestep", dtype, err);
    while (strcmp(method->name, "method") != 0)
        method++;
    for (const char *word = method->choices; word && !status; word = strchr(word, '|')) {
        word += *word == '|';
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "|"), word);
        if (strcmp(name, "classifier") != 0) /* another network, which draws nothing */
            status = run_work(b, name, dtype, err);
    }
    return status;
}

/* bf16 is left out, with the reason, where the processor does not compute in it. */
static cm_status run_all(bench *b, cm_error *err)
{
    const bench_options *o = b->options;
    if (strcmp(o->dtype, "all") != 0)
        return run_dtype(b, o->dtype, err);
    cm_status status = run_dtype(b, "f32", err);
    if (!status)
        status = run_dtype(b, "bf16", err);
    if (status == CM_ERR_UNSUPPORTED) {
        cli_say(stderr, "left out: %s", err->message);
        return CM_OK;
    }
    return status;
}

/* What the user gives has an effect. */
static cm_status check_used(const cli_usage *usage, const bench_options *o, cm_error *err)
{
    static const char *const not_of_sums[] = {"model",     "config", "dtype",   "accumulate",
                                              "recompute", "batch",  "threads", "micro-batch"};
    for (size_t i = 0; i < sizeof not_of_sums / sizeof *not_of_sums; i++)
        if (!strcmp(o->work, "sums") && cli_was_given(usage, not_of_sums[i]))
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "option '%s': has no effect here, sums know no network",
                            not_of_sums[i]);
    const int all = !strcmp(o->work, "all"), sampling = all || !strcmp(o->work, "onestep");
    if (*o->config && cli_was_given(usage, "model"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'model': has no effect here, the network is that of --config");
    if (!sampling && cli_was_given(usage, "micro-batch"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'micro-batch': has no effect here, it is for --work onestep");
    if (sampling && !all && cli_was_given(usage, "recompute"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'recompute': has no effect here, it is for training steps");
    return CM_OK;
}

/* Of sampling, but the batch may be left to the work. */
static void take_options(cm_option shared[cli_most_taken], cm_sample_params *params)
{
    cli_take_options(shared, cm_sample_options(), of_sampling);
    shared[0].min = 0;
    shared[0].initial = "0";
    shared[0].help = "images a step (0: 1 and 64 for sampling, 64 for training)";
    *params = cm_sample_default_params();
    params->batch = 0;
}

/* On several processes all do the same work. */
static cm_status check_shared(const bench_options *o, const cm_group *group, cm_error *err)
{
    const int apart = !strcmp(o->work, "all") || !strcmp(o->work, "onestep");
    return apart && (cm_group_size(group) > 1 || o->accumulate)
               ? cli_fail(err, CM_ERR_ARGUMENT,
                          "option 'work': processes share sums and the steps of a method: expected "
                          "one of these, found '%s'",
                          o->work)
               : CM_OK;
}

static cm_status run(bench *b, cm_group *group, cm_error *err)
{
    const bench_options *o = b->options;
    if (!strcmp(o->work, "sums"))
        return cli_bench_sums(group, o->json, err);
    return group || o->accumulate ? run_shared(b, group, err) : run_all(b, err);
}

static cm_status open_network(bench *b, cm_error *err)
{
    const bench_options *o = b->options;
    if (!strcmp(o->work, "sums"))
        return CM_OK;
    name_network(b);
    return *o->config ? cm_model_random(o->config, 1, &b->model, err)
                      : cm_model_open(o->model, &b->model, err);
}

static cm_status bench_with(int argc, char **argv, cm_group *group, cm_error *err)
{
    bench_options o;
    cm_option shared[cli_most_taken];
    cm_sample_params params;
    unsigned char given[2][cli_max_options] = {{0}};
    const cli_table tables[] = {{options, &o, given[0]}, {shared, &params, given[1]}};
    const cli_usage usage = {"cm bench", "", text, tables, 2, NULL};
    bench b = {.options = &o, .params = &params};
    cm_options_defaults(options, &o);
    take_options(shared, &params);
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = check_used(&usage, &o, err);
    if (!status)
        status = check_shared(&o, group, err);
    if (!status)
        status = open_network(&b, err);
    status = cm_group_agree(group, status, err);
    if (status)
        return status;
    cli_warn_threads(params.threads);
    const int json = o.json && !cm_group_rank(group);
    if (json)
        printf("[");
    status = run(&b, group, err);
    if (json)
        printf("\n]\n");
    cm_model_free(b.model);
    return status;
}

cm_status cli_bench(int argc, char **argv, cm_error *err)
{
    cm_group *group = NULL;
    const cm_status status = cli_processes_join(&group, err);
    return status ? status : bench_with(argc, argv, group, err);
}
