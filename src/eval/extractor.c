/* extractor.c - open a feature network, compile it for a size of images, run it */
#include "eval/extractor.h"

#include "base/memory.h"
#include "base/text.h"
#include "graph/plan.h"
#include "io/weights_file.h"
#include "nn/features/inception.h"
#include "run/resolve.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

typedef struct kind kind;

struct cm_extractor {
    const kind *kind;
    cm_model *owned;       /* of small */
    const cm_model *model; /* likewise; may be another's */
    cm_params *own_params; /* of the others */
    float *own_flat;
    cm_params *params; /* what it computes with */
    const float *flat;
    const cm_device *device;
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

struct kind {
    const char *name, *distance, *kernel; /* these NULL: the file says them */
    cm_status (*open)(cm_extractor *e, const char *weights, cm_error *err);
    int (*takes)(const cm_extractor *e, int h, int w, int c);
    /* pixels f32 [N,H,W,C] */
    cm_feature_nodes (*build)(const cm_extractor *e, cm_net *net, cm_node *pixels);
};

static int all_finite(const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return 0;
    return 1;
}

/* ---- small ---- */

static void use_model(cm_extractor *e, const cm_model *m)
{
    e->model = m;
    e->params = m->params;
    e->flat = m->flat;
    e->device = m->device;
    e->dims = cm_classifier_dims(&m->net);
}

static cm_status open_small(cm_extractor *e, const char *weights, cm_error *err)
{
    const cm_status s = cm_run_open_classifier("weights", weights, &e->owned, err);
    if (!s)
        use_model(e, e->owned);
    return s;
}

static int small_takes(const cm_extractor *e, int h, int w, int c)
{
    const cm_net_config *n = &e->model->net;
    return h == n->height && w == n->width && c == n->in_channels;
}

static cm_feature_nodes build_small(const cm_extractor *e, cm_net *net, cm_node *pixels)
{
    return cm_classifier_features(net, &e->model->net, pixels);
}

/* ---- inception ---- */

static const cm_published published = {
    "the Inception network's weights", "pt_inception-2015-12-05-6726825d.pth",
    "95628359 bytes, SHA-256 6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2, "
    "which the pytorch-fid project publishes as its release fid_weights"};

/* All of a file's tensors, and all that the network needs. */
static cm_status load(cm_extractor *e, const char *weights, cm_error *err)
{
    cm_st_file *file = NULL;
    cm_status s = cm_weights_open(weights, &file, NULL, err);
    if (!s)
        s = cm_params_fit(e->own_params, file, err);
    if (!s && !(e->own_flat = cm_alloc_array(cm_params_floats(e->own_params), sizeof(float))))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", weights);
    if (!s)
        s = cm_params_load(e->own_params, file, e->own_flat, err);
    if (!s && !all_finite(e->own_flat, (int64_t)cm_params_floats(e->own_params)))
        s = cm_fail(err, CM_ERR_FORMAT, "%s: weights: expected finite numbers, found others",
                    weights);
    cm_st_close(file);
    return s;
}

static cm_status open_inception(cm_extractor *e, const char *weights, cm_error *err)
{
    weights = *weights ? weights : published.file;
    cm_status s = cm_weights_check_there(1, &weights, &published, err);
    if (!s)
        s = cm_device_open(&e->device, err);
    if (!s)
        s = cm_inception_params(&e->own_params, err);
    if (!s)
        s = load(e, weights, err);
    e->params = e->own_params;
    e->flat = e->own_flat;
    e->dims = (cm_feature_dims){CM_INCEPTION_FEATURES, CM_INCEPTION_SPATIAL, CM_INCEPTION_LOGITS};
    return s;
}

static int inception_takes(const cm_extractor *e, int h, int w, int c)
{
    (void)e;
    return h > 0 && w > 0 && (c == 1 || c == 3);
}

/* Gray pictures are shown to it as RGB. */
static cm_node *three_channels(cm_graph *g, cm_node *x)
{
    const cm_type *t = cm_node_type(x);
    return cm_broadcast_to(g, x, CM_TYPE(CM_F32, t->dim[0], t->dim[1], t->dim[2], 3));
}

static cm_feature_nodes build_tensorflow(const cm_extractor *e, cm_net *net, cm_node *pixels)
{
    (void)e;
    return cm_inception_features(net, CM_INCEPTION_TENSORFLOW, three_channels(net->g, pixels),
                                 NULL);
}

static cm_feature_nodes build_pytorch(const cm_extractor *e, cm_net *net, cm_node *pixels)
{
    (void)e;
    return cm_inception_features(net, CM_INCEPTION_PYTORCH, three_channels(net->g, pixels), NULL);
}

/* ---- opening ---- */

enum { SMALL, KINDS = 3 };
static const kind kinds[KINDS] = {
    [SMALL] = {"small", NULL, NULL, open_small, small_takes, build_small},
    {"inception", "FID", "KID", open_inception, inception_takes, build_tensorflow},
    {"inception-pytorch", "FID-pytorch", "KID-pytorch", open_inception, inception_takes,
     build_pytorch},
};

static cm_status extractor_new(const kind *k, int batch, int threads, cm_extractor **out,
                               cm_error *err)
{
    cm_extractor *e = cm_alloc(sizeof *e);
    if (!e)
        return cm_fail(err, CM_ERR_MEMORY, "features: out of memory");
    *e = (cm_extractor){.kind = k, .batch = batch, .threads = cm_threads_resolve(threads)};
    *out = e;
    return CM_OK;
}

cm_status cm_extractor_of(const cm_model *m, int batch, int threads, cm_extractor **out,
                          cm_error *err)
{
    const cm_status s = extractor_new(&kinds[SMALL], batch, threads, out, err);
    if (!s)
        use_model(*out, m);
    return s;
}

static cm_status unknown(const char *name, cm_error *err)
{
    char shown[64], known[128] = "";
    for (int i = 0; i < KINDS; i++) {
        const size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s",
                 !i              ? ""
                 : i + 1 < KINDS ? ", "
                                 : " or ",
                 kinds[i].name);
    }
    return cm_fail(err, CM_ERR_ARGUMENT, "features: expected %s, found '%s'", known,
                   cm_escape(shown, sizeof shown, name));
}

