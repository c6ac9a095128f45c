/* lpips_weights.c - VGG16's weights and the linear ones of LPIPS, brought together */
#include "model/lpips_weights.h"

#include "base/memory.h"
#include "io/weights_file.h"

#include <math.h>
#include <string.h>

enum { VGG, LINEAR, FILES };
static const cm_published published[FILES] = {
    [VGG] =
        {"VGG16's weights", "vgg16-397923af.pth",
         "553433881 bytes, SHA-256 from 397923af on, which torchvision publishes as VGG16_Weights "
         "IMAGENET1K_V1"},
    [LINEAR] = {
        "LPIPS' own weights", "vgg.pth",
        "7289 bytes, SHA-256 a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868, "
        "which "
        "the LPIPS project (PerceptualSimilarity) publishes as lpips/weights/v0.1/vgg.pth"}};

/* What else a file holds is told after what it is asked for. */
static cm_status fit(const cm_params *expected, const cm_st_file *file, const cm_published *of,
                     cm_error *err)
{
    cm_error why = {0};
    char shown[512];
    const cm_status s = cm_params_fit(expected, file, &why);
    if (!s)
        return s;
    cm_escape(shown, sizeof shown, cm_st_path(file));
    const size_t n = strlen(shown);
    const int again = !strncmp(why.message, shown, n) && !strncmp(why.message + n, ": ", 2);
    return cm_fail(err, s, "%s: expected %s, those of %s; %s", shown, of->what, of->file,
                   why.message + (again ? n + 2 : 0));
}

/* The parameters of one file, all of which must be there and nothing else, to their places. */
static cm_status load(const cm_params *params, float *flat, const char *path, int is_linear,
                      cm_error *err)
{
    cm_st_file *file = NULL;
    cm_params *expected = NULL;
    cm_status s = cm_weights_open(path, &file, NULL, err);
    const int whole = !s && cm_st_find(file, "classifier.0.weight");
    if (!s)
        s = cm_lpips_file_params(is_linear ? CM_LPIPS_LINEAR
                                 : whole   ? CM_LPIPS_VGG_WHOLE
                                           : CM_LPIPS_VGG,
                                 &expected, err);
    if (!s)
        s = fit(expected, file, &published[is_linear ? LINEAR : VGG], err);
    for (int i = 0; !s && i < cm_params_size(expected); i++) {
        const cm_param *p = cm_params_find(params, cm_params_at(expected, i)->name);
        if (!p) /* of the classifier */
            continue;
        s = cm_st_read_f32(file, cm_st_find(file, p->name), flat + p->offset, err);
        for (int64_t k = 0; !s && k < cm_type_count(&p->type); k++)
            if (!isfinite(flat[p->offset + (size_t)k]))
                s = cm_fail(err, CM_ERR_FORMAT, "%s: tensor \"%s\": expected finite numbers", path,
                            p->name);
    }
    cm_params_free(expected);
    cm_st_close(file);
    return s;
}

cm_status cm_lpips_weights_open(const char *vgg, const char *linear, cm_params **params,
                                float **flat, cm_error *err)
{
    vgg = *vgg ? vgg : published[VGG].file;
    linear = *linear ? linear : published[LINEAR].file;
    const char *const path[FILES] = {[VGG] = vgg, [LINEAR] = linear};
    cm_status s = cm_weights_check_there(FILES, path, published, err);
    if (!s)
        s = cm_lpips_params(params, err);
    if (!s && !(*flat = cm_alloc_array(cm_params_floats(*params), sizeof **flat)))
        s = cm_fail(err, CM_ERR_MEMORY, "LPIPS: out of memory");
    if (!s)
        s = load(*params, *flat, vgg, 0, err);
    if (!s)
        s = load(*params, *flat, linear, 1, err);
    return s;
}
