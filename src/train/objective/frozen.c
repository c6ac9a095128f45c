/* frozen.c - VGG16 with LPIPS' weights, and a classifier of our own, for distances */
#include "train/objective/frozen.h"

#include "base/memory.h"
#include "base/text.h"
#include "model/lpips_weights.h"
#include "run/resolve.h"

void cm_frozen_clear(cm_frozen_weights *f)
{
    if (!f->model) {
        cm_params_free(f->params);
        cm_free(f->flat);
    }
    cm_model_release(f->model);
    *f = (cm_frozen_weights){0};
}

static cm_status open_vgg(const cm_train_params *o, cm_frozen_weights *f, cm_error *err)
{
    const cm_status s =
        cm_lpips_weights_open(o->loss_weights, o->loss_lpips_weights, &f->params, &f->flat, err);
    if (s)
        cm_frozen_clear(f);
    return s;
}

/* Narrow ones are resized (distance.c). */
static cm_status check_vgg(const cm_frozen_weights *f, const cm_train_params *o,
                           const cm_net_config *images, cm_error *err)
{
    const int c = images->in_channels;
    (void)f;
    if ((c == 1 || c == 3) && images->height >= CM_LPIPS_LEAST_SIDE)
        return CM_OK;
    if ((c == 1 || c == 3) && images->width < CM_LPIPS_NARROW)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "loss-norm: lpips: expected RGB or gray images of at least %d rows, %s has %d x "
                   "%d with %d channels",
                   CM_LPIPS_LEAST_SIDE, o->data, images->width, images->height, c);
}

static cm_status open_classifier(const cm_train_params *o, cm_frozen_weights *f, cm_error *err)
{
    const cm_status s = cm_run_open_classifier("loss-weights", o->loss_weights, &f->model, err);
    if (!s) {
        f->params = f->model->params;
        f->flat = f->model->flat;
    }
    return s;
}

static cm_status check_classifier(const cm_frozen_weights *f, const cm_train_params *o,
                                  const cm_net_config *images, cm_error *err)
{
    const cm_net_config *n = &f->model->net;
    if (images->height == n->height && images->width == n->width &&
        images->in_channels == n->in_channels)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "loss-weights: %s looks at images of %d x %d with %d channel%s, %s has %d x %d "
                   "with %d (a classifier of this data: cm train --method classifier)",
                   o->loss_weights, n->width, n->height, n->in_channels, cm_plural(n->in_channels),
                   o->data, images->width, images->height, images->in_channels);
}

const cm_frozen_kind cm_frozen_vgg = {open_vgg, check_vgg};
const cm_frozen_kind cm_frozen_classifier = {open_classifier, check_classifier};
