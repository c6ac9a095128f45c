#!/bin/sh
# test_loss.sh - losses that look through a network of --loss-weights: runs that are continued
# give the files of a run that was left alone, byte by byte; other weights are noticed; what
# does not fit is answered before any work; and the model needs none of it.
#
# usage: test_loss.sh CM MAKE_DATA MAKE_WEIGHTS
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1

same()
{
    same_run 4 "$1" "$2"
}

differ()
{
    ! same "$1" "$2" >diff.log
}

# shellcheck disable=SC2086 # lists of words
{
in_folder teacher run train $tiny --method edm --steps 3 --out run
ok 'a teacher' succeeded
in_folder judge run train --data "$scratch/tiny-images-idx3-ubyte" --method classifier --batch 4 \
    --channels 8 --channel-mult 1,2 --steps 3 --threads 1 --dtype f32 --out run
ok 'a classifier' succeeded

cd_by="train $tiny_given --method cd --teacher ../teacher/run --ema-rates 0.9 --log-every 1 --out run"
features="--loss-norm features --loss-weights ../judge/run"
in_folder plain run $cd_by --steps 4
ok 'without' succeeded
in_folder whole run $cd_by --steps 4 $features
ok 'with features' succeeded
ok 'the loss is another' differ plain whole
ok 'config.json keeps the norm' grep -q '"loss-norm": "features"' whole/run/config.json
ok 'and the weights' grep -q '"loss-weights": "../judge/run"' whole/run/config.json
in_folder halves run $cd_by --steps 2 $features
in_folder halves run train --resume --out run --steps 4
ok 'continued' succeeded
ok 'the files are the same' same whole halves
in_folder parts run $cd_by --steps 2 $features --accumulate 2 --recompute
ok 'in parts, with activations computed again' succeeded
cp -R judge moved
in_folder halves run train --resume --out run --steps 5 --loss-weights ../moved/run
ok 'the same classifier elsewhere' succeeded
in_folder other run train --data "$scratch/tiny-images-idx3-ubyte" --method classifier --batch 4 \
    --channels 8 --channel-mult 1,2 --steps 3 --threads 1 --dtype f32 --seed 2 --out run
in_folder halves run train --resume --out run --steps 6 --loss-weights ../other/run
ok 'another one is refused' one_error 4 '"loss_weights": the network that the loss looks through is not what this run began with'
in_folder by_other run $cd_by --steps 4 --loss-norm features --loss-weights ../other/run
ok 'which makes another student' differ whole by_other
in_folder whole run train --resume --out run --steps 5 --loss-norm l2
ok 'nor may the norm change' one_error 2 '"loss-norm": the run began with "features"'

# ---- what does not fit ---------------------------------------------------------

# refuses CODE TEXT OPTION...: one line, and no run is begun.
refuses()
{
    want=$1 text=$2
    shift 2
    in_folder refused run $cd_by --steps 4 "$@"
    ok "$(echo "$*" | cut -c 1-70): $want" one_error "$want" "$text"
    ok 'and no run is begun' missing refused/run
}

refuses 2 'loss-weights: expected a classifier (cm train --method classifier), found none' \
    --loss-norm features
refuses 1 'none.safetensors' --loss-norm features --loss-weights none.safetensors
refuses 2 '../teacher/run: expected a classifier (cm train --method classifier), found a diffusion teacher' \
    --loss-norm features --loss-weights ../teacher/run
refuses 2 'looks at images of 32 x 32 with 1 channel, ' \
    --loss-norm features --loss-weights "$root/models/fashion-mnist-classifier.safetensors"
refuses 2 'looks at images of 32 x 32 with 3 channels, ' \
    --loss-norm features --loss-weights "$root/models/emoji-classifier.safetensors"
refuses 2 "option 'loss-weights': has no effect here, it is for --loss-norm lpips and features" \
    --loss-weights ../judge/run
refuses 2 "option 'loss-weights': has no effect here" --loss-norm l2-32 --loss-weights ../judge/run
refuses 2 "option 'loss-lpips-weights': has no effect here, it is for --loss-norm lpips" \
    --loss-norm features --loss-weights ../judge/run --loss-lpips-weights x
refuses 1 'vgg16-397923af.pth: no such file' --loss-norm lpips
refuses 1 'vgg.pth: no such file' --loss-norm lpips
refuses 4 "../judge/run/model.safetensors: expected VGG16's weights, those of vgg16-397923af.pth; tensors: expected the 26" --loss-norm lpips --loss-weights ../judge/run/model.safetensors \
    --loss-lpips-weights ../judge/run/model.safetensors
in_folder refused run train $tiny --method edm --steps 1 --out run $features
ok 'a teacher has no such loss' one_error 2 "option 'loss-norm': has no effect here, it is for --method cd, ct, pd, cd-continuous and ct-continuous"

# ---- LPIPS, with weights by formula ------------------------------------------

(cd "$root" && "$make_weights" vgg "$scratch/vgg.safetensors" &&
    "$make_weights" lpips-linear "$scratch/linear.safetensors") || exit 1
lpips="--loss-norm lpips --loss-weights ../vgg.safetensors --loss-lpips-weights ../linear.safetensors --batch 1"
in_folder seen run $cd_by --steps 2 $lpips
ok 'with LPIPS' succeeded
in_folder small run $cd_by --steps 4 --loss-norm l2-32
ok 'with l2-32' succeeded
ok 'of 16 x 16 it is another loss' differ plain small
in_folder again run $cd_by --steps 1 $lpips
in_folder again run train --resume --out run --steps 2
ok 'continued' succeeded
ok 'the files are the same' same seen again
refuses 4 "../vgg.safetensors: expected LPIPS' own weights, those of vgg.pth; " --loss-norm lpips --loss-weights ../vgg.safetensors \
    --loss-lpips-weights ../vgg.safetensors
rm vgg.safetensors
in_folder again run train --resume --out run --steps 3
ok 'without its weights a run does not go on' one_error 1 '../vgg.safetensors: no such file'

# ---- the model needs none of it -------------------------------------------------

rm -r judge moved other linear.safetensors
for run in whole seen; do
    works "info $run" info $run/run
    works "sample $run" sample --model $run/run --num 2 --out $run.png
    works "edit $run" edit denoise --model $run/run/model.safetensors --image $run.png --sigma 0.3 --out $run-edited.png
    works "validate $run" validate $run/run
done
works 'explain' explain --model whole/run --method cd --batch 2
}

finish
