/* manifest.c - writing and checking manifest.json.
 * XXH3: github.com/Cyan4973/xxHash. */
#include "run/manifest.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/json.h"
#include "run/folder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY /* the size of XXH3_state_t */
#include <xxhash.h>

enum { VERSION = 1, HASH_TEXT = 17 };
static const char manifest_name[] = "manifest.json";

int cm_manifest_name_ok(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    const size_t n = strlen(name);
    return n > 0 && n < 128 && name[0] != '.' && strspn(name, allowed) == n &&
           strcmp(name, manifest_name) != 0;
}

/* ---- hash --------------------------------------------------------------- */

typedef struct hasher {
    XXH3_state_t state; /* wants 64-byte alignment, which cm_alloc gives */
    uint8_t bytes[1 << 20];
} hasher;

static cm_status hash_open_file(int fd, const char *path, uint64_t size, char *text, cm_error *err)
{
    hasher *h = cm_alloc(sizeof *h);
    if (!h)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    cm_status s = CM_OK;
    XXH3_64bits_reset(&h->state);
    for (uint64_t at = 0; at < size && !s;) {
        const size_t n = size - at < sizeof h->bytes ? (size_t)(size - at) : sizeof h->bytes;
        s = cm_file_pread(fd, path, h->bytes, n, at, err);
        if (!s)
            XXH3_64bits_update(&h->state, h->bytes, n);
        at += n;
    }
    if (!s)
        snprintf(text, HASH_TEXT, "%016llx", (unsigned long long)XXH3_64bits_digest(&h->state));
    cm_free(h);
    return s;
}

/* ---- writing ------------------------------------------------------------ */

static cm_status add_file(json_t *files, const char *folder, const char *name, cm_error *err)
{
    char path[CM_RUN_PATH], hash[HASH_TEXT];
    uint64_t size;
    int fd;
    cm_status s = cm_run_path(path, folder, name, err);
    if (!s)
        s = cm_file_open(path, &fd, &size, err);
    if (s)
        return s;
    s = hash_open_file(fd, path, size, hash, err);
    close(fd);
    if (s)
        return s;
    if (json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", name, "size",
                                               (json_int_t)size, "xxh3", hash)))
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    return CM_OK;
}

cm_status cm_manifest_write(const char *folder, int64_t step, int n, const char *const *names,
                            cm_error *err)
{
    cm_status s = CM_OK;
    char path[CM_RUN_PATH];
    cm_assert(n <= CM_MANIFEST_MAX_FILES);
    json_t *files = json_array();
    for (int i = 0; i < n && !s; i++) {
        cm_assert(cm_manifest_name_ok(names[i]));
        s = add_file(files, folder, names[i], err);
    }
    if (s) {
        json_decref(files);
        return s;
    }
    /* json_pack takes files over, also when it fails */
    json_t *manifest = json_pack("{s:i, s:I, s:o}", "version", (int)VERSION, "step",
                                 (json_int_t)step, "files", files);
    s = cm_run_path(path, folder, manifest_name, err);
    if (!s)
        s = cm_run_json_write(path, manifest, err);
    json_decref(manifest);
    return s;
}

/* ---- checking ----------------------------------------------------------- */

static cm_status check_file(const char *folder, const char *name, int64_t size, const char *hash,
                            cm_manifest_depth depth, cm_error *err)
{
    char path[CM_RUN_PATH], found_hash[HASH_TEXT] = "";
    uint64_t found;
    int fd;
    cm_status s = cm_run_path(path, folder, name, err);
    if (!s)
        s = cm_file_open(path, &fd, &found, err);
    if (s)
        return s;
    if (found != (uint64_t)size)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: expected %lld bytes, found %llu", path,
                    (long long)size, (unsigned long long)found);
    else if (depth == CM_MANIFEST_HASHES)
        s = hash_open_file(fd, path, found, found_hash, err);
    close(fd);
    if (!s && depth == CM_MANIFEST_HASHES && strcmp(hash, found_hash) != 0)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: damaged: expected the XXH3 hash %s, found %s", path,
                    hash, found_hash);
    return s;
}

/* One entry of "files". */
static cm_status check_entry(json_t *entry, const char *folder, const char *path,
                             cm_manifest_depth depth, int *is_state, cm_error *err)
{
    static const char *const keys[] = {"name", "size", "xxh3", NULL};
    const char *name, *hash;
    char shown[256];
    int64_t size;
    if (!json_is_object(entry))
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"files\": expected objects, found %s", path,
                       cm_json_show(shown, sizeof shown, entry));
    cm_status s = cm_json_only(entry, path, keys, err);
    if (!s)
        s = cm_json_text(entry, path, "name", CM_JSON_REQUIRED, &name, err);
    if (!s)
        s = cm_json_int(entry, path, "size", 0, INT64_MAX, CM_JSON_REQUIRED, &size, err);
    if (!s)
        s = cm_json_text(entry, path, "xxh3", CM_JSON_REQUIRED, &hash, err);
    if (s)
        return s;
    if (!cm_manifest_name_ok(name))
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"name\": expected a plain file name, found \"%s\"",
                       path, cm_escape(shown, sizeof shown, name));
    if (strlen(hash) != HASH_TEXT - 1 || strspn(hash, "0123456789abcdef") != HASH_TEXT - 1)
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"xxh3\": expected 16 digits, found \"%s\"", path,
                       cm_escape(shown, sizeof shown, hash));
    *is_state = !strcmp(name, "state.json");
    return check_file(folder, name, size, hash, depth, err);
}

static cm_status check_all(json_t *manifest, const char *folder, const char *path, int64_t step,
                           cm_manifest_depth depth, cm_error *err)
{
    static const char *const keys[] = {"version", "step", "files", NULL};
    const json_t *files = json_object_get(manifest, "files");
    const size_t n = json_array_size(files); /* 0 for anything else */
    int64_t value;
    int is_state = 0, states = 0;
    cm_status s =
        cm_json_int(manifest, path, "version", VERSION, VERSION, CM_JSON_REQUIRED, &value, err);
    if (!s)
        s = cm_json_only(manifest, path, keys, err);
    if (!s)
        s = cm_json_int(manifest, path, "step", step, step, CM_JSON_REQUIRED, &value, err);
    if (!s && (n < 1 || n > CM_MANIFEST_MAX_FILES))
        s = cm_fail(err, CM_ERR_FORMAT, "%s: \"files\": expected a list of 1 to %d, found %zu",
                    path, (int)CM_MANIFEST_MAX_FILES, n);
    for (size_t i = 0; i < n && !s; i++) {
        s = check_entry(json_array_get(files, i), folder, path, depth, &is_state, err);
        states += is_state;
    }
    if (!s && states != 1)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: \"files\": expected state.json once, found %d", path,
                    states);
    return s;
}

cm_status cm_manifest_check(const char *folder, int64_t step, cm_manifest_depth depth,
                            cm_error *err)
{
    char path[CM_RUN_PATH];
    json_t *manifest;
    cm_status s = cm_run_path(path, folder, manifest_name, err);
    if (!s)
        s = cm_json_load(path, &manifest, err);
    if (s)
        return s;
    s = check_all(manifest, folder, path, step, depth, err);
    json_decref(manifest);
    return s;
}
