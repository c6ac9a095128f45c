/* parse.c - the command line, read by argp from the option tables */
#include "cli/cli.h"
#include "cli/pipe.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    key_help = 'h',
    key_set = 0x1000,  /* + index: --NAME, --NAME=VALUE */
    key_unset = 0x2000 /* + index: --no-NAME */
};

typedef struct parser {
    const cli_usage *usage;
    const char **arguments;
    int most, taken; /* of them */
    cm_error *err;
    cm_status status;
    int count;
    cm_option options[cli_max_options + 1]; /* all tables in a row; ends with a NULL name */
    void *configs[cli_max_options];
    unsigned char *given[cli_max_options]; /* where to note it, or NULL */
    char unset[cli_max_options][64];
    struct argp_option argp_options[2 * cli_max_options + 2];
} parser;

/* ---- tables to argp ----------------------------------------------------- */

static int add_option(parser *p, struct argp_option *a, int i)
{
    const cm_option *o = &p->options[i];
    const int is_flag = o->type == CM_OPT_FLAG;
    a[0] = (struct argp_option){
        .name = o->name, .key = key_set + i, .arg = is_flag ? NULL : o->metavar};
    if (!is_flag)
        return 1;
    snprintf(p->unset[i], sizeof p->unset[i], "no-%s", o->name);
    a[1] = (struct argp_option){.name = p->unset[i], .key = key_unset + i};
    return 2;
}

static void add_tables(parser *p)
{
    for (int t = 0; t < p->usage->table_count; t++) {
        const cli_table *table = &p->usage->tables[t];
        for (const cm_option *o = table->options; o->name && p->count < cli_max_options; o++) {
            p->options[p->count] = *o;
            p->given[p->count] = table->given ? table->given + (o - table->options) : NULL;
            p->configs[p->count++] = table->config;
        }
    }
    struct argp_option *a = p->argp_options;
    for (int i = 0; i < p->count; i++)
        a += add_option(p, a, i);
    *a = (struct argp_option){.name = "help", .key = key_help};
}

/* ---- reading argv ------------------------------------------------------- */

static cm_status fail_dash(const parser *p, const char *what, const char *name)
{
    return cli_fail(p->err, CM_ERR_ARGUMENT,
                    "%s '%s': expected a file or folder, found '-', which is none here; one of "
                    "that name is ./-",
                    what, name);
}

/* What cannot be the value of any option of this kind. */
static cm_status check_value(const parser *p, const cm_option *o, const char *text)
{
    if (o->type == CM_OPT_TEXT && !*o->initial && text && !*text) /* as if it were not given */
        return cli_require(p->usage, o->name, text, p->err);
    if (!text || !cli_is_pipe(text) || !cli_takes_path(o) || !strcmp(o->metavar, "X"))
        return CM_OK;
    return fail_dash(p, "option", o->name);
}

static error_t parse_argument(parser *p, const char *text)
{
    const size_t first = strcspn(p->usage->arguments, " "); /* "a|b|c": a word of these */
    if (p->most && cli_is_pipe(text) && !memchr(p->usage->arguments, '|', first)) {
        p->status = fail_dash(p, "argument", text);
        return EINVAL;
    }
    if (p->taken < p->most) {
        p->arguments[p->taken++] = text;
        return 0;
    }
    p->status = p->most > 1 ? cli_fail(p->err, CM_ERR_ARGUMENT,
                                       "argument '%s': expected at most %d; see '%s --help'", text,
                                       p->most, p->usage->command)
                            : cli_fail(p->err, CM_ERR_ARGUMENT,
                                       "argument '%s': expected an option; see '%s --help'", text,
                                       p->usage->command);
    return EINVAL;
}

