/* network.c - configurations of denoising networks from and to JSON; building them */
#include "nn/network.h"

#include "io/json.h"

#include <string.h>

#define X(name) &cm_arch_##name,
static const cm_arch *const archs[] = {CM_ARCH_LIST(X)};
#undef X
enum { ARCHS = sizeof archs / sizeof *archs, MAX_KEYS = 64 };

const cm_arch *cm_arch_find(const char *name)
{
    for (int i = 0; i < ARCHS; i++)
        if (!strcmp(archs[i]->name, name))
            return archs[i];
    return NULL;
}

/* ---- from JSON ---- */

static cm_status read_arch(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    const char *type = "adm";
    char found[64], known[128] = "";
    const cm_status s = cm_json_text(j, file, "type", CM_JSON_OPTIONAL, &type, err);
    if (s || (c->arch = cm_arch_find(type)))
        return s;
    for (int i = 0; i < ARCHS; i++) {
        const size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", archs[i]->name);
    }
    return cm_fail(err, CM_ERR_FORMAT, "%s: \"type\": expected one of %s, found \"%s\"", file,
                   known, cm_escape(found, sizeof found, type));
}

static cm_status read_time_input(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    const char *name = "log250";
    char found[64];
    const cm_status s = cm_json_text(j, file, "time_input", CM_JSON_OPTIONAL, &name, err);
    if (s || (c->time_input = cm_time_input_find(name)))
        return s;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: \"time_input\": expected log250, log, trig or flow, found \"%s\"", file,
                   cm_escape(found, sizeof found, name));
}

static cm_status read_size(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    const int square = json_object_get(j, "image_size") != NULL;
    int64_t h = 0, w = 0;
    if (square && (json_object_get(j, "image_height") || json_object_get(j, "image_width")))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"image_size\": expected it alone, found \"image_height\" or "
                       "\"image_width\" too",
                       file);
    cm_status s = cm_json_int(j, file, square ? "image_size" : "image_height", 1, CM_MAX_SIDE,
                              CM_JSON_REQUIRED, &h, err);
    w = h;
    if (!s && !square)
        s = cm_json_int(j, file, "image_width", 1, CM_MAX_SIDE, CM_JSON_REQUIRED, &w, err);
    c->height = (int)h;
    c->width = (int)w;
    return s;
}

static cm_status read_channels(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    int64_t in = 0, out = 0;
    cm_status s = cm_json_int(j, file, "in_channels", 1, 4096, CM_JSON_REQUIRED, &in, err);
    if (!s)
        s = cm_json_int(j, file, "out_channels", 1, 4096, CM_JSON_REQUIRED, &out, err);
    c->in_channels = (int)in;
    c->out_channels = (int)out;
    if (!s && in != out && !c->arch->channels_differ)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"out_channels\": expected the \"in_channels\", %d, found %d (type %s "
                       "gives what it takes)",
                       file, c->in_channels, c->out_channels, c->arch->name);
    return s;
}

/* The keys of every network, and of this architecture. */
static cm_status check_keys(const json_t *json, const char *file, const cm_arch *arch,
                            cm_error *err)
{
    static const char *const common[] = {"type",        "image_size",  "image_height",
                                         "image_width", "in_channels", "out_channels",
                                         "num_classes", "time_input",  "dropout"};
    const char *keys[MAX_KEYS];
    int n = 0;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        keys[n++] = common[i];
    for (int i = 0; arch->keys[i] && n + 1 < MAX_KEYS; i++)
        keys[n++] = arch->keys[i];
    keys[n] = NULL;
    json_t *copy = json_copy((json_t *)(uintptr_t)json);
    const cm_status s = copy ? cm_json_only(copy, file, keys, err)
                             : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", file);
    json_decref(copy);
    return s;
}

cm_status cm_net_config_from_json(const json_t *json, const char *file, cm_net_config *config,
                                  cm_error *err)
{
    cm_net_config c = {0};
    cm_status s;
    if ((s = read_arch(json, file, &c, err)) || (s = check_keys(json, file, c.arch, err)) ||
        (s = read_size(json, file, &c, err)) || (s = read_channels(json, file, &c, err)) ||
        (s = cm_json_int_or_none(json, file, "num_classes", 1000000, &c.num_classes, err)) ||
        (s = read_time_input(json, file, &c, err)) ||
        (s = cm_json_real(json, file, "dropout", 0.0, 0.99, CM_JSON_OPTIONAL, &c.dropout, err)) ||
        (s = c.arch->parse(json, file, &c, err)))
        return s;
    *config = c;
    return CM_OK;
}

/* ---- to JSON ---- */

static int print_common(const cm_net_config *c, json_t *j)
{
    int bad = json_object_set_new(j, "type", json_string(c->arch->name));
    if (c->height == c->width)
        bad |= json_object_set_new(j, "image_size", json_integer(c->height));
    else {
        bad |= json_object_set_new(j, "image_height", json_integer(c->height));
        bad |= json_object_set_new(j, "image_width", json_integer(c->width));
    }
    bad |= json_object_set_new(j, "in_channels", json_integer(c->in_channels));
    bad |= json_object_set_new(j, "out_channels", json_integer(c->out_channels));
    bad |= json_object_set_new(j, "num_classes",
                               c->num_classes ? json_integer(c->num_classes) : json_null());
    if (c->time_input != &cm_time_log250) /* which other readers of the file take for granted */
        bad |= json_object_set_new(j, "time_input", json_string(c->time_input->name));
    return bad;
}

json_t *cm_net_config_to_json(const cm_net_config *c)
{
    json_t *j = json_object();
    if (!print_common(c, j) && !c->arch->print(c, j) &&
        !json_object_set_new(j, "dropout", json_real(c->dropout)))
        return j;
    json_decref(j);
    return NULL;
}

cm_status cm_net_config_compare(const cm_net_config *a, const cm_net_config *b, int *equal,
                                cm_error *err)
{
    json_t *x = cm_net_config_to_json(a), *y = cm_net_config_to_json(b);
    const cm_status s = x && y ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "network: out of memory");
    json_object_del(x, "dropout");
    json_object_del(y, "dropout");
    *equal = !s && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return s;
}

/* ---- building ---- */

static void declare(cm_net *net, const void *user)
{
    const cm_net_config *c = user;
    cm_graph *g = net->g;
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 1, c->height, c->width, c->in_channels));
    cm_node *tau = cm_input(g, "tau", CM_TYPE(CM_F32, 1));
    cm_node *y = c->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, 1)) : NULL;
    cm_net_apply(net, c, x, tau, y);
}

cm_status cm_net_params_new(const cm_net_config *config, cm_params **params, cm_error *err)
{
    return cm_params_new(declare, config, params, err);
}

cm_node *cm_net_apply(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *tau,
                      cm_node *y)
{
    cm_net_restart(net);
    cm_node *f = config->arch->build(net, config, x, tau, y);
    cm_graph_end_segment(net->g);
    return f;
}
