#!/bin/sh
# test_length.sh - how long a run is: the steps that fit in a time, what follows from their
# number, and the presets.
#
# usage: test_length.sh CM MAKE_DATA
# shellcheck disable=SC2086 # $tiny and $data are lists of words
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1

# setting RUN NAME: its value in config.json, without quotes
setting()
{
    sed -n "s/^ *\"$2\": *//p" "$1/config.json" | sed 's/,$//; s/^"//; s/"$//'
}

# is NAME RUN SETTING VALUE
is()
{
    found=$(setting "$2" "$3")
    ok "$1" test "$found" = "$4"
}

same_files()
{
    count=0
    for file in "$1"/run/ckpt/latest/*.safetensors "$1/run/config.json" "$1/run/model.safetensors"; do
        cmp "$file" "$2/${file#"$1/"}" || return 1
        count=$((count + 1))
    done
    [ "$count" -ge 5 ]
}

# ---- the time chooses the steps ------------------------------------------------

mkdir chosen asked || exit 1
(cd chosen && exec "$cm" train --method ct --minutes 0.05 --lr-decay $tiny --out run >out 2>err)
ok 'train for three seconds' test $? -eq 0
steps=$(setting chosen/run steps)
ok 'config.json says how many steps they were' test "${steps:-0}" -ge 10
ok 'and so does the progress' grep -q "^$steps steps of 4 images fit in the time" chosen/err
seconds=$(sed -n '$s/.*"seconds":\([0-9]*\).*/\1/p' chosen/run/log.jsonl)
ok 'they took about that' test "${seconds:-99}" -le 9
ok 'the last step is the last of the run' grep -q "^{\"step\":$steps,.*\"lr\":" chosen/run/log.jsonl
ok 'averages are of so many steps, not of the one that was timed' \
    test "$(setting chosen/run ema-rates)" != 0
# A progressive N(k) ends at its end, a learning rate that falls at (nearly) 0.
# Of k = steps - 1 of so many: ceil(sqrt(k / steps (151^2 - 2^2) + 2^2) - 1) + 1.
scales=$(awk -v n="$steps" 'BEGIN { m = sqrt((n - 1) / n * (151 ^ 2 - 4) + 4) - 1
    print (m > int(m) ? int(m) + 1 : int(m)) + 1 }')
ok 'N(k) ends when the time does' \
    grep -q "^{\"step\":$steps,.*\"scales\":$scales[,}]" chosen/run/log.jsonl

(cd asked && exec "$cm" train --steps "$steps" --minutes 0.05 $tiny --out run >out 2>err)
ok 'a number and a time are refused' test $? -eq 2
ok 'naming the option' grep -q "^cm: option 'minutes': has no effect here, steps is $steps" asked/err
(cd asked && exec "$cm" train --config ../chosen/run/config.json >out 2>err)
ok 'the same settings again' test $? -eq 0
ok 'are the same run, bit for bit' same_files chosen asked
(cd chosen && exec "$cm" train --resume --minutes 1 --out run >out 2>err)
ok 'a run goes on by steps' test $? -eq 2
(cd chosen && exec "$cm" train --resume --steps 0 --out run >out 2>err)
ok 'not by 0 of them' test $? -eq 2
ok 'which is said' grep -q '^cm: steps: ' chosen/err

# ---- what follows from the steps -------------------------------------------------

works 'train 40 steps' train $tiny --steps 40 --keep 99 --sample-every 0 --out forty
is 'averages over a twentieth and a half of it' forty ema-rates 0.5,0.95
ok 'ten checkpoints' test "$(find forty/ckpt -name '0*' | wc -l)" -eq 10
ok 'every fourth step' test -d forty/ckpt/00000036
ok 'a picture at the end' test -f forty/samples/00000040_heun.png
works 'two steps' train $tiny --steps 2 --out two
is 'have one average' two ema-rates 0
works 'averages of a long run' train $tiny --steps 20000 --max-minutes 0.001 --out long
is 'as ever' long ema-rates 0.999,0.9999
works 'max-minutes bounds the choice' train $tiny --max-minutes 0.01 --out bounded
ok 'far below an hour' test "$(setting bounded steps)" -le 2000

# ---- presets -----------------------------------------------------------------------

data="--data $scratch/tiny-images-idx3-ubyte --dtype f32 --threads 1 --steps 1 --sample-every 9"
works 'a preset' train --preset tiny $data --out tiny
is 'has its network' tiny channels 16
is 'and its batch' tiny batch 32
works 'single options go before it, wherever they stand' train --batch 2 $data --preset tiny --lr 0.5 --out mixed
is 'the one before' mixed batch 2
is 'the one after' mixed lr 0.5
is 'the rest is the preset' mixed channels 16
works 'a preset over a file of settings' train --config mixed/config.json --preset small --batch 2 --out over
is 'changes them' over channels 32
is 'but for what is given' over batch 2
works 'a student has the network of its teacher' train --method cd --teacher tiny --preset small --batch 2 $data --out student
is 'whatever the preset' student channels 16
is 'and learns as the preset says' student lr 0.001
fails 2 "expected tiny|small|base, found 'huge'" train --preset huge $data --out huge
fails 2 "option 'preset': has no effect here" train --preset tiny --resume --out tiny

finish
