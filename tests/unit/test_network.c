/* test_network.c - configurations of networks in JSON: what is read is what was written,
 * and each mistake is named; the wrapper's D and F on the same network. */
#include "check.h"

#include "base/memory.h"
#include "consistency/denoiser.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "io/json.h"
#include "model/model.h"

#define ADM                                                                            \
    "\"in_channels\":3,\"out_channels\":3,\"model_channels\":32,\"num_res_blocks\":1," \
    "\"channel_mult\":[1,2],\"attention_resolutions\":[2],\"num_classes\":4,"          \
    "\"num_heads\":2,\"use_scale_shift_norm\":true,\"resblock_updown\":false"

#define CONVNET                                                                     \
    "{\"type\":\"convnet\",\"image_size\":15,\"in_channels\":1,\"out_channels\":1," \
    "\"model_channels\":16,\"num_blocks\":2,"

static cm_status parse(const char *text, cm_net_config *config, cm_error *err)
{
    json_t *json = NULL;
    *err = (cm_error){0};
    cm_status s = cm_json_parse(text, strlen(text), "c.json", &json, err);
    if (!s)
        s = cm_net_config_from_json(json, "c.json", config, err);
    json_decref(json);
    return s;
}

static int same(const cm_net_config *a, const cm_net_config *b)
{
    int equal = -1;
    cm_error err = {0};
    CHECK_OK(cm_net_config_compare(a, b, &equal, &err), err);
    return equal;
}

static void check_round_trip(const char *text, int height, int width, const char *time_input)
{
    cm_net_config a = {0}, b = {0};
    cm_error err = {0};
    if (!CHECK_OK(parse(text, &a, &err), err))
        return;
    CHECK(a.height == height && a.width == width && !strcmp(a.time_input->name, time_input),
          "%s: %d x %d, %s", text, a.height, a.width, a.time_input->name);
    json_t *json = cm_net_config_to_json(&a);
    char *again = json_dumps(json, JSON_COMPACT);
    CHECK_OK(parse(again, &b, &err), err);
    /* The two named apart: equality goes by what is written, so it misses what is not. */
    CHECK(same(&a, &b) && a.time_input == b.time_input && a.dropout == b.dropout, "%s became %s",
          text, again);
    b.dropout = 0.5;
    CHECK(same(&a, &b), "dropout has no weights");
    b.num_classes++;
    CHECK(!same(&a, &b), "other classes are the same");
    free(again);
    json_decref(json);
}

static void test_round_trip(void)
{
    check_round_trip("{\"image_size\":16," ADM "}", 16, 16, "log250");
    check_round_trip("{\"type\":\"adm\",\"image_height\":24,\"image_width\":16,\"dropout\":0.1," ADM
                     "}",
                     24, 16, "log250");
    check_round_trip("{\"image_size\":16,\"time_input\":\"trig\"," ADM "}", 16, 16, "trig");
    check_round_trip("{\"image_size\":16,\"time_input\":\"flow\"," ADM "}", 16, 16, "flow");
    check_round_trip("{\"type\":\"mlp\",\"image_size\":1,\"in_channels\":2,\"out_channels\":2,"
                     "\"model_channels\":16,\"num_res_blocks\":2,\"time_input\":\"log\"}",
                     1, 1, "log");
    check_round_trip("{\"type\":\"convnet\",\"image_size\":8,\"in_channels\":3,"
                     "\"out_channels\":3,\"num_classes\":4,\"model_channels\":16,"
                     "\"num_blocks\":2,\"channel_mult\":[1,2,4]}",
                     8, 8, "log250");
}

static void test_mistakes(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{\"type\":\"dit\",\"image_size\":16," ADM "}", "\"type\": expected one of adm, mlp"},
        {"{\"image_size\":16,\"time_input\":\"cubic\"," ADM "}", "\"time_input\""},
        {"{\"image_size\":16,\"depth\":3," ADM "}", "\"depth\": unknown key"},
        {"{\"image_height\":16," ADM "}", "\"image_width\""},
        {"{" ADM "}", "\"image_height\""},
        {"{\"image_size\":16,\"image_height\":8," ADM "}", "\"image_size\": expected it alone"},
        {"{\"image_size\":65536," ADM "}", "4096"},
        {"{\"image_size\":15," ADM "}", "15 x 15 cannot be halved 1 time "},
        {"{\"image_height\":16,\"image_width\":15," ADM "}", "16 x 15 cannot be halved 1 time "},
        {"{\"image_size\":16,\"in_channels\":1,\"out_channels\":3,\"model_channels\":32,"
         "\"num_res_blocks\":1,\"channel_mult\":[1],\"attention_resolutions\":[]}",
         "\"out_channels\": expected the \"in_channels\", 1, found 3"},
        {"{\"image_size\":16,\"in_channels\":1,\"out_channels\":1,\"model_channels\":32,"
         "\"num_res_blocks\":1,\"channel_mult\":[1],\"attention_resolutions\":[0]}",
         "\"attention_resolutions\"[0]"},
        {"{\"type\":\"mlp\",\"image_size\":2,\"in_channels\":2,\"out_channels\":2,"
         "\"model_channels\":16,\"num_res_blocks\":2}",
         "1 x 1"},
        {CONVNET "\"num_classes\":1,\"channel_mult\":[1]}", "\"num_classes\": expected 2 to 4096"},
        {CONVNET "\"num_classes\":9,\"channel_mult\":[]}", "\"channel_mult\": expected a list"},
        {CONVNET "\"num_classes\":9,\"channel_mult\":[1,65]}", "\"channel_mult\"[1]"},
        {CONVNET "\"num_classes\":9,\"channel_mult\":[1,1]}", "15 x 15 cannot be halved 1 time "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cm_net_config c;
        cm_error err;
        CHECK(parse(rows[i].text, &c, &err) == CM_ERR_FORMAT &&
                  strstr(err.message, rows[i].message),
              "%s\n      found '%s', expected '%s'", rows[i].text, err.message, rows[i].message);
    }
}

