/* test_inception.c - the Inception network of the Frechet inception distance against its
 * reference: pytorch-fid's, run on two small images; and the same from a file of weights. */
#include "feature_weights.h"

#include "cpu/cpu.h"
#include "eval/extractor.h"
#include "nn/features/inception.h"

#include <unistd.h>

enum { N = 2, SIDE = 32, PIXELS = N * SIDE * SIDE * 3 };

static cm_params *params;
static float *flat;

/* [N,H,W,C] -> [N,C] */
static cm_node *mean(cm_graph *g, cm_node *x)
{
    const cm_type t = *cm_node_type(x);
    x = cm_sum_to(g, x, CM_TYPE(CM_F32, t.dim[0], 1, 1, t.dim[3]));
    return cm_affine(g, x, 1.0f / (float)(t.dim[1] * t.dim[2]), 0.0f);
}

static void check_output(const cm_st_file *f, const char *name, cm_plan *plan, const cm_node *node)
{
    const size_t n = (size_t)cm_type_count(cm_node_type(node));
    float *values = cm_alloc_array(n, sizeof *values);
    cm_plan_read(plan, node, values);
    check_feature(f, name, values, n, 1e-4);
    cm_free(values);
}

static void test_inside(void)
{
    cm_error err = {0};
    size_t n;
    cm_plan *plan = NULL;
    cm_st_file *f = golden_open("inception.safetensors");
    double *x = golden_read(f, "x", &n);
    float pixels[PIXELS];
    for (size_t i = 0; i < PIXELS; i++)
        pixels[i] = (float)x[i];
    cm_graph *g = cm_graph_new();
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, params, buffer, CM_F32);
    cm_inception_inside inside;
    cm_node *in = cm_input(g, "pixels", CM_TYPE(CM_F32, N, SIDE, SIDE, 3));
    const cm_feature_nodes out = cm_inception_features(&net, CM_INCEPTION_PYTORCH, in, &inside);
    cm_node *outputs[] = {out.features, mean(g, inside.pool1), mean(g, inside.pool2),
                          mean(g, inside.mixed_6e)};
    if (CHECK_OK(cm_plan_compile(g, 4, outputs, cm_cpu_device(), 2, &plan, &err), err)) {
        cm_plan_bind(plan, buffer, flat);
        cm_plan_write(plan, in, pixels);
        cm_plan_run(plan);
        check_output(f, "pool3", plan, outputs[0]);
        check_output(f, "block0.mean_hw", plan, outputs[1]);
        check_output(f, "block1.mean_hw", plan, outputs[2]);
        check_output(f, "block2.mean_hw", plan, outputs[3]);
    }
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_free(x);
    cm_st_close(f);
}

/* The weights with a counter of a batch norm, which is read over, and with one tensor more. */
static void write_weights(const char *path, const char *more)
{
    static const int64_t steps = 7;
    const int n = cm_params_size(params);
    cm_error err = {0};
    cm_st_entry *e = cm_alloc_array((size_t)n + 2, sizeof *e);
    cm_params_entries(params, flat, e);
    e[n] = (cm_st_entry){"Mixed_5b.branch1x1.bn.num_batches_tracked", CM_ST_I64, 0, {0}, &steps};
    e[n + 1] = (cm_st_entry){more, CM_ST_I64, 0, {0}, &steps};
    CHECK_OK(cm_st_write(path, n + (more ? 2 : 1), e, 0, NULL, NULL, &err), err);
    cm_free(e);
}

static void test_file(void)
{
    char path[] = "/tmp/cm-test-inception-XXXXXX";
    cm_error err = {0};
    cm_extractor *e = NULL;
    size_t n;
    cm_st_file *f = golden_open("inception.safetensors");
    double *x = golden_read(f, "x", &n);
    uint8_t pixels[PIXELS], gray[SIDE * SIDE], rgb[SIDE * SIDE * 3];
    static float features[N * CM_INCEPTION_FEATURES], logits[N * CM_INCEPTION_LOGITS],
        spatial[2][CM_INCEPTION_SPATIAL];
    const int fd = mkstemp(path);
    close(fd);
    for (size_t i = 0; i < PIXELS; i++)
        pixels[i] = (uint8_t)x[i];
    for (size_t i = 0; i < sizeof rgb; i++)
        gray[i / 3] = rgb[i] = pixels[i / 3 * 3];
    write_weights(path, NULL);
    if (CHECK_OK(cm_extractor_open("inception-pytorch", path, 1, 2, &e, &err), err)) {
        CHECK_OK(cm_extractor_run(e, N, pixels, SIDE, SIDE, 3, features, NULL, logits, &err), err);
        check_feature(f, "pool3", features, N * CM_INCEPTION_FEATURES, 1e-4);
        check_feature(f, "logits_no_bias", logits, N * CM_INCEPTION_LOGITS, 1e-4);
        CHECK_OK(cm_extractor_run(e, 1, gray, SIDE, SIDE, 1, NULL, spatial[0], NULL, &err), err);
        CHECK_OK(cm_extractor_run(e, 1, rgb, SIDE, SIDE, 3, NULL, spatial[1], NULL, &err), err);
        CHECK(!memcmp(spatial[0], spatial[1], sizeof spatial[0]), "gray is not what RGB shows");
    }
    cm_extractor_close(e);
    write_weights(path, "AuxLogits.fc.bias");
    CHECK(cm_extractor_open("inception", path, 1, 1, &e, &err) == CM_ERR_FORMAT &&
              strstr(err.message, "\"AuxLogits.fc.bias\""),
          "%s", err.message);
    unlink(path);
    cm_free(x);
    cm_st_close(f);
}

int main(void)
{
    static const check_test tests[] = {{"pool3 and means of blocks", test_inside},
                                       {"pool3 and logits with weights of a file", test_file}};
    cm_error err = {0};
    if (!CHECK_OK(cm_inception_params(&params, &err), err))
        return EXIT_FAILURE;
    flat = feature_weights(params);
    const int status = check_main(tests, 2);
    cm_free(flat);
    cm_params_free(params);
    return status;
}
