/* test_options.c - the option tables, setting by name, JSON in and out, and the
 * strict number readers under them */
#include "base/text.h"
#include "check.h"
#include "options/options.h"

#include <limits.h>
#include <locale.h>
#include <unistd.h>

/* ---- numbers and lists -------------------------------------------------- */

static void test_numbers(void)
{
    static const char *const bad_real[] = {"",    " 1", "1 ",    "1x",  "inf", "nan", "0x10",
                                           "1,5", "1e", "1e999", "--1", "-",   ".",   "e5"};
    static const char *const bad_int[] = {
        "", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808", "+-1"};
    double real = 42;
    int64_t whole = 42;
    for (size_t i = 0; i < sizeof bad_real / sizeof *bad_real; i++)
        CHECK(!cm_text_to_real(bad_real[i], &real) && real == 42, "'%s' read as %g", bad_real[i],
              real);
    for (size_t i = 0; i < sizeof bad_int / sizeof *bad_int; i++)
        CHECK(!cm_text_to_int(bad_int[i], &whole) && whole == 42, "'%s' read", bad_int[i]);
    CHECK(cm_text_to_real("-1.5e-3", &real) && real == -1.5e-3, "%g", real);
    CHECK(cm_text_to_int("-9223372036854775808", &whole) && whole == INT64_MIN, "smallest");
}

static void test_lists(void)
{
    cm_error err = {0};
    double reals[3];
    int ints[3], n = -1;
    CHECK_OK(cm_parse_real_list("80,0.8,2e-3", 3, reals, &n, "sigmas", &err), err);
    CHECK(n == 3 && reals[0] == 80 && reals[1] == 0.8 && reals[2] == 2e-3, "values");
    CHECK_OK(cm_parse_int_list("0,22,-39", 3, ints, &n, "ts", &err), err);
    CHECK(n == 3 && ints[0] == 0 && ints[1] == 22 && ints[2] == -39, "values");
    CHECK_OK(cm_parse_int_list("", 3, ints, &n, "ts", &err), err);
    CHECK(n == 0, "empty list: %d", n);
    static const char *const bad[] = {",",   "1,",         "1,,2", ",1",      "1, 2",
                                      "1;2", "2147483648", "1.5",  "1,2,3,4", "1,x\n2"};
    n = -7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(cm_parse_int_list(bad[i], 3, ints, &n, "ts", &err) == CM_ERR_ARGUMENT, "'%s' read",
              bad[i]);
        CHECK(n == -7, "n written for '%s'", bad[i]);
        CHECK(!strchr(err.message, '\n'), "raw newline in a message");
    }
    CHECK(cm_parse_real_list("1,2x,3", 3, reals, &n, "sigmas", &err) == CM_ERR_ARGUMENT, "read");
    CHECK(!strcmp(err.message, "sigmas: item 2: expected a number, found '2x'"), "%s", err.message);
    char longest[200];
    memset(longest, '1', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(cm_parse_real_list(longest, 3, reals, &n, "sigmas", &err) == CM_ERR_ARGUMENT,
          "199 digits read");
}

/* The definition, by recursion, is the oracle. */
static int slow_distance(const char *a, const char *b)
{
    if (!*a || !*b)
        return (int)(strlen(a) + strlen(b));
    const int same = slow_distance(a + 1, b + 1) + (*a != *b);
    const int drop = slow_distance(a + 1, b) + 1, add = slow_distance(a, b + 1) + 1;
    const int least = same < drop ? same : drop;
    return least < add ? least : add;
}

static void test_edit_distance(void)
{
    static const char *const words[] = {"",      "lr",     "rl",      "batch",  "bath",
                                        "pitch", "kitten", "sitting", "s-churn"};
    enum { count = sizeof words / sizeof *words };
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            CHECK(cm_edit_distance(words[i], words[j]) == slow_distance(words[i], words[j]),
                  "'%s' to '%s': %d", words[i], words[j], cm_edit_distance(words[i], words[j]));
    char longest[65] = {0};
    memset(longest, 'a', 64);
    CHECK(cm_edit_distance("a", longest) == INT_MAX, "64 bytes");
    CHECK(cm_edit_distance("a", longest + 1) == 62, "63 bytes");
}

/* By all distances: the first of the least, of names most of which can stay. */
static const char *slow_nearest(const cm_option *table, const char *name)
{
    const char *best = NULL;
    for (int least = INT_MAX; table->name; table++) {
        const int distance = cm_edit_distance(table->name, name);
        const int near = distance <= 1 + (int)strlen(table->name) / 3;
        best = near && distance < least ? table->name : best;
        least = near && distance < least ? distance : least;
    }
    return best;
}

/* Each name cut and lengthened, at either end. */
static void test_nearest(void)
{
    static const cm_option known[] = {
        {.name = "a"}, {.name = "abcd"}, {.name = "abcdefg"}, {.name = "classes"}, {0}};
    const cm_option *const tables[] = {known, cm_train_options(), cm_sample_options(),
                                       cm_plot_options()};
    for (int t = 0; t < 4; t++)
        for (const cm_option *o = tables[t]; o->name; o++)
            for (int k = 0; k < 4 * (int)strlen(o->name); k++) {
                char name[200];
                const int way = k % 4, n = k / 4;
                snprintf(name, sizeof name, "%.*s%.*s%.*s", way == 2 ? n : 0,
                         "xxxxxxxxxxxxxxxxxxxxxx", way == 0 ? n : 99, o->name + (way == 1 ? n : 0),
                         way == 3 ? n : 0, "-x-x-x-x-x-x-x-x-x-x-x-x");
                const char *found = cm_options_nearest(tables[t], name);
                const char *right = slow_nearest(tables[t], name);
                CHECK(found == right, "'%s': near '%s', not '%s'", name, found ? found : "none",
                      right ? right : "none");
            }
}

/* ---- locale --------------------------------------------------------------- */

/* A locale with a decimal comma, made for the test, as programs that use the library may
 * have one. */
static int use_german(const char *folder)
{
    char command[600];
    snprintf(command, sizeof command,
             "localedef -i de_DE -f UTF-8 --no-archive %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    return !system(command) && !setenv("LOCPATH", folder, 1) &&
           setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void test_locale(void)
{
    char folder[] = "/tmp/cm-locale-XXXXXX", text[CM_REAL_TEXT], remove[80], shown[16];
    double value = 0.0;
    cm_train_params t;
    if (!CHECK(mkdtemp(folder) != NULL, "no folder"))
        return;
    const int german = use_german(folder);
    if (german) {
        t = cm_train_default_params(); /* aborted where 0.9 was not a number */
        CHECK(t.beta1 == 0.9 && t.sigma_min == 0.002, "defaults: beta1 %g", t.beta1);
        CHECK(cm_text_to_real("2.5e-4", &value) && value == 2.5e-4, "2.5e-4 is %g", value);
        CHECK(!cm_text_to_real("2,5", &value), "2,5 is a number");
        CHECK(!strcmp(cm_text_from_real(text, 0.9999), "0.9999"), "0.9999 is written %s", text);
        snprintf(shown, sizeof shown, "%.1f", 0.5);
        CHECK(!strcmp(shown, "0,5"), "the program's own locale was changed: %s", shown);
    }
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    CHECK(!system(remove), "%s stays", folder);
    if (!german)
        CHECK_SKIP("no locale with a decimal comma could be made");
}

/* Written numbers are the shortest that read back. */
static void test_written_numbers(void)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.9999, "0.9999"},
                {0.5, "0.5"},
                {2, "2"},
                {1.0 / 3, "0.3333333333333333"},
                {0.99999999991, "0.99999999991"},
                {0, "0"}};
    char text[CM_REAL_TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK(!strcmp(cm_text_from_real(text, rows[i].value), rows[i].text), "%s, expected %s",
              text, rows[i].text);
}

/* ---- values in the struct ------------------------------------------------- */

/* Every field of both structs beyond its table, whoever filled it. */
static void check_door(const cm_option *table, void *settings, void (*fill)(void *))
{
    for (const cm_option *o = table; o->name; o++) {
        fill(settings);
        cm_error why = {0};
        CHECK(cm_options_check(table, settings, &why) == CM_OK, "defaults: %s", why.message);
        char *field = (char *)settings + o->offset;
        const double wrong[] = {o->min - 1, o->max + 1, (double)NAN, (double)INFINITY};
        for (int k = 0; k < (o->type == CM_OPT_REAL ? 4 : 2); k++) {
            if (o->type == CM_OPT_TEXT && k)
                memset(field, 'x', sizeof(cm_text)); /* no end */
            else if (o->type == CM_OPT_TEXT)
                snprintf(field, sizeof(cm_text), "%s", "\xff nothing");
            else if (o->type == CM_OPT_INT)
                *(int64_t *)(void *)field = (int64_t)wrong[k];
            else if (o->type == CM_OPT_FLAG)
                *(int *)(void *)field = (int)wrong[k];
            else
                *(double *)(void *)field = wrong[k];
            CHECK(cm_options_check(table, settings, &why) == CM_ERR_ARGUMENT &&
                      strstr(why.message, o->name),
                  "%s, wrong value %d: %s", o->name, k, why.message);
        }
    }
}

static void fill_train(void *settings)
{
    *(cm_train_params *)settings = cm_train_default_params();
}

static void fill_sample(void *settings)
{
    *(cm_sample_params *)settings = cm_sample_default_params();
}

static void test_door(void)
{
    static cm_train_params t;
    static cm_sample_params s;
    check_door(cm_train_options(), &t, fill_train);
    check_door(cm_sample_options(), &s, fill_sample);
}

/* ---- the tables --------------------------------------------------------- */

static void test_defaults(void)
{
    cm_train_params t;
    cm_sample_params s;
    t = cm_train_default_params();
    s = cm_sample_default_params();
    CHECK(!strcmp(t.method, "edm") && t.steps == 0 && t.minutes == 60 && t.lr == 1e-3 && !t.lr_decay &&
              t.scale_shift == 1 && t.p_mean == -1.2 && !t.ema_rates[0] &&
              t.weighting[0] == '\0' && t.sigma_max == 80,
          "a training default");
    CHECK(!strcmp(s.sampler, "auto") && s.num == 16 && !strcmp(s.label, ":all") && s.s_noise == 1 &&
              s.s_tmax == 1e6 && s.seed == 0,
          "a sampling default");
}

/* No name or field twice; every option has help; ranges make sense. */
static void check_table(const cm_option *table, size_t config_size)
{
    for (const cm_option *o = table; o->name; o++) {
        CHECK(o->help && o->initial && o->offset < config_size, "%s", o->name);
        CHECK(o->type == CM_OPT_TEXT || o->min < o->max, "%s: range", o->name);
        CHECK(strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(o->name), "%s",
              o->name);
        for (const cm_option *p = o + 1; p->name; p++)
            CHECK(strcmp(o->name, p->name) != 0 && o->offset != p->offset, "%s twice", o->name);
    }
}

static void test_tables(void)
{
    check_table(cm_train_options(), sizeof(cm_train_params));
    check_table(cm_sample_options(), sizeof(cm_sample_params));
    check_table(cm_plot_options(), sizeof(cm_plot_params));
}

/* ---- setting ------------------------------------------------------------ */

static cm_train_params config;
static cm_error err;

static cm_status set(const char *name, const char *value)
{
    err = (cm_error){0};
    return cm_options_set(cm_train_options(), &config, name, value, &err);
}

static void refuse(const char *name, const char *value, const char *message)
{
    const cm_train_params before = config;
    CHECK(set(name, value) == CM_ERR_ARGUMENT && err.status == CM_ERR_ARGUMENT, "--%s '%s' taken",
          name, value ? value : "(none)");
    CHECK(!strcmp(err.message, message), "%s\n      expected %s", err.message, message);
    CHECK(!memcmp(&before, &config, sizeof config), "--%s changed the settings", name);
}

static void test_set(void)
{
    config = cm_train_default_params();
    CHECK_OK(set("steps", "7"), err);
    CHECK_OK(set("lr", "2.5e-4"), err);
    CHECK_OK(set("start-ema", "1"), err); /* ranges are inclusive */
    CHECK_OK(set("flip", "true"), err);
    CHECK_OK(set("lr-decay", NULL), err);
    CHECK_OK(set("scale-shift-norm", "false"), err);
    CHECK_OK(set("method", "cd"), err);
    CHECK_OK(set("weighting", "snr+1"), err);
    CHECK_OK(set("out", "runs/\xc3\xbc"), err); /* u umlaut */
    CHECK(config.steps == 7 && config.lr == 2.5e-4 && config.flip == 1 && config.lr_decay == 1 &&
              config.scale_shift == 0 && !strcmp(config.method, "cd") &&
              !strcmp(config.weighting, "snr+1") && config.start_ema == 1,
          "a value");
    CHECK_OK(set("weighting", ""), err);
    CHECK(config.weighting[0] == '\0', "the empty choice");
    CHECK_OK(set("seed", "9000000000000000"), err);
    CHECK(config.seed == INT64_C(9000000000000000), "a large seed is exact");
}

static void test_refused(void)
{
    config = cm_train_default_params();
    refuse("steps", "-1",
           "option 'steps': expected a whole number within [0, 1000000000], found '-1'");
    refuse("steps", "1e3",
           "option 'steps': expected a whole number within [0, 1000000000], found '1e3'");
    refuse("lr", "fast\x1b", "option 'lr': expected a number within [0, 10], found 'fast\\x1b'");
    refuse("lr", "nan", "option 'lr': expected a number within [0, 10], found 'nan'");
    refuse("lr", "-1e-9", "option 'lr': expected a number within [0, 10], found '-1e-9'");
    refuse("flip", "yes", "option 'flip': expected true or false, found 'yes'");
    refuse("method", "", "option 'method': expected edm|cd|ct|pd|classifier, found ''");
    refuse("method", "edm|cd", "option 'method': expected edm|cd|ct|pd|classifier, found 'edm|cd'");
    refuse("method", "ed", "option 'method': expected edm|cd|ct|pd|classifier, found 'ed'");
    refuse("out", NULL, "option 'out': expected a value, found none");
    refuse("out", "a\xff", "option 'out': expected UTF-8 text, found 'a\\xff'");
    refuse("lr_warmup", "1", "option 'lr_warmup': no such setting; did you mean 'lr-warmup'?");
    refuse("bacth", "1", "option 'bacth': no such setting; did you mean 'batch'?");
    refuse("zzzzzz", "1", "option 'zzzzzz': no such setting");
    refuse("", "1", "option '': no such setting");
    char longest[sizeof(cm_text) + 1];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refuse("out", longest, "option 'out': expected at most 511 bytes, found 512");
    longest[sizeof longest - 2] = '\0';
    CHECK_OK(set("out", longest), err);
}

/* ---- JSON --------------------------------------------------------------- */

static char json_path[] = "/tmp/cm_test_options_XXXXXX";

static void write_json(const char *text)
{
    FILE *f = fopen(json_path, "w");
    if (!CHECK(f != NULL, "cannot write %s", json_path))
        return;
    fputs(text, f);
    fclose(f);
}

static cm_status read_json(const char *text)
{
    write_json(text);
    err = (cm_error){0};
    return cm_options_read(cm_train_options(), &config, json_path, &err);
}

static void test_json(void)
{
    config = cm_train_default_params();
    CHECK_OK(read_json("{\"steps\": 5, \"lr\": 1, \"flip\": true, \"method\": \"ct\"}"), err);
    CHECK(config.steps == 5 && config.lr == 1 && config.flip == 1 && !strcmp(config.method, "ct"),
          "a value");
    CHECK(config.batch == 64, "a key that is absent keeps its value");
    CHECK_OK(read_json("{}"), err);
    CHECK(config.steps == 5, "an empty object changes nothing");
    CHECK(cm_options_read(cm_train_options(), &config, "/nonexistent/config.json", &err) ==
              CM_ERR_IO,
          "a missing file");
}

static void test_json_refused(void)
{
    static const struct {
        const char *text, *mentions;
    } bad[] = {
        {"{\"steps\": 5, \"bacth\": 5}", "'bacth': no such setting; did you mean 'batch'"},
        {"{\"steps\": 5, \"steps\": 6}", "steps"},
        {"{\"steps\": \"5\"}", "steps"},
        {"{\"steps\": 5.5}", "steps"},
        {"{\"steps\": -1}", "steps"},
        {"{\"steps\": null}", "steps"},
        {"{\"lr\": 11}", "lr"},
        {"{\"lr\": 1e999}", ""},
        {"{\"flip\": 1}", "flip"},
        {"{\"method\": \"gan\"}", "method: expected edm|cd|ct|pd|classifier, found 'gan'"},
        {"{\"method\": [\"cd\"]}", "method"},
        {"{\"batch\": 3, \"out\": \"a\\u0000b\"}", ""},
        {"[1]", ""},
        {"{\"steps\": 5", ""},
        {"{} {}", ""},
        {"", ""},
    };
    config = cm_train_default_params();
    const cm_train_params before = config;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(read_json(bad[i].text) == CM_ERR_FORMAT, "taken: %s", bad[i].text);
        CHECK(strstr(err.message, json_path) && strstr(err.message, bad[i].mentions),
              "%s: message '%s'", bad[i].text, err.message);
        CHECK(!memcmp(&before, &config, sizeof config), "%s changed the settings", bad[i].text);
    }
}

