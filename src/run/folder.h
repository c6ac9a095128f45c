/* folder.h - the folder of one training run: names of things in it, listing
 * and removing them, and the lock that keeps a second trainer out.
 *
 *     RUN/lock                              held while a trainer runs
 *     RUN/log.jsonl                         log.h
 *     RUN/ckpt/00012000/, RUN/ckpt/latest   checkpoint.h */
#ifndef CM_RUN_FOLDER_H
#define CM_RUN_FOLDER_H

#include "base/memory.h"
#include "cm_status.h"

#include <jansson.h>

enum { CM_RUN_PATH = 4096 }; /* bytes of a path, its final zero included */

/* Write FOLDER/NAME to path, of CM_RUN_PATH bytes.  Errors: CM_ERR_ARGUMENT (too long). */
cm_status cm_run_path(char *path, const char *folder, const char *name, cm_error *err);

/* The file of the weight average of this rate: ema_0.9999.safetensors.  Rates that differ
 * have names that differ. */
enum { CM_EMA_NAME = 64 };
const char *cm_run_ema_name(char name[CM_EMA_NAME], double rate);
/* Where it is in a checkpoint's folder; runs of before 0.1 wrote ten digits of the rate. */
cm_status cm_run_ema_path(char *path, const char *folder, double rate, cm_error *err);

/* Write a value to a file that appears whole, on the disk, or not at all.
 * Errors: CM_ERR_IO, CM_ERR_MEMORY (also for json NULL, as a constructor gives). */
cm_status cm_run_json_write(const char *path, const json_t *json, cm_error *err);

/* Take the lock RUN/lock, making the folder when it is missing (CM_LOCK_MAKE) or not.  It
 * goes with *fd, which cm_run_unlock closes, or with the process, however that ends.
 * Errors: CM_ERR_IO, also when another trainer holds it or the file is no lock of ours. */
typedef enum cm_lock_use { CM_LOCK_MAKE, CM_LOCK_THERE } cm_lock_use;
cm_status cm_run_lock(const char *run, cm_lock_use use, int *fd, cm_error *err);
void cm_run_unlock(int fd);
/* Whether RUN/lock is still the one that is held, before anything is written: who moves or
 * removes the folder of a run that goes on, or puts another in its place, ends it.
 * Errors: CM_ERR_IO. */
cm_status cm_run_held(const char *run, int fd, cm_error *err);

/* The lock's text is the mark of a folder that a trainer made or filled: only there
 * something may be replaced or removed.  A folder without a lock has none. */
cm_status cm_run_marked(const char *run, int *marked, cm_error *err);
cm_status cm_run_mark(const char *run, int fd, cm_error *err);

/* Make RUN/NAME, or accept it: a folder, never a link to one.  RUN is there, and is not made
 * again where someone took it away.  Writes its path, of
 * CM_RUN_PATH bytes. */
cm_status cm_run_subfolder(const char *run, const char *name, char *path, cm_error *err);

/* The names in a folder except . and .., in no order. */
typedef struct cm_name {
    const struct cm_name *next;
    const char *text;
} cm_name;

/* *names (NULL: an empty folder) lives in the arena.  Errors: CM_ERR_IO, CM_ERR_MEMORY (also
 * for want of file descriptors). */
cm_status cm_folder_names(const char *folder, cm_arena *arena, const cm_name **names,
                          cm_error *err);

/* Give what is not ours, or cannot be removed, a name that no trainer looks at and people see:
 * kept-00000007 for 00000007 or .del-00000007, with -1, -2 and so on where that is taken. */
cm_status cm_folder_set_aside(const char *path, cm_error *err);

/* Remove a file, a link (not what it points to) or a folder of a checkpoint; that nothing is
 * there is fine.  A folder loses the files that a trainer wrote (of their names); where
 * anything else is in it, it is set aside with that.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_folder_remove(const char *path, cm_error *err);

/* Remove what a killed process, or a failed removal, left behind in a folder: the names that
 * file.c and checkpoint.c make (.tmp-1234-0, .tmp-00000007-1234, .tmp-latest, .del-00000007),
 * and no others.  For the holder of the run's lock.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_folder_clean(const char *folder, cm_error *err);

#endif
