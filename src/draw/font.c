/* font.c - a bitmap font and its text.  A letter is as wide as its ink, from 1 to 5 pixels;
 * 7 rows stand on the baseline and 2 hang below it. */
#include "draw/font.h"

#include "base/utf8.h"

#include <string.h>

enum {
    IN_A_BAND = 14,
    CELL = 6 /* columns */,
    BANDS = 7,
    SPACE_WIDTH = 2,
    INK = 32 /* dark grey */
};

/* Glyphs by number: printable ASCII from the space on, then these. */
enum { FIRST = ' ', LAST = '~', ELLIPSIS = LAST - FIRST + 1, MIDDLE_DOT, BOX, NOTHING = -1 };

/* clang-format off */
static const char ink[BANDS][CM_FONT_HEIGHT][IN_A_BAND * CELL + 1] = {
    {
     "      #     # #    # #    #   ##  #  ##   #      #    #                             ",
     "      #     # #    # #   #### ##  # #  #  #     #      #    # #                     ",
     "      #           ##### # #      #  # #         #      #     #      #               ",
     "      #            # #   ###    #    #          #      #    # #     #               ",
     "      #           #####   # #  #    # # #       #      #          #####       ###   ",
     "                   # #  ####  #  ## #  #        #      #            #    #          ",
     "      #            # #    #   #  ##  ## #        #    #             #    #          ",
     "                                                                        #           ",
     "                                                                                    ",
    },
    {
     "         #   ##    #     ##   ###   #  #  ####   ##   ####   ##    ##               ",
     "         #  #  #  ##    #  #     #  #  #  #     #        #  #  #  #  #              ",
     "        #   #  #   #       #     #  #  #  ###   #        #  #  #  #  #              ",
     "        #   #  #   #      #    ##   ####     #  ###     #    ##    ###  #      #    ",
     "       #    #  #   #     #       #     #     #  #  #    #   #  #     #              ",
     "       #    #  #   #    #        #     #  #  #  #  #   #    #  #     #              ",
     "#     #      ##   ###   ####  ###      #   ##    ##    #     ##    ##   #      #    ",
     "                                                                              #     ",
     "                                                                                    ",
    },
    {
     "                   ##    ###   ###  ####   ###  ####  ####  ####   ###  #   # ###   ",
     "  #         #     #  #  #   # #   # #   # #   # #   # #     #     #   # #   #  #    ",
     " #           #       #  # ### #   # #   # #     #   # #     #     #     #   #  #    ",
     "#     ####    #     #   # # # ##### ####  #     #   # ###   ###   # ### #####  #    ",
     " #           #     #    # ### #   # #   # #     #   # #     #     #   # #   #  #    ",
     "  #   ####  #           #     #   # #   # #   # #   # #     #     #   # #   #  #    ",
     "                   #     ###  #   # ####   ###  ####  ####  #      ###  #   # ###   ",
     "                                                                                    ",
     "                                                                                    ",
    },
    {
     "   #  #   # #     #   # #   #  ###  ####   ###  ####   #### ##### #   # #   # #   # ",
     "   #  #  #  #     ## ## ##  # #   # #   # #   # #   # #       #   #   # #   # #   # ",
     "   #  # #   #     # # # # # # #   # #   # #   # #   # #       #   #   # #   # #   # ",
     "   #  ##    #     # # # #  ## #   # ####  #   # ####   ###    #   #   # #   # # # # ",
     "   #  # #   #     #   # #   # #   # #     # # # # #       #   #   #   #  # #  # # # ",
     "#  #  #  #  #     #   # #   # #   # #     #  #  #  #      #   #   #   #  # #  ## ## ",
     " ##   #   # ####  #   # #   #  ###  #      ## # #   # ####    #    ###    #   #   # ",
     "                                                                                    ",
     "                                                                                    ",
    },
    {
     "#   # #   # ##### ##    #     ##     #          #           #              #        ",
     "#   # #   #     # #     #      #    # #          #          #              #        ",
     " # #   # #     #  #      #     #                       ##   ###    ###   ###   ##   ",
     "  #     #     #   #      #     #                         #  #  #  #     #  #  #  #  ",
     " # #    #    #    #       #    #                       ###  #  #  #     #  #  ####  ",
     "#   #   #   #     #       #    #                      #  #  #  #  #     #  #  #     ",
     "#   #   #   ##### ##       #  ##                       ###  ###    ###   ###   ###  ",
     "                                          ####                                      ",
     "                                                                                    ",
    },
    {
     " ##         #     #      #    #     #                                               ",
     "#           #                 #     #                                               ",
     "###    ###  ###   #      #    #  #  #     ####  ###    ##   ###    ###  # #    ###  ",
     "#     #  #  #  #  #      #    # #   #     # # # #  #  #  #  #  #  #  #  ##    #     ",
     "#     #  #  #  #  #      #    ##    #     # # # #  #  #  #  #  #  #  #  #      ##   ",
     "#     #  #  #  #  #      #    # #   #     # # # #  #  #  #  #  #  #  #  #        #  ",
     "#      ###  #  #  #      #    #  #   #    # # # #  #   ##   ###    ###  #     ###   ",
     "         #               #                                  #        #              ",
     "       ##               #                                   #        #              ",
    },
    {
     "                                            #   #     #                       ##### ",
     " #                                         #    #      #                      #   # ",
     "###   #  #  #   # #   # #   # #  #  ####   #    #      #                      #   # ",
     " #    #  #  #   # # # #  # #  #  #     #  #     #       #    # #              #   # ",
     " #    #  #   # #  # # #   #   #  #   ##    #    #      #    # #         #     #   # ",
     " #    #  #   # #  # # #  # #  #  #  #      #    #      #                      #   # ",
     "  #    ###    #    # #  #   #  ###  ####    #   #     #           # # #       ##### ",
     "                                 #              #                                   ",
     "                               ##                                                   ",
    },
};
/* clang-format on */

