/* cli.c - what the subcommands share */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- small helpers --------------------------------------------------------- */

cm_status cli_require(const cli_usage *usage, const char *option, const char *value, cm_error *err)
{
    if (*value)
        return CM_OK;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option '%s': expected a value, found none; see '%s --help'", option,
                    usage->command);
}

cm_status cli_check_sampling(const cli_usage *usage, const cm_model *model,
                             const cm_sample_params *params, cm_error *err)
{
    cm_status status = CM_OK;
    for (const cm_option *o = cm_sample_options(); o->name && !status; o++)
        if (cli_was_given(usage, o->name))
            status = cm_sample_check_used(model, params, o->name, err);
    return status;
}

void cli_warn_threads(int64_t threads)
{
    const int cores = cm_group_threads(NULL, 0);
    if (threads > cores)
        fprintf(stderr, "cm: warning: %lld threads on %d core%s: slower than %d would be\n",
                (long long)threads, cores, cores == 1 ? "" : "s", cores);
}

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- lists ----------------------------------------------------------------- */

#define X(name, shares, help) {#name, cli_##name, help, shares},
const cli_command cli_commands[] = {CLI_COMMANDS(X){0}};
#undef X

const char cli_about[] =
    "Train, distil and sample one-step image generators (consistency models).\n"
    "\n"
    "  cm sample --model models/fashion-mnist-cd.safetensors --out clothes.png\n"
    "  cm train --method edm --data fashion-mnist --out runs/teacher\n"
    "  cm train --method cd --teacher runs/teacher --data fashion-mnist --out runs/cd\n"
    "\n"
    "'cm help COMMAND' lists the options of a command, 'cm --version' prints the\n"
    "version.\n";

const cli_exit cli_exits[] = {
    {0, CM_OK, "done"},
    {1, CM_ERR_IO, "failed: a file, memory, or what this machine cannot do"},
    {2, CM_ERR_ARGUMENT, "wrong usage"},
    {3, CM_ERR_NUMERIC, "a number that is none turned up in the computation"},
    {4, CM_ERR_FORMAT, "a bad input file"},
    {130, CM_INTERRUPTED, "interrupted; by another signal N, 128 + N"},
    {0},
};

static const cm_option *find_option(const cli_usage *usage, const char *name, size_t length)
{
    for (int t = 0; t < usage->table_count; t++)
        for (const cm_option *o = usage->tables[t].options; o->name; o++)
            if (strlen(o->name) == length && !memcmp(o->name, name, length))
                return o;
    return NULL;
}

int cli_takes_path(const cm_option *o)
{
    static const char *const paths[] = {"MODEL", "CLASSIFIER", "RUN", "DATA", "FILE",
                                        "IN",    "OUT",        "X",   "R",    "S"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths && o->type == CM_OPT_TEXT; i++)
        if (!strcmp(o->metavar, paths[i]))
            return 1;
    return 0;
}

int cli_was_given(const cli_usage *usage, const char *name)
{
    for (int t = 0; t < usage->table_count; t++)
        for (int i = 0; usage->tables[t].options[i].name; i++)
            if (!strcmp(usage->tables[t].options[i].name, name) && usage->tables[t].given)
                return usage->tables[t].given[i];
    return 0;
}

void cli_take_options(cm_option to[cli_most_taken], const cm_option *from, const char *const *names)
{
    int n = 0;
    for (; *names; names++) {
        const cm_option *o = from;
        while (o->name && strcmp(o->name, *names) != 0)
            o++;
        if (!o->name || n == cli_most_taken - 1) /* our own mistake */
            abort();
        to[n++] = *o;
    }
    to[n] = (cm_option){0};
}

static int is_listed(const cli_entry *list, int n, const cm_option *o)
{
    for (int i = 0; i < n; i++)
        if (list[i].option == o)
            return 1;
    return 0;
}

int cli_list_options(const cli_usage *usage, cli_entry list[cli_max_options])
{
    int n = 0;
    for (const cli_group *g = usage->groups; g && g->title; g++) {
        const char *title = g->title;
        for (const char *name = g->options; *name; name += strspn(name, " ")) {
            const size_t length = strcspn(name, " ");
            const cm_option *o = find_option(usage, name, length);
            name += length;
            if (!o || is_listed(list, n, o) || n == cli_max_options) /* our own mistake */
                abort();
            list[n++] = (cli_entry){title, o};
            title = NULL;
        }
    }
    const char *title = n ? "Other options" : "Options";
    for (int t = 0; t < usage->table_count; t++)
        for (const cm_option *o = usage->tables[t].options; o->name; o++) {
            if (n == cli_max_options || is_listed(list, n, o))
                continue;
            list[n++] = (cli_entry){title, o};
            title = NULL;
        }
    return n;
}

void cli_describe_option(const cm_option *o, char text[cli_help_bytes])
{
    const char *choices = o->choices ? o->choices + (*o->choices == '|') : "";
    const int is_flag = o->type == CM_OPT_FLAG;
    const int off_by_default = is_flag && !strcmp(o->initial, "false");
    const int named = *o->initial && !off_by_default;
    const char *initial = o->initial + (*o->initial == ':'); /* which nobody needs to type */
    snprintf(text, cli_help_bytes, "%s%s%s%s%s%s%s%s", o->help, *choices || named ? " (" : "",
             choices, *choices && named ? "; " : "", named ? "default " : "", named ? initial : "",
             named && is_flag ? "; --no-... turns it off" : "", *choices || named ? ")" : "");
}
