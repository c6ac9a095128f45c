# mpi.sh - sourced after check.sh by the tests that start cm with a real mpirun; $3 is MPI's module
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # variables of check.sh, and for the tests

module=${module:-$make_weights} # the third argument, if the test does not say
if [ ! -f "$module" ] || ! command -v mpirun >/dev/null; then
    echo "skip: built without MPI, or there is no mpirun"
    exit 77
fi
"$make_data" "$scratch" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_orte_help_want_aggregate=1

usual="--batch 12 --log-every 1 --save-every 2 --keep 20 --ema-rates 0.9 --out run"
edm="--method edm $tiny $usual"
cd="--method cd --teacher $scratch/teacher $tiny_given $usual"
ct="--method ct $tiny $usual --dropout 0.3 --flip"

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
# drop FOLDER STEP...: as if the run had been killed before these checkpoints
drop()
{
    folder=$1
    shift
    for step in "$@"; do
        rm -r "$folder/run/ckpt/0000000$step"
    done
    rm "$folder/run/model.safetensors"
}
same_log()
{
    for key in loss grad_norm; do
        for folder in "$1" "$2"; do
            sed -n 's/.*"'$key'":\([-0-9.e+]*\)[,}].*/\1/p' "$folder/run/log.jsonl"
        done >values
        [ -s values ] || return 1
    done
    sed 's/"images_per_s".*//' "$1/run/log.jsonl" >log.a
    sed 's/"images_per_s".*//' "$2/run/log.jsonl" >log.b
    cmp log.a log.b
}
