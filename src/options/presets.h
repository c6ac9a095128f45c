/* presets.h - settings of training that go together under one name */
#ifndef CM_OPTIONS_PRESETS_H
#define CM_OPTIONS_PRESETS_H

#include "options/options.h"

typedef struct cm_preset {
    const char *name;
    const char *meant;             /* what it is meant for */
    int most_pixels;               /* of each image that it is meant for; 0: any */
    int64_t most_images;           /* that it is meant for: more can teach a larger one; 0: any */
    const cm_option_value *values; /* ends with a NULL name */
} cm_preset;

/* From the quickest to the largest, which takes any images; the last has a NULL name. */
extern const cm_preset cm_presets[];

#endif
