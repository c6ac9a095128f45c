/* step_settings.h - the settings of a training step, from the default options of a method */
#ifndef CM_TESTS_STEP_SETTINGS_H
#define CM_TESTS_STEP_SETTINGS_H

#include "check.h"

#include "model/compute.h"
#include "train/step.h"

typedef struct step_settings {
    cm_train_params options; /* change them, then resolve again */
    cm_objective_settings settings;
} step_settings;

static inline void step_settings_resolve(step_settings *s)
{
    cm_error err = {0};
    CHECK_OK(cm_objective_resolve(&s->options, &s->settings, &err), err);
}

static inline void step_settings_make(step_settings *s, const char *method, int batch)
{
    s->options = cm_train_default_params();
    snprintf(s->options.method, sizeof s->options.method, "%s", method);
    s->options.batch = batch;
    step_settings_resolve(s);
}

/* One average of this rate. */
static inline cm_step_config step_settings_config(const step_settings *s, const cm_net_config *net,
                                                  cm_params *params, double ema_rate,
                                                  cm_dtype dtype, int threads)
{
    cm_error err = {0};
    cm_step_config c = {.settings = &s->settings,
                        .net = net,
                        .params = params,
                        .n_ema = 1,
                        .ema_rate = {ema_rate},
                        .dtype = dtype,
                        .threads = threads};
    CHECK_OK(cm_device_open(&c.device, &err), err);
    return c;
}

#endif
