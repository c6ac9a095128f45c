/* recipe.c - settings of sampling resolved for a model */
#include "sample/recipe.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "model/class_names.h"
#include "options/options.h"
#include "sample/own_levels.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_LABEL = 0x1abe1 };

/* So many as a search has found best, or one or two without. */
static cm_status levels_of_model(const cm_model *m, int64_t K, cm_levels *l, cm_error *err)
{
    int found = 0;
    const cm_status s =
        K > 1 && K <= CM_MOST_OWN_LEVELS ? cm_own_levels(m, K, l->sigma, &found, err) : CM_OK;
    if (s)
        return s;
    if (!found && K > 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: expected 1 or 2, found %" PRId64
                       ": this model has no noise levels for so many; sigmas gives them, and cm "
                       "tune --task sample finds them",
                       K);
    l->n = (int)K;
    if (!found) {
        l->sigma[0] = m->schedule.sigma_max;
        l->sigma[1] = cm_second_level(&m->schedule, m->scales);
    }
    return CM_OK;
}

static cm_status levels_from_list(const cm_model *m, const cm_sample_params *c, cm_levels *l,
                                  cm_error *err)
{
    if (c->sigmas[0] && c->ts[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "ts and sigmas: give one of them");
    if (c->sigmas[0]) {
        const cm_status s =
            cm_parse_real_list(c->sigmas, CM_MOST_NOISE_LEVELS, l->sigma, &l->n, "sigmas", err);
        return s ? s : cm_sigma_list_check(&m->schedule, l->sigma, l->n, err);
    }
    if (c->ts[0]) {
        int n = 0, *ts = cm_alloc_array(CM_MOST_NOISE_LEVELS, sizeof *ts);
        const int steps = c->steps ? (int)c->steps : m->scales;
        cm_status s = !steps ? cm_fail(err, CM_ERR_ARGUMENT,
                                       "ts: expected sigmas, or steps, the number of levels of the "
                                       "grid that ts are of: this model has no grid of its own")
                      : ts   ? cm_parse_int_list(c->ts, CM_MOST_NOISE_LEVELS, ts, &n, "ts", err)
                             : cm_fail(err, CM_ERR_MEMORY, "ts: out of memory");
        if (!s)
            s = cm_sigma_list_from_ts(&m->schedule, ts, n, steps, l->sigma, err);
        l->n = n - 1;
        cm_free(ts);
        return s;
    }
    return levels_of_model(m, c->steps ? c->steps : 2, l, err);
}

/* ---- settings that the sampler would not look at are mistakes ---- */

static const char *churn_is_unused(const cm_sample_params *c, const cm_sampling_method *s)
{
    (void)c;
    return s->takes_churn ? NULL : "it is for the heun and dpm2 samplers";
}

static const char *noise_is_unused(const cm_sample_params *c, const cm_sampling_method *s)
{
    return s->takes_churn && c->s_churn > 0.0
               ? NULL
               : "it is for the heun and dpm2 samplers with --s-churn above 0";
}

static const char *steps_are_unused(const cm_sample_params *c, const cm_sampling_method *s)
{
    return s->takes_list && c->sigmas[0] ? "--sigmas gives the noise levels" : NULL;
}

/* Why an option is not looked at beside the others; NULL: it is. */
static const struct use {
    const char *option;
    const char *(*why_not)(const cm_sample_params *c, const cm_sampling_method *s);
} uses[] = {{"steps", steps_are_unused},
            {"s-churn", churn_is_unused},
            {"s-tmin", noise_is_unused},
            {"s-tmax", noise_is_unused},
            {"s-noise", noise_is_unused}};

static cm_status check_use(const struct use *u, const cm_sample_params *c,
                           const cm_sampling_method *s, cm_error *err)
{
    const char *why = u->why_not(c, s);
    return why ? cm_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, %s", u->option,
                         why)
               : CM_OK;
}

/* Of a program that does not say which were given, those that are not the defaults: numbers of
 * eight bytes. */
static cm_status check_uses(const cm_sample_params *c, const cm_sampling_method *s, cm_error *err)
{
    const cm_sample_params initial = cm_sample_default_params();
    cm_status status = CM_OK;
    for (size_t i = 0; i < sizeof uses / sizeof *uses && !status; i++) {
        const size_t at = cm_option_find(cm_sample_options(), uses[i].option)->offset;
        if (memcmp((const char *)c + at, (const char *)&initial + at, sizeof(double)) != 0)
            status = check_use(&uses[i], c, s, err);
    }
    return status;
}

static cm_status check_levels(const cm_sample_params *c, const cm_sampling_method *s, cm_error *err)
{
    if (s->most_steps && c->steps > s->most_steps)
        return cm_fail(err, CM_ERR_ARGUMENT, "steps: expected %d with the %s sampler, found %d",
                       s->most_steps, s->name, (int)c->steps);
    if (!s->takes_list && (c->ts[0] || c->sigmas[0]))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts and sigmas are for the multistep sampler of a consistency model");
    return CM_OK;
}

