/* processes.h - the command under mpirun or srun */
#ifndef CM_CLI_PROCESSES_H
#define CM_CLI_PROCESSES_H

#include "cm.h"

/* Meet the processes that were started with this one; *group stays NULL where there are none.
 * For commands that know what to do with them.  Errors: those of cm_group_join. */
cm_status cli_processes_join(cm_group **group, cm_error *err);
/* Of a command that does not: several processes would all write the same.  CM_ERR_ARGUMENT in that
 * of rank 0; the others have nothing to do (*others), so that no launcher ends it before it says
 * so. */
cm_status cli_processes_refuse(const char *command, int *others, cm_error *err);
/* Whether this process prints what ends it: of an error that all have, process 0 does. */
int cli_processes_speak(cm_status status, const cm_error *err);
/* "process 2 of 4: ", or nothing where there is one process */
const char *cli_processes_name(void);
/* At the end of the command. */
void cli_processes_part(cm_status status);

#endif
