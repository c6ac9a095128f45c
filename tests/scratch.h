/* scratch.h - a folder of its own for a test program, and small file helpers */
#ifndef CM_TESTS_SCRATCH_H
#define CM_TESTS_SCRATCH_H

#include "check.h"

#include "cm.h"

#include <dirent.h>
#include <unistd.h>

static char scratch_dir[512];

/* The path of name in the folder; stays valid for three more calls. */
static inline const char *in_dir(const char *name)
{
    static char path[4][1024];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch_dir, name);
    return p;
}

/* Files and folders in it, hidden ones too; each is removed when asked to. */
static inline int scratch_count(int remove_them)
{
    int n = 0;
    DIR *d = opendir(scratch_dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        n++;
        if (remove_them)
            remove(in_dir(e->d_name));
    }
    if (d)
        closedir(d);
    return n;
}

static inline void put(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(data, 1, n, f) == n, "cannot write %s", path);
    if (f)
        fclose(f);
}

/* The message must say this. */
static inline void has(const cm_error *err, const char *text)
{
    CHECK(strstr(err->message, text), "message \"%s\" lacks \"%s\"", err->message, text);
}

/* Like check_main, with the folder around it. */
static inline int scratch_main(const check_test *tests, size_t n)
{
    const char *base = getenv("TMPDIR"); /* else in memory where there is such a place: fast */
    if (!base)
        base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    snprintf(scratch_dir, sizeof scratch_dir, "%s/cm-test-XXXXXX", base);
    if (!mkdtemp(scratch_dir)) {
        printf("cannot make %s\n", scratch_dir);
        return EXIT_FAILURE;
    }
    const int status = check_main(tests, n);
    scratch_count(1);
    rmdir(scratch_dir);
    return status;
}

#define SCRATCH_MAIN(tests)                                          \
    int main(void)                                                   \
    {                                                                \
        return scratch_main(tests, sizeof(tests) / sizeof *(tests)); \
    }

#endif
