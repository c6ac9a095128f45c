/* test_sheet.c - sheets of images against pixels placed here one by one, text by what any font
 * must do, and the names of files of samples */
#include "scratch.h"

#include "base/memory.h"
#include "data/sample_names.h"
#include "data/summary.h"
#include "draw/sheet.h"

#include <stdint.h>

enum { MOST = 400, WHITE = 255 };

static int pixel(const cm_canvas *s, int64_t x, int64_t y, int channel)
{
    return s->pixels[(y * s->w + x) * s->c + channel];
}

/* Any value but white. */
static uint8_t value(int64_t i, int y, int x, int channel)
{
    return (uint8_t)((uint32_t)(i * 5 + y * 31 + x * 7 + channel * 101) % 251);
}

/* Images whose every value is known, with a caption each. */
static cm_sheet draw(const cm_sheet_layout *l, const char *caption)
{
    cm_error err = {0};
    cm_sheet s = {0};
    uint8_t image[MOST];
    if (!CHECK_OK(cm_sheet_new(l, "sheet", &s, &err), err))
        exit(EXIT_FAILURE);
    for (int64_t i = 0; i < l->n; i++) {
        uint8_t *p = image;
        for (int y = 0; y < l->h; y++)
            for (int x = 0; x < l->w; x++)
                for (int k = 0; k < l->c; k++)
                    *p++ = value(i, y, x, k);
        cm_sheet_put(&s, i, image, caption);
    }
    return s;
}

/* Image i of a sheet is there, its top left at (left, top). */
static int is_image(const cm_sheet *s, int64_t i, int64_t left, int64_t top)
{
    const cm_sheet_layout *l = &s->layout;
    for (int y = 0; y < l->h * l->scale; y++)
        for (int x = 0; x < l->w * l->scale; x++)
            for (int k = 0; k < l->c; k++)
                if (pixel(&s->canvas, left + x, top + y, k) !=
                    value(i, y / l->scale, x / l->scale, k))
                    return 0;
    return 1;
}

/* Pixels of a rectangle that are not white. */
static int64_t ink(const cm_canvas *s, int64_t x0, int64_t y0, int64_t x1, int64_t y1)
{
    int64_t n = 0;
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++)
            n += pixel(s, x, y, 0) != WHITE;
    return n;
}

/* ---- sheets -------------------------------------------------------------- */

