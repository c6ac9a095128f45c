/* adm.c - the ADM U-Net (Dhariwal and Nichol 2021, arXiv 2105.05233, as used by
 * Song et al. 2023): residual blocks conditioned on time and class, attention at
 * chosen resolutions, skip connections from the way down to the way up.
 * Parameter names are the state-dict keys of the original. */
#include "base/text.h"
#include "graph/op.h"
#include "io/json.h"
#include "nn/layers.h"
#include "nn/network.h"

#include <stdio.h>

/* The original has 32 groups, and so only widths of multiples of 32; other widths get the
 * largest number of groups below it that divides them. */
enum { MAX_WIDTH = 65536, MOST_GROUPS = 32, MAX_SKIPS = 1024 };

typedef enum resample { SAME, UP, DOWN } resample;

/* The state of one walk through the network. */
struct walk {
    cm_net *net;
    cm_graph *g;
    const cm_adm_config *config;
    int num_classes;
    float dropout;
    cm_node *emb;   /* SiLU(time + class embedding), f32 [N, 4 model_channels] */
    int ds;         /* downsampling so far */
    uint32_t masks; /* dropout layers so far */
};

typedef char name_buf[128];

static const char *join(name_buf buf, const char *prefix, const char *tail)
{
    cm_assert(snprintf(buf, sizeof(name_buf), "%s.%s", prefix, tail) < (int)sizeof(name_buf));
    return buf;
}

static int64_t channels_of(const cm_node *x)
{
    return cm_node_type(x)->dim[3];
}

static cm_node *norm(struct walk *w, cm_node *x, int silu, const char *name)
{
    return cm_net_group_norm(w->net, x, MOST_GROUPS, silu, name);
}

static cm_node *resampled(cm_graph *g, cm_node *x, resample r)
{
    return r == UP ? cm_upsample2(g, x, 1.0f) : r == DOWN ? cm_sumpool2(g, x, 0.25f) : x;
}

/* norm of h with the embedding's scale and shift, SiLU: one op with
 * a = gamma (1 + scale), b = beta (1 + scale) + shift */
static cm_node *modulated_norm(struct walk *w, cm_node *h, cm_node *e, const char *name)
{
    const int64_t c = channels_of(h);
    cm_node *gamma, *beta;
    cm_net_norm_params(w->net, c, name, &gamma, &beta);
    cm_node *scale = cm_affine(w->g, cm_slice(w->g, e, 0, c), 1.0f, 1.0f);
    cm_node *shift = cm_slice(w->g, e, c, c);
    return cm_group_norm(w->g, h, cm_mul(w->g, scale, gamma),
                         cm_add(w->g, cm_mul(w->g, scale, beta), shift),
                         cm_net_groups(c, MOST_GROUPS), CM_NORM_EPS, 1);
}

static cm_node *res_block(struct walk *w, cm_node *x, int64_t out, resample r, const char *name)
{
    cm_graph *g = w->g;
    const int modulate = w->config->use_scale_shift_norm;
    name_buf b;
    cm_node *h = resampled(g, norm(w, x, 1, join(b, name, "in_layers.0")), r);
    x = resampled(g, x, r);
    h = cm_net_conv(w->net, h, out, 3, 1, 0, join(b, name, "in_layers.2"));
    cm_node *e =
        cm_net_linear(w->net, w->emb, modulate ? 2 * out : out, 0, join(b, name, "emb_layers.1"));
    if (modulate)
        h = modulated_norm(w, h, e, join(b, name, "out_layers.0"));
    else {
        h = cm_add(g, h, CM_RESHAPE(g, e, cm_node_type(e)->dim[0], 1, 1, out));
        h = norm(w, h, 1, join(b, name, "out_layers.0"));
    }
    if (w->net->rng)
        h = cm_dropout(g, h, w->net->rng, w->dropout, w->net->stream + w->masks);
    w->masks++;
    h = cm_net_conv(w->net, h, out, 3, 1, 1, join(b, name, "out_layers.3"));
    if (channels_of(x) != out)
        x = cm_net_conv(w->net, x, out, 1, 1, 0, join(b, name, "skip_connection"));
    return cm_add(g, h, x);
}

