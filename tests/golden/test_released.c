/* test_released.c - PyTorch checkpoints as models: the golden network out of PyTorch's own file;
 * the twelve released names; and files of the full size of ImageNet-64 and LSUN-256, with the
 * names and shapes of the released ones, made here of zeros that take no room on the disk. */
#include "golden_network.h"
#include "torch_maker.h"

#include "scratch.h"

#include "model/model.h"

#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the golden network ------------------------------------------------------------- */

/* Its output is the reference's, and the weights are those of the safetensors file. */
static void golden_checkpoint(void)
{
    cm_error err = {0};
    cm_st_file *io = network_open("adm_lsun_like.io.safetensors"), *f = NULL;
    put(in_dir("config.json"), cm_st_metadata(io, "config"), strlen(cm_st_metadata(io, "config")));
    CHECK_OK(cm_forward(check_golden("adm_lsun_like.pt"), in_dir("config.json"),
                        "tests/golden/data/adm_lsun_like.io.safetensors", in_dir("out.safetensors"),
                        "f32", 1, &err),
             err);
    if (CHECK_OK(cm_st_open(in_dir("out.safetensors"), &f, &err), err)) {
        int64_t n;
        float *got = network_read(f, "out", &n), *want = network_read(io, "out", NULL);
        const double e = network_error(got, want, n);
        CHECK(e < 1e-4, "error %.3g", e);
        printf("    adm_lsun_like.pt: error %.2g, tolerance 1e-4\n", e);
        cm_free(got);
        cm_free(want);
    }
    cm_st_close(f);
    cm_st_close(io);
}

/* ---- names --------------------------------------------------------------------------- */

/* 64 channels, so that a head of 64 fits. */
static const char small[] =
    "{\"image_size\": 64, \"in_channels\": 3, \"out_channels\": 3, \"model_channels\": 64, "
    "\"num_res_blocks\": 2, \"channel_mult\": [1, 2, 2], \"attention_resolutions\": [4], "
    "\"num_classes\": 10, \"num_head_channels\": 64, \"use_scale_shift_norm\": true, "
    "\"resblock_updown\": true}";

/* The weights of m as PyTorch's, but for what change does to the list; returns how many. */
static int write_torch(const cm_model *m, const char *path,
                       int (*change)(int n, maker_tensor *list))
{
    int n = cm_params_size(m->params);
    maker_tensor *list = calloc((size_t)n + 8, sizeof *list);
    for (int i = 0; i < n; i++) {
        const cm_param *p = cm_params_at(m->params, i);
        list[i] =
            (maker_tensor){.name = p->name, .rank = p->type.rank, .data = m->flat + p->offset};
        memcpy(list[i].dim, p->type.dim, sizeof list[i].dim);
    }
    if (change)
        n = change(n, list);
    torch_maker_write(path, n, list);
    free(list);
    return n;
}

static cm_model *small_model(void)
{
    cm_error err = {0};
    cm_model *m = NULL;
    put(in_dir("small.json"), small, strlen(small));
    CHECK_OK(cm_model_random(in_dir("small.json"), 1, &m, &err), err);
    return m;
}

static void released_names(void)
{
    const struct {
        const char *name;
        int size, is_teacher, levels;
    } cases[] = {
        {"edm_imagenet64_ema.pt", 64, 1, 40},   {"cd_imagenet64_l2.pt", 64, 0, 40},
        {"cd_imagenet64_lpips.pt", 64, 0, 40},  {"ct_imagenet64.pt", 64, 0, 201},
        {"edm_bedroom256_ema.pt", 256, 1, 40},  {"cd_bedroom256_l2.pt", 256, 0, 40},
        {"cd_bedroom256_lpips.pt", 256, 0, 40}, {"ct_bedroom256.pt", 256, 0, 201},
        {"edm_cat256_ema.pt", 256, 1, 40},      {"cd_cat256_l2.pt", 256, 0, 40},
        {"cd_cat256_lpips.pt", 256, 0, 40},     {"ct_cat256.pt", 256, 0, 201},
    };
    cm_model *want = small_model();
    write_torch(want, in_dir("weights.pt"), NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_error err = {0};
        cm_model *m = NULL;
        int equal = 0;
        CHECK(!rename(in_dir(i ? cases[i - 1].name : "weights.pt"), in_dir(cases[i].name)), "name");
        if (!CHECK_OK(cm_model_open(in_dir(cases[i].name), &m, &err), err))
            continue;
        CHECK(m->net.height == cases[i].size && m->net.width == cases[i].size, "%s: %d pixels",
              cases[i].name, m->net.height);
        CHECK(cm_model_is_teacher(m) == cases[i].is_teacher && m->scales == cases[i].levels,
              "%s: kind %s, %d levels", cases[i].name, m->precondition->name, m->scales);
        m->net.height = m->net.width = 64;
        CHECK(!cm_net_config_compare(&m->net, &want->net, &equal, &err) && equal,
              "%s: another network", cases[i].name);
        CHECK(!memcmp(m->flat, want->flat, cm_params_floats(m->params) * sizeof *m->flat),
              "%s: other weights", cases[i].name);
        cm_model_free(m);
    }
    cm_model_free(want);
}

static void refused(const char *path, const char *says)
{
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK(cm_model_open(path, &m, &err) == CM_ERR_FORMAT, "%s: %s", path, err.message);
    has(&err, says);
    cm_model_free(m);
}

/* One tensor less, one renamed, one reshaped, two more. */
static int spoil(int n, maker_tensor *list)
{
    static const char *const lost = "middle_block.0.in_layers.0.bias";
    for (int i = 0; i < n; i++) {
        if (!strcmp(list[i].name, lost))
            list[i].name = "middle_block.0.in_layers.9.bias";
        if (!strcmp(list[i].name, "input_blocks.1.0.in_layers.2.bias"))
            list[i].dim[0] = 32;
    }
    list[n] = list[n + 1] = (maker_tensor){.name = "ema.decay", .rank = 1, .dim = {1}};
    list[n + 1].name = "step";
    return n + 2;
}

