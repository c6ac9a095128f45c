/* command.h - run the program as a user would, in a scratch folder */
#ifndef CM_TESTS_COMMAND_H
#define CM_TESTS_COMMAND_H

#include <stddef.h>

/* The program, and a folder that is removed at the end.  Ends the process when
 * there is none to be had. */
void command_start(const char *program);
void command_end(void);

/* A path in the folder; valid for seven more calls. */
__attribute__((format(printf, 1, 2))) const char *in_scratch(const char *format, ...);

/* Empty the folder. */
void scratch_clear(void);
/* Remove a file or a folder with all in it, if it is there. */
void remove_tree(const char *path);

/* Run the program in the folder with the words of the text, which single spaces part.
 * Returns the exit code (128 and more: a signal); what it printed is in the file
 * "said" of the folder. */
__attribute__((format(printf, 1, 2))) int command(const char *format, ...);

/* The same, and a failed CHECK with what it printed when that is not 0. */
__attribute__((format(printf, 1, 2))) int command_works(const char *format, ...);

/* All of a file as text, NULL when there is none; freed with free. */
char *read_text(const char *path);

#endif
