/* existing.c - whether a new run may begin in a folder.  A trainer killed before its first
 * checkpoint left nothing that can be continued: its folder may be begun anew. */
#include "run/existing.h"

#include "base/error.h"
#include "run/checkpoint.h"
#include "run/folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* What a run writes under a fixed name, but for the lock. */
static const char *const own_names[] = {"config.json", "log.jsonl", "samples",
                                        "stages",      "ckpt",      "model.safetensors"};

static cm_status is_there(const char *run, const char *name, int *there, cm_error *err)
{
    char path[CM_RUN_PATH];
    struct stat st;
    const cm_status s = cm_run_path(path, run, name, err);
    if (s)
        return s;
    *there = !lstat(path, &st);
    return *there || errno == ENOENT
               ? CM_OK
               : cm_fail(err, CM_ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
}

static cm_status refuse_unmarked(const char *run, cm_error *err)
{
    for (size_t i = 0; i < sizeof own_names / sizeof *own_names; i++) {
        int there = 0;
        const cm_status s = is_there(run, own_names[i], &there, err);
        if (s)
            return s;
        if (there)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "%s: holds \"%s\", which is not of a run that began here and would "
                           "be replaced (choose another --out)",
                           run, own_names[i]);
    }
    return CM_OK;
}

cm_status cm_run_refuse_existing(const char *run, cm_error *err)
{
    struct stat st;
    int any = 0, finished = 0, marked = 0;
    cm_status s;
    if (stat(run, &st))
        return errno == ENOENT
                   ? CM_OK
                   : cm_fail(err, CM_ERR_IO, "%s: cannot stat: %s", run, strerror(errno));
    if ((s = cm_checkpoint_any(run, &any, err)) || (s = cm_run_marked(run, &marked, err)) ||
        (s = is_there(run, "model.safetensors", &finished, err)))
        return s;
    if (any)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: holds a run already (continue it with --resume, or choose another "
                       "--out)",
                       run);
    if (finished && marked)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: holds the model of a finished run already (choose another --out)", run);
    return marked ? CM_OK : refuse_unmarked(run, err);
}
