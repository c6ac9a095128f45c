#!/bin/sh
# experiments.sh - the runs behind docs/results.md: ./run results [--quick]
#
# One network, one teacher, the same number of images for every method, and one factor changed at a
# time from the baseline `cd`.  A line of `experiments` below is a run: its name, its seeds, what
# differs in `cm train`, and how it is sampled.  For each seed it is trained in
# runs/results/NAME-SEED (an interrupted one is resumed), sampled and scored, and its row is
# written to bench/results/rows/NAME-SEED.json; rows that are there are not made again.  At the
# end docs/results.md and its plots are drawn from the rows alone.
#
# --quick: every run with a few steps and images, in build/results, to see that the way is open.
set -eu

cm=build/cm
rows=bench/results/rows
runs=runs/results
out=docs
judge=models/fashion-mnist-classifier.safetensors
ref=fashion-mnist-test
num=5000
neighbours="--train fashion-mnist --test $ref"
teacher_steps=5000 # of 64 images: 320,000
steps=2000         # 128,000, of every other method

if [ "${1:-}" = --quick ]; then
    shift
    rows=build/results/rows
    runs=build/results/runs
    out=build/results
    num=200
    neighbours=
    teacher_steps=8
    steps=8
    rm -rf build/results
    mkdir -p build/results
    first_seed_only=1
    ref=build/results/reference.npz
    $cm eval --ref fashion-mnist-test --features small --weights $judge --save-stats $ref --quiet
fi
only=${1:-*}
mkdir -p "$rows" "$runs"

# ---- one run ----------------------------------------------------------------

# What cm train has in every run.
common="--data fashion-mnist --batch 64 --dtype f32 --sample-every 1000000"
network="--channels 16 --channel-mult 1,2,2 --res-blocks 1 --attention-resolutions 8
    --no-resblock-updown"
student="--steps $steps --lr 1e-3 --lr-warmup 50"
falls="--lr-decay --ema-rates 0.998" # of all but progressive distillation, which knows better
# The teacher stays beside its row, so that rows made on another day or machine have the same one.
teacher=$rows/teacher-1.safetensors
distils="--teacher $teacher"

# processor_seconds BEFORE AFTER: of the programs run between two outputs of `times`, whose second
# line is theirs. (In a pipe or in $() it would tell of a shell of its own.)
processor_seconds()
{
    awk 'FNR == 2 { for (i = 1; i <= 2; i++) { split($i, t, /[ms]/); s[NR] += 60 * t[1] + t[2] } }
         END { printf "%.1f\n", s[NR] - s[2] }' "$1" "$2"
}

machine()
{
    awk -F ': *' '
        /^model name/ { name = $2 }
        /^flags/ { flags = " " $2 " " }
        END {
            isa = "AVX2"
            if (flags ~ / avx512f /) isa = "AVX-512"
            if (flags ~ / avx512_bf16 /) isa = "AVX-512 BF16"
            if (flags ~ / amx_bf16 /) isa = "AMX"
            print name ", " isa
        }' /proc/cpuinfo
}

# train FOLDER OPTION...: from its newest checkpoint where there is one; the processor time of each
# part goes to FOLDER.seconds, unless one was cut off before it could be told (FOLDER.before is left)
train()
{
    folder=$1
    shift
    [ ! -f "$folder/model.safetensors" ] || return 0
    if [ -d "$folder/ckpt" ]; then
        set -- --resume
    else
        rm -rf "$folder" "$folder.seconds" "$folder.before" "$folder.lost"
    fi
    [ ! -f "$folder.before" ] || touch "$folder.lost"
    times >"$folder.before"
    status=0
    $cm train --quiet --out "$folder" "$@" || status=$?
    times >"$folder.after"
    processor_seconds "$folder.before" "$folder.after" >>"$folder.seconds"
    rm "$folder.before" "$folder.after"
    return $status
}

# score FILE MODEL SEED OPTION...: one line of JSON; FILE is for the work
score()
{
    file=$1 model=$2 seed=$3
    shift 3
    # shellcheck disable=SC2086 # a list of words
    $cm eval --ref $ref --features small --weights $judge --num $num --seed "$seed" --json --quiet \
        --model "$model" "$@" >"$file" # no pipe: it would hide a failure
    tr -d '\n' <"$file"
    rm "$file"
}

