/* sample_names.h - the files of a folder of samples: 000012.png, 000012_cat.png */
#ifndef CM_DATA_SAMPLE_NAMES_H
#define CM_DATA_SAMPLE_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { CM_SAMPLE_NAME = 128 };

/* "000012_cat.png"; without a name "000012_class3.png", without a class (-1) "000012.png".  Of
 * the name, what a shell or another system may stumble over becomes a dash: blanks, slashes and
 * \ : * ? " < > |, control characters, dots at its start; more than 64 bytes are cut off.
 * Returns buf. */
const char *cm_sample_name(char buf[CM_SAMPLE_NAME], int64_t number, int64_t label,
                           const char *class_name);

/* The class in the name of such a file, "cat" or "class3", *n bytes of path; NULL: it is none, or
 * has no class. */
const char *cm_sample_class(const char *path, size_t *n);
/* Whether such a text is that of a class of this number and name (NULL: it has none). */
int cm_sample_is_of(const char *text, int64_t label, const char *class_name);

/* The number after the last sample of a folder; 0: it has none, or is not there. */
int64_t cm_sample_next(const char *folder);

#endif
