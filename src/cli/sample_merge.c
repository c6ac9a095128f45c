/* sample_merge.c - cm sample --merge: the parts of a set that the jobs of an array have drawn, as
 * the file that one would have */
#include "cli/edit_place.h"
#include "cli/sample_files.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is said of drawing has no effect. */
static cm_status check_given(const cli_usage *usage, cm_error *err)
{
    static const char *const used[] = {"merge", "out", "quiet", NULL};
    for (int t = 0; t < usage->table_count; t++)
        for (const cm_option *o = usage->tables[t].options; o->name; o++) {
            int is_used = 0;
            for (int i = 0; used[i]; i++)
                is_used |= !strcmp(used[i], o->name);
            if (!is_used && cli_was_given(usage, o->name))
                return cli_fail(err, CM_ERR_ARGUMENT,
                                "option '%s': has no effect here, --merge draws nothing", o->name);
        }
    return CM_OK;
}

static cm_status check(const cli_usage *usage, const char *out, const char *const *parts,
                       cm_error *err)
{
    const char *dot = strrchr(out, '.');
    int64_t next;
    cm_status status = check_given(usage, err);
    if (!status && !*parts)
        status = cli_fail(err, CM_ERR_ARGUMENT,
                          "option 'merge': expected the .npz files of the parts, found none");
    if (!status && (!dot || strcasecmp(dot, ".npz") != 0))
        status = cli_fail(err, CM_ERR_ARGUMENT,
                          "option 'out': expected an .npz file, as the parts are, found '%s'", out);
    if (!status)
        status = cm_images_check_path(out, NULL, NULL, &next, err);
    for (; !status && *parts; parts++)
        if (edit_is_same_file(out, *parts))
            status = cli_fail(err, CM_ERR_ARGUMENT,
                              "%s: is a part itself: the set would replace it", out);
    return status;
}

cm_status sample_merge(const cli_usage *usage, const char *out, const char *const *parts,
                       cm_error *err)
{
    int n = 0;
    cm_images *images = NULL;
    char *origin = NULL;
    cm_status status = check(usage, out, parts, err);
    while (parts[n])
        n++;
    if (!status)
        status = cm_images_merge(n, parts, &images, &origin, err);
    cm_layout layout = cm_layout_default();
    layout.origin = origin;
    if (!status)
        status = cm_images_write(images, out, &layout, err);
    if (!status)
        cli_say(stdout, "%s: %lld image%s of %d part%s", out, (long long)images->n,
                images->n == 1 ? "" : "s", n, n == 1 ? "" : "s");
    cm_string_free(origin);
    cm_images_free(images);
    return status;
}
