/* classifier.c - the judge's network, its training step as one graph, its file
 *
 * The gradient of cross-entropy with respect to the logits is softmax(logits) -
 * onehot(y); the reverse walk starts there, so no logarithm of a small probability
 * is differentiated. */
#include "classifier.h"

#include "base/memory.h"
#include "base/philox.h"
#include "cpu/cpu.h"
#include "data/loader.h"
#include "graph/plan.h"
#include "io/safetensors.h"

#include <math.h>
#include <stdio.h>

enum {
    SIDE = CM_CLASSIFIER_SIDE,
    CLASSES = CM_CLASSIFIER_CLASSES,
    LEVELS = 3,
    GROUPS = 8,
    FEATURES = 64 * (SIDE >> LEVELS) * (SIDE >> LEVELS),
    PREDICT_BATCH = 100,
    N_PARAMS = 4 * LEVELS + 2
};

/* The parameters, in the order of the flat array. */
struct param {
    const char *name;
    int rank;
    int64_t dim[CM_MAX_RANK];
    int64_t fan_in; /* first values: uniform in +-1/sqrt(fan_in); 0: the constant below */
    float constant;
};
static const struct param table[N_PARAMS] = {
    {"conv0.weight", 4, {16, 1, 3, 3}, 9, 0},
    {"conv0.bias", 1, {16}, 9, 0},
    {"norm0.weight", 1, {16}, 0, 1},
    {"norm0.bias", 1, {16}, 0, 0},
    {"conv1.weight", 4, {32, 16, 3, 3}, 144, 0},
    {"conv1.bias", 1, {32}, 144, 0},
    {"norm1.weight", 1, {32}, 0, 1},
    {"norm1.bias", 1, {32}, 0, 0},
    {"conv2.weight", 4, {64, 32, 3, 3}, 288, 0},
    {"conv2.bias", 1, {64}, 288, 0},
    {"norm2.weight", 1, {64}, 0, 1},
    {"norm2.bias", 1, {64}, 0, 0},
    {"out.weight", 2, {CLASSES, FEATURES}, FEATURES, 0},
    {"out.bias", 1, {CLASSES}, FEATURES, 0},
};

struct cm_classifier {
    size_t floats, offset[N_PARAMS]; /* offsets in floats, each a multiple of 16 */
    float *flat;
    cm_graph *g; /* of prediction */
    cm_plan *plan;
    const cm_node *x, *logits;
    float *images; /* [PREDICT_BATCH,32,32,1], on their way in */
};

static cm_type param_type(int i)
{
    return cm_type_make(CM_F32, table[i].rank, table[i].dim);
}

static size_t param_count(int i)
{
    const cm_type t = param_type(i);
    return (size_t)cm_type_count(&t);
}

/* x [N,32,32,1] -> [N,10]; leaf [N_PARAMS] receives the parameters. */
static cm_node *build_logits(const cm_classifier *c, cm_graph *g, int buffer, cm_node *x,
                             cm_node **leaf)
{
    for (int i = 0; i < N_PARAMS; i++)
        leaf[i] = cm_leaf(g, buffer, c->offset[i] * sizeof(float), param_type(i), table[i].name);
    for (int l = 0; l < LEVELS; l++) {
        cm_node **p = leaf + 4 * l; /* weight and bias of the convolution, of the norm */
        const int64_t width = table[4 * l].dim[0];
        x = cm_conv2d(g, x, p[0], p[1], 1, 1);
        x = cm_group_norm(g, x, CM_RESHAPE(g, p[2], 1, width), CM_RESHAPE(g, p[3], 1, width),
                          GROUPS, 1e-5f, 1);
        x = cm_sumpool2(g, x, 0.25f);
    }
    x = CM_RESHAPE(g, x, cm_node_type(x)->dim[0], FEATURES);
    return cm_add(g, cm_matmul(g, x, leaf[N_PARAMS - 2], 0, 1),
                  CM_RESHAPE(g, leaf[N_PARAMS - 1], 1, CLASSES));
}

/* ---- the object ---- */

