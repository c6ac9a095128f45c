#!/bin/sh
# test_mpi_shard.sh - cm train --shard, with a real mpirun: moments and averages are split over the
# processes, and nothing else is another: the same bits, files, pictures and scores, going on with
# and without it.
#
# usage: test_mpi_shard.sh CM MAKE_DATA MODULE
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
# shellcheck source=tests/cli/mpi.sh
. "$here/mpi.sh"

# As that of mpi.sh, with two averages.
usual="--batch 12 --accumulate 4 --log-every 1 --save-every 2 --keep 20 --ema-rates 0.9,0.5 --out run"
edm="--method edm $tiny $usual"
cd="--method cd --teacher $scratch/teacher $tiny_given $usual"
ct="--method ct $tiny $usual --dropout 0.3 --flip"
pd="--method pd --teacher $scratch/teacher $tiny_given $usual --start-scales 4"
ct_continuous="--method ct-continuous $tiny $usual"

# same_files A B: all that the runs leave but log.jsonl, config.json and what has the position in the
# log, byte for byte
same_files()
{
    (cd "$1/run" && find . -name '*.safetensors' -o -name '*.png' | sort) >files.a
    (cd "$2/run" && find . -name '*.safetensors' -o -name '*.png' | sort) >files.b
    cmp files.a files.b || return 1
    [ "$(wc -l <files.a)" -ge 4 ] || return 1
    while read -r file; do
        cmp "$1/run/$file" "$2/run/$file" || return 1
    done <files.a
}
# told WORD: what the last run said of its memory
told()
{
    sed -n 's/^memory of a step: .* '"$1"' \([0-9.]*\).*/\1/p' err
}
# quarter A B: A is a quarter of B, within the digit that is told and a block of 4 KiB an array
quarter()
{
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b / 4; exit !(b > 0 && d * d <= 0.08 * 0.08) }'
}

# shellcheck disable=SC2086 # lists of words
{
# ---- the same bits ---------------------------------------------------------------

works 'a teacher' train --method edm $tiny --steps 2 --ema-rates 0 --out teacher
for method in edm cd ct pd ct_continuous; do
    eval "options=\$$method"
    in_folder $method-1 works "$method, on 1 process" train $options --steps 6
    in_folder $method-4 on_works "$method, sharded over 4" 4 train $options --steps 6 --shard
    ok 'the same files' same_files $method-1 $method-4
    ok 'the same losses and norms' same_log $method-1 $method-4
done
for n in 2 3; do
    in_folder edm-$n on_works "sharded over $n" $n train $edm --steps 6 --shard
    ok 'the same files' same_files edm-1 edm-$n
    ok 'the same losses and norms' same_log edm-1 edm-$n
done
ok 'pd has an end of a stage' test -f pd-4/run/stages/2-steps.safetensors
in_folder alone works 'sharded alone: the run of one process' train $edm --steps 6 --shard
ok 'the same files' same_files edm-1 alone

# ---- memory ------------------------------------------------------------------------

in_folder told-1 works 'what one process takes' train $edm --steps 1 --no-quiet
whole=$(told averages)
in_folder told-4 on_works 'what each of 4 takes' 4 train $edm --steps 1 --no-quiet --shard
ok 'a quarter of moments and averages' quarter "$(told averages)" "$whole"
ok 'and says of which process' grep -q 'memory of a step: .* in process 0 of 4' err
in_folder told-all on_works 'not sharded' 4 train $edm --steps 1 --no-quiet
ok 'all of them' test "$(told averages)" = "$whole"

# ---- going on ----------------------------------------------------------------------

# again NAME N FROM ARGUMENT...: FROM, stopped at step 2, goes on as such
again()
{
    folder=$1
    n=$2
    cp -r "$3" "$folder"
    shift 3
    drop "$folder" 4 6
    in_folder "$folder" on_works "$folder" "$n" train --resume --out run "$@"
    ok 'bit for bit' same_files edm-1 "$folder"
    ok 'so is the log' same_log edm-1 "$folder"
}
again sharded-4-then-2 2 edm-4
again sharded-4-then-one 1 edm-4
again sharded-4-then-not 4 edm-4 --no-shard
again one-then-sharded-4 4 edm-1 --shard
again one-then-sharded-3 3 edm-1 --shard
code=0
timeout -k 5 240 mpirun -n 1 "$cm" train $edm --out apart --steps 2 : \
    -n 1 "$cm" train $edm --out apart --steps 2 --shard >"$scratch/out" 2>"$scratch/err" || code=$?
ok 'sharded in one of two' one_line 'shard: expected that of process 0'

# ---- what is made of an average on the way -----------------------------------------------

works 'a classifier' train --method classifier --data tiny-images-idx3-ubyte --steps 2 \
    --batch 4 --threads 1 --score FD-bars --out judge
seen="--sample-every 2 --eval-every 2 --eval-num 20 --eval-weights $scratch/judge --steps 4"
in_folder seen-1 works 'pictures and scores of one process' train $ct $seen
in_folder seen-4 on_works 'of 4' 4 train $ct $seen --shard
ok 'the same' same_files seen-1 seen-4
for n in 1 4; do
    grep FD-bars seen-$n/run/log.jsonl | sed 's/,"seconds".*agreement/,"agreement/' >scores.$n
done
ok 'the same scores' cmp scores.1 scores.4
ok 'of both steps' test "$(wc -l <scores.4)" = 2
judge="--method classifier --data $scratch/tiny-images-idx3-ubyte --batch 12 --accumulate 4 --threads 1
    --log-every 1 --sample-every 2 --save-every 2 --keep 20 --steps 4 --out run"
in_folder judge-1 works 'a classifier, which is judged' train $judge
in_folder judge-4 on_works 'of 4' 4 train $judge --shard
ok 'the same' same_files judge-1 judge-4
grep accuracy judge-1/run/log.jsonl >scores.1
grep accuracy judge-4/run/log.jsonl >scores.4
ok 'it recognises as many' cmp scores.1 scores.4

# ---- ends ----------------------------------------------------------------------------------

in_folder bad on 3 train $edm --steps 6 --p-mean -20 --p-std 20 --shard
ok 'not a number, once' one_line 'is not finite'
timeout -k 5 240 mpirun -n 3 "$cm" train $edm --steps 100000 --shard >"$scratch/out" 2>"$scratch/err" &
mpi=$!
for _ in $(seq 600); do
    [ ! -d run/ckpt/00000004 ] || break
    sleep 0.1
done
kill -TERM "$mpi"
wait "$mpi"
for _ in $(seq 300); do
    pgrep -f "^$cm train.*--steps 100000.*--shard" >/dev/null || break # mpirun may end before them
    sleep 0.1
done
last=$(basename "$(readlink -f run/ckpt/latest)" | sed 's/^0*//')
ok 'SIGTERM ends it with a checkpoint of its last step' test "$last" -ge \
    "$(sed -n 's/.*"step":\([0-9]*\),.*/\1/p' run/log.jsonl | tail -n 1)"
on_works 'going on' 2 train --resume --out run --steps $((last + 2))
}
finish
