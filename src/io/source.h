/* source.h - the bytes of a file someone else made, on the disk or in memory: read at any
 * offset, by several threads at once. */
#ifndef CM_IO_SOURCE_H
#define CM_IO_SOURCE_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cm_source {
    char *path; /* or the name given to bytes in memory; for messages */
    int fd;     /* -1: in memory */
    const unsigned char *bytes;
    uint64_t size;
} cm_source;

/* A regular file.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_source_open(const char *path, cm_source *s, cm_error *err);
/* n bytes that must outlive the source and stay as they are.  Errors: CM_ERR_MEMORY. */
cm_status cm_source_memory(const void *bytes, size_t n, const char *name, cm_source *s,
                           cm_error *err);
/* Also of one that did not open, and of one that is all zero. */
void cm_source_close(cm_source *s);

/* Exactly n bytes at offset.  Errors: CM_ERR_IO, also when the file has become shorter;
 * CM_ERR_FORMAT when they are not inside. */
cm_status cm_source_read(const cm_source *s, void *dst, size_t n, uint64_t offset, cm_error *err);

#endif
