/* fuzz_options.c - libFuzzer's target for settings: config.json of a run, and single options
 * of the command as lines "name=value"; what is accepted passes the check and can be written.
 * ./run fuzz options */
#include "base/memory.h"
#include "io/json.h"
#include "options/options.h"

#include <stdlib.h>
#include <string.h>

static void require(int holds)
{
    if (!holds)
        abort();
}

/* Accepted settings are in range and survive being written and read. */
static void round_trip(const cm_option *table, const void *params, void *again)
{
    cm_error err = {0};
    require(cm_options_check(table, params, &err) == CM_OK);
    json_t *j = cm_options_to_json(table, params);
    require(j != NULL);
    require(cm_options_from_json(table, again, j, "fed", &err) == CM_OK);
    json_t *k = cm_options_to_json(table, again);
    require(json_equal(j, k));
    json_decref(j);
    json_decref(k);
}

static void as_json(const char *text, size_t n)
{
    json_t *j = NULL;
    cm_error err = {0};
    cm_train_params p = cm_train_default_params(), q = p;
    cm_sample_params s = cm_sample_default_params(), t = s;
    if (cm_json_parse(text, n, "fed", &j, &err))
        return;
    if (!cm_options_from_json(cm_train_options(), &p, j, "fed", &err))
        round_trip(cm_train_options(), &p, &q);
    if (!cm_options_from_json(cm_sample_options(), &s, j, "fed", &err))
        round_trip(cm_sample_options(), &s, &t);
    json_decref(j);
}

static void as_lines(char *text)
{
    cm_error err = {0};
    cm_train_params p = cm_train_default_params(), q = p;
    char *rest = text;
    for (char *line; (line = strtok_r(rest, "\n", &rest));) {
        char *value = strchr(line, '=');
        if (value)
            *value++ = '\0';
        (void)cm_options_set(cm_train_options(), &p, line, value, &err);
    }
    round_trip(cm_train_options(), &p, &q);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = cm_alloc(n + 1);
    memcpy(text, bytes, n);
    as_json(text, n);
    as_lines(text);
    cm_free(text);
    return 0;
}
