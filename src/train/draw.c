/* draw.c - the sample grids of a run */
#include "train/trainer.h"

#include "group/group.h"
#include "run/folder.h"
#include "sample/generate.h"

#include <inttypes.h>
#include <stdio.h>

enum { SAMPLE_SEED = 1, COLUMNS = 8, MOST = 256 };

static cm_status save_grid(const cm_trainer *t, const cm_model *model, const char *sampler,
                           const cm_images *images, char path[CM_RUN_PATH], cm_error *err)
{
    char name[64], heading[80], steps[24] = "";
    const cm_layout layout = {.size = sizeof layout,
                              .columns = COLUMNS,
                              .scale = (int)t->config.sample_scale,
                              .captions = t->net.num_classes > 0,
                              .heading = heading,
                              .model = model};
    if (model->steps)
        snprintf(steps, sizeof steps, " %d", model->steps);
    snprintf(heading, sizeof heading, "step %" PRId64 " \u00b7 %s%s", t->k, sampler, steps);
    snprintf(name, sizeof name, "samples/%08" PRId64 "_%s.png", t->k, sampler);
    cm_status s = cm_run_held(t->config.out, t->lock, err);
    if (!s)
        s = cm_run_path(path, t->config.out, name, err);
    return s ? s : cm_images_save(images, path, &layout, err);
}

cm_status cm_trainer_draw(const cm_trainer *t, float *weights, const char *sampler,
                          void (*progress)(void *user, int64_t done, int64_t all),
                          int (*stop)(void *user), void *user, char path[CM_RUN_PATH],
                          cm_error *err)
{
    const cm_model drawn = cm_trainer_model(t, weights);
    const int num = t->net.num_classes ? COLUMNS * t->net.num_classes : COLUMNS * COLUMNS;
    cm_sample_params c = cm_sample_default_params();
    cm_sampler *session = NULL;
    cm_images *images = NULL;
    snprintf(c.sampler, sizeof c.sampler, "%s", sampler);
    snprintf(c.dtype, sizeof c.dtype, "%s", t->config.dtype);
    c.num = num < MOST ? num : MOST;
    c.threads = t->threads;
    c.batch = COLUMNS * t->threads; /* small, so that a large network soon asks stop again */
    const cm_request request = {.size = sizeof request,
                                .num = c.num,
                                .seed = SAMPLE_SEED,
                                .progress = progress,
                                .stop = stop,
                                .user = user,
                                .group = t->group};
    cm_status s = cm_group_broadcast(t->group, &c.batch, sizeof c.batch, err);
    if (!s)
        s = cm_sampler_make(&drawn, &c, &session, err);
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = cm_sampler_draw(session, &request, &images, err);
    cm_sampler_release(session);
    if (!s && !cm_group_rank(t->group))
        s = save_grid(t, &drawn, sampler, images, path, err);
    cm_images_release(images);
    return s;
}
