/* progress.h - how a training run shows itself on stderr */
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

void cli_progress_start(cli_progress *p, int quiet);
/* Events get a line of their own. */
void cli_progress_show(cli_progress *p, const cm_train_progress *now);
/* Work that is not training: how much of it is done, 0 to 1, and the seconds left. */
void cli_progress_work(cli_progress *p, const char *what, double done, double eta_s);
/* A line of the command's own between the others. */
void cli_progress_say(cli_progress *p, const char *text);
/* Leave the last state on the terminal and go to a new line. */
void cli_progress_end(cli_progress *p);

#endif
