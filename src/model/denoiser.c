/* denoiser.c - D(x, sigma, y) compiled for sampling.
 *
 * Images do not meet in the network, so a batch may be run in parts, the micro-batches.
 * Their size is what keeps the activations and the packed weights in the last cache;
 * a network whose weights alone do not fit runs the batch at once, as parts would only
 * read them again (docs/speed.md). */
#include "model/model.h"

#include "base/cache.h"
#include "base/memory.h"
#include "cpu/cpu.h"

static cm_status build(cm_denoiser_plan *p, const cm_model *m, int images, cm_dtype dtype,
                       int threads, cm_error *err)
{
    const int64_t side = m->net.image_size;
    cm_graph *g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "denoiser: out of memory");
    p->g = g;
    p->micro = images;
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, m->params, buffer, dtype);
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, images, side, side, m->net.in_channels));
    cm_node *sigma = cm_input(g, "sigma", CM_TYPE(CM_F32, images));
    cm_node *y = m->net.num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, images)) : NULL;
    const cm_denoiser d = {&net, m->kind, &m->schedule, y};
    cm_node *out = cm_denoise(&d, x, sigma);
    const cm_status s = cm_plan_compile(g, 1, &out, cm_cpu_device(), threads, &p->plan, err);
    if (s)
        return s;
    cm_plan_bind(p->plan, buffer, m->flat);
    p->x = cm_plan_data(p->plan, x);
    p->sigma = cm_plan_data(p->plan, sigma);
    p->y = y ? cm_plan_data(p->plan, y) : NULL;
    p->out = cm_plan_data(p->plan, out);
    return CM_OK;
}

static void unbuild(cm_denoiser_plan *p)
{
    cm_plan_free(p->plan);
    cm_graph_free(p->g);
    p->plan = NULL;
    p->g = NULL;
}

/* The size of parts, at most `most`, that computes fewest images besides the batch's own,
 * a part counted as half an image: 64 in parts of at most 13 are eight of 8, not five of
 * 13.  Parts are a multiple of the threads. */
static int divide(int batch, int64_t most, int threads)
{
    int best = threads;
    int64_t least = INT64_MAX;
    if (batch <= most)
        return batch;
    for (int micro = threads; micro <= most; micro += threads) {
        const int64_t parts = ((int64_t)batch + micro - 1) / micro,
                      cost = 2 * parts * micro + parts;
        if (cost < least) {
            least = cost;
            best = micro;
        }
    }
    return best;
}

/* What a plan of some images needs tells what one needs: activations are proportional.
 * A plan that fits stays, unless four times as many would: a network so small that
 * waking threads is what it costs. */
static int fitting(const cm_denoiser_plan *p, int batch, int threads)
{
    const size_t share = 32 << 20; /* of a large cache, which has other users */
    const size_t cache = cm_cache_bytes(), room = (cache < share ? cache : share) / 4 * 3;
    const cm_plan_memory memory = cm_plan_get_memory(p->plan);
    const size_t fixed = memory.constants + memory.workspace;
    if (fixed >= room || batch <= threads)
        return batch;
    const size_t image = memory.activations / (size_t)p->micro + 1;
    const int64_t most = (int64_t)((room - fixed) / image);
    if (p->micro <= most && most < 4 * (int64_t)p->micro)
        return p->micro;
    return divide(batch, most < threads ? threads : most, threads);
}

cm_status cm_denoiser_plan_new(const cm_model *m, int batch, int micro, cm_dtype dtype, int threads,
                               cm_denoiser_plan **plan, cm_error *err)
{
    const int guess = divide(batch, 8 * threads, threads); /* most often it is the answer */
    cm_denoiser_plan *p = cm_alloc(sizeof *p);
    if (!p)
        return cm_fail(err, CM_ERR_MEMORY, "denoiser: out of memory");
    *p = (cm_denoiser_plan){.batch = batch,
                            .image = (int64_t)m->net.image_size * m->net.image_size *
                                     m->net.out_channels};
    const int first = micro ? micro : guess;
    cm_status s = build(p, m, first < batch ? first : batch, dtype, threads, err);
    const int want = s || micro ? p->micro : fitting(p, batch, threads);
    if (want != p->micro) {
        unbuild(p);
        s = build(p, m, want, dtype, threads, err);
    }
    if (s) {
        cm_denoiser_plan_free(p);
        return s;
    }
    *plan = p;
    return CM_OK;
}

int cm_denoiser_parts(const cm_denoiser_plan *p)
{
    return (p->batch + p->micro - 1) / p->micro;
}

void cm_denoiser_plan_free(cm_denoiser_plan *p)
{
    if (!p)
        return;
    unbuild(p);
    cm_free(p);
}