/* x + proj_out(attention over the pixels of norm(x)) */
static cm_node *attention(struct walk *w, cm_node *x, const char *name)
{
    cm_graph *g = w->g;
    const cm_type t = *cm_node_type(x);
    const int64_t c = t.dim[3];
    const cm_adm_config *config = w->config;
    const int64_t heads =
        config->num_head_channels ? c / config->num_head_channels : config->num_heads;
    name_buf b;
    if (config->num_head_channels && c % config->num_head_channels)
        cm_graph_fail(
            g, CM_ERR_SHAPE,
            "head-channels: %d channel%s of %s: not a multiple of heads of %d (allowed: a divisor "
            "of %d)",
            (int)c, cm_plural(c), name, config->num_head_channels, (int)c);
    else if (heads < 1 || c % heads)
        cm_graph_fail(g, CM_ERR_SHAPE,
                      "num-heads: %d channel%s of %s cannot be parted into %d head%s (allowed: a "
                      "divisor of %d)",
                      (int)c, cm_plural(c), name, (int)heads, cm_plural(heads), (int)c);
    if (cm_graph_check(g, NULL))
        return x;
    cm_net_begin_block(w->net);
    cm_node *h = norm(w, x, 0, join(b, name, "norm"));
    cm_node *qkv = cm_net_conv(w->net, h, 3 * c, 1, 1, 0, join(b, name, "qkv"));
    h = cm_attention(g, CM_RESHAPE(g, qkv, t.dim[0], t.dim[1] * t.dim[2], 3 * c), heads);
    h = CM_RESHAPE(g, h, t.dim[0], t.dim[1], t.dim[2], c);
    return cm_add(g, x, cm_net_conv(w->net, h, c, 1, 1, 1, join(b, name, "proj_out")));
}

static int attends(const struct walk *w)
{
    for (int i = 0; i < w->config->n_attention; i++)
        if (w->config->attention_resolutions[i] == w->ds)
            return 1;
    return 0;
}

static int64_t width(const struct walk *w, int level)
{
    return (int64_t)(w->config->channel_mult[level] * w->config->model_channels);
}

static cm_node *embed(struct walk *w, cm_node *t, cm_node *y)
{
    const int64_t c = w->config->model_channels;
    cm_graph *g = w->g;
    cm_node *e = cm_timestep_embedding(g, t, (int)c);
    e = cm_silu(g, cm_net_linear(w->net, e, 4 * c, 0, "time_embed.0"));
    e = cm_net_linear(w->net, e, 4 * c, 0, "time_embed.2");
    if (w->num_classes) {
        cm_node *table = cm_net_param(w->net, CM_INIT_NORMAL, 0,
                                      CM_TYPE(CM_F32, w->num_classes, 4 * c), "label_emb.weight");
        if (y)
            e = cm_add(g, e, cm_gather(g, table, y));
        else
            cm_graph_fail(g, CM_ERR_ARGUMENT, "this network is class-conditional: y is missing");
    }
    return cm_silu(g, e);
}

/* The way down; returns the last activation, skips[] holds one of each block. */
static cm_node *encode(struct walk *w, cm_node *x, cm_node **skips, int *n)
{
    const cm_adm_config *config = w->config;
    name_buf b, c;
    cm_net_begin_block(w->net);
    cm_node *h = cm_net_conv(w->net, x, width(w, 0), 3, 1, 0, "input_blocks.0.0");
    skips[(*n)++] = h;
    for (int level = 0; level < config->n_levels; level++) {
        for (int i = 0; i < config->num_res_blocks; i++) {
            snprintf(b, sizeof b, "input_blocks.%d", *n);
            cm_net_begin_block(w->net);
            h = res_block(w, h, width(w, level), SAME, join(c, b, "0"));
            if (attends(w))
                h = attention(w, h, join(c, b, "1"));
            skips[(*n)++] = h;
        }
        if (level + 1 == config->n_levels)
            break;
        snprintf(b, sizeof b, "input_blocks.%d.0", *n);
        cm_net_begin_block(w->net);
        h = config->resblock_updown
                ? res_block(w, h, width(w, level), DOWN, b)
                : cm_net_conv(w->net, h, width(w, level), 3, 2, 0, join(c, b, "op"));
        skips[(*n)++] = h;
        w->ds *= 2;
    }
    return h;
}

