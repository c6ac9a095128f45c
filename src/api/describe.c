/* describe.c - cm_describe: what is in a model, a run folder or any file of tensors.  It is
 * one JSON object, which is printed as it is for machines and as lines for people. */
#include "api/door.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "io/json.h"
#include "io/weights_file.h"
#include "model/compute.h"
#include "model/released.h"
#include "nn/features/features.h"
#include "run/resolve.h"
#include "sample/session.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void cm_string_free(char *text)
{
    cm_free(text);
}

/* ---- the object: *bad becomes non-zero without memory ---------------------- */

/* Text of a file, which need not be UTF-8. */
static json_t *text_value(const char *text)
{
    char escaped[512];
    return json_string(cm_utf8_ok(text) ? text : cm_escape(escaped, sizeof escaped, text));
}

/* JSON of the metadata; where it is none, as it is. */
static json_t *parsed(const char *text)
{
    json_t *value = NULL;
    const cm_status s = cm_json_parse_any(text, strlen(text), "metadata", &value, NULL);
    return !s ? value : s == CM_ERR_MEMORY ? NULL : text_value(text);
}

static void add_noise(json_t *o, const cm_model *m, int *bad)
{
    const cm_noise_schedule *s = &m->schedule;
    json_t *noise = json_object();
    *bad |= json_object_set_new(o, "boundary", json_string(m->precondition->name));
    *bad |= json_object_set_new(noise, "sigma-min", json_real(s->sigma_min));
    *bad |= json_object_set_new(noise, "sigma-max", json_real(s->sigma_max));
    *bad |= json_object_set_new(noise, "sigma-data", json_real(s->sigma_data));
    *bad |= json_object_set_new(noise, "rho", json_real(s->rho));
    *bad |= json_object_set_new(noise, "levels",
                                m->scales ? json_integer(m->scales) : json_string("any"));
    if (m->steps)
        *bad |= json_object_set_new(o, "steps", json_integer(m->steps));
    *bad |= json_object_set_new(o, "noise", noise);
}

static void add_verdicts(json_t *o, const cm_model *m, int *bad)
{
    *bad |= json_object_set_new(o, "score", json_string(m->score));
    *bad |= json_object_set_new(o, "features", json_integer(cm_classifier_dims(&m->net).features));
    if (m->accuracy >= 0.0)
        *bad |= json_object_set_new(o, "accuracy", json_real(m->accuracy));
}

/* What sampling takes with the defaults, one image and a batch of them.  Where this machine
 * cannot run the network, why is told in their place. */
static void add_prepared(json_t *o, const cm_model *m, int *bad)
{
    const int batches[] = {1, (int)cm_sample_default_params().batch};
    const int threads = cm_threads_resolve(0);
    json_t *prepared = json_object();
    cm_dtype dtype = CM_F32;
    cm_error err = {CM_OK, ""};
    cm_dtype_resolve("auto", &dtype, NULL);
    *bad |= json_object_set_new(prepared, "dtype", json_string(cm_dtype_name(dtype)));
    *bad |= json_object_set_new(prepared, "threads", json_integer(threads));
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        char name[32];
        cm_session_needs needs;
        json_t *batch = NULL;
        snprintf(name, sizeof name, "batch-%d", batches[i]);
        const cm_status status = cm_session_needs_of(m, batches[i], dtype, threads, &needs, &err);
        if (status)
            batch = status == CM_ERR_MEMORY ? NULL : text_value(err.message);
        else
            batch = json_pack("{s:i, s:I, s:I}", "micro-batch", needs.micro, "packed-bytes",
                              (json_int_t)needs.packed, "bytes", (json_int_t)needs.bytes);
        *bad |= json_object_set_new(prepared, name, batch);
    }
    *bad |= json_object_set_new(o, "prepared", prepared);
}

static void add_model(json_t *o, const cm_model *m, int *bad)
{
    const cm_net_config *n = &m->net;
    char images[96];
    snprintf(images, sizeof images, "%dx%d, %d channel%s", n->width, n->height, n->out_channels,
             n->out_channels == 1 ? "" : "s");
    *bad |= json_object_set_new(o, "kind", json_string(cm_model_kind(m)));
    *bad |= json_object_set_new(o, "images", json_string(images));
    *bad |= json_object_set_new(o, "classes", json_integer(n->num_classes));
    if (m->classes)
        *bad |= json_object_set_new(o, "class-names", parsed(m->classes));
    *bad |= json_object_set_new(o, "parameters", json_integer(cm_params_count(m->params)));
    *bad |= json_object_set_new(o, "tensors", json_integer(cm_params_size(m->params)));
    cm_model_is_classifier(m) ? add_verdicts(o, m, bad) : add_noise(o, m, bad);
    *bad |= json_object_set_new(o, "network", cm_net_config_to_json(n));
    if (!cm_model_is_classifier(m))
        add_prepared(o, m, bad);
    if (m->edits)
        *bad |= json_object_set_new(o, "edits", parsed(m->edits));
    if (m->sampling)
        *bad |= json_object_set_new(o, "sampling", parsed(m->sampling));
    if (m->training)
        *bad |= json_object_set_new(o, "training", parsed(m->training));
}

