/* dnnl_help.c - oneDNN, v2 API */
#include "cpu/dnnl_help.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine; /* written once, then only read */

static void make_engine(void)
{
    dnnl_engine_create(&engine, dnnl_cpu, 0);
}

dnnl_engine_t cm_dnnl_engine(void)
{
    pthread_once(&once, make_engine);
    return engine;
}

dnnl_data_type_t cm_dnnl_dtype(cm_dtype d)
{
    return d == CM_BF16 ? dnnl_bf16 : dnnl_f32;
}

dnnl_memory_desc_t cm_dnnl_image(const cm_type *t)
{
    dnnl_memory_desc_t md;
    const dnnl_dims_t dims = {t->dim[0], t->dim[3], t->dim[1], t->dim[2]};
    dnnl_memory_desc_init_by_tag(&md, 4, dims, cm_dnnl_dtype(t->dtype), dnnl_nhwc);
    return md;
}

static dnnl_memory_desc_t weights(const cm_type *t, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    const dnnl_dims_t dims = {t->dim[0], t->dim[1], t->dim[2], t->dim[3]};
    dnnl_memory_desc_init_by_tag(&md, 4, dims, type, tag);
    return md;
}

dnnl_memory_desc_t cm_dnnl_weights(const cm_type *t)
{
    return weights(t, dnnl_f32, dnnl_oihw);
}

dnnl_memory_desc_t cm_dnnl_weights_any(const cm_type *t, cm_dtype compute)
{
    return weights(t, cm_dnnl_dtype(compute), dnnl_format_tag_any);
}

static cm_status failed(cm_error *err, const char *what, dnnl_status_t s)
{
    return cm_fail(err, s == dnnl_out_of_memory ? CM_ERR_MEMORY : CM_ERR_UNSUPPORTED,
                   "oneDNN %d.%d: %s: status %d", dnnl_version()->major, dnnl_version()->minor,
                   what, (int)s);
}

/* Memory objects without memory: run() sets the handles. */
static void add_arg(cm_dnnl *d, int arg, const dnnl_memory_desc_t *md)
{
    dnnl_exec_arg_t *a = &d->arg[d->n];
    if (d->status)
        return;
    a->arg = arg;
    d->status = dnnl_memory_create(&a->memory, md, cm_dnnl_engine(), DNNL_MEMORY_NONE);
    d->n += d->status == dnnl_success;
}

/* What a primitive runs on, after its arguments. */
static cm_status add_stream(cm_dnnl *d, const char *what, cm_error *err)
{
    if (!d->status)
        d->status = dnnl_stream_create(&d->stream, cm_dnnl_engine(), dnnl_stream_default_flags);
    return d->status ? failed(err, what, d->status) : CM_OK;
}

/* From an operation descriptor to a primitive with its scratchpad argument. */
static cm_status finish(const_dnnl_op_desc_t op, dnnl_query_t query_weights, dnnl_memory_desc_t *w,
                        cm_dnnl *out, size_t *scratch, const char **impl, const char *what,
                        cm_error *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(&attr);
    if (!s)
        s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (!s)
        s = dnnl_primitive_desc_create(&pd, op, attr, cm_dnnl_engine(), NULL);
    dnnl_primitive_attr_destroy(attr);
    if (!s) {
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        *scratch = md ? dnnl_memory_desc_get_size(md) : 0;
        if (w)
            *w = *dnnl_primitive_desc_query_md(pd, query_weights, 0);
        out->scratch = -1;
        if (*scratch) {
            out->scratch = 0;
            add_arg(out, DNNL_ARG_SCRATCHPAD, md);
        }
    }
    if (!s)
        s = dnnl_primitive_create(&out->primitive, pd);
    if (!s) {
        const char *name = NULL;
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
        *impl = name; /* a literal inside the library */
    }
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return s ? failed(err, what, s) : CM_OK;
}

