/* train.c - the public functions on training */
#include "cm.h"
#include "options/options.h"
#include "train/loop.h"
#include "train/unused.h"

cm_status cm_train(const cm_train_params *config, int resume, const cm_train_hooks *hooks,
                   cm_error *err)
{
    const cm_status s = cm_options_check(cm_train_options(), config, err);
    return s ? s : cm_train_run(config, resume, hooks, err);
}

cm_status cm_train_check_used(const cm_train_params *config, int resume, const char *name,
                              cm_error *err)
{
    const cm_status s = cm_options_check(cm_train_options(), config, err);
    return s ? s : cm_check_used(config, resume, name, err);
}
