/* golden_network.h - load a golden network and its inputs, and lay images out as ours */
#ifndef CM_TESTS_GOLDEN_NETWORK_H
#define CM_TESTS_GOLDEN_NETWORK_H

#include "check.h"
#include "golden_weights.h"

#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "io/json.h"
#include "nn/network.h"

typedef struct network {
    cm_net_config config;
    cm_params *params;
    float *flat;
} network;

static inline cm_st_file *network_open(const char *file)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    if (cm_st_open(check_golden(file), &f, &err)) {
        printf("FAIL %s\n0 passed, 1 failed, 0 skipped\n", err.message);
        exit(EXIT_FAILURE);
    }
    return f;
}

/* The values of a tensor as f32; *count may be NULL. */
static inline float *network_read(const cm_st_file *f, const char *name, int64_t *count)
{
    cm_error err = {0};
    const cm_st_tensor *t = cm_st_find(f, name);
    if (!CHECK(t, "%s: no tensor %s", cm_st_path(f), name))
        exit(EXIT_FAILURE);
    const int64_t n = cm_st_elements(t);
    float *v = cm_alloc_array((size_t)n, sizeof *v);
    CHECK_OK(cm_st_read_f32(f, t, v, &err), err);
    if (count)
        *count = n;
    return v;
}

/* The first values of some weights, written down by the reference. */
static inline void network_check_weights(const cm_st_file *f, const cm_params *params,
                                         const float *flat)
{
    int checked = 0;
    for (int i = 0; i < cm_params_size(params); i++) {
        const cm_param *p = cm_params_at(params, i);
        char key[300];
        int64_t n;
        snprintf(key, sizeof key, "check.%s", p->name);
        if (!cm_st_find(f, key))
            continue;
        float *want = network_read(f, key, &n);
        for (int64_t k = 0; k < n; k++)
            CHECK(flat[p->offset + (size_t)k] == want[k], "%s[%d] = %.9g, want %.9g", p->name,
                  (int)k, (double)flat[p->offset + (size_t)k], (double)want[k]);
        cm_free(want);
        checked++;
    }
    CHECK(checked == 2, "%s: weights of %d parameters checked, expected 2", cm_st_path(f), checked);
}

/* The network that the metadata of a golden describes, its weights by the formula. */
static inline network network_load(const char *io_file, formula_role role)
{
    network n = {0};
    cm_error err = {0};
    cm_st_file *f = network_open(io_file);
    json_t *json = NULL;
    const char *text = cm_st_metadata(f, "config");
    CHECK_OK(cm_json_parse(text, strlen(text), io_file, &json, &err), err);
    CHECK_OK(cm_net_config_from_json(json, io_file, &n.config, &err), err);
    json_decref(json);
    CHECK_OK(cm_net_params_new(&n.config, &n.params, &err), err);
    n.flat = cm_alloc_array(cm_params_floats(n.params), sizeof(float));
    formula_fill(n.params, role, n.flat);
    if (role == FORMULA_STUDENT)
        network_check_weights(f, n.params, n.flat);
    cm_st_close(f);
    return n;
}

/* Its weights as a file, as other programs write them. */
static inline void network_write(const network *n, const char *path)
{
    cm_error err = {0};
    const int size = cm_params_size(n->params);
    cm_st_entry *entries = cm_alloc_array((size_t)size, sizeof *entries);
    cm_params_entries(n->params, n->flat, entries);
    json_t *json = cm_net_config_to_json(&n->config);
    char *text = json_dumps(json, JSON_COMPACT);
    const char *const key = "config", *const value = text;
    CHECK_OK(cm_st_write(path, size, entries, 1, &key, &value, &err), err);
    free(text);
    json_decref(json);
    cm_free(entries);
}

static inline void network_free(network *n)
{
    cm_params_free(n->params);
    cm_free(n->flat);
}

/* [N,C,H,W] -> [N,H,W,C], or back */
static inline void network_layout(int to_nhwc, int64_t n, int64_t h, int64_t w, int64_t c,
                                  const float *from, float *to)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t p = 0; p < h * w; p++) {
                const int64_t nchw = (i * c + k) * h * w + p, nhwc = (i * h * w + p) * c + k;
                if (to_nhwc)
                    to[nhwc] = from[nchw];
                else
                    to[nchw] = from[nhwc];
            }
}

static inline float *network_images(const cm_st_file *f, const char *name)
{
    const cm_st_tensor *t = cm_st_find(f, name);
    float *nchw = network_read(f, name, NULL);
    float *nhwc = cm_alloc_array((size_t)cm_st_elements(t), sizeof *nhwc);
    network_layout(1, t->dim[0], t->dim[2], t->dim[3], t->dim[1], nchw, nhwc);
    cm_free(nchw);
    return nhwc;
}

/* max |got - want| / max |want| */
static inline double network_error(const float *got, const float *want, int64_t n)
{
    double worst = 0.0, scale = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        worst = d > worst || d != d ? d : worst;
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    }
    return worst / scale;
}

#endif
