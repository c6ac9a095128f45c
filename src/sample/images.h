/* images.h - generated images: memory, and files */
#ifndef CM_SAMPLE_IMAGES_H
#define CM_SAMPLE_IMAGES_H

#include "cm.h"

/* n images [h,w,c], zeroed, labels too; NULL: out of memory. */
cm_images *cm_images_new(int64_t n, int h, int w, int c);
void cm_images_release(cm_images *images); /* NULL is allowed */
/* As cm_images_check_path and cm_images_write (cm.h). */
cm_status cm_images_check(const char *path, int64_t *next, cm_error *err);
cm_status cm_images_save(const cm_images *images, const char *path, int columns, cm_error *err);

#endif
