/* annotate.c */
#include "model/annotate.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors.h"

#include <string.h>
#include <unistd.h>

cm_status cm_model_annotate_check(const char *from, const char *to, cm_error *err)
{
    char shown[512];
    cm_st_file *f = NULL;
    cm_status s = from ? cm_st_open(from, &f, err) : CM_OK;
    cm_st_close(f);
    if (s || access(to, F_OK))
        return s ? s : cm_file_check(to, err);
    s = cm_st_open(to, &f, NULL);
    const int is_model = !s && cm_st_metadata(f, "config");
    if (!s)
        cm_st_close(f);
    return is_model ? cm_file_check(to, err)
                    : cm_fail(err, CM_ERR_ARGUMENT,
                              "%s: is there already and is no model: expected a new file, or a "
                              "model to replace",
                              cm_escape(shown, sizeof shown, to));
}

/* What is written, all of it in one block of memory each. */
typedef struct copy {
    cm_st_entry *entry;
    uint8_t *bytes;
    const char **key, **value;
    int n, n_meta;
} copy;

static cm_status make_room(const cm_st_file *f, copy *c, cm_error *err)
{
    size_t bytes = 1;
    c->n = cm_st_count(f);
    for (int i = 0; i < c->n; i++)
        bytes += cm_st_at(f, i)->bytes;
    const size_t texts = (size_t)cm_st_metadata_count(f) + 1;
    c->entry = cm_alloc_array((size_t)c->n + 1, sizeof *c->entry);
    c->bytes = cm_alloc(bytes);
    c->key = cm_alloc_array(texts, sizeof *c->key);
    c->value = cm_alloc_array(texts, sizeof *c->value);
    if (c->entry && c->bytes && c->key && c->value)
        return CM_OK;
    return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %zu bytes", cm_st_path(f), bytes);
}

static cm_status copy_tensors(const cm_st_file *f, copy *c, cm_error *err)
{
    uint8_t *at = c->bytes;
    cm_status s = CM_OK;
    for (int i = 0; i < c->n && !s; i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        cm_st_entry *e = &c->entry[i];
        *e = (cm_st_entry){.name = t->name, .dtype = t->dtype, .rank = t->rank, .data = at};
        memcpy(e->dim, t->dim, sizeof e->dim);
        s = cm_st_read(f, t, at, err);
        at += t->bytes;
    }
    return s;
}

/* In the order of the file; a new text goes last. */
static void copy_texts(const cm_st_file *f, const char *key, const char *text, copy *c)
{
    int found = 0;
    for (; c->n_meta < cm_st_metadata_count(f); c->n_meta++) {
        const int i = c->n_meta;
        cm_st_metadata_at(f, i, &c->key[i], &c->value[i]);
        if (!strcmp(c->key[i], key)) {
            c->value[i] = text;
            found = 1;
        }
    }
    if (!found) {
        c->key[c->n_meta] = key;
        c->value[c->n_meta++] = text;
    }
}

cm_status cm_model_annotate(const char *from, const char *key, const char *text, const char *to,
                            cm_error *err)
{
    cm_st_file *f = NULL;
    copy c = {0};
    cm_status s = cm_st_open(from, &f, err);
    if (s)
        return s;
    s = make_room(f, &c, err);
    if (!s)
        s = copy_tensors(f, &c, err);
    if (!s) {
        copy_texts(f, key, text, &c);
        s = cm_st_write(to, c.n, c.entry, c.n_meta, c.key, c.value, err);
    }
    cm_free(c.entry);
    cm_free(c.bytes);
    cm_free(c.key);
    cm_free(c.value);
    cm_st_close(f);
    return s;
}
