/* edit_place.c */
#include "cli/edit_place.h"

#include "cli/cli.h"
#include "cli/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- inputs ------------------------------------------------------------------ */

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int edit_is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && is_same(&x, &y);
}

/* The part of path that is there, as a path from the root; 0: none is. */
static int find_there(const char *path, char real[PATH_MAX])
{
    char at[PATH_MAX];
    for (snprintf(at, sizeof at, "%s", path); !realpath(at, real);) {
        char *slash = strrchr(at, '/');
        if (!strcmp(at, ".") || !strcmp(at, "/"))
            return 0;
        snprintf(slash ? slash + (slash == at) : at, 2, "%s", slash ? "" : ".");
    }
    return 1;
}

/* Whether path, which need not be there, is this folder or below it. */
static int is_within(const char *path, const struct stat *folder)
{
    char real[PATH_MAX];
    struct stat st;
    for (char *end = find_there(path, real) ? real + strlen(real) : NULL; end;
         end = strrchr(real, '/')) {
        *end = '\0';
        if (!stat(*real ? real : "/", &st) && is_same(&st, folder))
            return 1;
    }
    return 0;
}

/* A folder is an input with all that is below it; results in a folder have names of their
 * inputs. */
int edit_would_replace(const char *input, const char *out)
{
    struct stat in, to;
    char folder[PATH_MAX];
    const char *slash = strrchr(input, '/');
    const int is_there = !stat(out, &to), to_folder = is_there && S_ISDIR(to.st_mode);
    if (!*input || stat(input, &in))
        return 0;
    if (S_ISDIR(in.st_mode))
        return is_within(out, &in) || (to_folder && is_within(input, &to));
    if (!to_folder)
        return is_there && is_same(&in, &to);
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - input) + 1 : 1,
             slash ? input : ".");
    return !stat(folder, &in) && is_same(&in, &to);
}

/* A folder given as one of two pictures would hold much, and --out be blamed for it. */
cm_status edit_place_check(const char *out, const char *image, const char *to, const char *mask,
                           cm_error *err)
{
    const struct {
        const char *option, *path;
    } inputs[] = {{NULL, image}, {"to", to}, {"mask", mask}};
    struct stat st;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const char *path = inputs[i].path;
        if (inputs[i].option && *path && !stat(path, &st) && S_ISDIR(st.st_mode))
            return cli_fail(err, CM_ERR_IO, "option '%s': %s: expected a picture, found a folder",
                            inputs[i].option, path);
        if (!cli_is_pipe(out) && edit_would_replace(path, out))
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "%s: is the input itself or among the inputs, or holds them: results "
                            "would replace them",
                            out);
    }
    return CM_OK;
}

/* ---- others ------------------------------------------------------------------ */

cm_status edit_place_folders(const char *path, size_t n, int *made, cm_error *err)
{
    char folder[PATH_MAX];
    for (size_t at = 0; at < n;) {
        at += 1 + strcspn(path + at + 1, "/");
        snprintf(folder, sizeof folder, "%.*s", (int)at, path);
        const int failed = mkdir(folder, 0777);
        if (failed && errno != EEXIST)
            return cli_fail(err, CM_ERR_IO, "%s: cannot make the folder: %s", folder,
                            strerror(errno));
        if (made)
            *made = !failed;
    }
    return CM_OK;
}

/* The lock is on the folder itself, and goes with the process however that ends.  A file system
 * without such locks has none. */
cm_status edit_place_take(edit_place *p, const char *folder, cm_error *err)
{
    *p = (edit_place){.folder = folder, .lock = -1};
    const cm_status s = edit_place_folders(folder, strlen(folder), &p->made, err);
    if (s)
        return s;
    p->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->lock < 0)
        return cli_fail(err, CM_ERR_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
    if (flock(p->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return cli_fail(err, CM_ERR_IO,
                        "%s: another cm edit writes to this folder: wait for it, or give another",
                        folder);
    return CM_OK;
}

void edit_place_leave(edit_place *p)
{
    if (p->made)
        rmdir(p->folder); /* which is refused where there are results */
    if (p->lock >= 0)
        close(p->lock);
    *p = (edit_place){.lock = -1};
}
