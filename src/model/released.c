/* released.c - names of the released checkpoints */
#include "model/released.h"

#include "nn/arch/adm_shapes.h"

#include <string.h>

/* By the first part of the name.  scales: levels of the grid it was trained on, at the end. */
static const struct kind {
    const char *prefix;
    const cm_precondition *precondition;
    int scales;
} kinds[] = {
    {"edm_", &cm_precondition_edm, 40},
    {"cd_", &cm_precondition_skip, 40},
    {"ct_", &cm_precondition_skip, 201},
};

static const struct family {
    const char *name;
    int image_size, head_channels;
} families[] = {{"imagenet64", 64, 64}, {"bedroom256", 256, 64}, {"cat256", 256, 64}};

static int begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* Non-zero: it is none of them. */
static int find(const char *path, const struct kind **kind, const struct family **family)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < sizeof families / sizeof *families; i++)
            if (begins(name, kinds[k].prefix) &&
                begins(name + strlen(kinds[k].prefix), families[i].name)) {
                *kind = &kinds[k];
                *family = &families[i];
                return 0;
            }
    return -1;
}

int cm_released_is(const char *path)
{
    const struct kind *kind;
    const struct family *family;
    return !find(path, &kind, &family);
}

cm_status cm_released_config(const char *path, const cm_st_file *file, cm_model *m, cm_error *err)
{
    const struct kind *kind = NULL;
    const struct family *family = NULL;
    if (find(path, &kind, &family))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: PyTorch weights do not say what network they are of: expected a name "
                       "that begins with edm_, cd_ or ct_ and imagenet64, bedroom256 or cat256, as "
                       "the released cd_imagenet64_l2.pt (or give a configuration file)",
                       path);
    json_t *j = json_object();
    cm_status s =
        json_object_set_new(j, "image_size", json_integer(family->image_size)) ||
                json_object_set_new(j, "num_head_channels", json_integer(family->head_channels))
            ? cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path)
            : cm_adm_config_of_shapes(file, j, err);
    if (!s)
        s = cm_net_config_from_json(j, path, &m->net, err);
    json_decref(j);
    m->precondition = kind->precondition;
    m->scales = kind->scales;
    return s;
}
