#!/bin/sh
# test_eval.sh - cm eval with a classifier trained here for two steps: the scores of a set
# beside itself, of a folder, an archive and a model, saved statistics, what is refused.
#
# usage: test_eval.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1
real='tiny-images-idx3-ubyte'

# shellcheck disable=SC2086 # a list of words
works 'train a tiny model' train $tiny --method ct --steps 2 --out run
works 'train a classifier' train --method classifier --data $real --steps 2 --batch 4 \
    --threads 1 --score FD-bars --out judge
works 'and another' train --method classifier --data $real --steps 3 --batch 4 --threads 1 \
    --score FD-bars --out other
[ "$code" -eq 0 ] || finish || exit 1
small='--features small --weights judge --threads 1'

# score NAME: its number in the last run's JSON
score()
{
    sed -n 's/^ *"'"$1"'": \([-0-9.e]*\),*$/\1/p' out
}
near() # near A B [TOLERANCE]
{
    awk -v a="$1" -v b="$2" -v t="${3:-1e-9}" 'BEGIN {
        d = a - b
        exit !(a != "" && b != "" && (d < 0 ? -d : d) <= t) }'
}

# ---- a set beside itself -----------------------------------------------------

# shellcheck disable=SC2086
{
works 'a set beside itself' eval --ref $real --samples $real $small --json
ok 'its distance is 0' near "$(score frechet)" 0 1e-9
ok 'precision is 1' near "$(score precision)" 1
ok 'recall is 1' near "$(score recall)" 1
ok 'coverage is 1' near "$(score coverage)" 1
ok 'the network is named, and which weights' grep -qE '"features": "FD-bars [0-9a-f]{16}"' out
ok 'once' test "$(grep -c 'lacks rank' out)" -eq 1
ok 'few images are said' grep -q 'their covariance lacks rank, and FD-bars is far too high' out
ok 'no FID, no Inception score' test -z "$(grep -E 'FID|Inception|inception_score' out)"
ok 'agreement of both' near "$(score agreement)" "$(score agreement_ref)"

works 'as lines' eval --ref $real --samples $real $small
ok 'with the name of the distance' grep -qE '^FD-bars +[0-9.e-]+ ' out
ok 'and of the kernel distance' grep -qE '^KD-bars ' out
works 'without pairs' eval --ref $real --samples $real $small --kept 0 --json
ok 'no precision' test -z "$(score precision)"

# ---- the same samples, from everywhere ----------------------------------------

works 'an archive' sample --model run --num 30 --out s.npz --dtype f32 --threads 1
works 'a folder' sample --model run --num 30 --out s --dtype f32 --threads 1
works 'score the model' eval --ref $real --model run --num 30 --dtype f32 --batch 7 $small --json
model=$(score frechet) kernel=$(score kid) agreement=$(score agreement)
works 'score the archive' eval --ref $real --samples s.npz $small --json
ok 'the same distance' near "$(score frechet)" "$model"
ok 'the same kernel distance' near "$(score kid)" "$kernel"
ok 'the same agreement' near "$(score agreement)" "$agreement"
works 'score the folder' eval --ref $real --samples s $small --json --kept 0
ok 'the same distance' near "$(score frechet)" "$model"
ok 'the same agreement, by the names of the files' near "$(score agreement)" "$agreement"
works 'with three threads' eval --ref $real --samples s.npz --features small --weights judge \
    --threads 3 --json
ok 'the same, to the last digit' test "$(score frechet) $(score kid)" = "$model $kernel"

# ---- classes by their names ------------------------------------------------------
# Two of three classes, whose numbers in a folder are others than the network's.

for class in '0 an ape' '1 bee' '2 cat'; do
    works "pictures of class $class" sample --model run --num 12 --class "${class%% *}" --threads 1 \
        --out "words/${class#* }"
done
mkdir few
cp -r words/bee words/cat few
by_words=$(echo "$tiny" | sed "s|--data [^ ]*|--data words|")
works 'a model with words' train $by_words --method ct --steps 1 --out worded
for set in words few; do
    works "a classifier of $set" train --method classifier --data $set --steps 30 --batch 8 \
        --threads 1 --score FD-$set --out judge-$set
done
works 'two classes in a folder' sample --model worded --num 20 --class bee,cat --out two --threads 1
works 'and in an archive' sample --model worded --num 20 --class bee,cat --out two.npz --threads 1
ok 'with words in the names' test -e two/000010_cat.png
LC_ALL=C sed 's/\\"cat\\"]/   null]/' worded/model.safetensors >nameless.safetensors
ok 'a model, one of whose classes has no name' test "$(cmp -s nameless.safetensors worded/model.safetensors; echo $?)" -eq 1
words='--ref words --features small --weights judge-words --threads 1 --kept 0 --json'
works 'the archive, by numbers' eval $words --samples two.npz
agreement=$(score agreement)
works 'that model' eval $words --model nameless.safetensors --num 20 --class :1,:2
ok 'its class goes by its number' near "$(score agreement)" "$agreement"
ok 'which has an agreement' test -n "$agreement"
works 'the folder, by words' eval $words --samples two
ok 'has the same' near "$(score agreement)" "$agreement"
mkdir sorted
cp -r two sorted/cat
works 'a subfolder says more than names' eval $words --samples sorted
ok 'of which one class alone is known' test "$(score agreement)" != "$agreement"
mv two/000013_cat.png two/000013.png
works 'one without a class' eval $words --samples two
ok 'is told' grep -q 'two: 1 of 20 images have no class: agreement is of the others' out
mv two/000013.png two/000013_wasp.png
head -c 60 two/000000_bee.png >two/000020_bee.png
works 'a damaged one' eval $words --samples two
ok 'is told, once' test "$(grep -c 'two: 1 file left out, the first of them two/000020_bee.png: ' out)" -eq 1
rm two/000020_bee.png
works 'one of another class' eval $words --samples two
ok 'leaves no agreement' test -z "$(score agreement)"
ok 'which is told' grep -q 'two: expected classes of the classifier, 0 to 2, an ape, bee, cat, found wasp: no class agreement' out
# shellcheck disable=SC2046 # a list of words
works 'and as text' eval $(echo "$words" | sed 's/--json//') --samples two
ok 'the reference alone has one' grep -qE '^reference agreement .*; of the samples none is known$' out
# Folders called by numbers, not all of the classes, for a classifier without names.
mkdir -p numbers/8 numbers/9
cp "$root/docs/edit/boot.png" numbers/9/a.png
cp "$root/docs/edit/sneaker.png" numbers/9/b.png
cp "$root/docs/edit/coat.png" numbers/8/c.png
fashion="--features small --weights $root/models/fashion-mnist-classifier.safetensors --threads 1"
# shellcheck disable=SC2086 # a list of words
works 'folders called by numbers' eval --ref numbers --samples numbers $fashion --json
ok 'have an agreement' test -n "$(score agreement)"
for input in --ref --samples --train; do
    ref=$root/docs/edit samples=$root/docs/edit train=$root/docs/edit
    case $input in
        --ref) ref=numbers ;;
        --samples) samples=numbers ;;
        --train) train=numbers ;;
    esac
    for out in numbers/9/a.png numbers/8/new.png; do
        # shellcheck disable=SC2086 # a list of words
        fails 2 "$out: is an input itself or among the inputs" eval --ref "$ref" --samples "$samples" \
            --train "$train" $fashion --nearest $out
    done
