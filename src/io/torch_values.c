/* torch_values.c - the whitelist of PyTorch's pickles */
#include "io/torch_values.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef cm_pv (*make_fn)(cm_pv_values *v, cm_pv args, cm_why *why);
static cm_pv make_dict(cm_pv_values *v, cm_pv args, cm_why *why);
static cm_pv make_tensor(cm_pv_values *v, cm_pv args, cm_why *why);
static cm_pv make_parameter(cm_pv_values *v, cm_pv args, cm_why *why);

/* A function has make; a class of storages has the type of their elements. */
static const struct global {
    const char *module, *name;
    make_fn make;
    cm_st_dtype dtype;
} globals[] = {
    {"collections", "OrderedDict", make_dict, CM_ST_BOOL},
    {"torch._utils", "_rebuild_tensor", make_tensor, CM_ST_BOOL}, /* before 0.4 */
    {"torch._utils", "_rebuild_tensor_v2", make_tensor, CM_ST_BOOL},
    {"torch._utils", "_rebuild_parameter", make_parameter, CM_ST_BOOL},
    {"torch", "DoubleStorage", NULL, CM_ST_F64},
    {"torch", "FloatStorage", NULL, CM_ST_F32},
    {"torch", "HalfStorage", NULL, CM_ST_F16},
    {"torch", "BFloat16Storage", NULL, CM_ST_BF16},
    {"torch", "LongStorage", NULL, CM_ST_I64},
    {"torch", "IntStorage", NULL, CM_ST_I32},
    {"torch", "ShortStorage", NULL, CM_ST_I16},
    {"torch", "CharStorage", NULL, CM_ST_I8},
    {"torch", "ByteStorage", NULL, CM_ST_U8},
    {"torch", "BoolStorage", NULL, CM_ST_BOOL},
};

enum { GLOBALS = sizeof globals / sizeof *globals };

__attribute__((format(printf, 2, 3))) static cm_pv refuse(cm_why *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    why->status = CM_ERR_FORMAT;
    return 0;
}

/* "nothing" where there is no such value. */
static const char *kind_name(const cm_pv_values *v, cm_pv x)
{
    return x ? cm_pv_kind_name(cm_pv_kind_of(v, x)) : "nothing";
}

static int is(const cm_pv_values *v, cm_pv x, cm_pv_kind kind)
{
    return x && cm_pv_kind_of(v, x) == kind;
}

cm_pv cm_torch_global(cm_pv_values *v, const char *module, const char *name, cm_why *why)
{
    char shown[2][128];
    for (uint32_t i = 0; i < GLOBALS; i++)
        if (!strcmp(module, globals[i].module) && !strcmp(name, globals[i].name))
            return cm_pv_made(v, CM_PV_GLOBAL, i, 0, 0);
    return refuse(why,
                  "expected a function or class that tensors need, found %s.%s (a state dict, "
                  "saved by torch.save, has none; nothing was run)",
                  cm_escape(shown[0], sizeof shown[0], module),
                  cm_escape(shown[1], sizeof shown[1], name));
}

cm_pv cm_torch_reduce(cm_pv_values *v, cm_pv function, cm_pv args, cm_why *why)
{
    if (!is(v, function, CM_PV_GLOBAL) || !is(v, args, CM_PV_TUPLE))
        return refuse(why, "expected a function and a tuple, found %s and %s",
                      kind_name(v, function), kind_name(v, args));
    const struct global *g = &globals[cm_pv_number(v, function)];
    if (!g->make)
        return refuse(why, "expected a function, found the class %s.%s", g->module, g->name);
    return g->make(v, args, why);
}

/* Pairs are only given by other programs; PyTorch adds them afterwards. */
static cm_pv make_dict(cm_pv_values *v, cm_pv args, cm_why *why)
{
    if (cm_pv_size(v, args))
        return refuse(why, "OrderedDict: expected no arguments, found %u", cm_pv_size(v, args));
    return cm_pv_new(v, CM_PV_DICT);
}

/* (tensor, requires_grad, hooks) */
static cm_pv make_parameter(cm_pv_values *v, cm_pv args, cm_why *why)
{
    const cm_pv tensor = cm_pv_item(v, args, 0);
    if (cm_pv_size(v, args) != 3 || !is(v, tensor, CM_PV_TENSOR))
        return refuse(why, "_rebuild_parameter: expected a tensor and two more, found %s of %u",
                      kind_name(v, tensor), cm_pv_size(v, args));
    return tensor;
}

/* ---- storages --------------------------------------------------------------- */