/* A model of few steps knows the levels of its own grid, and those of a coarser one among them. */
static cm_status check_few_steps(const cm_model *m, const cm_sample_params *c,
                                 const cm_sampling_method *s, cm_error *err)
{
    if (!s->of_few_steps)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "sampler %s: needs a diffusion teacher, this one is a few-step diffusion "
                       "model (%s samples it)",
                       s->name, cm_sampling_method_of_few_steps()->name);
    if (c->steps && m->steps % c->steps)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: expected %d, which the model was distilled to%s, found %d", m->steps,
                       m->steps > 1 ? ", or a divisor of it" : "", (int)c->steps);
    return CM_OK;
}

static cm_status check_fit(const cm_model *m, const cm_sample_params *c,
                           const cm_sampling_method *s, cm_error *err)
{
    const int diffusion = cm_model_is_diffusion(m);
    if (s->of_teacher != diffusion)
        return cm_fail(err, CM_ERR_ARGUMENT, "sampler %s: needs a %s, this one is a %s", s->name,
                       s->of_teacher ? "diffusion teacher" : "consistency model",
                       m->steps    ? "few-step diffusion model (progdist samples it)"
                       : diffusion ? "diffusion teacher (heun, euler and others sample it)"
                                   : "consistency model (onestep or multistep sample it)");
    if (m->steps) {
        const cm_status few = check_few_steps(m, c, s, err);
        if (few)
            return few;
    }
    const cm_status status = check_levels(c, s, err);
    return status ? status : check_uses(c, s, err);
}

/* NULL: there is none of that name. */
static const cm_sampling_method *find_method(const cm_model *m, const cm_sample_params *c)
{
    return strcmp(c->sampler, "auto") != 0 ? cm_sampling_method_find(c->sampler)
           : m->steps                      ? cm_sampling_method_of_few_steps()
                                           : cm_sampling_method_default(cm_model_is_diffusion(m),
                                                                        c->ts[0] || c->sigmas[0] || c->steps > 1);
}

static cm_status resolve_method(const cm_model *m, const cm_sample_params *c, cm_recipe *r,
                                cm_error *err)
{
    char found[128];
    r->levels.churn = (cm_churn){c->s_churn, c->s_tmin, c->s_tmax, c->s_noise};
    r->levels.schedule = &m->schedule;
    r->method = find_method(m, c);
    r->list_given = c->ts[0] || c->sigmas[0];
    r->ts_given = !!c->ts[0];
    r->one_step = !strcmp(c->sampler, "onestep");
    r->steps_given = c->steps > 0;
    r->few_steps = m->steps;
    if (!r->method)
        return cm_fail(err, CM_ERR_ARGUMENT, "sampler: '%s' is none of its choices",
                       cm_escape(found, sizeof found, c->sampler));
    const cm_status s = check_fit(m, c, r->method, err);
    if (s)
        return s;
    if (r->method->takes_list)
        return levels_from_list(m, c, &r->levels, err);
    r->levels.n = c->steps ? (int)c->steps : m->steps ? m->steps : r->method->steps;
    cm_karras_grid(&m->schedule, r->levels.n + r->method->ends_at_min, r->levels.sigma);
    return CM_OK;
}

/* "3", "cat" or "cat,3,dog" as labels. */
static cm_status parse_labels(const cm_model *m, const json_t *names, const char *text,
                              cm_recipe *r, cm_error *err)
{
    cm_text name;
    for (r->n_labels = 0; r->n_labels < CM_MAX_LABELS; text++) {
        const size_t length = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, text);
        const cm_status s = cm_model_find_class(m, names, name, &r->label[r->n_labels++], err);
        text += length;
        if (s || !*text)
            return s;
    }
    return cm_fail(err, CM_ERR_ARGUMENT, "class: expected at most %d classes", CM_MAX_LABELS);
}

/* The first class whose name has a comma and is the whole list or some items of it; -1: none. */
static int64_t find_with_comma(const json_t *names, const char *list)
{
    for (size_t k = 0; k < json_array_size(names); k++) {
        const char *name = cm_class_name(names, (int64_t)k);
        const size_t n = name && strchr(name, ',') ? strlen(name) : 0;
        for (const char *at = n ? strstr(list, name) : NULL; at; at = strstr(at + 1, name))
            if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ','))
                return (int64_t)k;
    }
    return -1;
}

/* A list, or a name with a comma where it cannot be one. */
static cm_status parse_list(const cm_model *m, const json_t *names, const char *text, cm_recipe *r,
                            cm_error *err)
{
    char shown[128];
    const int64_t with_comma = find_with_comma(names, text);
    cm_status s = parse_labels(m, names, text, r, with_comma < 0 ? err : NULL);
    if (with_comma < 0)
        return s;
    if (s && !strcmp(cm_class_name(names, with_comma), text)) {
        r->label[0] = with_comma;
        r->n_labels = 1;
        return with_comma < r->classes ? CM_OK : s;
    }
    return cm_fail(
        err, CM_ERR_ARGUMENT,
        "class: '%s' is the name of class %lld and a list: expected %c%lld for the name, "
        "or the list by numbers such as %c0,%c1",
        cm_escape(shown, sizeof shown, cm_class_name(names, with_comma)), (long long)with_comma,
        CM_NO_NAME, (long long)with_comma, CM_NO_NAME, CM_NO_NAME);
}

