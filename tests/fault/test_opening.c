/* test_opening.c - what a file can do to the program that opens it: it is judged from its
 * header, for at most 64 MB of memory and 16 times its size; configurations of absurd size
 * are refused by the name of the field; no text of it can steer a terminal. */
#include "tiny_run.h"

#include <jansson.h>

#include <sys/resource.h>

/* ---- files ----------------------------------------------------------------- */

/* A file of this header and so many bytes of data; its size. */
static size_t write_file(const char *path, const char *header, size_t n, size_t data)
{
    unsigned char length[8];
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)n >> 8 * i);
    CHECK(f && fwrite(length, 1, 8, f) == 8 && fwrite(header, 1, n, f) == n, "cannot write");
    for (size_t i = 0; f && i < data; i++)
        fputc(0, f);
    if (f)
        fclose(f);
    return 8 + n + data;
}

/* begin, so many units (a %d in them counts), and end */
static size_t write_repeated(const char *path, const char *begin, const char *unit, int units,
                             const char *end, size_t data)
{
    char *text = malloc(strlen(begin) + (strlen(unit) + 12) * (size_t)units + strlen(end) + 1);
    size_t n = (size_t)sprintf(text, "%s", begin);
    const char *number = strstr(unit, "%d");
    for (int i = 0; i < units; i++) {
        n += (size_t)sprintf(text + n, "%.*s", (int)(number ? number - unit : (long)strlen(unit)),
                             unit);
        if (number)
            n += (size_t)sprintf(text + n, "%d%s", i, number + 2);
    }
    n += (size_t)sprintf(text + n, "%s", end);
    const size_t size = write_file(path, text, n, data);
    free(text);
    return size;
}

/* ---- memory ---------------------------------------------------------------- */

/* Most memory a child takes that opens the file, in bytes above one that does not. */
static long peak(const char *path, cm_status *status)
{
    struct rusage usage;
    long peaks[2];
    for (int opens = 0; opens < 2; opens++) {
        int code = 0;
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            _exit(opens ? (int)cm_validate(path, NULL) : 0);
        }
        CHECK(wait4(child, &code, 0, &usage) == child && WIFEXITED(code), "%s: crashed", path);
        peaks[opens] = usage.ru_maxrss * 1024;
        *status = (cm_status)WEXITSTATUS(code);
    }
    return peaks[1] - peaks[0];
}

static void takes_little(const char *what, size_t size, cm_status expected)
{
    cm_status status = CM_OK;
    const long most = (64L << 20) + 16 * (long)size, found = peak(in_dir("big"), &status);
    CHECK(found <= most, "%s: %zu bytes take %ld MB, at most %ld", what, size, found >> 20,
          most >> 20);
    CHECK(status == expected, "%s: %s", what, cm_status_name(status));
    printf("    %-28s %9zu bytes: %4ld MB of %ld\n", what, size, found >> 20, most >> 20);
}

