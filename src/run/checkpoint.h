/* checkpoint.h - checkpoints that are complete or not there.
 *
 *     RUN/ckpt/00012000/NAME.safetensors   tensors
 *     RUN/ckpt/00012000/state.json         step, seed, log offset: integers and settings
 *     RUN/ckpt/00012000/manifest.json      sizes and hashes; written last
 *     RUN/ckpt/latest                      a link to the newest, for people
 *     RUN/ckpt/.tmp-*, .del-*              being written, being removed
 *     RUN/ckpt/kept-00012000               what someone put into one that was removed
 *
 * A process killed at any instant, or a full disk, leaves the checkpoints that
 * were complete before.  Writing and cleaning are for the holder of the run's lock
 * (folder.h); looking needs none. */
#ifndef CM_RUN_CHECKPOINT_H
#define CM_RUN_CHECKPOINT_H

#include "cm_status.h"
#include "io/safetensors.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define CM_CKPT_MAX_STEP INT64_C(999999999999999)

typedef struct cm_ckpt_file {
    const char *name; /* "model.safetensors"; see cm_manifest_name_ok */
    int n;
    const cm_st_entry *entries;
    const cm_st_maker *maker; /* of entries without data; NULL: none is */
    int n_meta;
    const char *const *meta_keys, *const *meta_values;
} cm_ckpt_file;

/* Write the checkpoint of this step, then remove all older ones but so many that
 * `keep` (at least 1) complete ones remain.  A complete checkpoint of the step
 * that is there already is kept as it is; a damaged one is replaced.  Files are written in turn,
 * and their tensors in the order of cm_st_write.  state, an
 * object, stays the caller's and is written with "step" set to step.
 * On an error earlier checkpoints are as they were; only when the message says
 * "is saved, but" the new one is there too, and linking or removing failed.
 * RUN/ckpt is made when missing, RUN is not; a link in its place is not followed.
 * Errors: CM_ERR_IO (a full disk: names the file and the bytes it needs),
 * CM_ERR_ARGUMENT, CM_ERR_MEMORY. */
cm_status cm_checkpoint_write(const char *run, int64_t step, int n_files, const cm_ckpt_file *files,
                              json_t *state, int keep, cm_error *err);

typedef enum cm_ckpt_access {
    CM_CKPT_LOOK,  /* change nothing; a trainer may be running */
    CM_CKPT_RESUME /* also remove what an interrupted trainer left half done */
} cm_ckpt_access;

/* Whether any checkpoint is there, complete or damaged.
 * Errors (then there may be one): CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_checkpoint_any(const char *run, int *any, cm_error *err);

/* Find the newest checkpoint whose manifest, sizes and hashes hold; write its
 * folder to path.  note (size 0: NULL allowed) gets one line on the newer ones
 * that were skipped, and why, or becomes empty.  A writer beside it may prune: what it
 * takes away meanwhile is not looked at, and what it adds is.
 * Errors: CM_ERR_IO (no checkpoints there), CM_ERR_FORMAT (none is complete; says
 * why), CM_ERR_ARGUMENT (path too small), CM_ERR_MEMORY (no verdict on a newer one). */
cm_status cm_checkpoint_find(const char *run, cm_ckpt_access use, char *path, size_t size,
                             char *note, size_t note_size, cm_error *err);

/* Read state.json of a folder from cm_checkpoint_find.  *state is freed with
 * json_decref.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_checkpoint_state(const char *path, json_t **state, cm_error *err);

#endif
