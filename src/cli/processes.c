/* processes.c - the command under mpirun or srun, which tell each process of the others by
 * environment variables */
#include "cli/processes.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* How many there are; *rank is -1 alone. */
static long size_of_launcher(long *rank)
{
    *rank = -1;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const long size = number_of(launchers[i].size);
        if (size > 1) {
            *rank = number_of(launchers[i].rank);
            return size;
        }
    }
    return 1;
}

static long rank_of_launcher(void)
{
    long rank;
    size_of_launcher(&rank);
    return rank;
}

/* A launcher that this MPI does not know of starts copies of one process over the same files. */
static cm_status check_size(long size, cm_error *err)
{
    const int found = cm_group_size(joined);
    if (found == size)
        return CM_OK;
    cm_group_leave(joined, CM_OK);
    joined = NULL;
    return cli_fail(
        err, CM_ERR_UNSUPPORTED,
        "processes: expected the %ld that the launcher started, found %d by MPI: they do "
        "not belong together (srun: see srun --mpi=list)",
        size, found);
}

cm_status cli_processes_join(cm_group **group, cm_error *err)
{
    long rank;
    const long size = size_of_launcher(&rank);
    cm_status s = size > 1 ? cm_group_join(&joined, err) : CM_OK;
    if (!s && size > 1)
        s = check_size(size, err);
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
        "cm %s: is the work of one process, found several (train, sample, eval and bench "
        "share theirs)",
        command);
}

int cli_processes_speak(cm_status status, const cm_error *err)
{
    if (failed) { /* as the others may have: who speaks first is heard, then all are ended */
        if (rank_of_launcher() > 0)
            sleep(2);
        return 1;
    }
    return status && (!cm_group_rank(joined) || err->message[0]);
}

const char *cli_processes_name(void)
{
    static char name[64];
    long rank;
    const long size = size_of_launcher(&rank);
    if (failed && rank > 0)
        snprintf(name, sizeof name, "process %ld of %ld: ", rank, size);
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
