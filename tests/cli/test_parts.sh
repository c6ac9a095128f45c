#!/bin/sh
# test_parts.sh - a set of samples drawn in parts, as the jobs of an array do, and joined: the bytes of
# the set drawn at once; what is no part, a part of another set, one too many or too few is refused.
#
# usage: test_parts.sh CM MAKE_DATA MAKE_WEIGHTS
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
shipped=$root/models/fashion-mnist-cd.safetensors
teacher=$root/models/fashion-mnist-edm.safetensors
golden_weights adm_imagenet64_like
classes=adm_imagenet64_like.safetensors # which knows classes

# shellcheck disable=SC2012 # names of our own
# array NAME SET PARTS OPTION...: the set at once, in parts of other sizes, and joined
array()
{
    name=$1 set=$2 parts=$3
    shift 3
    rm -rf array
    mkdir array
    works "$name: at once" sample --num "$set" --threads 1 --out array/once.npz "$@"
    first=0
    for num in $parts; do
        run sample --first "$first" --num "$num" --of "$set" --batch 2 --threads 1 \
            --out "array/part-$first.npz" "$@"
        [ "$code" = 0 ] || break
        first=$((first + num))
    done
    ok 'in parts' succeeded
    works 'joined' sample --merge --out array/all.npz array/part-*.npz
    ok 'the same bytes' cmp array/once.npz array/all.npz
}

array 'a set in three parts' 9 '4 1 4' --model "$shipped"
cp -r array plain
array 'equal shares of all classes' 10 '3 3 4' --model $classes --class all
array 'some classes' 7 '2 5' --model $classes --class 3,0,1
array 'random classes' 8 '5 3' --model $classes --class random --seed 11
array 'noise on the way' 6 '1 2 3' --model "$shipped" --sampler multistep --sigmas 80,3,0.5 --seed 4
array 'a sampler that churns' 4 '3 1' --model "$teacher" --steps 3 --s-churn 5 --s-noise 1.003
array 'a set of one part' 3 3 --model "$shipped"

# ---- what is written says what it is -------------------------------------------------

origin() # as it stands in the file
{
    grep -aoE '\{"(churn|classes)":[^}]*\}' "$1"
}
ok 'which images of which set' test "$(origin plain/part-4.npz | tr ',{}' '\n' |
    grep -E '"(first|num|of|seed|sampler|classes|dtype)"' | tr '\n' ' ')" = \
    '"classes":"all" "dtype":"f32" "first":4 "num":1 "of":9 "sampler":"onestep" "seed":0 '
ok 'of which model' test "$(origin plain/part-4.npz | sed 's/.*"model":"\([0-9a-f]*\)".*/\1/' |
    tr -d '\n' | wc -c)" = 16
works 'images of their own' sample --model "$shipped" --first 3 --num 2 --out own.npz
ok 'are of no set' test "$(origin own.npz | grep -c '"of"')" = 0
works 'noise of a file' sample --model "$shipped" --num 2 --save-noise n.safetensors --out own2.npz
works 'is not told by a seed' sample --model "$shipped" --noise n.safetensors --out given.npz
ok 'so these say nothing' test "$(grep -ac origin.npy given.npz)" = 0
ok 'where the others do' grep -aq origin.npy own2.npz

# ---- what is refused ------------------------------------------------------------------