static cm_node *grow(struct walk *w, cm_node *h, int64_t out, const char *name)
{
    name_buf b;
    cm_net_begin_block(w->net);
    if (w->config->resblock_updown)
        return res_block(w, h, out, UP, name);
    return cm_net_conv(w->net, cm_upsample2(w->g, h, 1.0f), out, 3, 1, 0, join(b, name, "conv"));
}

/* The way up; each block takes the skip of its mirror image. */
static cm_node *decode(struct walk *w, cm_node *h, cm_node **skips, int n)
{
    const cm_adm_config *config = w->config;
    int block = 0;
    name_buf b, c;
    for (int level = config->n_levels - 1; level >= 0; level--)
        for (int i = 0; i <= config->num_res_blocks; i++, block++) {
            const int attend = attends(w);
            snprintf(b, sizeof b, "output_blocks.%d", block);
            cm_net_begin_block(w->net); /* what is joined is kept, not the joint */
            h = cm_concat(w->g, h, skips[--n]);
            h = res_block(w, h, width(w, level), SAME, join(c, b, "0"));
            if (attend)
                h = attention(w, h, join(c, b, "1"));
            if (level && i == config->num_res_blocks) {
                h = grow(w, h, width(w, level), join(c, b, attend ? "2" : "1"));
                w->ds /= 2;
            }
        }
    return h;
}

static cm_node *build(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *t, cm_node *y)
{
    cm_graph *g = net->g;
    const cm_adm_config *c = &config->of.adm;
    struct walk w = {.net = net,
                     .g = g,
                     .config = c,
                     .num_classes = config->num_classes,
                     .dropout = (float)config->dropout,
                     .ds = 1};
    cm_node *skips[MAX_SKIPS] = {NULL};
    int n = 0;
    if ((c->num_res_blocks + 1) * c->n_levels + 1 > MAX_SKIPS) {
        cm_graph_fail(g, CM_ERR_ARGUMENT, "network: more than %d blocks", MAX_SKIPS);
        return x;
    }
    w.emb = embed(&w, t, y);
    cm_node *h = encode(&w, cm_cast(g, x, net->dtype), skips, &n);
    const int64_t channels = cm_graph_check(g, NULL) ? 1 : channels_of(h);
    cm_net_begin_block(net);
    h = res_block(&w, h, channels, SAME, "middle_block.0");
    h = attention(&w, h, "middle_block.1");
    cm_net_begin_block(net);
    h = res_block(&w, h, channels, SAME, "middle_block.2");
    h = decode(&w, h, skips, n);
    h = norm(&w, h, 1, "out.0");
    h = cm_net_conv(net, h, config->out_channels, 3, 1, 1, "out.2");
    return cm_cast(g, h, CM_F32);
}

/* ---- configuration ---- */

/* The plain integer fields: key, field, smallest, largest, required. */
#define INT_FIELDS(X)                                               \
    X("model_channels", model_channels, 2, 16384, CM_JSON_REQUIRED) \
    X("num_res_blocks", num_res_blocks, 1, 64, CM_JSON_REQUIRED)    \
    X("num_heads", num_heads, 1, 4096, CM_JSON_OPTIONAL)

static const char *const keys[] = {
#define X(key, field, lo, hi, need) key,
    INT_FIELDS(X)
#undef X
        "channel_mult",
    "attention_resolutions",
    "num_head_channels",
    "use_scale_shift_norm",
    "resblock_updown",
    NULL};

static cm_status read_ints(const json_t *j, const char *file, cm_adm_config *c, cm_error *err)
{
    int64_t v;
    cm_status s;
#define X(key, field, lo, hi, need)                             \
    v = c->field;                                               \
    if ((s = cm_json_int(j, file, key, lo, hi, need, &v, err))) \
        return s;                                               \
    c->field = (int)v;
    INT_FIELDS(X)
#undef X
    return CM_OK;
}

