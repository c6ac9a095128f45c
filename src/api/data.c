/* data.c - looking at a data set before training on it */
#include "api/door.h"
#include "data/summary.h"
#include "train/data_options.h"
#include "train/suggest.h"

cm_status cm_data(const cm_train_params *config, const char *pack,
                  void (*line)(void *user, const char *text), void *user, cm_error *err)
{
    cm_dataset *data = NULL;
    cm_status s = cm_door_train_params(config, err);
    if (!s && pack && *pack) /* before the work */
        s = cm_dataset_pack_check(pack, err);
    if (!s)
        s = cm_data_from_options(config, NULL, &data, err);
    if (s)
        return s;
    if (line) {
        cm_dataset_summary(data, INT64_MAX, line, user);
        cm_dataset_statistics(data, line, user);
        cm_suggest_presets(config, data, line, user);
    }
    if (pack && *pack)
        s = cm_dataset_pack(data, pack, err);
    cm_dataset_free(data);
    return s;
}
