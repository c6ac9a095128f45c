/* sample_files.h - cm sample: its files, and what is done beside drawing */
#ifndef CM_CLI_SAMPLE_FILES_H
#define CM_CLI_SAMPLE_FILES_H

#include "cli/cli.h"

typedef struct sample_files {
    cm_text model, out, heading, trajectory, noise, save_noise;
    int64_t columns, scale;
    int captions, go_on, merge;
    int to_folder; /* what out is */
} sample_files;

/* What is found in the file of --noise; without it *noise stays NULL.  config gets what it says and
 * the user does not. */
cm_status sample_noise_read(const cli_usage *usage, const sample_files *files,
                            const cm_model *model, cm_sample_params *config, cm_images **noise,
                            cm_error *err);
/* Draws of the file, and the classes that it was found for, if there are, unless --class is given.
 * x_T alone may go before what the seed adds, but not some of several draws. */
cm_status sample_noise_use(const cli_usage *usage, const sample_files *files, cm_images *noise,
                           const cm_sampler *sampler, cm_request *request, cm_error *err);

/* For the noise that is not in a file, and random classes. */
int sample_uses_seed(const cli_usage *usage, const cm_images *noise, const cm_sampler *sampler);

/* cm sample --merge: the parts of a set, as one file.  most: of the arguments; NULL: no more. */
enum { sample_most_parts = 10000 };
cm_status sample_merge(const cli_usage *usage, const char *out, const char *const *parts,
                       cm_error *err);

#endif
