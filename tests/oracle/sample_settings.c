/* sample_settings.c - every option of cm sample */
#include "settings.h"

#include "check.h"
#include "command.h"

#include <stdint.h>
#include <zip.h>

enum { MAX_LABELS = 256, CLASSES = 3 };

/* ---- what is counted ----------------------------------------------------- */

static int images_in_folder(void)
{
    return count_files("images", ".png");
}

/* A big-endian number in the header of drawn.png: 16 width, 20 height. */
static int side_of_grid(long at)
{
    unsigned char b[4] = {0};
    FILE *f = fopen(in_scratch("drawn.png"), "rb");
    if (f && (fseek(f, at, SEEK_SET) || fread(b, 1, 4, f) != 4))
        b[3] = 0;
    if (f)
        fclose(f);
    return b[2] * 256 + b[3];
}

/* Images of 8 pixels and gaps of 2. */
static int columns_of_grid(void)
{
    return (side_of_grid(16) - 2) / 10;
}

/* ---- labels -------------------------------------------------------------- */

typedef struct labels {
    int n;
    int64_t of[MAX_LABELS];
} labels;

/* arr_1 of drawn.npz: the member is a header, whose length stands in bytes 8 and 9, and the
 * numbers, all as they are. */
static labels read_labels(void)
{
    labels l = {0};
    unsigned char bytes[128 + 8 * MAX_LABELS];
    zip_t *archive = zip_open(in_scratch("drawn.npz"), ZIP_RDONLY, NULL);
    zip_file_t *member = archive ? zip_fopen(archive, "arr_1.npy", 0) : NULL;
    const int64_t size = member ? zip_fread(member, bytes, sizeof bytes) : 0;
    const int64_t start = size > 10 ? 10 + bytes[8] + 256 * bytes[9] : 0;
    if (CHECK(start && start < size && strstr((char *)bytes + 10, "<i8"), "drawn.npz: no labels")) {
        l.n = (int)((size - start) / 8);
        memcpy(l.of, bytes + start, (size_t)l.n * 8);
    }
    if (member)
        zip_fclose(member);
    if (archive)
        zip_discard(archive);
    return l;
}

static labels draw_labels(const char *options)
{
    command_works("sample " DRAW " --num 120 --sampler euler --steps 1 --out drawn.npz %s",
                  options);
    const labels l = read_labels();
    CHECK(l.n >= 60, "%d labels", l.n);
    return l;
}

static void test_class(void)
{
    const labels all = draw_labels(""), one = draw_labels("--class 1"),
                 random = draw_labels("--class random"), again = draw_labels("--class random"),
                 half = draw_labels("--class random --num 60 --batch 7"),
                 other = draw_labels("--class random --seed 1");
    int same = 0, count[CLASSES] = {0};
    for (int i = 0; i < 120; i++) {
        CHECK(all.of[i] == i / 40, "all: image %d is of class %d", i, (int)all.of[i]);
        CHECK(one.of[i] == 1, "1: image %d is of class %d", i, (int)one.of[i]);
        if (!CHECK(random.of[i] >= 0 && random.of[i] < CLASSES, "random: image %d is of class %d",
                   i, (int)random.of[i]))
            continue;
        CHECK(again.of[i] == random.of[i], "random: image %d differs from call to call", i);
        CHECK(i >= 60 || half.of[i] == random.of[i], "random: image %d differs with --num", i);
        count[random.of[i]]++;
        same += random.of[i] == other.of[i];
    }
    /* 40 expected, five standard deviations of 5.2 */
    for (int k = 0; k < CLASSES; k++)
        CHECK(abs(count[k] - 40) <= 26, "random: class %d has %d images of 120", k, count[k]);
    CHECK(abs(same - 40) <= 26, "random: %d of 120 labels are the same with another seed", same);
}

