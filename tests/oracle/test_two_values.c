/* test_two_values.c - for every option of cm train and cm sample, two values give two
 * results, or its row says what they change instead; and an option that is left out is
 * what its row says.
 *
 * The options are those that --help lists; one without a row, or a row without its
 * option, is a failure.
 *
 * usage: test_two_values CM FOLDER; FOLDER/data holds images */
#include "settings.h"

#include "base/memory.h"
#include "check.h"
#include "command.h"
#include "formula_model.h"
#include "io/safetensors.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_VALUES = 8, MAX_RESULTS = 1024, MAX_TESTS = 512 };

static const char *const part_name[PARTS] = {"student", "target", "exported weights",
                                             "description in the model", "images"};

/* ---- files --------------------------------------------------------------- */

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

int count_files(const char *folder, const char *ending)
{
    int n = 0;
    DIR *d = opendir(in_scratch("%s", folder));
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.' && ends_with(e->d_name, ending);
    if (d)
        closedir(d);
    return n;
}

int count_lines(const char *file)
{
    int n = 0;
    char *text = read_text(in_scratch("%s", file));
    for (const char *at = text; at && (at = strchr(at, '\n')); at++)
        n++;
    free(text);
    return n;
}

int said(const char *words)
{
    char *text = read_text(in_scratch("said"));
    const int found = text && strstr(text, words);
    free(text);
    return found;
}

int auto_is_bf16(void)
{
    char *cpu = read_text("/proc/cpuinfo");
    const int faster = cpu && (strstr(cpu, " amx_bf16") || strstr(cpu, "AuthenticAMD"));
    free(cpu);
    return faster;
}

const char *newest_checkpoint(void)
{
    return "run/ckpt/latest";
}

static uint64_t hash_file(const char *path)
{
    uint64_t hash = 0;
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    for (int c; (c = getc(f)) != EOF;)
        hash = (hash ^ (uint64_t)c) * UINT64_C(0x100000001b3);
    fclose(f);
    return hash | 1;
}

int same_files(const char *a, const char *b)
{
    const uint64_t x = hash_file(in_scratch("%s", a)), y = hash_file(in_scratch("%s", b));
    return CHECK(x && y, "%s is missing", x ? b : a) && x == y;
}

/* ---- results ------------------------------------------------------------- */

/* A hash of each part; 0 where there is none. */
typedef struct result {
    char command[1024];
    int code;
    uint64_t part[PARTS];
} result;

static result results[MAX_RESULTS];
static int n_results;

static uint64_t hash_tensors(const cm_st_file *f)
{
    cm_error err = {0};
    uint64_t hash = 1;
    for (int i = 0; f && i < cm_st_count(f); i++) {
        const cm_st_tensor *t = cm_st_at(f, i);
        void *bytes = cm_alloc(t->bytes);
        if (CHECK_OK(cm_st_read(f, t, bytes, &err), err))
            hash = XXH3_64bits_withSeed(bytes, t->bytes, hash);
        hash = XXH3_64bits_withSeed(t->name, strlen(t->name), hash);
        hash = XXH3_64bits_withSeed(t->dim, (size_t)t->rank * sizeof *t->dim, hash);
        cm_free(bytes);
    }
    return hash;
}

static uint64_t hash_weights(const char *path)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    if (cm_st_open(path, &f, &err))
        return 0;
    const uint64_t hash = hash_tensors(f);
    cm_st_close(f);
    return hash;
}

/* Not its "training", where all options stand. */
static uint64_t hash_info(const char *path)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    if (cm_st_open(path, &f, &err))
        return 0;
    const char *model = cm_st_metadata(f, "model"), *config = cm_st_metadata(f, "config");
    uint64_t hash = model ? XXH3_64bits(model, strlen(model)) : 0;
    hash = config ? XXH3_64bits_withSeed(config, strlen(config), hash) : 0;
    cm_st_close(f);
    return hash;
}

static void take_parts(result *r)
{
    r->part[0] = hash_weights(in_scratch("%s/model.safetensors", newest_checkpoint()));
    r->part[1] = hash_weights(in_scratch("%s/target.safetensors", newest_checkpoint()));
    r->part[2] = hash_weights(in_scratch("run/model.safetensors"));
    r->part[3] = hash_info(in_scratch("run/model.safetensors"));
    r->part[4] = hash_file(in_scratch("drawn.png"));
}

static void clear_outputs(void)
{
    remove_tree(in_scratch("run"));
    remove_tree(in_scratch("images"));
    remove_tree(in_scratch("drawn.png"));
}

