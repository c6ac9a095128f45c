/* train.c - the public functions on training */
#include "api/door.h"
#include "train/loop.h"
#include "train/unused.h"

cm_status cm_train(const cm_train_params *params, int resume, const cm_train_hooks *hooks,
                   cm_error *err)
{
    cm_status s = cm_door_train_params(params, err);
    if (!s)
        s = cm_door_range("resume", resume, 0, 1, err);
    if (!s && hooks)
        s = cm_door_size("train hooks", hooks->size, sizeof *hooks, err);
    return s ? s : cm_train_run(params, resume, hooks, err);
}

cm_status cm_train_check_used(const cm_train_params *config, int resume, const char *name,
                              cm_error *err)
{
    cm_status s = cm_door_train_params(config, err);
    if (!s)
        s = cm_door_range("resume", resume, 0, 1, err);
    if (!s)
        s = cm_door_option(cm_train_options(), "training", name, err);
    return s ? s : cm_check_used(config, resume, name, err);
}
