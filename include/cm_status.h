/* cm_status.h - what a call answers, and why.  Part of <cm.h>; the rooms of the library
 * below the public functions include this alone. */
#ifndef CM_STATUS_H
#define CM_STATUS_H

/* The symbols of the shared library; it has no others. */
#ifndef CM_API
#define CM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cm_status {
    CM_OK,
    CM_ERR_ARGUMENT, /* wrong use; exit code 2 of the command */
    CM_ERR_MEMORY,
    CM_ERR_SHAPE,       /* shapes of tensors do not fit each other */
    CM_ERR_UNSUPPORTED, /* not on this machine, or not in this build */
    CM_ERR_IO,          /* the system said no */
    CM_ERR_FORMAT,      /* a bad input file; exit code 4 */
    CM_ERR_NUMERIC,     /* not a number; exit code 3 */
    CM_INTERRUPTED,     /* the caller asked to stop; saved first; exit code 130 */
    CM_ERR_INTERNAL     /* a fault of this library; please report it */
} cm_status;

/* A fixed English phrase, never NULL. */
CM_API const char *cm_status_name(cm_status s);

/* One line, no newline, control characters escaped. */
typedef struct cm_error {
    cm_status status;
    char message[1024];
} cm_error;

#ifdef __cplusplus
}
#endif

#endif
