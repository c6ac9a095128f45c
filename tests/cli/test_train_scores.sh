#!/bin/sh
# test_train_scores.sh - cm train --eval-every: what is logged is what cm eval says, training is
# not disturbed, a run that was stopped goes on with the same scores, what is refused.
#
# usage: test_train_scores.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1
real='tiny-images-idx3-ubyte'

# weights FILE: its tensors without the header, whose metadata holds all settings
weights()
{
    set -- "$1" "$(od -An -tu8 -N8 "$1" | tr -d ' ')"
    tail -c +$((9 + $2)) "$1"
}
# same_run A B: the same weights, averages and moments, bit for bit
same_run()
{
    for file in "$1"/ckpt/latest/*.safetensors "$1"/model.safetensors; do
        weights "$file" >weights.a
        weights "$2${file#"$1"}" >weights.b
        [ -s weights.a ] && cmp weights.a weights.b || return
    done
}
# scores RUN: "step distance agreement" of the lines that have them
scores()
{
    sed -n 's/^{"step":\([0-9]*\),"FD-bars":\([^,]*\),.*"agreement":\([^}]*\)}$/\1 \2 \3/p' \
        "$1/log.jsonl"
}
value()
{
    sed -n 's/^ *"'"$1"'": \([-0-9.e]*\),*$/\1/p' out
}
near()
{
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d * d < 1e-12) }'
}

works 'train a classifier' train --method classifier --data $real --steps 2 --batch 4 \
    --threads 1 --score FD-bars --out judge
tiny="$tiny --ema-rates 0.9,0.5"
ct='--method ct --scale-mode fixed --start-scales 9 --target-ema-mode fixed --start-ema 0.9'
scored='--eval-every 2 --eval-num 20 --eval-weights judge'

# ---- what is logged -----------------------------------------------------------

# shellcheck disable=SC2086 # lists of words
{
works 'a run without scores' train $tiny $ct --steps 6 --out plain
works 'the same with scores' train $tiny $ct --steps 6 --out run $scored
ok 'few images are said' grep -q 'warning: eval-num: 20 images, not more than the 64' err
ok 'the weights are the same, bit for bit' same_run plain run
ok 'one without has no scores' test -z "$(scores plain)"
ok 'scores of steps 2, 4 and 6' test "$(scores run | cut -d ' ' -f 1 | tr '\n' ' ')" = '2 4 6 '
last=$(scores run | tail -n 1)
works 'cm eval of the last average' eval --ref $real --model run --num 20 --dtype f32 \
    --features small --weights judge --threads 1 --batch 7 --json
ok 'is what was logged' near "$(value frechet)" "$(echo "$last" | cut -d ' ' -f 2)"
ok 'and the agreement' near "$(value agreement)" "$(echo "$last" | cut -d ' ' -f 3)"
works 'cm plot draws them' plot run --what FD-bars,agreement --out scores.svg
works 'as scores too' plot run --what scores --out all.svg
ok 'with nothing else' cmp scores.svg all.svg

# ---- teachers: Heun; a reference of its own -------------------------------------

works 'saved statistics' eval --ref $real --features small --weights judge --threads 1 \
    --save-stats stats.npz
works 'a teacher, every 3 of 4 steps' train $tiny --method edm --steps 4 --out teacher \
    --eval-every 3 --eval-num 5 --eval-weights judge --eval-ref stats.npz
ok 'steps 3 and the last' test "$(scores teacher | cut -d ' ' -f 1 | tr '\n' ' ')" = '3 4 '
works 'cm eval of it' eval --ref $real --model teacher --num 5 --dtype f32 --sampler heun \
    --features small --weights judge --threads 1 --json
ok 'is what was logged' near "$(value frechet)" "$(scores teacher | tail -n 1 | cut -d ' ' -f 2)"

# ---- a run that goes on -----------------------------------------------------------

works 'the first half' train $tiny $ct --steps 3 --out halves $scored
works 'the second' train --resume --out halves --steps 6
ok 'the same weights' same_run plain halves
ok 'the same scores of the same steps' \
    test "$(scores halves | grep -v '^3 ')" = "$(scores run)"
works 'a finished run is left alone' train --resume --out run
ok 'no score twice' test "$(scores run | wc -l)" -eq 3
works 'one without scores gets one' train --resume --out plain $scored
ok 'that of the last step' test "$(scores plain)" = "$last"
cp -R halves edited
sed -i 's/"scored": *[0-9]*/"scored":0/' edited/ckpt/00000006/state.json
sed -i '/"step":6,"FD-bars"/d' edited/log.jsonl
works 'stopped while it scored' train --resume --out edited
ok 'it is scored now' test "$(scores edited)" = "$(scores halves)"

# ---- what is refused ----------------------------------------------------------------

none="train $tiny $ct --steps 1 --out none"
fails 2 'scores (eval-every): weights: expected a classifier' $none --eval-every 1
fails 1 'nowhere' $none --eval-every 1 --eval-weights nowhere
fails 1 'pt_inception-2015-12-05-6726825d.pth: no such file' $none --eval-every 1 \
    --eval-features inception
fails 2 'expected a classifier' $none --eval-every 1 --eval-weights run
fails 2 "option 'eval-num': has no effect here, it is for --eval-every" $none --eval-num 5
fails 2 "option 'eval-every': has no effect here, it is for --method" train --method classifier \
    --data $real --steps 1 --out none --eval-every 1
fails 2 'expected images of 16x16 with 1 channel, which the classifier judge' $none --eval-every 1 --eval-weights judge --image-size 32 \
    --attention-resolutions 16
ok 'nothing was made' missing none
}

finish
