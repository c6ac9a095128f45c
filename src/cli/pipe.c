/* pipe.c */
#include "cli/pipe.h"

#include "cli/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_is_pipe(const char *path)
{
    return !strcmp(path, "-");
}

cm_status cli_pipe_check(cm_error *err)
{
    return isatty(STDOUT_FILENO) ? cli_fail(err, CM_ERR_ARGUMENT,
                                            "option 'out': standard output is a terminal; "
                                            "expected a file or a pipe")
                                 : CM_OK;
}

/* The file goes first: a reader that has enough ends this process by a signal. */
static cm_status copy_to_output(const char *path, cm_error *err)
{
    char bytes[65536];
    FILE *f = fopen(path, "rb");
    int failed = !f;
    unlink(path);
    for (size_t n; !failed && (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        failed = fwrite(bytes, 1, n, stdout) != n;
    failed = failed || ferror(f) || fflush(stdout);
    const cm_status s =
        failed ? cli_fail(err, cli_stop_wish() == CM_TRAIN_STOP ? CM_INTERRUPTED : CM_ERR_IO,
                          "standard output: %s", strerror(errno))
               : CM_OK;
    if (f)
        fclose(f);
    return s;
}

/* A file of the library's appears whole or not at all, which a pipe cannot: by way of one. */
cm_status cli_pipe_write(cm_status (*write)(const void *what, const char *path, cm_error *err),
                         const void *what, cm_error *err)
{
    char path[4096];
    const char *folder = getenv("TMPDIR");
    const int n =
        snprintf(path, sizeof path, "%s/cm-XXXXXX.png", folder && *folder ? folder : "/tmp");
    const int fd = n < (int)sizeof path ? mkstemps(path, 4) : -1;
    if (fd < 0)
        return cli_fail(err, CM_ERR_IO, "%s: %s", path, strerror(errno));
    close(fd);
    cm_status s = write(what, path, err);
    if (!s)
        return copy_to_output(path, err);
    unlink(path);
    return s;
}
