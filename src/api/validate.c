/* validate.c - cm_validate: whether a file or run is what it says */
#include "api/door.h"
#include "base/memory.h"
#include "io/weights_file.h"
#include "model/released.h"
#include "run/resolve.h"
#include "sample/edit_levels.h"

#include <sys/stat.h>

/* What only edits look at. */
static cm_status check_edits(const char *path, const cm_model *m, cm_error *err)
{
    cm_error why = {0};
    cm_edit_search *search = cm_alloc(sizeof *search);
    const cm_status s = search ? cm_edit_search_read(m, search, &why)
                               : cm_fail(&why, CM_ERR_MEMORY, "edits: out of memory");
    cm_free(search);
    return s ? cm_fail(err, s, "%s: %s", path, why.message) : CM_OK;
}

cm_status cm_validate(const char *path, cm_error *err)
{
    struct stat st;
    cm_st_file *file = NULL;
    cm_model *model = NULL;
    cm_status s = cm_door_text("path", path, err);
    if (s)
        return s;
    int is_model = !stat(path, &st) && S_ISDIR(st.st_mode);
    if (!is_model) {
        int torch = 0;
        s = cm_weights_open(path, &file, &torch, err);
        is_model = !s && (torch ? cm_released_is(path) : !!cm_st_metadata(file, "config"));
        cm_st_close(file);
    }
    if (!s && is_model)
        s = cm_run_open_model(path, &model, err);
    if (!s && is_model && !cm_model_is_classifier(model))
        s = check_edits(path, model, err);
    cm_model_release(model);
    return s;
}
