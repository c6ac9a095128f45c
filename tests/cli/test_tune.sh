#!/bin/sh
# test_tune.sh - cm tune with a model and a classifier trained here for two steps: its table, the
# file it writes, that cm edit takes what is in it, what is refused.
#
# usage: test_tune.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1
real='tiny-images-idx3-ubyte'

models_to_tune

tune() # tune MODEL OPTION...
{
    model=$1
    shift
    run tune --model "$model" --data $real --weights judge --threads 1 --quiet "$@"
}
# edits FILE TASK KEY: its value in the metadata, a text or a number
edits()
{
    n=$(od -An -v -tu8 -N 8 "$1" | tr -d ' ')
    tail -c +9 "$1" | head -c "$n" | tr -d '\134' | # the backslash
        sed -n 's/.*"'"$2"'":{\([^}]*\)}.*/\1/p' |
        sed -n 's/.*"'"$3"'":"*\([-A-Za-z0-9.,]*\).*/\1/p' | sed 's/,$//'
}
# data_of FILE: the bytes behind the header, whose length is the first 8 bytes
data_of()
{
    n=$(od -An -v -tu8 -N 8 "$1" | tr -d ' ')
    tail -c +$((n + 9)) "$1" | cksum
}
# levels_of TASK: those of the line that ends its table
levels_of()
{
    sed -n 's/^'"$1"': sigmas //p' out
}

# ---- a consistency model -------------------------------------------------------

tune m.safetensors --num 12 --most 3 --out tuned.safetensors
ok 'search' succeeded
cp out table
ok 'the distance has its own name' grep -qE '^task +evaluations +FD-bars +\+- +same class$' table
ok 'one level is judged' grep -qE '^inpaint +1 +[0-9.e-]+ +[0-9.e-]+ +[0-9.]+%  sigmas [0-9.]+$' table
ok 'and a ladder' grep -qE '^upscale +2 .* sigmas 80,0.0851$' table
ok 'of no more than was allowed' test -z "$(grep -E '^(inpaint|upscale) +(4|8|20) ' table)"
ok 'of both tasks' test "$(grep -cE '^(inpaint|upscale): sigmas ' table)" -eq 2
ok 'not colorize, of a gray model' test -z "$(grep colorize table)"
ok 'few pictures are told first' test "$(head -1 table)" = \
    "note: $real: 12 pictures, not more than the 64 features: their covariance lacks rank, and FD-bars is far too high"
ok 'and what was not allowed' test "$(grep -c '^note: .*: the 20 evaluations without a search are more than the 3 of most: not judged, and perhaps better$' table)" -eq 2
ok 'beside the untouched' grep -qE '^inpaint +- +0 +- +[0-9.]+%  untouched$' table
ok 'and two means' test "$(grep -cE '^inpaint +- +[0-9.e-]+ +- +[0-9.]+%  the mean ' table)" -eq 2
ok 'and patches' grep -qE '^upscale +- +[0-9.e-]+ +- +[0-9.]+%  patches of one value$' table
# is_best FILE TASK: of the rows of a table the list that is kept has the lowest score
is_best()
{
    # shellcheck disable=SC2016 # awk's
    awk -v task="$2" '$1 == task && $(NF - 1) == "sigmas" && $2 ~ /^[0-9]/ { score[$NF] = $3 + 0; n++ }
        $1 == task ":" && NF == 3 { kept = $3 }
        END { for (l in score) if (score[l] < score[kept]) exit 1
              exit !(n > 1 && kept in score) }' "$1"
}
ok 'the best is kept' is_best table inpaint
ok 'and of upscale' is_best table upscale
levels=$(levels_of inpaint)
ok 'the levels are in the file' test "$(edits tuned.safetensors inpaint sigmas)" = "$levels"
ok 'and of upscale' test "$(edits tuned.safetensors upscale sigmas)" = "$(levels_of upscale)"
ok 'with the score' test -n "$(edits tuned.safetensors inpaint score)"
ok 'by its name' test "$(edits tuned.safetensors inpaint score_name)" = FD-bars
ok 'and its number of pictures' test "$(edits tuned.safetensors inpaint num)" = 12
ok 'the weights are the same bytes' test "$(data_of tuned.safetensors)" = "$(data_of m.safetensors)"
works 'it is a model' validate tuned.safetensors

# What cannot be read of them matters to edits alone.
LC_ALL=C sed 's/"edits":"{/"edits":"[/' tuned.safetensors >broken.safetensors
ok 'levels that are no JSON' test "$(cmp -s tuned.safetensors broken.safetensors; echo $?)" -eq 1
works 'images of that model' sample --model broken.safetensors --num 1 --out plain.png
fails 4 'broken.safetensors: "edits"' edit inpaint --model broken.safetensors \
    --image "$root/docs/edit/boot.png" --box 1,1,2,2 --class 0 --out no.png
