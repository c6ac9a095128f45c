/* png_checksums.h - damage that gets past the checksums of a PNG */
#ifndef CM_TEST_PNG_CHECKSUMS_H
#define CM_TEST_PNG_CHECKSUMS_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/* Set the checksum of every chunk right. */
static void repair_png(uint8_t *png, size_t n)
{
    for (size_t at = 8; at + 12 <= n;) {
        const size_t length = (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 |
                              (size_t)png[at + 2] << 8 | png[at + 3];
        if (length > n - at - 12)
            break;
        const uLong crc = crc32(0, png + at + 4, (uInt)length + 4);
        for (int i = 0; i < 4; i++)
            png[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

#endif
