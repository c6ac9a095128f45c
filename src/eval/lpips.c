/* lpips.c - open VGG16 with LPIPS' weights, compile it for a size of images, run it */
#include "eval/lpips.h"

#include "base/memory.h"
#include "graph/plan.h"
#include "model/compute.h"
#include "model/lpips_weights.h"

#include <math.h>

struct cm_lpips {
    cm_params *params;
    float *flat;
    const cm_device *device;
    cm_lpips_pooling pooling;
    int batch, threads;
    /* Compiled for images of this size. */
    int h, w, c;
    cm_graph *g;
    cm_plan *plan;
    const cm_node *a, *b, *distance;
    float *staged; /* [batch,h,w,c], on their way in */
};

cm_status cm_lpips_open(const char *vgg, const char *linear, cm_lpips_pooling pooling, int batch,
                        int threads, cm_lpips **out, cm_error *err)
{
    cm_lpips *l = cm_alloc(sizeof *l);
    if (!l)
        return cm_fail(err, CM_ERR_MEMORY, "LPIPS: out of memory");
    *l = (cm_lpips){.pooling = pooling, .batch = batch, .threads = cm_threads_resolve(threads)};
    cm_status s = cm_lpips_weights_open(vgg, linear, &l->params, &l->flat, err);
    if (!s)
        s = cm_device_open(&l->device, err);
    if (s) {
        cm_lpips_close(l);
        return s;
    }
    *out = l;
    return CM_OK;
}

static void unbuild(cm_lpips *l)
{
    cm_plan_free(l->plan);
    cm_graph_free(l->g);
    cm_free(l->staged);
    l->plan = NULL;
    l->g = NULL;
    l->staged = NULL;
    l->h = l->w = l->c = 0;
}

void cm_lpips_close(cm_lpips *l)
{
    if (!l)
        return;
    unbuild(l);
    cm_params_free(l->params);
    cm_free(l->flat);
    cm_free(l);
}

/* ---- running ---- */

/* Gray is shown as RGB; 0 to 255 becomes 0 to 1. */
static cm_node *to_unit_rgb(cm_graph *g, cm_node *x)
{
    const cm_type *t = cm_node_type(x);
    x = cm_broadcast_to(g, x, CM_TYPE(CM_F32, t->dim[0], t->dim[1], t->dim[2], 3));
    return cm_affine(g, x, 1.0f / 255.0f, 0.0f);
}

static cm_status build(cm_lpips *l, int h, int w, int c, cm_error *err)
{
    cm_graph *g = l->g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "LPIPS: out of memory");
    const cm_type t = CM_TYPE(CM_F32, l->batch, h, w, c);
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, l->params, buffer, CM_F32);
    cm_node *a = cm_input(g, "a", t), *b = cm_input(g, "b", t);
    cm_node *d = cm_lpips_distance(&net, l->pooling, to_unit_rgb(g, a), to_unit_rgb(g, b));
    const cm_status s = cm_plan_compile(g, 1, &d, l->device, l->threads, &l->plan, err);
    if (s)
        return s;
    cm_plan_bind(l->plan, buffer, l->flat);
    l->a = a;
    l->b = b;
    l->distance = d;
    l->staged = cm_alloc_array((size_t)cm_type_count(&t), sizeof *l->staged);
    if (!l->staged)
        return cm_fail(err, CM_ERR_MEMORY, "LPIPS: out of memory");
    l->h = h;
    l->w = w;
    l->c = c;
    return CM_OK;
}

static void feed(cm_lpips *l, const cm_node *leaf, const uint8_t *pixels, int64_t values)
{
    for (int64_t i = 0; i < values; i++)
        l->staged[i] = (float)pixels[i];
    cm_plan_write(l->plan, leaf, l->staged);
}

cm_status cm_lpips_run(cm_lpips *l, int64_t n, const uint8_t *a, const uint8_t *b, int h, int w,
                       int c, float *distance, cm_error *err)
{
    enum { LEAST = CM_LPIPS_LEAST_SIDE };
    const int64_t image = (int64_t)h * w * c;
    cm_status s = CM_OK;
    if (h < LEAST || w < LEAST || (c != 1 && c != 3))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "LPIPS: expected RGB or gray images of at least %dx%d, found %dx%d with %d "
                       "channels",
                       LEAST, LEAST, w, h, c);
    if (h != l->h || w != l->w || c != l->c) {
        unbuild(l);
        if ((s = build(l, h, w, c, err)))
            unbuild(l);
    }
    for (int64_t first = 0; first < n && !s; first += l->batch) {
        const int64_t count = n - first < l->batch ? n - first : l->batch;
        feed(l, l->a, a + first * image, count * image);
        feed(l, l->b, b + first * image, count * image);
        cm_plan_run(l->plan);
        cm_plan_read_part(l->plan, l->distance, 0, count, distance + first);
        for (int64_t i = first; i < first + count && !s; i++)
            if (!isfinite(distance[i]))
                s = cm_fail(err, CM_ERR_NUMERIC,
                            "LPIPS: with these weights a distance is not a finite number");
    }
    return s;
}