static cm_status compile_prediction(cm_classifier *c, int threads, cm_error *err)
{
    cm_node *leaf[N_PARAMS];
    const int buffer = cm_graph_buffer(c->g, "params", CM_BUFFER_CONST);
    cm_node *x = cm_input(c->g, "x", CM_TYPE(CM_F32, PREDICT_BATCH, SIDE, SIDE, 1));
    cm_node *logits = build_logits(c, c->g, buffer, x, leaf);
    const cm_status s = cm_plan_compile(c->g, 1, &logits, cm_cpu_device(), threads, &c->plan, err);
    if (s)
        return s;
    cm_plan_bind(c->plan, buffer, c->flat);
    c->x = x;
    c->logits = logits;
    return CM_OK;
}

/* One whose parameters are all zero. */
static cm_status classifier_new(int threads, cm_classifier **out, cm_error *err)
{
    cm_classifier *c = cm_alloc(sizeof *c);
    if (!c)
        return cm_fail(err, CM_ERR_MEMORY, "classifier: out of memory");
    for (int i = 0; i < N_PARAMS; i++) {
        c->offset[i] = c->floats;
        c->floats += (param_count(i) + 15) / 16 * 16;
    }
    c->flat = cm_alloc_array(c->floats, sizeof *c->flat);
    c->images = cm_alloc_array((size_t)PREDICT_BATCH * SIDE * SIDE, sizeof *c->images);
    c->g = cm_graph_new();
    const cm_status s = c->flat && c->images && c->g
                            ? compile_prediction(c, threads, err)
                            : cm_fail(err, CM_ERR_MEMORY, "classifier: out of memory");
    if (s) {
        cm_classifier_free(c);
        return s;
    }
    *out = c;
    return CM_OK;
}

void cm_classifier_free(cm_classifier *c)
{
    if (!c)
        return;
    cm_plan_free(c->plan);
    cm_graph_free(c->g);
    cm_free(c->flat);
    cm_free(c->images);
    cm_free(c);
}

static int32_t best_class(const float *logits)
{
    int32_t best = 0;
    for (int32_t k = 1; k < CLASSES; k++)
        if (logits[k] > logits[best])
            best = k;
    return best;
}

void cm_classifier_predict(cm_classifier *c, int64_t n, const uint8_t *pixels, int32_t *label)
{
    const int64_t image = SIDE * SIDE;
    float *x = c->images, logits[PREDICT_BATCH * CLASSES];
    for (int64_t first = 0; first < n; first += PREDICT_BATCH) {
        const int64_t count = n - first < PREDICT_BATCH ? n - first : PREDICT_BATCH;
        for (int64_t i = 0; i < count * image; i++)
            x[i] = (float)pixels[first * image + i] / 127.5f - 1.0f; /* as the loader */
        cm_plan_write(c->plan, c->x, x);
        cm_plan_run(c->plan);
        cm_plan_read(c->plan, c->logits, logits);
        for (int64_t i = 0; i < count; i++)
            label[first + i] = best_class(logits + i * CLASSES);
    }
}

/* ---- training ---- */

struct step {
    cm_graph *g;
    cm_plan *plan;
    const cm_node *x, *y, *hyper, *loss, *grad_squared;
};

static cm_node *onehot(cm_graph *g, cm_node *y)
{
    float identity[CLASSES * CLASSES] = {0};
    for (int k = 0; k < CLASSES; k++)
        identity[k * CLASSES + k] = 1.0f;
    return cm_gather(g, cm_const(g, CM_TYPE(CM_F32, CLASSES, CLASSES), identity), y);
}

/* Gradients into the buffer `grad`, and AdamW over the flat arrays. */
static cm_node *build_update(const cm_classifier *c, cm_graph *g, int params, cm_node **d,
                             cm_node *hyper)
{
    const int grad = cm_graph_buffer(g, "grad", 0);
    const cm_type flat = CM_TYPE(CM_F32, (int64_t)c->floats);
    for (int i = 0; i < N_PARAMS && !cm_graph_check(g, NULL); i++)
        cm_store(g, d[i],
                 cm_leaf(g, grad, c->offset[i] * sizeof(float), param_type(i), table[i].name));
    cm_node *all = cm_leaf(g, grad, 0, flat, "grad");
    cm_node *squared = cm_sum_squares(g, all);
    cm_adamw(g, cm_leaf(g, params, 0, flat, "params"), cm_input(g, "m", flat),
             cm_input(g, "v", flat), all, hyper, squared,
             (cm_optimizer_attr){0.9f, 0.999f, 1e-8f, 0.02f});
    return squared;
}