# run NAME SEED SAMPLINGS OPTION...: train, score, and write the row.  SAMPLINGS are parted by
# semicolons: evaluations[@file of the run]: options of cm sample.
run()
{
    name=$1 seed=$2 samplings=$3
    shift 3
    row=$rows/$name-$seed.json
    wanted "$name" "$seed" || return 0
    [ ! -f "$row" ] || return 0
    printf '== %s, seed %s: cm train %s\n' "$name" "$seed" "$*"
    folder=$runs/$name-$seed
    train "$folder" "$@"
    [ "$name" != teacher ] || cp "$folder/model.safetensors" "$teacher"
    steps_done=$(tail -n 1 "$folder/log.jsonl" | sed 's/.*"step": *\([0-9]*\).*/\1/')
    {
        printf '{"run":"%s","seed":%s,\n"machine":"%s",\n"train":"%s",\n' "$name" "$seed" \
            "$(machine)" "$(printf %s "$*" | tr -s ' \n' ' ')"
        printf '"images":%s,' $((steps_done * 64))
        if [ -f "$folder.seconds" ] && [ ! -f "$folder.lost" ]; then
            awk '{ s += $1 } END { printf "\"processor_seconds\":%s,", s }' "$folder.seconds"
        fi
        printf '\n"scores":['
        comma=
        near=
        [ "$seed" != 1 ] || near=$neighbours
        printf '%s\n' "$samplings" | tr ';' '\n' | while IFS=' :' read -r which options; do
            evaluations=${which%@*}
            model=$folder/model.safetensors
            [ "$which" = "$evaluations" ] || model=$folder/${which#*@}
            # shellcheck disable=SC2086 # lists of words
            text=$(score "$row.score" "$model" "$seed" $options $near)
            near=
            printf '%s\n{"evaluations":%s,"sampling":"%s","eval":%s}' "$comma" "$evaluations" \
                "$options" "$text"
            comma=,
        done
        printf ']}\n'
    } >"$row.part"
    # For the pages: two of each class by the first of its samplings as a strip, the loss, the scores
    # of a run that was scored on its way.
    first=${samplings%%;*}
    if [ "$seed" = 1 ]; then
        # shellcheck disable=SC2086 # a list of words
        $cm sample --model "$folder" --num 20 --class all --columns 20 ${first#*:} \
            --out "$rows/$name.png" >"$rows/$name.part"
        $cm plot "$folder" --what loss --out "$rows/$name-loss.png" >"$rows/$name.part"
        if grep -q '"FD-fashion"' "$folder/log.jsonl"; then
            $cm plot "$folder" --what FD-fashion,agreement --out "$rows/$name-scores.png" \
                >"$rows/$name.part"
        fi
        rm "$rows/$name.part"
    fi
    mv "$row.part" "$row"
}

# wanted NAME SEED: the user asked for all runs, for this one, or for this seed of it; all need the
# teacher
wanted()
{
    [ "$1" != teacher ] || return 0
    # shellcheck disable=SC2254 # a pattern
    case $1 in $only) return 0 ;; esac
    # shellcheck disable=SC2254
    case $1-$2 in $only) return 0 ;; esac
    return 1
}

# each NAME SEEDS SAMPLINGS OPTION...: with every seed
each()
{
    name_of_each=$1 seeds=$2 samplings_of_each=$3
    shift 3
    [ -z "${first_seed_only:-}" ] || seeds=1
    for seed_of_each in $seeds; do
        run "$name_of_each" "$seed_of_each" "$samplings_of_each" "$@" --seed "$seed_of_each"
    done
}

# ---- the experiments --------------------------------------------------------

