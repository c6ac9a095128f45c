/* door.c */
#include "api/door.h"

#include "base/error.h"
#include "base/pool.h"
#include "base/utf8.h"
#include "model/model.h"
#include "options/options.h"

#include <inttypes.h>
#include <string.h>

enum { MOST_TEXT = 4096, MOST_SIDE = 65535, MOST_CHANNELS = 4096 };

cm_status cm_door_pointers(const cm_door_pointer *list, cm_error *err)
{
    for (; list->name; list++)
        if (!list->pointer)
            return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a pointer, found NULL", list->name);
    return CM_OK;
}

cm_status cm_door_size(const char *what, size_t found, size_t expected, cm_error *err)
{
    return found == expected
               ? CM_OK
               : cm_fail(err, CM_ERR_ARGUMENT,
                         "%s: size: expected %zu bytes, found %zu: not set, or compiled with "
                         "another cm.h",
                         what, expected, found);
}

cm_status cm_door_range(const char *what, int64_t found, int64_t min, int64_t max, cm_error *err)
{
    return found >= min && found <= max
               ? CM_OK
               : cm_fail(err, CM_ERR_ARGUMENT,
                         "%s: expected %" PRId64 " to %" PRId64 ", found %" PRId64, what, min, max,
                         found);
}

cm_status cm_door_text(const char *what, const char *text, cm_error *err)
{
    if (!text)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected text, found NULL", what);
    if (!*text)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected text, found none", what);
    if (!memchr(text, '\0', MOST_TEXT))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: expected text of at most %d bytes, found '%.40s...'", what,
                       MOST_TEXT - 1, text);
    return CM_OK;
}

cm_status cm_door_option(const cm_option *table, const char *of, const char *name, cm_error *err)
{
    char shown[64];
    const cm_status s = cm_door_text("name", name, err);
    if (s || cm_option_find(table, name))
        return s;
    return cm_fail(err, CM_ERR_ARGUMENT, "name: expected an option of %s, found '%s'", of,
                   cm_escape(shown, sizeof shown, name));
}

cm_status cm_door_train_params(const cm_train_params *p, cm_error *err)
{
    cm_status s = cm_door_need(err, {"params", p});
    if (!s)
        s = cm_door_size("train params", p->size, sizeof *p, err);
    return s ? s : cm_options_check(cm_train_options(), p, err);
}

cm_status cm_door_sample_params(const cm_sample_params *p, cm_error *err)
{
    cm_status s = cm_door_need(err, {"params", p});
    if (!s)
        s = cm_door_size("sample params", p->size, sizeof *p, err);
    return s ? s : cm_options_check(cm_sample_options(), p, err);
}

cm_status cm_door_plot_params(const cm_plot_params *p, cm_error *err)
{
    cm_status s = cm_door_need(err, {"params", p});
    if (!s)
        s = cm_door_size("plot params", p->size, sizeof *p, err);
    return s ? s : cm_options_check(cm_plot_options(), p, err);
}

cm_status cm_door_eval_params(const cm_eval_params *p, cm_error *err)
{
    cm_status s = cm_door_need(err, {"params", p});
    if (!s)
        s = cm_door_size("eval params", p->size, sizeof *p, err);
    return s ? s : cm_options_check(cm_eval_options(), p, err);
}

cm_status cm_door_tune_params(const cm_tune_params *p, cm_error *err)
{
    cm_status s = cm_door_need(err, {"params", p});
    if (!s)
        s = cm_door_size("tune params", p->size, sizeof *p, err);
    return s ? s : cm_options_check(cm_tune_options(), p, err);
}

/* ---- structs whose fields no option table describes ---- */

struct field {
    const char *name;
    int64_t found, min, max;
};

static cm_status check_fields(const char *what, const struct field *f, size_t n, cm_error *err)
{
    char name[64];
    cm_status s = CM_OK;
    for (size_t i = 0; i < n && !s; i++) {
        snprintf(name, sizeof name, "%s: %s", what, f[i].name);
        s = cm_door_range(name, f[i].found, f[i].min, f[i].max, err);
    }
    return s;
}

/* What an edit keeps of pictures; NULL: none. */
static cm_status check_given(const char *what, const cm_images *m, cm_error *err)
{
    cm_error why = {0};
    return m && cm_door_images(m, &why)
               ? cm_fail(err, CM_ERR_ARGUMENT, "edit: %s: %.900s", what, why.message)
               : CM_OK;
}

static cm_status check_edit(const cm_edit *e, cm_error *err)
{
    cm_status s = cm_door_size("edit", e->size, sizeof *e, err);
    if (!s)
        s = cm_options_check(cm_edit_options(), e, err);
    if (!s)
        s = check_given("image", e->image, err);
    return s ? s : check_given("mask", e->mask, err);
}

