/* main.c - are the samples of a class-conditional model recognised as their class?
 *
 *     quality [options] CLASSIFIER.safetensors [MODEL.safetensors ...]
 *
 * A small convnet is trained on the real Fashion-MNIST training set (or read from
 * CLASSIFIER, where an earlier run left it) and must itself reach 90% on the real
 * test set.  Of the one-step samples of a consistency model it must recognise at
 * least 85%, and of its two-step samples at least as many as of those; teachers
 * are measured only.
 *
 * Exit status: 0 all of this holds, 1 some does not, 2 something went wrong. */
#include "classifier.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "cm.h"
#include "model/compute.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, TOO_LOW = 1, WENT_WRONG = 2, CLASSES = CM_CLASSIFIER_CLASSES };
static const double NEEDED_REAL = 0.90, NEEDED_ONESTEP = 0.85;

/* clang-format off */
/*    type, field,      name, default, min, max, metavar, help */
#define QUALITY_OPTIONS(X)                                                                    \
    X(INT,  num,        "num",        "16000",  10,   1e6,  "N",                              \
      "images a sampler (teachers: a 16th)")                                                  \
    X(INT,  seed,       "seed",       "0",      0,    9e15, "N", "seed of the samples")       \
    X(TEXT, sigmas,     "sigmas",     "80,5", 0,    0,    "LIST",                           \
      "noise levels of the two steps")                                                        \
    X(INT,  epochs,     "epochs",     "5",      1,    1000, "N",                              \
      "classifier: times through the data")                                                   \
    X(REAL, lr,         "lr",         "4e-3",   1e-6, 1,    "X",                              \
      "classifier: first learning rate")                                                      \
    X(INT,  data_limit, "data-limit", "0",      0,    1e9,  "N",                              \
      "classifier: training images (0: all)")                                                 \
    X(INT,  threads,    "threads",    "0",      0,    4096, "N",                              \
      "threads (0: the cores this process may use)")
/* clang-format on */

#define FIELD_TEXT                                             cm_text
#define FIELD_INT                                              int64_t
#define FIELD_REAL                                             double
#define X(type, field, name, initial, min, max, metavar, help) FIELD_##type field;
struct config {
    QUALITY_OPTIONS(X)
};
#undef X
#define X(type, field, name, initial, min, max, metavar, help) \
    {name, CM_OPT_##type, offsetof(struct config, field), initial, NULL, min, max, metavar, help},
static const cm_option options[] = {QUALITY_OPTIONS(X){.name = NULL}};
#undef X

static void print_help(void)
{
    printf("usage: quality [options] CLASSIFIER.safetensors [MODEL.safetensors ...]\n");
    for (const cm_option *o = options; o->name; o++)
        printf("  --%-10s %-5s %s (default %s)\n", o->name, o->metavar, o->help, o->initial);
}

/* Reads --name value and --name=value; the other arguments move to the front of
 * argv, *n of them. */
static cm_status parse(int argc, char **argv, struct config *config, int *n, cm_error *err)
{
    *n = 0;
    for (int i = 1; i < argc; i++) {
        char name[64];
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[(*n)++] = argv[i];
            continue;
        }
        const char *text = argv[i] + 2, *equals = strchr(text, '=');
        const int length = (int)(equals ? equals - text : (ptrdiff_t)strlen(text));
        const char *value = equals ? equals + 1 : argv[++i]; /* argv ends with NULL */
        snprintf(name, sizeof name, "%.*s", length, text);
        if (!value)
            return cm_fail(err, CM_ERR_ARGUMENT, "--%s: expected a value, found none", name);
        const cm_status s = cm_options_set(options, config, name, value, err);
        if (s)
            return s;
    }
    return *n ? CM_OK
              : cm_fail(err, CM_ERR_ARGUMENT,
                        "CLASSIFIER: expected a path, found none; see 'quality --help'");
}

/* ---- judging ---- */

struct score {
    int64_t right[CLASSES], all[CLASSES];
    int64_t right_sum, n;
};

static double share(const struct score *s)
{
    return (double)s->right_sum / (double)s->n;
}

static void score_add(struct score *s, int64_t wanted, int32_t found)
{
    s->n++;
    s->all[wanted]++;
    s->right[wanted] += wanted == found;
    s->right_sum += wanted == found;
}

static void score_print(const char *what, const char *how, const struct score *s, double seconds)
{
    printf("%s  %s  N %" PRId64 "  recognised %.2f%%  per class", what, how, s->n,
           100.0 * share(s));
    for (int k = 0; k < CLASSES; k++)
        printf(" %.1f", s->all[k] ? 100.0 * (double)s->right[k] / (double)s->all[k] : 0.0);
    printf("  (%.1f s)\n", seconds);
    fflush(stdout);
}

/* ---- the classifier ---- */

static void epoch_done(int epoch, double loss)
{
    printf("classifier: epoch %d: loss %.4f\n", epoch, loss);
    fflush(stdout);
}

static cm_status train(const struct config *config, cm_classifier **out, cm_error *err)
{
    cm_dataset *data = NULL;
    cm_status s =
        cm_dataset_open("fashion-mnist", &(cm_dataset_options){.h = 32, .w = 32}, &data, err);
    if (s)
        return s;
    if (config->data_limit && config->data_limit < data->n)
        data->n = config->data_limit;
    const cm_classifier_training how = {.epochs = (int)config->epochs,
                                        .batch = 128,
                                        .lr = config->lr,
                                        .seed = 1,
                                        .threads = cm_threads_resolve(config->threads),
                                        .epoch_done = epoch_done};
    const double start = cm_seconds();
    s = cm_classifier_train(data, &how, out, err);
    if (!s)
        printf("classifier: trained on %" PRId64 " images in %.1f s\n", data->n,
               cm_seconds() - start);
    cm_dataset_free(data);
    return s;
}

