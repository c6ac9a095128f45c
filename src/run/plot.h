/* plot.h - what runs logged, as a chart in a file */
#ifndef CM_RUN_PLOT_H
#define CM_RUN_PLOT_H

#include "cm.h"

/* As cm_plot (cm.h), whose arguments are in range and not NULL, but for line. */
cm_status cm_plot_runs(const char *const *runs, int n, const cm_plot_params *params,
                       void (*line)(void *user, const char *text), void *user, cm_error *err);

#endif
