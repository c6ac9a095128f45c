#!/bin/sh
# test_tune_samples.sh - cm tune --task sample with a model and a classifier trained here for two
# steps: its table, that a search that was stopped goes on, the levels that cm sample takes, what is
# refused.
#
# usage: test_tune_samples.sh CM MAKE_DATA
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
    run tune --model "$model" --data $real --weights judge --task sample --threads 1 --quiet "$@"
}

# ---- the search ---------------------------------------------------------------------

tune m.safetensors --num 70 --evaluations 3 --out tuned.safetensors --plot found.png
ok 'search' succeeded
cp out table
ok 'the distance has its own name' grep -qE '^evaluations +FD-bars +\+- +own class$' table
ok 'one evaluation is judged' grep -qE '^ +1 +[0-9.e-]+ +[0-9.e-]+ +[0-9.]+%  sigmas 80$' table
ok 'two' test "$(grep -cE '^ +2 .* sigmas 80,[0-9.e-]+( |$)' table)" -eq 2
ok 'also as they are without a search' grep -qE '^ +2 .* sigmas 80,1.97[0-9]*  \(without a search\)$' table
ok 'three' grep -qE '^ +3 .* sigmas 80,[0-9.e-]+,[0-9.e-]+$' table
ok 'a picture' grep -aq PNG found.png
ok 'the log has a line a score' grep -qE '^\{"search":"[0-9a-f]{16}","sigmas":"80","seed":1,"score":[0-9.e-]+,"agreement":[0-9.e-]+\}$' \
    tuned.safetensors.search.jsonl
works 'it is a model' validate tuned.safetensors
# Of two the better is kept.
best=$(awk '$1 == 2 { if (!n++ || $2 + 0 < score) { score = $2 + 0; kept = $6 } } END { print kept }' table)
works 'cm info shows' info tuned.safetensors
ok 'the better of two' grep -qE "^ +sigmas +$best\$" out
scores=$(wc -l <tuned.safetensors.search.jsonl)
ok 'no score is asked for twice' test "$(sed 's/"score.*//' tuned.safetensors.search.jsonl | sort -u | wc -l)" -eq "$scores"
ok 'fewer than the points of the grid' test "$scores" -lt 40

# ---- stopped, and on ----------------------------------------------------------------

for lines in 0 1 5 12; do
    head -n $lines tuned.safetensors.search.jsonl >on.safetensors.search.jsonl
    printf '{"search":"half a line' >>on.safetensors.search.jsonl
    rm -f on.safetensors
    tune m.safetensors --num 70 --evaluations 3 --out on.safetensors --plot on.png
    ok "$lines scores: the search goes on" succeeded
    ok 'to the same model' cmp tuned.safetensors on.safetensors
    ok 'the same log' cmp tuned.safetensors.search.jsonl on.safetensors.search.jsonl
    ok 'and the same picture' cmp found.png on.png
    ok 'and says so' test "$(grep -c "^note: $lines score.* of before" out)" -eq "$((lines > 0))"
    grep -vE "^note|^wrote" out >rows
    grep -v ^wrote table | cmp -s - rows
    ok 'by the same table' test $? -eq 0
done
tune m.safetensors --num 70 --evaluations 2 --log tuned.safetensors.search.jsonl
ok 'fewer evaluations of the same log' succeeded
ok 'ask for nothing' test "$(wc -l <tuned.safetensors.search.jsonl)" -eq "$scores"
tune m.safetensors --num 71 --log tuned.safetensors.search.jsonl
ok 'another number of samples is another search' one_error 2 'is of another search'
tune m.safetensors --num 60 --log tuned.safetensors.search.jsonl
ok 'so few of them too' one_error 2 'is of another search'
ok 'which is known before the note on few samples, and before the work that it follows' test ! -s out
tune m.safetensors --num 70 --evaluations 2 --seed 5 --log tuned.safetensors.search.jsonl
ok 'another seed is the same search' succeeded
ok 'with other scores' test "$(wc -l <tuned.safetensors.search.jsonl)" -gt "$scores"

tune run --num 70 --evaluations 2 --out of-run.safetensors
ok 'a run folder is searched for' succeeded
works 'what is written' sample --model of-run.safetensors --num 2 --steps 2 --out a.npz
cp of-run.safetensors again.safetensors
tune again.safetensors --num 70 --evaluations 2 --out again.safetensors
ok 'is a model like others' succeeded

