/* session.c - compile D(x, sigma, y), choose the size of its parts, run it */
#include "sample/session.h"

#include "base/cache.h"
#include "base/memory.h"
#include "base/text.h"

static cm_status build(cm_session *s, const cm_model *m, int images, cm_dtype dtype, int threads,
                       cm_error *err)
{
    const cm_net_config *n = &m->net;
    cm_graph *g = cm_graph_new();
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "denoiser: out of memory");
    s->g = g;
    s->micro = images;
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, m->params, buffer, dtype);
    s->x = cm_input(g, "x", CM_TYPE(CM_F32, images, n->height, n->width, n->in_channels));
    s->sigma = cm_input(g, "sigma", CM_TYPE(CM_F32, images));
    s->y = n->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, images)) : NULL;
    const cm_denoiser d = {&net, n, m->precondition, &m->schedule, s->y};
    s->D = cm_denoise(&d, s->x, s->sigma).D;
    const cm_status status = cm_plan_compile_without(s->sized_only ? CM_PLAN_NO_MEMORY : 0, g, 1,
                                                     &s->D, m->device, threads, &s->plan, err);
    if (status || s->sized_only)
        return status;
    cm_plan_bind(s->plan, buffer, m->flat);
    s->images = cm_alloc_array((size_t)images, (size_t)s->image * sizeof *s->images);
    s->levels = cm_alloc_array((size_t)images, sizeof *s->levels);
    s->labels = cm_alloc_array((size_t)images, sizeof *s->labels);
    return s->images && s->levels && s->labels
               ? CM_OK
               : cm_fail(err, CM_ERR_MEMORY, "denoiser: out of memory for %d image%s", images,
                         cm_plural(images));
}

static void unbuild(cm_session *s)
{
    cm_plan_free(s->plan);
    cm_graph_free(s->g);
    cm_free(s->images);
    cm_free(s->levels);
    cm_free(s->labels);
    *s = (cm_session){.batch = s->batch, .image = s->image, .sized_only = s->sized_only};
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
static int fitting(const cm_session *p, int batch, int threads)
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

static cm_status make(const cm_model *m, int batch, int micro, int sized_only, cm_dtype dtype,
                      int threads, cm_session **session, cm_error *err)
{
    const int guess = divide(batch, 8 * threads, threads); /* most often it is the answer */
    cm_session *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "denoiser: out of memory");
    s->batch = batch;
    s->sized_only = sized_only;
    s->image = (int64_t)m->net.height * m->net.width * m->net.out_channels;
    const int first = micro ? micro : guess;
    cm_status status = build(s, m, first < batch ? first : batch, dtype, threads, err);
    const int want = status || micro ? s->micro : fitting(s, batch, threads);
    if (want != s->micro) {
        unbuild(s);
        status = build(s, m, want, dtype, threads, err);
    }
    if (status) {
        cm_session_free(s);
        return status;
    }
    *session = s;
    return CM_OK;
}

cm_status cm_session_new(const cm_model *m, int batch, int micro, cm_dtype dtype, int threads,
                         cm_session **session, cm_error *err)
{
    return make(m, batch, micro, 0, dtype, threads, session, err);
}

size_t cm_session_bytes(const cm_session *s, const cm_model *m)
{
    const cm_plan_memory memory = cm_plan_get_memory(s->plan);
    return cm_params_floats(m->params) * sizeof(float) + memory.activations + memory.workspace +
           memory.constants;
}

cm_status cm_session_needs_of(const cm_model *m, int batch, cm_dtype dtype, int threads,
                              cm_session_needs *needs, cm_error *err)
{
    cm_session *s = NULL;
    const cm_status status = make(m, batch, 0, 1, dtype, threads, &s, err);
    if (!status)
        *needs = (cm_session_needs){s->micro, cm_session_bytes(s, m),
                                    cm_plan_get_memory(s->plan).packed};
    cm_session_free(s);
    return status;
}

void cm_session_free(cm_session *s)
{
    if (!s)
        return;
    unbuild(s);
    cm_free(s);
}

int cm_session_parts(const cm_session *s)
{
    return (s->batch + s->micro - 1) / s->micro;
}

/* ---- running ---- */

/* What a short part has to spare are images of before. */
static void denoise_part(cm_session *s, int images, const double *x, const int64_t *labels,
                         double *denoised)
{
    const int64_t n = images * s->image;
    for (int64_t i = 0; i < n; i++)
        s->images[i] = (float)x[i];
    cm_plan_write(s->plan, s->x, s->images);
    for (int i = 0; s->y && i < images; i++)
        s->labels[i] = (int32_t)labels[i];
    if (s->y)
        cm_plan_write(s->plan, s->y, s->labels);
    cm_plan_run(s->plan);
    cm_plan_read(s->plan, s->D, s->images);
    for (int64_t i = 0; i < n; i++)
        denoised[i] = (double)s->images[i];
}

void cm_session_denoise(cm_session *s, int count, const double *x, double sigma,
                        const int64_t *labels, double *denoised)
{
    for (int i = 0; i < s->micro; i++)
        s->levels[i] = (float)sigma;
    cm_plan_write(s->plan, s->sigma, s->levels);
    for (int first = 0; first < count; first += s->micro) {
        const int left = count - first;
        const int64_t at = first * s->image;
        denoise_part(s, left < s->micro ? left : s->micro, x + at, labels + first, denoised + at);
    }
}
