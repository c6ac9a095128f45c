/* make_weights.c - writes the weights of a golden network as a model file, for the tests
 * of the command
 *
 * usage: make_weights NAME FILE, in the root of the source tree */
#include "golden/golden_network.h"

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_FAILURE;
    char io[128];
    snprintf(io, sizeof io, "%s.io.safetensors", argv[1]);
    network n = network_load(io, FORMULA_STUDENT);
    network_write(&n, argv[2]);
    network_free(&n);
    return check_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
