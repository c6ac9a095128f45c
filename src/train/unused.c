/* unused.c - settings that would change nothing beside the others.  Each record (a method, a
 * distance, a mode) lists the options that not all of its kind look at; an option that others
 * list and the chosen one does not has no effect. */
#include "train/unused.h"

#include "train/net_options.h"
#include "train/objective/objective.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Whether one of the words of list, which may be NULL, is name. */
static int lists(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *word = list; word && *word; word += strspn(word, " ")) {
        const size_t n = strcspn(word, " ");
        if (n == length && !memcmp(word, name, n))
            return 1;
        word += n;
    }
    return 0;
}

/* Those records of a kind that look at the option: "cd, ct and pd". */
typedef struct search {
    const char *option;
    char owners[128]; /* but for the last of them */
    const char *last;
    int count, chosen_looks;
} search;

static void look(search *s, const char *options, const char *name, int is_chosen)
{
    if (!lists(options, s->option))
        return;
    const size_t n = strlen(s->owners);
    if (s->last)
        snprintf(s->owners + n, sizeof s->owners - n, "%s%s", n ? ", " : "", s->last);
    s->last = name;
    s->count++;
    s->chosen_looks |= is_chosen;
}

static cm_status judge(const search *s, const char *kind, cm_error *err)
{
    if (!s->count || s->chosen_looks)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, it is for --%s %s%s%s",
                   s->option, kind, s->owners, *s->owners ? " and " : "", s->last);
}

static cm_status check_network(const cm_train_params *c, int resume, const char *option,
                               cm_error *err)
{
    const char *model = c->teacher[0] ? "--teacher" : c->init[0] ? "--init" : NULL;
    if (resume && !strcmp(option, "init"))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "option 'init': has no effect here, the run goes on with its own weights");
    if (!resume && model && lists(cm_net_options, option))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "option '%s': has no effect here, the network is that of %s", option, model);
    if (c->head_channels && !strcmp(option, "num-heads"))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "option 'num-heads': has no effect here, --head-channels gives the heads");
    return CM_OK;
}

static cm_status check_minutes(const cm_train_params *c, const char *option, cm_error *err)
{
    if (!c->steps || strcmp(option, "minutes") != 0)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "option 'minutes': has no effect here, steps is %lld (0 chooses it by the time)",
                   (long long)c->steps);
}

/* What only pictures have, in a data set that has none. */
static cm_status check_data(const cm_train_params *c, const char *option, cm_error *err)
{
    struct stat st;
    const int is_folder = !stat(c->data, &st) && S_ISDIR(st.st_mode);
    const int of_pictures = !strcmp(option, "background") || !strcmp(option, "strict") ||
                            (!strcmp(option, "labels") && !strcmp(c->labels, "names"));
    if (is_folder || !of_pictures)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "option '%s': has no effect here, it is for folders of pictures", option);
}

/* All but the first of these are of no use without it. */
static cm_status check_scores(const cm_train_params *c, const char *option, cm_error *err)
{
    if (c->eval_every || !strcmp(option, "eval-every") || !lists(CM_SCORE_OPTIONS, option))
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, it is for --eval-every",
                   option);
}

cm_status cm_check_used(const cm_train_params *config, int resume, const char *option,
                        cm_error *err)
{
    cm_train_params c = *config;
    cm_objective_settings chosen;
    search method = {.option = option}, distance = method, scale = method;
    if (cm_objective_resolve(&c, &chosen, NULL))
        return CM_OK; /* another mistake, which training will name */
    for (const cm_objective *const *o = cm_objectives; *o; o++)
        look(&method, (*o)->options, (*o)->name, *o == chosen.objective);
    for (const cm_distance *d = cm_distances; d->name; d++)
        look(&distance, d->options, d->name, d == chosen.distance);
    for (const cm_scale_mode *m = cm_scale_modes; m->name; m++)
        look(&scale, m->options, m->name, m == chosen.curriculum.scale);
    cm_status s = judge(&method, "method", err);
    if (!s)
        s = judge(&distance, "loss-norm", err);
    if (!s && chosen.objective->has_target)
        s = judge(&scale, "scale-mode", err);
    if (!s)
        s = check_data(&c, option, err);
    if (!s)
        s = check_scores(&c, option, err);
    if (!s)
        s = check_minutes(&c, option, err);
    return s ? s : check_network(&c, resume, option, err);
}
