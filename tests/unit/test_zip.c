/* test_zip.c - archives of other programs (Python's zipfile, PyTorch), and the same with one
 * lie each: every verdict, and what it says; then limits, streaming, and the size of a bomb. */
#include "scratch.h"

#include "base/memory.h"
#include "io/zip.h"

#include <sys/resource.h>

static const cm_zip_limits limits = {1000, 1 << 20, 2 << 20, 100};

static const char *corpus(const char *file)
{
    static char path[256];
    snprintf(path, sizeof path, "tests/fuzz/corpus/zip/%s", file);
    return path;
}

/* Open it and read every entry to the end. */
static cm_status read_all(const char *path, const cm_zip_limits *most, cm_error *err)
{
    cm_zip *z = NULL;
    cm_status s = cm_zip_open(path, most, &z, err);
    for (int i = 0; !s && i < cm_zip_count(z); i++)
        s = cm_zip_check(z, cm_zip_at(z, i), err);
    cm_zip_close(z);
    return s;
}

static void verdicts(void)
{
    const struct {
        const char *file;
        cm_status verdict;
        const char *says;
    } cases[] = {
        {"ok.zip", CM_OK, ""},
        {"ok-none.zip", CM_OK, ""},
        {"ok-deflated.zip", CM_OK, ""},
        {"ok-descriptor.zip", CM_OK, ""},
        {"ok-extra.zip", CM_OK, ""},
        {"ok-zip64.zip", CM_OK, ""},
        {"ok-end64.zip", CM_OK, ""},
        {"ok-end64-full.zip", CM_OK, ""},
        {"dup.zip", CM_ERR_FORMAT, "\"a\": name: expected it once"},
        {"trav.zip", CM_ERR_FORMAT, "\"../../x\": name: expected a path inside"},
        {"trav-inside.zip", CM_ERR_FORMAT, "expected a path inside"},
        {"trav-end.zip", CM_ERR_FORMAT, "expected a path inside"},
        {"abs.zip", CM_ERR_FORMAT, "\"/abs\": name: expected a path inside"},
        {"backslash.zip", CM_ERR_FORMAT, "expected a path inside"},
        {"zero-name.zip", CM_ERR_FORMAT, "without zeros"},
        {"overlap.zip", CM_ERR_FORMAT, "offset: expected its header to end before"},
        {"overlap-data.zip", CM_ERR_FORMAT, "packed bytes: expected their end at most"},
        {"sizelie.zip", CM_ERR_FORMAT, "\"archive/data/0\": bytes: expected at most 1048576"},
        {"offlie.zip", CM_ERR_FORMAT, "offset: expected its header to end before"},
        {"namelie.zip", CM_ERR_FORMAT, "\"archive/data/0\": offset: expected a header with"},
        {"crclie.zip", CM_ERR_FORMAT, "CRC: expected"},
        {"crc-both.zip", CM_ERR_FORMAT, "CRC: expected 04030201, found"},
        {"data-changed.zip", CM_ERR_FORMAT, "\"archive/data.pkl\": CRC: expected"},
        {"prefix.zip", CM_ERR_FORMAT, "directory: expected its 122 bytes to end at offset 476"},
        {"trunc.zip", CM_ERR_FORMAT, "expected a zip archive, with an end record"},
        {"trunc-head.zip", CM_ERR_FORMAT, "directory: expected its"},
        {"cmt.zip", CM_ERR_FORMAT, "expected a zip archive"},
        {"comment.zip", CM_ERR_FORMAT, "has a comment"},
        {"encrypted.zip", CM_ERR_FORMAT, "it is encrypted"},
        {"flags-differ.zip", CM_ERR_FORMAT, "flags and compression"},
        {"bzip2.zip", CM_ERR_FORMAT, "found 12"},
        {"count-more.zip", CM_ERR_FORMAT, "directory: expected at most 2 entries, found 3"},
        {"count-less.zip", CM_ERR_FORMAT, "expected 1 entries, found 60 bytes after them"},
        {"count-huge.zip", CM_ERR_FORMAT, "expected at most 2 entries, found 65535"},
        {"disk.zip", CM_ERR_FORMAT, "found a part of one"},
        {"directory-at.zip", CM_ERR_FORMAT, "directory: expected its"},
        {"stored-sizes.zip", CM_ERR_FORMAT, "packed bytes: expected its 100 bytes, found 99"},
        {"deflate-more.zip", CM_ERR_FORMAT, "inflates to more than its size"},
        {"deflate-less.zip", CM_ERR_FORMAT, "ends too early"},
        {"deflate-cut.zip", CM_ERR_FORMAT, "is cut short"},
        {"deflate-damaged.zip", CM_ERR_FORMAT, "entry \"a\": "},
        {"end64-at.zip", CM_ERR_FORMAT, "64-bit locator: expected one disk and offset 376"},
        {"end64-count.zip", CM_ERR_FORMAT, "directory: expected at most 2 entries, found 9"},
        {"end64-contradicts.zip", CM_ERR_FORMAT, "end records contradict"},
        {"end64-huge.zip", CM_ERR_FORMAT, "found 18446744073709551615"},
        {"extra-long.zip", CM_ERR_FORMAT, "extra fields"},
        {"bomb.zip", CM_ERR_FORMAT, "bytes: expected at most 1048576, found 4194304"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_error err = {0};
        const cm_status s = read_all(corpus(cases[i].file), &limits, &err);
        CHECK(s == cases[i].verdict, "%s: \"%s\" (%s)", cases[i].file, cm_status_name(s),
              err.message);
        has(&err, cases[i].says);
        CHECK(!s || strstr(err.message, cases[i].file), "%s: not named in %s", cases[i].file,
              err.message);
    }
}

/* Each limit at its last value that lets a file in, and one below. */
static void limits_hold(void)
{
    const struct {
        const char *file;
        cm_zip_limits most;
        cm_status verdict;
    } cases[] = {
        {"ok.zip", {2, 100, 164, 1}, CM_OK},
        {"ok.zip", {1, 100, 164, 1}, CM_ERR_FORMAT},
        {"ok.zip", {2, 99, 164, 1}, CM_ERR_FORMAT},
        {"ok.zip", {2, 100, 163, 1}, CM_ERR_FORMAT},
        {"bomb.zip", {1, 4 << 20, 4 << 20, 1004}, CM_OK},
        {"bomb.zip", {1, 4 << 20, 4 << 20, 1003}, CM_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_error err = {0};
        CHECK(read_all(corpus(cases[i].file), &cases[i].most, &err) == cases[i].verdict, "%zu: %s",
              i, err.message);
    }
}

/* Entries are found by name, in order of their place, with the bytes that Python wrote; in
 * pieces of any length. */
static void streams(void)
{
    cm_zip *z = NULL;
    cm_error err = {0};
    if (!CHECK_OK(cm_zip_open(corpus("ok-deflated.zip"), &limits, &z, &err), err))
        return;
    CHECK(cm_zip_count(z) == 4 && !cm_zip_at(z, 4) && !cm_zip_at(z, -1), "count");
    CHECK(!strcmp(cm_zip_at(z, 1)->name, "b/") && cm_zip_at(z, 1)->bytes == 0, "order");
    CHECK(!cm_zip_find(z, "b") && !cm_zip_find(z, ""), "found what is not there");
    const cm_zip_entry *e = cm_zip_find(z, "b/c.bin");
    CHECK(e && e == cm_zip_at(z, 2) && e->bytes == 256 && e->deflated, "not found");
    for (size_t piece = 1; piece <= 256; piece *= 4) {
        cm_zip_stream *s = NULL;
        uint8_t got[256];
        CHECK_OK(cm_zip_stream_open(z, e, &s, &err), err);
        for (size_t at = 0; at < sizeof got; at += piece)
            CHECK_OK(cm_zip_read(s, got + at, piece, &err), err);
        for (int i = 0; i < 256; i++)
            CHECK(got[i] == i, "byte %d is %d", i, got[i]);
        CHECK(cm_zip_read(s, got, 1, &err) == CM_ERR_FORMAT, "read beyond the end");
        has(&err, "entry \"b/c.bin\": expected 1 more bytes, found 0");
        cm_zip_stream_close(s);
    }
    cm_zip_close(z);
}

/* PyTorch's own: data descriptors, 64-bit end record, names below a folder. */
static void of_torch(void)
{
    cm_error err = {0};
    cm_zip *z = NULL;
    const cm_zip_limits most = {1000, 1 << 20, 4 << 20, 1};
    if (!CHECK_OK(cm_zip_open(check_golden("adm_lsun_like.pt"), &most, &z, &err), err))
        return;
    CHECK(cm_zip_count(z) == 148, "%d entries", cm_zip_count(z));
    const cm_zip_entry *e = cm_zip_find(z, "adm_lsun_like/data.pkl");
    CHECK(e && e->bytes == 26295 && !e->deflated, "data.pkl");
    for (int i = 0; i < cm_zip_count(z); i++)
        CHECK_OK(cm_zip_check(z, cm_zip_at(z, i), &err), err);
    cm_zip_close(z);
}

/* 4 MB from 4 KB: streamed, it takes no more memory than a window. */
static void a_bomb_takes_nothing(void)
{
    const cm_zip_limits most = {1, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct rusage before, after;
    cm_error err = {0};
    getrusage(RUSAGE_SELF, &before);
    CHECK_OK(read_all(corpus("bomb.zip"), &most, &err), err);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 1024, "took %ld KB",
          after.ru_maxrss - before.ru_maxrss);
}

static const check_test tests[] = {
    {"archives with one lie each", verdicts},         {"limits", limits_hold},
    {"entries by name, in pieces", streams},          {"an archive of PyTorch", of_torch},
    {"a bomb takes no memory", a_bomb_takes_nothing},
};

SCRATCH_MAIN(tests)
