# check_mpi.sh - sourced by the tests that start a real mpirun, behind check.sh.  $module is the module
# of MPI; where there is none, or no mpirun, the test is skipped.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables for, and of, the tests that source this

if [ ! -f "$module" ] || ! command -v mpirun >/dev/null; then
    echo "skip: built without MPI, or there is no mpirun"
    exit 77
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_orte_help_want_aggregate=1

# on N ARGUMENT...: cm on N processes
on()
{
    n=$1
    shift
    code=0
    timeout -k 5 240 mpirun -n "$n" "$cm" "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}
# on_works NAME N ARGUMENT...
on_works()
{
    title=$1
    shift
    on "$@"
    ok "$title" test "$code" = 0
    [ "$code" = 0 ] || sed 's/^/    | /' "$scratch/err" "$scratch/out"
}
# one_line TEXT: the last run failed, and cm said so once, with TEXT in it.  What mpirun adds does not
# begin with "cm: ".
one_line()
{
    [ "$code" -ne 0 ] && [ "$(grep -c '^cm: ' "$scratch/err")" -eq 1 ] &&
        grep '^cm: ' "$scratch/err" | grep -qF -e "$1" && return
    echo "    expected one line with '$1', found code $code and"
    sed 's/^/    | /' "$scratch/err"
    return 1
}
# ends: $mpi, an mpirun in the background, does so within 30 s
ends()
{
    for _ in $(seq 0 30); do
        kill -0 "$mpi" 2>/dev/null || return 0
        sleep 1
    done
    return 1
}
