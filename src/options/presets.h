/* presets.h - settings of training that go together under one name */
#ifndef CM_OPTIONS_PRESETS_H
#define CM_OPTIONS_PRESETS_H

#include "options/options.h"

typedef struct cm_preset {
    const char *name;
    const char *meant;             /* what it is meant for */
    int most_pixels;               /* of the images it is meant for; 0: any */
    const cm_option_value *values; /* ends with a NULL name */
} cm_preset;

/* From the quickest to the largest, which takes any images; the last has a NULL name. */
extern const cm_preset cm_presets[];

#endif
