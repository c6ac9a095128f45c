/* starved_argp.c - preloaded: argp finds no memory, as its own first allocation may */
#include <argp.h>
#include <errno.h>

__attribute__((visibility("default"))) error_t
argp_parse(const struct argp *argp, int argc, char **argv, unsigned flags, int *next, void *input)
{
    (void)argp, (void)argc, (void)argv, (void)flags, (void)next, (void)input;
    return ENOMEM;
}
