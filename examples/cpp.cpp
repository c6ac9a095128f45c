// cpp.cpp - libcm from C++: owners that free, errors as exceptions.  Writes cpp.png.
#include <cm.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

struct deleter {
    void operator()(cm_model *m) const { cm_model_free(m); }
    void operator()(cm_images *m) const { cm_images_free(m); }
};

static void check(cm_status status, const cm_error &err)
{
    if (status)
        throw std::runtime_error(err.message);
}

int main()
{
    try {
        cm_error err = {CM_OK, ""};
        cm_model *model = nullptr;
        check(cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err), err);
        std::unique_ptr<cm_model, deleter> owned_model(model);
        cm_sample_params params = cm_sample_default_params();
        params.num = 20;
        params.seed = 7;
        cm_images *images = nullptr;
        check(cm_sample(model, &params, &images, &err), err);
        std::unique_ptr<cm_images, deleter> owned_images(images);
        cm_layout layout = cm_layout_default();
        layout.columns = 10;
        check(cm_images_write(images, "cpp.png", &layout, &err), err);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    return 0;
}
