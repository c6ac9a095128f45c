/* net_options.c - the options of the network: an ADM U-Net, or the convnet of a classifier */
#include "train/net_options.h"

#include "base/text.h"
#include "train/objective/objective.h"

#include <stdio.h>
#include <string.h>

const char cm_net_options[] = "classes channels channel-mult res-blocks attention-resolutions "
                              "num-heads head-channels scale-shift-norm resblock-updown";

static void write_list(cm_text text, const double *v, int n)
{
    char number[CM_REAL_TEXT];
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(cm_text) - at, "%s%s", i ? "," : "",
                               cm_text_from_real(number, v[i]));
}

static void options_from_convnet(cm_train_params *c, const cm_convnet_config *a)
{
    double mult[CM_CONVNET_LEVELS];
    for (int i = 0; i < a->n_levels; i++)
        mult[i] = a->channel_mult[i];
    write_list(c->channel_mult, mult, a->n_levels);
    c->channels = a->model_channels;
    c->res_blocks = a->num_blocks;
}

/* Whether one of the levels has this height; each halves that of the one before. */
static int is_level(const cm_net_config *n, int height)
{
    for (int i = 0; i < n->of.adm.n_levels; i++)
        if (n->height >> i == height)
            return 1;
    return 0;
}

void cm_options_from_net(cm_train_params *c, const cm_net_config *n)
{
    double sides[CM_MAX_LEVELS];
    int n_sides = 0;
    if (n->height == n->width)
        snprintf(c->image_size, sizeof c->image_size, "%d", n->height);
    else
        snprintf(c->image_size, sizeof c->image_size, "%dx%d", n->width, n->height);
    snprintf(c->classes, sizeof c->classes, "%s", n->num_classes ? "auto" : "none");
    if (n->arch == &cm_arch_convnet)
        options_from_convnet(c, &n->of.convnet);
    if (n->arch != &cm_arch_adm)
        return;
    const cm_adm_config *a = &n->of.adm;
    for (int i = 0; i < a->n_attention; i++) /* configurations of others name more than there are */
        if (is_level(n, n->height / a->attention_resolutions[i]))
            sides[n_sides++] = (double)(n->height / a->attention_resolutions[i]);
    write_list(c->attention, sides, n_sides);
    write_list(c->channel_mult, a->channel_mult, a->n_levels);
    c->channels = a->model_channels;
    c->res_blocks = a->num_res_blocks;
    c->num_heads = a->num_heads;
    c->head_channels = a->num_head_channels;
    c->scale_shift = a->use_scale_shift_norm;
    c->resblock_updown = a->resblock_updown;
}

/* Each level but the first halves the sides. */
static cm_status check_levels(int n, const char *data, int height, int width, cm_error *err)
{
    if (n < 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "channel-mult: expected 1 to %d numbers, one a resolution, found none",
                       CM_MAX_LEVELS);
    const int unit = 1 << (n - 1);
    if (height % unit == 0 && width % unit == 0)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "channel-mult: %d level%s image sides divisible by %d, %s has %dx%d "
                   "(--image-size %dx%d, or fewer levels)",
                   n, n == 1 ? " needs" : "s need", unit, data, width, height,
                   (width + unit - 1) / unit * unit, (height + unit - 1) / unit * unit);
}

