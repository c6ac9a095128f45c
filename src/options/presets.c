/* presets.c - settings of training that go together under one name: the network and how it
 * learns, never the method or the data.  The length of a run and its averages follow from
 * --minutes and are not here. */
#include "options/presets.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const cm_option_value tiny[] = {
    {"channels", "16"},  {"channel-mult", "1,2,2"},      {"res-blocks", "1"}, {"attention-resolutions", "8?"},
    {"resblock-updown", "false"}, {"batch", "32"}, {"lr", "2e-3"}, {"lr-warmup", "50"},  {"lr-decay", "true"},
    {0}};
static const cm_option_value small[] = {
    {"channels", "32"},  {"channel-mult", "1,2,2"},      {"res-blocks", "1"}, {"attention-resolutions", "8?"},
    {"resblock-updown", "false"}, {"batch", "64"}, {"lr", "1e-3"}, {"lr-warmup", "100"}, {"lr-decay", "true"},
    {0}};
static const cm_option_value base[] = {
    {"channels", "64"},  {"channel-mult", "1,2,3"},      {"res-blocks", "2"}, {"attention-resolutions", "16?,8?"},
    {"resblock-updown", "false"}, {"batch", "64"}, {"lr", "5e-4"}, {"lr-warmup", "500"}, {"lr-decay", "true"},
    {0}};
/* clang-format on */

const cm_preset cm_presets[] = {
    {"tiny", "a first look within minutes", 16 * 16, 99, tiny},
    {"small", "hundreds of pictures and an hour", 32 * 32, 1999, small},
    {"base", "thousands of pictures and a night", 0, 0, base},
    {0},
};

static const cm_preset *find(const char *name)
{
    for (const cm_preset *p = cm_presets; p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

cm_status cm_train_preset(cm_train_params *params, const char *name, cm_error *err)
{
    char shown[64];
    const cm_preset *p = params && name ? find(name) : NULL;
    cm_status s = CM_OK;
    if (!params || !name)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a pointer, found NULL",
                       params ? "name" : "params");
    if (!p)
        return cm_fail(err, CM_ERR_ARGUMENT, "preset: expected tiny, small or base, found '%s'",
                       cm_escape(shown, sizeof shown, name));
    for (const cm_option_value *v = p->values; v->name && !s; v++)
        s = cm_options_set(cm_train_options(), params, v->name, v->value, err);
    return s;
}
