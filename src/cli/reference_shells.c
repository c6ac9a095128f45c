/* reference_shells.c - completions of bash, zsh and fish from the option tables */
#include "cli/reference.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- what an option takes -------------------------------------------------- */

/* One of some words, a file, or what nobody can guess. */
typedef enum kind { NOTHING, WORDS, FILES, UNKNOWN } kind;

/* The words are the choices, or the lower-case parts of "C|all|random". */
static kind kind_of(const cm_option *o, char words[512])
{
    const char *list = o->choices ? o->choices : o->metavar;
    size_t at = 0;
    words[0] = '\0';
    if (o->type == CM_OPT_FLAG)
        return NOTHING;
    if (cli_takes_path(o))
        return FILES;
    if (o->type != CM_OPT_TEXT || !strchr(list, '|'))
        return UNKNOWN;
    for (size_t n; *list; list += n + (list[n] == '|')) {
        n = strcspn(list, "|");
        if (n && !isupper((unsigned char)*list))
            at += (size_t)snprintf(words + at, 512 - at, "%s%.*s", at ? " " : "", (int)n, list);
    }
    return WORDS;
}

/* "a b c" of arguments "a|b|c ...", what the one argument is; else empty. */
static const char *words_of(const cli_usage *usage, char words[512])
{
    const size_t n = strcspn(usage->arguments, " ");
    snprintf(words, 512, "%.*s", (int)n, usage->arguments);
    if (!strchr(words, '|'))
        words[0] = '\0';
    for (char *c = words; (c = strchr(c, '|'));)
        *c = ' ';
    return words;
}

/* Whether the option is worth offering as --no-NAME. */
static int can_be_unset(const cm_option *o)
{
    return o->type == CM_OPT_FLAG && !strcmp(o->initial, "true");
}

/* text between single quotes, where `stop` is one more character to escape */
static void print_quoted(const char *text, const char *escaped_quote, const char *stop)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs(escaped_quote, stdout);
        else
            printf("%s%c", strchr(stop, *text) ? "\\" : "", *text);
}

static void print_command_names(void)
{
    for (const cli_command *c = cli_commands; c->name; c++)
        printf("%s ", c->name);
}

/* ---- bash ------------------------------------------------------------------ */

static void bash_begin(void)
{
    puts("# bash completion of cm; made from its option tables.\n"
         "_cm()\n"
         "{\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "    local command=${COMP_WORDS[1]} words='' takes_file=''\n"
         "    COMPREPLY=()\n"
         "    # bash parts --option=value at the =\n"
         "    if [[ $cur == = ]]; then\n"
         "        cur=''\n"
         "    elif [[ $prev == = ]]; then\n"
         "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
         "    fi\n"
         "    if ((COMP_CWORD == 1)); then\n"
         "        command='' prev=''\n"
         "    fi\n"
         "    case $command$prev in");
    fputs("    help* | '')\n        words='", stdout);
    print_command_names();
    puts("help --help --version' ;;");
}

static void bash_command(const cli_usage *usage, const char *name, int takes_file)
{
    cli_entry list[cli_max_options];
    char words[512];
    const int n = cli_list_options(usage, list);
    for (int i = 0; i < n; i++) {
        const cm_option *o = list[i].option;
        const kind k = kind_of(o, words);
        if (k == NOTHING)
            continue;
        printf("    %s--%s)\n        ", name, o->name);
        if (k == WORDS)
            printf("words='%s' ;;\n", words);
        else
            puts(k == FILES ? "takes_file=1 ;;" : "return ;;");
    }
    printf("    %s*)\n        words='", name);
    for (int i = 0; i < n; i++)
        printf("--%s %s%s%s", list[i].option->name, can_be_unset(list[i].option) ? "--no-" : "",
               can_be_unset(list[i].option) ? list[i].option->name : "",
               can_be_unset(list[i].option) ? " " : "");
    const int has_words = *words_of(usage, words) != 0;
    printf("--help%s%s'%s ;;\n", has_words ? " " : "", words,
           takes_file && !has_words ? " takes_file=1" : "");
}

static void bash_end(void)
{
    puts("    esac\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "    if [[ $takes_file && $cur != -* ]]; then\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "    fi\n"
         "}\n"
         "complete -F _cm cm");
}

/* ---- zsh ------------------------------------------------------------------- */