static void test_out(void)
{
    command_works("sample " DRAW " --out drawn.png");
    command_works("sample " DRAW " --out drawn.npz");
    command_works("sample " DRAW " --out images");
    char *grid = read_text(in_scratch("drawn.png")), *archive = read_text(in_scratch("drawn.npz"));
    CHECK(grid && !memcmp(grid + 1, "PNG", 3), "drawn.png is no PNG");
    CHECK(archive && !memcmp(archive, "PK", 2), "drawn.npz is no zip file");
    CHECK(images_in_folder() == 6, "images holds %d files", images_in_folder());
    free(grid);
    free(archive);
    remove_tree(in_scratch("images"));
}

/* Two and four more are six. */
static void test_continue(void)
{
    command_works("sample " DRAW " --class 1 --out images");
    rename(in_scratch("images"), in_scratch("six"));
    command_works("sample " DRAW " --class 1 --num 2 --out images");
    command_works("sample " DRAW " --class 1 --num 4 --continue --out images");
    for (int i = 0; i < 6; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "six/%06d_class1.png", i);
        snprintf(b, sizeof b, "images/%06d_class1.png", i);
        CHECK(same_files(a, b), "image %d is another", i);
    }
    remove_tree(in_scratch("images"));
    remove_tree(in_scratch("six"));
}

/* Two images to noise by the ODE, and back by the same. */
static void test_noise(void)
{
#define ONE "--model one.safetensors --dtype f32"
    command_works("sample " ONE " --num 2 --out images");
    command_works("edit invert " ONE " --steps 4 --image images --out noise.safetensors");
    command_works("edit invert " ONE " --steps 4 --image images --out back.npz");
    command_works("sample " ONE " --steps 4 --noise noise.safetensors --out noise.npz");
#undef ONE
    CHECK(same_files("noise.npz", "back.npz"), "noise leads elsewhere than it was found to");
    remove_tree(in_scratch("images"));
}

static void test_save_noise(void)
{
    command_works("sample " DRAW " --sampler ancestral --seed 3 --save-noise noise.safetensors "
                  "--out drawn.safetensors");
    command_works("sample " DRAW
                  " --sampler ancestral --noise noise.safetensors --out again.safetensors");
    CHECK(same_files("drawn.safetensors", "again.safetensors"),
          "the noise that was saved leads elsewhere");
}

/* Two parts are the whole. */
static void test_merge(void)
{
    command_works("sample " DRAW " --num 6 --class all --out drawn.npz");
    command_works("sample " DRAW " --num 2 --of 6 --class all --out a.npz");
    command_works("sample " DRAW " --num 4 --first 2 --of 6 --class all --out b.npz");
    command_works("sample --merge b.npz a.npz --out again.npz");
    CHECK(same_files("drawn.npz", "again.npz"), "the parts are not the whole");
}

/* Enlarged by the number; test_sheet has the pixels. */
static int width_of_grid(void)
{
    return side_of_grid(16);
}

/* auto is bf16 where the processor is faster in it. */
static void test_dtype(void)
{
    static const char *const type[] = {"f32", "auto", "bf16"};
    int code = 0;
    for (int i = 0; i < 3 && !code; i++) {
        code = command("sample " DRAW " --out %s.png --dtype %s", type[i], type[i]);
        CHECK(!code || (i == 2 && said("bf16")), "--dtype %s: code %d", type[i], code);
    }
    CHECK(same_files("auto.png", !code && auto_is_bf16() ? "bf16.png" : "f32.png"),
          "auto is not the faster");
    CHECK(code || !same_files("f32.png", "bf16.png"), "bf16 draws what f32 draws");
}

/* ---- the table ----------------------------------------------------------- */

#define HEUN  DRAW " --sampler heun --steps 6"
#define CHURN HEUN " --s-churn 2"
#define MULTI DRAW_CM " --sampler multistep"

