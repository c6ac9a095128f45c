/* exif.h - which way is up, as a camera noted it */
#ifndef CM_IO_EXIF_H
#define CM_IO_EXIF_H

#include "io/pixels.h"

/* The orientation, 1 to 8, of the APP1 segment of a JPEG file; 1, upright, where it says none
 * or makes no sense. */
int cm_exif_orientation(const uint8_t *segment, size_t size);

/* Turn the image upright; a number outside 1 to 8 counts as upright.  Errors: CM_ERR_MEMORY. */
cm_status cm_image_orient(cm_image *im, int orientation, const char *name, cm_error *err);

#endif
