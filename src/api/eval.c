/* eval.c - the public functions that judge: samples, and noise levels */
#include "api/door.h"
#include "base/error.h"
#include "eval/collect.h"
#include "eval/evaluate.h"
#include "eval/lpips_pairs.h"
#include "eval/tune_tasks.h"

cm_status cm_eval(const cm_eval_params *params, const cm_sample_params *sampling,
                  const cm_eval_hooks *hooks, char **text, cm_error *err)
{
    cm_scores scores;
    cm_status s = cm_door_need(err, {"text", text});
    if (!s)
        s = cm_door_eval_params(params, err);
    if (!s)
        s = cm_door_sample_params(sampling, err);
    if (!s && hooks)
        s = cm_door_size("eval hooks", hooks->size, sizeof *hooks, err);
    if (!s && params->lpips && cm_group_size(cm_eval_group(hooks)) > 1)
        s = cm_fail(err, CM_ERR_ARGUMENT, "lpips: is the work of one process, found %d together",
                    cm_group_size(cm_eval_group(hooks)));
    if (!s)
        s = params->lpips ? cm_lpips_pairs(params, sampling, hooks, &scores, err)
                          : cm_evaluate(params, sampling, hooks, &scores, err);
    if (s)
        return s;
    *text = NULL;
    if (cm_group_rank(cm_eval_group(hooks)))
        return CM_OK;
    char *report = params->json ? cm_scores_json(&scores) : cm_scores_text(&scores);
    if (!report)
        return cm_fail(err, CM_ERR_MEMORY, "scores: out of memory");
    *text = report;
    return CM_OK;
}

cm_status cm_tune(const cm_tune_params *params, const cm_eval_hooks *hooks,
                  void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    cm_status s = cm_door_tune_params(params, err);
    if (!s && hooks)
        s = cm_door_size("eval hooks", hooks->size, sizeof *hooks, err);
    if (!s && cm_group_size(cm_eval_group(hooks)) > 1)
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "eval hooks: group: expected NULL, a search is the work of "
                    "one process");
    return s ? s : cm_tune_task(params, hooks, line, user, err);
}
