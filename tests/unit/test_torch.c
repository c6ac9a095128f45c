/* test_torch.c - PyTorch checkpoints: what PyTorch saved is read back, byte for byte, in both
 * layouts, against the same tensors as a safetensors file; what is no plain tensor is refused by
 * name; and programs that would make much of little are refused at once. */
#include "torch_maker.h"

#include "scratch.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/torch.h"
#include "io/weights_file.h"

#include <sys/resource.h>
#include <time.h>

static const char *corpus(const char *file)
{
    static char path[256];
    snprintf(path, sizeof path, "tests/fuzz/corpus/torch/%s", file);
    return path;
}

/* ---- what PyTorch saved --------------------------------------------------------- */

static void same_tensor(const cm_st_file *a, const cm_st_tensor *t, const cm_st_file *b,
                        const cm_st_tensor *u)
{
    cm_error err = {0};
    if (!CHECK(t && u && t->dtype == u->dtype && t->rank == u->rank && t->bytes == u->bytes &&
                   !memcmp(t->dim, u->dim, (size_t)t->rank * sizeof *t->dim),
               "%s: tensor %s: not the same", cm_st_path(a), u ? u->name : "?"))
        return;
    uint8_t *x = cm_alloc(t->bytes + 1), *y = cm_alloc(u->bytes + 1);
    CHECK_OK(cm_st_read(a, t, x, &err), err);
    CHECK_OK(cm_st_read(b, u, y, &err), err);
    CHECK(!memcmp(x, y, t->bytes), "%s: tensor %s: other bytes", cm_st_path(a), u->name);
    double *p = cm_alloc_array((size_t)cm_st_elements(t) + 1, sizeof *p);
    double *q = cm_alloc_array((size_t)cm_st_elements(t) + 1, sizeof *q);
    const cm_status s = cm_st_read_f64(a, t, p, &err);
    CHECK(s == cm_st_read_f64(b, u, q, &err), "%s: as double", u->name);
    CHECK(!memcmp(p, q, (size_t)cm_st_elements(t) * sizeof *p), "%s: other doubles", u->name);
    cm_free(p);
    cm_free(q);
    cm_free(x);
    cm_free(y);
}

static void same_file(const char *pt, const char *safetensors)
{
    cm_st_file *a = NULL, *b = NULL, *memory = NULL;
    cm_error err = {0};
    int torch = 0;
    void *bytes = NULL;
    size_t n = 0;
    if (CHECK_OK(cm_weights_open(pt, &a, &torch, &err), err) &&
        CHECK_OK(cm_weights_open(safetensors, &b, NULL, &err), err) &&
        CHECK_OK(cm_file_read(pt, 1 << 24, &bytes, &n, &err), err) &&
        CHECK_OK(cm_weights_open_memory(bytes, n, "memory", &memory, NULL, &err), err)) {
        CHECK(torch, "%s: not known for PyTorch's", pt);
        CHECK(cm_st_count(a) == cm_st_count(b), "%s: %d tensors", pt, cm_st_count(a));
        for (int i = 0; i < cm_st_count(b); i++) {
            const cm_st_tensor *u = cm_st_at(b, i);
            same_tensor(a, cm_st_find(a, u->name), b, u);
            same_tensor(memory, cm_st_find(memory, u->name), b, u);
        }
    }
    cm_st_close(a);
    cm_st_close(b);
    cm_st_close(memory);
    cm_free(bytes);
}

/* Every type, views, transposes, shared storages, empty, nested, numbered; both layouts. */
static void saved_objects(void)
{
    same_file(corpus("all.pt"), check_golden("torch.safetensors"));
    same_file(corpus("all-legacy.pt"), check_golden("torch.safetensors"));
}

static void saved_network(void)
{
    same_file(check_golden("adm_lsun_like.pt"), check_golden("adm_lsun_like.weights.safetensors"));
}

