/* cli.h - what the subcommands share: the table of commands, and options read
 * from the tables of cm.h.
 *
 * This folder speaks to the library only through cm.h. */
#ifndef CM_CLI_CLI_H
#define CM_CLI_CLI_H

#include "cm.h"

#include <stdio.h>

/* clang-format off */
#define CLI_COMMANDS(X)                                                                           \
    X(train,   1, "train a teacher, distil it, or train a consistency model alone")                 \
    X(data,    0, "say what a set of images holds, before training on it")                          \
    X(sample,  1, "generate images from a model")                                                   \
    X(edit,    0, "inpaint, colorize, upscale, denoise or vary pictures")                           \
    X(eval,    1, "score images against real ones: FID, precision, recall and others")              \
    X(tune,    0, "find the noise levels that suit edits and samples")                              \
    X(info,    0, "describe a model, a run folder or a .safetensors file")                          \
    X(validate, 0, "check models, runs and .safetensors files before they are used")                \
    X(plot,    0, "draw what runs logged: loss, scores, speed")                                     \
    X(forward, 0, "run the raw network on tensors from a file")                                     \
    X(explain, 0, "print the compiled plan: steps, shapes, memory, times")                          \
    X(bench,   1, "time training steps and sampling of a model")
/* clang-format on */

/* Each runs one subcommand; argv[0] is its name.  A failure is described in *err;
 * main prints it and turns the status into an exit code. */
#define X(name, shares, help) cm_status cli_##name(int argc, char **argv, cm_error *err);
CLI_COMMANDS(X)
#undef X

/* A table of options and the struct that its offsets refer to. */
typedef struct cli_table {
    const cm_option *options;
    void *config;
    unsigned char *given; /* [i] is set where argv gives option i; NULL: nobody asks */
} cli_table;

/* Options that --help and the man page show together, in this order. */
typedef struct cli_group {
    const char *title;
    const char *options; /* names, parted by spaces */
} cli_group;

/* What a subcommand accepts. */
typedef struct cli_usage {
    const char *command;   /* "cm sample" */
    const char *arguments; /* "--model MODEL --out X [OPTION...]"; "a|b|c ..." where the one
                              argument is a word of these */
    const char *text;      /* what it does, then examples; lines of at most 79 bytes */
    const cli_table *tables;
    int table_count;
    const cli_group *groups; /* the common ones first; ends with a NULL title.  NULL: none */
} cli_usage;

/* Set what argv gives and leave everything else as it is, so that defaults and
 * configuration files come first and the same argv can be read again over them.
 * *argument is the one argument that is not an option, NULL when there is none;
 * with argument NULL there must be none.  --help prints and exits.
 * Errors: CM_ERR_ARGUMENT; an unknown option proposes the nearest one; an empty value is none,
 * and "-" no file but where an option takes it. */
cm_status cli_parse(const cli_usage *usage, int argc, char **argv, const char **argument,
                    cm_error *err);

/* The same with up to `most` arguments, in argv's order; those behind the last are NULL. */
cm_status cli_parse_several(const cli_usage *usage, int argc, char **argv, const char **arguments,
                            int most, cm_error *err);

/* What an option takes is a file or folder, or, where its value is called X, "-" too: standard
 * output. */
int cli_takes_path(const cm_option *o);

/* Whether argv gave this option, of a table whose given is not NULL. */
int cli_was_given(const cli_usage *usage, const char *name);

/* Copy the options of these names (the last is NULL) from a table of the library's, and the
 * end of the table: their ranges, defaults and help are written once. */
enum { cli_most_taken = 16 };
void cli_take_options(cm_option to[cli_most_taken], const cm_option *from,
                      const char *const *names);

/* ---- what there is to read about a command ------------------------------- */

enum { cli_max_options = 96, cli_help_bytes = 320 };

/* An option in its place; the first of a group has its title. */
typedef struct cli_entry {
    const char *title;
    const cm_option *option;
} cli_entry;

/* The options in the order of the groups, those of none after them; returns how many. */
int cli_list_options(const cli_usage *usage, cli_entry list[cli_max_options]);
/* "images a step (default 128)"; an empty default goes without saying. */
void cli_describe_option(const cm_option *o, char text[cli_help_bytes]);
/* Print --help, as wide as the terminal. */
void cli_print_usage(const cli_usage *usage);

/* The command itself: its text as that of a cli_usage, and what it ends with. */
extern const char cli_about[];
typedef struct cli_exit {
    int code;
    cm_status status; /* that ends so; of code 1: one of several */
    const char *meaning;
} cli_exit;
extern const cli_exit cli_exits[]; /* ends with a NULL meaning */
typedef struct cli_command {
    const char *name;
    cm_status (*run)(int argc, char **argv, cm_error *err);
    const char *help;
    int shares; /* its work with the processes that mpirun started beside it */
} cli_command;
extern const cli_command cli_commands[]; /* ends with a NULL name */
/* Print the list of commands. */
void cli_print_commands(void);

/* ---- small helpers --------------------------------------------------------- */

/* Copy text with what a terminal must not see raw (control characters, changes of direction,
 * bytes that are not UTF-8) as \xNN.  The library escapes what it says; this is for arguments. */
void cli_escape(char *to, size_t size, const char *text);
/* Print text, which is escaped and UTF-8; what is not ASCII as \xNN where the locale (LC_ALL,
 * LC_CTYPE, LANG) is of another character set. */
void cli_print(FILE *f, const char *text);
/* Print a line, escaped. */
void cli_say(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Fill *err, escaped, and return s. */
cm_status cli_fail(cm_error *err, cm_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* CM_ERR_ARGUMENT when value is empty: the option must be given. */
cm_status cli_require(const cli_usage *usage, const char *option, const char *value, cm_error *err);

/* Every option of cm_sample_options that argv gave changes something, whatever its value: a
 * library that sees the values alone cannot tell. */
cm_status cli_check_sampling(const cli_usage *usage, const cm_model *model,
                             const cm_sample_params *params, cm_error *err);

/* A line on stderr where there are more threads than cores. */
void cli_warn_threads(int64_t threads);

/* Seconds from an arbitrary moment. */
double cli_seconds(void);

/* Print text and free it with cm_string_free. */
void cli_print_text(char *text);

#endif