static void memory_of_headers(void)
{
    const struct {
        const char *what, *begin, *unit, *end;
        int units;
        cm_status status;
    } cases[] = {
        {"tensors", "{", "\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
         "\"x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 99998, CM_OK},
        {"tensors beyond the limit", "{",
         "\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
         "\"x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 400000, CM_ERR_FORMAT},
        {"metadata", "{\"__metadata__\":{", "\"%d\":\"\",", "\"x\":\"\"}}", 900000, CM_OK},
        {"metadata, twice as much", "{\"__metadata__\":{", "\"%d\":\"\",", "\"x\":\"\"}}", 2000000,
         CM_ERR_FORMAT},
        {"empty objects", "{", "\"%d\":{},", "\"x\":{}}", 3000000, CM_ERR_FORMAT},
        {"few empty objects", "{", "\"%d\":{},", "\"x\":{}}", 3, CM_ERR_FORMAT},
        {"numbers", "{\"a\":[", "0,", "0]}", 900000, CM_ERR_FORMAT},
        {"many numbers", "{\"a\":[", "0,", "0]}", 4000000, CM_ERR_FORMAT},
        {"empty lists", "{\"a\":[", "[],", "0]}", 1000000, CM_ERR_FORMAT},
        {"a long text", "{\"__metadata__\":{\"a\":\"", "xxxxxxxxxxxxxxxx", "\"}}", 300000, CM_OK},
        {"a long name", "{\"", "xxxxxxxxxxxxxxxx", "\":{}}", 300000, CM_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int one = cases[i].status == CM_OK && strstr(cases[i].end, "[0,1]") != NULL;
        takes_little(cases[i].what,
                     write_repeated(in_dir("big"), cases[i].begin, cases[i].unit, cases[i].units,
                                    cases[i].end, (size_t)one),
                     cases[i].status);
    }
}

/* The configuration in one metadata text, quotes escaped. */
static size_t write_config(const char *config)
{
    char header[4096];
    size_t n = (size_t)sprintf(header, "{\"__metadata__\":{\"config\":\"");
    for (; *config; config++)
        n += (size_t)sprintf(header + n, *config == '"' ? "\\\"" : "%c", *config);
    n += (size_t)sprintf(header + n, "\",\"model\":\"{\\\"kind\\\":\\\"skip\\\"}\"}}");
    return write_file(in_dir("big"), header, n, 0);
}

/* Each field as large as it may be: then the tensors are missing. */
static void memory_of_configurations(void)
{
    const char *const most[] = {
        "{\"image_size\":16,\"in_channels\":1,\"out_channels\":1,\"model_channels\":64,"
        "\"num_res_blocks\":1,\"channel_mult\":[1],\"num_classes\":1000000}",
        "{\"image_size\":4096,\"in_channels\":4096,\"out_channels\":4096,"
        "\"model_channels\":16384,\"num_res_blocks\":64,\"channel_mult\":[4,4,4,4,4,4,4,4],"
        "\"num_classes\":1000000,\"attention_resolutions\":[1,2,4,8,16,32,64,128]}",
        "{\"type\":\"mlp\",\"image_size\":1,\"in_channels\":4096,\"out_channels\":4096,"
        "\"model_channels\":65536,\"num_res_blocks\":64}",
    };
    for (size_t i = 0; i < sizeof most / sizeof *most; i++)
        takes_little("a configuration", write_config(most[i]), CM_ERR_FORMAT);
}

/* ---- sizes ----------------------------------------------------------------- */

static void absurd_sizes(void)
{
    const struct {
        const char *field, *value, *says;
    } cases[] = {
        {"image_size", "4097", "\"image_size\""},
        {"image_size", "0", "\"image_size\""},
        {"in_channels", "4097", "\"in_channels\""},
        {"in_channels", "3", "\"out_channels\""},
        {"model_channels", "16385", "\"model_channels\""},
        {"model_channels", "-32", "\"model_channels\""},
        {"num_res_blocks", "65", "\"num_res_blocks\""},
        {"num_classes", "1000001", "\"num_classes\""},
        {"num_heads", "4097", "\"num_heads\""},
        {"channel_mult", "[1e300]", "\"channel_mult\""},
        {"channel_mult", "[1,1,1,1,1,1,1,1,1,1,1,1,1]", "\"channel_mult\""},
        {"dropout", "1e300", "\"dropout\""},
        {"sigma", "1", "\"sigma\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const char *const plain[][2] = {{"image_size", "16"},    {"in_channels", "1"},
                                               {"out_channels", "1"},   {"model_channels", "32"},
                                               {"num_res_blocks", "1"}, {"channel_mult", "[1]"}};
        char config[1024];
        size_t n = (size_t)sprintf(config, "{\"%s\":%s", cases[i].field, cases[i].value);
        for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
            if (strcmp(plain[k][0], cases[i].field) != 0)
                n += (size_t)sprintf(config + n, ",\"%s\":%s", plain[k][0], plain[k][1]);
        sprintf(config + n, "}");
        write_config(config);
        cm_model *model = NULL;
        cm_error err = {0};
        CHECK(cm_model_open(in_dir("big"), &model, &err) == CM_ERR_FORMAT && !model, "%s %s opened",
              cases[i].field, cases[i].value);
        has(&err, cases[i].says);
        put(in_dir("c.json"), config, strlen(config));
        CHECK(cm_model_random(in_dir("c.json"), 1, &model, &err) == CM_ERR_FORMAT && !model,
              "%s %s made", cases[i].field, cases[i].value);
        has(&err, cases[i].says);
    }
}

/* Fields that are each in range, and a network that no machine holds: no file to fit. */
static void absurd_network(void)
{
    static const char config[] =
        "{\"image_size\":64,\"in_channels\":3,\"out_channels\":3,\"model_channels\":16384,"
        "\"num_res_blocks\":8,\"channel_mult\":[1,2,4]}";
    cm_model *model = NULL;
    cm_error err = {0};
    put(in_dir("c.json"), config, strlen(config));
    CHECK(cm_model_random(in_dir("c.json"), 1, &model, &err) == CM_ERR_FORMAT && !model, "made");
    has(&err, "expected a network of at most 2147483648 parameters");
}

/* ---- text ------------------------------------------------------------------ */

/* Where text has what a terminal must not see: C0 but the end of a line, DEL, C1, a change
 * of direction; NULL: nowhere. */
static const char *find_forgery(const char *text)
{
    static const char *const bad[] = {"\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x80\x8f", "\xd8\x9c",
                                      "\xe2\x80\xa8"};
    for (const char *p = text; *p; p++) {
        const unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];
        if ((c < ' ' && c != '\n') || c == 0x7f || (c == 0xc2 && next < 0xa0))
            return p;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            if (!strncmp(p, bad[i], strlen(bad[i])))
                return p;
    }
    return NULL;
}

#define HOSTILE                 \
    "\x1b[31m\x07\x7f \xc2\x9b" \
    "31m \xe2\x80\xaetxt \xe2\x81\xa6 \xe2\x80\x8f \xd8\x9c \xe2\x80\xa8 caf\xc3\xa9"

static void described(const char *path)
{
    char *text = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_describe(path, &text, &err), err))
        return;
    const char *bad = find_forgery(text);
    CHECK(!bad, "raw: %s", bad);
    CHECK(strstr(text, "\\x1b[31m\\x07\\x7f \\xc2\\x9b31m \\xe2\\x80\\xaetxt") != NULL,
          "not there, escaped: %s", text);
    CHECK(strstr(text, "caf\xc3\xa9") != NULL, "UTF-8 is no longer itself: %s", text);
    cm_string_free(text);
    if (!CHECK_OK(cm_describe_json(path, &text, &err), err))
        return;
    bad = find_forgery(text);
    CHECK(!bad, "raw in JSON: %.20s", bad);
    CHECK(strstr(text, "\\u001B[31m\\u0007\\u007f \\u009B31m \\u202Etxt") != NULL, "not there: %s",
          text);
    json_t *same = json_loads(text, 0, NULL);
    CHECK(same != NULL, "no JSON");
    json_decref(same);
    cm_string_free(text);
}

