/* processes.c - the command under mpirun or srun, which tell each process of the others by
 * environment variables */
#include "cli/processes.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static cm_group *joined;

/* Open MPI's mpirun, MPICH's (Hydra), and srun with PMIx or its own PMI, in which a step of one
 * task is a process alone. */
static int started_together(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *size = getenv(sizes[i]);
        if (size && strtol(size, NULL, 10) > 1)
            return 1;
    }
    return 0;
}

cm_status cli_processes_join(cm_group **group, cm_error *err)
{
    const cm_status s = started_together() ? cm_group_join(&joined, err) : CM_OK;
    *group = joined;
    return s;
}

int cli_processes_speak(cm_status status, const cm_error *err)
{
    return status && (!cm_group_rank(joined) || err->message[0]);
}

const char *cli_processes_name(void)
{
    static char name[64];
    if (cm_group_size(joined) > 1 && cm_group_rank(joined))
        snprintf(name, sizeof name, "process %d of %d: ", cm_group_rank(joined),
                 cm_group_size(joined));
    return name;
}

void cli_processes_part(cm_status status)
{
    cm_group_leave(joined, status);
    joined = NULL;
}
