/* tune_tasks.c - which search a task is for: of samples alone, or of edits, of which there may be
 * several */
#include "eval/tune_tasks.h"

#include "eval/tune.h"
#include "eval/tune_check.h"
#include "eval/tune_points.h"

#include <string.h>

static const struct search {
    const char *task; /* NULL: all others */
    cm_status (*run)(const cm_tune_params *params, const cm_eval_hooks *hooks,
                     void (*line)(void *user, const char *text), void *user, cm_error *err);
} searches[] = {{"sample", cm_tune_points}, {NULL, cm_tune_edits}};

cm_status cm_tune_task(const cm_tune_params *p, const cm_eval_hooks *hooks,
                       void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    const struct search *s = searches;
    const cm_status status = cm_tune_check_needed(p, err);
    while (s->task && strcmp(s->task, p->task) != 0)
        s++;
    return status ? status : s->run(p, hooks, line, user, err);
}
