/* test_search.c - what the search for time points stands on: the ternary search against brute
 * force, its log against kills and damage, and the levels that a model file has */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "eval/search_log.h"
#include "eval/ternary.h"
#include "sample/own_levels.h"
#include "sample/recipe.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- ternary search ---- */

enum { MOST = 60 };

typedef struct table {
    double y[MOST];
    int asked[MOST];
    int calls, fails_at;
} table;

static cm_status look_up(void *user, int p, double *y, cm_error *err)
{
    table *t = user;
    if (!CHECK(p >= 0 && p < MOST, "point %d", p))
        exit(EXIT_FAILURE);
    t->asked[p] = 1;
    *y = t->y[p];
    return ++t->calls == t->fails_at ? cm_fail(err, CM_ERR_NUMERIC, "no value") : CM_OK;
}

static int search(table *t, int left, int right)
{
    cm_error err = {0};
    const cm_integer_function f = {look_up, t};
    int best = -1;
    memset(t->asked, 0, sizeof t->asked);
    CHECK_OK(cm_ternary_search(&f, left, right, &best, &err), err);
    for (int p = 0; p < MOST; p++)
        CHECK(!t->asked[p] || (p >= left && p <= right), "[%d,%d]: asked for %d", left, right, p);
    return best;
}

/* Every interval, and every place of the lowest point in it: also those of one, two and three
 * points, of which the released code gives back a point of the step before. */
static void test_ternary(void)
{
    for (int left = 0; left < 4; left++)
        for (int right = left; right < left + 50; right++)
            for (int low = left; low <= right; low++) {
                table t = {.calls = 0};
                for (int p = 0; p < MOST; p++)
                    t.y[p] = p < low ? 3.0 * (low - p) : pow(p - low, 1.5);
                const int best = search(&t, left, right);
                CHECK(best == low, "[%d,%d]: %d in place of %d", left, right, best, low);
                CHECK(t.calls <= 3 + 2 * (int)ceil(log(right - left + 1) / log(1.5)),
                      "[%d,%d]: %d calls", left, right, t.calls);
            }
}

/* The lowest of all that were seen, though the search goes elsewhere; the first of equal ones. */
static void test_ternary_bumps(void)
{
    table t = {.calls = 0};
    for (int p = 0; p < MOST; p++)
        t.y[p] = fabs(p - 40.0);
    t.y[10] = -1; /* a third of 0 to 30 */
    CHECK(search(&t, 0, 30) == 10, "the lowest of what was seen is lost");
    for (int p = 0; p < MOST; p++)
        t.y[p] = 1;
    const int best = search(&t, 3, 30);
    for (int p = 3; p < best; p++)
        CHECK(!t.asked[p], "%d is equal to %d and before it", p, best);
    for (int p = 20; p < MOST; p++)
        t.y[p] = 2; /* so that what is asked after 10 is before it */
    CHECK(search(&t, 0, 30) == 6, "the last of equal ones");
}

static void test_ternary_fails(void)
{
    for (int at = 1; at <= 5; at++) {
        table t = {.fails_at = at};
        const cm_integer_function f = {look_up, &t};
        cm_error err = {0};
        int best = -7;
        const cm_status s = cm_ternary_search(&f, 0, 7, &best, &err);
        CHECK(s == CM_ERR_NUMERIC && t.calls == at && best == -7, "call %d: %s, best %d", at,
              cm_status_name(s), best);
    }
}

/* ---- the log ---- */

static cm_search_log *open_log(const char *path, uint64_t key)
{
    cm_search_log *log = NULL;
    cm_error err = {0};
    CHECK_OK(cm_search_log_open(path, key, &log, &err), err);
    return log;
}

static void add(cm_search_log *log, const char *sigmas, int64_t seed, double score,
                double agreement)
{
    cm_error err = {0};
    const cm_search_score s = {score, agreement};
    CHECK_OK(cm_search_log_add(log, sigmas, seed, &s, &err), err);
}

static void check_found(const cm_search_log *log, const char *sigmas, int64_t seed, double score)
{
    const cm_search_score *s = cm_search_log_find(log, sigmas, seed);
    CHECK(s && s->score - score == 0, "%s, seed %d: not %.17g", sigmas, (int)seed, score);
}

