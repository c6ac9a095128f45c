/* wishes.c - when a run is to stop, to save or to draw: signals and the clock, in one process or in
 * several
 *
 * Alone, what the hooks ask for is done after the step.  In a group each process may be asked, at
 * its own time: what it wishes travels behind the gradient (step.h), so that all do the same
 * after the same step. */
#include "train/course.h"

#include "base/clock.h"

static int alone(const cm_loop *l)
{
    return cm_group_size(l->t->group) == 1;
}

int cm_loop_wants_stop(void *loop)
{
    cm_loop *l = loop;
    if (l->wish_stop || !l->hooks || !l->hooks->stop)
        return l->wish_stop;
    const int wish = l->hooks->stop(l->hooks->user);
    l->wish_save |= wish == CM_TRAIN_SAVE;
    l->wish_stop = wish != CM_TRAIN_GO_ON && wish != CM_TRAIN_SAVE;
    return l->wish_stop;
}

static int time_is_up(const cm_loop *l)
{
    const double minutes = l->t->config.max_minutes;
    return minutes > 0.0 && cm_seconds() - l->start > 60.0 * minutes;
}

int cm_loop_due(const cm_trainer *t, int64_t k, int64_t every)
{
    return k % (every ? every : (t->config.steps + 9) / 10) == 0;
}

/* After step k.  Where nobody asked for a number of them, pictures do not hold up a short run: one
 * more keeps their share of the time below a twentieth. */
static int picture_due(const cm_loop *l, int64_t k)
{
    const cm_train_params *c = &l->t->config;
    const double one = l->drawings ? l->drawing / l->drawings : 0.0;
    return cm_loop_due(l->t, k, c->sample_every) &&
           (c->sample_every || l->drawing + one <= 0.05 * (cm_seconds() - l->start));
}

void cm_loop_say_wishes(cm_loop *l)
{
    float *say = l->t->step->say;
    if (alone(l))
        return;
    say[CM_STEP_STOP] = cm_loop_wants_stop(l) ? 1.0f : 0.0f;
    say[CM_STEP_SAVE] = l->wish_save ? 1.0f : 0.0f;
    say[CM_STEP_LAST] = cm_loop_writes(l) && time_is_up(l) ? 1.0f : 0.0f;
    say[CM_STEP_DRAW] = cm_loop_writes(l) && picture_due(l, l->t->k + 1) ? 1.0f : 0.0f;
}

void cm_loop_hear_wishes(cm_loop *l)
{
    const float *heard = l->t->step->loss;
    const int stop = alone(l) ? l->wish_stop : heard[CM_STEP_STOP] > 0.0f,
              save = alone(l) ? l->wish_save : heard[CM_STEP_SAVE] > 0.0f;
    l->saving |= save || (stop && !l->stopping);
    l->stopping |= stop;
    if (save)
        l->wish_save = 0;
    l->time_is_up = alone(l) ? time_is_up(l) : heard[CM_STEP_LAST] > 0.0f;
    l->picture_due = alone(l) ? picture_due(l, l->t->k) : heard[CM_STEP_DRAW] > 0.0f;
}
