/* annotate.h - a model file with one text of its metadata changed, and nothing else: the bytes of
 * every tensor, whatever its type, and all other texts are those of the file */
#ifndef CM_MODEL_ANNOTATE_H
#define CM_MODEL_ANNOTATE_H

#include "cm_status.h"

/* Whether `to` can be written: it is a new file, or a model, which may be `from` itself; and from
 * is a .safetensors file, or NULL.  For before the work.  Errors: CM_ERR_ARGUMENT, CM_ERR_IO,
 * CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_annotate_check(const char *from, const char *to, cm_error *err);
/* Write it.  The file appears whole or not at all.  Takes the bytes of the tensors in memory.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_annotate(const char *from, const char *key, const char *text, const char *to,
                            cm_error *err);

#endif