/* A model with such texts for its classes and its training, and a file with such names. */
static void hostile_text(void)
{
    static const char *keys[] = {"config", "model", "classes", "training", HOSTILE};
    static const float x[1] = {0};
    const cm_st_entry named = {HOSTILE, CM_ST_F32, 1, {1}, x};
    const char *values[5];
    cm_st_entry entry[256];
    cm_st_file *f = NULL;
    cm_error err = {0};
    tiny_data();
    cm_train_params p = tiny_params("edm", "run", 1);
    CHECK_OK(cm_train(&p, 0, NULL, &err), err);
    if (!CHECK_OK(cm_st_open(in_dir("run/model.safetensors"), &f, &err), err))
        return;
    values[0] = cm_st_metadata(f, "config");
    values[1] = cm_st_metadata(f, "model");
    values[2] = values[3] = values[4] = HOSTILE;
    for (int i = 0; i < cm_st_count(f) && i < 256; i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        void *data = cm_alloc(t->bytes);
        entry[i] = (cm_st_entry){t->name, t->dtype, t->rank, {0}, data};
        memcpy(entry[i].dim, t->dim, sizeof t->dim);
        CHECK_OK(cm_st_read(f, t, data, &err), err);
    }
    CHECK_OK(cm_st_write(in_dir("big"), cm_st_count(f), entry, 5, keys, values, &err), err);
    described(in_dir("big"));
    CHECK_OK(cm_st_write(in_dir("big"), 1, &named, 1, keys + 4, values + 4, &err), err);
    described(in_dir("big"));
    for (int i = 0; i < cm_st_count(f) && i < 256; i++) {
        union {
            const void *in;
            void *out;
        } data = {entry[i].data};
        cm_free(data.out);
    }
    cm_st_close(f);
    tiny_remove(in_dir("run"));
}

/* In a path, which every message quotes. */
static void hostile_names(void)
{
    cm_error err = {0};
    cm_model *model = NULL;
    CHECK(cm_model_open("/nowhere/" HOSTILE "\x9b\xff\xc3(", &model, &err) != CM_OK, "opened");
    CHECK(!find_forgery(err.message), "raw: %s", err.message);
    has(&err, "caf\xc3\xa9");
    has(&err, "\\x9b\\xff\\xc3(");
}

static const check_test tests[] = {
    {"memory of headers", memory_of_headers},
    {"memory of configurations", memory_of_configurations},
    {"absurd sizes are refused by name", absurd_sizes},
    {"absurd networks", absurd_network},
    {"hostile names in messages", hostile_names},
    {"hostile text in descriptions", hostile_text},
};
SCRATCH_MAIN(tests)
