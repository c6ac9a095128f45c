#!/bin/sh
# test_train_continuous.sh - runs in continuous time: continued they give the files of a run left
# alone, byte by byte; a consistency model comes out; what has no effect there is refused.
#
# usage: test_train_continuous.sh CM MAKE_DATA MAKE_WEIGHTS
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1

same()
{
    same_run 3 "$1" "$2"
}

differ()
{
    ! same "$1" "$2" >diff.log
}

# both NAME OPTION...: four steps, and two and two
both()
{
    folder=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    in_folder "$folder" run train $tiny_given --ema-rates 0.9 --dropout 0.1 --out run --steps 4 "$@"
    ok "$folder" succeeded
    # shellcheck disable=SC2086
    in_folder "$folder-halves" run train $tiny_given --ema-rates 0.9 --dropout 0.1 --out run \
        --steps 2 "$@"
    in_folder "$folder-halves" run train --resume --out run --steps 4
    ok "$folder, continued" succeeded
    ok "$folder, the same files" same "$folder" "$folder-halves"
}

# shellcheck disable=SC2086
in_folder teacher run train $tiny --method edm --steps 3 --out run
ok 'a teacher' succeeded
distil='--method cd-continuous --teacher ../teacher/run'
# shellcheck disable=SC2086
{
both through $distil
both stopped $distil --stop-gradient true
both l1 $distil --loss-norm l1
both small $distil --loss-norm l2-32
both alone --method ct-continuous --init ../teacher/run
ok 'stop-gradient is another gradient' differ through stopped
ok 'l1 is another loss' differ through l1
ok 'l2-32 too' differ through small
(cd "$root" && "$make_weights" vgg "$scratch/vgg.safetensors" &&
    "$make_weights" lpips-linear "$scratch/linear.safetensors") || exit 1
lpips="$distil --loss-norm lpips --loss-weights ../vgg.safetensors --loss-lpips-weights ../linear.safetensors"
in_folder seen run train $tiny_given --batch 1 --out run --steps 2 --stop-gradient true $lpips
ok 'through LPIPS' succeeded
in_folder seen-halves run train $tiny_given --batch 1 --out run --steps 1 --stop-gradient true $lpips
in_folder seen-halves run train --resume --out run --steps 2
ok 'through LPIPS, continued' succeeded
ok 'through LPIPS, the same files' same seen seen-halves
in_folder plain run train $tiny_given --batch 1 --out run --steps 2 --stop-gradient true $distil
ok 'is another loss than l2' differ seen plain
ok 'the default is without' grep -q '"stop-gradient": "false"' through/run/config.json
ok 'and of training alone with' grep -q '"stop-gradient": "true"' alone/run/config.json
in_folder random run train $tiny --method ct-continuous --steps 1 --ema-rates 0.9 --no-quiet --out run
ok 'without a teacher' succeeded
ok 'is warned' grep -q 'warning: ct-continuous is known to diverge from random weights' err

works 'its model' info through/run
ok 'is a consistency model' grep -q consistency out
ok 'of no grid' grep -qE '^ +levels +any$' out
works 'which draws in one step' sample --model through/run --out one.png
works 'in two' sample --model through/run --num 2 --steps 2 --out two.npz
works 'at 4 sigma-data' sample --model through/run --num 2 --sigmas 80,2 --out list.npz
ok 'the second' cmp two.npz list.npz
fails 2 'ts: expected sigmas, or steps, the number of levels of the grid that ts are of: this model has no grid' \
    sample --model through/run --num 2 --ts 0,9,17 --out no.npz
works 'points of a grid that is given' sample --model through/run --num 2 --ts 0,9,17 --steps 18 --out points.npz
LC_ALL=C sed 's/\\"scales\\":0/\\"scales\\":1/' through/run/model.safetensors >one.safetensors
fails 4 '"scales": expected 0 (no grid) or 2 to 1000001, found 1' info one.safetensors
works 'its step' explain --model through/run --method cd-continuous
ok 'differentiates the tangent' grep -q group_norm_jvp_grad out
works 'and of training alone' explain --model through/run --method ct-continuous
ok 'does not' test "$(grep -c 'group_norm_jvp_grad' out)" -eq 0

for option in '--start-scales 10' '--scale-mode fixed' '--target-ema-mode fixed' '--start-ema 0.9' \
    '--end-scales 99' '--solver euler' '--p-mean 0'; do
    fails 2 'has no effect here' train $tiny_given $distil --teacher teacher/run --out no --steps 1 \
        $option
done
fails 2 "'stop-gradient': has no effect here" train $tiny --method ct-continuous --out no --steps 1 \
    --stop-gradient false
fails 2 "'stop-gradient': has no effect here" train $tiny_given --method cd \
    --teacher teacher/run --out no --steps 1 --stop-gradient true
fails 2 "'stop-gradient': expected" train $tiny_given $distil --out no --steps 1 --stop-gradient yes
fails 2 'teacher: method cd-continuous distils one' train $tiny --method cd-continuous --out no \
    --steps 1
fails 2 '(--init starts from its weights)' train $tiny_given --method ct-continuous \
    --teacher teacher/run --out no --steps 1
ok 'no run was made' missing no
}
finish
