/* ticks.c - marks at round numbers (Heckbert, Nice numbers for graph labels, 1990).
 *
 * The step is the smallest of 1, 2, 5 times 10^k of which at most `wanted` fit. */
#include "draw/ticks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* 10^k exactly, where a double has it. */
static double power(int k)
{
    double p = 1;
    for (int i = 0; i < (k < 0 ? -k : k) && i < 400; i++)
        p *= 10;
    return k < 0 ? 1 / p : p;
}

/* m 10^k, m whole, as people write it: 0.0005, 20000, 2e6, 1.5e-5.  Not by printf, whose point is
 * that of the program's locale. */
static void write_label(char label[CM_TICK_LABEL], double m, int k)
{
    char digits[20];
    const char *sign = m < 0 ? "-" : "";
    while (m != 0 && fmod(m, 10) == 0) {
        m /= 10;
        k++;
    }
    snprintf(digits, sizeof digits, "%.0f", fabs(m));
    const int n = (int)strlen(digits), left = n + k; /* digits before the point */
    if (m == 0)
        snprintf(label, CM_TICK_LABEL, "0");
    else if (left > 6 || left < -3)
        snprintf(label, CM_TICK_LABEL, "%s%c%s%se%d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                 left - 1);
    else if (k >= 0)
        snprintf(label, CM_TICK_LABEL, "%s%s%.*s", sign, digits, k, "000000");
    else if (left > 0)
        snprintf(label, CM_TICK_LABEL, "%s%.*s.%s", sign, left, digits, digits + left);
    else
        snprintf(label, CM_TICK_LABEL, "%s0.%.*s%s", sign, -left, "000000", digits);
}

int cm_ticks_linear(double low, double high, int wanted, int whole, cm_tick ticks[CM_TICKS_MOST])
{
    static const int steps[] = {1, 2, 5, 10};
    const double even = (high - low) / wanted, raw = whole ? fmax(1, even) : even;
    const int k = (int)floor(log10(raw));
    int i = 0, n = 0;
    while (i < 3 && steps[i] * power(k) < raw * (1 - 1e-9))
        i++;
    const double step = steps[i] * power(k), slack = 1e-9 * (high - low);
    const double first = ceil((low - slack) / step), last = floor((high + slack) / step);
    for (double j = first; j <= last && n < CM_TICKS_MOST; j++, n++) {
        ticks[n].at = k < 0 ? j * steps[i] / power(-k) : j * step;
        write_label(ticks[n].label, j * steps[i], k);
    }
    return n;
}

/* These times the powers of ten. */
static int log_ticks(double low, double high, const int *factors, int count,
                     cm_tick ticks[CM_TICKS_MOST])
{
    int n = 0;
    const int first = (int)floor(log10(low)), last = (int)ceil(log10(high));
    const int skip = (last - first) / 8 + 1; /* over very many decades */
    for (int k = first; k <= last; k++)
        for (int f = 0; f < count; f++) {
            const double at = k < 0 ? factors[f] / power(-k) : factors[f] * power(k);
            if (at < low * (1 - 1e-9) || at > high * (1 + 1e-9) || n == CM_TICKS_MOST || k % skip)
                continue;
            ticks[n].at = at;
            write_label(ticks[n++].label, factors[f], k);
        }
    return n;
}

int cm_ticks_log(double low, double high, int wanted, cm_tick ticks[CM_TICKS_MOST])
{
    static const int factors[] = {1, 2, 5};
    int n = log_ticks(low, high, factors, 1, ticks);
    if (n < 3)
        n = log_ticks(low, high, factors, 3, ticks);
    return n < 3 ? cm_ticks_linear(low, high, wanted, 0, ticks) : n;
}