static void add_tensors(json_t *o, const cm_st_file *file, int *bad)
{
    const char *key, *value;
    json_t *metadata = json_object(), *tensors = json_array();
    for (int i = 0; !cm_st_metadata_at(file, i, &key, &value); i++)
        *bad |= json_object_set_new(metadata, key, text_value(value));
    for (int i = 0; i < cm_st_count(file); i++) {
        const cm_st_tensor *t = cm_st_at(file, i);
        json_t *tensor = json_object(), *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            *bad |= json_array_append_new(shape, json_integer(t->dim[k]));
        *bad |= json_object_set_new(tensor, "name", text_value(t->name));
        *bad |= json_object_set_new(tensor, "dtype", json_string(cm_st_dtype_name(t->dtype)));
        *bad |= json_object_set_new(tensor, "shape", shape);
        *bad |= json_array_append_new(tensors, tensor);
    }
    *bad |= json_object_set_new(o, "metadata", metadata);
    *bad |= json_object_set_new(o, "tensors", tensors);
}

static cm_status describe_file(json_t *o, const char *path, int *bad, cm_error *err)
{
    cm_st_file *file = NULL;
    cm_model *m = NULL;
    int torch = 0;
    cm_status s = cm_weights_open(path, &file, &torch, err);
    if (s)
        return s;
    if (torch ? cm_released_is(path) : !!cm_st_metadata(file, "model")) {
        s = cm_model_read(path, NULL, &m, err);
        if (!s)
            add_model(o, m, bad);
        cm_model_release(m);
    } else
        add_tensors(o, file, bad);
    cm_st_close(file);
    return s;
}

static cm_status describe_run(json_t *o, const char *run, int *bad, cm_error *err)
{
    char folder[CM_RUN_PATH], note[512];
    cm_model *m = NULL;
    const cm_status s = cm_run_open_newest(run, &m, folder, note, sizeof note, err);
    if (s)
        return s;
    *bad |= json_object_set_new(o, "checkpoint", text_value(folder));
    if (note[0])
        *bad |= json_object_set_new(o, "note", text_value(note));
    add_model(o, m, bad);
    cm_model_release(m);
    return CM_OK;
}

/* ---- for people ---------------------------------------------------------- */

/* 80, not 8e+01 */
static const char *real_text(char buf[CM_REAL_TEXT], double value)
{
    if (fabs(value) >= 1e9 || value != floor(value))
        return cm_text_from_real(buf, value);
    snprintf(buf, CM_REAL_TEXT, "%.0f", value);
    return buf;
}

static void print_value(FILE *f, const json_t *value)
{
    char number[CM_REAL_TEXT];
    if (json_is_string(value))
        cm_print_escaped(f, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        fputs(real_text(number, json_real_value(value)), f);
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", f);
    else if (json_is_null(value))
        fputs("none", f);
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        fputs(i ? ", " : "", f);
        print_value(f, json_array_get(value, i));
    }
}

/* The first names of a list, from column `left` on, and how many more there are. */
static void print_names(FILE *f, const json_t *list, int left)
{
    enum { most = 20, width = 79 };
    const size_t n = json_array_size(list);
    char name[256], more[64];
    int at = left;
    for (size_t i = 0; i < n && i <= most; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        snprintf(more, sizeof more, "and %zu more (--json has all)", n - most);
        const char *item = i == most ? more : cm_escape(name, sizeof name, text ? text : "?");
        const int needs = cm_utf8_width(item) + 2; /* ", " */
        if (i && at + needs > width) {
            fprintf(f, ",\n%*s", left, "");
            at = left;
        } else if (i)
            fputs(", ", f);
        fputs(item, f);
        at += needs;
    }
}

static void print_tensor(FILE *f, const json_t *tensor)
{
    fprintf(f, "  %-6s [", json_string_value(json_object_get(tensor, "dtype")));
    print_value(f, json_object_get(tensor, "shape"));
    fputs("] ", f);
    print_value(f, json_object_get(tensor, "name"));
    fputc('\n', f);
}

/* One setting a line; an object is indented below its name. */
static void print_lines(FILE *f, json_t *object, int indent)
{
    enum { column = 24 };
    const char *key;
    char name[256];
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const int is_list = json_is_array(value) && json_is_object(json_array_get(value, 0));
        const int is_empty = json_is_string(value) && !json_string_length(value);
        cm_escape(name, sizeof name, key);
        if (json_is_object(value) || is_list || is_empty) {
            fprintf(f, "%*s%s", indent, "", name);
        } else {
            fprintf(f, "%*s%-*s ", indent, "", column - indent, name);
            if (json_is_string(json_array_get(value, 0)))
                print_names(f, value, column + 1);
            else
                print_value(f, value);
        }
        fputc('\n', f);
        if (json_is_object(value))
            print_lines(f, value, indent + 2);
        for (size_t i = 0; is_list && i < json_array_size(value); i++)
            print_tensor(f, json_array_get(value, i));
    }
}

/* NULL: out of memory. */
static char *to_text(json_t *object)
{
    char *buffer = NULL, *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&buffer, &size);
    if (!f)
        return NULL;
    print_lines(f, object, 0);
    if (!fclose(f))
        text = cm_strdup(buffer);
    free(buffer);
    return text;
}

/* ---- both ---------------------------------------------------------------- */

static cm_status describe(const char *path, int as_json, char **text, cm_error *err)
{
    struct stat st;
    cm_status s = cm_door_text("path", path, err);
    if (!s)
        s = cm_door_need(err, {"text", text});
    if (s)
        return s;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "file", text_value(path));
    s = !stat(path, &st) && S_ISDIR(st.st_mode) ? describe_run(o, path, &bad, err)
                                                : describe_file(o, path, &bad, err);
    char *out = s || bad ? NULL : as_json ? cm_json_for_machines(o) : to_text(o);
    if (!s && !out)
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    json_decref(o);
    if (!s)
        *text = out;
    return s;
}

cm_status cm_describe(const char *path, char **text, cm_error *err)
{
    return describe(path, 0, text, err);
}

cm_status cm_describe_json(const char *path, char **text, cm_error *err)
{
    return describe(path, 1, text, err);
}
