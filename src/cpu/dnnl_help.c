/* dnnl_help.c - oneDNN, API versions 2 and 3 */
#include "cpu/dnnl_help.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t shared_engine; /* written once, then only read */

static void make_engine(void)
{
    if (dnnl_engine_create(&shared_engine, dnnl_cpu, 0))
        shared_engine = NULL; /* which every call below refuses */
}

static dnnl_engine_t engine(void)
{
    pthread_once(&once, make_engine);
    return shared_engine;
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
const char *cm_cpu_library(void)
{
    return "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(
        DNNL_VERSION_PATCH);
}

static cm_status failed(cm_error *err, const char *what, dnnl_status_t s)
{
    return cm_fail(err, s == dnnl_out_of_memory ? CM_ERR_MEMORY : CM_ERR_UNSUPPORTED,
                   "oneDNN %d.%d: %s: status %d", dnnl_version()->major, dnnl_version()->minor,
                   what, (int)s);
}

/* ---- what differs between the versions ----------------------------------- */

typedef struct shape {
    int rank;
    dnnl_dims_t dim, stride;
    int any; /* the layout is the primitive's choice, stride is not read */
    dnnl_data_type_t type;
} shape;

#if DNNL_VERSION_MAJOR < 3

typedef const dnnl_memory_desc_t *md_ref;

static md_ref ref(const dnnl_memory_desc_t *md)
{
    return md;
}

static dnnl_status_t md_new(dnnl_memory_desc_t *md, const shape *s)
{
    return s->any ? dnnl_memory_desc_init_by_tag(md, s->rank, s->dim, s->type, dnnl_format_tag_any)
                  : dnnl_memory_desc_init_by_strides(md, s->rank, s->dim, s->type, s->stride);
}

static dnnl_status_t md_copy(dnnl_memory_desc_t *md, md_ref from)
{
    *md = *from;
    return dnnl_success;
}

static void md_free(dnnl_memory_desc_t *md)
{
    (void)md;
}

#else

typedef const_dnnl_memory_desc_t md_ref;

static md_ref ref(const dnnl_memory_desc_t *md)
{
    return *md;
}

static dnnl_status_t md_new(dnnl_memory_desc_t *md, const shape *s)
{
    return s->any
               ? dnnl_memory_desc_create_with_tag(md, s->rank, s->dim, s->type, dnnl_format_tag_any)
               : dnnl_memory_desc_create_with_strides(md, s->rank, s->dim, s->type, s->stride);
}

static dnnl_status_t md_copy(dnnl_memory_desc_t *md, md_ref from)
{
    return dnnl_memory_desc_clone(md, from);
}

static void md_free(dnnl_memory_desc_t *md)
{
    if (*md)
        dnnl_memory_desc_destroy(*md);
    *md = NULL;
}

#endif

/* The tensors of a convolution and how it slides. */
typedef struct conv {
    cm_conv_pass pass;
    int residual, relu;
    dnnl_memory_desc_t x, w, bias, y;
    md_ref bias_or_null;
    dnnl_dims_t strides, near, far; /* near, far: padding before and after */
} conv;

#if DNNL_VERSION_MAJOR < 3

static dnnl_status_t conv_pd(const conv *c, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t s;
    if (c->pass == CM_CONV_FORWARD)
        s = dnnl_convolution_forward_desc_init(&op, dnnl_forward_training, dnnl_convolution_direct,
                                               &c->x, &c->w, c->bias_or_null, &c->y, c->strides,
                                               c->near, c->far);
    else if (c->pass == CM_CONV_INPUT)
        s = dnnl_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, &c->x, &c->w,
                                                     &c->y, c->strides, c->near, c->far);
    else
        s = dnnl_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, &c->x, &c->w,
                                                        NULL, &c->y, c->strides, c->near, c->far);
    return s ? s : dnnl_primitive_desc_create(pd, &op, attr, engine(), NULL);
}

static dnnl_status_t matmul_pd(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
                               md_ref bias_or_null, const dnnl_memory_desc_t *y,
                               dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    dnnl_matmul_desc_t op;
    const dnnl_status_t s = dnnl_matmul_desc_init(&op, a, b, bias_or_null, y);
    return s ? s : dnnl_primitive_desc_create(pd, &op, attr, engine(), NULL);
}