done
ok 'all are as they were' cmp numbers/9/a.png "$root/docs/edit/boot.png"
works 'a label beyond the classifier' eval --ref words --samples two.npz --features small \
    --weights judge-few --threads 1 --kept 0 --json
ok 'is told' grep -q 'two.npz: expected classes of the classifier, 0 to 1, bee, cat, found 2 at image 10:' out
ok 'and of the reference' grep -q 'words: expected classes of the classifier, .* found an ape' out

# ---- statistics -----------------------------------------------------------------

works 'save statistics' eval --ref $real $small --save-stats stats.npz
works 'score with them' eval --ref stats.npz --samples s.npz $small --json
ok 'the same distance' near "$(score frechet)" "$model"
ok 'what needs images is said' grep -q 'statistics without images: precision' out
fails 4 'expected statistics of the network FD-bars' eval --ref stats.npz --samples s.npz \
    --features small --weights other
head -c 3000 stats.npz >cut.npz
fails 4 'cut.npz: ' eval --ref cut.npz --samples s.npz $small
fails 4 'stats.npz: expected the images as arr_0' eval --ref $real --samples stats.npz $small

# ---- memorising ------------------------------------------------------------------

works 'nearest training images' eval --ref $real --samples $real $small --train $real \
    --test s.npz --nearest near.png --json
