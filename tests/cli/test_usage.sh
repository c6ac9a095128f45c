#!/bin/sh
# test_usage.sh - what the command says about itself, and to wrong calls: one line,
# the right exit code, nothing left behind.
#
# usage: test_usage.sh CM MAKE_DATA [STARVED_ARGP]
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"

# says TEXT: in the output, wherever its lines break
says()
{
    tr -s ' \n' '  ' <"$scratch/out" | grep -qF -e "$1"
}

# ---- help --------------------------------------------------------------------

works 'cm --help' --help
for command in train sample info forward explain bench; do
    ok "help lists $command" grep -q "^  $command " "$scratch/out"
done
for command in train sample info forward explain bench; do
    works "cm $command --help" $command --help
    ok "it shows examples of $command" says " cm $command "
    ok 'and no line is too wide' test -z "$(awk 'length > 79' "$scratch/out")"
done
works 'cm train -h' train -h
"$cm" help sample >out
"$cm" sample --help >help
ok 'cm help X is cm X --help' cmp out help
works 'cm help' help
ok 'lists the commands' grep -q '^  train ' out
for command in train data sample edit eval tune info validate plot forward explain bench ''; do
    for columns in $(seq 40 200); do
        echo "@$columns"
        # shellcheck disable=SC2086 # no command, no word
        COLUMNS=$columns "$cm" help $command
    done >out
    ok "cm help $command in 40 to 200 columns" \
        test -z "$(awk '/^@/ { width = substr($0, 2) + 0; next } length >= width' out)"
done
"$cm" help edit >out
ok 'a default as it is typed' says '(default auto)'
# An example that is broken is still the command that it was.
COLUMNS=40 "$cm" help bench | sed -n '/^  cm/,/^$/p' >narrow
ok 'examples are broken' grep -q '\\$' narrow
sed -e ':a' -e '/\\$/{N' -e 's/ *\\\n */ /;ba' -e '}' narrow >joined
COLUMNS=200 "$cm" help bench | sed -n '/^  cm/,/^$/p' >wide
ok 'as a shell joins them' cmp joined wide
for columns in 40 200; do
    COLUMNS=$columns "$cm" train --help | tr -d ' \\\n' >"words$columns"
done
ok 'no width loses a word' cmp words40 words200
"$cm" train --help | sed -n '/^Common options/,/^$/p' >out
for option in method data out steps resume; do
    ok "--$option is among the common ones" grep -q "^      --$option" out
done
ok 'which come first' test "$("$cm" train --help | grep -m 1 -A 1 '^[A-Z].* options$' | tail -1 |
    cut -c 1-14)" = '      --method'
works 'cm train -h' train -h
ok 'it shows choices and defaults' says '(edm|cd|ct|pd|cd-continuous|ct-continuous|'
works 'cm --version' --version
ok 'it is a version' grep -qE '^cm [0-9]+\.[0-9]+\.[0-9]+$' "$scratch/out"

# ---- wrong usage -------------------------------------------------------------

run
ok 'cm alone is wrong usage' test "$code" -eq 2
fails 2 "'trian'; did you mean 'train'?" trian
fails 2 "'sampel'; did you mean 'sample'?" help sampel
fails 2 "'xyzzy'; 'cm help' lists them" xyzzy
for words in 'help train' '--help' '-h' '--version'; do
    # shellcheck disable=SC2086 # words of a command
    fails 2 "argument 'extra': expected no more behind '$words'" $words extra
done
fails 2 "did you mean 'model'" sample --modle x --out y
fails 2 "did you mean '--model'" sample -model x
fails 2 "did you mean 'batch'" train --batsh=3
fails 2 'nonsense-option' info --nonsense-option
fails 2 "'-x'" bench -x
fails 2 'expected a value, found none' sample --steps
fails 2 'expected no value' train --flip=3
fails 2 "'many'" sample --num many
fails 2 "'0'" sample --num=0
fails 2 'edm|cd|ct|pd|cd-continuous|ct-continuous|classifier' train --method gan --data x --out y
fails 2 "'more'" sample --model x --out y more
fails 2 "'y'" info x y
fails 2 'FILE' info
fails 2 "'model'" sample --out y
fails 2 "'out'" sample --model x
fails 2 "'data'" train --out y
fails 2 "'out'" train --data x
fails 2 'teacher:' train --method cd --data x --out y
fails 2 "'out'" train --resume
fails 2 "'input'" forward --model x --output y
fails 2 "'model'" explain --method cd
ok 'nothing was made' missing y

# ---- what would change nothing, and ranges -------------------------------------