cm_status cm_door_request(const cm_request *r, cm_error *err)
{
    cm_status s = cm_door_need(err, {"request", r});
    if (!s)
        s = cm_door_size("request", r->size, sizeof *r, err);
    if (s)
        return s;
    const struct field fields[] = {{"num", r->num, 1, CM_MOST_IMAGES},
                                   {"first", r->first, 0, CM_MOST_FIRST},
                                   {"seed", r->seed, 0, CM_MOST_SEED},
                                   {"draws", r->draws, 0, INT32_MAX},
                                   {"as_float", r->as_float, 0, 1}};
    s = check_fields("request", fields, sizeof fields / sizeof *fields, err);
    return s || !r->edit ? s : check_edit(r->edit, err);
}

cm_status cm_door_shape(const cm_images *m, cm_error *err)
{
    cm_status s = cm_door_need(err, {"images", m});
    if (!s)
        s = cm_door_size("images", m->size, sizeof *m, err);
    if (s)
        return s;
    const struct field fields[] = {{"n", m->n, 1, CM_MOST_IMAGES},
                                   {"h", m->h, 1, MOST_SIDE},
                                   {"w", m->w, 1, MOST_SIDE},
                                   {"c", m->c, 1, MOST_CHANNELS},
                                   {"first", m->first, 0, CM_MOST_FIRST}};
    return check_fields("images", fields, sizeof fields / sizeof *fields, err);
}

cm_status cm_door_images(const cm_images *m, cm_error *err)
{
    const cm_status s = cm_door_shape(m, err);
    return s ? s : cm_door_need(err, {"images: pixels", m->pixels});
}

cm_status cm_door_labels(const cm_images *m, const cm_model *model, cm_error *err)
{
    const int64_t most = model ? model->net.num_classes - 1 : INT64_MAX;
    char name[64];
    cm_status s = CM_OK;
    for (int64_t i = 0; m->labels && i < m->n && !s; i++)
        if (m->labels[i] < -1 || m->labels[i] > most) {
            snprintf(name, sizeof name, "images: labels: element %" PRId64, i);
            s = cm_door_range(name, m->labels[i], -1, most, err);
        }
    return s;
}

static int can_be_shown(const char *text)
{
    uint32_t code;
    for (int n; *text; text += n)
        if (!(n = cm_utf8_next(text, &code)) || !cm_is_shown(code))
            return 0;
    return 1;
}

cm_status cm_door_layout(const cm_layout *l, cm_error *err)
{
    char found[128];
    cm_status s = cm_door_need(err, {"layout", l});
    if (!s)
        s = cm_door_size("layout", l->size, sizeof *l, err);
    if (s)
        return s;
    const struct field fields[] = {{"columns", l->columns, -1, CM_MOST_COLUMNS},
                                   {"scale", l->scale, 1, CM_MOST_SCALE},
                                   {"captions", l->captions, 0, 1}};
    s = check_fields("layout", fields, sizeof fields / sizeof *fields, err);
    if (!s && l->heading && *l->heading)
        s = cm_door_text("layout: heading", l->heading, err);
    if (!s && l->heading && !can_be_shown(l->heading))
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "layout: heading: expected UTF-8 without control characters, found %s",
                    cm_escape(found, sizeof found, l->heading));
    if (!s && l->origin && !can_be_shown(l->origin))
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "layout: origin: expected UTF-8 without control characters, found %s",
                    cm_escape(found, sizeof found, l->origin));
    return s;
}

cm_status cm_door_texts(const char *const *texts, int64_t n, cm_error *err)
{
    for (int64_t i = 0; texts && i < n; i++)
        if (!texts[i] || !memchr(texts[i], '\0', MOST_TEXT) || !can_be_shown(texts[i]))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "layout: texts: element %" PRId64
                           ": expected UTF-8 of at most %d bytes without control characters, "
                           "found %s",
                           i, MOST_TEXT - 1, texts[i] ? "another" : "NULL");
    return CM_OK;
}

cm_status cm_door_work(const cm_work *w, cm_error *err)
{
    cm_status s = cm_door_need(err, {"work", w});
    if (!s)
        s = cm_door_size("work", w->size, sizeof *w, err);
    if (!s)
        s = cm_door_text("work: kind", w->kind, err);
    if (!s)
        s = cm_door_text("work: dtype", w->dtype, err);
    if (s)
        return s;
    const struct field fields[] = {{"batch", w->batch, 1, CM_MOST_BATCH},
                                   {"micro_batch", w->micro_batch, 0, CM_MOST_BATCH},
                                   {"recompute", w->recompute, 0, 1},
                                   {"threads", w->threads, 0, CM_POOL_MOST}};
    return check_fields("work", fields, sizeof fields / sizeof *fields, err);
}
