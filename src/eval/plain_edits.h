/* plain_edits.h - what edits are without a network, for comparison
 *
 *     inpaint    the mean of what is known of the picture, each channel; the mean of all
 *                pictures, each pixel
 *     upscale    patches of one value
 *     colorize   the gray */
#ifndef CM_EVAL_PLAIN_EDITS_H
#define CM_EVAL_PLAIN_EDITS_H

#include "cm.h"

typedef struct cm_plain_edit {
    const char *task, *name;
    /* edited, of the size of pictures, gets what becomes of them by the mask or factor of edit. */
    void (*make)(const cm_images *pictures, const cm_edit *edit, cm_images *edited);
} cm_plain_edit;

extern const cm_plain_edit cm_plain_edits[]; /* ends with a NULL task */

#endif