#else

static dnnl_status_t conv_pd(const conv *c, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t dense = {0, 0};
    if (c->pass == CM_CONV_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(
            pd, engine(), dnnl_forward_training, dnnl_convolution_direct, c->x, c->w,
            c->bias_or_null, c->y, c->strides, dense, c->near, c->far, attr);
    if (c->pass == CM_CONV_INPUT)
        return dnnl_convolution_backward_data_primitive_desc_create(
            pd, engine(), dnnl_convolution_direct, c->x, c->w, c->y, c->strides, dense, c->near,
            c->far, NULL, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, engine(), dnnl_convolution_direct, c->x, c->w, NULL, c->y, c->strides, dense, c->near,
        c->far, NULL, attr);
}

static dnnl_status_t matmul_pd(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
                               md_ref bias_or_null, const dnnl_memory_desc_t *y,
                               dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    return dnnl_matmul_primitive_desc_create(pd, engine(), *a, *b, bias_or_null, *y, attr);
}

#endif

/* ---- one thread ---------------------------------------------------------- */

/* From here on oneDNN uses this thread alone, which is a setting of the caller's thread:
 * it is put back by as_before().  Primitives keep the number they are made under. */
static int alone(void)
{
    const int saved = omp_get_max_threads();
    if (saved != 1)
        omp_set_num_threads(1);
    return saved;
}

static void as_before(int saved)
{
    if (saved != 1)
        omp_set_num_threads(saved);
}

/* ---- primitives ---------------------------------------------------------- */

static dnnl_data_type_t type_of(cm_dtype d)
{
    return d == CM_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* Row-major. */
static shape dense_shape(int rank, const int64_t *dim, cm_dtype dtype)
{
    shape s = {.rank = rank, .type = type_of(dtype)};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        s.dim[i] = dim[i];
        s.stride[i] = stride;
        stride *= dim[i];
    }
    return s;
}

/* [N,H,W,C] as oneDNN sees it: dims N,C,H,W in nhwc order. */
static shape image_shape(const cm_type *t)
{
    const int64_t h = t->dim[1], w = t->dim[2], c = t->dim[3];
    return (shape){.rank = 4,
                   .dim = {t->dim[0], c, h, w},
                   .stride = {h * w * c, 1, w * c, c},
                   .type = type_of(t->dtype)};
}

/* The logical operand op(m): strides swap where it is read transposed. */
static shape matrix_shape(const cm_type *t, int transposed)
{
    shape s = dense_shape(t->rank, t->dim, t->dtype);
    const int a = t->rank - 2, b = t->rank - 1;
    if (transposed) {
        const int64_t d = s.dim[a], stride = s.stride[a];
        s.dim[a] = s.dim[b];
        s.dim[b] = d;
        s.stride[a] = s.stride[b];
        s.stride[b] = stride;
    }
    return s;
}

/* Memory objects without memory: run() sets the handles. */
static dnnl_status_t add_arg(cm_dnnl *d, int arg, md_ref md)
{
    dnnl_exec_arg_t *a = &d->arg[d->n];
    a->arg = arg;
    const dnnl_status_t s = dnnl_memory_create(&a->memory, md, engine(), DNNL_MEMORY_NONE);
    d->n += s == dnnl_success;
    return s;
}

/* The scratchpad is the caller's: running must not allocate. */
static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr)
{
    const dnnl_status_t s = dnnl_primitive_attr_create(attr);
    return s ? s : dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
}

/* Add to what the output holds. */
/* y += instead of y =, then what is below 0 becomes 0; each where it is asked for */
static dnnl_status_t append_post_ops(dnnl_primitive_attr_t attr, int sum, int relu)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_post_ops_create(&ops);
#if DNNL_VERSION_MAJOR < 3
    if (!s && sum)
        s = dnnl_post_ops_append_sum(ops, 1.0f);
    if (!s && relu)
        s = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
#else
    if (!s && sum)
        s = dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
    if (!s && relu)
        s = dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
#endif
    if (!s)
        s = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops)
        dnnl_post_ops_destroy(ops);
    return s;
}