static cm_status step_new(const cm_classifier *c, const cm_classifier_training *how, struct step *s,
                          cm_error *err)
{
    cm_graph *g = s->g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "classifier: out of memory");
    cm_node *leaf[N_PARAMS], *d[N_PARAMS] = {NULL};
    const int params = cm_graph_buffer(g, "params", 0);
    const float mean = 1.0f / (float)how->batch;
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, how->batch, SIDE, SIDE, 1));
    cm_node *y = cm_input(g, "y", CM_TYPE(CM_I32, how->batch));
    cm_node *hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    cm_node *logits = build_logits(c, g, params, x, leaf);
    cm_node *p = cm_softmax(g, logits), *target = onehot(g, y);
    cm_node *log_p = cm_log(g, cm_affine(g, p, 1.0f, 1e-20f)); /* reported, not differentiated */
    cm_node *loss =
        cm_affine(g, cm_sum_to(g, cm_mul(g, target, log_p), CM_TYPE(CM_F32, 1, 1)), -mean, 0.0f);
    cm_graph_vjp(g, logits, cm_affine(g, cm_sub(g, p, target), mean, 0.0f), N_PARAMS, leaf, d);
    cm_node *squared = build_update(c, g, params, d, hyper);
    cm_node *outputs[] = {loss, squared};
    const cm_status status =
        cm_plan_compile(g, 2, outputs, cm_cpu_device(), how->threads, &s->plan, err);
    if (status)
        return status;
    cm_plan_bind(s->plan, params, c->flat);
    s->x = x;
    s->y = y;
    s->hyper = hyper;
    s->loss = loss;
    s->grad_squared = squared;
    return CM_OK;
}

static void initialise(cm_classifier *c, uint64_t seed)
{
    for (int i = 0; i < N_PARAMS; i++) {
        const struct param *p = &table[i];
        const float bound = p->fan_in ? 1.0f / sqrtf((float)p->fan_in) : 0.0f;
        for (size_t k = 0; k < param_count(i); k++) {
            const cm_philox_block b = cm_philox(seed, (uint32_t)k, (uint32_t)i, 0, 0);
            c->flat[c->offset[i] + k] = p->constant + bound * (2.0f * cm_uniform(b.v[0]) - 1.0f);
        }
    }
}

/* One step on a batch; adds its loss to *sum. */
static cm_status one_step(const struct step *s, const float *x, const int32_t *y, double lr,
                          int64_t k, double *sum, cm_error *err)
{
    const float hyper[2] = {(float)lr, (float)(k + 1)};
    float loss, squared;
    cm_plan_write(s->plan, s->x, x);
    cm_plan_write(s->plan, s->y, y);
    cm_plan_write(s->plan, s->hyper, hyper);
    cm_plan_run(s->plan);
    cm_plan_read(s->plan, s->loss, &loss);
    cm_plan_read(s->plan, s->grad_squared, &squared);
    *sum += (double)loss;
    return isfinite(squared) ? CM_OK
                             : cm_fail(err, CM_ERR_NUMERIC,
                                       "classifier: step %lld: gradient: expected finite, found %g",
                                       (long long)k, (double)squared);
}

