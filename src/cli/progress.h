/* progress.h - how training and other long work show themselves on stderr */
#ifndef CM_CLI_PROGRESS_H
#define CM_CLI_PROGRESS_H

#include "cm.h"

enum { cli_line_bytes = 256 };

typedef struct cli_progress {
    int quiet;
    int terminal;            /* one line that is redrawn, else a line every ten seconds */
    double start, last_line; /* seconds, of cli_seconds() */
    int64_t last_step;
    char line[cli_line_bytes]; /* on the terminal now; empty: none */
} cli_progress;

/* The option that work has for it. */
typedef struct cli_quiet {
    int quiet;
} cli_quiet;
extern const cm_option cli_quiet_options[];

void cli_progress_start(cli_progress *p, int quiet);
/* Events get a line of their own. */
void cli_progress_show(cli_progress *p, const cm_train_progress *now);
/* Start, of work that is not training: what the library asks and tells while it goes on, with
 * signals that stop it. */
cm_eval_hooks cli_progress_of_work(cli_progress *p, int quiet);
/* A line of the command's own between the others. */
void cli_progress_say(cli_progress *p, const char *text);
/* Leave the last state on the terminal and go to a new line. */
void cli_progress_end(cli_progress *p);

#endif
