/* sample_names.c - class names made safe for files, numbers and classes read back */
#include "data/sample_names.h"

#include "base/utf8.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 64, DIGITS = 6 };

static int is_safe(uint32_t code, int is_first)
{
    return cm_is_shown(code) && code != 0xa0 &&
           (code > 0x7f || !strchr(" /\\:*?\"<>|", (int)code)) && !(is_first && code == '.');
}

/* Whole characters of name, at most MOST_NAME bytes. */
static void make_safe(char to[MOST_NAME + 1], const char *name)
{
    size_t n = 0;
    while (*name) {
        uint32_t code = 0;
        const int length = cm_utf8_next(name, &code), safe = length && is_safe(code, !n);
        const size_t bytes = safe ? (size_t)length : 1;
        if (n + bytes > MOST_NAME)
            break;
        memcpy(to + n, safe ? name : "-", bytes);
        n += bytes;
        name += length ? length : 1;
    }
    to[n] = '\0';
}

/* "cat", "class3"; without a class nothing. */
static void class_text(char to[MOST_NAME + 1], int64_t label, const char *class_name)
{
    *to = '\0';
    if (class_name && *class_name)
        make_safe(to, class_name);
    else if (label >= 0)
        snprintf(to, MOST_NAME + 1, "class%lld", (long long)label);
}

const char *cm_sample_name(char buf[CM_SAMPLE_NAME], int64_t number, int64_t label,
                           const char *class_name)
{
    char name[MOST_NAME + 1];
    class_text(name, label, class_name);
    snprintf(buf, CM_SAMPLE_NAME, "%0*lld%s%s.png", DIGITS, (long long)number, *name ? "_" : "",
             name);
    return buf;
}

/* Of a name of ours, else -1: six digits, or more of which the first is no zero. */
static int64_t number_of(const char *name)
{
    const size_t n = strlen(name), digits = strspn(name, "0123456789");
    if (n < 4 || strcmp(name + n - 4, ".png") != 0 || digits < DIGITS || digits > 18 ||
        (digits > DIGITS && *name == '0') || (name[digits] != '_' && digits != n - 4))
        return -1;
    return strtoll(name, NULL, 10);
}

const char *cm_sample_class(const char *path, size_t *n)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t digits = strspn(name, "0123456789"), rest = strlen(name) - digits;
    if (number_of(name) < 0 || rest <= sizeof "_.png" - 1 || !cm_utf8_ok(name))
        return NULL;
    *n = rest - (sizeof "_.png" - 1);
    return name + digits + 1;
}

int cm_sample_is_of(const char *text, int64_t label, const char *class_name)
{
    char name[MOST_NAME + 1];
    class_text(name, label, class_name);
    return *name && !strcmp(name, text);
}

int64_t cm_sample_next(const char *folder)
{
    int64_t next = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const int64_t number = number_of(e->d_name);
        next = number >= next ? number + 1 : next;
    }
    if (d)
        closedir(d);
    return next;
}
