/* adm_shapes.c - the configuration of an ADM U-Net from its weights
 *
 * The way up tells most (adm.c, decode): a level has num_res_blocks + 1 of the output_blocks,
 * and all levels but the last end with one that has a further part, which doubles the
 * resolution.  The width of a level is that of its blocks' last convolution. */
#include "nn/arch/adm_shapes.h"

#include "base/error.h"
#include "nn/arch/adm.h"

#include <stdarg.h>
#include <stdio.h>

enum { MAX_BLOCKS = 1024 };

/* Dimension i of the tensor of that name; 0: there is none. */
__attribute__((format(printf, 3, 4))) static int64_t dim(const cm_st_file *f, int i,
                                                         const char *fmt, ...)
{
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const cm_st_tensor *t = cm_st_find(f, name);
    return t && i < t->rank ? t->dim[i] : 0;
}

/* The levels as the way up shows them. */
typedef struct levels {
    int n, blocks; /* blocks of each: num_res_blocks + 1 */
    int updown;    /* resolutions change in residual blocks */
} levels;

static int is_residual(const cm_st_file *f, int block, int part)
{
    return dim(f, 0, "output_blocks.%d.%d.in_layers.0.weight", block, part) > 0;
}

static int is_resize(const cm_st_file *f, int block, int part)
{
    return dim(f, 0, "output_blocks.%d.%d.conv.weight", block, part) > 0;
}

static levels find_levels(const cm_st_file *f)
{
    levels l = {0};
    int n = 0;
    for (; n < MAX_BLOCKS && is_residual(f, n, 0); n++) {
        const int residual = is_residual(f, n, 1) || is_residual(f, n, 2);
        if (!l.blocks && (residual || is_resize(f, n, 1) || is_resize(f, n, 2))) {
            l.blocks = n + 1;
            l.updown = residual;
        }
    }
    if (!l.blocks)
        l.blocks = n;
    l.n = l.blocks && n % l.blocks == 0 ? n / l.blocks : 0;
    return l;
}

static int add_levels(const cm_st_file *f, const levels *l, int64_t channels, json_t *config)
{
    json_t *mult = json_array(), *attention = json_array();
    int bad = !mult || !attention;
    for (int level = 0; level < l->n; level++) {
        const int block = (l->n - 1 - level) * l->blocks;
        const int64_t width = dim(f, 0, "output_blocks.%d.0.out_layers.3.weight", block);
        bad |= json_array_append_new(mult, json_real((double)width / (double)channels));
        if (dim(f, 0, "output_blocks.%d.1.qkv.weight", block))
            bad |= json_array_append_new(attention, json_integer(1 << level));
    }
    bad |= json_object_set_new(config, "channel_mult", mult);
    bad |= json_object_set_new(config, "attention_resolutions", attention);
    return bad;
}

cm_status cm_adm_config_of_shapes(const cm_st_file *f, json_t *config, cm_error *err)
{
    const int64_t channels = dim(f, 1, "time_embed.0.weight");
    const int64_t classes = dim(f, 0, "label_emb.weight");
    const int64_t first = dim(f, 0, "output_blocks.0.0.out_layers.3.weight");
    const levels l = find_levels(f);
    if (!channels || l.n < 1 || l.n > CM_MAX_LEVELS || l.blocks < 2)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected the weights of an ADM U-Net (\"time_embed.0.weight\", "
                       "\"output_blocks.0.0.in_layers.0.weight\" and so on, in levels of equal "
                       "length), found %d tensors of another network",
                       cm_st_path(f), cm_st_count(f));
    int bad = json_object_set_new(config, "type", json_string("adm"));
    bad |= json_object_set_new(config, "in_channels",
                               json_integer(dim(f, 1, "input_blocks.0.0.weight")));
    bad |= json_object_set_new(config, "out_channels", json_integer(dim(f, 0, "out.2.weight")));
    bad |=
        json_object_set_new(config, "num_classes", classes ? json_integer(classes) : json_null());
    bad |= json_object_set_new(config, "model_channels", json_integer(channels));
    bad |= json_object_set_new(config, "num_res_blocks", json_integer(l.blocks - 1));
    bad |= json_object_set_new(
        config, "use_scale_shift_norm", /* a scale and a shift, or a shift alone */
        json_boolean(dim(f, 0, "output_blocks.0.0.emb_layers.1.weight") == 2 * first));
    bad |= json_object_set_new(config, "resblock_updown", json_boolean(l.updown));
    bad |= add_levels(f, &l, channels, config);
    return bad ? cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", cm_st_path(f)) : CM_OK;
}