static int two_tensors(int n, maker_tensor *list)
{
    (void)list;
    return n < 2 ? n : 2;
}

static void refused_models(void)
{
    cm_model *m = small_model();
    cm_error err = {0};
    char *text = NULL;
    write_torch(m, in_dir("cd_imagenet64_l2.pt"), spoil);
    refused(in_dir("cd_imagenet64_l2.pt"),
            "missing: 1 \"middle_block.0.in_layers.0.bias\"; not part of it: 3 \"");
    refused(
        in_dir("cd_imagenet64_l2.pt"),
        "of another shape: 1 \"input_blocks.1.0.in_layers.2.bias\" (expected [64], found [32])");
    CHECK(cm_validate(in_dir("cd_imagenet64_l2.pt"), &err) == CM_ERR_FORMAT, "validated");
    write_torch(m, in_dir("ct_cat256.pt"), two_tensors);
    refused(in_dir("ct_cat256.pt"), "expected the weights of an ADM U-Net");
    write_torch(m, in_dir("mine.pt"), NULL);
    refused(in_dir("mine.pt"), "expected a name that begins with edm_, cd_ or ct_");
    /* which is a good file of tensors all the same */
    CHECK_OK(cm_validate(in_dir("mine.pt"), &err), err);
    if (CHECK_OK(cm_describe(in_dir("mine.pt"), &text, &err), err))
        CHECK(strstr(text, "[256, 64] time_embed.0.weight"), "%s", text);
    cm_string_free(text);
    cm_model_free(m);
}

/* ---- full size ------------------------------------------------------------------------ */

/* The first two columns of the list of names: NAME, and 768x192. */
static int read_names(const char *tsv, maker_tensor *list, char (*names)[MAKER_NAME], int most)
{
    char line[512], shape[64];
    int n = 0;
    FILE *f = fopen(check_golden(tsv), "r");
    CHECK(f && fgets(line, sizeof line, f), "%s: cannot read", tsv);
    while (f && n < most && fgets(line, sizeof line, f)) {
        maker_tensor *t = &list[n];
        CHECK(sscanf(line, "%63s %63s", names[n], shape) == 2, "%s: %s", tsv, line);
        *t = (maker_tensor){.name = names[n++]};
        for (const char *p = shape; *p && t->rank < MAKER_RANK; p += *p == 'x')
            t->dim[t->rank++] = strtol(p, (char **)(uintptr_t)&p, 10);
    }
    if (f)
        fclose(f);
    return n;
}

/* Opened in a child, whose peak of memory is what opening takes. */
static void opens(const char *path, const cm_model_facts *want)
{
    struct rusage usage;
    int code = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (!child) {
        cm_error err = {0};
        cm_model *m = NULL;
        cm_model_facts f = {.size = sizeof f};
        if (!CHECK_OK(cm_model_open(path, &m, &err), err))
            _exit(1);
        CHECK_OK(cm_model_get_facts(m, &f, &err), err);
        CHECK(f.height == want->height && f.classes == want->classes &&
                  f.parameters == want->parameters && f.is_consistency == want->is_consistency,
              "%s: %d pixels, %d classes, %lld parameters", path, f.height, f.classes,
              (long long)f.parameters);
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(wait4(child, &code, 0, &usage) == child && WIFEXITED(code) && !WEXITSTATUS(code),
          "%s: the child failed", path);
    const double mb = (double)usage.ru_maxrss / 1024,
                 of = 4e-6 * (double)want->parameters / 1.048576;
#ifndef __SANITIZE_ADDRESS__ /* which takes its own */
    CHECK(mb < of + 64, "%s: opening takes %.0f MB, the parameters %.0f", path, mb, of);
#endif
    printf("    %lld parameters: %.0f MB, %.0f of them the parameters\n",
           (long long)want->parameters, mb, of);
}

static void full_size(const char *tsv, int tensors, const char *const *names,
                      const cm_model_facts *want)
{
    enum { MOST = 1000 };
    static maker_tensor list[MOST];
    static char text[MOST][MAKER_NAME];
    const int n = read_names(tsv, list, text, MOST);
    CHECK(n == tensors, "%s: %d tensors", tsv, n);
    torch_maker_write(in_dir(names[0]), n, list);
    opens(in_dir(names[0]), want);
    CHECK(!rename(in_dir(names[0]), in_dir(names[1])), "rename");
    cm_model_facts teacher = *want;
    teacher.is_consistency = 0;
    opens(in_dir(names[1]), &teacher);
    remove(in_dir(names[1]));
}

static void imagenet64(void)
{
    static const char *const names[] = {"cd_imagenet64_l2.pt", "edm_imagenet64_ema.pt"};
    full_size("unet_keymap_imagenet64.tsv", 541, names,
              &(cm_model_facts){
                  .height = 64, .classes = 1000, .parameters = 295899267, .is_consistency = 1});
}

static void lsun256(void)
{
    static const char *const names[] = {"ct_cat256.pt", "edm_bedroom256_ema.pt"};
    full_size("unet_keymap_lsun256.tsv", 566, names,
              &(cm_model_facts){.height = 256, .parameters = 526304771, .is_consistency = 1});
}

static const check_test tests[] = {
    {"the golden network out of PyTorch's file", golden_checkpoint},
    {"the released names", released_names},
    {"what is no such model", refused_models},
    {"ImageNet-64, full size", imagenet64},
    {"LSUN-256, full size", lsun256},
};

SCRATCH_MAIN(tests)