static cm_status run_training(const struct step *s, const cm_dataset *data,
                              const cm_classifier_training *how, cm_error *err)
{
    cm_loader *loader = NULL;
    const int64_t epoch = data->n > how->batch ? data->n / how->batch : 1;
    const int64_t steps = epoch * how->epochs;
    float *x = cm_alloc_array((size_t)how->batch * SIDE * SIDE, sizeof *x);
    int32_t *y = cm_alloc_array((size_t)how->batch, sizeof *y);
    cm_status status = x && y ? cm_loader_new(data, how->batch, how->seed, 0, 0, &loader, err)
                              : cm_fail(err, CM_ERR_MEMORY, "classifier: out of memory");
    double sum = 0.0;
    for (int64_t k = 0; k < steps && !status; k++) {
        cm_loader_next(loader, x, y);
        const double lr = how->lr * (double)(steps - k) / (double)steps;
        status = one_step(s, x, y, lr, k, &sum, err);
        if ((k + 1) % epoch == 0) {
            if (how->epoch_done)
                how->epoch_done((int)((k + 1) / epoch), sum / (double)epoch);
            sum = 0.0;
        }
    }
    cm_loader_free(loader);
    cm_free(x);
    cm_free(y);
    return status;
}

cm_status cm_classifier_train(const cm_dataset *data, const cm_classifier_training *how,
                              cm_classifier **out, cm_error *err)
{
    if (data->h != SIDE || data->w != SIDE || data->c != 1 || data->classes != CLASSES)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "training data: expected images [%d,%d,1] in %d classes, found [%d,%d,%d] "
                       "in %d",
                       SIDE, SIDE, CLASSES, data->h, data->w, data->c, data->classes);
    cm_classifier *c = NULL;
    struct step step = {0};
    cm_status s = classifier_new(how->threads, &c, err);
    if (!s) {
        initialise(c, how->seed);
        s = step_new(c, how, &step, err);
    }
    if (!s)
        s = run_training(&step, data, how, err);
    cm_plan_free(step.plan);
    cm_graph_free(step.g);
    if (s) {
        cm_classifier_free(c);
        return s;
    }
    cm_plan_refresh(c->plan);
    *out = c;
    return CM_OK;
}

/* ---- files ---- */

static cm_status load_params(cm_classifier *c, const char *path, const cm_st_file *f, cm_error *err)
{
    char expected[64], found[64];
    for (int i = 0; i < N_PARAMS; i++) {
        const cm_type type = param_type(i);
        const cm_st_tensor *t = cm_st_find(f, table[i].name);
        if (!t)
            return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": expected %s, found none", path,
                           table[i].name, cm_type_text(expected, sizeof expected, &type));
        cm_type in_file = {.dtype = CM_F32, .dim = {1, 1, 1, 1}};
        if (t->rank <= CM_MAX_RANK)
            in_file = cm_type_make(CM_F32, t->rank, t->dim);
        if (t->rank != type.rank || !cm_type_same_shape(&in_file, &type))
            return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": shape: expected %s, found %s",
                           path, table[i].name, cm_type_text(expected, sizeof expected, &type),
                           t->rank <= CM_MAX_RANK ? cm_type_text(found, sizeof found, &in_file)
                                                  : "more dimensions");
        const cm_status s = cm_st_read_f32(f, t, c->flat + c->offset[i], err);
        if (s)
            return s;
    }
    return CM_OK;
}

cm_status cm_classifier_read(const char *path, int threads, cm_classifier **out, cm_error *err)
{
    cm_st_file *f = NULL;
    cm_classifier *c = NULL;
    cm_status s = cm_st_open(path, &f, err);
    if (!s)
        s = classifier_new(threads, &c, err);
    if (!s)
        s = load_params(c, path, f, err);
    cm_st_close(f);
    if (s) {
        cm_classifier_free(c);
        return s;
    }
    *out = c;
    return CM_OK;
}

cm_status cm_classifier_write(const cm_classifier *c, const char *path, cm_error *err)
{
    cm_st_entry entries[N_PARAMS];
    for (int i = 0; i < N_PARAMS; i++) {
        entries[i] = (cm_st_entry){.name = table[i].name,
                                   .dtype = CM_ST_F32,
                                   .rank = table[i].rank,
                                   .data = c->flat + c->offset[i]};
        for (int k = 0; k < table[i].rank; k++)
            entries[i].dim[k] = table[i].dim[k];
    }
    return cm_st_write(path, N_PARAMS, entries, 0, NULL, NULL, err);
}
