/* main.c - the command cm: finds the subcommand, prints its error on one line and
 * turns its status into an exit code. */
#include "cli/cli.h"
#include "cli/processes.h"
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int exit_code(cm_status status)
{
    if (status == CM_INTERRUPTED)
        return cli_stopped_code();
    for (const cli_exit *e = cli_exits; e->meaning; e++)
        if (e->status == status)
            return e->code;
    return EXIT_FAILURE;
}

/* The command that a mistyped word is near to is proposed. */
static cm_status fail_unknown(const char *word, cm_error *err)
{
    cm_option names[64] = {{0}};
    for (int i = 0; cli_commands[i].name; i++)
        names[i].name = cli_commands[i].name;
    const char *nearest = cm_options_nearest(names, word);
    if (nearest)
        return cli_fail(err, CM_ERR_ARGUMENT, "expected a command, found '%s'; did you mean '%s'?",
                        word, nearest);
    return cli_fail(err, CM_ERR_ARGUMENT, "expected a command, found '%s'; 'cm help' lists them",
                    word);
}

static cm_status run_command(int argc, char **argv, cm_error *err)
{
    const cli_command *c = cli_commands;
    int others = 0;
    while (c->name && strcmp(argv[0], c->name) != 0)
        c++;
    if (!c->name)
        return fail_unknown(argv[0], err);
    const cm_status status = c->shares ? CM_OK : cli_processes_refuse(c->name, &others, err);
    return status || others ? status : c->run(argc, argv, err);
}

/* cm help [COMMAND], --help and --version: what is left of argv begins with the word. */
static cm_status tell(char **argv, cm_error *err)
{
    char option[] = "--help";
    char *words[] = {argv[1], option, NULL};
    const int of_command = !strcmp(argv[0], "help") && argv[1];
    if (argv[1] && argv[1 + of_command])
        return cli_fail(err, CM_ERR_ARGUMENT, "argument '%s': expected no more behind '%s%s%s'",
                        argv[1 + of_command], argv[0], of_command ? " " : "",
                        of_command ? argv[1] : "");
    if (of_command)
        return run_command(2, words, err);
    if (!strcmp(argv[0], "--version"))
        puts("cm " CM_VERSION);
    else
        cli_print_commands();
    return CM_OK;
}

/* The words that tell of the command itself. */
static int is_telling(const char *word)
{
    static const char *const words[] = {"help", "--help", "-h", "--version"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i]))
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    cli_open_standard();
    if (argc < 2) {
        fputs("Usage: cm COMMAND [OPTION...]\n'cm help' lists the commands.\n", stderr);
        return exit_code(CM_ERR_ARGUMENT);
    }
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is then an error with a message */
    cm_error err = {0};
    cm_status status =
        is_telling(argv[1]) ? tell(argv + 1, &err) : run_command(argc - 1, argv + 1, &err);
    const int lost = ferror(stdout); /* earlier, and errno is another's by now */
    if ((fflush(stdout) || lost) && !status)
        status = cli_fail(&err, CM_ERR_IO, "standard output: %s",
                          lost ? "cannot be written" : strerror(errno));
    if (cli_processes_speak(status, &err))
        cli_say(stderr, "cm: %s%s", cli_processes_name(),
                err.message[0] ? err.message : cm_status_name(status));
    cli_processes_part(status);
    return exit_code(status);
}
