/* edit_list.c */
#include "cli/edit_list.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Hidden files are what other programs leave in a folder: they are told by the first of them. */
typedef struct folder_walk {
    edit_list *list;
    const char *folder;
    int hidden;
    char first[256];
} folder_walk;

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What of path is below a folder that it begins with. */
static const char *part_below(const char *folder, const char *path)
{
    path += strlen(folder);
    return path + strspn(path, "/");
}

static cm_status add(edit_list *l, const char *path, const char *below, const char *class_name,
                     cm_error *err)
{
    if (l->n == l->room) {
        const int64_t room = l->room ? 2 * l->room : 64;
        edit_file *grown = realloc(l->file, (size_t)room * sizeof *grown);
        if (!grown)
            return cli_fail(err, CM_ERR_MEMORY, "pictures: out of memory");
        l->file = grown;
        l->room = room;
    }
    edit_file *f = &l->file[l->n++];
    f->path = strdup(path);
    f->class_name = class_name ? strdup(class_name) : NULL;
    if (!f->path || (class_name && !f->class_name))
        return cli_fail(err, CM_ERR_MEMORY, "pictures: out of memory");
    f->below = f->path + (below - path);
    return CM_OK;
}

static cm_status visit(void *user, const char *path, const char *class_name, const char *why_not,
                       cm_error *err)
{
    folder_walk *w = user;
    const char *below = part_below(w->folder, path);
    if (!why_not)
        return add(w->list, path, below, class_name, err);
    if (*last_part(path) != '.')
        cli_say(stderr, "cm: left out: %s: %s", path, why_not);
    else if (!w->hidden++)
        snprintf(w->first, sizeof w->first, "%s", below);
    return CM_OK;
}

static cm_status add_folder(edit_list *list, const char *folder, cm_error *err)
{
    folder_walk w = {.list = list, .folder = folder};
    list->of_folder = 1;
    const cm_status s = cm_images_list(folder, visit, &w, err);
    if (w.hidden == 1)
        cli_say(stderr, "cm: left out of %s: a hidden file, %s", folder, w.first);
    else if (w.hidden)
        cli_say(stderr, "cm: left out of %s: %d hidden files, the first of them %s", folder,
                w.hidden, w.first);
    return s;
}

static cm_status add_file(edit_list *list, const char *path, cm_error *err)
{
    return add(list, path, last_part(path), NULL, err);
}

cm_status edit_list_read(const char *image, const char *to, edit_list *list, cm_error *err)
{
    struct stat st;
    const int is_folder = !stat(image, &st) && S_ISDIR(st.st_mode);
    const cm_status s = is_folder ? add_folder(list, image, err) : add_file(list, image, err);
    return s || !*to ? s : add_file(list, to, err);
}

void edit_list_free(edit_list *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        free(l->file[i].path);
        free(l->file[i].class_name);
    }
    free(l->file);
    *l = (edit_list){0};
}
