/* main.c - the command cm: finds the subcommand, prints its error on one line and
 * turns its status into an exit code. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct command {
    const char *name;
    cm_status (*run)(int argc, char **argv, cm_error *err);
    const char *help;
} command;

#define X(name, help) {#name, cli_##name, help},
static const command commands[] = {CLI_COMMANDS(X)};
#undef X
enum { command_count = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fputs("Usage: cm COMMAND [OPTION...]\n"
          "Train, distil and sample one-step image generators (consistency models).\n"
          "\n"
          "Examples:\n"
          "  cm sample --model models/fashion-mnist-cd.safetensors --out clothes.png\n"
          "  cm train --method edm --data fashion-mnist --out runs/teacher\n"
          "  cm train --method cd --teacher runs/teacher --data fashion-mnist \\\n"
          "           --out runs/student\n"
          "\n"
          "Commands:\n",
          out);
    for (int i = 0; i < command_count; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "'cm COMMAND --help' lists the options of a command; 'cm --version' prints the\n"
          "version.\n"
          "\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not a number, 4 bad input file,\n"
          "130 interrupted.\n",
          out);
}

static int exit_code(cm_status status)
{
    switch (status) {
    case CM_OK:
        return 0;
    case CM_ERR_ARGUMENT:
        return 2;
    case CM_ERR_NUMERIC:
        return 3;
    case CM_ERR_FORMAT:
        return 4;
    case CM_INTERRUPTED:
        return 130;
    default:
        return 1;
    }
}

static cm_status run_command(int argc, char **argv, cm_error *err)
{
    for (int i = 0; i < command_count; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1, err);
    return cli_fail(err, CM_ERR_ARGUMENT, "expected a command, found '%s'; 'cm --help' lists them",
                    argv[1]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is then an error with a message */
    cm_error err = {0};
    cm_status status = CM_OK;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        print_help(stdout);
    else if (!strcmp(argv[1], "--version"))
        puts("cm " CM_VERSION);
    else
        status = run_command(argc, argv, &err);
    if (fflush(stdout) && !status)
        status = cli_fail(&err, CM_ERR_IO, "standard output: %s", strerror(errno));
    if (status)
        fprintf(stderr, "cm: %s\n", err.message[0] ? err.message : cm_status_name(status));
    return exit_code(status);
}