# evaluations N: how a consistency model of N levels is sampled in 1, 2 and 3 evaluations.  At levels
# of its own grid, half and a third of the way down: others it has not seen, and with few of them
# it shows (docs/methods.md).
one='1:--sampler onestep'
evaluations()
{
    echo "$one; 2:--sampler multistep --steps $1 --ts 0,$(($1 / 2)),$(($1 - 1)); \
3:--sampler multistep --steps $1 --ts 0,$(($1 / 3)),$(($1 / 2)),$(($1 - 1))"
}
consistency=$(evaluations 18)
ode='79:--steps 40; 35:--steps 18; 17:--steps 9; 9:--steps 5;
    10:--sampler dpm-solver++2m --steps 10; 5:--sampler dpm-solver++2m --steps 5'

# shellcheck disable=SC2086 # lists of words
experiments()
{
    each teacher 1 "$(echo "$ode" | tr -d "\n")" --method edm $common $network --steps $teacher_steps --lr 2e-3 \
        --lr-warmup 100 --lr-decay --ema-rates 0.999

    # the baseline: Heun, N = 18, l2, mu = 0.95, uniform weights
    cd="--method cd $common $student $falls $distils"
    each cd '1 2 3' "$consistency" $cd
    # what the learning rate's fall does to it, with scores on its way
    constant=$(echo "$cd" | sed 's/--lr-decay//')
    scored="--eval-every 250 --eval-weights $judge --eval-ref $ref"
    each cd-constant 1 "$consistency" $constant $scored

    # solver and N (the paper's figure 3)
    each cd-euler '1 2 3' "$consistency" $cd --solver euler
    each cd-n10 '1 2 3' "$(evaluations 10)" $cd --start-scales 10
    each cd-n10-euler '1 2 3' "$(evaluations 10)" $cd --start-scales 10 --solver euler
    each cd-n40 1 "$(evaluations 40)" $cd --start-scales 40
    each cd-n80 1 "$(evaluations 80)" $cd --start-scales 80
    # distance
    each cd-l1 1 "$consistency" $cd --loss-norm l1
    each cd-huber 1 "$consistency" $cd --loss-norm pseudo-huber
    # target network, boundary, weights
    for mu in 0 0.9 0.99; do
        each cd-mu-$mu 1 "$consistency" $cd --start-ema $mu
    done
    each cd-piecewise 1 "$consistency" $cd --boundary piecewise
    for weighting in snr snr+1 karras truncated-snr; do
        each cd-$weighting 1 "$consistency" $cd --weighting $weighting
    done

    # in a classifier's features; not those of the judge
    features=$runs/features
    if wanted cd-features 1 || wanted cd-features 2 || wanted cd-features 3; then
        train "$features" --method classifier $common --lr-decay --steps $steps --lr 2e-3 \
            --lr-warmup 100 --channels 16 --channel-mult 1,2,4 --seed 1
    fi
    each cd-features '1 2 3' "$consistency" $cd --loss-norm features --loss-weights "$features"

    # progressive distillation, 16 steps to 1: the stages of 2 and 1 are twice as long
    progressive="1:; 2@stages/2-steps.safetensors:; 4@stages/4-steps.safetensors:"
    pd="--method pd $common $student $distils --start-scales 16"
    each pd '1 2 3' "$progressive" $pd

    # four times as many images
    long="--steps $((4 * steps))"
    each cd-long 1 "$consistency" $cd $long
    each pd-long 1 "$progressive" $pd $long

    # alone: no teacher
    ct="--method ct $common $network $student $falls"
    each ct 1 "$(evaluations 151)" $ct
    # the paper's curriculum is for 800,000 steps; one that ends at N = 21 suits 2,000
    each ct-short '1 2 3' "$(evaluations 21)" $ct --end-scales 20
    each ct-fixed 1 "$consistency" $ct --scale-mode fixed --target-ema-mode fixed --start-scales 18

    # in continuous time; the weights of the teacher are where they begin
    each cd-continuous 1 "$consistency" --method cd-continuous $common --steps $steps --lr 2e-4 \
        --lr-warmup 50 $falls $distils
    each ct-continuous 1 "$consistency" --method ct-continuous $common --steps $steps --lr 1e-4 \
        --lr-warmup 50 $falls --init "$teacher"
}

experiments
build/bench/results/report bench/results/results.md "$rows" "$out"
