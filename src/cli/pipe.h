/* pipe.h - "-" in the place of a file: standard output, of the options that take it; of all
 * others a mistake */
#ifndef CM_CLI_PIPE_H
#define CM_CLI_PIPE_H

#include "cli/cli.h"

int cli_is_pipe(const char *path);

/* Whether standard output can take a picture: CM_ERR_ARGUMENT where it is a terminal. */
cm_status cli_pipe_check(cm_error *err);

/* Have write put a PNG file at a path, and copy it to standard output. */
cm_status cli_pipe_write(cm_status (*write)(const void *what, const char *path, cm_error *err),
                         const void *what, cm_error *err);

#endif
