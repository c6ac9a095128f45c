/* make_data.c - writes a tiny data set for the tests of the command: 24 images of
 * 16 x 16 in 3 classes (a bar that lies, stands or crosses), as a pair of IDX
 * files.
 *
 * usage: make_data FOLDER */
#include <stdio.h>
#include <stdlib.h>

enum { images = 24, side = 16, classes = 3 };

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static int is_ink(int label, int i, int y, int x)
{
    const int bar = 3 + i % 8;
    return (label != 1 && (y == bar || y == bar + 1)) || (label != 0 && (x == bar || x == bar + 1));
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return EXIT_FAILURE;
    FILE *pixels = create(argv[1], "tiny-images-idx3-ubyte");
    FILE *labels = create(argv[1], "tiny-labels-idx1-ubyte");
    /* Magic number with type and rank, then the sizes, big-endian. */
    fwrite("\0\0\x08\x03\0\0\0\x18\0\0\0\x10\0\0\0\x10", 1, 16, pixels);
    fwrite("\0\0\x08\x01\0\0\0\x18", 1, 8, labels);
    for (int i = 0; i < images; i++) {
        const int label = i % classes;
        fputc(label, labels);
        for (int k = 0; k < side * side; k++)
            fputc(is_ink(label, i, k / side, k % side) ? 255 : 0, pixels);
    }
    return fclose(pixels) | fclose(labels) ? EXIT_FAILURE : EXIT_SUCCESS;
}
