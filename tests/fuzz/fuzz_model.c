/* fuzz_model.c - libFuzzer's target for opening a model from memory: what opens can be
 * described by its facts, and everything is freed.  ./run fuzz model */
#include "cm.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    cm_model *model = NULL;
    cm_model_facts facts;
    cm_error err = {0};
    if (!cm_model_read_memory(bytes, n, "fed", &model, &err))
        cm_model_get_facts(model, &facts);
    cm_model_release(model);
    return 0;
}
