/* test_describe.c - cm_describe: JSON that parses and tells what the model is; lines that tell
 * the same, one setting each */
#include "check.h"
#include "cm.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const model = "models/fashion-mnist-cd.safetensors";

static void test_json(void)
{
    char *text = NULL;
    cm_error err = {0};
    cm_model *m = NULL;
    cm_model_facts facts = {.size = sizeof facts};
    if (!CHECK_OK(cm_describe_json(model, &text, &err), err) ||
        !CHECK_OK(cm_model_open(model, &m, &err), err))
        return;
    CHECK_OK(cm_model_get_facts(m, &facts, &err), err);
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *training = json_object_get(o, "training"), *noise = json_object_get(o, "noise");
    CHECK(json_is_object(o), "no JSON: %.60s", text);
    CHECK(json_integer_value(json_object_get(o, "parameters")) == facts.parameters, "parameters");
    CHECK(json_integer_value(json_object_get(o, "classes")) == facts.classes, "classes");
    CHECK(json_integer_value(json_object_get(json_object_get(o, "network"), "image_size")) ==
              facts.height,
          "network");
    CHECK(json_real_value(json_object_get(noise, "sigma-max")) == 80.0, "noise");
    CHECK(json_object_size(training) > 50 && json_is_true(json_object_get(training, "lr-decay")),
          "training");
    json_decref(o);
    cm_model_free(m);
    cm_string_free(text);
}

/* What sampling will take, told as numbers: packed weights are part of the whole, and there are
 * more of them where they are packed once and kept. */
static void test_prepared(void)
{
    char *text = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_describe_json(model, &text, &err), err))
        return;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *prepared = json_object_get(o, "prepared"),
                 *one = json_object_get(prepared, "batch-1"),
                 *many = json_object_get(prepared, "batch-64");
    const json_t *const both[] = {one, many};
    for (int i = 0; i < 2; i++) {
        const int64_t packed = json_integer_value(json_object_get(both[i], "packed-bytes")),
                      all = json_integer_value(json_object_get(both[i], "bytes"));
        CHECK(packed > 0 && packed < all, "%lld of %lld bytes", (long long)packed, (long long)all);
        CHECK(all - packed > 4 * json_integer_value(json_object_get(o, "parameters")), "%lld bytes",
              (long long)all);
    }
    CHECK(json_integer_value(json_object_get(one, "micro-batch")) == 1, "one image");
    CHECK(json_integer_value(json_object_get(many, "micro-batch")) > 1, "many images");
    CHECK(json_is_string(json_object_get(prepared, "dtype")) &&
              json_integer_value(json_object_get(prepared, "threads")) > 0,
          "dtype and threads");
    json_decref(o);
    cm_string_free(text);
}

static int has_line(const char *text, const char *line)
{
    const size_t n = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && (at[n] == '\n' || !at[n]))
            return 1;
    return 0;
}

static void test_lines(void)
{
    static const char *const lines[] = {"kind                     consistency model",
                                        "images                   32x32, 1 channel",
                                        "classes                  10",
                                        "training",
                                        "  init",
                                        "  sigma-max              80",
                                        "  lr                     0.0006",
                                        "  lr-decay               yes",
                                        "  channel_mult           1, 2, 2"};
    char *text = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_describe(model, &text, &err), err))
        return;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        CHECK(has_line(text, lines[i]), "no line '%s'", lines[i]);
    CHECK(!strstr(text, " \n"), "a line ends with a space");
    cm_string_free(text);
}

static void test_tensors(void)
{
    char *text = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_describe_json("tests/golden/data/schedules.safetensors", &text, &err), err))
        return;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *first = json_array_get(json_object_get(o, "tensors"), 0);
    CHECK(!strcmp(json_string_value(json_object_get(first, "dtype")), "F32"), "dtype");
    CHECK(json_array_size(json_object_get(first, "shape")) == 1, "shape");
    json_decref(o);
    cm_string_free(text);
}

static const check_test tests[] = {
    {"a model as JSON", test_json},
    {"memory of sampling", test_prepared},
    {"a model as lines", test_lines},
    {"any tensors", test_tensors},
};

CHECK_MAIN(tests)
