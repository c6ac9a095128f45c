#!/bin/sh
# test_mpi_samples.sh - samples and scores that several processes share, started by a real mpirun: the
# bytes of one process for every number of them, one writer, and what happens when one of them fails.
#
# usage: test_mpi_samples.sh CM MAKE_DATA MAKE_WEIGHTS MODULE
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
module=$(cd "$root" && absolute "${4:-}")
# shellcheck source=tests/cli/mpi.sh
. "$here/mpi.sh"
shipped=$root/models/fashion-mnist-cd.safetensors
golden_weights adm_imagenet64_like
classes=adm_imagenet64_like.safetensors # which knows classes

# The samples of a folder are images 0 to N - 1, each whole.
whole_folder()
{
    for file in "$1"/*; do
        [ "$(tail -c 8 "$file" | od -An -tx1 | tr -d ' \n')" = 49454e44ae426082 ] || return 1
    done
    next=0
    for file in "$1"/*; do
        [ "$(basename "$file" | cut -c 1-6)" = "$(printf %06d $next)" ] || return 1
        next=$((next + 1))
    done
}

# shellcheck disable=SC2086 # lists of words
{
# ---- samples: equal bytes --------------------------------------------------------

# Ten images in batches of three: the last round is not full, and of four processes the last has
# none in it.
few="--num 10 --batch 3 --threads 1 --dtype f32"
# same NAME OUT OPTION...: of 1, 2 and 4 processes
same()
{
    name=$1
    out=$2
    shift 2
    in_folder one works "$name, on 1" sample "$@" --out "$out"
    for n in 2 4; do
        in_folder on-$n on_works "on $n" $n sample "$@" --out "$out"
        ok 'the same bytes' diff -r one/$out on-$n/$out
    done
}
same 'an archive' all.npz --model "$scratch/$classes" $few --class all
same 'random classes' random.npz --model "$scratch/$classes" $few --class random --seed 7
same 'some classes of a part' part.npz --model "$scratch/$classes" $few --class 1,3 --first 5 --of 40
same 'a grid' grid.png --model "$shipped" $few --captions --scale 2
same 'a folder' pictures --model "$shipped" $few --sampler multistep --sigmas 80,2,0.5
same 'fewer images than processes' two.npz --model "$shipped" --num 2 --batch 1 --threads 1
same 'noise saved' noisy.npz --model "$shipped" $few --save-noise noise.safetensors
ok 'the same noise' cmp one/noise.safetensors on-4/noise.safetensors
same 'noise read' again.npz --model "$shipped" $few --noise "$scratch/one/noise.safetensors" --num 7 \
    --first 2
ok 'one line says what was drawn' grep -qE '^again.npz: 7 images in .* noise of ' out
ok 'once' test "$(wc -l <out)" = 1
cp -r one/pictures more
on_works 'going on in a folder' 3 sample --model "$shipped" --num 5 --batch 1 --sampler multistep \
    --sigmas 80,2,0.5 --dtype f32 --out more --continue
works 'as one does' sample --model "$shipped" --num 5 --first 10 --sampler multistep \
    --sigmas 80,2,0.5 --dtype f32 --threads 1 --out one/pictures
ok 'the same' diff -r one/pictures more

# All of them draw: each process tells the time that it computed for. One that opens the model and
# waits takes 0.06 s, half of the images 0.7 s.
cat >timed <<END
#!/bin/sh
"$cm" "\$@" >/dev/null
times >time-\$OMPI_COMM_WORLD_RANK
END
chmod +x timed
code=0
mpirun -n 2 ./timed sample --model "$shipped" --num 400 --batch 10 --threads 1 --out timed.npz \
    >out 2>err || code=$?
ok 'two processes' succeeded
if [ -f time-0 ]; then # Open MPI
    # shellcheck disable=SC2016 # awk's
    ok 'both draw' awk -F '[m s]' 'FNR == 2 { t[n++] = 60 * $1 + $2 }
        END { exit !(t[0] > 0.3 && t[1] > 0.3) }' time-0 time-1
fi

# ---- samples: errors -----------------------------------------------------------------

on 3 sample --model "$shipped" --num fast --out bad.npz
ok 'an option that all have wrong, once' one_line "option 'num'"
on 3 sample --model nowhere --out bad.npz
ok 'a file that none has, once' one_line 'nowhere'
on 3 sample --model "$shipped" --num 4 --out nowhere/bad.npz
ok 'a folder that is not there' one_line 'nowhere'
on 2 sample --model "$shipped" --num 4 --trajectory both --out bad.png
ok 'a trajectory is the work of one' one_line "option 'trajectory': is the work of one process"
on 2 sample --model "$shipped" --num 4 --out -
ok 'so is standard output' one_line "option 'out'"
on 2 sample --merge --out bad.npz one/part.npz
ok 'and merging' one_line "option 'merge'"
code=0
SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0 "$cm" sample --model "$shipped" --num 2 --out copies.npz \
    >"$scratch/out" 2>"$scratch/err" || code=$?
ok 'a launcher that this MPI does not know of' one_line 'expected the 2 that the launcher started, found 1 by MPI'
ok 'starts no copies' test ! -e copies.npz
for command in edit info plot; do
    on 3 $command "$shipped"
    ok "and cm $command" one_line "cm $command: is the work of one process"
done
# apart ARGUMENT...: process 1 of 2 is told this too
apart()
{
    code=0
    timeout -k 5 240 mpirun -n 1 "$cm" sample --model "$shipped" --num 4 --out bad.npz : \
        -n 1 "$cm" sample --num 4 --out bad.npz "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}
apart --model nowhere
ok 'a model that one has not' one_line 'process 1 of 2'
apart --model "$shipped" --seed 1
ok 'another seed on one' one_line 'settings of sampling: expected that of process 0'
cp "$shipped" other.safetensors
printf '\1' | dd of=other.safetensors bs=1 seek=2000000 conv=notrunc 2>dd.err
apart --model other.safetensors
ok 'other weights on one' one_line 'weights of the model: expected that of process 0'
apart --model "$shipped" --batch 1
ok 'another batch on one' one_line 'batch: expected that of process 0'
on 3 sample --model "$shipped" --num 9 --out bad.npz --class 99
ok 'a class that there is not' one_line 'class'
ok 'nothing was written' missing bad.npz

# A full disk at process 0: no file of it may grow over a few kB.
full()
{
    code=0
    timeout -k 5 60 mpirun --mca btl self,tcp -n 1 sh -c 'ulimit -f 8; exec "$@"' sh "$cm" sample \
        --model "$shipped" --num 200 --batch 5 --threads 1 "$@" : -n 1 "$cm" sample \
        --model "$shipped" --num 200 --batch 5 --threads 1 "$@" >"$scratch/out" 2>"$scratch/err" ||
        code=$?
}
full --out full.npz
ok 'no room for the archive' one_line 'full.npz'
ok 'and none is there' missing full.npz
if chmod 500 one/pictures && ! touch one/pictures/x 2>/dev/null; then # not as root
    on 2 sample --model "$shipped" --num 9 --first 100 --batch 1 --out one/pictures
    ok 'a folder that cannot be written to' one_line 'one/pictures'
else
    rm -f one/pictures/x
fi
chmod 700 one/pictures

# ---- samples: one of them is lost ------------------------------------------------------

# begin OUT: a long drawing in the background; $mpi is its mpirun
begin()
{
    rm -rf folder
    # (in the foreground: else mpirun gets each signal twice, and ends at once with the second)
    timeout --foreground -k 15 240 mpirun -n 3 "$cm" sample --model "$shipped" --num 100000 --batch 2 --threads 1 \
        --out "$1" >"$scratch/out" 2>"$scratch/err" &
    mpi=$!
    for _ in $(seq 600); do
        [ -z "$(find folder -name '000005_*' 2>/dev/null)" ] || return 0
        [ "$1" = folder ] || [ -z "$(drawing)" ] || return 0
        sleep 0.1
    done
    return 1
}
# told: mpirun, which may end before the processes that it has told to, is through, and so are they
told()
{
    ends || return 1
    for _ in $(seq 100); do
        [ -z "$(drawing)" ] && grep -q '^cm: ' err && return 0
        sleep 0.2
    done
    return 1
}
# The processes that draw
drawing()
{
    pgrep -f "^$cm sample.*--num 100000" | sort -n
}
for who in 0 1; do
    ok 'a drawing on 3' begin folder
    kill -9 "$(drawing | sed -n "$((who + 1))p")"
    ok "killed one of them: all end ($who)" ends
    ok 'none is left' test -z "$(drawing)"
    ok 'each picture is whole, and none is missed' whole_folder folder
done
count=$(find folder -name '*.png' | wc -l)
on_works 'the others go on' 2 sample --model "$shipped" --num 3 --batch 1 --out folder --continue
ok 'after the last, without a hole' whole_folder folder
ok 'with three more' test "$(find folder -name '*.png' | wc -l)" = $((count + 3))
# (mpirun's patience before it kills what it has told to end: a second, too short on a busy machine)
export OMPI_MCA_odls_base_sigkill_timeout=4
ok 'a drawing on 3' begin folder
kill -TERM "$mpi"
ok 'SIGTERM ends it' told
ok 'with one line' test "$(grep -c '^cm: ' err)" = 1
ok 'that says how to go on' grep -q '^cm: folder: stopped after [0-9]* of 100000 images; --continue' err
ok 'all it made is whole' whole_folder folder
ok 'a drawing into an archive' begin stopped.npz
sleep 2
kill -TERM "$mpi"
ok 'SIGTERM ends it' told
ok 'with one line' test "$(grep -c '^cm: ' err)" = 1
ok 'and no file' test -z "$(find . -name '*stopped*')"
unset OMPI_MCA_odls_base_sigkill_timeout
# A picture that process 0 cannot write: one of that name is a folder.
ok 'a drawing on 3' begin folder
blocked=$(basename "$(find folder -name '000005_*')" | sed 's/^000005/000200/')
mkdir -p "folder/$blocked"
ok 'a picture that cannot be written: all end' ends
code=1
ok 'with one line' one_line "$blocked"
rm -r "folder/$blocked"
ok 'all before it is whole' whole_folder folder

# ---- scores ------------------------------------------------------------------------------

real='tiny-images-idx3-ubyte'
works 'a classifier' train --method classifier --data $real --steps 2 --batch 4 --threads 1 \
    --score FD-bars --out judge
works 'a consistency model' train $tiny --method ct --steps 2 --out run
works 'samples of it' sample --model run --num 30 --threads 1 --out drawn.npz
works 'and others' sample --model run --num 20 --seed 2 --threads 1 --out others
scored="--features small --weights judge --threads 1 --json"
# same_scores NAME OPTION...
same_scores()
{
    name=$1
    shift
    works "$name, on 1" eval "$@"
    mv out out-1
    ok 'it has a distance' grep -q '"frechet": [0-9]' out-1
    for n in 2 4; do
        on_works "on $n" $n eval "$@"
        ok 'the same text' cmp out-1 out
    done
}
same_scores 'a model' --ref $real --model run --num 50 --batch 7 --dtype f32 $scored
same_scores 'a folder' --ref $real --samples others --batch 3 $scored
same_scores 'an archive, and whether it is memorised' --ref others --samples drawn.npz --batch 4 \
    --train $real --test others --nearest near.png $scored
cp near.png near-4.png
works 'the picture of one' eval --ref others --samples drawn.npz --train $real --test others \
    --nearest near.png $scored
ok 'the same' cmp near.png near-4.png
works 'statistics' eval --ref $real --save-stats stats.npz $scored
on_works 'on 3' 3 eval --ref $real --save-stats stats-3.npz --batch 5 $scored
ok 'the same' cmp stats.npz stats-3.npz
same_scores 'beside statistics' --ref stats.npz --samples drawn.npz $scored

on 3 eval --ref $real --samples nowhere $scored
ok 'samples that none has' one_line 'nowhere'
on 2 eval --ref $real --samples others --lpips
ok 'pairs are the work of one' one_line 'lpips: is the work of one process'
head -c 4000 drawn.npz >short.npz
on 2 eval --ref $real --samples short.npz $scored
ok 'samples that are cut short' one_line 'short.npz'
code=0
timeout -k 5 240 mpirun -n 1 "$cm" eval --ref $real --samples others $scored : -n 1 "$cm" eval \
    --ref $real --samples drawn.npz $scored >out 2>err || code=$?
ok 'other samples on one' one_line 'drawn.npz: expected that of process 0'
code=0
timeout -k 5 240 mpirun -n 1 "$cm" eval --ref $real --model run --num 20 $scored : -n 1 "$cm" eval \
    --ref $real --model run --num 20 --seed 4 $scored >out 2>err || code=$?
ok 'another seed on one' one_line 'run: expected that of process 0'
on 2 eval --ref $real --samples others --save-stats nowhere/stats.npz $scored
ok 'statistics that cannot be written' one_line 'nowhere'

# ---- while training --------------------------------------------------------------------------

training="--method ct $tiny_given --channels 32 --channel-mult 1,1 --attention-resolutions 8
    --num-heads 2 --batch 8 --accumulate 4 --steps 5 --log-every 1 --ema-rates 0.9
    --sample-every 2 --eval-every 2 --eval-num 20 --eval-weights $scratch/judge --out run"
# what_scores FOLDER: "step distance agreement", as they are logged
what_scores()
{
    sed -n 's/^{"step":\([0-9]*\),"FD-bars":\([^,]*\),.*"agreement":\([^}]*\)}$/\1 \2 \3/p' \
        "$1/run/log.jsonl"
}
in_folder train-1 works 'pictures and scores, on 1' train $training
what_scores train-1 >scores-1
ok 'three scores' test "$(wc -l <scores-1)" = 3
ok 'three grids' test "$(find train-1/run/samples -name '*onestep.png' | wc -l)" = 3
for n in 2 4; do
    in_folder train-$n on_works "on $n" $n train $training
    what_scores train-$n >scores-$n
    ok 'the same scores, to the last bit' cmp scores-1 scores-$n
    ok 'the same pictures' diff -r train-1/run/samples train-$n/run/samples
    ok 'the same weights' same_run 2 train-1 train-$n
done
in_folder tenth on_works 'pictures that nobody asked for' 3 train ${training%--sample-every*} \
    --sample-every 0 --steps 20 --out run
ok 'are drawn' test "$(find tenth/run/samples -name '*onestep.png' | wc -l)" -ge 1
# A grid that cannot be written is a warning, of process 0, and nothing to the others.
for n in 1 2; do
    in_folder blocked-$n works 'a step' train $training --steps 1
    mkdir -p blocked-$n/run/samples/00000002_onestep.png/x
    in_folder blocked-$n on_works "a grid that cannot be written, on $n" $n train --resume --steps 5 \
        --out run
    ok 'is told' grep -q '^warning: no onestep samples: .*00000002_onestep.png' err
done
ok 'the others are the same' cmp blocked-1/run/samples/00000004_onestep.png \
    blocked-2/run/samples/00000004_onestep.png
ok 'and the weights' same_run 2 blocked-1 blocked-2
what_scores blocked-1 >scores-1
what_scores blocked-2 >scores-2
ok 'and the scores' cmp scores-1 scores-2
}
finish