static error_t parse_key(int key, char *text, struct argp_state *state)
{
    parser *p = state->input;
    const int unset = key >= key_unset, i = key - (unset ? key_unset : key_set);
    if (key == key_help) {
        cli_print_usage(p->usage);
        if (!fflush(stdout))
            exit(EXIT_SUCCESS);
        p->status = cli_fail(p->err, CM_ERR_IO, "standard output: %s", strerror(errno));
        return EINVAL;
    }
    if (key == ARGP_KEY_ARG)
        return parse_argument(p, text);
    if (i < 0 || i >= p->count)
        return ARGP_ERR_UNKNOWN;
    const cm_option *o = &p->options[i];
    p->status = check_value(p, o, text);
    if (!p->status)
        p->status =
            cm_options_set(p->options, p->configs[i], o->name, unset ? "false" : text, p->err);
    if (p->given[i])
        *p->given[i] = 1;
    return p->status ? EINVAL : 0;
}

/* The option that "--name" or "--name=value" means: its own name, or the only one
 * that begins so. */
static const struct argp_option *find_option(const parser *p, const char *name)
{
    const struct argp_option *found = NULL;
    const size_t len = strcspn(name, "=");
    for (const struct argp_option *a = p->argp_options; a->name; a++) {
        if (strncmp(a->name, name, len) != 0)
            continue;
        if (!a->name[len])
            return a;
        if (found)
            return NULL;
        found = a;
    }
    return found;
}

/* There is no such option. */
static cm_status fail_unknown(const parser *p, const char *text)
{
    char name[64];
    const char *bare = text + strspn(text, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const struct argp_option *a = find_option(p, name);
    if (a && text[1] != '-') /* one dash in place of two */
        return cli_fail(p->err, CM_ERR_ARGUMENT,
                        "option '%s': no such option; did you mean '--%s'?", text, a->name);
    if (text[1] != '-')
        return cli_fail(p->err, CM_ERR_ARGUMENT, "option '%s': no such option; see '%s --help'",
                        text, p->usage->command);
    /* The name is in no table, so this sets nothing and proposes the nearest one. */
    char nothing = 0;
    return cm_options_set(p->options, &nothing, name, "", p->err);
}

/* What is wrong with one option, given whether another word follows it. */
static cm_status check_option(const parser *p, const char *text, int is_last, int *takes_value)
{
    const struct argp_option *a = text[1] == '-' ? find_option(p, text + 2) : NULL;
    const char *value = strchr(text, '=');
    *takes_value = a && a->arg && !value;
    if (!a)
        return !strcmp(text, "-h") ? CM_OK : fail_unknown(p, text);
    if (*takes_value && is_last)
        return cli_fail(p->err, CM_ERR_ARGUMENT, "option '%s': expected a value, found none",
                        a->name);
    if (!a->arg && value)
        return cli_fail(p->err, CM_ERR_ARGUMENT, "option '%s': expected no value, found '%s'",
                        a->name, value + 1);
    return CM_OK;
}

/* argp says only that something was wrong; look for it as argp does. */
static cm_status find_mistake(const parser *p, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            continue;
        int takes_value = 0;
        const cm_status status = check_option(p, argv[i], i + 1 == argc, &takes_value);
        if (status)
            return status;
        i += takes_value;
    }
    return cli_fail(p->err, CM_ERR_ARGUMENT, "wrong options; see '%s --help'", p->usage->command);
}

cm_status cli_parse(const cli_usage *usage, int argc, char **argv, const char **argument,
                    cm_error *err)
{
    return cli_parse_several(usage, argc, argv, argument, argument ? 1 : 0, err);
}

cm_status cli_parse_several(const cli_usage *usage, int argc, char **argv, const char **arguments,
                            int most, cm_error *err)
{
    parser p = {.usage = usage, .arguments = arguments, .most = most, .err = err};
    for (int i = 0; i < most; i++)
        arguments[i] = NULL;
    add_tables(&p);
    const struct argp argp = {.options = p.argp_options, .parser = parse_key};
    const error_t failed =
        argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT, NULL, &p);
    if (failed == ENOMEM && !p.status)
        p.status = cli_fail(err, CM_ERR_MEMORY, "options: out of memory");
    if (failed && !p.status)
        p.status = find_mistake(&p, argc, argv);
    return p.status;
}
