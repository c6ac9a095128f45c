#!/bin/sh
# test_noise.sh - cm sample --save-noise and --noise: the same images again for every sampler,
# whatever the batch and wherever a run begins; and files that do not fit.
#
# usage: test_noise.sh CM
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
student=$root/models/fashion-mnist-cd.safetensors
teacher=$root/models/fashion-mnist-edm.safetensors

# again NAME MODEL OPTION...: drawn with a seed and classes at random, and from the file in another
# batch without either
again()
{
    name=$1
    shift
    works "$name" sample --model "$@" --num 3 --seed 9 --class random --save-noise n.safetensors \
        --out a.safetensors
    works "$name from its file" sample --model "$@" --batch 2 --noise n.safetensors --out b.safetensors
    ok "$name: the same bytes" cmp a.safetensors b.safetensors
}
again onestep "$student"
again multistep "$student" --sigmas 80,5,0.5
again 'multistep of time points' "$student" --ts 0,8,17
again heun "$teacher" --steps 3
again 'heun with churn' "$teacher" --steps 3 --s-churn 1
again euler "$teacher" --sampler euler --steps 3
again dpm2 "$teacher" --sampler dpm2 --steps 3 --s-churn 1
again ancestral "$teacher" --sampler ancestral --steps 4
again 2M "$teacher" --sampler dpm-solver++2m --steps 4
again 3M "$teacher" --sampler dpm-solver++3m --steps 4
again progdist "$teacher" --sampler progdist --steps 4

# ---- what is in it -------------------------------------------------------------------------

fewer='--sampler ancestral --steps 3'
# shellcheck disable=SC2086 # $fewer is a list of words
works 'three draws' sample --model "$teacher" $fewer --num 4 --class 3 --save-noise n.safetensors --out whole
run info n.safetensors
ok 'x_T' grep -qE 'F32 +\[4, 32, 32, 1\] noise' out
ok 'the draws after it, but none of weight 0' test "$(grep -cE 'F32 +\[4, 32, 32, 1\] draw\.[12]' out)" -eq 2
ok 'the sampler and its levels' grep -aqE '"sampler":"ancestral","sigmas":"8e\+01,[0-9.]+,0.002,0"' n.safetensors
cp n.safetensors three.safetensors
# shellcheck disable=SC2086
works 'of images in the middle' sample --model "$teacher" $fewer --num 2 --first 1 --class 3 --save-noise part.safetensors --out part
# shellcheck disable=SC2086
works 'are at their place' sample --model "$teacher" $fewer --noise part.safetensors --out again
for i in 1 2; do
    ok "image $i is that of the whole" cmp "whole/00000${i}_class3.png" "again/00000${i}_class3.png"
    ok "image $i is" cmp "part/00000${i}_class3.png" "again/00000${i}_class3.png"
done
ok 'there are two' test "$(find again -name '*.png' | wc -l)" -eq 2
# shellcheck disable=SC2086
works 'the last of them' sample --model "$teacher" $fewer --noise part.safetensors --first 2 --out last.npz
# shellcheck disable=SC2086
works 'is the third' sample --model "$teacher" $fewer --noise three.safetensors --first 2 --num 1 --out third.npz
ok 'in both files' cmp last.npz third.npz
# shellcheck disable=SC2086
works 'one' sample --model "$teacher" $fewer --noise three.safetensors --num 1 --out parts
# shellcheck disable=SC2086
works 'and the rest' sample --model "$teacher" $fewer --noise three.safetensors --continue --out parts
ok 'are the whole' diff -r whole parts
# shellcheck disable=SC2086
works 'a file again of what was read' sample --model "$teacher" $fewer --noise three.safetensors --seed 0 \
    --class 3 --save-noise again.safetensors --out x.npz
ok 'is the same' cmp three.safetensors again.safetensors
works 'fewer draws than there are' sample --model "$teacher" --sampler euler --steps 2 --noise three.safetensors --out x.png
works 'x_T alone' sample --model "$student" --num 2 --save-noise one.safetensors --out x.png
for seed in 3 4; do
    works "leaves the rest to seed $seed" sample --model "$student" --sampler multistep --seed $seed \
        --noise one.safetensors --out $seed.npz
done
ok 'which matters' test "$(cmp -s 3.npz 4.npz || echo other)"

# ---- what is said, and going on ---------------------------------------------------------------

works 'a seed' sample --model "$student" --num 1 --seed 5 --out x.png
ok 'is named' grep -qE 'images/s\), seed 5$' out
works 'all noise of a file' sample --model "$student" --noise one.safetensors --out x.png
ok 'has none' grep -qE 'images/s\), noise of one.safetensors$' out
works 'x_T of a file' sample --model "$student" --steps 2 --noise one.safetensors --out x.png
ok 'has one for the rest' grep -qE 'images/s\), noise of one.safetensors, seed [0-9]+$' out
works 'two images' sample --model "$student" --num 2 --save-noise n.safetensors --out on
cp n.safetensors kept.safetensors
fails 2 "'save-noise': with --continue expected a new name, found 'n.safetensors', which may hold" \
    sample --model "$student" --num 1 --continue --save-noise n.safetensors --out on