fails 4 'broken.safetensors: "edits"' validate broken.safetensors
tune broken.safetensors --num 12 --most 3
ok 'a search says the same' one_error 4 'broken.safetensors: "edits"'
rm broken.safetensors

# The best row of the table has the score that the file gives.
chosen=$(edits tuned.safetensors inpaint evaluations)
# shellcheck disable=SC2016 # awk's
ok 'the score is that of its row' awk -v n="$chosen" -v want="$(edits tuned.safetensors inpaint score)" \
    '$1 == "inpaint" && $2 == n && $3 + 0 == want + 0 { found = 1 } END { exit !found }' table

cp t.safetensors another.safetensors
tune m.safetensors --num 12 --most 3 --out another.safetensors
ok 'another model is not replaced' one_error 2 'another.safetensors: is there, and is not the model'
ok 'and is what it was' cmp -s t.safetensors another.safetensors
rm another.safetensors
tune m.safetensors --num 12 --most 3 --out again.safetensors --batch 5
ok 'again, other batches: the same bytes' cmp tuned.safetensors again.safetensors
tune tuned.safetensors --num 12 --most 3 --task upscale --out tuned.safetensors
ok 'one task of a tuned file, in its place' succeeded
ok 'changes nothing that was found' cmp tuned.safetensors again.safetensors
tune m.safetensors --num 12 --most 3 --task upscale --seed 5
ok 'without a file' succeeded
ok 'nothing is written' test "$(find . -maxdepth 1 -name '*.safetensors' | wc -l)" -eq 4

# ---- what cm edit makes of it -----------------------------------------------------

works 'a picture' sample --model m.safetensors --num 1 --out p.png --threads 1
same='--image p.png --box 4,4,8,8 --class 1 --threads 1'
# shellcheck disable=SC2086 # a list of words
{
works 'edit with the tuned model' edit inpaint --model tuned.safetensors $same --out a.npz
works 'with its levels given' edit inpaint --model m.safetensors $same --sigmas "$levels" --out b.npz
works 'with the others' edit inpaint --model m.safetensors $same --out c.npz
}
ok 'the levels are its own' cmp a.npz b.npz
ok 'which are not those of a model without' test "$(cksum <a.npz)" != "$(cksum <c.npz)"

# ---- classes of the data -----------------------------------------------------------
# The models that ship: told its class, a picture whose middle is gone is filled with more of it.

shipped()
{
    run tune --model "$root/models/fashion-mnist-cd.safetensors" --data fashion-mnist-test \
        --weights "$root/models/fashion-mnist-classifier.safetensors" --num 60 --most 1 \
        --task inpaint --threads 1 --quiet "$@"
}
share() # share WHAT FILE: of the rows that end so, the last one's
{
    sed -n 's/.* \([0-9.]*\)%  '"$1"'.*/\1/p' "$2" | tail -1
}
shipped --classes data
ok 'edited for the classes of the data' succeeded
cp out told
shipped
ok 'nine in ten are known untouched' test "$(share untouched out | cut -d. -f1)" -ge 90
ok 'which no edit changes' test "$(share untouched out)" = "$(share untouched told)"
# shellcheck disable=SC2016 # awk's
ok 'the class helps' awk -v told="$(share sigmas told)" -v found="$(share sigmas out)" \
    -v mean="$(share 'the mean of' told)" 'BEGIN { exit !(told > found + 5 && found > 0 && told > mean) }'
# Searched with other pictures, and of those that are better on these the levels stay.
again()
{
    run tune --data fashion-mnist-test --weights "$root/models/fashion-mnist-classifier.safetensors" \
        --most 2 --task inpaint --threads 1 --quiet "$@"
}
again --model "$root/models/fashion-mnist-cd.safetensors" --num 12 --out two.safetensors
ok 'levels of few pictures' succeeded
ok 'the twenty that it had are more than asked for' \
    grep -qE '^note: inpaint: sigmas 80,63[^ ]*, which the file has, is more than the 2 of most: not judged, and replaced$' out