shipped="$root/models/fashion-mnist-cd.safetensors"
fails 2 "'model': has no effect here" bench --config x --model y
fails 2 "'micro-batch': has no effect here" bench --model "$shipped" --work cd --micro-batch 2
fails 2 "'recompute': has no effect here" bench --model "$shipped" --work onestep --recompute
fails 2 "'batch': has no effect here" bench --work sums --batch 4
fails 2 "'work': sums" bench --work sums
fails 2 "found 'onestep'" bench --work onestep --accumulate 2
fails 2 "'micro-batch': has no effect here" explain --model "$shipped" --method cd --micro-batch 2
fails 2 "'recompute': has no effect here" explain --model "$shipped" --recompute
works 'which it has beside the right one' explain --model "$shipped" --method cd --recompute --batch 2
"$make_data" "$scratch" || exit 1
for option in '--strict' '--background black' '--labels names'; do
    # shellcheck disable=SC2086
    fails 2 'has no effect here, it is for folders of pictures' data tiny-images-idx3-ubyte $option
done
works 'labels of a file' data tiny-images-idx3-ubyte --labels none
for command in "train --data x --out y" "sample --model x --out y" "bench" "explain --model x" \
    "forward --model x --input x --output y"; do
    # shellcheck disable=SC2086
    fails 2 "'threads': expected a whole number within [0, 1024]" $command --threads 1025
done
for command in "train --data x --out y" "sample --model x --out y" "bench" "explain --model x"; do
    # shellcheck disable=SC2086
    fails 2 ", 65536], found '65537'" $command --batch 65537
done

# ---- no file: "-", and nothing -----------------------------------------------------

# Every option of every command whose value is called as files are.
for command in train data sample edit eval tune info validate plot forward explain bench; do
    task=
    [ $command = edit ] && task=vary
    COLUMNS=200 "$cm" help $command |
        sed -nE 's/^ +--([a-z-]+)=(MODEL|CLASSIFIER|RUN|DATA|FILE|IN|OUT|R|S)( .*)?$/\1/p' >options
    while read -r option; do
        # shellcheck disable=SC2086 # no task, no word
        fails 2 "option '$option': expected a file or folder, found '-'" \
            $command $task --$option -
    done <options
    cat options >>all
done
ok 'which are many' test "$(wc -l <all)" -gt 30
for command in info data plot; do
    fails 2 "argument '-': expected a file or folder, found '-'" $command -
done
ok 'no file of that name was made' missing ./-
for option in teacher init preset config weighting scale-mode out data; do
    fails 2 "option '$option': expected a value, found none" train --data x --out y --$option ''
done
for option in sigmas ts trajectory heading; do
    fails 2 "option '$option': expected a value, found none" sample --model x --out y --$option=
done
run train --data x --out y --attention-resolutions ''
ok 'a list may be empty where that means something' one_error 1 'x: '

# ---- instruction sets ---------------------------------------------------------

CM_ISA=avx3
export CM_ISA
fails 2 "found 'avx3'" sample --model "$shipped" --out y.png
fails 2 'CM_ISA: expected plain' forward --model "$goldens/adm_lsun_like.weights.safetensors" \
    --input "$goldens/adm_lsun_like.io.safetensors" --output y
fails 2 'CM_ISA: expected plain' explain --model "$shipped"
fails 2 'CM_ISA: expected plain' explain --model "$shipped" --method ct
fails 2 'CM_ISA: expected plain' bench --model "$shipped"
# shellcheck disable=SC2086 # $tiny is a list of words
fails 2 'CM_ISA: expected plain' train $tiny --steps 1 --out y
ok 'nothing was made' missing y
ok 'no image was made' missing y.png
unset CM_ISA
CM_CONV=Direct
export CM_CONV
fails 2 "CM_CONV: expected direct, or nothing, found 'Direct'" bench --model "$shipped"
fails 2 "CM_CONV: expected direct, or nothing, found 'Direct'" sample --model "$shipped" --out y.png
ok 'and no image was made' missing y.png
unset CM_CONV
export CM_ISA
CM_ISA=avx512_bf16
if grep -qw avx512_bf16 /proc/cpuinfo; then
    skip 'an instruction set that this CPU lacks' 'it has all'
else
    fails 2 "found 'avx512_bf16'" sample --model "$shipped" --out y.png
fi
CM_ISA=plain
works 'CM_ISA=plain' sample --model "$shipped" --num 1 --out plain.png
unset CM_ISA

# ---- what a terminal must not see --------------------------------------------

# clean: the last run printed UTF-8 without control characters and changes of direction.
clean()
{
    cat out err >said
    iconv -f UTF-8 -t UTF-8 said >/dev/null &&
        ! LC_ALL=C grep -q "$(printf '[\001-\011\013-\037\177]\|\302[\200-\237]\|\342\200\256')" said &&
        return
    od -c said | head -n 20
    return 1
}