/* What the command with this option gives; `again` even if it is known. */
static const result *result_of(const char *verb, const setting *s, const char *value, int again)
{
    char line[sizeof results[0].command];
    const char *out = !strcmp(verb, "train")     ? " --out run"
                      : strstr(s->with, "--out") ? ""
                                                 : " --out drawn.png";
    int n = snprintf(line, sizeof line, "%s %s%s", verb, s->with, out);
    if (value && (!strcmp(value, "yes") || !strcmp(value, "no")))
        snprintf(line + n, sizeof line - (size_t)n, " --%s%s", *value == 'n' ? "no-" : "",
                 s->option);
    else if (value)
        snprintf(line + n, sizeof line - (size_t)n, " --%s=%s", s->option, value);
    for (int i = 0; i < n_results && !again; i++)
        if (!strcmp(results[i].command, line))
            return &results[i];
    if (n_results == MAX_RESULTS) {
        printf("FAIL more than %d results\n", MAX_RESULTS);
        exit(EXIT_FAILURE);
    }
    result *r = &results[n_results++];
    memcpy(r->command, line, sizeof line);
    clear_outputs();
    r->code = !command_works("%s", line);
    take_parts(r);
    return r;
}

/* ---- a row --------------------------------------------------------------- */

/* Item i of "a|b|c"; NULL after the last. */
static const char *item(const char *list, int i)
{
    static char items[4][256];
    static int next;
    for (; i > 0; i--) {
        list = strchr(list, '|');
        if (!list)
            return NULL;
        list++;
    }
    char *text = items[next++ % 4];
    snprintf(text, sizeof items[0], "%.*s", (int)strcspn(list, "|"), list);
    return text;
}

static void compare(const setting *s, const result *a, const result *b)
{
    for (int k = 0; k < PARTS; k++) {
        const unsigned bit = 1u << k;
        if (!((s->changes | s->keeps) & bit) || a->code || b->code)
            continue;
        if (CHECK(a->part[k] && b->part[k], "no %s after cm %s", part_name[k], a->command))
            CHECK((a->part[k] != b->part[k]) == !!(s->changes & bit),
                  "%s: %s is %s\n        cm %s\n        cm %s", s->option, part_name[k],
                  s->changes & bit ? "the same" : "another", a->command, b->command);
    }
}

/* Left out, the option is its first value. */
static void compare_default(const char *verb, const setting *s, const result *first)
{
    const result *without = result_of(verb, s, NULL, 0);
    for (int k = 0; k < PARTS; k++)
        CHECK(without->part[k] == first->part[k],
              "%s: left out, it is not %s: another %s\n        cm %s", s->option,
              item(s->values, 0), part_name[k], without->command);
}

static void test_row(const char *verb, const setting *s)
{
    const result *r[MAX_VALUES];
    int n = 0;
    if (s->test) {
        s->test();
        return;
    }
    for (const char *value; n < MAX_VALUES && (value = item(s->values, n)); n++) {
        r[n] = result_of(verb, s, value, !!s->measure);
        if (!s->measure || r[n]->code)
            continue;
        const int want = atoi(item(s->measures, n)), got = s->measure();
        CHECK(got == want, "%s = %s: counted %d, expected %d", s->option, item(s->values, n), got,
              want);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            compare(s, r[j], r[i]);
    if (!s->given)
        compare_default(verb, s, r[0]);
}

/* ---- every option has a row ---------------------------------------------- */

static int has_row(const setting *table, const char *option)
{
    for (; table->option; table++)
        if (!strcmp(table->option, option))
            return 1;
    return 0;
}

/* Options are the lines "      --name" or "      --no-name". */
static void compare_with_help(const char *verb, const setting *table)
{
    char option[256] = "";
    int n = 0, rows = 0;
    command_works("%s --help", verb);
    char *text = read_text(in_scratch("said"));
    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "      --", 8) != 0)
            continue;
        const char *name = line + 8;
        snprintf(option, sizeof option, "%.*s", (int)strcspn(name, " =["), name);
        const char *bare = !strncmp(option, "no-", 3) ? option + 3 : option;
        CHECK(has_row(table, option) || has_row(table, bare), "cm %s --%s: no row", verb, option);
        n++;
    }
    free(text);
    for (const setting *s = table; s->option; s++) {
        int first = 1;
        for (const setting *before = table; before < s; before++)
            first &= strcmp(before->option, s->option) != 0;
        rows += first;
    }
    CHECK(n == rows, "cm %s: %d options, %d have rows", verb, n, rows);
}

static void every_option_of_train(void)
{
    compare_with_help("train", train_settings);
}

static void every_option_of_sample(void)
{
    compare_with_help("sample", sample_settings);
}

/* ---- an option has an effect or is refused ------------------------------------- */

static const char *const bases[] = {EDM,
                                    CT,
                                    CD,
                                    NEW,
                                    CT " --loss-norm pseudo-huber",
                                    CT " --target-ema-mode fixed --scale-mode fixed",
                                    HEADS};

/* The option with this value, wherever it does not belong: another result, or a refusal, of
 * wrong usage one that names the option. */
static int has_effect(const setting *s, const char *value, const result *without)
{
    char line[sizeof without->command + 128];
    const int is_flag = !strcmp(value, "yes") || !strcmp(value, "no");
    snprintf(line, sizeof line, "%s --%s%s%s%s", without->command, *value == 'n' ? "no-" : "",
             s->option, is_flag ? "" : "=", is_flag ? "" : value);
    clear_outputs();
    const int code = command("%s", line);
    if (code)
        return CHECK(code == 4 || (code == 2 && said(s->option)),
                     "code %d without the name %s\n        cm %s", code, s->option, line);
    result with = {0};
    take_parts(&with);
    return memcmp(with.part, without->part, sizeof with.part) != 0;
}

