/* fuzz_options.c - libFuzzer's target for settings: config.json of a run, and single options
 * of the command as lines "name=value"; what is accepted passes the check, can be written and
 * read again, and the texts in it are parsed as a run would.  ./run fuzz options */
#include "base/memory.h"
#include "io/json.h"
#include "options/options.h"
#include "require.h"
#include "train/data_options.h"
#include "train/net_options.h"
#include "train/step.h"

#include <string.h>

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

/* The network, the averages and the data set that training settings ask for; of the data set
 * only the texts: there is none. */
static void as_run(cm_train_params *p)
{
    cm_error err = {0};
    cm_net_config net;
    cm_dataset *data = NULL;
    double rates[CM_MAX_EMA];
    int n;
    p->data[0] = '\0';
    require(cm_data_from_options(p, NULL, &data, &err) != CM_OK);
    cm_ema_rates_parse(p->ema_rates, rates, &n, &err);
    if (cm_net_from_options(p, "fed", 64, 32, 3, 10, &net, &err))
        return;
    cm_options_from_net(p, &net);
    require(cm_options_check(cm_train_options(), p, &err) == CM_OK);
}

/* The defaults, read from text once. */
static const cm_train_params *train_defaults(void)
{
    static cm_train_params p;
    if (!p.size)
        p = cm_train_default_params();
    return &p;
}

static void accepted(cm_train_params *p)
{
    cm_train_params q = *train_defaults();
    round_trip(cm_train_options(), p, &q);
    as_run(p);
}

/* The settings as jansson's own reader sees them too, but that it reads over a zero byte behind a
 * number, and goes deeper; NULL: no object. */
static json_t *parse(const char *text, size_t n)
{
    json_t *j = NULL, *same = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    cm_error err = {0};
    if (cm_json_parse(text, n, "fed", &j, &err))
        require(!json_is_object(same) || memchr(text, 0, n) || strstr(err.message, "levels"));
    else
        require(json_equal(j, same));
    json_decref(same);
    return j;
}

static void as_json(const char *text, size_t n)
{
    json_t *j = parse(text, n);
    cm_error err = {0};
    if (!j)
        return;
    cm_train_params p = *train_defaults();
    if (!cm_options_from_json(cm_train_options(), &p, j, "fed", &err))
        accepted(&p);
    else if (json_object_get(j, "sampler")) {
        cm_sample_params s = cm_sample_default_params(), t = s;
        if (!cm_options_from_json(cm_sample_options(), &s, j, "fed", &err))
            round_trip(cm_sample_options(), &s, &t);
    }
    json_decref(j);
}

static void as_lines(char *text)
{
    cm_error err = {0};
    cm_train_params p = *train_defaults();
    char *rest = text;
    int set = 0;
    for (char *line; (line = strtok_r(rest, "\n", &rest)); set++) {
        char *value = strchr(line, '=');
        if (value)
            *value++ = '\0';
        if (cm_options_set(cm_train_options(), &p, line, value, &err))
            break; /* as the command does; "did you mean" takes long */
    }
    if (set)
        accepted(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = cm_alloc(n + 1);
    memcpy(text, bytes, n);
    if (text[0] == '{')
        as_json(text, n);
    else
        as_lines(text);
    cm_free(text);
    return 0;
}
