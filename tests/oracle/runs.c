/* runs.c - reading runs.json and the golden files */
#include "runs.h"

#include "base/memory.h"
#include "check.h"
#include "io/json.h"

_Noreturn static void give_up(const char *path, const char *what)
{
    printf("FAIL %s: %s\n", path, what);
    exit(EXIT_FAILURE);
}

static const char *path_of(const char *folder, const char *file, const char *ending)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", folder, file, ending);
    return path;
}

json_t *runs_read(const char *folder)
{
    cm_error err = {0};
    json_t *runs = NULL;
    const char *path = path_of(folder, "runs.json", "");
    if (cm_json_load(path, &runs, &err))
        give_up(path, err.message);
    return runs;
}

static json_t *list_in_metadata(const cm_st_file *f, const char *key)
{
    const char *text = cm_st_metadata(f, key);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    if (!json_is_array(list) || !json_array_size(list))
        give_up(cm_st_path(f), key);
    return list;
}

golden_run run_open(const char *folder, const char *name, const json_t *spec)
{
    cm_error err = {0};
    golden_run r = {.name = name,
                    .args = json_string_value(json_object_get(spec, "args")),
                    .resume = json_string_value(json_object_get(spec, "resume")),
                    .drop = json_integer_value(json_object_get(spec, "drop")),
                    .prepare = json_object_get(spec, "prepare"),
                    .tolerance = json_object_get(spec, "tolerance")};
    const char *path = path_of(folder, name, ".safetensors");
    if (!r.args || !r.tolerance)
        give_up(name, "runs.json: expected args and tolerance");
    if (cm_st_open(path, &r.gold, &err))
        give_up(path, err.message);
    r.names = list_in_metadata(r.gold, "names");
    r.groups = list_in_metadata(r.gold, "groups");
    const cm_st_tensor *loss = cm_st_find(r.gold, "loss");
    r.steps = loss ? cm_st_elements(loss) : 0;
    if (r.steps < 1)
        give_up(path, "expected the losses of the steps");
    return r;
}

void run_close(golden_run *r)
{
    cm_st_close(r->gold);
    json_decref(r->names);
    json_decref(r->groups);
}

double run_tolerance(const golden_run *r, const char *what, const char *suffix)
{
    char key[256];
    snprintf(key, sizeof key, "%s%s", what, suffix);
    const json_t *value = json_object_get(r->tolerance, key);
    if (!json_is_number(value))
        give_up(r->name, "runs.json: a tolerance is missing");
    return json_number_value(value);
}

double *run_tensor(const golden_run *r, const char *label, const char *what, int64_t n)
{
    char name[512];
    cm_error err = {0};
    snprintf(name, sizeof name, "%s%s%s", label, *label ? "." : "", what);
    const cm_st_tensor *t = cm_st_find(r->gold, name);
    if (!t && n < 0)
        return NULL;
    if (!t || (n >= 0 && cm_st_elements(t) != n))
        give_up(cm_st_path(r->gold), name);
    double *values = cm_alloc_array((size_t)cm_st_elements(t), sizeof *values);
    if (!values || cm_st_read_f64(r->gold, t, values, &err))
        give_up(cm_st_path(r->gold), err.message);
    return values;
}

const char *option_of(const char *args, const char *name, const char *fallback)
{
    static char values[4][256];
    static int next;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "--%s ", name);
    const char *at = strstr(args, wanted);
    if (!at)
        return fallback;
    at += strlen(wanted);
    char *value = values[next++ % 4];
    snprintf(value, sizeof values[0], "%.*s", (int)strcspn(at, " "), at);
    return value;
}

double option_number(const char *args, const char *name, double fallback)
{
    const char *value = option_of(args, name, NULL);
    return value ? strtod(value, NULL) : fallback;
}
