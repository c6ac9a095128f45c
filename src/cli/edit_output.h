/* edit_output.h - where the results of cm edit go */
#ifndef CM_CLI_EDIT_OUTPUT_H
#define CM_CLI_EDIT_OUTPUT_H

#include "cli/edit_pictures.h"

/* What has been made, and how it is wanted. */
typedef struct edit_result {
    const cm_images *images; /* `each` of a picture after the other */
    int64_t each;
    const edit_pictures *pictures; /* n 0: none */
    const uint8_t *seen;           /* [pictures] as large as the images: the middle of a strip */
    const char *seen_as;           /* its caption, and that of the last ones; NULL: numbers */
    const char *made_as;
    const char *out;
    int strip;
    cm_layout layout;
} edit_result;

/* Whether n images of this shape fit there, as many of a picture as `each` says: for before the
 * work.  Errors: CM_ERR_ARGUMENT (a sheet that is too large, a name that is too long), CM_ERR_IO.
 */
cm_status edit_output_check(const edit_result *result, int64_t n, const cm_model_facts *facts,
                            cm_error *err);

/* One picture alone, a grid or a strip (.png, .jpg, .webp; - to standard output); arrays; or a
 * folder, in which files are called as the pictures are.  Errors: those of cm_images_write. */
cm_status edit_write(const edit_result *result, cm_error *err);

#endif
