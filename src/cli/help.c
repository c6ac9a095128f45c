/* help.c - --help, laid out from the option tables, as wide as the terminal */
#include "cli/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { least_width = 40, most_width = 200, usual_width = 80 };

/* What the user says (COLUMNS), else the terminal, else the usual; the last column stays
 * empty, because some terminals wrap after it. */
static int text_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
        width = size.ws_col;
    if (width <= 0)
        width = usual_width;
    return (int)(width < least_width ? least_width : width > most_width ? most_width : width) - 1;
}

/* A word, or what of it fits a line of so many columns: of a list a|b|c, a path or the name of a
 * file up to a sign. */
static int piece(const char *text, int columns)
{
    const int word = (int)strcspn(text, " \n");
    for (int n = columns < word ? columns : 0; n > 0; n--)
        if (strchr("|/-_", text[n - 1]))
            return n;
    return word > columns && columns > 0 ? columns : word;
}

/* The words of text from column `at` on, where the line is now; lines after the first begin
 * at column `left`.  Ends the line. */
static void fill(const char *text, size_t length, int at, int left, int width)
{
    const char *end = text + length, *space = "";
    for (text += strspn(text, " \n"); text < end;) {
        const int n = piece(text, width - left);
        if (*space && at + 1 + n > width) {
            printf("\n%*s", left, "");
            at = left;
            space = "";
        }
        at += printf("%s%.*s", space, n, text);
        text += n;
        space = " ";
        if (text < end && !isspace((unsigned char)*text)) { /* the rest of it */
            printf("\n%*s", left, "");
            at = left;
            space = "";
        }
        text += strspn(text, " \n");
    }
    putchar('\n');
}

/* An example: where the line is too wide it goes on below, behind a \ as a shell takes it.  A
 * word that is nearly as wide as the terminal is indented less. */
static void print_example(const char *text, size_t length, int width)
{
    enum { indent = 4, room = 2 /* of " \\" */ };
    const char *end = text + length;
    int at = 0;
    if ((int)length <= width) {
        printf("%.*s\n", (int)length, text);
        return;
    }
    while (text < end) {
        const char *word = text + strspn(text, " ");
        const int n = (int)strcspn(word, " \n"), blanks = (int)(word - text);
        const int is_last = word + n >= end;
        if (at && at + blanks + n + (is_last ? 0 : room) > width) {
            const int left = width - room - n;
            at = printf(" \\\n%*s%.*s",
                        left > indent ? indent
                        : left > 0    ? left
                                      : 0,
                        "", n, word) -
                 3;
        } else
            at += printf("%*s%.*s", blanks, "", n, word);
        text = word + n;
    }
    putchar('\n');
}

/* Paragraphs are filled; a line that begins with a space is an example. */
static void print_text(const char *text, int width)
{
    while (*text) {
        const char *end = text + strcspn(text, "\n");
        if (*text == '\n' || *text == ' ') {
            print_example(text, (size_t)(end - text), width);
            text = end + (*end == '\n');
            continue;
        }
        while (*end && end[1] && end[1] != '\n' && end[1] != ' ')
            end += 1 + strcspn(end + 1, "\n");
        fill(text, (size_t)(end - text), 0, 0, width);
        text = end + (*end == '\n');
    }
}

/* "  name    what it is".  Where the first column would take half of a narrow terminal, or
 * the name is longer, what it is goes below. */
static void print_row(const char *name, const char *text, int column, int width)
{
    const int left = 2 * column > width ? 8 : column;
    int at = printf("%s", name);
    if (at + 2 > left) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", left - at, "");
    fill(text, strlen(text), left, left, width);
}

void cli_print_usage(const cli_usage *usage)
{
    enum { column = 29 };
    cli_entry list[cli_max_options];
    char help[cli_help_bytes], name[96];
    const int n = cli_list_options(usage, list), width = text_width();
    snprintf(help, sizeof help, "%s %s [OPTION...]", usage->command, usage->arguments);
    fill(help, strlen(help), printf("Usage: "), 4, width);
    print_text(usage->text, width);
    for (int i = 0; i < n; i++) {
        const cm_option *o = list[i].option;
        const int has_value = o->type != CM_OPT_FLAG;
        if (list[i].title)
            printf("\n%s\n", list[i].title);
        snprintf(name, sizeof name, "      --%s%s%s", o->name, has_value ? "=" : "",
                 has_value ? o->metavar : "");
        cli_describe_option(o, help);
        print_row(name, help, column, width);
    }
    putchar('\n');
    print_row("  -h, --help", "print this and exit", column, width);
}

void cli_print_commands(void)
{
    enum { column = 12 };
    const int width = text_width();
    char name[32];
    printf("Usage: cm COMMAND [OPTION...]\n");
    print_text(cli_about, width);
    printf("\nCommands\n");
    for (const cli_command *c = cli_commands; c->name; c++) {
        snprintf(name, sizeof name, "  %s", c->name);
        print_row(name, c->help, column, width);
    }
    printf("\nExit codes\n");
    for (const cli_exit *e = cli_exits; e->meaning; e++) {
        snprintf(name, sizeof name, "  %d", e->code);
        print_row(name, e->meaning, column, width);
    }
}