/* "16, 8, 4": the heights of the levels */
static const char *show_sides(char text[128], int height, int n_levels)
{
    size_t used = 0;
    for (int i = 0; i < n_levels && used < 100; i++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%d", i ? ", " : "", height >> i);
    return text;
}

/* Take the ? after a height out of the list: optional[i] says where one was. */
static void take_marks(const char *list, cm_text heights, int optional[CM_MAX_LEVELS])
{
    size_t n = 0;
    int item = 0;
    for (const char *c = list; *c; c++) {
        const int is_mark = *c == '?' && (!c[1] || c[1] == ',') && item < CM_MAX_LEVELS;
        if (is_mark)
            optional[item] = 1;
        else
            heights[n++] = *c;
        item += *c == ',';
    }
    heights[n] = '\0';
}

static cm_status attention_sides(const cm_train_params *c, cm_net_config *n, cm_error *err)
{
    int sides[CM_MAX_LEVELS], optional[CM_MAX_LEVELS] = {0}, count = 0;
    char allowed[128];
    cm_text heights;
    cm_adm_config *a = &n->of.adm;
    take_marks(c->attention, heights, optional);
    const cm_status s =
        cm_parse_int_list(heights, CM_MAX_LEVELS, sides, &count, "attention-resolutions", err);
    for (int i = 0; i < count && !s; i++) {
        if (is_level(n, sides[i]))
            a->attention_resolutions[a->n_attention++] = n->height / sides[i];
        else if (!optional[i])
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "attention-resolutions: expected heights of the levels, %s (or '': the "
                           "middle only), found %d",
                           show_sides(allowed, n->height, a->n_levels), sides[i]);
    }
    return s;
}

static cm_status adm_from_options(const cm_train_params *c, const char *data, int height, int width,
                                  int channels, int classes, cm_net_config *net, cm_error *err)
{
    cm_net_config n = {.arch = &cm_arch_adm,
                       .height = height,
                       .width = width,
                       .in_channels = channels,
                       .out_channels = channels,
                       .num_classes = strcmp(c->classes, "none") ? classes : 0,
                       .time_input = &cm_time_log250,
                       .of.adm = {.model_channels = (int)c->channels,
                                  .num_res_blocks = (int)c->res_blocks,
                                  .num_heads = (int)c->num_heads,
                                  .num_head_channels = (int)c->head_channels,
                                  .use_scale_shift_norm = c->scale_shift,
                                  .resblock_updown = c->resblock_updown}};
    cm_adm_config *a = &n.of.adm;
    cm_status s = cm_parse_real_list(c->channel_mult, CM_MAX_LEVELS, a->channel_mult, &a->n_levels,
                                     "channel-mult", err);
    for (int i = 0; i < a->n_levels && !s; i++)
        if (!(a->channel_mult[i] * (double)c->channels >= 1 && a->channel_mult[i] <= 1024))
            s = cm_fail(err, CM_ERR_ARGUMENT,
                        "channel-mult: item %d: expected a width of at least one channel and at "
                        "most 1024 base widths, found %g",
                        i + 1, a->channel_mult[i]);
    if (s || (s = check_levels(a->n_levels, data, height, width, err)) ||
        (s = attention_sides(c, &n, err)))
        return s;
    *net = n;
    return CM_OK;
}

static cm_status convnet_from_options(const cm_train_params *c, const char *data, int height,
                                      int width, int channels, int classes, cm_net_config *net,
                                      cm_error *err)
{
    cm_net_config n = {
        .arch = &cm_arch_convnet,
        .height = height,
        .width = width,
        .in_channels = channels,
        .out_channels = channels,
        .num_classes = classes,
        .time_input = &cm_time_log250,
        .of.convnet = {.model_channels = (int)c->channels, .num_blocks = (int)c->res_blocks}};
    cm_convnet_config *a = &n.of.convnet;
    cm_status s = cm_parse_int_list(c->channel_mult, CM_CONVNET_LEVELS, a->channel_mult,
                                    &a->n_levels, "channel-mult", err);
    for (int i = 0; i < a->n_levels && !s; i++)
        if (a->channel_mult[i] < 1 || a->channel_mult[i] > 64)
            s = cm_fail(err, CM_ERR_ARGUMENT,
                        "channel-mult: item %d: expected 1 to 64 with method classifier, found %d",
                        i + 1, a->channel_mult[i]);
    if (!s)
        s = check_levels(a->n_levels, data, height, width, err);
    if (!s)
        *net = n;
    return s;
}

cm_status cm_net_from_options(const cm_train_params *c, const char *data, int height, int width,
                              int channels, int classes, cm_net_config *net, cm_error *err)
{
    const cm_objective *o = cm_objective_find(c->method);
    return (o && o->classifies ? convnet_from_options : adm_from_options)(
        c, data, height, width, channels, classes, net, err);
}
