/* extractor.c - open a feature network, compile it for a size of images, run it */
#include "eval/extractor.h"

#include "base/memory.h"
#include "graph/plan.h"
#include "run/resolve.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct cm_extractor {
    cm_model *owned;
    const cm_model *model;
    int batch, threads;
    cm_feature_dims dims;
    /* Compiled for images of this size. */
    int h, w, c;
    cm_graph *g;
    cm_plan *plan;
    const cm_node *x;
    cm_feature_nodes nodes;
    float *staged; /* [batch,h,w,c], on their way in */
};

/* ---- opening ---- */

cm_status cm_extractor_of(const cm_model *m, int batch, int threads, cm_extractor **out,
                          cm_error *err)
{
    cm_extractor *e = cm_alloc(sizeof *e);
    if (!e)
        return cm_fail(err, CM_ERR_MEMORY, "features: out of memory");
    *e = (cm_extractor){.model = m,
                        .batch = batch,
                        .threads = cm_threads_resolve(threads),
                        .dims = cm_classifier_dims(&m->net)};
    *out = e;
    return CM_OK;
}

static cm_status open_small(const char *weights, int batch, int threads, cm_extractor **out,
                            cm_error *err)
{
    char shown[512];
    cm_model *m = NULL;
    cm_status s = cm_run_open_model(weights, &m, err);
    if (!s && !cm_model_is_classifier(m))
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "%s: expected a classifier (cm train --method classifier), found a %s",
                    cm_escape(shown, sizeof shown, weights), cm_model_kind(m));
    if (!s)
        s = cm_extractor_of(m, batch, threads, out, err);
    if (s)
        cm_model_release(m);
    else
        (*out)->owned = m;
    return s;
}

static const struct kind {
    const char *name;
    cm_status (*open)(const char *weights, int batch, int threads, cm_extractor **out,
                      cm_error *err);
} kinds[] = {{"small", open_small}};

cm_status cm_extractor_open(const char *name, const char *weights, int batch, int threads,
                            cm_extractor **out, cm_error *err)
{
    char shown[64], known[64] = "";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcmp(kinds[i].name, name))
            return kinds[i].open(weights, batch, threads, out, err);
        const size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? " or " : "", kinds[i].name);
    }
    return cm_fail(err, CM_ERR_ARGUMENT, "features: expected %s, found '%s'", known,
                   cm_escape(shown, sizeof shown, name));
}

static void unbuild(cm_extractor *e)
{
    cm_plan_free(e->plan);
    cm_graph_free(e->g);
    cm_free(e->staged);
    e->plan = NULL;
    e->g = NULL;
    e->staged = NULL;
    e->h = e->w = e->c = 0;
}

void cm_extractor_close(cm_extractor *e)
{
    if (!e)
        return;
    unbuild(e);
    cm_model_release(e->owned);
    cm_free(e);
}

cm_feature_dims cm_extractor_dims(const cm_extractor *e)
{
    return e->dims;
}

const cm_model *cm_extractor_model(const cm_extractor *e)
{
    return e->model;
}

/* ---- running ---- */

static cm_status check_images(const cm_extractor *e, int h, int w, int c, cm_error *err)
{
    const cm_net_config *n = &e->model->net;
    if (h == n->height && w == n->width && c == n->in_channels)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "features: %s is made for %dx%d images with %d channels, found %dx%d with %d",
                   e->model->score, n->width, n->height, n->in_channels, w, h, c);
}

static cm_status build(cm_extractor *e, int h, int w, int c, cm_error *err)
{
    cm_node *out[3];
    int n = 0;
    cm_graph *g = e->g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "features: out of memory");
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, e->model->params, buffer, CM_F32);
    cm_node *x = cm_input(g, "pixels", CM_TYPE(CM_F32, e->batch, h, w, c));
    e->x = x;
    e->nodes = cm_classifier_features(&net, &e->model->net, x);
    cm_node *const all[] = {e->nodes.features, e->nodes.spatial, e->nodes.logits};
    for (int i = 0; i < 3; i++)
        if (all[i])
            out[n++] = all[i];
    const cm_status s = cm_plan_compile(g, n, out, e->model->device, e->threads, &e->plan, err);
    if (s)
        return s;
    cm_plan_bind(e->plan, buffer, e->model->flat);
    const size_t image = (size_t)h * (size_t)w * (size_t)c;
    e->staged = cm_alloc_array((size_t)e->batch * image, sizeof *e->staged);
    if (!e->staged)
        return cm_fail(err, CM_ERR_MEMORY, "features: out of memory for %d images of %dx%d",
                       e->batch, w, h);
    e->h = h;
    e->w = w;
    e->c = c;
    return CM_OK;
}

static int all_finite(const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return 0;
    return 1;
}

/* The first `count` rows of a result to row `first` of `to`, where it is wanted. */
static int take(const cm_extractor *e, const cm_node *node, int64_t dim, int64_t first,
                int64_t count, float *to)
{
    if (!to || !dim)
        return 1;
    cm_plan_read_part(e->plan, node, 0, count * dim, to + first * dim);
    return all_finite(to + first * dim, count * dim);
}

cm_status cm_extractor_run(cm_extractor *e, int64_t n, const uint8_t *pixels, int h, int w, int c,
                           float *features, float *spatial, float *logits, cm_error *err)
{
    const int64_t image = (int64_t)h * w * c;
    cm_status s = check_images(e, h, w, c, err);
    if (!s && (h != e->h || w != e->w || c != e->c)) {
        unbuild(e);
        if ((s = build(e, h, w, c, err)))
            unbuild(e);
    }
    for (int64_t first = 0; first < n && !s; first += e->batch) {
        /* what a short batch has to spare are images of before */
        const int64_t count = n - first < e->batch ? n - first : e->batch;
        for (int64_t i = 0; i < count * image; i++)
            e->staged[i] = (float)pixels[first * image + i];
        cm_plan_write(e->plan, e->x, e->staged);
        cm_plan_run(e->plan);
        const int ok = take(e, e->nodes.features, e->dims.features, first, count, features) &
                       take(e, e->nodes.spatial, e->dims.spatial, first, count, spatial) &
                       take(e, e->nodes.logits, e->dims.logits, first, count, logits);
        if (!ok)
            s = cm_fail(err, CM_ERR_NUMERIC,
                        "features: of an image of number %lld to %lld: not finite",
                        (long long)first, (long long)(first + count - 1));
    }
    return s;
}