static cm_status read_mult(const json_t *j, const char *file, cm_adm_config *c, cm_error *err)
{
    const json_t *list = json_object_get(j, "channel_mult");
    const size_t n = json_array_size(list);
    if (n < 1 || n > CM_MAX_LEVELS)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"channel_mult\": expected a list of 1 to %d numbers", file,
                       CM_MAX_LEVELS);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const double x = json_number_value(v);
        if (!json_is_number(v) || !(x > 0.0 && x <= 64.0))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: \"channel_mult\"[%zu]: expected a number above 0, at most 64", file,
                           i);
        c->channel_mult[i] = x;
    }
    c->n_levels = (int)n;
    return CM_OK;
}

static cm_status read_attention(const json_t *j, const char *file, cm_adm_config *c, cm_error *err)
{
    int64_t list[CM_MAX_LEVELS];
    const cm_status s = cm_json_int_list(j, file, "attention_resolutions", CM_MAX_LEVELS, list,
                                         &c->n_attention, err);
    for (int i = 0; !s && i < c->n_attention; i++) {
        if (list[i] < 1 || list[i] > 65536)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: \"attention_resolutions\"[%d]: expected 1 to 65536, found %lld",
                           file, i, (long long)list[i]);
        c->attention_resolutions[i] = (int)list[i];
    }
    return s;
}

static cm_status parse(const json_t *json, const char *file, cm_net_config *config, cm_error *err)
{
    cm_adm_config c = {.num_heads = 1};
    cm_status s;
    if ((s = read_ints(json, file, &c, err)) || (s = read_mult(json, file, &c, err)) ||
        (s = read_attention(json, file, &c, err)) ||
        (s = cm_json_int_or_none(json, file, "num_head_channels", 4096, &c.num_head_channels,
                                 err)) ||
        (s = cm_json_bool(json, file, "use_scale_shift_norm", CM_JSON_OPTIONAL,
                          &c.use_scale_shift_norm, err)) ||
        (s = cm_json_bool(json, file, "resblock_updown", CM_JSON_OPTIONAL, &c.resblock_updown,
                          err)))
        return s;
    for (int i = 0; i < c.n_levels; i++)
        if (c.channel_mult[i] * c.model_channels > MAX_WIDTH)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: \"channel_mult\"[%d]: expected at most %d channels, found %g times "
                           "the \"model_channels\", %d",
                           file, i, (int)MAX_WIDTH, c.channel_mult[i], c.model_channels);
    if (config->height % (1 << (c.n_levels - 1)) || config->width % (1 << (c.n_levels - 1)))
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: an image of %d x %d cannot be halved %d time%s (\"channel_mult\" has %d "
            "levels)",
            file, config->height, config->width, c.n_levels - 1, cm_plural(c.n_levels - 1),
            c.n_levels);
    config->of.adm = c;
    return CM_OK;
}

static int print(const cm_net_config *config, json_t *j)
{
    const cm_adm_config *c = &config->of.adm;
    json_t *mult = json_array(), *attention = json_array();
    int bad = 0;
    for (int i = 0; i < c->n_levels; i++)
        bad |= json_array_append_new(mult, c->channel_mult[i] == (double)(int)c->channel_mult[i]
                                               ? json_integer((int)c->channel_mult[i])
                                               : json_real(c->channel_mult[i]));
    for (int i = 0; i < c->n_attention; i++)
        bad |= json_array_append_new(attention, json_integer(c->attention_resolutions[i]));
#define X(key, field, lo, hi, need) bad |= json_object_set_new(j, key, json_integer(c->field));
    INT_FIELDS(X)
#undef X
    bad |= json_object_set_new(j, "channel_mult", mult);
    bad |= json_object_set_new(j, "attention_resolutions", attention);
    bad |= json_object_set_new(j, "num_head_channels",
                               json_integer(c->num_head_channels ? c->num_head_channels : -1));
    bad |= json_object_set_new(j, "use_scale_shift_norm", json_boolean(c->use_scale_shift_norm));
    bad |= json_object_set_new(j, "resblock_updown", json_boolean(c->resblock_updown));
    return bad;
}

const cm_arch cm_arch_adm = {.name = "adm",
                             .time_scale = 1.0f,
                             .keys = keys,
                             .parse = parse,
                             .print = print,
                             .build = build};