static void test_plain(void)
{
    static const struct {
        int n, columns, c, want_columns, want_rows;
    } cases[] = {
        {1, 0, 1, 1, 1}, {5, 0, 3, 3, 2}, {5, 2, 1, 2, 3}, {4, 7, 3, 7, 1}, {9, 0, 1, 3, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cm_sheet_layout l = {.n = cases[i].n,
                                   .h = 5,
                                   .w = 4,
                                   .c = cases[i].c,
                                   .columns = cases[i].columns,
                                   .scale = 1};
        cm_sheet s = draw(&l, NULL);
        CHECK(s.canvas.w == cases[i].want_columns * 6 + 2 &&
                  s.canvas.h == cases[i].want_rows * 7 + 2,
              "case %zu: %d x %d", i, s.canvas.w, s.canvas.h);
        for (int64_t k = 0; k < l.n; k++)
            CHECK(is_image(&s, k, 2 + k % cases[i].want_columns * 6,
                           2 + k / cases[i].want_columns * 7),
                  "case %zu: image %d", i, (int)k);
        CHECK(ink(&s.canvas, 0, 0, s.canvas.w, s.canvas.h) == 20 * l.n, "case %zu: gaps", i);
        cm_sheet_clear(&s);
    }
}

static void test_scale(void)
{
    for (int scale = 1; scale <= 32; scale += scale < 4 ? 1 : 7)
        for (int c = 1; c <= 3; c += 2) {
            const cm_sheet_layout one = {.n = 5, .h = 5, .w = 4, .c = c, .scale = 1};
            cm_sheet_layout large = one;
            large.scale = scale;
            cm_sheet a = draw(&one, NULL), b = draw(&large, NULL);
            CHECK(b.canvas.w == a.canvas.w * scale && b.canvas.h == a.canvas.h * scale,
                  "scale %d: %d x %d", scale, b.canvas.w, b.canvas.h);
            int other = 0;
            for (int y = 0; y < b.canvas.h; y++)
                for (int x = 0; x < b.canvas.w; x++)
                    for (int k = 0; k < c; k++)
                        other +=
                            pixel(&b.canvas, x, y, k) != pixel(&a.canvas, x / scale, y / scale, k);
            CHECK(!other, "scale %d: %d values differ", scale, other);
            cm_sheet_clear(&a);
            cm_sheet_clear(&b);
        }
}

static void test_one_as_it_is(void)
{
    const cm_sheet_layout l = {.n = 1, .h = 5, .w = 4, .c = 3, .columns = -1, .scale = 3};
    cm_sheet s = draw(&l, NULL);
    CHECK(s.canvas.w == 12 && s.canvas.h == 15 && is_image(&s, 0, 0, 0), "%d x %d", s.canvas.w,
          s.canvas.h);
    cm_sheet_clear(&s);
}

/* The images stay as they are, in columns that stay where they are; ink is added below each
 * and above all, and nowhere else. */
static void test_text(void)
{
    static const char *const captions[] = {"cat", "a name that is much too long for one", "",
                                           "WWW"};
    for (int scale = 1; scale <= 6; scale++)
        for (size_t k = 0; k < sizeof captions / sizeof *captions; k++) {
            const cm_sheet_layout l = {.n = 3,
                                       .h = 12,
                                       .w = 24,
                                       .c = 1,
                                       .columns = 2,
                                       .scale = scale,
                                       .captions = 1,
                                       .heading =
                                           k % 2 ? "step 12000 \u00b7 a heading too long" : "x"};
            cm_sheet s = draw(&l, captions[k]);
            const int gap = 2 * scale, w = 24 * scale, h = 12 * scale;
            int64_t w_of, h_of;
            cm_sheet_size(&l, &w_of, &h_of);
            CHECK(s.canvas.w == w_of && s.canvas.h == h_of, "%d x %d", s.canvas.w, s.canvas.h);
            int top = 0;
            while (top < s.canvas.h && !is_image(&s, 0, gap, top))
                top++;
            int below = top + h;
            while (below < s.canvas.h && !is_image(&s, 2, gap, below))
                below++;
            if (!CHECK(below < s.canvas.h && is_image(&s, 1, 2 * gap + w, top),
                       "scale %d: the images are not there", scale))
                continue;
            const int64_t heading = ink(&s.canvas, 0, 0, s.canvas.w, top),
                          first = ink(&s.canvas, gap, top + h, gap + w, below - gap),
                          last = ink(&s.canvas, gap, below + h, gap + w, s.canvas.h - gap),
                          all = ink(&s.canvas, 0, 0, s.canvas.w, s.canvas.h);
            CHECK(heading > 0 && !!first == !!*captions[k] && first == last,
                  "scale %d, '%s': ink %d above, %d and %d below", scale, captions[k], (int)heading,
                  (int)first, (int)last);
            CHECK(all == heading + 3 * (first + (int64_t)w * h), "scale %d, '%s': ink elsewhere",
                  scale, captions[k]);
            cm_sheet_clear(&s);
        }
}

/* A heading goes on in further lines: no letter of it is lost, and a line is as high as one. */
static void test_long_heading(void)
{
    static const char heading[] = "x / sqrt(1 + 4 sigma^2), below it D(x, sigma), by sigma";
    const int columns[] = {20, 5, 3, 2};
    const int64_t line = 9 + 2;
    int64_t first = 0, before = 0;
    for (int i = 0; i < 4; i++) {
        cm_sheet_layout l = {
            .n = 2, .h = 4, .w = 34, .c = 1, .columns = columns[i], .scale = 1, .heading = heading};
        cm_sheet s = {0};
        cm_error err = {0};
        if (!CHECK_OK(cm_sheet_new(&l, "sheet", &s, &err), err))
            return;
        const int64_t lines = (s.canvas.h - 4 - 2 * 2) / line, top = 2 + lines * line,
                      written = ink(&s.canvas, 0, 0, s.canvas.w, (int)top);
        first = i ? first : written;
        CHECK(written == first && first > 100, "%d columns: ink %d of %d", columns[i], (int)written,
              (int)first);
        CHECK(i ? lines > before : lines == 1, "%d columns: %d lines", columns[i], (int)lines);
        before = lines;
        l.least_lines = 9;
        int64_t w, h;
        cm_sheet_size(&l, &w, &h);
        CHECK(h == s.canvas.h + (9 - lines) * line, "%d high with nine lines", (int)h);
        cm_sheet_clear(&s);
    }
}

static void test_too_large(void)
{
    cm_error err = {0};
    cm_sheet s;
    const cm_sheet_layout l = {.n = 1, .h = 5, .w = 60000, .c = 1, .scale = 32};
    CHECK(cm_sheet_new(&l, "x.png", &s, &err) == CM_ERR_ARGUMENT, "1.9 million pixels wide");
    has(&err, "x.png: 1 image at scale 32: a grid of 1920128 x 288 pixels");
}

/* ---- text ---------------------------------------------------------------- */

enum { LINE = 120, TALL = 40 };

/* A line in a white box with a rim of 2 pixels around it. */
static int text(uint8_t box[TALL * LINE], const char *words, int room, int size, int centred)
{
    const cm_canvas c = {LINE, TALL, 1, box};
    memset(box, WHITE, TALL * LINE);
    cm_text_draw(&c, &(cm_text_line){words, 2, 2, room, size, centred});
    int last = 0;
    for (int y = 0; y < TALL; y++)
        for (int x = 0; x < LINE; x++)
            if (box[y * LINE + x] != WHITE) {
                CHECK(x >= 2 && x < 2 + room && y >= 2 && y < 2 + CM_FONT_HEIGHT * size,
                      "'%s' in %d: ink at %d, %d", words, room, x, y);
                last = x > last ? x : last;
            }
    return last; /* column with ink; 0: none */
}

static int same_text(const char *a, const char *b)
{
    uint8_t one[TALL * LINE], two[TALL * LINE];
    text(one, a, 100, 1, 0);
    text(two, b, 100, 1, 0);
    return !memcmp(one, two, sizeof one);
}

/* Each of printable ASCII has a picture of its own; an L is what it must be. */
static void test_letters(void)
{
    uint8_t box[TALL * LINE];
    for (int a = '!'; a <= '~'; a++) {
        const char one[] = {(char)a, '\0'};
        CHECK(text(box, one, 100, 1, 0), "%s has no ink", one);
        CHECK(!same_text(one, "\u732b"), "%s is the box", one);
        for (int b = a + 1; b <= '~'; b++)
            CHECK(!same_text(one, (const char[]){(char)b, '\0'}), "%s and %c look the same", one,
                  b);
    }
    text(box, "L", 100, 1, 0);
    for (int y = 0; y < 9; y++)
        for (int x = 0; x < 6; x++)
            CHECK((box[(2 + y) * LINE + 2 + x] != WHITE) ==
                      ((y < 7 && x == 0) || (y == 6 && x < 4)),
                  "L at %d, %d", x, y);
}

static void test_utf8(void)
{
    static const struct {
        const char *text, *as;
    } cases[] = {{"caf\u00e9", "cafe"},
                 {"cafe\u0301", "cafe"},
                 {"\u00c5ngstr\u00f6m", "Angstrom"},
                 {"Stra\u00dfe", "Strase"},
                 {"a\u00a0b", "a b"},
                 {"\u732b", "\u72ac"}, /* a box each, and one */
                 {"\U0001f431x", "\u732bx"},
                 {"a\nb", "a\u732bb"},          /* a control character */
                 {"\xff\xfe", "\u732b\u732b"},  /* bytes that are no UTF-8 */
                 {"\xe7\x8c", "\u732b\u732b"}}; /* cut short */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(same_text(cases[i].text, cases[i].as), "case %zu", i);
    CHECK(!same_text("a b", "ab") && !same_text("\u00b7", "."), "a space and a dot are something");
}

/* What fits is whole, else an ellipsis ends it, in any room. */
static void test_cut(void)
{
    uint8_t box[TALL * LINE], other[TALL * LINE];
    static const char words[] = "Ankle boot";
    const int whole = text(box, words, 100, 1, 0) - 1;
    CHECK(text(other, words, whole, 1, 0) - 1 == whole && !memcmp(box, other, sizeof box),
          "%d pixels are enough", whole);
    for (int room = 5; room < whole; room++) {
        int found = 0;
        text(box, words, room, 1, 0);
        for (int n = 0; n < 10; n++) {
            char cut[20];
            snprintf(cut, sizeof cut, "%.*s\u2026", n, words);
            text(other, cut, 100, 1, 0);
            found += !memcmp(box, other, sizeof box);
        }
        CHECK(found == 1, "in %d pixels it is no beginning with an ellipsis", room);
    }
    for (int room = 0; room < 5; room++)
        CHECK(!text(box, words, room, 1, 0), "something in %d pixels", room);
    text(box, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 16, 1, 0);
    text(other, "\u00e9\u00e9\u2026", 100, 1, 0);
    CHECK(!memcmp(box, other, sizeof box), "cut within a character");
}

static void test_size_and_middle(void)
{
    uint8_t one[TALL * LINE], three[TALL * LINE];
    const int right = text(one, "gyp", 100, 1, 0);
    text(three, "gyp", 100, 3, 0);
    for (int y = 0; y < 9; y++)
        for (int x = 0; x < 20; x++)
            CHECK(one[(2 + y) * LINE + 2 + x] == three[(2 + 3 * y + 1) * LINE + 2 + 3 * x + 1],
                  "%d, %d", x, y);
    CHECK(text(one, "gyp", 100, 1, 1) == 1 + (100 + right - 1) / 2, "not in the middle");
}

/* ---- a data set ---------------------------------------------------------- */

static void test_dataset(void)
{
    enum { N = 7, SIDE = 8 };
    uint8_t pixels[N * SIDE * SIDE];
    int32_t labels[N] = {0, 0, 0, 1, 1, 1, 1};
    char cat[] = "cat", dog[] = "dog", *names[] = {cat, dog};
    cm_dataset d = {.n = N, .h = SIDE, .w = SIDE, .c = 1, .pixels = pixels};
    cm_error err = {0};
    cm_images *m = NULL;
    for (int i = 0; i < N; i++)
        memset(pixels + i * SIDE * SIDE, 10 * i, SIDE * SIDE);
    CHECK_OK(cm_dataset_sheet(&d, 4, 3, in_dir("data.png"), &err), err);
    CHECK_OK(cm_images_read(in_dir("data.png"), &m, &err), err);
    if (!CHECK(m && m->w == 2 * 30 + 6 && m->h == 2 * 30 + 6, "not two by two of 24 and 6"))
        return;
    for (int i = 0; i < 4; i++) /* images 0, 1, 3, 5 of 7 */
        CHECK(m->pixels[(6 + i / 2 * 30) * m->w + 6 + i % 2 * 30] == 10 * (i * N / 4), "image %d",
              i);
    const int plain = m->h;
    d.labels = labels;
    d.classes = 2;
    d.class_names = names;
    CHECK_OK(cm_dataset_sheet(&d, 4, 3, in_dir("data.png"), &err), err);
    CHECK_OK(cm_images_read(in_dir("data.png"), &m, &err), err);
    CHECK(m->h > plain && m->pixels[6 * m->w + 36] == 10, "no captions, or no images");
    cm_images_free(m);
}

/* ---- names of files ------------------------------------------------------ */

static void test_names(void)
{
    static const struct {
        int64_t number, label;
        const char *name, *file;
    } cases[] = {
        {12, -1, NULL, "000012.png"},
        {12, 3, NULL, "000012_class3.png"},
        {12, 3, "", "000012_class3.png"},
        {12, 3, "cat", "000012_cat.png"},
        {1234567, 0, "cat", "1234567_cat.png"},
        {0, 0, "Ankle boot", "000000_Ankle-boot.png"},
        {0, 0, "T-shirt/top", "000000_T-shirt-top.png"},
        {0, 0, "../../etc", "000000_-.-..-etc.png"},
        {0, 0, "..", "000000_-..png"},
        {0, 0, ".hidden", "000000_-hidden.png"},
        {0, 0, "a\nb\tc\033d\x7f", "000000_a-b-c-d-.png"},
        {0, 0, "a\\b:c*d?e\"f<g>h|i", "000000_a-b-c-d-e-f-g-h-i.png"},
        {0, 0, "\u00e9\u732b", "000000_\u00e9\u732b.png"},
        {0, 0,
         "a\xc2\x85"
         "b\u202ec",
         "000000_a-b-c.png"},
        {0, 0, "\xff\xe7\x8c", "000000_---.png"},
    };
    char buf[CM_SAMPLE_NAME], longest[500];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_sample_name(buf, cases[i].number, cases[i].label, cases[i].name);
        CHECK(!strcmp(buf, cases[i].file), "case %zu: %s", i, buf);
        put(in_dir(buf), "", 0);
        CHECK(cm_sample_next(scratch_dir) == cases[i].number + 1, "%s is not found again", buf);
        size_t n = 0;
        const char *class = cm_sample_class(in_dir(buf), &n);
        CHECK(!class == !strchr(buf, '_'), "%s: a class is found, or none", buf);
        if (class) {
            snprintf(longest, sizeof longest, "%.*s", (int)n, class);
            CHECK(cm_sample_is_of(longest, cases[i].label, cases[i].name) &&
                      !cm_sample_is_of(longest, cases[i].label, "another"),
                  "%s: the class is another", buf);
        }
        scratch_count(1);
    }
    for (int shift = 0; shift < 3; shift++) { /* a character of three bytes at the cut */
        memset(longest, 'a', sizeof longest);
        for (size_t at = (size_t)shift; at + 4 < sizeof longest; at += 3)
            memcpy(longest + at, "\xe7\x8c\xab", 3);
        longest[sizeof longest - 1] = '\0';
        cm_sample_name(buf, INT64_C(4000000000), 0, longest);
        const size_t n = strlen(buf);
        CHECK(n <= 10 + 1 + 64 + 4 && n > 10 + 1 + 60 + 4 && !strcmp(buf + n - 4, ".png") &&
                  !memcmp(buf + n - 7, "\xe7\x8c\xab", 3),
              "%s", buf);
    }
}

