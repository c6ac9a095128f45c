/* clock.h - monotonic seconds */
#ifndef CM_BASE_CLOCK_H
#define CM_BASE_CLOCK_H

double cm_seconds(void);

#endif
