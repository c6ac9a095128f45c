/* manifest.h - manifest.json, which makes a checkpoint complete: the name, size
 * and hash of every other file of its folder.
 *
 *     {"version": 1, "step": 12000,
 *      "files": [{"name": "model.safetensors", "size": 8192, "xxh3": "0123456789abcdef"}, ...]}
 *
 * xxh3 is the 64-bit XXH3 of the file's bytes, seed 0, in hexadecimal: it finds
 * truncation and flipped bits, not malice. */
#ifndef CM_RUN_MANIFEST_H
#define CM_RUN_MANIFEST_H

#include "cm_status.h"

#include <stdint.h>

enum { CM_MANIFEST_MAX_FILES = 64 };

/* A name a manifest may hold: letters, digits, ".", "_" and "-", no dot first, so
 * that it stays in its folder; below 128 bytes; not the manifest's own. */
int cm_manifest_name_ok(const char *name);

/* Read back, hash and record n files of the folder; the manifest is on the disk
 * when this returns.  The names are ok and differ.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_manifest_write(const char *folder, int64_t step, int n, const char *const *names,
                            cm_error *err);

typedef enum cm_manifest_depth { CM_MANIFEST_SIZES, CM_MANIFEST_HASHES } cm_manifest_depth;

/* CM_OK when the folder holds what its manifest says, which includes state.json.
 * CM_MANIFEST_SIZES reads no file but the manifest.
 * Errors: CM_ERR_IO (a file missing or unreadable), CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_manifest_check(const char *folder, int64_t step, cm_manifest_depth depth,
                            cm_error *err);

#endif
