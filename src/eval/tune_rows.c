/* tune_rows.c */
#include "eval/tune_rows.h"

#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cm_tune_say(const cm_tune_rows *rows, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (rows->line)
        rows->line(rows->user, text);
}

void cm_tune_append_level(const cm_noise_schedule *schedule, double sigma, int digits, cm_text list)
{
    char text[CM_REAL_TEXT];
    double read = sigma;
    const size_t at = strlen(list);
    cm_text_to_real(cm_text_rounded(text, sigma, digits), &read);
    if (read > schedule->sigma_max)
        cm_text_from_real(text, sigma);
    snprintf(list + at, sizeof(cm_text) - at, "%s%s", at ? "," : "", text);
}

double cm_tune_rounded(double value)
{
    char text[CM_REAL_TEXT];
    cm_text_to_real(cm_text_rounded(text, value, 4), &value);
    return value;
}

void cm_tune_spread_add(cm_tune_spread *spread, const double score[2])
{
    const double d = score[0] - score[1];
    spread->squares += d * d / 2;
    spread->n++;
}

double cm_tune_deviation(const cm_tune_spread *spread)
{
    return sqrt(spread->squares / spread->n);
}
