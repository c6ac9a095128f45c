/* suggest.c - which preset suits a data set */
#include "train/suggest.h"

#include "base/text.h"
#include "options/presets.h"
#include "train/net_options.h"

#include <stdio.h>
#include <string.h>

/* Of the network that the preset makes for these images. */
static cm_status count_weights(const cm_preset *preset, const cm_train_params *params,
                               const cm_dataset *d, int64_t *weights, cm_error *err)
{
    cm_train_params p = *params;
    cm_net_config net;
    cm_params *table = NULL;
    cm_status s = cm_train_preset(&p, preset->name, err);
    if (!s)
        s = cm_net_from_options(&p, p.data, d->h, d->w, d->c, d->classes, &net, err);
    if (!s)
        s = cm_net_params_new(&net, &table, err);
    if (!s)
        *weights = cm_params_count(table);
    cm_params_free(table);
    return s;
}

/* The first that is meant for images of this size. */
static const cm_preset *by_size(const cm_dataset *d)
{
    const cm_preset *p = cm_presets;
    while (p->most_pixels && d->h * d->w > p->most_pixels)
        p++;
    return p;
}

/* The first that is meant for so many images: a larger one would learn them by heart. */
static const cm_preset *by_number(const cm_dataset *d)
{
    const cm_preset *p = cm_presets;
    while (p->most_images && d->n > p->most_images)
        p++;
    return p;
}

void cm_suggest_presets(const cm_train_params *params, const cm_dataset *d,
                        void (*line)(void *, const char *), void *user)
{
    char text[sizeof(cm_error) + 64], mark[96];
    const cm_preset *size = by_size(d), *number = by_number(d);
    const cm_preset *nearest = number < size ? number : size; /* the table goes up */
    snprintf(mark, sizeof mark, " (nearest)");
    if (number < size)
        snprintf(mark, sizeof mark, " (nearest: %lld image%s %s few for %s)", (long long)d->n,
                 cm_plural(d->n), d->n == 1 ? "is" : "are", size->name);
    for (const cm_preset *p = cm_presets; p->name; p++) {
        int64_t weights = 0;
        cm_error why = {0};
        if (count_weights(p, params, d, &weights, &why))
            snprintf(text, sizeof text, "--preset %s: not for these: %s", p->name, why.message);
        else
            snprintf(text, sizeof text, "--preset %s: %s, %.2f million weights%s", p->name,
                     p->meant, (double)weights / 1e6, p == nearest ? mark : "");
        line(user, text);
    }
}
