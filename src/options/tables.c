/* tables.c - the option tables, made from options.def, and the proof that they describe
 * the structs of cm.h: the same fields, in the same order, of the right types. */
#include "base/pool.h"
#include "options/options.def"
#include "options/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define ROW(config, type, field, name, initial, choices, min, max, metavar, help)                 \
    {name, CM_OPT_##type, offsetof(config, field), initial, choices, min, max, metavar, help},
#define X(...) ROW(cm_train_params, __VA_ARGS__)
static const cm_option train_options[] = {CM_TRAIN_OPTIONS(X) {0}};
#undef X
#define X(...) ROW(cm_sample_params, __VA_ARGS__)
static const cm_option sample_options[] = {CM_SAMPLE_OPTIONS(X) {0}};
#undef X
#define X(...) ROW(cm_edit, __VA_ARGS__)
static const cm_option edit_options[] = {CM_EDIT_OPTIONS(X) {0}};
#undef X
#define X(...) ROW(cm_plot_params, __VA_ARGS__)
static const cm_option plot_options[] = {CM_PLOT_OPTIONS(X) {0}};
#undef X
#define X(...) ROW(cm_eval_params, __VA_ARGS__)
static const cm_option eval_options[] = {CM_EVAL_OPTIONS(X) {0}};
#undef X
#define X(...) ROW(cm_tune_params, __VA_ARGS__)
static const cm_option tune_options[] = {CM_TUNE_OPTIONS(X) {0}};
#undef X
/* clang-format on */

/* ---- the tables and the structs agree ---- */

#define FIELD_TEXT          cm_text
#define FIELD_INT           int64_t
#define FIELD_REAL          double
#define FIELD_FLAG          int
#define X(type, field, ...) FIELD_##type field;
struct train_mirror {
    size_t size;
    CM_TRAIN_OPTIONS(X)
};
struct sample_mirror {
    size_t size;
    CM_SAMPLE_OPTIONS(X)
};
struct edit_mirror {
    size_t size;
    CM_EDIT_OPTIONS(X)
};
struct plot_mirror {
    size_t size;
    CM_PLOT_OPTIONS(X)
};

struct eval_mirror {
    size_t size;
    CM_EVAL_OPTIONS(X)
};
struct tune_mirror {
    size_t size;
    CM_TUNE_OPTIONS(X)
};
#undef X
_Static_assert(sizeof(struct train_mirror) == sizeof(cm_train_params), "a field without an option");
_Static_assert(sizeof(struct sample_mirror) == sizeof(cm_sample_params), "likewise");
_Static_assert(sizeof(struct edit_mirror) == offsetof(cm_edit, image), "likewise");
_Static_assert(sizeof(struct plot_mirror) == sizeof(cm_plot_params), "likewise");
_Static_assert(sizeof(struct eval_mirror) == sizeof(cm_eval_params), "likewise");
_Static_assert(sizeof(struct tune_mirror) == sizeof(cm_tune_params), "likewise");

#define KIND(config, field) \
    _Generic(((config *)0)->field, char *: CM_OPT_TEXT, int64_t: CM_OPT_INT, double: CM_OPT_REAL, \
             int: CM_OPT_FLAG)
#define SAME(mirror, config, type, field)                                \
    _Static_assert(offsetof(mirror, field) == offsetof(config, field) && \
                       KIND(config, field) == CM_OPT_##type,             \
                   "options.def and cm.h differ at " #field);
#define X(type, field, ...) SAME(struct train_mirror, cm_train_params, type, field)
CM_TRAIN_OPTIONS(X)
#undef X
#define X(type, field, ...) SAME(struct sample_mirror, cm_sample_params, type, field)
CM_SAMPLE_OPTIONS(X)
#undef X
#define X(type, field, ...) SAME(struct edit_mirror, cm_edit, type, field)
CM_EDIT_OPTIONS(X)
#undef X
#define X(type, field, ...) SAME(struct plot_mirror, cm_plot_params, type, field)
CM_PLOT_OPTIONS(X)
#undef X
#define X(type, field, ...) SAME(struct eval_mirror, cm_eval_params, type, field)
CM_EVAL_OPTIONS(X)
#undef X
#define X(type, field, ...) SAME(struct tune_mirror, cm_tune_params, type, field)
CM_TUNE_OPTIONS(X)
#undef X

/* ---- what is public ---- */

const cm_option *cm_edit_options(void)
{
    return edit_options;
}

cm_edit cm_edit_default(const char *task)
{
    cm_edit edit;
    memset(&edit, 0, sizeof edit);
    edit.size = sizeof edit;
    cm_options_defaults(edit_options, &edit);
    snprintf(edit.task, sizeof edit.task, "%s", task ? task : "");
    return edit;
}

/* The table and the defaults of a struct of settings; memset, since equal settings are equal
 * bytes, the padding too. */
#define SETTINGS(word)                                  \
    const cm_option *cm_##word##_options(void)          \
    {                                                   \
        return word##_options;                          \
    }                                                   \
    cm_##word##_params cm_##word##_default_params(void) \
    {                                                   \
        cm_##word##_params params;                      \
        memset(&params, 0, sizeof params);              \
        params.size = sizeof params;                    \
        cm_options_defaults(word##_options, &params);   \
        return params;                                  \
    }
SETTINGS(train)
SETTINGS(sample)
SETTINGS(plot)
SETTINGS(eval)
SETTINGS(tune)
