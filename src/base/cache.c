/* cache.c - from /sys; sysconf multiplies by cores that a virtual machine has not got */
#include "base/cache.h"

#include <stdio.h>

/* "32768K" or "2M" */
static size_t cache_size(int index)
{
    char path[64], unit = ' ';
    long size = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", index);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    const int n = fscanf(f, "%ld%c", &size, &unit); /* NOLINT(cert-err34-c) */
    fclose(f);
    if (n < 1 || size <= 0 || size > 1L << 30)
        return 0;
    return (size_t)size << (unit == 'K' ? 10 : unit == 'M' ? 20 : 0);
}

size_t cm_cache_bytes(void)
{
    size_t most = 0;
    for (int index = 0; index < 8; index++) {
        const size_t size = cache_size(index);
        most = size > most ? size : most;
    }
    return most;
}
