/* replay.c - what libFuzzer's targets were fed with before: each file of the folders named is
 * given to the target that this is linked with. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MAX_FILE = 1 << 20 };

static int replay_file(const char *path)
{
    uint8_t *bytes = malloc(MAX_FILE);
    FILE *f = fopen(path, "rb");
    if (!f || !bytes) {
        perror(path);
        exit(1);
    }
    const size_t n = fread(bytes, 1, MAX_FILE, f);
    fclose(f);
    bytes = realloc(bytes, n ? n : 1); /* so that a sanitizer knows its end */
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 1;
}

static int replay_folder(const char *folder)
{
    char path[1024];
    int files = 0;
    DIR *d = opendir(folder);
    if (!d) {
        perror(folder);
        exit(1);
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.500s/%.500s", folder, e->d_name);
        puts(path); /* the last line before a crash */
        fflush(stdout);
        files += replay_file(path);
    }
    closedir(d);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++)
        files += replay_folder(argv[i]);
    printf("%d files\n", files);
    return files < argc - 1;
}
