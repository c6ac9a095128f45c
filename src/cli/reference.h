/* reference.h - what is made of the option tables when the project is built: man pages and
 * the completions of shells */
#ifndef CM_CLI_REFERENCE_H
#define CM_CLI_REFERENCE_H

#include "cli/cli.h"

/* The page of a command, or of cm itself. */
void reference_man(const cli_usage *usage, const char *help);
void reference_man_of_cm(void);

/* A completion is what opens the file, each command in turn, and what closes it. */
typedef struct reference_shell {
    const char *name;
    void (*begin)(void);
    void (*command)(const cli_usage *usage, const char *name, int takes_file);
    void (*end)(void);
} reference_shell;
extern const reference_shell reference_shells[]; /* ends with a NULL name */

#endif
