/* trajectory.h - the way from noise to images, step by step, for a strip or an animation */
#ifndef CM_CLI_TRAJECTORY_H
#define CM_CLI_TRAJECTORY_H

#include "cm.h"

enum { trajectory_most_steps = 4096 };

/* What of each step is shown. */
typedef struct cli_trajectory_view {
    const char *name; /* "state", "estimate", "both" */
    int with_state, with_estimate;
    const char *heading;
} cli_trajectory_view;
extern const cli_trajectory_view cli_trajectory_views[]; /* ends with a NULL name */

typedef struct cli_trajectory {
    const cli_trajectory_view *view;
    int64_t num, size; /* images; numbers of one */
    int steps, at;     /* levels seen; that of the batch on its way */
    int failed;        /* out of memory, or too many steps */
    int64_t batch;     /* first image of the batch on its way */
    double sigma[trajectory_most_steps];
    uint8_t *frames[trajectory_most_steps]; /* [num, rows, size] */
} cli_trajectory;

/* cm_request.step; user is the trajectory, of which view, num and size are set. */
void cli_trajectory_step(void *user, int64_t first, int64_t n, double sigma, const double *x,
                         const double *denoised);

/* Write it: a row or two an image, a column a step, `results` in the last.  layout is of the
 * caller's scale and heading, which may be NULL. */
cm_status cli_trajectory_write(const cli_trajectory *t, const cm_images *results, const char *path,
                               const cm_layout *layout, cm_error *err);
void cli_trajectory_clear(cli_trajectory *t);

#endif