/* Numbers come back to the bit, whatever byte a kill ends the file at. */
static void test_log(void)
{
    const char *path = in_dir("search.jsonl"), *cut = in_dir("cut.jsonl");
    const double third = 1.0 / 3;
    cm_search_log *log = open_log(path, 77);
    add(log, "80,3.9", 0, third, 0.25);
    add(log, "80,3.9", 1, 5e-324, (double)NAN);
    add(log, "80", 0, 1e300, 1);
    check_found(log, "80,3.9", 0, third);
    CHECK(!cm_search_log_find(log, "80,3.9", 2) && !cm_search_log_find(log, "80,3", 0), "found");
    cm_search_log_close(log);
    log = open_log(path, 77);
    CHECK(cm_search_log_count(log) == 3, "%d scores", cm_search_log_count(log));
    check_found(log, "80,3.9", 0, third);
    check_found(log, "80,3.9", 1, 5e-324);
    check_found(log, "80", 0, 1e300);
    CHECK(isnan(cm_search_log_find(log, "80,3.9", 1)->agreement), "an agreement");
    CHECK(cm_search_log_find(log, "80,3.9", 0)->agreement - 0.25 == 0, "another agreement");
    cm_search_log_close(log);

    size_t size = 0;
    char bytes[1024];
    FILE *f = fopen(path, "rb");
    size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    for (size_t n = 0; n <= size; n++) {
        int lines = 0;
        struct stat st;
        size_t whole = 0;
        for (size_t i = 0; i < n; i++)
            if (bytes[i] == '\n') {
                lines++;
                whole = i + 1;
            }
        f = fopen(cut, "wb");
        CHECK(f && fwrite(bytes, 1, n, f) == n && !fclose(f), "cannot write");
        log = open_log(cut, 77);
        CHECK(log && cm_search_log_count(log) == lines, "%zu bytes: %d lines", n, lines);
        CHECK(!stat(cut, &st) && (size_t)st.st_size == whole, "%zu bytes: half a line is left", n);
        cm_search_log_close(log);
    }
}

/* Without a path nothing is kept. */
static void test_log_in_memory(void)
{
    cm_search_log *log = open_log("", 1);
    char sigmas[32];
    for (int i = 0; i < 200; i++) {
        snprintf(sigmas, sizeof sigmas, "80,%d", 70 - i);
        add(log, sigmas, i, i / 7.0, 0);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(sigmas, sizeof sigmas, "80,%d", 70 - i);
        check_found(log, sigmas, i, i / 7.0);
    }
    cm_search_log_close(log);
}

static void refused_log(const char *text, cm_status want, const char *mentions)
{
    const char *path = in_dir("bad.jsonl");
    struct stat before, after;
    cm_search_log *log = NULL;
    cm_error err = {0};
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f) && !stat(path, &before), "cannot write");
    const cm_status s = cm_search_log_open(path, 77, &log, &err);
    CHECK(s == want && strstr(err.message, mentions), "%s: %s", text, err.message);
    CHECK(!stat(path, &after) && before.st_size == after.st_size, "%s: the file is changed", text);
    cm_search_log_close(log);
}

static void test_log_damage(void)
{
#define KEY "\"search\":\"000000000000004d\""
    refused_log("no line of a log\n", CM_ERR_FORMAT,
                "bad.jsonl: line 1: expected a score of a search, found 'no line of a log'");
    refused_log("[]\n", CM_ERR_FORMAT, "line 1");
    refused_log("\n", CM_ERR_FORMAT, "line 1");
    refused_log("{" KEY ",\"sigmas\":\"80\",\"seed\":0}\n", CM_ERR_FORMAT, "score");
    refused_log("{" KEY ",\"sigmas\":\"80\",\"seed\":0,\"score\":1,\"agreement\":2}\n",
                CM_ERR_FORMAT, "agreement");
    refused_log("{" KEY ",\"sigmas\":\"80\",\"seed\":-1,\"score\":1}\n", CM_ERR_FORMAT, "seed");
    refused_log("{" KEY ",\"sigmas\":80,\"seed\":0,\"score\":1}\n", CM_ERR_FORMAT, "sigmas");
    refused_log("{" KEY ",\"sigmas\":\"80\",\"seed\":0,\"score\":-1}\n", CM_ERR_FORMAT, "score");
    refused_log("notes", CM_ERR_FORMAT, "other text at its end");
    refused_log("{\"a\":1}", CM_ERR_FORMAT, "other text at its end");
    refused_log("{\"search\":\"000000000000004e\",\"sigmas\":\"80\",\"seed\":0,\"score\":1}\n",
                CM_ERR_ARGUMENT, "is of another search");
    cm_search_log *log = NULL;
    cm_error err = {0};
    CHECK(cm_search_log_open(in_dir(""), 1, &log, &err) == CM_ERR_IO, "a folder: %s", err.message);
    cm_search_log *first = open_log(in_dir("one.jsonl"), 1);
    CHECK(cm_search_log_open(in_dir("one.jsonl"), 1, &log, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "in use"),
          "two at once: %s", err.message);
    cm_search_log_close(first);
}