/* D = c_skip x + c_out F with the coefficients in double; F is the raw network at c_in x and
 * the network's own time input. */
static void check_wrapper(const char *time_input, const cm_precondition *kind, double shift)
{
    enum { N = 3, VALUES = 8 * 4 * 3 };
    static const float sigma[N] = {0.05f, 0.7f, 30.0f};
    const cm_noise_schedule schedule = CM_NOISE_SCHEDULE_DEFAULT;
    const double d = schedule.sigma_data;
    cm_error err = {0};
    cm_net_config c;
    cm_params *params = NULL;
    cm_plan *plan = NULL;
    char text[600];
    float x[N * VALUES], D[N * VALUES], F[N * VALUES], raw[N * VALUES], in[N * VALUES], tau[N];
    int32_t y[N] = {0, 3, 1};
    snprintf(text, sizeof text,
             "{\"image_height\":8,\"image_width\":4,\"time_input\":\"%s\"," ADM "}", time_input);
    if (!CHECK_OK(parse(text, &c, &err), err) ||
        !CHECK_OK(cm_net_params_new(&c, &params, &err), err))
        return;
    float *flat = cm_alloc_array(cm_params_floats(params), sizeof *flat);
    for (size_t i = 0; i < cm_params_floats(params); i++) /* the last layer begins at zero */
        flat[i] = 0.1f * sinf((float)(7 * i));
    for (int i = 0; i < N * VALUES; i++)
        x[i] = cosf((float)(3 * i));
    cm_graph *g = cm_graph_new();
    cm_net net = cm_net_new(g, params, cm_graph_buffer(g, "params", CM_BUFFER_CONST), CM_F32);
    cm_node *nx = cm_input(g, "x", CM_TYPE(CM_F32, N, 8, 4, 3)),
            *ns = cm_input(g, "sigma", CM_TYPE(CM_F32, N)),
            *ny = cm_input(g, "y", CM_TYPE(CM_I32, N)),
            *nin = cm_input(g, "in", CM_TYPE(CM_F32, N, 8, 4, 3)),
            *nt = cm_input(g, "tau", CM_TYPE(CM_F32, N));
    const cm_denoiser denoiser = {&net, &c, kind, &schedule, ny};
    const cm_denoised both = cm_denoise(&denoiser, nx, ns);
    cm_node *out[] = {both.D, both.F, cm_net_apply(&net, &c, nin, nt, ny)};
    for (int n = 0; n < N; n++) {
        const double s = (double)sigma[n];
        tau[n] = (float)(!strcmp(time_input, "trig")   ? atan(s / d)
                         : !strcmp(time_input, "flow") ? s / (1 + s)
                                                       : 250 * log(s));
        for (int i = 0; i < VALUES; i++)
            in[n * VALUES + i] = (float)((double)x[n * VALUES + i] / sqrt(s * s + d * d));
    }
    if (CHECK_OK(cm_plan_compile(g, 3, out, cm_cpu_device(), 1, &plan, &err), err)) {
        cm_plan_bind(plan, net.buffer, flat);
        cm_plan_write(plan, nx, x);
        cm_plan_write(plan, ns, sigma);
        cm_plan_write(plan, ny, y);
        cm_plan_write(plan, nin, in);
        cm_plan_write(plan, nt, tau);
        cm_plan_run(plan);
        cm_plan_read(plan, out[0], D);
        cm_plan_read(plan, out[1], F);
        cm_plan_read(plan, out[2], raw);
    }
    double worst_d = 0, worst_f = 0, size = 0;
    for (int i = 0; i < N * VALUES && plan; i++) {
        const double s = (double)sigma[i / VALUES], b = s - shift;
        const double want =
            d * d / (b * b + d * d) * (double)x[i] + b * d / sqrt(s * s + d * d) * (double)F[i];
        worst_d = fmax(worst_d, fabs(want - (double)D[i]));
        worst_f = fmax(worst_f, fabs((double)raw[i] - (double)F[i]));
        size = fmax(size, fabs((double)F[i]));
    }
    CHECK(size > 0.1 && worst_d <= 1e-5 * size, "%s, %s: D is off by %g, F up to %g", time_input,
          kind->name, worst_d, size);
    /* tau rounds: 250 ln sigma to 6e-5, whose sine and cosine err as much */
    CHECK(worst_f <= 2e-4 * size, "%s, %s: F is off by %g of %g", time_input, kind->name, worst_f,
          size);
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_free(flat);
    cm_params_free(params);
}

static void test_wrapper(void)
{
    check_wrapper("log250", &cm_precondition_edm, 0.0);
    check_wrapper("trig", &cm_precondition_edm, 0.0);
    check_wrapper("flow", &cm_precondition_skip, 0.002);
}

static const check_test tests[] = {
    {"configurations are read as written", test_round_trip},
    {"mistakes are named", test_mistakes},
    {"D and F", test_wrapper},
};

CHECK_MAIN(tests)
