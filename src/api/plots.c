/* plots.c - the public functions on the logs of runs */
#include "api/door.h"
#include "draw/chart.h"
#include "run/plot.h"

cm_status cm_plot(const char *const *runs, int n, const cm_plot_params *params,
                  void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    cm_status s = cm_door_need(err, {"runs", runs});
    if (!s)
        s = cm_door_range("n", n, 1, CM_CHART_MOST_NAMES, err);
    for (int i = 0; i < n && !s; i++)
        s = cm_door_text("runs", runs[i], err);
    if (!s)
        s = cm_door_plot_params(params, err);
    return s ? s : cm_plot_runs(runs, n, params, line, user, err);
}
