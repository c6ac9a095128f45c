/* command.c - run the program as a user would, in a scratch folder */
#define _XOPEN_SOURCE 700 /* nftw */
#include "command.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 160, MAX_COMMAND = 4096 };

static char program[4096], scratch[512];

_Noreturn static void give_up(const char *what, const char *path)
{
    printf("FAIL %s %s: %s\n", what, path, strerror(errno));
    exit(EXIT_FAILURE);
}

void command_start(const char *name)
{
    if (!realpath(name, program))
        give_up("cannot find", name);
    const char *base = getenv("TMPDIR"); /* else in memory where there is such a place: fast */
    if (!base)
        base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    snprintf(scratch, sizeof scratch, "%s/cm-test-XXXXXX", base);
    if (!mkdtemp(scratch))
        give_up("cannot make", scratch);
}

const char *in_scratch(const char *format, ...)
{
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    const int n = snprintf(path, sizeof paths[0], "%s/", scratch);
    va_list ap;
    va_start(ap, format);
    vsnprintf(path + n, sizeof paths[0] - (size_t)n, format, ap);
    va_end(ap);
    return path;
}

/* ---- folders ------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_clear(void)
{
    remove_tree(scratch);
    if (mkdir(scratch, 0700))
        give_up("cannot make", scratch);
}

void command_end(void)
{
    remove_tree(scratch);
}

char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = NULL;
    size_t n = 0, room = 0;
    do {
        room = room ? 2 * room : 4096;
        text = realloc(text, room + 1);
        if (!text)
            give_up("out of memory for", path);
        n += fread(text + n, 1, room - n, f);
    } while (n == room);
    text[n] = '\0';
    fclose(f);
    return text;
}

/* ---- running ------------------------------------------------------------- */

_Noreturn static void become(char **words)
{
    const int in = open("/dev/null", O_RDONLY);
    if (chdir(scratch))
        _exit(126);
    const int out = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    execv(program, words);
    _exit(127);
}

static int run(char *line)
{
    char *words[MAX_WORDS + 2] = {program};
    int n = 1;
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
        if (n > MAX_WORDS) {
            errno = E2BIG;
            give_up("too many words for", program);
        }
        words[n++] = word;
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0)
        give_up("cannot start", program);
    if (child == 0)
        become(words);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            give_up("cannot wait for", program);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void format_line(char *line, const char *format, va_list ap)
{
    const int n = vsnprintf(line, MAX_COMMAND, format, ap);
    if (n < 0 || n >= MAX_COMMAND) {
        errno = E2BIG;
        give_up("too long a command for", program);
    }
}

int command(const char *format, ...)
{
    char line[MAX_COMMAND];
    va_list ap;
    va_start(ap, format);
    format_line(line, format, ap);
    va_end(ap);
    return run(line);
}

int command_works(const char *format, ...)
{
    char line[MAX_COMMAND], shown[MAX_COMMAND];
    va_list ap;
    va_start(ap, format);
    format_line(line, format, ap);
    va_end(ap);
    strcpy(shown, line);
    const int code = run(line);
    char *said = code ? read_text(in_scratch("said")) : NULL;
    CHECK(!code, "cm %s: exit code %d: %s", shown, code, said ? said : "");
    free(said);
    return !code;
}