/* ---- what a model has ---- */

static cm_model model_with(char *sampling)
{
    return (cm_model){.name = (char *)(uintptr_t) "m",
                      .schedule = CM_NOISE_SCHEDULE_DEFAULT,
                      .sampling = sampling};
}

static void test_own_levels(void)
{
    char text[] = "{\"2\":{\"sigmas\":\"80,3.25\",\"score\":1},\"3\":{\"sigmas\":\"80,3.25,0.5\"}}";
    const cm_model with = model_with(text), without = model_with(NULL);
    double sigma[CM_MOST_OWN_LEVELS] = {0};
    cm_error err = {0};
    int found = -1;
    CHECK_OK(cm_own_levels(&with, 3, sigma, &found, &err), err);
    CHECK(found && sigma[0] - 80 == 0 && sigma[1] - 3.25 == 0 && sigma[2] - 0.5 == 0, "of three");
    CHECK_OK(cm_own_levels(&with, 2, sigma, &found, &err), err);
    CHECK(found, "none of two");
    CHECK_OK(cm_own_levels(&with, 4, sigma, &found, &err), err);
    CHECK(!found, "some of four");
    CHECK_OK(cm_own_levels(&without, 2, sigma, &found, &err), err);
    CHECK(!found, "some of a model without");
    CHECK_OK(cm_own_levels_check(&with, &err), err);
    CHECK_OK(cm_own_levels_check(&without, &err), err);
}

static void test_own_levels_damage(void)
{
    static const struct {
        const char *text, *mentions;
    } bad[] = {
        {"{\"2\":{\"sigmas\":\"80\"}}", "\"2\": \"sigmas\": expected 2 noise levels, found 1"},
        {"{\"2\":{\"sigmas\":\"80,90\"}}", "item 2"},
        {"{\"2\":{\"sigmas\":\"80,x\"}}", "sigmas"},
        {"{\"2\":{\"sigmas\":[80,5]}}", "sigmas"},
        {"{\"2\":{}}", "sigmas"},
        {"{\"2\":[]}", "expected an object"},
        {"{\"1\":{\"sigmas\":\"80\"}}", "expected a number of evaluations, 2 to 256"},
        {"{\"two\":{\"sigmas\":\"80,5\"}}", "expected a number of evaluations"},
        {"[]", "m: \"sampling\""},
        {"{", "m: \"sampling\""}};
    double sigma[CM_MOST_OWN_LEVELS];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        int found;
        cm_error err = {0}, again = {0};
        snprintf(text, sizeof text, "%s", bad[i].text);
        const cm_model m = model_with(text);
        const cm_status s = cm_own_levels_check(&m, &err);
        CHECK(s == CM_ERR_FORMAT && strstr(err.message, bad[i].mentions), "%s: %s", text,
              err.message);
        if (strstr(text, "\"2\"") || text[1] != '"')
            CHECK(cm_own_levels(&m, 2, sigma, &found, &again) == CM_ERR_FORMAT, "%s is read", text);
    }
}

/* Of the grid, nearest to 4 sigma_data: numbers worked out by hand from Karras' formula. */
static void test_second_level(void)
{
    const cm_noise_schedule usual = CM_NOISE_SCHEDULE_DEFAULT, low = {0.002, 1.0, 0.5, 7.0};
    static const struct {
        int scales;
        double level;
    } of[] = {{0, 2.0},
              {3, 2.515218976147159},
              {10, 1.501741979068008},
              {18, 1.9233398370400518},
              {40, 2.2404397589312026},
              {151, 1.9729775403648135}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const double found = cm_second_level(&usual, of[i].scales);
        CHECK(fabs(found / of[i].level - 1.0) < 1e-12, "%d levels: %.17g, expected %.17g",
              of[i].scales, found, of[i].level);
    }
    CHECK(cm_second_level(&low, 0) < 0.3, "%g: near the top of 1", cm_second_level(&low, 0));
}

int main(void)
{
    static const check_test tests[] = {
        {"second_level", test_second_level},
        {"ternary", test_ternary},
        {"ternary_bumps", test_ternary_bumps},
        {"ternary_fails", test_ternary_fails},
        {"log", test_log},
        {"log_in_memory", test_log_in_memory},
        {"log_damage", test_log_damage},
        {"own_levels", test_own_levels},
        {"own_levels_damage", test_own_levels_damage},
    };
    return scratch_main(tests, sizeof tests / sizeof *tests);
}
