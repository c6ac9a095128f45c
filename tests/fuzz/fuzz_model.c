/* fuzz_model.c - libFuzzer's target for opening a model from memory: what opens can be
 * described by its facts, and everything is freed.  ./run fuzz model */
#include "cm.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    cm_model *model = NULL;
    cm_model_facts facts = {.size = sizeof facts};
    cm_error err = {0};
    const cm_status s = cm_model_open_memory(bytes, n, &model, &err);
    require(s == err.status && !s == (model != NULL));
    if (model) {
        require(cm_model_get_facts(model, &facts, &err) == CM_OK);
        require(facts.height >= 1 && facts.width >= 1 && facts.channels >= 1 &&
                facts.classes >= 0 && facts.parameters >= 0);
    }
    cm_model_free(model);
    return 0;
}
