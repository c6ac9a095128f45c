/* ema_rates.h - how fast the averages of the weights that a run keeps forget */
#ifndef CM_TRAIN_EMA_RATES_H
#define CM_TRAIN_EMA_RATES_H

#include "cm.h"

enum { CM_MAX_EMA = 8 };

/* The averages of a run of so many steps: over a twentieth of it, and over half of it. */
void cm_ema_rates_default(cm_text rates, int64_t steps);
/* The rates of --ema-rates.  Errors: CM_ERR_ARGUMENT unless there are 1 to CM_MAX_EMA
 * different ones from 0 to below 1. */
cm_status cm_ema_rates_parse(const char *text, double rate[CM_MAX_EMA], int *n, cm_error *err);

#endif