static void test_effect(const setting *s, const char *base)
{
    char with[512];
    int found = 0;
    snprintf(with, sizeof with, "%s --steps 8", base); /* enough for each to tell */
    const setting here = {.option = s->option, .with = with};
    const result *without = result_of("train", &here, NULL, 0);
    for (int i = 0; item(s->values, i) && !found; i++) /* one may be what is there already */
        found = has_effect(s, item(s->values, i), without);
    CHECK(found, "%s: no effect, and not refused\n        cm %s", s->option, without->command);
}

static void every_option_has_an_effect(void)
{
    for (const setting *s = train_settings; s->option; s++) {
        int first = 1;
        for (const setting *before = train_settings; before < s; before++)
            first &= strcmp(before->option, s->option) != 0;
        if (!first || s->test || s->measure || !item(s->values, 1))
            continue;
        for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
            test_effect(s, bases[i]);
    }
}

/* ---- all of them --------------------------------------------------------- */

static struct {
    const char *verb;
    const setting *row;
    char name[160];
} rows[MAX_TESTS];
static int n_rows, next_row;

static void test_next_row(void)
{
    const int i = next_row++;
    test_row(rows[i].verb, rows[i].row);
}

/* Returns how many tests there are now. */
static size_t add_rows(check_test *tests, size_t n, const char *verb, const setting *table)
{
    for (const setting *s = table; s->option && n < MAX_TESTS; s++) {
        snprintf(rows[n_rows].name, sizeof rows[0].name, "%s --%s%s%s", verb, s->option,
                 s->values ? " " : "", s->values ? s->values : "");
        rows[n_rows].verb = verb;
        rows[n_rows].row = s;
        tests[n++] = (check_test){rows[n_rows++].name, test_next_row};
    }
    return n;
}

/* One image that is transparent in part; one more that is cut short. */
static void make_pictures(void)
{
    static const char signature[] = "\x89PNG\r\n\x1a\n";
    char *alpha = realpath("tests/fuzz/corpus/image/alpha.webp", NULL);
    CHECK(alpha && !mkdir(in_scratch("clear"), 0700) && !mkdir(in_scratch("torn"), 0700) &&
              !symlink(alpha, in_scratch("clear/a.webp")) &&
              !symlink(alpha, in_scratch("torn/a.webp")),
          "cannot make folders of images");
    free(alpha);
    FILE *f = fopen(in_scratch("torn/b.png"), "wb");
    if (CHECK(f != NULL, "torn/b.png")) {
        fwrite(signature, 1, 8, f);
        fclose(f);
    }
}

/* Models with weights by formula: two teachers of one network, one of another for a data
 * set of one image, and a consistency model of five levels. */
static void make_models(void)
{
    command_works("train " NEW " --steps 1 --out made");
    if (CHECK(!mkdir(in_scratch("single"), 0700) && !mkdir(in_scratch("single/class"), 0700) &&
                  !symlink("../../data/sizes/low/0.png", in_scratch("single/class/0.png")),
              "cannot make a folder of one image") &&
        command_works("train --method edm --data single" SMALL FRESH " --steps 1 --out lone"))
        formula_model_write(in_scratch("lone/ckpt/latest/model.safetensors"), "lone.",
                            in_scratch("lone.safetensors"));
    formula_model_write(in_scratch("made/ckpt/latest/model.safetensors"), "one.",
                        in_scratch("one.safetensors"));
    formula_model_write(in_scratch("made/ckpt/latest/model.safetensors"), "two.",
                        in_scratch("two.safetensors"));
    command_works("train " CT " --steps 1 --target-ema-mode fixed --scale-mode fixed "
                  "--start-scales 5 --out consistent");
    formula_model_write(in_scratch("consistent/ckpt/latest/model.safetensors"), "three.",
                        in_scratch("consistent.safetensors"));
}

int main(int argc, char **argv)
{
    static check_test tests[MAX_TESTS];
    char folder[PATH_MAX];
    size_t n = 0;
    if (argc < 3 || !realpath(argv[2], folder)) {
        printf("usage: test_two_values CM FOLDER\n");
        return EXIT_FAILURE;
    }
    command_start(argv[1]);
    if (symlink(folder, in_scratch("golden")) || symlink("golden/data", in_scratch("data")))
        return EXIT_FAILURE;
    tests[n++] = (check_test){"models by formula", make_models};
    tests[n++] = (check_test){"pictures", make_pictures};
    tests[n++] = (check_test){"every option of train has a row", every_option_of_train};
    tests[n++] = (check_test){"every option of sample has a row", every_option_of_sample};
    tests[n++] =
        (check_test){"an option of train has an effect or is refused", every_option_has_an_effect};
    n = add_rows(tests, n, "train", train_settings);
    n = add_rows(tests, n, "sample", sample_settings);
    for (const settings_test *t = train_tests; t->name && n < MAX_TESTS; t++)
        tests[n++] = (check_test){t->name, t->run};
    const int status = check_main(tests, n);
    command_end();
    return status;
}
