#!/bin/sh
# test_mpi.sh - cm train on several processes, started by a real mpirun: the same bits for every
# number of processes, going on with fewer, one writer, and what happens when one of them fails.
#
# usage: test_mpi.sh CM MAKE_DATA MODULE
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
# shellcheck source=tests/cli/mpi.sh
. "$here/mpi.sh"

# ---- equal bits ----------------------------------------------------------------

# shellcheck disable=SC2086 # lists of words
{
works 'a teacher' train --method edm $tiny --steps 2 --ema-rates 0 --out teacher
for method in edm cd ct; do
    options=
    eval "options=\$$method"
    in_folder $method-1 works "$method, 4 parts on 1 process" \
        train $options --accumulate 4 --steps 6
    for n in 2 3 4; do
        in_folder $method-$n on_works "$method, 4 parts on $n" $n \
            train $options --accumulate 4 --steps 6
        ok 'the same weights, averages and moments' same_run 3 $method-1 $method-$n
        ok 'the same losses and norms' same_log $method-1 $method-$n
    done
done
in_folder whole works 'in one part' train $edm --steps 6
ok 'the order of the sums matters here' test "$(cmp -s whole/run/ckpt/latest/model.safetensors \
    edm-1/run/ckpt/latest/model.safetensors; echo $?)" = 1
in_folder default on_works 'parts that nobody asked for' 2 train $edm --steps 6
in_folder two works 'are one a process' train $edm --steps 6 --accumulate 2
ok 'the same' same_run 3 default two
ok 'and are in config.json' grep -q '"accumulate": 2' default/run/config.json

# ---- one writer ------------------------------------------------------------------

ok 'one line a step' test "$(wc -l <edm-4/run/log.jsonl)" = 6
in_folder loud on_works 'what is printed' 4 train $edm --no-quiet --steps 2
ok 'is printed once' test "$(grep -c 'saved run/ckpt/00000002' err)" = 1

# ---- going on ----------------------------------------------------------------------

for n in 1 2 3; do
    cp -r edm-4 again-$n
    drop again-$n 4 6
    in_folder again-$n on_works "stopped on 4, going on with $n" $n train --resume --out run
    ok 'bit for bit' same_run 3 edm-1 again-$n
    ok 'so is the log' same_log edm-1 again-$n
done
cp -r edm-4 more
in_folder more on 5 train --resume --out run --steps 8
ok 'more processes than parts' one_line \
    'accumulate: expected at least a part of the batch for each of 5 processes, found 4'

# ---- errors ---------------------------------------------------------------------------

on 3 train $edm --lr fast
ok 'an option that all have wrong, once' one_line "option 'lr'"
on 3 train $edm --data nowhere
ok 'a file that none has, once' one_line 'nowhere'
on 3 train $edm --steps 6 --batch 13 --accumulate 4
ok 'a batch that has no such parts' one_line 'accumulate: expected a divisor'
in_folder edm-2 on 2 train $edm --steps 6
ok 'a run that is there' one_line 'run'
on 3 train $edm --steps 6 --p-mean -20 --p-std 20
ok 'not a number, once' one_line 'is not finite'

# Process 1 alone is told otherwise.
apart()
{
    code=0
    timeout -k 5 240 mpirun -n 1 "$cm" train $edm --out apart --steps 4 : \
        -n 1 "$cm" train $edm --out apart --steps 4 "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}
mkdir other
cp tiny-*-ubyte other
printf '\1' | dd of=other/tiny-images-idx3-ubyte bs=1 seek=999 conv=notrunc 2>dd.err
apart --data other/tiny-images-idx3-ubyte
ok 'other data on one' one_line 'process 1 of 2'
apart --lr 1e-2
ok 'another setting' one_line 'lr: expected that of process 0'
apart --data nowhere
ok 'a file that one has not' one_line 'process 1 of 2'
ok 'nothing was begun' test ! -d apart/ckpt

# ---- where the time goes ------------------------------------------------------------------

shipped="$root/models/fashion-mnist-edm.safetensors"
on_works 'sums by size' 3 bench --work sums
ok 'are told once, with bytes that grow' awk '
    NR == 1 && !/over 3 processes/ { exit 1 }
    NR > 2 { if ($1 <= last || $2 <= 0 || $3 <= 0) exit 1; last = $1 }
    END { if (last < 16384) exit 1 }' out
on_works 'a step that three share' 3 bench --work edm --model "$shipped" --dtype f32 --batch 3
floats=$("$cm" info "$shipped" | sed -n 's/^parameters *//p')
ok 'its buckets: the whole gradient, one after another, within the step' awk -v floats="$floats" '
    / ms a step/ { ms = $1 }
    / ms update/ { update = $1 }
    / sums under way/ { sums = $1 }
    / waited for/ { waits = $1 }
    /bucket/ { table = 1; next }
    table {
        mib += $2
        if ($3 < begin || $4 < end || $4 < $3) exit 1
        begin = $3
        end = $4
    }
    END {
        bytes = 1048576 * mib - 4 * floats - 64 # figures are rounded to 0.01
        exit !(bytes < 60000 && bytes > -60000 && waits <= sums && end <= ms && update > 0)
    }' out
on 2 bench --work edm --model "$shipped" --batch 3
ok 'a batch that two do not divide' one_line 'expected a multiple of 2 parts, found 3'
on 2 bench
ok 'work that is not shared' one_line "found 'all'"

# ---- one of them is lost --------------------------------------------------------------

# begin N: a long run in the background; $mpi is its mpirun
begin()
{
    rm -rf run
    timeout -k 5 240 mpirun -n "$1" "$cm" train $edm --accumulate 4 --steps 100000 --save-every 5 \
        --log-every 5 >"$scratch/out" 2>"$scratch/err" &
    mpi=$!
    for _ in $(seq 600); do
        [ ! -d run/ckpt/00000005 ] || return 0
        sleep 0.1
    done
    return 1
}
for who in 0 1; do
    ok "a run on 3" begin 3
    pids=$(pgrep -f "^$cm train.*--steps 100000" | sort -n)
    kill -9 "$(echo "$pids" | sed -n "$((who + 1))p")"
    ok "killed one of them: all end ($who)" ends
    ok 'none is left' test -z "$(pgrep -f "^$cm train.*--steps 100000")"
    done_at=$(basename "$(readlink -f run/ckpt/latest)" | sed 's/^0*//')
    on_works 'going on with the two that are left' 2 train --resume --out run \
        --steps $((done_at + 2))
done
ok 'a run on 3' begin 3
kill -TERM "$mpi"
ok 'SIGTERM ends it' ends
ok 'with a checkpoint of its last step' test "$(basename "$(readlink -f run/ckpt/latest)" |
    sed 's/^0*//')" -ge "$(sed -n 's/.*"step":\([0-9]*\),.*/\1/p' run/log.jsonl | tail -n 1)"
on_works 'going on' 2 train --resume --out run \
    --steps $(($(basename "$(readlink -f run/ckpt/latest)" | sed 's/^0*//') + 2))

# ---- no MPI -----------------------------------------------------------------------------

mkdir bare
cp "$cm" bare/cm
cp "$(dirname "$module")/libcm.so.0" bare
code=0
(cd bare && OMPI_COMM_WORLD_SIZE=2 LD_LIBRARY_PATH=. ./cm train $edm --steps 2) >out 2>err || code=$?
ok 'without the module: one line' one_error 1 'cm-mpi.so: expected'
code=0
(cd bare && OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=1 LD_LIBRARY_PATH=. ./cm train $edm --steps 2) \
    >out 2>err || code=$?
ok 'also from the one that lacks it, where the others are not ended' \
    one_error 1 'process 1 of 2: cm-mpi.so: expected'
code=0
(cd bare && timeout 60 mpirun -n 3 env LD_LIBRARY_PATH=. ./cm train $edm --steps 2) \
    >"$scratch/out" 2>"$scratch/err" || code=$?
ok 'all of them lack it: one line' one_line 'cm-mpi.so: expected'
}
finish
