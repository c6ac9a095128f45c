/* processes.c - the command under mpirun or srun, which tell each process of the others by
 * environment variables */
#include "cli/processes.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static cm_group *joined;
static int failed; /* to join: then who it is says the environment */

/* What Open MPI's mpirun, MPICH's (Hydra) and srun call the number of processes and the rank; a
 * step of srun with one task is a process alone. */
static const struct {
    const char *size, *rank;
} launchers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                 {"PMI_SIZE", "PMI_RANK"},
                 {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};

static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtol(text, NULL, 10) : 0;
}

/* The rank among several, or -1: alone. */
static long rank_of_launcher(void)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (number_of(launchers[i].size) > 1)
            return number_of(launchers[i].rank);
    return -1;
}

cm_status cli_processes_join(cm_group **group, cm_error *err)
{
    const cm_status s = rank_of_launcher() >= 0 ? cm_group_join(&joined, err) : CM_OK;
    failed = s != CM_OK;
    *group = joined;
    return s;
}

cm_status cli_processes_refuse(const char *command, int *others, cm_error *err)
{
    const long rank = rank_of_launcher();
    *others = rank > 0;
    if (rank)
        return CM_OK;
    return cli_fail(
        err, CM_ERR_ARGUMENT,
        "cm %s: is the work of one process, found several (train, sample and eval share "
        "theirs)",
        command);
}

int cli_processes_speak(cm_status status, const cm_error *err)
{
    if (failed) /* as the others have */
        return rank_of_launcher() == 0;
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