cm_pv cm_torch_persistent(cm_pv_values *v, cm_pv id, cm_why *why)
{
    if (!is(v, id, CM_PV_TUPLE) || cm_pv_size(v, id) < 5 || cm_pv_size(v, id) > 6)
        return refuse(why, "persistent id: expected a tuple of 5, found %s", kind_name(v, id));
    const cm_pv what = cm_pv_item(v, id, 0), class = cm_pv_item(v, id, 1);
    const cm_pv key = cm_pv_item(v, id, 2), elements = cm_pv_item(v, id, 4);
    const cm_pv view = cm_pv_item(v, id, 5);
    if (!is(v, what, CM_PV_TEXT) || strcmp(cm_pv_as_text(v, what), "storage") != 0)
        return refuse(why, "persistent id: expected \"storage\", found something else");
    if (!is(v, class, CM_PV_GLOBAL) || globals[cm_pv_number(v, class)].make)
        return refuse(why, "storage: expected a class of storages, found %s", kind_name(v, class));
    if (!is(v, key, CM_PV_TEXT))
        return refuse(why, "storage: key: expected text, found %s", kind_name(v, key));
    if (!is(v, elements, CM_PV_INT) || cm_pv_as_integer(v, elements) < 0 ||
        cm_pv_as_integer(v, elements) > CM_ST_MAX_INTEGER)
        return refuse(why, "storage: elements: expected an integer from 0 to 2^48-1, found %s",
                      is(v, elements, CM_PV_INT) ? "another" : kind_name(v, elements));
    if (view && !is(v, view, CM_PV_NONE))
        return refuse(why, "storage: expected one of its own, found a view of another");
    return cm_pv_made(v, CM_PV_STORAGE, cm_pv_number(v, class), key, elements);
}

cm_torch_storage cm_torch_storage_of(const cm_pv_values *v, cm_pv storage)
{
    return (cm_torch_storage){.key = cm_pv_as_text(v, cm_pv_b(v, storage)),
                              .dtype = globals[cm_pv_number(v, storage)].dtype,
                              .elements = cm_pv_as_integer(v, cm_pv_c(v, storage))};
}

/* ---- tensors ---------------------------------------------------------------- */

/* A tuple of at most CM_ST_MAX_RANK integers from 0 on to list; returns how many, or -1. */
static int read_integers(const cm_pv_values *v, cm_pv tuple, int64_t *list)
{
    int n = 0;
    if (!is(v, tuple, CM_PV_TUPLE) || cm_pv_size(v, tuple) > CM_ST_MAX_RANK)
        return -1;
    for (cm_pv cell = cm_pv_first(v, tuple); cell; cell = cm_pv_next(v, cell)) {
        const cm_pv x = cm_pv_value(v, cell);
        if (!is(v, x, CM_PV_INT) || cm_pv_as_integer(v, x) < 0 ||
            cm_pv_as_integer(v, x) > CM_ST_MAX_INTEGER)
            return -1;
        list[n++] = cm_pv_as_integer(v, x);
    }
    return n;
}

/* Whether every element is inside the storage, and there are no more than it has: so no stride
 * of zero makes much of little.  Last element: offset + sum (dim - 1) stride. */
static int fits(const cm_torch_tensor *t)
{
    int64_t last = t->offset, step, count;
    uint64_t bytes;
    if (cm_st_shape_bytes(t->storage.dtype, t->rank, t->dim, &count, &bytes) ||
        t->offset > t->storage.elements || count > t->storage.elements)
        return 0;
    if (!count)
        return 1;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(t->dim[i] - 1, t->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return 0;
    return last < t->storage.elements;
}

/* (storage, offset, sizes, strides), in version 2 with requires_grad, hooks, and now and then
 * a dict that says conjugate or negative: of these nothing must be left to do. */
static cm_pv make_tensor(cm_pv_values *v, cm_pv args, cm_why *why)
{
    const uint32_t n = cm_pv_size(v, args);
    const cm_pv storage = cm_pv_item(v, args, 0), offset = cm_pv_item(v, args, 1);
    const cm_pv hooks = cm_pv_item(v, args, 5), more = cm_pv_item(v, args, 6);
    cm_torch_tensor t = {.offset = -1};
    if (!is(v, storage, CM_PV_STORAGE))
        return refuse(why, "tensor: expected a storage, found %s", kind_name(v, storage));
    if (n < 4 || n > 7 || (hooks && (!is(v, hooks, CM_PV_DICT) || cm_pv_size(v, hooks))) ||
        (more && !is(v, more, CM_PV_NONE) && (!is(v, more, CM_PV_DICT) || cm_pv_size(v, more))))
        return refuse(why, "tensor: expected a plain one, found hooks or other properties");
    if (is(v, offset, CM_PV_INT))
        t.offset = cm_pv_as_integer(v, offset);
    t.storage = cm_torch_storage_of(v, storage);
    t.rank = read_integers(v, cm_pv_item(v, args, 2), t.dim);
    if (t.offset < 0 || t.rank < 0 || read_integers(v, cm_pv_item(v, args, 3), t.stride) != t.rank)
        return refuse(why,
                      "tensor: expected an offset, and as many sizes as strides (at most %d), all "
                      "from 0 on, found others",
                      (int)CM_ST_MAX_RANK);
    if (!fits(&t))
        return refuse(why,
                      "tensor: expected its elements inside a storage of %lld and no more than "
                      "these, found sizes and strides that lead out",
                      (long long)t.storage.elements);
    return cm_pv_made(v, CM_PV_TENSOR, 0, storage, args);
}

void cm_torch_tensor_of(const cm_pv_values *v, cm_pv tensor, cm_torch_tensor *t)
{
    const cm_pv args = cm_pv_c(v, tensor);
    t->storage = cm_torch_storage_of(v, cm_pv_b(v, tensor));
    t->offset = cm_pv_as_integer(v, cm_pv_item(v, args, 1));
    t->rank = read_integers(v, cm_pv_item(v, args, 2), t->dim);
    read_integers(v, cm_pv_item(v, args, 3), t->stride);
}
