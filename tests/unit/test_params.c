/* test_params.c - the parameter table serves any builder: here a small VGG, which is no
 * denoising network, with the keys and shapes of such checkpoints; and a tensor that is
 * missing, of another shape or not of the network is named. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "nn/layers.h"

typedef struct vgg {
    int side, classes;
    const int *widths; /* 0: halve the resolution; ends with -1 */
} vgg;

static const int widths[] = {8, 8, 0, 16, 0, -1};
static const vgg config = {8, 5, widths};

static cm_node *apply(cm_net *net, const vgg *v, cm_node *x)
{
    char name[32];
    int64_t side = v->side;
    int k = 0;
    cm_net_restart(net);
    for (const int *w = v->widths; *w >= 0; w++) {
        snprintf(name, sizeof name, "features.%d", k);
        k += *w ? 2 : 1; /* a convolution and its activation; a pooling */
        side /= *w ? 1 : 2;
        x = *w ? cm_silu(net->g, cm_net_conv(net, x, *w, 3, 1, 0, name))
               : cm_sumpool2(net->g, x, 0.25f);
    }
    x = CM_RESHAPE(net->g, x, cm_node_type(x)->dim[0], side * side * cm_node_type(x)->dim[3]);
    return cm_net_linear(net, x, v->classes, 0, "classifier");
}

static void declare(cm_net *net, const void *user)
{
    const vgg *v = user;
    apply(net, v, cm_input(net->g, "x", CM_TYPE(CM_F32, 1, v->side, v->side, 3)));
}

static void test_table(void)
{
    static const struct {
        const char *name;
        int rank;
        int64_t dim[4];
    } want[] = {{"features.0.weight", 4, {8, 3, 3, 3}},  {"features.0.bias", 1, {8, 1, 1, 1}},
                {"features.2.weight", 4, {8, 8, 3, 3}},  {"features.2.bias", 1, {8, 1, 1, 1}},
                {"features.5.weight", 4, {16, 8, 3, 3}}, {"features.5.bias", 1, {16, 1, 1, 1}},
                {"classifier.weight", 2, {5, 64, 1, 1}}, {"classifier.bias", 1, {5, 1, 1, 1}}};
    cm_error err = {0};
    cm_params *params = NULL;
    size_t end = 0;
    if (!CHECK_OK(cm_params_new(declare, &config, &params, &err), err))
        return;
    CHECK(cm_params_size(params) == 8, "%d parameters", cm_params_size(params));
    for (int i = 0; i < 8 && i < cm_params_size(params); i++) {
        const cm_param *p = cm_params_at(params, i);
        CHECK(!strcmp(p->name, want[i].name) && p->type.rank == want[i].rank &&
                  !memcmp(p->type.dim, want[i].dim, sizeof want[i].dim),
              "parameter %d is %s", i, p->name);
        CHECK(p->offset % 16 == 0 && p->offset >= end,
              "%s begins at %zu, the one before ends at %zu", p->name, p->offset, end);
        end = p->offset + (size_t)cm_type_count(&p->type);
        CHECK(cm_params_find(params, p->name) == p, "%s is not found", p->name);
    }
    CHECK(cm_params_floats(params) >= end, "the array ends at %zu", cm_params_floats(params));
    CHECK(!cm_params_find(params, "features.1.weight"), "a parameter of an activation");
    cm_params_free(params);
}

/* Two images alone and together, the weights shared by two uses in one graph. */
static void test_runs(void)
{
    enum { N = 2, VALUES = 8 * 8 * 3 };
    cm_error err = {0};
    cm_params *params = NULL;
    cm_plan *plan = NULL;
    float x[N * VALUES], both[N * 5], second[5];
    if (!CHECK_OK(cm_params_new(declare, &config, &params, &err), err))
        return;
    float *flat = cm_alloc_array(cm_params_floats(params), sizeof *flat);
    cm_params_init(params, 1, flat);
    for (int i = 0; i < N * VALUES; i++)
        x[i] = sinf((float)(3 * i));
    cm_graph *g = cm_graph_new();
    cm_net net = cm_net_new(g, params, cm_graph_buffer(g, "params", CM_BUFFER_CONST), CM_F32);
    cm_node *a = cm_input(g, "a", CM_TYPE(CM_F32, N, 8, 8, 3)),
            *b = cm_input(g, "b", CM_TYPE(CM_F32, 1, 8, 8, 3));
    cm_node *out[] = {apply(&net, &config, a), apply(&net, &config, b)};
    if (CHECK_OK(cm_plan_compile(g, 2, out, cm_cpu_device(), 1, &plan, &err), err)) {
        cm_plan_bind(plan, net.buffer, flat);
        cm_plan_write(plan, a, x);
        cm_plan_write(plan, b, x + VALUES);
        cm_plan_run(plan);
        cm_plan_read(plan, out[0], both);
        cm_plan_read(plan, out[1], second);
        CHECK(!memcmp(both + 5, second, sizeof second), "the second image alone: %g, beside: %g",
              (double)second[0], (double)both[5]);
        CHECK(memcmp(both, both + 5, sizeof second), "both images give the same");
    }
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_free(flat);
    cm_params_free(params);
}

/* A file of these parameters, but for what `change` does to the entry of one. */
static void check_file(const cm_params *params, int which, void (*change)(cm_st_entry *e),
                       const char *message)
{
    cm_error err = {0};
    cm_st_file *file = NULL;
    const int n = cm_params_size(params);
    float *flat = cm_alloc_array(cm_params_floats(params), sizeof *flat),
          *read = cm_alloc_array(cm_params_floats(params), sizeof *read);
    cm_st_entry *entries = cm_alloc_array((size_t)n, sizeof *entries);
    cm_params_init(params, 1, flat);
    cm_params_entries(params, flat, entries);
    if (change)
        change(&entries[which]);
    const char *path = in_dir("vgg.safetensors");
    CHECK_OK(cm_st_write(path, n, entries, 0, NULL, NULL, &err), err);
    CHECK_OK(cm_st_open(path, &file, &err), err);
    const cm_status s = cm_params_load(params, file, read, &err);
    if (change)
        CHECK(s == CM_ERR_FORMAT && strstr(err.message, message), "%s", err.message);
    else
        CHECK(!s && !memcmp(flat, read, cm_params_floats(params) * sizeof *flat), "%s",
              err.message);
    cm_st_close(file);
    cm_free(entries);
    cm_free(flat);
    cm_free(read);
}

static void other_name(cm_st_entry *e)
{
    e->name = "features.9.weight";
}

static void other_shape(cm_st_entry *e)
{
    e->dim[0] = 16;
    e->dim[1] = 4;
}

static void test_files(void)
{
    cm_error err = {0};
    cm_params *params = NULL;
    if (!CHECK_OK(cm_params_new(declare, &config, &params, &err), err))
        return;
    check_file(params, 0, NULL, "");
    check_file(
        params, 2, other_name,
        "missing: 1 \"features.2.weight\"; not part of it: 1 \"features.9.weight\"; of another "
        "shape: 0");
    check_file(params, 2, other_shape,
               "missing: 0; not part of it: 0; of another shape: 1 \"features.2.weight\" (expected "
               "[8,8,3,3], found [16,4,3,3])");
    cm_params_free(params);
}

static const check_test tests[] = {
    {"the table of a VGG", test_table},
    {"its weights are shared", test_runs},
    {"its files", test_files},
};

SCRATCH_MAIN(tests)
