/* validate.c - cm_validate: whether a file or run is what it says */
#include "api/door.h"
#include "base/memory.h"
#include "io/weights_file.h"
#include "model/released.h"
#include "run/resolve.h"
#include "sample/edit_levels.h"
#include "sample/own_levels.h"

#include <inttypes.h>
#include <math.h>
#include <sys/stat.h>

/* What only edits look at. */
static cm_status check_edits(const cm_model *m, cm_error *err)
{
    cm_edit_search *search = cm_alloc(sizeof *search);
    const cm_status s = search ? cm_edit_search_read(m, search, err)
                               : cm_fail(err, CM_ERR_MEMORY, "edits: out of memory");
    cm_free(search);
    return s;
}

/* What training would have stopped at. */
static cm_status check_weights(const cm_model *m, cm_error *err)
{
    for (int i = 0; i < cm_params_size(m->params); i++) {
        const cm_param *p = cm_params_at(m->params, i);
        const int64_t n = cm_type_count(&p->type);
        for (int64_t k = 0; k < n; k++)
            if (!isfinite(m->flat[p->offset + (size_t)k]))
                return cm_fail(err, CM_ERR_FORMAT,
                               "%s: tensor \"%s\": expected finite numbers, found %g at element "
                               "%" PRId64,
                               cm_model_name(m), p->name, (double)m->flat[p->offset + (size_t)k],
                               k);
    }
    return CM_OK;
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
    if (!s && is_model)
        s = check_weights(model, err);
    if (!s && is_model && !cm_model_is_classifier(model))
        s = check_edits(model, err);
    if (!s && is_model && !cm_model_is_classifier(model))
        s = cm_own_levels_check(model, err);
    cm_model_release(model);
    return s;
}
