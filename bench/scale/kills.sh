#!/bin/sh
# kills.sh - processes killed at random moments of a shared training, and what is left of it
#
# usage: bench/scale/kills.sh CM COUNT [OPTION...]    e.g. build/cm 20 --shard
#
# COUNT times: cm train on three processes with a checkpoint every third step; one of them, any, gets
# SIGKILL up to five seconds after the start.  Counted are runs that have not ended 30 seconds later,
# and those with a checkpoint that do not go on, on 1 to 3 processes, to the weights of a run that
# was left alone.
set -eu
cm=$(realpath "${1:?usage: kills.sh CM COUNT [OPTION...]}")
count=${2:?usage: kills.sh CM COUNT [OPTION...]}
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
steps=60
run="--method ct --data fashion-mnist --image-size 8 --channels 16 --channel-mult 1 --res-blocks 1
    --batch 12 --accumulate 6 --dtype f32 --threads 1 --seed 1 --steps $steps --save-every 3
    --sample-every 1000000 --log-every 1 --out run"

# The tensors of the model, behind the header, which has options of the run.
weights()
{
    header=$(od -An -tu8 -N8 "$1/model.safetensors")
    tail -c +$((header + 9)) "$1/model.safetensors" | cksum
}

# shellcheck disable=SC2086 # a list of words
"$cm" train --quiet $run
mv run alone
hung=0 lost=0 early=0 k=0
while [ $k -lt "$count" ]; do
    k=$((k + 1))
    rm -rf run
    # shellcheck disable=SC2086
    mpirun -n 3 "$cm" train --quiet $run "$@" >out 2>&1 &
    mpi=$!
    while [ ! -f run/config.json ]; do sleep 0.1; done
    random=$(od -An -tu2 -N4 /dev/urandom)
    # shellcheck disable=SC2086
    set -- $random "$@"
    sleep "$(awk "BEGIN { print $1 / 65536 * 5 }")"
    victim=$(pgrep -f "^$cm train --quiet --method ct" | sed -n "$(($2 % 3 + 1))p")
    on=$(($2 / 3 % 3 + 1))
    shift 2
    kill -9 "$victim" 2>/dev/null || true
    end=$(($(date +%s) + 30))
    while kill -0 $mpi 2>/dev/null && [ "$(date +%s)" -lt $end ]; do sleep 0.1; done
    if kill -0 $mpi 2>/dev/null; then
        hung=$((hung + 1))
        kill -9 $mpi
        pkill -9 -f "^$cm train --quiet --method ct" || true
    fi
    wait $mpi || true
    if [ -e run/model.safetensors ]; then # it was through
        k=$((k - 1))
    elif [ ! -e run/ckpt/latest ]; then
        early=$((early + 1))
    elif ! mpirun -n $on "$cm" train --resume --quiet --out run >out 2>&1 ||
        [ "$(weights run)" != "$(weights alone)" ]; then
        lost=$((lost + 1))
        cat out
    fi
done
echo "$count kills: $hung not ended after 30 s, $early before the first checkpoint, $lost lost"
