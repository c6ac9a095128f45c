/* report.h - deviations and their tolerances: each is a check, and the worst is told */
#ifndef CM_TESTS_REPORT_H
#define CM_TESTS_REPORT_H

void report_begin(void);
/* Fails when deviation is not at most tolerance (NaN fails). */
__attribute__((format(printf, 3, 4))) void report_deviation(double deviation, double tolerance,
                                                            const char *format, ...);
/* One line: what came nearest to its tolerance, or went furthest beyond. */
void report_end(void);

/* |got - want| / |want| */
double relative(double got, double want);

#endif
