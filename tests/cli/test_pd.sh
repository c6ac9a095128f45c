#!/bin/sh
# test_pd.sh - cm train --method pd: stages, what they leave, going on in the middle of one and
# where one ends, the model of few steps that comes out, and what is refused before any work.
#
# usage: test_pd.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1
pd="--method pd --teacher teacher $tiny_given --log-every 1 --seed 3"

# values KEY RUN: what the lines of the log say
values()
{
    sed -n 's/.*"'"$1"'":\([-0-9.e+]*\)[,}].*/\1/p' "$2/log.jsonl" | tr '\n' ' '
}
# weights FILE: its tensors without the header, whose metadata holds all settings
weights()
{
    set -- "$1" "$(od -An -tu8 -N8 "$1" | tr -d ' ')"
    tail -c +$((9 + $2)) "$1"
}
same_weights()
{
    weights "$1" >weights.a
    weights "$2" >weights.b
    [ -s weights.a ] && cmp weights.a weights.b
}
rates()
{
    values lr "$1" | tr ' ' '\n' | awk 'NF { printf "%g ", 1e4 * $1 }'
}

# shellcheck disable=SC2086 # lists of words
{
works 'a teacher' train --method edm $tiny --steps 2 --ema-rates 0 --out teacher
works 'a student' train $pd --start-scales 4 --steps 10 --save-every 1 --keep 20 --out run
ok 'N halves, 2 and 1 twice as long' test "$(values scales run)" = '4 4 2 2 2 2 1 1 1 1 '
ok 'the stage is logged' test "$(values stage run)" = '1 1 2 2 2 2 3 3 3 3 '
ok 'the rate falls within each stage' test "$(rates run)" = '10 5 10 7.5 5 2.5 10 7.5 5 2.5 '
works 'lines of the log, seldom' train $pd --start-scales 4 --steps 10 --log-every 100 --out seldom
ok 'are of one stage each' test "$(values step seldom)" = '2 6 10 '
ok 'a model a stage, and the last' test "$(echo run/stages/* run/model*)" = \
    'run/stages/2-steps.safetensors run/stages/4-steps.safetensors run/model.safetensors'
ok 'grids are of progdist' test -s run/samples/00000010_progdist.png
works 'a plot of N and the stage' plot run --what N,stage --out plot.svg

# ---- going on ------------------------------------------------------------------

for kept in 5 6 2; do # within a stage; where one ends
    cp -r run again
    for step in 1 2 3 4 5 6 7 8 9 10; do
        [ "$step" -le "$kept" ] || rm -r "again/ckpt/$(printf %08d "$step")"
    done
    rm again/model.safetensors
    [ "$kept" -gt 2 ] || rm again/stages/2-steps.safetensors
    sed -i 's/"out": "run"/"out": "again"/' again/config.json
    works "going on from step $kept" train --resume --out again
    ok 'so is the log' test "$(values loss again)" = "$(values loss run)"
    for file in model optimizer teacher ema_0; do
        ok "$file is that of the run left alone" same_weights "run/ckpt/00000010/$file.safetensors" \
            "again/ckpt/00000010/$file.safetensors"
    done
    for file in model stages/2-steps stages/4-steps; do
        ok "$file too" same_weights "run/$file.safetensors" "again/$file.safetensors"
    done
    rm -r again
done
fails 2 'steps: the stages of this run are shares of its 10 steps' train --resume --out run --steps 20

mv teacher elsewhere
fails 1 'teacher: cannot open: No such file or directory; --teacher says where' train --resume --out run
works 'where it is now' train --resume --teacher elsewhere --out run
mv elsewhere teacher
fails 1 "found: No such file or directory; --data says where the run's is now" \
    train --resume --teacher teacher --data nowhere/images --out run
fails 1 'nowhere: cannot open: No such file or directory' train --method cd --teacher nowhere $tiny_given --steps 1 --out no
ok 'of a new run nothing moved' test "$(grep -c 'says where' "$scratch/err")" -eq 0

# ---- out of time ---------------------------------------------------------------

early='^note: max-minutes ended the run early, at step [0-9]* of 10000'
stage=', in the stage of 4 steps, whose student the model is; --resume goes on from there$'
works 'a run out of time' train $pd --start-scales 4 --steps 10000 --max-minutes 0.001 --out early
ok 'says where it ended' grep -q "$early$stage" "$scratch/err"
works 'it goes on' train --resume --max-minutes 0.001 --out early
ok 'and says it again' grep -q "$early$stage" "$scratch/err"
works 'a run without stages' train --method edm $tiny --steps 10000 --max-minutes 0.001 --out short
ok 'says it too' grep -q "$early; --resume goes on from there$" "$scratch/err"
works 'a run that is done' train $pd --start-scales 2 --steps 4 --max-minutes 60 --out whole
ok 'does not' test "$(grep -c max-minutes "$scratch/err")" -eq 0

# ---- the model -----------------------------------------------------------------

works 'what it is' info run/stages/4-steps.safetensors
ok 'a model of few steps' grep -q '^kind *few-step diffusion model$' "$scratch/out"
ok 'of four' grep -q '^steps *4$' "$scratch/out"
works 'it validates' validate run/stages/4-steps.safetensors
draw="--num 4 --dtype f32 --threads 1"
works 'it draws' sample --model run/stages/4-steps.safetensors $draw --out a.png
works 'in four steps of progdist' sample --model run/stages/4-steps.safetensors $draw \
    --sampler progdist --steps 4 --out b.png
works 'or two' sample --model run/stages/4-steps.safetensors $draw --steps 2 --out c.png
ok 'by itself in four' cmp a.png b.png
ok 'which are not two' test "$(cmp a.png c.png | wc -l)" -eq 1
works 'a teacher by progdist' sample --model teacher $draw --sampler progdist --steps 3 --out d.png
fails 2 'steps: expected 4, which the model was distilled to, or a divisor of it, found 8' \
    sample --model run/stages/4-steps.safetensors --steps 8 --out e.png
fails 2 'steps: expected 1, which the model was distilled to, found 2' sample --model run --steps 2 --out e.png
fails 2 'sampler heun: needs a diffusion teacher, this one is a few-step diffusion model (progdist' \
    sample --model run --sampler heun --out e.png
fails 2 'sampler onestep: needs a consistency model, this one is a few-step diffusion model' \
    sample --model run --sampler onestep --out e.png
fails 2 'inpaint: needs a diffusion teacher or a consistency model, this one is a few-step' \
    edit inpaint --model run --image run/samples/00000010_progdist.png --box 100,40,80,80 --fit crop --out e.png

fails 2 "expected a diffusion teacher, found a few-step diffusion model" \
    edit invert --model "$root/models/fashion-mnist-cd.safetensors" --teacher run \
    --image "$root/docs/edit/coat.png" --out e.png
LC_ALL=C sed 's/\\"steps\\":4}/\\"steps\\":5}/' run/stages/4-steps.safetensors >five.safetensors
ok 'a file with another number' test "$(cmp -l run/stages/4-steps.safetensors five.safetensors | wc -l)" -eq 1
fails 4 '"steps": expected none but of kind edm, and there scales - 1 = 4, found 5' info five.safetensors

# ---- on from a student ------------------------------------------------------------

works 'from four steps to two' train --method pd --teacher run/stages/4-steps.safetensors $tiny_given \
    --start-scales 2 --end-scales 2 --steps 2 --out on
fails 2 'start-scales: expected half of the 4 steps that the teacher was distilled to, found 4' \
    train --method pd --teacher run/stages/4-steps.safetensors $tiny_given --start-scales 4 --steps 9 --out no
works 'and to one' train --method pd --teacher on $tiny_given --start-scales 1 --end-scales 1 --steps 2 --out one
fails 2 'teacher: expected a model of more steps to halve, found one of 1 step' \
    train --method pd --teacher one $tiny_given --start-scales 2 --steps 4 --out no
for other in '--sigma-max 40' '--sigma-min 0.01' '--rho 5'; do
    # shellcheck disable=SC2086 # two words
    fails 2 'those of the teacher, which knows no other levels' train --method pd \
        --teacher run/stages/4-steps.safetensors $tiny_given --start-scales 2 --steps 4 $other --out no
done
fails 4 'expected a diffusion teacher, found a few-step diffusion model' \
    train --method cd --teacher run $tiny_given --steps 1 --out no

# ---- what is refused before any work --------------------------------------------

fails 2 'start-scales: expected 1, 2, 4 and so on, which halve to end-scales, 1, found 12' train $pd --start-scales 12 --steps 9 --out no
fails 2 'start-scales: expected 8, 16, 32 and so on, which halve to end-scales, 8, found 4' train $pd --start-scales 4 --end-scales 8 --steps 9 --out no
fails 2 'steps: expected at least 7 for stages from 16' train $pd --start-scales 16 --steps 6 --out no
fails 2 'sigma-data: expected 0.5, that of the teacher' train $pd --sigma-data 0.4 --steps 9 --out no
fails 2 'teacher: method pd distils one' train --method pd $tiny --steps 9 --out no
fails 4 'diffusion teacher' train --method pd --teacher "$root/models/fashion-mnist-cd.safetensors" $tiny_given \
    --steps 9 --out no
fails 4 'expected 10 classes, which' train --method pd \
    --teacher "$root/models/fashion-mnist-edm.safetensors" $tiny_given --steps 9 --out no
for option in '--solver euler' '--start-ema 0.9' '--lr-decay' '--no-lr-decay' '--boundary skip' \
    '--scale-mode fixed' '--target-ema-mode fixed' '--p-mean 0'; do
    fails 2 'has no effect here' train $pd $option --steps 9 --out no
done
fails 2 'has no effect here' train --method ct $tiny --scale-mode fixed --target-ema-mode fixed --end-scales 9 --steps 2 --out no
ok 'nothing was made' missing no
}
finish
