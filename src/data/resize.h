/* resize.h - bring one 8-bit image to the size a network takes.
 *
 * As guided-diffusion (ADM) prepares its data: halve with a box filter while
 * both sides are at least twice the wanted ones, then Keys' bicubic filter
 * (a = -0.5, widened when shrinking so that it also removes what would alias),
 * then cut out the centre.  Bytes between the passes, as there. */
#ifndef CM_DATA_RESIZE_H
#define CM_DATA_RESIZE_H

#include "cm_status.h"
#include "io/pixels.h"

#include <stdint.h>

/* The height and width that cm_image_fit makes of an h x w image: size_h x size_w; with sizes
 * of 0 its own, except 28 x 28, which is padded to 32 x 32. */
void cm_image_fit_shape(int h, int w, int size_h, int size_w, int *out_h, int *out_w);

/* src [h,w,c] to dst of that shape.  path names the image in errors:
 * CM_ERR_UNSUPPORTED (so narrow that the resized image is over 1 GiB),
 * CM_ERR_MEMORY. */
cm_status cm_image_fit(const char *path, const uint8_t *src, int h, int w, int c, int size_h,
                       int size_w, uint8_t *dst, cm_error *err);

/* Other ways to give an image a size: what of it is where.  28 x 28 in 32 x 32 are in all of
 * them the same border of zeros. */
typedef struct cm_fit {
    const char *name;
    /* The size that an h x w image gets, of which the middle size_h x size_w is the result. */
    void (*scaled)(int h, int w, int size_h, int size_w, double *to_h, double *to_w);
} cm_fit;

/* crop: covers, as cm_image_fit; pad: fits within, the border is the mean of its corners;
 * stretch.  NULL: none of that name. */
const cm_fit *cm_fit_find(const char *name);
/* Errors: as cm_image_fit. */
cm_status cm_image_fit_as(const cm_fit *fit, const char *path, const cm_image *src, int size_h,
                          int size_w, uint8_t *dst, cm_error *err);
/* The same with each pixel one of src, the nearest to its middle; the border is 0. */
void cm_image_fit_nearest(const cm_fit *fit, const cm_image *src, int size_h, int size_w,
                          uint8_t *dst);

#endif