/* Words that a class may be called too. */
static const struct rule {
    const char *word;
    int rule;
} rules[] = {{"all", CM_LABEL_ALL}, {"random", CM_LABEL_RANDOM}, {"auto", CM_LABEL_AUTO}};

static const struct rule *find_rule(const char *text)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!strcmp(text, rules[i].word))
            return &rules[i];
    return NULL;
}

static cm_status read_classes(const cm_model *m, const json_t *names, const char *text,
                              cm_recipe *r, cm_error *err)
{
    const int marked = *text == CM_NO_NAME;
    const struct rule *rule = find_rule(text + marked);
    const int64_t named = rule && !marked ? cm_class_named(names, text) : -1;
    r->classes = m->net.num_classes;
    r->label_rule = rule ? rule->rule : CM_LABEL_LIST;
    if (named >= 0)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "class: '%s' is the name of class %lld too: expected %c%lld for that class, "
                       "else %c%s",
                       text, (long long)named, CM_NO_NAME, (long long)named, CM_NO_NAME, text);
    return rule ? CM_OK : parse_list(m, names, text, r, err);
}

static cm_status resolve_label(const cm_model *m, const cm_sample_params *c, cm_recipe *r,
                               cm_error *err)
{
    char found[128];
    json_t *names;
    const struct rule *rule = find_rule(c->label + (*c->label == CM_NO_NAME));
    const int is_default = rule && rule->rule != CM_LABEL_RANDOM;
    if (!m->net.num_classes && !is_default)
        return cm_fail(err, CM_ERR_ARGUMENT, "class %s: this model has no classes",
                       cm_escape(found, sizeof found, c->label));
    cm_status s = cm_model_class_names(m, &names, err);
    if (s)
        return s;
    s = read_classes(m, names, c->label, r, err);
    json_decref(names);
    return s;
}

cm_status cm_recipe_make(const cm_model *m, const cm_sample_params *c, cm_recipe *r, cm_error *err)
{
    *r = (cm_recipe){.levels = {.sigma = cm_alloc_array(CM_MOST_NOISE_LEVELS + 2, sizeof(double))}};
    cm_status s = r->levels.sigma ? resolve_method(m, c, r, err)
                                  : cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    if (!s)
        s = resolve_label(m, c, r, err);
    r->of = c->of;
    if (s)
        cm_recipe_clear(r);
    return s;
}

cm_status cm_recipe_check_set(const cm_recipe *r, int64_t first, int64_t num, cm_error *err)
{
    return !r->of || first + num <= r->of
               ? CM_OK
               : cm_fail(err, CM_ERR_ARGUMENT,
                         "of: expected at least %" PRId64 ", as first and num need, found %" PRId64,
                         first + num, r->of);
}

char *cm_recipe_levels(const cm_recipe *r)
{
    const int n = r->levels.n + !r->method->takes_list;
    char number[CM_REAL_TEXT], *text = cm_alloc((size_t)n * (CM_REAL_TEXT + 1) + 1), *at = text;
    for (int i = 0; i < n && text; i++)
        at += sprintf(at, "%s%s", i ? "," : "", cm_text_from_real(number, r->levels.sigma[i]));
    return text;
}

cm_status cm_recipe_check_used(const cm_model *m, const cm_sample_params *c, const char *option,
                               cm_error *err)
{
    const cm_sampling_method *s = find_method(m, c);
    cm_status status = CM_OK;
    if (!m->net.num_classes &&
        cm_option_find(cm_sample_options(), option)->offset == offsetof(cm_sample_params, label))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "option '%s': has no effect here, this model has no classes", option);
    for (size_t i = 0; s && i < sizeof uses / sizeof *uses && !status; i++)
        if (!strcmp(uses[i].option, option))
            status = check_use(&uses[i], c, s, err);
    return status;
}

void cm_recipe_clear(cm_recipe *r)
{
    cm_free(r->levels.sigma);
    r->levels.sigma = NULL;
}

int64_t cm_recipe_label(const cm_recipe *r, uint64_t seed, int64_t index, int64_t i, int64_t num)
{
    if (!r->classes || r->label_rule == CM_LABEL_AUTO)
        return -1;
    if (r->of) {
        i = index;
        num = r->of;
    }
    if (r->label_rule == CM_LABEL_LIST)
        return r->label[i * r->n_labels / num];
    if (r->label_rule == CM_LABEL_ALL)
        return i * r->classes / num;
    return (int64_t)(cm_philox(seed, 0, (uint32_t)index, 0, STREAM_LABEL).v[0] %
                     (uint32_t)r->classes);
}