/* U+00C0 to U+00FF without their accents. */
static const char latin[64 + 1] =
    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYPsaaaaaaaceeeeiiiidnooooo/ouuuuypy";

static int glyph_of(uint32_t code)
{
    if (code >= FIRST && code <= LAST)
        return (int)code - FIRST;
    if (code >= 0xc0 && code <= 0xff)
        return latin[code - 0xc0] - FIRST;
    switch (code) {
    case 0xa0: /* no-break space */
        return 0;
    case 0xb7:
        return MIDDLE_DOT;
    case 0x2026:
        return ELLIPSIS;
    default:
        return code >= 0x300 && code <= 0x36f ? NOTHING : BOX; /* combining marks */
    }
}

static int next_glyph(const char **text)
{
    uint32_t code;
    const int n = cm_utf8_next(*text, &code);
    *text += n ? n : 1;
    return n ? glyph_of(code) : BOX;
}

static const char *ink_of(int glyph, int row)
{
    return ink[glyph / IN_A_BAND][row] + glyph % IN_A_BAND * CELL;
}

/* With the space to the next letter. */
static int advance(int glyph)
{
    int w = glyph == NOTHING ? -1 : glyph == 0 ? SPACE_WIDTH : 0;
    for (int row = 0; row < CM_FONT_HEIGHT && glyph > 0; row++)
        for (int x = w; x < CELL; x++)
            if (ink_of(glyph, row)[x] == '#')
                w = x + 1;
    return w + 1;
}

/* Bytes of text whose letters take at most `room` pixels, and *width, which those take. */
static size_t fitting(const char *text, int room, int *width)
{
    const char *at = text, *end = text;
    int w = 0;
    *width = 0;
    while (*at && w - 1 <= room) {
        w += advance(next_glyph(&at));
        if (w - 1 > room)
            break;
        end = at;
        *width = w;
    }
    return (size_t)(end - text);
}

size_t cm_text_fitting(const char *text, int room, int size)
{
    int width;
    const size_t n = fitting(text, room / size, &width);
    if (!text[n])
        return n;
    for (size_t end = n; end; end--)
        if (text[end] == ' ')
            return end;
    return strcspn(text, " ");
}

