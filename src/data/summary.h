/* summary.h - what a user should know about a data set before training on it */
#ifndef CM_DATA_SUMMARY_H
#define CM_DATA_SUMMARY_H

#include "data/dataset.h"

/* Call line with each line: images by kind, classes, files left out by kind; size, crop and
 * channels; warnings; then at most `names` of the files left out, each with its reason. */
void cm_dataset_summary(const cm_dataset *data, int64_t names,
                        void (*line)(void *user, const char *text), void *user);

/* "photos: 2 files left out, the first of them photos/x.png: ..."; empty: none is.  source is
 * escaped already; returns text. */
enum { CM_LEFT_OUT = 480 };
const char *cm_dataset_left_out(const cm_dataset *data, const char *source, char text[CM_LEFT_OUT]);

/* Call line with each line: mean and standard deviation of the values as the network sees
 * them, and how many images are copies of others. */
void cm_dataset_statistics(const cm_dataset *data, void (*line)(void *user, const char *text),
                           void *user);

/* A contact sheet of at most `most` images, evenly picked, as training sees them, with their
 * classes, in a PNG file; each pixel becomes scale x scale. */
cm_status cm_dataset_sheet(const cm_dataset *data, int most, int scale, const char *path,
                           cm_error *err);

#endif
