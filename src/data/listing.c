/* listing.c - walk an image folder in an order that depends on names only: not
 * on the file system, not on the locale */
#include "data/listing.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16 };

static cm_status out_of_memory(cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "image folder: out of memory");
}

/* Make room for one more element; NULL when out of memory. */
static void *room_for_one(void *array, size_t n, size_t *capacity, size_t elem)
{
    if (n < *capacity)
        return array;
    const size_t larger = *capacity ? 2 * *capacity : 64;
    void *grown = cm_grow(array, n * elem, larger * elem);
    if (grown)
        *capacity = larger;
    return grown;
}

static char *join(cm_arena *arena, const char *folder, const char *name)
{
    const size_t a = strlen(folder), b = strlen(name);
    const int slash = a > 0 && folder[a - 1] != '/';
    char *path = cm_arena_alloc(arena, a + b + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, a);
    if (slash)
        path[a] = '/';
    memcpy(path + a + (size_t)slash, name, b + 1);
    return path;
}

typedef struct names {
    const char **name;
    size_t n, capacity;
} names;

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The entries of a folder, sorted. */
static cm_status read_names(cm_arena *arena, const char *folder, names *list, cm_error *err)
{
    char shown[512];
    DIR *dir = opendir(folder);
    if (!dir)
        return cm_fail(err, CM_ERR_IO, "%s: folder: %s", cm_escape(shown, sizeof shown, folder),
                       strerror(errno));
    cm_status s = CM_OK;
    errno = 0; /* readdir tells an error from the end by it */
    for (struct dirent *e; s == CM_OK && (e = readdir(dir)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        const char **grown = room_for_one(list->name, list->n, &list->capacity, sizeof *list->name);
        const char *copy = cm_arena_strdup(arena, e->d_name);
        if (grown)
            list->name = grown;
        if (!grown || !copy)
            s = out_of_memory(err);
        else
            list->name[list->n++] = copy;
    }
    if (s == CM_OK && errno)
        s = cm_fail(err, CM_ERR_IO, "%s: folder: %s", cm_escape(shown, sizeof shown, folder),
                    strerror(errno));
    closedir(dir);
    if (list->n)
        qsort(list->name, list->n, sizeof *list->name, by_bytes);
    return s;
}

static cm_status add_file(cm_listing *list, const char *path, int32_t label, const char *no_source,
                          cm_error *err)
{
    cm_listing_file *files =
        room_for_one(list->files, list->n, &list->capacity, sizeof *list->files);
    if (!files)
        return out_of_memory(err);
    list->files = files;
    list->files[list->n++] = (cm_listing_file){path, label, no_source};
    return CM_OK;
}

static cm_status add_class(cm_listing *list, const char *name, cm_error *err)
{
    const char **classes =
        room_for_one(list->classes, list->n_classes, &list->class_capacity, sizeof *list->classes);
    if (!classes)
        return out_of_memory(err);
    list->classes = classes;
    list->classes[list->n_classes++] = name;
    return CM_OK;
}

/* A folder on the way from the root of the file system to where the walk is, by what it is and
 * not by its name; a link back to one of them would never end. */
typedef struct place {
    dev_t device;
    ino_t number;
    const struct place *above;
} place;

static int leads_back(const place *p, const struct stat *st)
{
    for (; p; p = p->above)
        if (p->device == st->st_dev && p->number == st->st_ino)
            return 1;
    return 0;
}

/* Where the walk is. */
typedef struct position {
    const char *folder;
    int32_t label;
    int depth; /* 0: the folder of the data itself */
    const place *above;
} position;

static cm_status walk(cm_listing *list, const position *at, cm_error *err);

static cm_status visit(cm_listing *list, const position *at, const char *name, cm_error *err)
{
    struct stat st;
    const char *path = join(&list->arena, at->folder, name);
    if (!path)
        return out_of_memory(err);
    /* What cannot be looked at counts as a file: its reader will say why. */
    if (name[0] == '.')
        return add_file(list, path, at->label, "hidden", err);
    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return add_file(list, path, at->label, NULL, err);
    if (leads_back(at->above, &st))
        return add_file(list, path, at->label, "a link to a folder above", err);
    const place here = {st.st_dev, st.st_ino, at->above};
    position below = {path, at->label, at->depth + 1, &here};
    if (at->depth > 0)
        return walk(list, &below, err);
    const size_t before = list->n;
    below.label = (int32_t)list->n_classes;
    const cm_status s = walk(list, &below, err);
    return s == CM_OK && list->n > before ? add_class(list, name, err) : s;
}

static cm_status walk(cm_listing *list, const position *at, cm_error *err)
{
    char shown[512];
    names entries = {0};
    if (at->depth > MAX_DEPTH)
        return cm_fail(err, CM_ERR_FORMAT, "%s: folder: expected at most %d levels, found more",
                       cm_escape(shown, sizeof shown, at->folder), MAX_DEPTH);
    cm_status s = read_names(&list->arena, at->folder, &entries, err);
    for (size_t i = 0; s == CM_OK && i < entries.n; i++)
        s = visit(list, at, entries.name[i], err);
    cm_free(entries.name);
    return s;
}

/* The folder of the data and those above it; of those that cannot be looked at no link leads
 * anywhere. */
static cm_status find_places(cm_arena *arena, const char *folder, const place **innermost,
                             cm_error *err)
{
    char path[PATH_MAX];
    struct stat st;
    *innermost = NULL;
    if (!realpath(folder, path))
        return CM_OK; /* which reading it will tell */
    for (size_t n = 0, more = 1; more; n += more ? 1 + strcspn(path + n + 1, "/") : 0) {
        const char kept = path[n];
        path[n] = '\0';
        const int found = !stat(n ? path : "/", &st);
        path[n] = kept;
        more = kept != '\0';
        place *p = found ? cm_arena_alloc(arena, sizeof *p) : NULL;
        if (found && !p)
            return out_of_memory(err);
        if (found) {
            *p = (place){st.st_dev, st.st_ino, *innermost};
            *innermost = p;
        }
    }
    return CM_OK;
}

cm_status cm_listing_read(const char *folder, cm_listing *list, cm_error *err)
{
    position root = {.folder = folder, .label = -1};
    const cm_status s = find_places(&list->arena, folder, &root.above, err);
    return s ? s : walk(list, &root, err);
}

void cm_listing_free(cm_listing *list)
{
    cm_free(list->files);
    cm_free(list->classes);
    cm_arena_free(&list->arena);
    *list = (cm_listing){0};
}