static void draw_square(const cm_canvas *to, int x, int y, int size)
{
    for (int r = y; r < y + size; r++)
        memset(to->pixels + ((size_t)r * (size_t)to->w + (size_t)x) * (size_t)to->c, INK,
               (size_t)size * (size_t)to->c);
}

static void draw_glyph(const cm_canvas *to, int glyph, int x, int y, int size)
{
    for (int row = 0; row < CM_FONT_HEIGHT; row++)
        for (int column = 0; column < CELL; column++)
            if (ink_of(glyph, row)[column] == '#')
                draw_square(to, x + column * size, y + row * size, size);
}

void cm_text_draw(const cm_canvas *to, const cm_text_line *l)
{
    const int room = l->room / l->size, ellipsis = advance(ELLIPSIS);
    int width;
    size_t n = fitting(l->text, room, &width);
    const int is_cut = l->text[n] != '\0';
    if (is_cut) {
        if (room < ellipsis - 1)
            return;
        n = fitting(l->text, room - ellipsis, &width);
        width += ellipsis;
    }
    int x = l->x + (l->centred ? (l->room - (width - 1) * l->size) / 2 : 0);
    for (const char *at = l->text; at < l->text + n;) {
        const int glyph = next_glyph(&at);
        if (glyph > 0)
            draw_glyph(to, glyph, x, l->y, l->size);
        x += advance(glyph) * l->size;
    }
    if (is_cut)
        draw_glyph(to, ELLIPSIS, x, l->y, l->size);
}

/* ---- letters as lines ---- */

static int is_ink(int glyph, int x, int y)
{
    return x >= 0 && x < CELL && y >= 0 && y < CM_FONT_HEIGHT && ink_of(glyph, y)[x] == '#';
}

/* A line goes from this pixel to the next in that direction.  A corner is not cut short. */
static int is_joined(int glyph, int x, int y, int dx, int dy)
{
    return is_ink(glyph, x, y) && is_ink(glyph, x + dx, y + dy) &&
           (!dx || !dy || (!is_ink(glyph, x + dx, y) && !is_ink(glyph, x, y + dy)));
}

static int is_alone(int glyph, int x, int y)
{
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            if ((dx || dy) && is_ink(glyph, x + dx, y + dy))
                return 0;
    return is_ink(glyph, x, y);
}

/* Where the lines of a text go, and how far it is written. */
struct strokes {
    void (*stroke)(void *user, double x0, double y0, double x1, double y1);
    void *user;
    int left;
};

/* From the middle of this pixel that many pixels on. */
static void stroke_line(const struct strokes *s, int x, int y, int dx, int dy)
{
    const double x0 = s->left + x + 0.5, y0 = y + 0.5;
    s->stroke(s->user, x0, y0, x0 + dx, y0 + dy);
}

/* The lines that begin at a pixel. */
static void stroke_pixel(const struct strokes *s, int glyph, int x, int y)
{
    static const int ways[][2] = {{1, 0}, {0, 1}, {1, 1}, {-1, 1}};
    if (is_alone(glyph, x, y))
        stroke_line(s, x, y, 0, 0);
    for (int w = 0; w < 4; w++) {
        const int dx = ways[w][0], dy = ways[w][1];
        int n = 0;
        if (is_joined(glyph, x - dx, y - dy, dx, dy)) /* it began before */
            continue;
        while (is_joined(glyph, x + n * dx, y + n * dy, dx, dy))
            n++;
        if (n)
            stroke_line(s, x, y, n * dx, n * dy);
    }
}

int cm_text_strokes(const char *text,
                    void (*stroke)(void *user, double x0, double y0, double x1, double y1),
                    void *user)
{
    struct strokes s = {stroke, user, 0};
    while (*text) {
        const int glyph = next_glyph(&text);
        for (int i = 0; i < CM_FONT_HEIGHT * CELL && glyph > 0; i++)
            stroke_pixel(&s, glyph, i % CELL, i / CELL);
        s.left += advance(glyph);
    }
    return s.left ? s.left - 1 : 0;
}
