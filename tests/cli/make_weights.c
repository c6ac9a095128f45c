/* make_weights.c - writes the weights of a golden network as a model file, for the tests
 * of the command; vgg and lpips-linear are the two files of LPIPS
 *
 * usage: make_weights NAME FILE, in the root of the source tree */
#include "golden/feature_weights.h"
#include "golden/golden_network.h"
#include "nn/features/vgg.h"

static void write_network(const char *name, const char *file)
{
    char io[128];
    snprintf(io, sizeof io, "%s.io.safetensors", name);
    network n = network_load(io, FORMULA_STUDENT);
    network_write(&n, file);
    network_free(&n);
}

static void write_lpips(enum feature_file which, const char *file)
{
    cm_error err = {0};
    cm_params *params = NULL;
    if (!CHECK_OK(cm_lpips_params(&params, &err), err))
        return;
    float *flat = feature_weights(params);
    feature_file(params, flat, file, which, NULL);
    cm_free(flat);
    cm_params_free(params);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_FAILURE;
    if (!strcmp(argv[1], "vgg"))
        write_lpips(VGG_FILE, argv[2]);
    else if (!strcmp(argv[1], "lpips-linear"))
        write_lpips(LINEAR_FILE, argv[2]);
    else
        write_network(argv[1], argv[2]);
    return check_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
