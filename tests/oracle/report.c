/* report.c - deviations and their tolerances */
#include "report.h"

#include "check.h"

enum { MAX_SHOWN = 8 };

static struct {
    double deviation, tolerance;
    char what[300];
    int shown;
} worst;

void report_begin(void)
{
    memset(&worst, 0, sizeof worst);
    worst.tolerance = 1.0;
}

void report_deviation(double deviation, double tolerance, const char *format, ...)
{
    char what[sizeof worst.what];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    if (isnan(deviation))
        deviation = INFINITY;
    if (deviation / tolerance >= worst.deviation / worst.tolerance) {
        worst.deviation = deviation;
        worst.tolerance = tolerance;
        memcpy(worst.what, what, sizeof what);
    }
    if (deviation <= tolerance)
        return;
    if (worst.shown++ < MAX_SHOWN)
        CHECK(0, "%s: %.2e is above %.0e", what, deviation, tolerance);
    else
        check_failures++;
}

void report_end(void)
{
    printf("     worst %.2e of %.0e allowed: %s\n", worst.deviation, worst.tolerance, worst.what);
}

double relative(double got, double want)
{
    return fabs(got - want) / fmax(fabs(want), 1e-30);
}
