#!/bin/sh
# test_validate.sh - cm validate: one file, several, runs, and what cannot be judged.
#
# usage: test_validate.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1
model=$root/models/fashion-mnist-cd.safetensors

# header LENGTH_BYTE TEXT: a file of this header and no data
header()
{
    printf "\\$1\\000\\000\\000\\000\\000\\000\\000%s" "$2"
}

header 002 '{}' >empty.safetensors
header 003 '{}' >longer.safetensors
header 002 '[]' >list.safetensors
head -c 100000 "$model" >cut.safetensors

works 'a model' validate "$model"
ok 'is ok' grep -qxF "$model: ok" out
works 'a file without tensors' validate empty.safetensors
fails 4 'longer.safetensors: header length' validate longer.safetensors
fails 4 'list.safetensors: header' validate list.safetensors
fails 4 'cut.safetensors: ' validate cut.safetensors

# Of files of another kind it is said what they are.
pickle='\200\002}q\000.' # of a dict, as Python's pickle.dump writes it
: >nothing.safetensors
echo words >text.pt
# shellcheck disable=SC2059 # bytes
printf "$pickle" >plain.pt
cp "$root/docs/edit/boot.png" picture.safetensors
for bad in 'nothing.safetensors empty' 'text.pt text' 'plain.pt a Python pickle' \
    'picture.safetensors PNG'; do
    file=${bad%% *}
    for command in validate info 'sample --out x.png --model'; do
        # shellcheck disable=SC2086 # a list of words
        fails 4 "$file: expected a .safetensors file or a PyTorch checkpoint, as torch.save writes it, found: ${bad#* }" \
            $command "$file"
    done
    test "$file" = picture.safetensors || fails 4 \
        "$file: expected fashion-mnist, fashion-mnist-test, an IDX images file, a packed .safetensors file or a folder of images, found: ${bad#* }" \
        data "$file"
done
fails 4 'picture.safetensors: is one picture (PNG)' data picture.safetensors
printf '\000\000\010\003' >short
fails 4 'short: dimensions: expected 3' data short
fails 4 '2 of 4 files refused' validate "$model" longer.safetensors empty.safetensors cut.safetensors
ok 'a line a file' test "$(wc -l <out)" -eq 4
ok 'the good ones' test "$(grep -c ': ok$' out)" -eq 2
ok 'the bad ones' grep -q '^longer.safetensors: header length' out
fails 1 '2 of 2 files refused' validate longer.safetensors nowhere
ok 'nowhere is told' grep -q '^nowhere: cannot open' out
works 'two good ones' validate "$model" empty.safetensors
fails 2 'argument FILE' validate
fails 2 'strict' validate --strict "$model"
cp empty.safetensors ./-dash
works 'a name that begins with a dash' validate -- -dash
works 'help' validate --help
ok 'names the exit codes' grep -q 'Exit code 0' out

run train --data "$scratch/tiny-images-idx3-ubyte" --channels 32 --channel-mult 1 --res-blocks 1 \
    --num-heads 1 --attention-resolutions '' --batch 4 --threads 1 --dtype f32 --steps 2 \
    --save-every 1 --sample-every 1000000000 --out run
works 'a run' validate run
works 'a run with a slash' info run/
ok 'has no other behind it' test "$(grep -c 'checkpoint  *run/ckpt/' out)-$(grep -c '//' out)" = 1-0
for step in run/ckpt/0*; do
    printf 'x' | dd of="$step/model.safetensors" bs=1 seek=5000 conv=notrunc 2>dd.log
done
fails 4 'model.safetensors: damaged' validate run

# Escape sequences, C1 as UTF-8, a change of direction: in a name of a file.
name=$(printf 'x\033[31m\302\2331m\342\200\256.st')
cp longer.safetensors "$name"
run validate "$name" "$name"
ok 'names are escaped' test "$(LC_ALL=C grep -c "$(printf '\033\\|\302\233\\|\342\200\256')" out)" -eq 0

finish
