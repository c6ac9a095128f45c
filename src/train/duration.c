/* duration.c - how many steps a given time holds, by the speed of the first */
#include "train/duration.h"

#include "base/clock.h"

#include <math.h>

/* Of the time, what is for steps (pictures, checkpoints and a slow moment take the rest), and
 * what is spent on finding out, at most so many seconds. */
static const double FOR_STEPS = 0.93, FOR_TIMING = 0.02, LONGEST_TIMING = 10.0;
static const double MOST_STEPS = 1e9; /* as the option's range */

int64_t cm_steps_within(cm_train_step *step, const cm_objective_settings *settings, double seconds,
                        int (*stop)(void *user), void *user)
{
    const double start = cm_seconds(), watch = fmin(FOR_TIMING * seconds, LONGEST_TIMING);
    double now, first;
    int64_t n = 0;
    step->hyper[1] = 1.0f; /* and a learning rate of 0 */
    if (settings->objective->at)
        settings->objective->at(settings, 0, &step->scalars);
    if (stop(user))
        return 0;
    cm_train_step_run(step); /* packs the teacher's weights and touches the memory */
    first = now = cm_seconds();
    while (!n || now - first < watch) {
        if (stop(user))
            return 0;
        cm_train_step_run(step);
        n++;
        now = cm_seconds();
    }
    const double left = FOR_STEPS * seconds - (now - start),
                 steps = left / (now - first) * (double)n;
    return steps < 1.0 ? 1 : (int64_t)fmin(steps, MOST_STEPS);
}
