/* picture.h - images as the bytes of one picture file */
#ifndef CM_SAMPLE_PICTURE_H
#define CM_SAMPLE_PICTURE_H

#include "cm.h"
#include "draw/sheet.h"

/* Images of 1 or 3 channels as a grid, in a format of io/image, or as a GIF, a frame a column of
 * it.  name is for messages; *bytes is freed with cm_free.
 * Errors: CM_ERR_ARGUMENT (a layout that they do not fit), CM_ERR_MEMORY. */
cm_status cm_picture_grid(const cm_images *images, const char *format, const char *name,
                          const cm_layout *layout, uint8_t **bytes, size_t *size, cm_error *err);
cm_status cm_picture_film(const cm_images *images, const char *name, const cm_layout *layout,
                          uint8_t **bytes, size_t *size, cm_error *err);

/* How the grid is laid out, or each frame of the film. */
cm_sheet_layout cm_picture_layout(const cm_images *images, const cm_layout *layout, int is_film);

#endif
