/* images.h - generated images: memory, and files */
#ifndef CM_SAMPLE_IMAGES_H
#define CM_SAMPLE_IMAGES_H

#include "cm.h"

/* What images may have beside pixels and labels; or they are of labels alone. */
enum { CM_WITH_VALUES = 1, CM_WITH_NOISE = 2, CM_WITHOUT_PIXELS = 4 };

/* n images [h,w,c], zeroed, labels too, and what else is asked for; NULL: out of memory. */
cm_images *cm_images_new(int64_t n, int h, int w, int c, int with);
/* Whether they are such, and so can be filled again; NULL is not. */
int cm_images_fit(const cm_images *images, int64_t n, int h, int w, int c, int with);
void cm_images_release(cm_images *images); /* NULL is allowed */
/* As cm_images_check_path (cm.h). */
cm_status cm_images_check(const char *path, const cm_images *expected, const cm_layout *layout,
                          int64_t *next, cm_error *err);
/* As cm_images_write, cm_images_encode and cm_images_decode (cm.h), whose arguments are in
 * range and not NULL; name is for messages. */
cm_status cm_images_save(const cm_images *images, const char *path, const cm_layout *layout,
                         cm_error *err);
cm_status cm_images_to_memory(const cm_images *images, const char *kind, const cm_layout *layout,
                              void **bytes, size_t *size, cm_error *err);
cm_status cm_images_from_memory(const void *bytes, size_t size, const char *name,
                                cm_images **images, cm_error *err);
/* As cm_images_resize and cm_images_noise (cm.h). */
cm_status cm_images_fit_as(const cm_images *images, int h, int w, int c, const char *fit,
                           int nearest, cm_images **resized, cm_error *err);
/* As cm_images_read_noise (cm.h). */
cm_status cm_images_noise_of_file(const cm_model *model, const char *path, cm_images **images,
                                  cm_error *err);
double cm_images_noise_level(const cm_images *images, int64_t i);

#endif
