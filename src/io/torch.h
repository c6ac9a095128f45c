/* torch.h - PyTorch checkpoints (.pt, .pth) as files of tensors, without PyTorch.
 *
 * Two layouts, told by their first bytes:
 *     since 1.6   a zip archive, stored: NAME/data.pkl, a pickle, and a storage in each
 *                 NAME/data/KEY
 *     before      pickles one after the other - a magic number, a version, facts of the machine,
 *                 the object, the list of keys - then the storages in that order
 * The object is a tensor, or dicts, lists and tuples of them, nested at most 64 deep; names are
 * the keys joined by dots ("model.out.2.weight", "state.0.exp_avg").  Numbers and texts beside the
 * tensors are read over.
 *
 * A pickle is a program; it is not run as Python would, but by a machine that knows these things
 * alone (pickle.h, torch_values.h), and whatever else it names is refused by that name.  The
 * reader trusts nothing: every tensor lies inside its storage and has no more elements than that,
 * every storage has its place and size in the file, little-endian, and the CRC of an archive's
 * storage is checked before its first element is given.  Opening takes at most 64 MB and 16 times
 * the pickle, whatever the storages.
 * Source: PyTorch, torch/serialization.py and torch/_utils.py. */
#ifndef CM_IO_TORCH_H
#define CM_IO_TORCH_H

#include "io/safetensors.h"
#include "io/source.h"

/* Whether these first n bytes of a file are those of a checkpoint, or of another kind of zip
 * archive. */
int cm_torch_is(const unsigned char *bytes, size_t n);

/* Open it; the source is taken over, also where it fails.  The file has no metadata, its tensors
 * may share bytes, and such as are no stretch of the file have strides.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (`path: entry or pickle, byte N: expected, found`, or `path:
 * tensor "name": ...`), CM_ERR_MEMORY. */
cm_status cm_torch_open(cm_source *source, cm_st_file **file, cm_error *err);

#endif