/* Primitive, stream and scratchpad argument of a description. */
static dnnl_status_t make_primitive(dnnl_primitive_desc_t pd, cm_dnnl *out)
{
    md_ref scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    dnnl_status_t s = dnnl_primitive_create(&out->primitive, pd);
    if (!s)
        s = dnnl_stream_create(&out->stream, engine(), dnnl_stream_default_flags);
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &out->impl);
    out->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    out->scratch = out->scratch_bytes ? 0 : -1;
    if (!s && out->scratch_bytes)
        s = add_arg(out, DNNL_ARG_SCRATCHPAD, scratch);
    return s;
}

static dnnl_status_t conv_args(const conv *c, cm_dnnl *out)
{
    static const int args[3][4] = {
        [CM_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
        [CM_CONV_INPUT] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, 0, DNNL_ARG_DIFF_SRC},
        [CM_CONV_WEIGHT] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, 0, DNNL_ARG_DIFF_WEIGHTS},
    };
    const md_ref x = ref(&c->x), y = ref(&c->y), w = ref(&out->weights);
    const md_ref md[3][4] = {
        [CM_CONV_FORWARD] = {x, w, c->bias_or_null, y},
        [CM_CONV_INPUT] = {y, w, NULL, x},
        [CM_CONV_WEIGHT] = {x, y, NULL, w},
    };
    dnnl_status_t s = dnnl_success;
    for (int i = 0; i < 4 && !s; i++)
        if (md[c->pass][i])
            s = add_arg(out, args[c->pass][i], md[c->pass][i]);
    return s;
}

static dnnl_status_t conv_make(const conv *c, cm_dnnl *out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = make_attr(&attr);
    if (!s && (c->residual || c->relu))
        s = append_post_ops(attr, c->residual, c->relu);
    if (!s)
        s = conv_pd(c, attr, &pd);
    if (!s)
        s = md_copy(&out->weights, dnnl_primitive_desc_query_md(pd,
                                                                c->pass == CM_CONV_WEIGHT
                                                                    ? dnnl_query_diff_weights_md
                                                                    : dnnl_query_weights_md,
                                                                0));
    if (!s) {
        out->weights_bytes = dnnl_memory_desc_get_size(ref(&out->weights));
        s = make_primitive(pd, out);
    }
    if (!s)
        s = conv_args(c, out);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s;
}

cm_status cm_dnnl_conv(const cm_dnnl_conv_spec *spec, cm_dnnl *out, cm_error *err)
{
    const cm_type *x = spec->x, *w = spec->w, *y = spec->y;
    const cm_dtype compute = spec->pass == CM_CONV_WEIGHT  ? CM_F32
                             : spec->pass == CM_CONV_INPUT ? y->dtype
                                                           : x->dtype;
    const shape sx = image_shape(x), sy = image_shape(y);
    const shape sb = dense_shape(1, w->dim, CM_F32);
    shape sw = dense_shape(4, w->dim, compute);
    conv c = {.pass = spec->pass, .residual = spec->residual, .relu = spec->relu};
    sw.any = 1;
    for (int i = 0; i < 2; i++) {
        c.strides[i] = spec->stride;
        c.near[i] = i ? spec->pad_left : spec->pad_top;
        /* What remains on the far side so that the output has y's size. */
        c.far[i] = (sy.dim[2 + i] - 1) * spec->stride + w->dim[2 + i] - sx.dim[2 + i] - c.near[i];
    }
    memset(out, 0, sizeof *out);
    dnnl_status_t s = md_new(&c.x, &sx);
    if (!s)
        s = md_new(&c.w, &sw);
    if (!s)
        s = md_new(&c.y, &sy);
    if (!s && spec->bias && !(s = md_new(&c.bias, &sb)))
        c.bias_or_null = ref(&c.bias);
    const int saved = alone();
    if (!s)
        s = conv_make(&c, out);
    as_before(saved);
    md_free(&c.x);
    md_free(&c.w);
    md_free(&c.y);
    if (c.bias_or_null)
        md_free(&c.bias);
    return s ? failed(err, "convolution", s) : CM_OK;
}