static cm_status test(cm_classifier *c, struct score *score, cm_error *err)
{
    cm_dataset *data = NULL;
    cm_status s =
        cm_dataset_open("fashion-mnist-test", &(cm_dataset_options){.h = 32, .w = 32}, &data, err);
    if (s)
        return s;
    const double start = cm_seconds();
    int32_t *found = cm_alloc_array((size_t)data->n, sizeof *found);
    if (found) {
        cm_classifier_predict(c, data->n, data->pixels, found);
        for (int64_t i = 0; i < data->n; i++)
            score_add(score, data->labels[i], found[i]);
        score_print("fashion-mnist-test", "real", score, cm_seconds() - start);
    } else
        s = cm_fail(err, CM_ERR_MEMORY, "test set: out of memory");
    cm_free(found);
    cm_dataset_free(data);
    return s;
}

/* Read or train the classifier and test it; a good new one is written to path. */
static cm_status prepare(const struct config *config, const char *path, cm_classifier **out,
                         int *verdict, cm_error *err)
{
    const int cached = !access(path, F_OK);
    struct score score = {0};
    cm_status s = cached ? cm_classifier_read(path, cm_threads_resolve(config->threads), out, err)
                         : train(config, out, err);
    if (!s)
        s = test(*out, &score, err);
    if (s)
        return s;
    if (share(&score) < NEEDED_REAL) {
        printf("TOO LOW: %s must recognise %.0f%% of the real test images to be a judge\n", path,
               100.0 * NEEDED_REAL);
        *verdict = TOO_LOW;
    } else if (!cached)
        s = cm_classifier_write(*out, path, err);
    return s;
}

/* ---- models ---- */

static cm_status judge(cm_classifier *c, cm_model *model, const char *path,
                       const struct config *config, const char *sampler, struct score *score,
                       cm_error *err)
{
    cm_sample_params sample;
    cm_images *images = NULL;
    const int teacher = !strcmp(sampler, "heun");
    const double start = cm_seconds();
    sample = cm_sample_default_params();
    snprintf(sample.sampler, sizeof sample.sampler, "%s", sampler);
    snprintf(sample.label, sizeof sample.label, "all");
    if (!strcmp(sampler, "multistep"))
        snprintf(sample.sigmas, sizeof sample.sigmas, "%s", config->sigmas);
    sample.steps = teacher ? 18 : 0;
    sample.num = teacher ? (config->num + 15) / 16 : config->num;
    sample.seed = config->seed;
    sample.threads = config->threads;
    cm_status s = cm_sample(model, &sample, &images, err);
    if (s)
        return s;
    int32_t *found = cm_alloc_array((size_t)images->n, sizeof *found);
    if (found) {
        cm_classifier_predict(c, images->n, images->pixels, found);
        for (int64_t i = 0; i < images->n; i++)
            score_add(score, images->labels[i], found[i]);
        score_print(path, sampler, score, cm_seconds() - start);
    } else
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    cm_free(found);
    cm_images_free(images);
    return s;
}

static cm_status judge_consistency(cm_classifier *c, cm_model *model, const char *path,
                                   const struct config *config, int *verdict, cm_error *err)
{
    struct score one = {0}, two = {0};
    cm_status s = judge(c, model, path, config, "onestep", &one, err);
    if (!s)
        s = judge(c, model, path, config, "multistep", &two, err);
    if (s)
        return s;
    if (share(&one) < NEEDED_ONESTEP) {
        printf("TOO LOW: %s: onestep: expected at least %.0f%%\n", path, 100.0 * NEEDED_ONESTEP);
        *verdict = TOO_LOW;
    }
    if (two.right_sum < one.right_sum) {
        printf("TOO LOW: %s: multistep: expected at least as many as onestep\n", path);
        *verdict = TOO_LOW;
    }
    return CM_OK;
}

static cm_status judge_model(cm_classifier *c, const char *path, const struct config *config,
                             int *verdict, cm_error *err)
{
    cm_model *model = NULL;
    cm_model_facts facts = {.size = sizeof facts};
    struct score score = {0};
    cm_status s = cm_model_open(path, &model, err);
    if (!s)
        s = cm_model_get_facts(model, &facts, err);
    if (s) {
        cm_model_free(model);
        return s;
    }
    if (facts.height != CM_CLASSIFIER_SIDE || facts.width != CM_CLASSIFIER_SIDE ||
        facts.channels != 1 || facts.classes != CLASSES)
        s = cm_fail(
            err, CM_ERR_ARGUMENT,
            "%s: expected a model of [%d,%d,1] images in %d classes, found [%d,%d,%d] in %d", path,
            CM_CLASSIFIER_SIDE, CM_CLASSIFIER_SIDE, CLASSES, facts.height, facts.width,
            facts.channels, facts.classes);
    else if (facts.is_consistency)
        s = judge_consistency(c, model, path, config, verdict, err);
    else
        s = judge(c, model, path, config, "heun", &score, err);
    cm_model_free(model);
    return s;
}

int main(int argc, char **argv)
{
    struct config config;
    cm_error err = {0};
    cm_classifier *classifier = NULL;
    int n = 0, verdict = OK;
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        print_help();
        return OK;
    }
    cm_options_defaults(options, &config);
    cm_status s = parse(argc, argv, &config, &n, &err);
    if (!s)
        s = prepare(&config, argv[0], &classifier, &verdict, &err);
    const int judges = verdict == OK;
    for (int i = 1; i < n && !s && judges; i++)
        s = judge_model(classifier, argv[i], &config, &verdict, &err);
    cm_classifier_free(classifier);
    if (s)
        fprintf(stderr, "quality: %s\n", err.message);
    return s ? WENT_WRONG : verdict;
}