cm_status cm_dnnl_conv(cm_conv_pass pass, const dnnl_memory_desc_t *x, dnnl_memory_desc_t *w,
                       const dnnl_memory_desc_t *bias, const dnnl_memory_desc_t *y, int stride,
                       int pad, cm_dnnl *out, size_t *scratch, const char **impl, cm_error *err)
{
    const dnnl_dims_t strides = {stride, stride}, pads = {pad, pad};
    const int64_t kh = w->dims[2], kw = w->dims[3];
    /* What remains on the far side so that the output has y's size. */
    const dnnl_dims_t far = {(y->dims[2] - 1) * stride + kh - x->dims[2] - pad,
                             (y->dims[3] - 1) * stride + kw - x->dims[3] - pad};
    dnnl_convolution_desc_t op;
    dnnl_status_t s;
    memset(out, 0, sizeof *out);
    if (pass == CM_CONV_FORWARD)
        s = dnnl_convolution_forward_desc_init(&op, dnnl_forward_training, dnnl_convolution_direct,
                                               x, w, bias, y, strides, pads, far);
    else if (pass == CM_CONV_INPUT)
        s = dnnl_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, x, w, y, strides,
                                                     pads, far);
    else
        s = dnnl_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, x, w, NULL, y,
                                                        strides, pads, far);
    if (s)
        return failed(err, "convolution", s);
    const cm_status status =
        finish(&op, pass == CM_CONV_WEIGHT ? dnnl_query_diff_weights_md : dnnl_query_weights_md, w,
               out, scratch, impl, "convolution", err);
    if (status)
        return status;
    if (pass == CM_CONV_FORWARD) {
        add_arg(out, DNNL_ARG_SRC, x);
        add_arg(out, DNNL_ARG_WEIGHTS, w);
        if (bias)
            add_arg(out, DNNL_ARG_BIAS, bias);
        add_arg(out, DNNL_ARG_DST, y);
    } else if (pass == CM_CONV_INPUT) {
        add_arg(out, DNNL_ARG_DIFF_DST, y);
        add_arg(out, DNNL_ARG_WEIGHTS, w);
        add_arg(out, DNNL_ARG_DIFF_SRC, x);
    } else {
        add_arg(out, DNNL_ARG_SRC, x);
        add_arg(out, DNNL_ARG_DIFF_DST, y);
        add_arg(out, DNNL_ARG_DIFF_WEIGHTS, w);
    }
    return add_stream(out, "convolution", err);
}

cm_status cm_dnnl_matmul(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
                         const dnnl_memory_desc_t *y, cm_dnnl *out, size_t *scratch,
                         const char **impl, cm_error *err)
{
    dnnl_matmul_desc_t op;
    memset(out, 0, sizeof *out);
    const dnnl_status_t s = dnnl_matmul_desc_init(&op, a, b, NULL, y);
    if (s)
        return failed(err, "matmul", s);
    const cm_status status =
        finish(&op, dnnl_query_weights_md, NULL, out, scratch, impl, "matmul", err);
    if (status)
        return status;
    add_arg(out, DNNL_ARG_SRC, a);
    add_arg(out, DNNL_ARG_WEIGHTS, b);
    add_arg(out, DNNL_ARG_DST, y);
    return add_stream(out, "matmul", err);
}

cm_status cm_dnnl_reorder(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                          cm_dnnl *out, cm_error *err)
{
    dnnl_primitive_desc_t pd = NULL;
    memset(out, 0, sizeof *out);
    out->scratch = -1;
    dnnl_status_t s =
        dnnl_reorder_primitive_desc_create(&pd, from, cm_dnnl_engine(), to, cm_dnnl_engine(), NULL);
    if (!s)
        s = dnnl_primitive_create(&out->primitive, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (s)
        return failed(err, "reorder", s);
    add_arg(out, DNNL_ARG_FROM, from);
    add_arg(out, DNNL_ARG_TO, to);
    return add_stream(out, "reorder", err);
}

void cm_dnnl_run(const cm_dnnl *d, int threads, const void *const *memory, void *scratch)
{
    const int saved = omp_get_max_threads(); /* of this thread; put back below */
    if (saved != threads)
        omp_set_num_threads(threads);
    for (int i = 0; i < d->n; i++) {
        union {
            const void *in;
            void *out;
        } u = {i == d->scratch ? scratch : memory[i - (d->scratch == 0)]};
        dnnl_memory_set_data_handle(d->arg[i].memory, u.out);
    }
    cm_assert(dnnl_primitive_execute(d->primitive, d->stream, d->n, d->arg) == dnnl_success);
    dnnl_stream_wait(d->stream);
    if (saved != threads)
        omp_set_num_threads(saved);
}

void cm_dnnl_release(cm_dnnl *d)
{
    for (int i = 0; i < d->n; i++)
        dnnl_memory_destroy(d->arg[i].memory);
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->primitive)
        dnnl_primitive_destroy(d->primitive);
    memset(d, 0, sizeof *d);
}
