/* reference.c - a program of the build: prints the man page of a command or the completion
 * of a shell.  It is the command with another cli_parse, which looks at what the subcommand
 * accepts instead of reading it from argv, and so nothing of it is written twice.
 *
 * usage: cm_reference man cm|COMMAND
 *        cm_reference bash|zsh|fish */
#include "cli/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_command *command;   /* the one that is asked */
static const reference_shell *shell; /* NULL: its man page is wanted */

cm_status cli_parse(const cli_usage *usage, int argc, char **argv, const char **argument,
                    cm_error *err)
{
    return cli_parse_several(usage, argc, argv, argument, argument != NULL, err);
}

cm_status cli_parse_several(const cli_usage *usage, int argc, char **argv, const char **arguments,
                            int most, cm_error *err)
{
    (void)argc;
    (void)argv;
    (void)arguments;
    (void)err;
    if (shell)
        shell->command(usage, command->name, most > 0);
    else
        reference_man(usage, command->help);
    return CM_INTERRUPTED; /* the subcommand goes no further */
}

static int ask(const cli_command *c)
{
    char name[32];
    char *argv[] = {name, NULL};
    cm_error err = {0};
    snprintf(name, sizeof name, "%s", c->name);
    command = c;
    return c->run(1, argv, &err) == CM_INTERRUPTED;
}

static int print_man(const char *name)
{
    if (!strcmp(name, "cm")) {
        reference_man_of_cm();
        return 1;
    }
    for (const cli_command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return ask(c);
    return 0;
}

static int print_completion(const char *name)
{
    int ok = 1;
    for (shell = reference_shells; shell->name && strcmp(shell->name, name) != 0;)
        shell++;
    if (!shell->name)
        return 0;
    shell->begin();
    for (const cli_command *c = cli_commands; c->name && ok; c++)
        ok = ask(c);
    shell->end();
    return ok;
}

int main(int argc, char **argv)
{
    const int is_man = argc == 3 && !strcmp(argv[1], "man");
    const int ok = is_man ? print_man(argv[2]) : argc == 2 && print_completion(argv[1]);
    if (!ok)
        fprintf(stderr, "usage: cm_reference man cm|COMMAND | bash | zsh | fish\n");
    return ok && !fflush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
