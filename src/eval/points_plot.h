/* points_plot.h - the distances that a search for noise levels has found, as a picture */
#ifndef CM_EVAL_POINTS_PLOT_H
#define CM_EVAL_POINTS_PLOT_H

#include "base/error.h"
#include "consistency/schedule.h"

enum { CM_MOST_ROUNDS = 16 };

/* One level is sought on the points 1 to N - 2 of a grid of N, with those before it fixed. */
typedef struct cm_points_round {
    int evaluations;
    double *distance; /* [N]; NaN: not asked for */
    int best;         /* the point */
} cm_points_round;

/* Errors: CM_ERR_ARGUMENT (no .png or .svg). */
cm_status cm_points_plot_check(const char *path, cm_error *err);
/* A line a round, over the points of the grid.  score: "FD-fashion". */
cm_status cm_points_plot(const char *path, const cm_noise_schedule *schedule, int N,
                         const cm_points_round *rounds, int n, const char *score, cm_error *err);

#endif
