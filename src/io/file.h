/* file.h - whole files in, whole files out.
 *
 * A reader takes a regular file into memory, with a cap.  A writer stages: the
 * bytes go to a temporary file in the same folder, which takes the final name
 * only once they are on the disk.  So nobody ever sees half a file, not even
 * after a kill or a power cut; what a kill leaves is .tmp-PID-K beside it.  A link of that
 * name is replaced, not written through. */
#ifndef CM_IO_FILE_H
#define CM_IO_FILE_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

/* Read a whole regular file of at most max_bytes.  *data is freed with cm_free
 * and is never NULL on success; one zero byte follows it.
 * Errors: CM_ERR_IO (missing, unreadable, not a regular file), CM_ERR_FORMAT
 * (larger than max_bytes), CM_ERR_MEMORY. */
cm_status cm_file_read(const char *path, size_t max_bytes, void **data, size_t *size,
                       cm_error *err);

/* The same for a file that may be gzip (told by its first bytes, not its name).
 * max_bytes also caps the inflated size.
 * Errors: as above; CM_ERR_FORMAT also for a truncated or damaged gzip file. */
cm_status cm_gz_read(const char *path, size_t max_bytes, void **data, size_t *size, cm_error *err);

/* The same on bytes already in memory; name is for messages.  Plain bytes are
 * copied. */
cm_status cm_gz_read_memory(const void *bytes, size_t n, const char *name, size_t max_bytes,
                            void **data, size_t *size, cm_error *err);

/* Open path for reading as a regular file (a FIFO or device is refused without
 * blocking).  *fd is closed by the caller.  Errors: CM_ERR_IO, CM_ERR_MEMORY (also for want
 * of file descriptors: no verdict on the file). */
cm_status cm_file_open(const char *path, int *fd, uint64_t *size, cm_error *err);

/* Read exactly n bytes at offset.  Errors: CM_ERR_IO, also when the file ends early. */
cm_status cm_file_pread(int fd, const char *path, void *dst, size_t n, uint64_t offset,
                        cm_error *err);

typedef struct cm_file_writer cm_file_writer;

/* Start a file that will replace path on commit.  path must not be a folder. */
cm_status cm_file_create(const char *path, cm_file_writer **w, cm_error *err);

/* Whether cm_file_create can: for before the work. */
cm_status cm_file_check(const char *path, cm_error *err);

/* Append n bytes at the current position (the end, unless cm_file_seek moved it). */
cm_status cm_file_write(cm_file_writer *w, const void *data, size_t n, cm_error *err);

/* Move the position, as some containers patch a header afterwards. */
void cm_file_seek(cm_file_writer *w, uint64_t offset);
uint64_t cm_file_tell(const cm_file_writer *w);

/* The file will have this many bytes: claim them now, so that a full disk is found
 * before the work and the message says how much room is missing. */
cm_status cm_file_reserve(cm_file_writer *w, uint64_t bytes, cm_error *err);

/* fsync, rename onto path, fsync the folder.  Frees w in every case; on an error
 * before the rename path is as it was and the temporary file is gone. */
cm_status cm_file_commit(cm_file_writer *w, cm_error *err);

/* Give up: remove the temporary file and free w.  NULL is allowed. */
void cm_file_abandon(cm_file_writer *w);

/* All of these: a file of n bytes at path, whole or not at all. */
cm_status cm_file_save(const char *path, const void *data, size_t n, cm_error *err);

/* One level, below a folder that is there, or nothing where it exists already. */
cm_status cm_make_dir(const char *path, cm_error *err);

/* mkdir -p.  A folder that exists already is fine. */
cm_status cm_make_dirs(const char *path, cm_error *err);

/* fsync a folder: makes renames and removals in it last. */
cm_status cm_dir_sync(const char *path, cm_error *err);

#endif