/* Images depend on the seed and their index, so the three options of work change none. */
/* clang-format off */
const setting sample_settings[] = {
    {"model", DRAW, "one.safetensors|two.safetensors", .changes = IMAGES, .given = 1},
    {"out", .test = test_out},
    {"columns", DRAW, "0|2|6", .changes = IMAGES, .measure = columns_of_grid, .measures = "3|2|6"},
    {"scale", DRAW, "1|2|5", .changes = IMAGES, .measure = width_of_grid, .measures = "32|64|160"},
    {"captions", DRAW, "no|yes", .changes = IMAGES},
    {"heading", DRAW, "pets|toys", .changes = IMAGES, .given = 1},
    {"trajectory", DRAW, "state|estimate|both", .changes = IMAGES, .given = 1},
    {"noise", .test = test_noise},
    {"save-noise", .test = test_save_noise},
    {"sampler", DRAW, "heun|euler|dpm2|ancestral|dpm-solver++2m|dpm-solver++3m|progdist",
     .changes = IMAGES},
    {"sampler", DRAW_CM, "onestep|multistep", .changes = IMAGES},
    {"sampler", DRAW_CM " --sigmas 80,0.5", "multistep", .changes = IMAGES},
    {"sampler", DRAW_CM " --ts 0,2,4", "multistep", .changes = IMAGES},
    {"steps", DRAW " --sampler heun", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler euler", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler dpm2", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler ancestral", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler dpm-solver++2m", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler dpm-solver++3m", "18|5", .changes = IMAGES},
    {"steps", DRAW " --sampler progdist", "18|5", .changes = IMAGES},
    {"steps", MULTI " --ts 0,2,4", "5", .changes = IMAGES},        /* N of this model */
    {"steps", MULTI " --ts 0,2,7", "8", .changes = IMAGES, .given = 1},
    {"ts", MULTI, "0,2,4|0,1,4|0,1,2,4", .changes = IMAGES, .given = 1},
    {"sigmas", MULTI, "80,5|80,1|80,5,1", .changes = IMAGES, .given = 1},
    {"s-churn", HEUN, "0|1|2", .changes = IMAGES},
    {"s-tmin", CHURN, "0|5", .changes = IMAGES},
    {"s-tmax", CHURN, "1e6|5", .changes = IMAGES},
    {"s-noise", CHURN, "1|0.5", .changes = IMAGES},
    {"s-churn", DRAW " --sampler dpm2 --steps 3", "0|1|2", .changes = IMAGES},
    {"s-tmin", DRAW " --sampler dpm2 --steps 3 --s-churn 2", "0|5", .changes = IMAGES},
    {"s-tmax", DRAW " --sampler dpm2 --steps 3 --s-churn 2", "1e6|5", .changes = IMAGES},
    {"s-noise", DRAW " --sampler dpm2 --steps 3 --s-churn 2", "1|0.5", .changes = IMAGES},
    {"num", "--model one.safetensors --dtype f32 --out images", "16|5",
     .measure = images_in_folder, .measures = "16|5"},
    {"num", "--model one.safetensors --dtype f32", "16|5", .changes = IMAGES},
    {"class", DRAW, "all|0|1|2|random", .changes = IMAGES},
    {"class", .test = test_class},
    {"first", DRAW, "0|1|5", .changes = IMAGES},
    {"of", DRAW " --class all", "0|12", .changes = IMAGES}, /* shared out over all of them */
    {"merge", .test = test_merge},
    {"continue", .test = test_continue},
    {"seed", DRAW, "0|1|4294967296", .changes = IMAGES},
    {"batch", DRAW, "64|1|4", .keeps = IMAGES},
    {"micro-batch", DRAW, "0|1|4", .keeps = IMAGES},
    {"threads", DRAW, "1|2", .keeps = IMAGES, .given = 1},
    {"dtype", .test = test_dtype},
    {"quiet", DRAW, "no|yes", .keeps = IMAGES}, /* what it keeps from being said: cli_sample */
    {0},
};
/* clang-format on */