/* Every field away from its default, out to JSON and back. */
static void test_round_trip(void)
{
    config = cm_train_default_params();
    for (const cm_option *o = cm_train_options(); o->name; o++) {
        char *field = (char *)&config + o->offset;
        if (o->type == CM_OPT_INT)
            *(int64_t *)(void *)field = (int64_t)o->max;
        else if (o->type == CM_OPT_REAL)
            *(double *)(void *)field = o->min + (o->max - o->min) / 3;
        else if (o->type == CM_OPT_FLAG)
            *(int *)(void *)field ^= 1;
        char text[80];
        snprintf(text, sizeof text, "\"%s\" \xc3\xa9\n", o->name);
        if (o->type == CM_OPT_TEXT)
            CHECK_OK(set(o->name, o->choices ? strrchr(o->choices, '|') + 1 : text), err);
    }
    json_t *object = cm_options_to_json(cm_train_options(), &config);
    char *text = object ? json_dumps(object, 0) : NULL;
    json_decref(object);
    if (!CHECK(text != NULL, "cm_options_to_json"))
        return;
    const cm_train_params want = config;
    config = cm_train_default_params();
    CHECK_OK(read_json(text), err);
    CHECK(!memcmp(&want, &config, sizeof config), "the settings differ after a round trip");
    free(text);
}

int main(void)
{
    static const check_test tests[] = {
        {"numbers under a locale with a comma", test_locale},
        {"numbers as text", test_written_numbers},
        {"values in the structs are checked", test_door},
        {"numbers", test_numbers},
        {"lists", test_lists},
        {"edit_distance", test_edit_distance},
        {"nearest name", test_nearest},
        {"defaults", test_defaults},
        {"tables", test_tables},
        {"set", test_set},
        {"refused", test_refused},
        {"json", test_json},
        {"json_refused", test_json_refused},
        {"round_trip", test_round_trip},
    };
    const int fd = mkstemp(json_path);
    if (fd < 0)
        return EXIT_FAILURE;
    close(fd);
    const int status = check_main(tests, sizeof tests / sizeof *tests);
    unlink(json_path);
    return status;
}