ok 'the noise of the first is kept' cmp n.safetensors kept.safetensors
works 'two more, their noise apart' sample --model "$student" --num 2 --continue --save-noise m.safetensors --out on
works 'which says where it begins' sample --model "$student" --noise m.safetensors --out apart
ok 'images 2' cmp on/000002*.png apart/000002*.png
ok 'and 3' cmp on/000003*.png apart/000003*.png

# ---- what does not fit ----------------------------------------------------------------------

# refused CODE TEXT FILE OPTION...: in one line, before anything is written
refused()
{
    want=$1 said=$2 file=$3
    shift 3
    rm -f x.png
    run sample --noise "$file" --out x.png "$@"
    ok "refused: $said" one_error "$want" "$said"
    ok 'and nothing is written' test ! -e x.png
}
refused 2 'three.safetensors: expected the 5 draws that this sampler takes, noise and draw.1 to draw.4, found 3' \
    three.safetensors --model "$teacher" --sampler ancestral --steps 5
refused 2 "has no effect here, all noise of this sampler is in --noise" three.safetensors --model "$teacher" \
    --sampler ancestral --steps 3 --seed 4
refused 2 'expected noise for image 0, the first to draw, found 2 noises from image 1 on' part.safetensors \
    --model "$teacher" --first 0
refused 2 'expected noise for image 3, the first to draw, found 2 noises from image 1 on' part.safetensors \
    --model "$teacher" --first 3
refused 2 "'num': expected at most 2" part.safetensors --model "$teacher" --num 3
refused 4 'expected F32 [N,32,32,3] of this model' three.safetensors --model "$root/models/emoji-edm.safetensors"
# edited EDIT: bad.safetensors is three.safetensors with the header edited, its length kept
edited()
{
    LC_ALL=C sed "$1" three.safetensors >bad.safetensors
}
edited 's/"draw.1"/"draw.3"/'
refused 4 'expected later draws to be "draw.1", "draw.2", ... without a gap, found "draw.2" but no "draw.1"' bad.safetensors \
    --model "$teacher"
edited 's/"draw.2":{"dtype":"F32","shape":\[4,/"draw.2":{"dtype":"F32","shape":[2,/;s/"draw.2":{"dtype":"F32","shape":\[2,32,32,1\]/"draw.2":{"dtype":"F32","shape":[2,64,32,1]/'
refused 4 'tensor "draw.2": expected F32 [4,32,32,1] as of "noise", found F32 [2,64,32,1]' bad.safetensors \
    --model "$teacher"
edited 's/"first":"0"/"first":"x"/'
refused 4 '"first": expected the index of an image, 0 to 4000000000, found' bad.safetensors --model "$teacher"
edited 's/"first":"0"/"first":"-"/'
refused 4 '"first"' bad.safetensors --model "$teacher"
head -c 40000 three.safetensors >bad.safetensors
refused 4 'bad.safetensors' bad.safetensors --model "$teacher"
# A NaN in the last draw: the tensors end with draw.1, draw.2, noise.
cp three.safetensors bad.safetensors
size=$(wc -c <bad.safetensors)
printf '\000\000\300\177' | dd of=bad.safetensors bs=1 conv=notrunc seek=$((size - 4 * 4096 - 4)) 2>/dev/null
refused 4 'tensor "draw.2": element 4095: expected a finite number of at most 1e6, found' bad.safetensors --model "$teacher"
# The tensors begin with the classes, behind the header, whose length is the first 8 bytes.
cp three.safetensors classes.safetensors
printf '\143' | dd of=classes.safetensors bs=1 conv=notrunc \
    seek=$((8 + $(od -An -tu8 -N8 three.safetensors))) 2>/dev/null
refused 4 'tensor "labels": element 0: expected a class of this model, 0 to 9 (-1: none), found 99' \
    classes.safetensors --model "$teacher"
# 3e38 is a number, but no network makes one of it.
printf '\231\166\141\177' | dd of=bad.safetensors bs=1 conv=notrunc seek=$((size - 4 * 4096 - 4)) 2>/dev/null
refused 4 'tensor "draw.2": element 4095: expected a finite number of at most 1e6, found 2.9' bad.safetensors --model "$teacher"
fails 2 "'save-noise': expected another file" sample --model "$student" --num 1 --noise one.safetensors \
    --save-noise one.safetensors --out x.png
fails 2 "'save-noise': expected another file" sample --model "$student" --num 1 --save-noise x.safetensors \
    --out x.safetensors
fails 2 'save-noise: expected a name that ends in .safetensors' sample --model "$student" --num 1 \
    --save-noise n.npz --out y.png
cp "$student" model.safetensors
fails 2 'which would be replaced' sample --model "$student" --num 1 --save-noise model.safetensors --out y.png
ok 'the model is as it was' cmp "$student" model.safetensors
fails 1 'no/n.safetensors' sample --model "$student" --num 1 --save-noise no/n.safetensors --out y.png
ok 'and no picture was drawn' test ! -e y.png

finish