static void zsh_begin(void)
{
    puts("#compdef cm\n"
         "# zsh completion of cm; made from its option tables.\n"
         "_cm()\n"
         "{\n"
         "    local -a commands=(");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("        '%s:", c->name);
        print_quoted(c->help, "'\\''", "");
        puts("'");
    }
    puts("        'help:list the commands, or the options of one'\n"
         "    )\n"
         "    if ((CURRENT == 2)); then\n"
         "        _describe command commands\n"
         "        return\n"
         "    fi\n"
         "    shift words\n"
         "    ((CURRENT--))\n"
         "    case $words[1] in\n"
         "    help)\n"
         "        _describe command commands ;;");
}

static void zsh_option(const cm_option *o)
{
    char words[512], help[cli_help_bytes];
    const kind k = kind_of(o, words);
    cli_describe_option(o, help);
    printf(" \\\n            '--%s%s[", o->name, k == NOTHING ? "" : "=");
    print_quoted(help, "'\\''", "[]\\");
    putchar(']');
    if (k == WORDS)
        printf(":%s:(%s)", "value", words);
    else if (k != NOTHING)
        printf(":%s:%s", o->metavar, k == FILES ? "_files" : "");
    putchar('\'');
    if (can_be_unset(o))
        printf(" \\\n            '--no-%s[turn --%s off]'", o->name, o->name);
}

static void zsh_command(const cli_usage *usage, const char *name, int takes_file)
{
    cli_entry list[cli_max_options];
    char words[512];
    const int n = cli_list_options(usage, list);
    printf("    %s)\n        _arguments", name);
    for (int i = 0; i < n; i++)
        zsh_option(list[i].option);
    printf(" \\\n            '--help[print the options and exit]'");
    if (*words_of(usage, words))
        printf(" \\\n            '1:word:(%s)' ;;\n", words);
    else
        puts(takes_file ? " '*:file:_files' ;;" : " ;;");
}

static void zsh_end(void)
{
    puts("    esac\n"
         "}\n"
         "_cm \"$@\"");
}

/* ---- fish ------------------------------------------------------------------ */

static void fish_begin(void)
{
    puts("# fish completion of cm; made from its option tables.\n"
         "complete -c cm -f");
    for (const cli_command *c = cli_commands; c->name; c++) {
        printf("complete -c cm -n __fish_use_subcommand -a %s -d '", c->name);
        print_quoted(c->help, "\\'", "\\");
        puts("'");
    }
    fputs("complete -c cm -n __fish_use_subcommand -a help -d 'list the commands'\n"
          "complete -c cm -n '__fish_seen_subcommand_from help' -a '",
          stdout);
    print_command_names();
    puts("'");
}

static void fish_option(const char *name, const cm_option *o)
{
    char words[512], help[cli_help_bytes];
    const kind k = kind_of(o, words);
    cli_describe_option(o, help);
    printf("complete -c cm -n '__fish_seen_subcommand_from %s' -l %s ", name, o->name);
    if (k == WORDS)
        printf("-x -a '%s' ", words);
    else
        fputs(k == FILES ? "-r -F " : k == UNKNOWN ? "-x " : "", stdout);
    fputs("-d '", stdout);
    print_quoted(help, "\\'", "\\");
    puts("'");
    if (can_be_unset(o))
        printf("complete -c cm -n '__fish_seen_subcommand_from %s' -l no-%s -d 'turn it off'\n",
               name, o->name);
}

static void fish_command(const cli_usage *usage, const char *name, int takes_file)
{
    cli_entry list[cli_max_options];
    char words[512];
    const int n = cli_list_options(usage, list), has_words = *words_of(usage, words) != 0;
    for (int i = 0; i < n; i++)
        fish_option(name, list[i].option);
    printf("complete -c cm -n '__fish_seen_subcommand_from %s' -l help -d 'print the options'%s\n",
           name, takes_file && !has_words ? " -F" : "");
    if (has_words)
        printf("complete -c cm -n '__fish_seen_subcommand_from %s' -a '%s'\n", name, words);
}

static void fish_end(void)
{
}

const reference_shell reference_shells[] = {
    {"bash", bash_begin, bash_command, bash_end},
    {"zsh", zsh_begin, zsh_command, zsh_end},
    {"fish", fish_begin, fish_command, fish_end},
    {0},
};
