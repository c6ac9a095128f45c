/* gif.c - animated GIF to memory with giflib */
#include "io/gif.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/palette.h"

#include <gif_lib.h>
#include <string.h>

enum { FIRST_ROOM = 1 << 16 };

struct cm_gif {
    GifFileType *file;
    int w, h, c, frames;
    int lost;       /* a write failed, which giflib does not always tell */
    uint8_t *index; /* [h][w] of the frame being written */
    uint8_t *bytes; /* what giflib wrote so far */
    size_t size, room;
    char name[256];
};

static cm_status no_memory(const cm_gif *g, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "%s: GIF: out of memory", g->name);
}

/* What giflib calls to write: fewer bytes than n are an error. */
static int append(GifFileType *file, const GifByteType *from, int n)
{
    cm_gif *g = file->UserData;
    const size_t end = g->size + (size_t)n;
    if (end > g->room) {
        const size_t room = end < FIRST_ROOM ? FIRST_ROOM : 2 * end;
        uint8_t *grown = cm_grow(g->bytes, g->room, room);
        if (!grown) {
            g->lost = 1;
            return 0;
        }
        g->bytes = grown;
        g->room = room;
    }
    memcpy(g->bytes + g->size, from, (size_t)n);
    g->size = end;
    return n;
}

/* The logical screen, and the extension that says "for ever". */
static int put_head(cm_gif *g)
{
    static const char application[] = "NETSCAPE2.0";
    static const GifByteType loop[] = {1, 0,
                                       0}; /* sub-block 1: this many times, 0 being for ever */
    EGifSetGifVersion(g->file, true);
    return EGifPutScreenDesc(g->file, g->w, g->h, 8, 0, NULL) == GIF_OK &&
           EGifPutExtensionLeader(g->file, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
           EGifPutExtensionBlock(g->file, sizeof application - 1, application) == GIF_OK &&
           EGifPutExtensionBlock(g->file, sizeof loop, loop) == GIF_OK &&
           EGifPutExtensionTrailer(g->file) == GIF_OK;
}

cm_status cm_gif_new(int w, int h, int c, const char *name, cm_gif **gif, cm_error *err)
{
    int code;
    if (w < 1 || h < 1 || w > CM_GIF_MOST_SIDE || h > CM_GIF_MOST_SIDE || (c != 1 && c != 3))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: GIF: expected 1 or 3 channels of at most %d a side, found %d x %d x %d",
                       name, CM_GIF_MOST_SIDE, w, h, c);
    cm_gif *g = cm_alloc(sizeof *g);
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "%s: GIF: out of memory", name);
    g->w = w;
    g->h = h;
    g->c = c;
    cm_escape(g->name, sizeof g->name, name);
    g->index = cm_alloc_array((size_t)w, (size_t)h);
    g->file = g->index ? EGifOpen(g, append, &code) : NULL;
    if (!g->file || !put_head(g) || g->lost) {
        const cm_status s = no_memory(g, err);
        cm_gif_free(g);
        return s;
    }
    *gif = g;
    return CM_OK;
}

/* Tables have a power of two of colours. */
static ColorMapObject *map_of(const cm_palette *p)
{
    ColorMapObject *map = GifMakeMapObject(1 << GifBitSize(p->n), NULL);
    for (int i = 0; map && i < p->n; i++)
        map->Colors[i] = (GifColorType){p->rgb[i][0], p->rgb[i][1], p->rgb[i][2]};
    return map;
}

static int put_frame(cm_gif *g, const ColorMapObject *map, int hundredths)
{
    const GraphicsControlBlock control = {
        .DisposalMode = DISPOSE_DO_NOT, .DelayTime = hundredths, .TransparentColor = -1};
    GifByteType packed[4];
    const size_t n = EGifGCBToExtension(&control, packed);
    if (EGifPutExtension(g->file, GRAPHICS_EXT_FUNC_CODE, (int)n, packed) != GIF_OK ||
        EGifPutImageDesc(g->file, 0, 0, g->w, g->h, false, map) != GIF_OK)
        return 0;
    for (int y = 0; y < g->h; y++)
        if (EGifPutLine(g->file, g->index + (size_t)y * (size_t)g->w, g->w) != GIF_OK)
            return 0;
    return 1;
}

cm_status cm_gif_frame(cm_gif *g, const uint8_t *pixels, int hundredths, cm_error *err)
{
    cm_palette palette;
    if (hundredths < 0 || hundredths > 65535)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: GIF: expected a frame of 0 to 65535 hundredths of a second, found %d",
                       g->name, hundredths);
    if (!cm_palette_make(pixels, (size_t)g->w * (size_t)g->h, g->c, &palette, g->index))
        return no_memory(g, err);
    ColorMapObject *map = map_of(&palette);
    const int done = map && put_frame(g, map, hundredths) && !g->lost;
    GifFreeMapObject(map);
    g->frames += done;
    return done ? CM_OK : no_memory(g, err);
}

cm_status cm_gif_end(cm_gif *g, uint8_t **bytes, size_t *size, cm_error *err)
{
    int code;
    if (!g->frames)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: GIF: expected at least one frame, found none",
                       g->name);
    EGifCloseFile(g->file, &code); /* which writes the end, and frees it in any case */
    g->file = NULL;
    if (g->lost)
        return no_memory(g, err);
    *bytes = g->bytes;
    *size = g->size;
    g->bytes = NULL;
    return CM_OK;
}

void cm_gif_free(cm_gif *g)
{
    int code;
    if (!g)
        return;
    if (g->file)
        EGifCloseFile(g->file, &code);
    cm_free(g->bytes);
    cm_free(g->index);
    cm_free(g);
}