static void test_next(void)
{
    static const char *const ours[] = {"000004.png", "000007_class3.png", "000002_a.b.png"};
    static const char *const others[] = {"000999.jpg", "2024_cat.png", "0000999.png",
                                         "cat.png",    "000999x.png",  "IMG_000999.png",
                                         "000999",     "000999-a.png"};
    CHECK(cm_sample_next(in_dir("nowhere")) == 0, "a folder that is not there");
    CHECK(cm_sample_next(scratch_dir) == 0, "an empty folder");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t size;
        put(in_dir(others[i]), "", 0);
        CHECK(!cm_sample_class(others[i], &size), "%s: a class", others[i]);
    }
    CHECK(cm_sample_next(scratch_dir) == 0, "files of others");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        put(in_dir(ours[i]), "", 0);
    CHECK(cm_sample_next(scratch_dir) == 8, "%d", (int)cm_sample_next(scratch_dir));
    scratch_count(1);
}

static const check_test tests[] = {
    {"plain sheets", test_plain},
    {"scaled sheets are enlarged ones", test_scale},
    {"one image as it is", test_one_as_it_is},
    {"captions and headings", test_text},
    {"long headings", test_long_heading},
    {"a sheet that is too large", test_too_large},
    {"letters", test_letters},
    {"UTF-8", test_utf8},
    {"text that is cut", test_cut},
    {"size and middle of text", test_size_and_middle},
    {"the sheet of a data set", test_dataset},
    {"names of files", test_names},
    {"numbers of a folder", test_next},
};
SCRATCH_MAIN(tests)
