/* tensors.c - run the raw network F on tensors from a file, so that its numbers
 * can be compared with any other framework's: out = F(x, timesteps, y), images in
 * the file as [N,C,H,W]. */
#include "sample/tensors.h"

#include "base/memory.h"
#include "graph/plan.h"
#include "io/replace.h"
#include "model/model.h"
#include "options/options.h"

#include <inttypes.h>
#include <string.h>

struct io {
    const char *path;
    cm_st_file *file;
    const cm_st_tensor *x, *t, *y;
    int64_t n, h, w, channels;
};

static cm_status expect(const struct io *io, const char *name, const cm_st_tensor *t, int rank,
                        const int64_t *dim, cm_error *err)
{
    if (!t)
        return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\" is missing", io->path, name);
    if (t->rank != rank)
        return cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": expected rank %d, found %d",
                       io->path, name, rank, t->rank);
    for (int i = 0; i < rank; i++)
        if (t->dim[i] != dim[i])
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"%s\": dimension %d: expected %" PRId64 ", found %" PRId64,
                           io->path, name, i, dim[i], t->dim[i]);
    return CM_OK;
}

static cm_status open_input(const cm_model *m, const char *path, struct io *io, cm_error *err)
{
    cm_status s = cm_st_open(path, &io->file, err);
    if (s)
        return s;
    io->path = path;
    io->x = cm_st_find(io->file, "x");
    io->t = cm_st_find(io->file, "timesteps");
    io->y = cm_st_find(io->file, "y");
    io->n = io->x && io->x->rank == 4 ? io->x->dim[0] : 0;
    io->h = m->net.height;
    io->w = m->net.width;
    io->channels = m->net.in_channels;
    s = expect(io, "x", io->x, 4, (int64_t[]){io->n, io->channels, io->h, io->w}, err);
    if (!s && (io->n < 1 || io->n > CM_MOST_BATCH))
        s = cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"x\": expected 1 to %d images, found %" PRId64,
                    path, CM_MOST_BATCH, io->n);
    if (!s)
        s = expect(io, "timesteps", io->t, 1, &io->n, err);
    if (!s && m->net.num_classes)
        s = expect(io, "y", io->y, 1, &io->n, err);
    return s;
}

/* [N,C,P] -> [N,P,C] */
static void to_nhwc(int64_t n, int64_t c, int64_t pixels, const float *from, float *to)
{
    for (int64_t i = 0; i < n * c; i++)
        for (int64_t p = 0; p < pixels; p++)
            to[(i / c * pixels + p) * c + i % c] = from[i * pixels + p];
}

static void to_nchw(int64_t n, int64_t c, int64_t pixels, const float *from, float *to)
{
    for (int64_t i = 0; i < n * c; i++)
        for (int64_t p = 0; p < pixels; p++)
            to[i * pixels + p] = from[(i / c * pixels + p) * c + i % c];
}

static cm_status read_labels(const cm_model *m, const struct io *io, int32_t *to, cm_error *err)
{
    int64_t *labels = cm_alloc_array((size_t)io->n, sizeof *labels);
    cm_status s = labels ? cm_st_read_i64(io->file, io->y, labels, err)
                         : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", io->path);
    for (int64_t i = 0; i < io->n && !s; i++) {
        if (labels[i] < 0 || labels[i] >= m->net.num_classes)
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: tensor \"y\": element %" PRId64 " is %" PRId64 ", expected 0 to %d",
                        io->path, i, labels[i], m->net.num_classes - 1);
        else
            to[i] = (int32_t)labels[i];
    }
    cm_free(labels);
    return s;
}

static int64_t widest(const cm_model *m)
{
    return m->net.in_channels > m->net.out_channels ? m->net.in_channels : m->net.out_channels;
}

/* work: twice [n, pixels, the wider of in and out channels], so at least n values. */
static cm_status run(const cm_model *m, const struct io *io, const char *output, cm_dtype dtype,
                     int threads, cm_graph *g, cm_plan **plan, float *work, cm_error *err)
{
    const int64_t pixels = io->h * io->w;
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, m->params, buffer, dtype);
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, io->n, io->h, io->w, io->channels));
    cm_node *t = cm_input(g, "t", CM_TYPE(CM_F32, io->n));
    cm_node *y = m->net.num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, io->n)) : NULL;
    cm_node *out = cm_net_apply(&net, &m->net, x, t, y);
    cm_status s = cm_plan_compile(g, 1, &out, m->device, threads, plan, err);
    if (s)
        return s;
    cm_plan_bind(*plan, buffer, m->flat);
    float *nhwc = work + io->n * pixels * widest(m);
    if ((s = cm_st_read_f32(io->file, io->t, work, err)))
        return s;
    cm_plan_write(*plan, t, work);
    if ((s = cm_st_read_f32(io->file, io->x, work, err)))
        return s;
    to_nhwc(io->n, io->channels, pixels, work, nhwc);
    cm_plan_write(*plan, x, nhwc);
    if (y) {
        if ((s = read_labels(m, io, (int32_t *)(void *)work, err)))
            return s;
        cm_plan_write(*plan, y, work);
    }
    cm_plan_run(*plan);
    cm_plan_read(*plan, out, nhwc);
    to_nchw(io->n, m->net.out_channels, pixels, nhwc, work);
    const cm_st_entry entry = {
        "out", CM_ST_F32, 4, {io->n, m->net.out_channels, io->h, io->w}, work};
    return cm_st_write(output, 1, &entry, 0, NULL, NULL, err);
}

cm_status cm_forward_file(const char *weights, const char *config_json, const char *input,
                          const char *output, const char *dtype_text, int threads, cm_error *err)
{
    cm_model *m = NULL;
    struct io io = {0};
    cm_graph *g = cm_graph_new();
    cm_plan *plan = NULL;
    float *work = NULL;
    cm_dtype dtype;
    cm_status s = g ? cm_dtype_resolve(dtype_text, &dtype, err)
                    : cm_fail(err, CM_ERR_MEMORY, "forward: out of memory");
    if (!s)
        s = cm_model_read(weights, config_json, &m, err);
    if (!s)
        s = cm_model_check_draws(m, weights, err);
    if (!s)
        s = open_input(m, input, &io, err);
    if (!s)
        s = cm_replace_check(output, &cm_replaced_output, err);
    if (!s) {
        work = cm_alloc_array((size_t)(io.n * io.h * io.w * widest(m)), 2 * sizeof *work);
        s = work ? run(m, &io, output, dtype, cm_threads_resolve(threads), g, &plan, work, err)
                 : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", input);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_st_close(io.file);
    cm_model_release(m);
    cm_free(work);
    return s;
}
