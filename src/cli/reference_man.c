/* reference_man.c - man pages (man(7)) from the option tables */
#include "cli/reference.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* roff takes a dot or a quote at the start of a line for a request, and - for a hyphen that
 * cannot be copied as an option.  A list of choices may be broken after each. */
static void print_escaped(const char *text, size_t length)
{
    if (length && (*text == '.' || *text == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '-' || text[i] == '\\')
            fputs(text[i] == '-' ? "\\-" : "\\e", stdout);
        else if (text[i] == '|')
            fputs("|\\:", stdout);
        else
            putchar(text[i]);
}

static void print_line(const char *text)
{
    print_escaped(text, strlen(text));
    putchar('\n');
}

/* Paragraphs; lines that begin with a space are examples. */
static void print_text(const char *text)
{
    int in_example = 0, gap = 0;
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        const int is_example = *text == ' ';
        if (!n) {
            gap = 1;
            continue;
        }
        if (in_example && !is_example)
            puts(".EE\n.RE");
        if (gap && !(is_example && in_example))
            puts(".PP");
        if (is_example && !in_example)
            puts(".RS 4\n.EX");
        in_example = is_example;
        gap = 0;
        print_escaped(text + strspn(text, " "), n - strspn(text, " "));
        putchar('\n');
    }
    if (in_example)
        puts(".EE\n.RE");
}

/* (toupper): the macro is a page of code. */
static void print_capitals(const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c == '-')
            fputs("\\-", stdout);
        else
            putchar((toupper)((unsigned char)*c));
}

static void print_head(const char *name, const char *help)
{
    printf(".\\\" Made from the option tables of the command by src/cli/reference_man.c.\n.TH ");
    print_capitals(name);
    printf(" 1 \"\" \"cm " CM_VERSION "\" \"Consistency models\"\n.ad l\n.SH NAME\n");
    print_escaped(name, strlen(name));
    fputs(" \\- ", stdout);
    print_line(help);
}

static void print_options(const cli_usage *usage)
{
    cli_entry list[cli_max_options];
    char help[cli_help_bytes];
    const int n = cli_list_options(usage, list), is_grouped = n && usage->groups;
    puts(".SH OPTIONS");
    for (int i = 0; i < n; i++) {
        const cm_option *o = list[i].option;
        if (list[i].title && is_grouped)
            printf(".SS %s\n", list[i].title);
        fputs(".TP\n\\fB\\-\\-", stdout);
        print_escaped(o->name, strlen(o->name));
        fputs("\\fR", stdout);
        if (o->type != CM_OPT_FLAG)
            printf("=\\fI%s\\fR", o->metavar);
        putchar('\n');
        cli_describe_option(o, help);
        print_line(help);
    }
    puts(".SS Help\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint the options and exit");
}

static void print_exits(void)
{
    puts(".SH EXIT STATUS");
    for (const cli_exit *e = cli_exits; e->meaning; e++) {
        printf(".TP\n%d\n", e->code);
        print_line(e->meaning);
    }
    puts(".SH DIAGNOSTICS\n"
         "An error is one line on standard error: \"cm: \", then the file or the option, what\n"
         "was expected and what was found.  Nothing is left behind of an output that failed.");
}

static void print_see_also(const char *command)
{
    const char *between = "";
    puts(".SH SEE ALSO");
    if (command) {
        fputs(".BR cm (1)", stdout);
        between = " ,\n";
    }
    for (const cli_command *c = cli_commands; c->name; c++) {
        if (command && !strcmp(c->name, command))
            continue;
        printf("%s.BR cm\\-%s (1)", between, c->name);
        between = " ,\n";
    }
    putchar('\n');
}

void reference_man(const cli_usage *usage, const char *help)
{
    const char *command = usage->command + strlen("cm ");
    char name[64];
    snprintf(name, sizeof name, "cm-%s", command);
    print_head(name, help);
    printf(".SH SYNOPSIS\n.B %s\n", usage->command);
    if (*usage->arguments)
        print_line(usage->arguments);
    puts("[\\fIOPTION\\fR...]\n.SH DESCRIPTION");
    print_text(usage->text);
    print_options(usage);
    print_exits();
    print_see_also(command);
}

void reference_man_of_cm(void)
{
    print_head("cm", "train, distil and sample one-step image generators");
    puts(".SH SYNOPSIS\n.B cm\n\\fICOMMAND\\fR [\\fIOPTION\\fR...]\n.SH DESCRIPTION");
    print_text(cli_about);
    puts(".SH COMMANDS");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf(".TP\n\\fB%s\\fR\n", c->name);
        print_line(c->help);
    }
    puts(".TP\n\\fBhelp\\fR [\\fICOMMAND\\fR]\nlist the commands, or the options of one");
    print_exits();
    puts(".SH ENVIRONMENT\n"
         ".TP\n.B CM_ISA\nthe instruction set of the kernels, at most: plain, avx2, avx512 or\n"
         "avx512_bf16 (default: the best that the processor has)\n"
         ".TP\n.B COLUMNS\nthe width of help (default: that of the terminal)");
    print_see_also(NULL);
}
