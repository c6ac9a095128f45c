/* cmd_plot.c - cm plot: the curves of runs */
#include "cli/cli.h"

enum { most_runs = 28 };

static const char text[] =
    "Draw what runs logged: loss, gradient norm, learning rate, N(k), mu(k), images/s\n"
    "and every score, a panel each, with a line for each run.\n"
    "\n"
    "  cm plot runs/teacher\n"
    "  cm plot runs/a runs/b --what loss,images/s --x time --out loss.svg\n"
    "\n"
    "RUN is a run folder, of a run that goes on too, or a file like its log.jsonl.\n";

static void print_line(void *user, const char *line)
{
    (void)user;
    cli_say(stderr, "cm: warning: %s", line);
}

cm_status cli_plot(int argc, char **argv, cm_error *err)
{
    const char *runs[most_runs];
    int n = 0;
    cm_plot_params params = cm_plot_default_params();
    const cli_table table = {cm_plot_options(), &params, NULL};
    const cli_usage usage = {"cm plot", "RUN...", text, &table, 1, NULL};
    cm_status status = cli_parse_several(&usage, argc, argv, runs, most_runs, err);
    if (status)
        return status;
    while (n < most_runs && runs[n])
        n++;
    if (!n)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "argument RUN: expected a run folder, found none; see '%s --help'",
                        usage.command);
    status = cm_plot(runs, n, &params, print_line, NULL, err);
    if (!status)
        cli_say(stdout, "wrote %s", params.out);
    return status;
}
