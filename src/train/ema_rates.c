/* ema_rates.c - the rates of the averages of a run, by default and as text
 *
 * An average of rate mu reaches back 1 / (1 - mu) steps; 1 - mu = s / steps makes that one s-th of
 * the run. */
#include "train/ema_rates.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>

/* 1 - share / steps to two digits, which the name of a checkpoint's file then has. */
static double rate_over(double share, int64_t steps)
{
    const double part = share / (double)steps, unit = pow(10.0, floor(log10(part)) - 1.0);
    return part < 1.0 ? 1.0 - unit * round(part / unit) : 0.0;
}

void cm_ema_rates_default(cm_text rates, int64_t steps)
{
    char first[CM_REAL_TEXT], second[CM_REAL_TEXT];
    const double r[2] = {rate_over(20.0, steps), rate_over(2.0, steps)};
    cm_text_rounded(first, r[0], 12);
    cm_text_rounded(second, r[1], 12);
    if (r[0] == r[1]) /* two steps at most */
        snprintf(rates, sizeof(cm_text), "%s", first);
    else
        snprintf(rates, sizeof(cm_text), "%s,%s", first, second);
}

cm_status cm_ema_rates_parse(const char *text, double rate[CM_MAX_EMA], int *n, cm_error *err)
{
    const cm_status s = cm_parse_real_list(text, CM_MAX_EMA, rate, n, "ema-rates", err);
    if (s)
        return s;
    for (int i = 0; i < *n; i++) {
        if (!(rate[i] >= 0.0 && rate[i] < 1.0))
            return cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: expected 0 to below 1, found %g",
                           rate[i]);
        for (int j = 0; j < i; j++)
            if (rate[i] == rate[j])
                return cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: %g is listed twice", rate[i]);
    }
    return *n ? CM_OK : cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: expected at least one rate");
}
