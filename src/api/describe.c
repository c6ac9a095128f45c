/* describe.c - cm_describe: what is in a model, a run folder or any safetensors
 * file, as text */
#include "base/memory.h"
#include "cm.h"
#include "model/model.h"
#include "run/checkpoint.h"
#include "run/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void cm_string_free(char *text)
{
    cm_free(text);
}

static void print_model(FILE *f, const cm_model *m)
{
    const cm_net_config *n = &m->net;
    fprintf(f, "kind        %s\n",
            cm_model_is_teacher(m) ? "diffusion teacher (EDM)" : "consistency model");
    fprintf(f, "boundary    %s\n", m->precondition->name);
    fprintf(f, "network     %s, %dx%d, %d to %d channels\n", n->arch->name, n->width, n->height,
            n->in_channels, n->out_channels);
    n->arch->describe(n, f);
    fprintf(f, "time input  %s\n", n->time_input->name);
    fprintf(f, "classes     %d%s%s\n", n->num_classes, m->classes ? " " : "",
            m->classes ? m->classes : "");
    fprintf(f, "noise       sigma %g to %g, sigma_data %g, rho %g, %d levels\n",
            m->schedule.sigma_min, m->schedule.sigma_max, m->schedule.sigma_data, m->schedule.rho,
            m->scales);
    fprintf(f, "parameters  %" PRId64 " in %d tensors\n", cm_params_count(m->params),
            cm_params_size(m->params));
    if (m->training)
        fprintf(f, "training    %s\n", m->training);
}

static void print_tensors(FILE *f, const cm_st_file *file)
{
    char name[512];
    const char *key, *value;
    for (int i = 0; !cm_st_metadata_at(file, i, &key, &value); i++) {
        fprintf(f, "%s = ", cm_escape(name, sizeof name, key));
        fprintf(f, "%s\n", cm_escape(name, sizeof name, value));
    }
    for (int i = 0; i < cm_st_count(file); i++) {
        const cm_st_tensor *t = cm_st_at(file, i);
        fprintf(f, "%-6s [", cm_st_dtype_name(t->dtype));
        for (int k = 0; k < t->rank; k++)
            fprintf(f, "%s%" PRId64, k ? "," : "", t->dim[k]);
        fprintf(f, "] %s\n", cm_escape(name, sizeof name, t->name));
    }
}

static cm_status describe_file(FILE *f, const char *path, cm_error *err)
{
    cm_st_file *file = NULL;
    cm_model *m = NULL;
    cm_status s = cm_st_open(path, &file, err);
    if (s)
        return s;
    if (cm_st_metadata(file, "model")) {
        s = cm_model_read(path, NULL, &m, err);
        if (!s)
            print_model(f, m);
        cm_model_release(m);
    } else
        print_tensors(f, file);
    cm_st_close(file);
    return s;
}

static cm_status describe_run(FILE *f, const char *run, cm_error *err)
{
    char folder[CM_RUN_PATH], note[512];
    cm_model *m = NULL;
    cm_status s =
        cm_checkpoint_find(run, CM_CKPT_LOOK, folder, sizeof folder, note, sizeof note, err);
    if (!s)
        s = cm_model_open(run, &m, err);
    if (s)
        return s;
    fprintf(f, "checkpoint  %s\n", folder);
    if (note[0])
        fprintf(f, "note        %s\n", note);
    print_model(f, m);
    cm_model_release(m);
    return CM_OK;
}

cm_status cm_describe(const char *path, char **text, cm_error *err)
{
    char *buffer = NULL;
    size_t size = 0;
    struct stat st;
    FILE *f = open_memstream(&buffer, &size);
    if (!f)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    fprintf(f, "file        %s\n", path);
    cm_status s = !stat(path, &st) && S_ISDIR(st.st_mode) ? describe_run(f, path, err)
                                                          : describe_file(f, path, err);
    if (fclose(f) && !s)
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    if (!s && !(*text = cm_strdup(buffer)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    free(buffer);
    return s;
}
