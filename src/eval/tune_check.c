/* tune_check.c */
#include "eval/tune_check.h"

#include "base/error.h"
#include "base/text.h"
#include "eval/tune_judge.h"
#include "io/replace.h"
#include "model/annotate.h"
#include "sample/edits.h"

#include <string.h>
#include <sys/stat.h>

/* What they keep of a picture leaves one answer to look for, while in the others the noise level is
 * what the user asks for. */
static int is_searched(const cm_edit_task *t, const cm_model *m)
{
    return t->keep && (!(t->needs & CM_EDIT_COLOUR) || m->net.out_channels == 3);
}

static unsigned bit_of(const cm_edit_task *t)
{
    return 1U << (t - cm_edit_tasks);
}

static cm_status read_tasks(const cm_tune_params *p, const cm_model *m, unsigned *tasks,
                            cm_error *err)
{
    const char *text = p->task;
    int takes_factor = 0;
    char shown[64], name[32];
    for (*tasks = 0; *text; text += *text == ',') {
        const size_t n = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, text);
        const cm_edit_task *t = cm_edit_task_find(name);
        text += n;
        if (!t || !t->keep)
            return cm_fail(
                err, CM_ERR_ARGUMENT,
                "task: expected some of inpaint, colorize, upscale, or sample alone, found '%s'",
                cm_escape(shown, sizeof shown, name));
        if (!is_searched(t, m))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "task: %s needs a model of colour pictures, this one has %d channel%s",
                           t->name, m->net.out_channels, cm_plural(m->net.out_channels));
        *tasks |= bit_of(t);
    }
    for (const cm_edit_task *t = cm_edit_tasks; t->name; t++) {
        if (!*p->task && is_searched(t, m))
            *tasks |= bit_of(t);
        takes_factor |= (t->needs & CM_EDIT_FACTOR) && (*tasks & bit_of(t));
    }
    if (p->factor && !takes_factor)
        return cm_fail(err, CM_ERR_ARGUMENT, "factor: has no effect here, it is for upscale");
    return takes_factor ? cm_tune_judge_check_factor(p, m, err) : CM_OK;
}

cm_status cm_tune_check(const cm_tune_params *p, const cm_model *m, int fewest, unsigned *tasks,
                        cm_error *err)
{
    if (*p->log || *p->plot || p->evaluations)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: has no effect here, it is for the task sample",
                       *p->log    ? "log"
                       : *p->plot ? "plot"
                                  : "evaluations");
    if (m->steps)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "model: expected a consistency model or a diffusion teacher, found a %s, "
                       "which has no levels to choose from",
                       cm_model_kind(m));
    const cm_status s = read_tasks(p, m, tasks, err);
    if (s || p->most >= fewest)
        return s;
    return cm_fail(err, CM_ERR_ARGUMENT, "most: expected at least %d for a teacher, found %d",
                   fewest, (int)p->most);
}

cm_status cm_tune_check_needed(const cm_tune_params *p, cm_error *err)
{
    const struct {
        const char *name, *value;
    } needed[] = {{"model", p->model}, {"data", p->data}, {"weights", p->weights}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!*needed[i].value)
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a path, found none", needed[i].name);
    return CM_OK;
}

static int is_run(const char *model)
{
    struct stat st;
    return !stat(model, &st) && S_ISDIR(st.st_mode);
}

/* The model itself may be replaced, as what is written is it with other levels; no other file. */
cm_status cm_tune_check_out(const cm_tune_params *p, cm_error *err)
{
    const char *const others[] = {p->data, p->weights};
    struct stat model, out;
    char shown[512];
    cm_status s = cm_replace_ending("out", p->out, ".safetensors", err);
    if (!s)
        s = cm_replace_no_input(p->out, 2, others, err);
    if (!s)
        s = cm_model_annotate_check(is_run(p->model) ? NULL : p->model, p->out, err);
    if (s || stat(p->out, &out) || !out.st_size)
        return s;
    if (!stat(p->model, &model) && model.st_dev == out.st_dev && model.st_ino == out.st_ino)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: is there, and is not the model that is searched for: expected a new name, "
                   "that of --model, or no file there (scores are kept in the log of a search)",
                   cm_escape(shown, sizeof shown, p->out));
}

/* A file is copied but for the text; of a run it becomes what a run leaves in the end. */
cm_status cm_tune_write_out(const cm_tune_params *p, const cm_model *m, const char *key, char *text,
                            cm_error *err)
{
    cm_model with = *m;
    if (!is_run(p->model))
        return cm_model_annotate(p->model, key, text, p->out, err);
    *(strcmp(key, "edits") ? &with.sampling : &with.edits) = text;
    return cm_model_write(&with, p->out, CM_BF16, err);
}