# ---- what cm sample makes of it -------------------------------------------------------

works 'two steps' sample --model tuned.safetensors --num 2 --steps 2 --out a.npz
works 'multistep' sample --model tuned.safetensors --num 2 --sampler multistep --out b.npz
works 'those levels' sample --model tuned.safetensors --num 2 --sigmas "$best" --out c.npz
ok 'are the same' cmp a.npz b.npz
ok 'and the same' cmp a.npz c.npz
three=$(awk '$1 == 3 { print $6 }' table)
works 'three steps' sample --model tuned.safetensors --num 2 --steps 3 --out a.npz
works 'three levels' sample --model tuned.safetensors --num 2 --sigmas "$three" --out c.npz
ok 'are the same too' cmp a.npz c.npz
works 'one step' sample --model tuned.safetensors --num 2 --steps 1 --out a.npz
works 'is the default' sample --model tuned.safetensors --num 2 --out c.npz
ok 'as ever' cmp a.npz c.npz
fails 2 'steps: expected 1 or 2, found 4: this model has no noise levels for so many' \
    sample --model tuned.safetensors --num 2 --steps 4 --out no.png
works 'a model of 151 levels that is not tuned in two steps' sample --model m.safetensors --num 2 --steps 2 --out a.npz
works 'has the 80th level' sample --model m.safetensors --num 2 --sigmas 80,1.9729775403648135 --out c.npz
ok 'that of its grid nearest to 4 sigma_data' cmp a.npz c.npz
fails 2 'steps: expected 1 or 2, found 3' sample --model m.safetensors --num 2 --steps 3 --out no.png
works 'scores too' eval --ref $real --model tuned.safetensors --num 4 --steps 3 --features small --weights judge --kept 0
works 'a picture to edit' sample --model m.safetensors --num 1 --out p.png
fails 2 'steps: have no effect here' edit vary --model tuned.safetensors --image p.png --steps 2 --out no.png
LC_ALL=C sed 's/"sampling":"{/"sampling":"[/' tuned.safetensors >broken.safetensors
fails 4 'broken.safetensors: "sampling"' sample --model broken.safetensors --steps 2 --num 1 --out no.png
fails 4 'broken.safetensors: "sampling"' validate broken.safetensors
works 'which one step does not need' sample --model broken.safetensors --num 1 --out a.png

# ---- what is refused ---------------------------------------------------------------------

refused() # refused CODE TEXT OPTION...
{
    want=$1
    words=$2
    shift 2
    tune m.safetensors "$@"
    ok "refused: $*" one_error "$want" "$words"
    ok 'before the table' test ! -s out
}
refused 2 "found '17'" --evaluations 17
refused 2 'evaluations: expected 2 to 16, found 1' --evaluations 1
for given in 'most 3' 'classes data' 'batch 3'; do
    # shellcheck disable=SC2086
    refused 2 "option '${given% *}': has no effect here, it is for edits" --$given
done
refused 2 "'factor': has no effect here, it is for upscale" --factor 2
refused 2 "plot: expected a name that ends in .png or .svg, found 'p.gif'" --plot p.gif
refused 2 'log: expected a name that ends in .jsonl' --log m.safetensors
refused 2 "log: expected a name that ends in .jsonl, found 'p.png'" --plot p.png --log p.png
refused 1 'nowhere/x.jsonl' --log nowhere/x.jsonl
refused 2 'out: expected a name that ends in .safetensors' --out x.npz
for given in 'log x.jsonl' 'plot x.png' 'evaluations 2'; do
    # shellcheck disable=SC2086
    run tune --model m.safetensors --data $real --weights judge --task inpaint --quiet --$given
    ok "of edits: --$given" one_error 2 "${given% *}: has no effect here, it is for the task sample"
done
run tune --model m.safetensors --data $real --weights judge --task sample,inpaint --quiet
ok 'with edits' one_error 2 "or sample alone, found 'sample'"
tune t.safetensors
ok 'a teacher' one_error 2 'sample needs a consistency model'
tune judge/model.safetensors
ok 'a classifier' one_error 2 'found a classifier'

finish