cm_status cm_dnnl_matmul(const cm_dnnl_matmul_spec *spec, cm_dnnl *out, cm_error *err)
{
    enum { A, B, BIAS, Y, N };
    static const int arg[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
    const cm_type row = CM_TYPE(CM_F32, 1, spec->y->dim[spec->y->rank - 1]);
    const shape shapes[] = {matrix_shape(spec->a, spec->ta), matrix_shape(spec->b, spec->tb),
                            matrix_shape(&row, 0), matrix_shape(spec->y, 0)};
    dnnl_memory_desc_t md[N] = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    memset(out, 0, sizeof *out);
    const int saved = alone();
    dnnl_status_t s = make_attr(&attr);
    if (!s && spec->residual)
        s = append_post_ops(attr, 1, 0);
    for (int i = 0; i < N && !s; i++)
        s = md_new(&md[i], &shapes[i]);
    if (!s)
        s = matmul_pd(&md[A], &md[B], spec->bias ? ref(&md[BIAS]) : NULL, &md[Y], attr, &pd);
    if (!s)
        s = make_primitive(pd, out);
    for (int i = 0; i < N && !s; i++)
        if (i != BIAS || spec->bias)
            s = add_arg(out, arg[i], ref(&md[i]));
    as_before(saved);
    for (int i = 0; i < N; i++)
        md_free(&md[i]);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s ? failed(err, "matmul", s) : CM_OK;
}

static cm_status reorder(md_ref from, md_ref to, cm_dnnl *out, cm_error *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    memset(out, 0, sizeof *out);
    const int saved = alone();
    dnnl_status_t s = make_attr(&attr);
    if (!s)
        s = dnnl_reorder_primitive_desc_create(&pd, from, engine(), to, engine(), attr);
    if (!s)
        s = make_primitive(pd, out);
    if (!s)
        s = add_arg(out, DNNL_ARG_FROM, from);
    if (!s)
        s = add_arg(out, DNNL_ARG_TO, to);
    as_before(saved);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s ? failed(err, "reorder", s) : CM_OK;
}

static cm_status reorder_weights(const cm_dnnl *of, const cm_type *w, int pack, cm_dnnl *out,
                                 cm_error *err)
{
    const shape s = dense_shape(4, w->dim, CM_F32);
    dnnl_memory_desc_t plain = {0};
    const dnnl_status_t made = md_new(&plain, &s);
    memset(out, 0, sizeof *out);
    if (made)
        return failed(err, "reorder", made);
    const md_ref chosen = ref(&of->weights);
    const cm_status status =
        pack ? reorder(ref(&plain), chosen, out, err) : reorder(chosen, ref(&plain), out, err);
    md_free(&plain);
    return status;
}

cm_status cm_dnnl_pack(const cm_dnnl *of, const cm_type *w, cm_dnnl *out, cm_error *err)
{
    return reorder_weights(of, w, 1, out, err);
}

cm_status cm_dnnl_unpack(const cm_dnnl *of, const cm_type *w, cm_dnnl *out, cm_error *err)
{
    return reorder_weights(of, w, 0, out, err);
}

int cm_dnnl_same_weights(const cm_dnnl *a, const cm_dnnl *b)
{
    return dnnl_memory_desc_equal(ref(&a->weights), ref(&b->weights));
}

void cm_dnnl_run(const cm_dnnl *d, const void *const *memory, void *scratch)
{
    const int saved = alone();
    for (int i = 0; i < d->n; i++) {
        union {
            const void *in;
            void *out;
        } u = {i == d->scratch ? scratch : memory[i - (d->scratch == 0)]};
        dnnl_memory_set_data_handle(d->arg[i].memory, u.out);
    }
    cm_assert(dnnl_primitive_execute(d->primitive, d->stream, d->n, d->arg) == dnnl_success);
    dnnl_stream_wait(d->stream);
    as_before(saved);
}

void cm_dnnl_release(cm_dnnl *d)
{
    for (int i = 0; i < d->n; i++)
        dnnl_memory_destroy(d->arg[i].memory);
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->primitive)
        dnnl_primitive_destroy(d->primitive);
    md_free(&d->weights);
    memset(d, 0, sizeof *d);
}