again --model two.safetensors --num 24 --seed 5 --out two.safetensors
ok 'and of others' succeeded
had=$(sed -n 's/^inpaint: what the file has, sigmas \(.*\), on these pictures:$/\1/p' out)
ok 'what it had is judged too' grep -qE "^inpaint +2 .* sigmas $had\$" out
ok 'and the best is kept' is_best out inpaint
ok 'in the file' test "$(edits two.safetensors inpaint sigmas)" = "$(levels_of inpaint)"
rm two.safetensors
works 'pictures of no class' sample --model m.safetensors --num 4 --out loose --threads 1
run tune --model m.safetensors --data loose --weights judge --classes data --num 4
ok 'which a picture without has not' one_error 2 "of the model's"

# ---- a teacher -------------------------------------------------------------------

tune t.safetensors --num 6 --most 5 --task inpaint --out t.safetensors
ok 'a teacher' succeeded
ok 'may take fewer than without a search' grep -q '^note: inpaint: the 35 evaluations without' out
ok 'two steps and three' test "$(grep -cE '^inpaint +[35] .* steps [23]$' out)" -eq 2
steps=$(edits t.safetensors inpaint steps)
ok 'has steps' grep -qx "inpaint: steps $steps" out
# shellcheck disable=SC2086 # a list of words
{
works 'edit with it' edit inpaint --model t.safetensors $same --out a.npz
works 'by steps' edit inpaint --model t.safetensors $same --steps "$steps" --out b.npz
}
ok 'the same' cmp a.npz b.npz

# ---- a run --------------------------------------------------------------------------

tune run --num 12 --most 1 --task inpaint --out of-run.safetensors
ok 'a run folder is searched for' succeeded
works 'what is written is a model' validate of-run.safetensors
ok 'with the levels' test -n "$(edits of-run.safetensors inpaint sigmas)"
ok 'of the weights that the run has left' test "$(data_of of-run.safetensors)" = "$(data_of m.safetensors)"
fails 1 'empty' tune --model empty --data $real --weights judge --out no.safetensors
ok 'a run that is not there makes no file' missing no.safetensors

# ---- what is refused ----------------------------------------------------------------

fails 2 "option 'data'" tune --model m.safetensors --weights judge
fails 2 "option 'weights'" tune --model m.safetensors --data $real
refused() # refused CODE TEXT OPTION...
{
    want=$1
    words=$2
    shift 2
    tune m.safetensors "$@"
    ok "refused: $*" one_error "$want" "$words"
}
refused 2 "found 'vary'" --task inpaint,vary
refused 2 "found ''" --task ,
refused 2 'colorize needs a model of colour pictures, this one has 1 channel' --task colorize
refused 2 'to divide the 16 x 16 of the model, found 3' --task upscale --factor 3
ok 'before the table' test ! -s out
refused 2 "option 'factor': has no effect here" --task inpaint --factor 2
refused 2 "option 'factor': has no effect here" --task inpaint --factor 0
refused 2 'expected a classifier' --weights run
refused 1 'nowhere' --data nowhere
for task in inpaint sample; do # whatever the pictures are, they are brought to the model's size
    run tune --model "$root/models/emoji-cd.safetensors" --data $real --weights judge --task $task
    ok "a colour model, a gray classifier: $task" one_error 2 \
        'emoji-cd.safetensors: expected images of 16x16 with 1 channel, which the classifier judge'
done
refused 2 "found '1'" --num 1
refused 1 'missing/x.safetensors' --out missing/x.safetensors
refused 2 "out: expected a name that ends in .safetensors, found 'p.png'" --out p.png
cp p.png p.safetensors
refused 2 'is there already and is no model' --out p.safetensors
cp judge/model.safetensors own-judge.safetensors
run tune --model m.safetensors --data $real --weights own-judge.safetensors --out own-judge.safetensors
ok 'nor over the classifier' one_error 2 'is an input itself or among the inputs'
ok 'which is as it was' cmp judge/model.safetensors own-judge.safetensors
ok 'which is as it was' grep -q PNG p.safetensors
tune judge/model.safetensors --num 6
ok 'a classifier as the model' one_error 2 'found a classifier'
tune t.safetensors --num 6 --most 2
ok 'a teacher takes three' one_error 2 'most: expected at least 3 for a teacher, found 2'
ok 'which is told before the table' test ! -s out
mkdir photos
cp p.png photos/a.png
cp p.png photos/b.png
head -c 60 p.png >photos/c.png
run tune --model m.safetensors --data photos --weights judge --num 2 --most 1 --task upscale --quiet
ok 'a damaged picture is told' grep -q '^note: photos: 1 file left out, the first of them photos/c.png: ' out
tune m.safetensors --num 30 --most 1 --task upscale
ok 'more pictures than there are' succeeded
ok 'are told' grep -qx "note: $real: 24 pictures, fewer than the 30 of num: all are taken" out
ok 'nothing is left of them' missing x.safetensors

finish