c1=$(printf 'x\302\2331m\342\200\256\033[31m\177\ny')
raw=$(printf 'x\2331m\205\303(y')
mkdir -p photos/a
cp "$root/tests/fuzz/corpus/image/exif3.jpg" photos/a
for file in "$c1" "$raw"; do
    cp "$shipped" "$file.safetensors"
    for command in "info" "info --json" "validate" "validate nowhere" "bench --work onestep --batch 1 --model" \
        "bench --json --work onestep --batch 1 --dtype f32 --model" "explain --batch 1 --model" \
        "data" "sample --model $shipped --out y.png --class" "sample --num" "help" "train" \
        "forward --input nowhere --output y --model" "info nowhere" "bench --config"; do
        # shellcheck disable=SC2086 # a list of words
        run $command "$file.safetensors"
        ok "cm $command: clean" clean
    done
    run sample --model "$shipped" --num 1 --out "$file.png"
    ok 'cm sample --out: clean' clean
    run data photos --pack "$file.st"
    ok 'cm data --pack: clean' clean
    run "$file"
    ok 'a word: clean' clean
    run info "--$file"
    ok 'an option: clean' clean
done

# ---- outputs, before the work; and what is no file -----------------------------

for command in 'help train' 'train --help' 'help' "info $shipped" "sample --num 1 --model $shipped --out -"; do
    code=0
    # shellcheck disable=SC2086
    "$cm" $command >/dev/full 2>err || code=$?
    ok "cm $command: a full disk" one_error 1 'standard output: No space left'
done
fails 1 'nowhere/x' data photos --pack nowhere/x
ok 'before the work' test ! -s out
fails 1 'nowhere/x' forward --model "$goldens/adm_lsun_like.weights.safetensors" \
    --input "$goldens/adm_lsun_like.io.safetensors" --output nowhere/x
fails 1 '/dev/full: expected a file to replace' data photos --pack /dev/full
fails 1 '/dev/full' train --data photos --out /dev/full
fails 1 '/dev/full' sample --model "$shipped" --out /dev/full
cp "$shipped" kept.safetensors
for output in kept.safetensors photos/a/exif3.jpg; do
    cp $output kept
    fails 2 "$output: holds " forward --model "$goldens/adm_lsun_like.weights.safetensors" \
        --input "$goldens/adm_lsun_like.io.safetensors" --output $output
    ok 'it stays' cmp $output kept
done
echo text >notes.txt
for notes in plot.svg notes.png notes.npz; do cp notes.txt $notes; done
fails 2 'plot.svg: holds ' plot photos --out plot.svg
fails 2 'notes.png: holds ' eval --ref photos --samples photos --train photos --nearest notes.png
fails 2 'notes.npz: holds ' eval --ref photos --save-stats notes.npz
fails 1 '/proc/x.png: cannot create' sample --model missing --out /proc/x.png
mkfifo pipe
for command in 'info' 'validate' 'data' 'train --out y --data' 'sample --out y.png --model' 'bench --model' \
    'bench --config' 'train --data photos --out y --config' 'train --data photos --out y --init'; do
    # shellcheck disable=SC2086
    fails 1 'pipe: expected a regular file, found a special file' $command pipe
done
mkdir thousands
(cd thousands && seq 10000 | xargs touch)
fails 4 'found none in 10000 files, the first of them thousands/1: empty' data thousands
fails 4 'found none in 10000 files' train --data thousands --out y

# ---- missing and wrong files -------------------------------------------------

fails 1 'nowhere' info nowhere
fails 1 'nowhere' sample --model nowhere --out y.png
fails 1 'nowhere' forward --model nowhere --input x --output y
fails 1 'nowhere' explain --model nowhere
fails 1 'nowhere' bench --model nowhere
fails 1 'nowhere' train --data nowhere --out y
ok 'no run was made' missing y
fails 1 'nowhere' train --data nowhere --out y --config nowhere
fails 1 'nowhere: No such file or directory: no run to continue; without --resume one begins there' \
    train --resume --out nowhere
: >empty
echo 'this is no model, though it is long enough for a header' >words
fails 4 'empty' info empty
fails 4 'words' info words
fails 4 'words' sample --model words --out y.png
fails 4 'words' train --data words --out y
fails 4 'words' train --config words --data x --out y
echo '{"steps": 3, "stepz": 4}' >unknown.json
fails 4 "did you mean 'steps'" train --config unknown.json --data x --out y
echo '{"steps": "three"}' >type.json
fails 4 'steps' train --config type.json --data x --out y
echo '{"steps": -3}' >range.json
fails 4 'steps' train --config range.json --data x --out y
ok 'nothing was made' test -z "$(find . -path './y/config.json')"
ok 'no image was made' missing y.png

"$cm" explain --model "$shipped" --batch 2 >/dev/full 2>"$scratch/err"
ok 'a plan on a full disk is an error' test $? -eq 1
ok 'that is said' grep -q '^cm: standard output: ' "$scratch/err"

# The test is started in the root.
if [ -n "${3:-}" ]; then
    code=0
    (cd "$root" && LD_PRELOAD=$(absolute "$3") "$cm" info x 2>"$scratch/err") || code=$?
    ok 'no memory for the options' one_error 1 'options: out of memory'
else
    skip 'no memory for the options' 'sanitized'
fi

finish