part()
{
    run sample --model "$shipped" --threads 1 "$@"
    [ "$code" = 0 ] || ok "$*" false
}
all='plain/part-0.npz plain/part-4.npz plain/part-5.npz'
# shellcheck disable=SC2086 # lists of words
{
fails 4 'images 4 to 4 of the set of 9: expected in a part' sample --merge --out x.npz \
    plain/part-0.npz plain/part-5.npz
fails 4 'images 0 to 3 of' sample --merge --out x.npz plain/part-4.npz plain/part-5.npz
fails 4 'images 5 to 8 of' sample --merge --out x.npz plain/part-4.npz plain/part-0.npz
fails 4 'part-4.npz: images 4 to 4: expected in one part, found in plain/part-4.npz too' \
    sample --merge --out x.npz $all plain/part-4.npz
part --first 3 --num 2 --of 9 --out over.npz
fails 4 'over.npz: images 3 to 3: expected in one part, found in plain/part-0.npz too' \
    sample --merge --out x.npz plain/part-0.npz over.npz plain/part-5.npz
fails 4 'plain/once.npz: images 0 to 3: expected in one part' sample --merge --out x.npz $all plain/once.npz
part --first 4 --num 1 --of 9 --seed 1 --out other.npz
fails 4 'other.npz: seed: expected 0, as plain/part-0.npz has, found 1' \
    sample --merge --out x.npz plain/part-0.npz other.npz plain/part-5.npz
part --first 4 --num 1 --of 9 --steps 2 --out other.npz
fails 4 'other.npz: levels: expected' sample --merge --out x.npz plain/part-0.npz other.npz
part --first 4 --num 1 --of 10 --out other.npz
fails 4 'other.npz: of: expected 9' sample --merge --out x.npz plain/part-0.npz other.npz
cp "$shipped" changed.safetensors
printf '\1' | dd of=changed.safetensors bs=1 seek=2000000 conv=notrunc 2>dd.err
run sample --model changed.safetensors --first 4 --num 1 --of 9 --out other.npz
fails 4 'other.npz: model: expected "' sample --merge --out x.npz plain/part-0.npz other.npz
run sample --model "$teacher" --first 3 --num 1 --of 4 --steps 3 --out other.npz
run sample --model "$teacher" --first 0 --num 3 --of 4 --steps 3 --s-churn 5 --out churned.npz
fails 4 'other.npz: churn: expected [5' sample --merge --out x.npz churned.npz other.npz
fails 4 'churned.npz: churn: expected none, as other.npz has, found [5' sample --merge --out x.npz \
    other.npz churned.npz
fails 4 'own.npz: expected a part of a set (--of), found images 3 to 4 of none' \
    sample --merge --out x.npz own.npz
fails 4 'given.npz: expected a part of a set' sample --merge --out x.npz given.npz
fails 4 "$shipped" sample --merge --out x.npz "$shipped"
fails 1 'nowhere.npz' sample --merge --out x.npz nowhere.npz
head -c 3000 plain/part-0.npz >short.npz
fails 4 'short.npz' sample --merge --out x.npz short.npz
fails 2 'as the parts are' sample --merge --out x.png $all
fails 2 'as the parts are' sample --merge --out folder $all
fails 2 'is a part itself' sample --merge --out plain/part-0.npz $all
ok 'which is left as it was' test "$(origin plain/part-0.npz | grep -c '"first":0')" = 1
fails 2 "option 'merge': expected the .npz files" sample --merge --out x.npz
fails 2 "option 'seed': has no effect here, --merge draws nothing" sample --merge --seed 1 \
    --out x.npz $all
fails 2 "option 'model': has no effect" sample --merge --model "$shipped" --out x.npz $all
fails 2 "option 'out'" sample --merge $all
fails 2 "argument 'plain/part-0.npz': expected an option" sample --model "$shipped" --out x.npz $all
fails 2 'of: expected at least 6' sample --model "$shipped" --first 4 --num 2 --of 5 --out x.npz
ok 'nothing was written' missing x.npz

# Damaged anywhere: an error that names the file, or a field of the archive that nobody reads.
refused=0
for at in $(seq 30 61 5000); do
    cp plain/part-0.npz damaged.npz
    printf '\377' | dd of=damaged.npz bs=1 seek="$at" conv=notrunc 2>dd.err
    run sample --merge --out damaged-set.npz damaged.npz plain/part-4.npz plain/part-5.npz
    if [ "$code" = 4 ] && grep -q 'damaged.npz' err; then
        refused=$((refused + 1))
    elif [ "$code" != 0 ] || ! cmp damaged-set.npz plain/once.npz; then
        ok "damaged at $at" false
    fi
    rm -f damaged-set.npz
done
ok 'damaged parts are refused' test "$refused" -ge 60
}

# A disk without room for it: nothing is left.
code=0
(ulimit -f 8 && "$cm" sample --merge --out x.npz plain/part-*.npz) >out 2>err || code=$?
ok 'no room' one_error 1 'x.npz'
rm -f x.npz
(ulimit -f 4 && "$cm" sample --merge --out x.npz plain/part-*.npz) >out 2>err
ok 'and nothing is left' missing x.npz

# ---- classes of a part -------------------------------------------------------------------

works 'a part, as pictures' sample --model $classes --first 4 --num 4 --of 12 --class all --out middle
works 'the set' sample --model $classes --num 12 --class all --out whole
ok 'a part has the classes that its images have in the set' test "$(ls middle)" = \
    "$(cd whole && ls 000004* 000005* 000006* 000007*)"
ok 'and the same pictures' cmp middle/000006_class*.png whole/000006_class*.png
works 'alone' sample --model $classes --first 4 --num 4 --class all --out alone
ok 'it would have others' test "$(ls middle)" != "$(ls alone)"
finish