ok 'copies are at distance 0' near "$(score nearest)" 0
ok 'all are nearer than the test set' near "$(score nearer)" 1
ok 'a picture' test -s near.png

# ---- what is refused ----------------------------------------------------------------

fails 2 'ref' eval --samples $real
fails 2 'samples' eval --ref $real
fails 2 "option 'sampler': has no effect here" eval --ref $real --samples $real --sampler heun
fails 2 'expected one of them, found both' eval --ref $real --samples $real --model run $small
fails 2 "option 's-noise': has no effect here" eval --ref $real --model "$root/models/fashion-mnist-cd.safetensors" --s-noise 1 $small
fails 2 "option 'seed': has no effect here" eval --ref $real --samples $real --seed 1 $small
fails 2 'test: has no effect without train' eval --ref $real --samples $real --test s $small
fails 1 'nowhere' eval --ref nowhere --samples $real $small
fails 2 'found a classifier' eval --ref $real --model judge $small
(
    # shellcheck disable=SC3045 # dash, bash and busybox have it
    ulimit -v 200000 # KiB: OpenBLAS would ask for its buffers for ever
    timeout -k 1 60 "$cm" eval --ref $real --samples s.npz $small >out 2>err
)
code=$?
ok 'little memory: an end' test "$code" -eq 1
ok 'that says why' grep -qE 'memory|start' err
cp s.npz own.npz
fails 2 'is an input itself or among the inputs' eval --ref $real --samples own.npz --save-stats own.npz $small
fails 2 'is an input itself or among the inputs' eval --ref own.npz --save-stats own.npz $small
ok 'which is as it was' cmp s.npz own.npz
echo text | tee text >text.npz
fails 4 'text.npz: expected a zip archive' eval --ref $real --samples text.npz $small
fails 4 'of images, found: text' eval --ref $real --samples text $small
head -c 2000 s.npz >short.npz
fails 4 'short.npz: ' eval --ref $real --samples short.npz $small
fails 1 'pt_inception-2015-12-05-6726825d.pth: no such file' eval --ref $real --samples $real
fails 2 'weights: expected a classifier' eval --ref $real --samples $real --features small
fails 1 'vgg16-397923af.pth: no such file' eval --ref $real --samples $real --lpips
fails 1 'vgg.pth: no such file' eval --ref $real --samples $real --lpips
fails 2 "save-stats: expected a name that ends in .npz, found 's.txt'" eval --ref $real $small --save-stats s.txt
fails 2 "nearest: expected a name that ends in .png, found 'n.jpg'" eval --ref $real --samples $real $small --train $real --nearest n.jpg
ok 'nothing is left of them' test ! -e s.txt -a ! -e n.jpg
fails 2 "option 'kept': has no effect here, with lpips" eval --ref $real --samples $real --lpips \
    --kept 5
fails 2 "option 'features': has no effect here, with lpips" eval --ref $real --samples $real \
    --lpips $small
fails 2 "option 'model': has no effect here, with lpips" eval --ref $real --model run --lpips
fails 2 'lpips-weights: has no effect without lpips' eval --ref $real --samples $real \
    --lpips-weights x $small
cp own.npz kept.npz
fails 2 'kept.npz: holds a ZIP archive, which would be replaced; expected a new name, or that of an .npz of statistics' \
    eval --ref $real --save-stats kept.npz $small
fails 2 'that of an .npz of images' sample --model run --num 1 --out stats.npz
fails 1 'missing/stats.npz' eval --ref $real --save-stats missing/stats.npz $small
ok 'nothing is left of it' missing missing
}

finish