static void saved_names(void)
{
    const struct {
        const char *file, *name, *shape;
        int tensors;
    } cases[] = {
        {"t_sd.pt", "0.weight", "[8,3,3,3]", 6}, {"t_legacy.pt", "0.weight", "[8,3,3,3]", 6},
        {"t_ck.pt", "model.2.bias", "[8]", 8},   {"t_opt.pt", "state.1.exp_avg_sq", "[8]", 0},
        {"t_views.pt", "t", "[3,8,3,3]", 3},     {"one-tensor.pt", "tensor", "[2,3,4]", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_st_file *f = NULL;
        cm_error err = {0};
        char text[CM_ST_SHAPE_TEXT];
        if (!CHECK_OK(cm_weights_open(corpus(cases[i].file), &f, NULL, &err), err))
            continue;
        const cm_st_tensor *t = cm_st_find(f, cases[i].name);
        CHECK(t && !strcmp(cm_st_shape_text(text, t), cases[i].shape), "%s: %s", cases[i].file,
              t ? text : "not found");
        CHECK(!cases[i].tensors || cm_st_count(f) == cases[i].tensors, "%s: %d tensors",
              cases[i].file, cm_st_count(f));
        cm_st_close(f);
    }
}

/* ---- what is refused -------------------------------------------------------------- */

static void refused(const char *path, const char *says)
{
    cm_st_file *f = NULL;
    cm_error err = {0};
    const cm_status s = cm_weights_open(path, &f, NULL, &err);
    CHECK(s == CM_ERR_FORMAT, "%s: %s", path, cm_status_name(s));
    has(&err, says);
    CHECK(!strncmp(err.message, path, strlen(path)), "%s: not named in %s", path, err.message);
    cm_st_close(f);
}

static void refused_saves(void)
{
    refused(corpus("module.pt"), "found __main__.M (");
    refused(corpus("script.pt"), "data.pkl: byte 2: GLOBAL: expected a function");
    refused(corpus("function.pt"), "found collections.Counter");
    refused(corpus("sparse.pt"), "found torch._utils._rebuild_sparse_tensor");
    refused(corpus("expanded.pt"), "no more than these, found sizes and strides that lead out");
    refused(corpus("complex.pt"), "found torch.ComplexFloatStorage");
    refused(corpus("no-tensors.pt"), "expected tensors, found none");
    refused(corpus("protocol4.pt"), "PROTO: expected protocol 2, torch.save's own, found 4");
    refused("tests/fuzz/corpus/zip/ok-zip64.zip", "with an entry \"NAME/data.pkl\", found none");
}

/* A pickle as a checkpoint, with storage "0" of 16 floats; its path. */
static const char *wrap(const void *pickle, size_t n)
{
    static zip_maker z;
    static const float floats[16];
    z = (zip_maker){.f = fopen(in_dir("made.pt"), "wb")};
    zip_maker_add(&z, "made/data.pkl", pickle, (uint32_t)n);
    zip_maker_add(&z, "made/data/0", floats, sizeof floats);
    zip_maker_end(&z);
    fclose(z.f);
    return in_dir("made.pt");
}

#define T_FLOAT                                        \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" \
    "0X\3\0\0\0cpuK\x10tQ"
#define T_MAKE       "ctorch._utils\n_rebuild_tensor_v2\n(" T_FLOAT
#define T_END        "\x89}tR."
#define PICKLE(text) "\x80\2" text, sizeof("\x80\2" text) - 1

static void refused_pickles(void)
{
    const struct {
        const char *pickle;
        size_t n;
        const char *says;
    } cases[] = {
        {PICKLE("cos\nsystem\nX\2\0\0\0id\x85R."), "byte 2: GLOBAL: expected a function"},
        {PICKLE("X\xff\xff\xff\x7f"
                "abc"),
         "BINUNICODE: expected text of 2147483647 bytes"},
        {PICKLE("((t."), "STOP: expected one value on the stack, found 2"},
        {PICKLE("(t"), "expected 1 more bytes, found the end"},
        {PICKLE("t."), "TUPLE: expected a mark"},
        {PICKLE("."), "STOP: expected one value on the stack, found 0"},
        {PICKLE("\x85."), "TUPLE1: expected a value, found an empty stack"},
        {PICKLE("(\x85."), "or a mark"},
        {PICKLE("N0."), "expected one that torch.save writes, found 0x30"},
        {PICKLE("NNs."), "SETITEM: expected a dict, found an empty stack"},
        {PICKLE("]NNs."), "SETITEM: expected a dict, found a list"},
        {PICKLE("}]Ns."), "expected text or integers for keys, found a list"},
        {PICKLE("}(Nu."), "SETITEMS: expected keys and values, found 1"},
        {PICKLE("}Na."), "APPEND: expected a list, found a dict"},
        {PICKLE("h\1."), "BINGET: expected something in place 1 of the memo"},
        {PICKLE("Nr\0\0\0\x10."), "LONG_BINPUT: expected at most 1048576"},
        {PICKLE("\x8a\x09"
                "123456789."),
         "LONG1: expected an integer of at most 8 bytes, found 9"},
        {PICKLE("X\2\0\0\0a\0."), "expected UTF-8 without zeros"},
        {PICKLE("X\1\0\0\0\xff."), "expected UTF-8 without zeros"},
        {PICKLE("NQ."), "BINPERSID: expected a tuple, found None"},
        {PICKLE("(tQ."), "persistent id: expected a tuple of 5"},
        {PICKLE("(NNNNNtQ."), "expected \"storage\""},
        {PICKLE("(X\7\0\0\0storageNX\1\0\0\0"
                "0NK\1tQ."),
         "expected a class of storages, found None"},
        {PICKLE("N)R."), "REDUCE: expected a function, found None"},
        {PICKLE("ctorch\nFloatStorage\n)R."), "found the class torch.FloatStorage"},
        {PICKLE("ccollections\nOrderedDict\nN\x85R."), "OrderedDict: expected no arguments"},
        {PICKLE("ctorch._utils\n_rebuild_parameter\nNNN\x87R."), "_rebuild_parameter: expected"},
        {PICKLE("NNb."), "BUILD: expected a dict, found None"},
        {PICKLE("NN."), "STOP: expected one value on the stack, found 2"},
        {PICKLE(T_MAKE "K\0K\x10\x85K\1\x85\x89}tRa."), "APPEND: expected a list"},
        {PICKLE("]" T_MAKE "K\0K\x10\x85K\1\x85\x89}tRNs."), "SETITEM: expected a dict"},
        {PICKLE(T_MAKE "K\1K\x10\x85K\1\x85" T_END), "lead out"},
        {PICKLE(T_MAKE "K\0K\x11\x85K\1\x85" T_END), "lead out"},
        {PICKLE(T_MAKE "K\0K\x10\x85K\2\x85" T_END), "lead out"},
        {PICKLE(T_MAKE "K\0K\x11\x85K\0\x85" T_END), "lead out"},
        {PICKLE(T_MAKE "K\0J\0\0\0\x40\x85J\0\0\0\x40\x85" T_END), "lead out"},
        {PICKLE(T_MAKE "K\0K\2K\3\x86K\1\x85" T_END), "as many sizes as strides"},
        {PICKLE(T_MAKE "K\0J\xff\xff\xff\xff\x85K\1\x85" T_END), "all from 0 on"},
        {PICKLE(T_MAKE "K\0K\2\x85J\xff\xff\xff\xff\x85" T_END), "all from 0 on"},
        {PICKLE(T_MAKE "NK\2\x85K\1\x85" T_END), "expected an offset"},
        {PICKLE(T_MAKE "K\0K\2\x85K\1\x85\x89}K\1Ns\x74R."), "found hooks"},
        {PICKLE("ctorch._utils\n_rebuild_tensor_v2\n(NK\0K\2\x85K\1\x85" T_END),
         "tensor: expected a storage, found None"},
        {PICKLE("}(X\1\0\0\0a" T_MAKE "K\0K\1\x85K\1\x85\x89}tRX\1\0\0\0a" T_MAKE
                "K\0K\1\x85K\1\x85\x89}tRu."),
         "tensor \"a\": name: expected it once, found it twice"},
        {PICKLE("]q\0h\0a."), "expected it nested at most 64 deep"},
        {PICKLE("N.N"), "expected its end at byte 4 of 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(wrap(cases[i].pickle, cases[i].n), cases[i].says);
}

static void refused_storages(void)
{
    static const char missing[] = "\x80\2ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
                                  "ctorch\nFloatStorage\nX\1\0\0\0"
                                  "1X\3\0\0\0cpuK\x10tQ"
                                  "K\0K\x10\x85K\1\x85" T_END;
    static const char other_size[] = "\x80\2ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
                                     "ctorch\nDoubleStorage\nX\1\0\0\0"
                                     "0X\3\0\0\0cpuK\x10tQ"
                                     "K\0K\x10\x85K\1\x85" T_END;
    refused(wrap(missing, sizeof missing - 1), "entry \"made/data/1\": expected a storage, found "
                                               "nothing");
    refused(wrap(other_size, sizeof other_size - 1),
            "expected a storage of 16 elements, 128 bytes, stored, found 64, stored");
}

/* One byte of a storage changed: the header is right, and reading finds it. */
static void damaged_storage(void)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    void *data = NULL;
    size_t n = 0;
    float x[24];
    CHECK_OK(cm_file_read(corpus("one-tensor.pt"), 1 << 16, &data, &n, &err), err);
    uint8_t *bytes = data;
    const float third = -0.37f;
    size_t at = 0;
    while (memcmp(bytes + at, &third, 4) != 0)
        at++;
    bytes[at] ^= 1;
    if (CHECK_OK(cm_weights_open_memory(bytes, n, "m.pt", &f, NULL, &err), err)) {
        CHECK(cm_st_read_f32(f, cm_st_at(f, 0), x, &err) == CM_ERR_FORMAT, "read");
        has(&err, "m.pt: entry \"one-tensor/data/0\": CRC: expected");
    }
    cm_st_close(f);
    cm_free(data);
}

/* The layout before 1.6 with one lie in the storages. */
static void damaged_legacy(void)
{
    cm_error err = {0};
    void *data = NULL;
    size_t n = 0;
    CHECK_OK(cm_file_read(corpus("all-legacy.pt"), 1 << 16, &data, &n, &err), err);
    const struct {
        const char *says;
        size_t n;
        size_t byte; /* from the end, changed */
    } cases[] = {
        {"bytes left of the file", n - 1, 0},
        {"cut short", n - 500, 0},
        {"storage \"", n, 12},
        {"expected its end at byte", n + 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *copy = cm_alloc(n + 1);
        cm_st_file *f = NULL;
        memcpy(copy, data, n);
        copy[n - 1 - cases[i].byte] ^= cases[i].byte ? 0xff : 0;
        CHECK(cm_weights_open_memory(copy, cases[i].n, "l.pt", &f, NULL, &err) == CM_ERR_FORMAT,
              "case %zu", i);
        has(&err, cases[i].says);
        cm_st_close(f);
        cm_free(copy);
    }
    cm_free(data);
}

/* ---- bombs ------------------------------------------------------------------------- */

/* begin, so many units, end */
static size_t repeat(char *to, const char *begin, size_t n_begin, const char *unit, size_t n_unit,
                     int units, const char *end)
{
    size_t n = n_begin;
    memcpy(to, begin, n);
    for (int i = 0; i < units; i++, n += n_unit)
        memcpy(to + n, unit, n_unit);
    memcpy(to + n, end, strlen(end));
    return n + strlen(end);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others compute too */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Refused in little time, and with little memory (the peak of this program only grows). */
static void bomb(const char *what, const char *pickle, size_t n, const char *says)
{
    struct rusage before, after;
    const char *path = wrap(pickle, n);
    getrusage(RUSAGE_SELF, &before);
    const double start = cpu_seconds();
    refused(path, says);
    const double took = cpu_seconds() - start;
    getrusage(RUSAGE_SELF, &after);
    const double mb = (double)(after.ru_maxrss - before.ru_maxrss) / 1024;
    CHECK(took < 0.05 + (double)n / 1e6, "%s: %zu bytes took %g s", what, n, took);
    CHECK(mb <= 64 + 16 * (double)n / 1048576, "%s: %zu bytes took %g MB", what, n, mb);
    printf("    %-24s %8zu bytes: %.4f s, %.1f MB more\n", what, n, took, mb);
}

static void bombs(void)
{
    enum { SIZE = 9 << 20 };
    char *p = malloc(SIZE);
    size_t n;
    const int depths[] = {10, 20, 23, 30, 60, 200};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) { /* t = (t, t) */
        memcpy(p, "\x80\2)q\0", 5);
        n = 5;
        for (int k = 0; k < depths[i]; k++) {
            const char unit[] = {'h', (char)k, '\x86', 'q', (char)(k + 1)};
            memcpy(p + n, unit, sizeof unit);
            n += sizeof unit;
        }
        p[n++] = '.';
        bomb("doubled tuples", p, n,
             depths[i] < 20    ? "expected tensors, found none"
             : depths[i] <= 63 ? "expected at most 262144 items"
                               : "at most 64 deep");
    }
    n = repeat(p, "\x80\2N", 3, "\x85", 1, 100000, ".");
    bomb("nested tuples", p, n, "expected it nested at most 64 deep");
    n = repeat(p, "\x80\2}", 3, "X\1\0\0\0a}", 7, 100000, "");
    memset(p + n, 's', 100000);
    p[n + 100000] = '.';
    bomb("nested dicts", p, n + 100001, "expected it nested at most 64 deep");
    n = repeat(p, "\x80\2", 2, "]", 1, 1500000, ".");
    bomb("a deep stack", p, n, "expected at most 524288 values on the stack");
    n = repeat(p, "\x80\2]", 3, "]a", 2, 1500000, ".");
    bomb("many values", p, n, "expected at most 1048576 values");
    n = repeat(p, "\x80\2N", 3, "r\xff\xff\x0f\0", 5, 100000, ".");
    bomb("the end of the memo", p, n, "expected tensors, found none");
    n = repeat(p, "\x80\2N", 3, "r\0\0\0\x7f", 5, 100000, ".");
    bomb("a sparse memo", p, n, "LONG_BINPUT: expected at most 1048576");
    memset(p, 'x', SIZE);
    memcpy(p, "\x80\2X\1\0\x80\0", 7); /* 8 MB and one byte */
    bomb("long text", p, (8 << 20) + 9, "8388608 bytes of text, found more");
    n = repeat(p, "\x80\2}X\xa0\x0f\0\0", 8, "k", 1, 4000, "](");
    static const char tensor[] = T_MAKE "K\0K\1\x85K\1\x85\x89}tRq\0";
    n += repeat(p + n, tensor, sizeof tensor - 1, "h\0", 2, 3000, "es.");
    bomb("long names", p, n, "8 MB of names");
    free(p);
}

static const check_test tests[] = {
    {"objects saved by PyTorch, both layouts", saved_objects},
    {"a network saved by PyTorch", saved_network},
    {"names in nested objects", saved_names},
    {"saved, but no plain tensors", refused_saves},
    {"programs that are refused", refused_pickles},
    {"storages that are missing or of another size", refused_storages},
    {"a storage with a changed byte", damaged_storage},
    {"the old layout, cut and changed", damaged_legacy},
    {"bombs", bombs},
};

SCRATCH_MAIN(tests)
