/* formula_model.c - a model file with weights by formula */
#include "formula_model.h"

#include "base/memory.h"
#include "check.h"
#include "formula.h"
#include "io/safetensors.h"

void formula_model_write(const char *from, const char *salt, const char *to)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    const char *keys[16], *values[16];
    int n_meta = 0;
    if (!CHECK_OK(cm_st_open(from, &f, &err), err))
        return;
    const int n = cm_st_count(f);
    cm_st_entry *entries = cm_alloc_array((size_t)n, sizeof *entries);
    for (int i = 0; i < n; i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        const int64_t elements = cm_st_elements(t);
        float *w = cm_alloc_array((size_t)elements, sizeof *w);
        formula_weights(salt, t->name, t->rank, t->dim[0], elements, w);
        entries[i] = (cm_st_entry){.name = t->name, .dtype = CM_ST_F32, .rank = t->rank, .data = w};
        memcpy(entries[i].dim, t->dim, sizeof t->dim);
    }
    while (n_meta < 16 && !cm_st_metadata_at(f, n_meta, &keys[n_meta], &values[n_meta]))
        n_meta++;
    CHECK_OK(cm_st_write(to, n, entries, n_meta, keys, values, &err), err);
    for (int i = 0; i < n; i++) {
        void *w;
        memcpy(&w, &entries[i].data, sizeof w); /* which is to a const */
        cm_free(w);
    }
    cm_free(entries);
    cm_st_close(f);
}