cm_status cm_extractor_open(const char *name, const char *weights, int batch, int threads,
                            cm_extractor **out, cm_error *err)
{
    cm_extractor *e = NULL;
    int i = 0;
    while (i < KINDS && strcmp(kinds[i].name, name) != 0)
        i++;
    cm_status s =
        i < KINDS ? extractor_new(&kinds[i], batch, threads, &e, err) : unknown(name, err);
    if (!s && (s = e->kind->open(e, weights, err))) {
        cm_extractor_close(e);
        return s;
    }
    if (!s)
        *out = e;
    return s;
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
    cm_params_free(e->own_params);
    cm_free(e->own_flat);
    cm_free(e);
}

cm_feature_dims cm_extractor_dims(const cm_extractor *e)
{
    return e->dims;
}

cm_score_names cm_extractor_names(const cm_extractor *e)
{
    const kind *k = e->kind;
    const cm_model *m = e->model;
    cm_score_names n;
    if (!m) {
        snprintf(n.network, sizeof n.network, "%s", k->name);
        snprintf(n.distance, sizeof n.distance, "%s", k->distance);
        snprintf(n.kernel, sizeof n.kernel, "%s", k->kernel);
        return n;
    }
    const XXH64_hash_t hash = XXH3_64bits(m->flat, cm_params_floats(m->params) * sizeof *m->flat);
    snprintf(n.network, sizeof n.network, "%s %016" PRIx64, m->score, (uint64_t)hash);
    snprintf(n.distance, sizeof n.distance, "%s", m->score);
    snprintf(n.kernel, sizeof n.kernel, "KD-%s", m->score + strlen("FD-"));
    return n;
}

const cm_model *cm_extractor_model(const cm_extractor *e)
{
    return e->model;
}

/* ---- running ---- */

static cm_status build(cm_extractor *e, int h, int w, int c, cm_error *err)
{
    cm_node *out[3];
    int n = 0;
    cm_graph *g = e->g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "features: out of memory");
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, e->params, buffer, CM_F32);
    cm_node *x = cm_input(g, "pixels", CM_TYPE(CM_F32, e->batch, h, w, c));
    e->x = x;
    e->nodes = e->kind->build(e, &net, x);
    cm_node *const all[] = {e->nodes.features, e->nodes.spatial, e->nodes.logits};
    for (int i = 0; i < 3; i++)
        if (all[i])
            out[n++] = all[i];
    const cm_status s = cm_plan_compile(g, n, out, e->device, e->threads, &e->plan, err);
    if (s)
        return s;
    cm_plan_bind(e->plan, buffer, (void *)(uintptr_t)e->flat);
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

/* The first `count` rows of a result to row `first` of `to`, where it is wanted. */
static int take(const cm_extractor *e, const cm_node *node, int64_t dim, int64_t first,
                int64_t count, float *to)
{
    if (!to || !dim)
        return 1;
    cm_plan_read_part(e->plan, node, 0, count * dim, to + first * dim);
    return all_finite(to + first * dim, count * dim);
}

cm_status cm_extractor_check(const cm_extractor *e, const char *of, int h, int w, int c,
                             cm_error *err)
{
    const cm_net_config *n = e->model ? &e->model->net : NULL;
    char shown[512];
    if (e->kind->takes(e, h, w, c))
        return CM_OK;
    if (!n)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: expected RGB or gray images for %s, found %dx%d with %d channels", of,
                       e->kind->name, w, h, c);
    return cm_fail(
        err, CM_ERR_ARGUMENT,
        "%s: expected images of %dx%d with %d channel%s, which the classifier %s is made "
        "for, found %dx%d with %d",
        of, n->width, n->height, n->in_channels, cm_plural(n->in_channels),
        cm_escape(shown, sizeof shown, cm_model_name(e->model)), w, h, c);
}

cm_status cm_extractor_run(cm_extractor *e, int64_t n, const uint8_t *pixels, int h, int w, int c,
                           float *features, float *spatial, float *logits, cm_error *err)
{
    const int64_t image = (int64_t)h * w * c;
    cm_status s = cm_extractor_check(e, "features", h, w, c, err);
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
