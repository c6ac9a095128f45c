#!/bin/sh
# test_train.sh - runs of the command that are interrupted, killed, continued and
# repeated give the files of a run that was left alone, byte by byte.
#
# Every run is called "run", in a folder of its own: models name the run they came
# from.
#
# usage: test_train.sh CM MAKE_DATA
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1

# train FOLDER OPTION...: makes or continues FOLDER/run
train()
{
    folder=$1
    shift
    case " $* " in
    *' --teacher '* | *' --init '*) common=$tiny_given ;;
    *) common=$tiny ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    in_folder "$folder" run train $common --out run "$@"
}

newest()
{
    readlink -f "$scratch/$1/run/ckpt/latest"
}

same()
{
    same_run 2 "$1" "$2"
}

differ()
{
    ! same "$1" "$2" >/dev/null
}

# wait_for FILE: at most ten seconds
wait_for()
{
    tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        sleep 0.05
    done
}

# in_background FOLDER OPTION...: as train; its number goes to $pid.  exec keeps
# the number cm's own.
in_background()
{
    folder=$scratch/$1
    shift
    mkdir -p "$folder"
    # shellcheck disable=SC2086
    (cd "$folder" && exec "$cm" train $tiny --out run "$@" >"$scratch/behind.out" \
        2>"$scratch/behind.err") &
    pid=$!
}

# Wait for it; $code and the file err are as after run.
rejoin()
{
    code=0
    wait $pid || code=$?
    cp "$scratch/behind.err" "$scratch/err"
}

ended_with()
{
    [ "$code" -eq "$1" ] && return
    echo "    code $code"
    sed 's/^/    | /' "$scratch/err"
    return 1
}

# ---- a run folder ------------------------------------------------------------

settings='--method edm --flip --dropout 0.1 --ema-rates 0.999,0.9999'
# shellcheck disable=SC2086
train straight $settings --steps 10
ok 'ten steps' ended_with 0
[ "$code" -eq 0 ] || finish || exit 1
for file in config.json log.jsonl ckpt/latest/manifest.json; do
    ok "the run holds $file" test -s "straight/run/$file"
done
ok 'and a sample grid' test -n "$(find straight/run -name '*.png' -size +0)"
ok 'no escape codes in a file' test "$(grep -c "$(printf '\033')" err)" -eq 0
ok 'the last step is reported' grep -q 'step 10/10' err
ok 'the memory of a step is told' grep -q '^memory of a step: [0-9.]* MiB' err
ok 'with its packed weights' grep -q '^memory of a step: .*, packed weights [0-9]*[.][0-9]' err
for file in straight/run/ckpt/latest/*.safetensors; do
    works "info ${file##*/}" info "$file"
done
# shellcheck disable=SC2086
train again $settings --steps 10 --quiet
ok 'quiet: nothing printed' test ! -s err
ok 'the same run twice gives the same files' same straight again
# shellcheck disable=SC2086
train threads $settings --steps 10 --threads 2
ok 'and so does one with two threads' same straight threads
# shellcheck disable=SC2086
train other $settings --steps 10 --seed 2
ok 'another seed gives other files' differ straight other

# shellcheck disable=SC2086
train parts $settings --steps 3 --accumulate 2
ok 'a batch in two parts' ended_with 0
# shellcheck disable=SC2086
train misfit $settings --steps 3 --accumulate 3
ok 'three parts of four images' one_error 2 'accumulate'

# ---- resume ------------------------------------------------------------------

# shellcheck disable=SC2086
train halves $settings --steps 5
ok 'five steps' ended_with 0
cp -R halves shared
in_folder halves run train --resume --out run --steps 10
ok 'five more' ended_with 0
ok 'are the same as ten' same straight halves
ok 'and so are the settings' cmp straight/run/config.json halves/run/config.json
in_folder shared run train --resume --out run --steps 10 --threads 2
ok 'and with two threads' same straight shared
in_folder halves run train --resume --out run --steps 12 --lr 0.5
ok 'another learning rate is refused' one_error 2 '"lr": the run began with 0.001, asked for 0.5'
ok 'and nothing is changed' cmp straight/run/config.json halves/run/config.json
in_folder halves run train --resume --out run --steps 9
ok 'fewer steps than there are: refused' one_error 2 'steps: the run is at step 10 already'
ok 'and nothing is changed' cmp straight/run/config.json halves/run/config.json
cp -R halves edited
sed -i 's/"lr": 0.001[0-9]*/"lr": 0.5/' edited/run/config.json
cp edited/run/log.jsonl log.before
in_folder edited run train --resume --out run --steps 12
ok 'an edited config.json: refused' one_error 2 'run/config.json: "lr": the run began with 0.001'
ok 'and the log is as it was' cmp edited/run/log.jsonl log.before
sed -i 's/"steps": 10/"steps": 12/; s/"lr": 0.5/"lr": 0.001/' edited/run/config.json
in_folder edited run train --resume --out run
ok 'an edit that is allowed' ended_with 0
# shellcheck disable=SC2086
train mixed $settings --steps 3
in_folder mixed run train --resume --out run --steps 6 --recompute
ok 'activations are computed again from here' ended_with 0
in_folder mixed run train --resume --out run --steps 10 --no-recompute
ok 'and kept from here, and the files are the same' same straight mixed
in_folder fed run train --config "$scratch/straight/run/config.json" --out run
ok 'config.json can be fed back' ended_with 0
ok 'and gives the same files' same straight fed
ok 'and the same settings' cmp straight/run/config.json fed/run/config.json
in_folder fed2 run train --config "$scratch/straight/run/config.json" --steps 3 --out run
ok 'an option goes before the file' grep -q 'step 3/3' err

# ---- SIGKILL at any point ----------------------------------------------------

settings='--method ct --steps 120 --save-every 7 --ema-rates 0.999,0.9999'
# shellcheck disable=SC2086
train whole $settings
ok 'a run left alone' ended_with 0
resume=
kills=0
for delay in 0.3 0 0.05 0.1 0.15 0.2; do
    # shellcheck disable=SC2086
    in_background killed $settings $resume
    wait_for "$scratch/killed/run/ckpt/latest"
    sleep "$delay"
    kill -KILL $pid 2>kill.log && kills=$((kills + 1))
    wait $pid 2>kill.log
    resume=--resume
done
# A kill while a file is written leaves this; which kill does so is chance.
: >killed/run/.tmp-1-0
: >killed/run/samples/.tmp-1-0
# shellcheck disable=SC2086
train killed $settings --resume
ok "killed $kills times, it ends" ended_with 0
ok 'with the same files' same whole killed
ok 'and leaves nothing half-written' \
    test -z "$(find killed/run -name '.tmp-*' -o -name '.del-*' -o -name '*.tmp')"

# ---- Ctrl-C ------------------------------------------------------------------

# shellcheck disable=SC2086
in_background stopped $settings
wait_for stopped/run/config.json # by then it listens
sleep 0.1
kill -INT $pid
rejoin
ok 'Ctrl-C exits with 130' ended_with 130
works 'and leaves a run that can be read' info stopped/run
works 'and sampled' sample --model stopped/run --num 1 --out stopped.png
in_folder stopped run train --resume --out run
ok 'and continued with its own settings' ended_with 0
ok 'to the same files' same whole stopped

in_background locked --method edm --steps 1000000
wait_for locked/run/config.json
run train --resume --out locked/run
ok 'a second trainer is refused' one_error 1 'locked/run'
kill -TERM $pid
rejoin
ok 'SIGTERM exits with 143' ended_with 143
works 'and saves first' info locked/run

# checkpoints FOLDER: the steps that are saved
checkpoints()
{
    find "$scratch/$1/run/ckpt/" -name '0*' | wc -l
}

in_background hung --method edm --steps 1000000 --save-every 1000000000 --keep 99
wait_for hung/run/config.json
sleep 0.1
kill -USR1 $pid
wait_for hung/run/ckpt/latest
ok 'SIGUSR1 saves' test "$(checkpoints hung)" -eq 1
kill -USR1 $pid
tries=0
until [ "$(checkpoints hung)" -eq 2 ] || [ $tries -ge 200 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
ok 'and again' test "$(checkpoints hung)" -eq 2
if sh -c 'kill -HUP $$'; then # under nohup all of us ignore it
    kill -TERM $pid
    rejoin
else
    kill -HUP $pid
    rejoin
    ok 'SIGHUP exits with 129' ended_with 129
fi
ok 'and saves first' test "$(checkpoints hung)" -eq 3

mkdir -p nohup
# shellcheck disable=SC2086
(trap '' HUP && cd nohup && exec "$cm" train $tiny --method edm --steps 1000000 --out run \
    2>"$scratch/behind.err") &
pid=$!
wait_for nohup/run/config.json
sleep 0.1
kill -HUP $pid
sleep 0.1
ok 'SIGHUP stays ignored under nohup' kill -TERM $pid
rejoin
ok 'until another one comes' ended_with 143

# The reader of stderr goes away: the next line is written into a closed pipe.
mkdir -p piped
# shellcheck disable=SC2086
(cd piped && exec 3>"$scratch/code" &&
    { timeout 60 "$cm" train $tiny --method edm --steps 1000000 --save-every 20 --out run 2>&1
        echo $? >&3; } | head -n 2 >"$scratch/piped.out")
ok 'a closed pipe ends it as it ends any program' test "$(cat code)" -eq 141
ok 'after it saved the step that was next' test "$(newest piped | grep -c '[12]$')" -eq 1

mkdir -p closed
# shellcheck disable=SC2086
(cd closed && exec "$cm" train $tiny --method edm --steps 5 --log-every 1 --out run >&- 2>&-)
ok 'without descriptors 1 and 2' test -s closed/run/model.safetensors
ok 'the log has its own lines and no others' \
    test "$(grep -c '^{"step":[1-5],.*}$' closed/run/log.jsonl)/$(wc -l <closed/run/log.jsonl)" = 5/5

# A new run in the place of an old one.
fails_to_replace()
{
    before=$(newest student)
    train student --method edm --steps 3
    one_error 2 'resume' && [ "$before" = "$(newest student)" ]
}

# ---- nothing else is touched ---------------------------------------------------

# tree FOLDER: every name and every content
tree()
{
    (cd "$1" && find . | sort && find . -type f -exec cksum {} + | sort)
}

# untouched FOLDER CODE TEXT [OPTION...]: a new run there is refused and changes nothing.
untouched()
{
    folder=$1 wanted=$2 words=$3
    shift 3
    before=$(tree "$folder/run")
    train "$folder" --method edm --steps 1 "$@"
    one_error "$wanted" "$words" && [ "$before" = "$(tree "$folder/run")" ]
}

for damage in manifest.json state.json model.safetensors; do
    rm -rf damaged
    cp -R straight damaged
    for step in damaged/run/ckpt/0*; do
        printf 'x' | dd of="$step/$damage" bs=1 seek=30 conv=notrunc 2>dd.log
    done
    ok "every $damage damaged: there is a run" untouched damaged 2 'holds a run already'
done
rm -rf damaged/run/ckpt
ok 'a finished run without checkpoints: there is one' untouched damaged 2 'finished run'
mkdir -p theirs/run/samples
: >theirs/run/samples/.tmp-1-0
ok 'a folder of samples of someone else' untouched theirs 2 'holds "samples"'
mkdir -p named/run
: >named/run/.tmp-mine
: >named/run/.tmp-1-0
echo mine >named/run/notes
train named --method edm --steps 1
ok 'a folder with other things' ended_with 0
ok 'keeps them all' test -e named/run/.tmp-mine -a -e named/run/.tmp-1-0 -a -s named/run/notes
train named --resume --steps 2
ok 'a later trainer removes what looks like its own' missing named/run/.tmp-1-0
ok 'and nothing else' test -e named/run/.tmp-mine -a -s named/run/notes
mkdir -p mutex/run
echo 'not ours' >mutex/run/lock
ok 'a lock of someone else' untouched mutex 1 'expected the lock of a run'
mkdir -p outside/samples
echo precious >outside/log.jsonl
cp -R straight/run/ckpt outside/ckpt
for link in log.jsonl samples ckpt; do
    cp -R straight "link-$link"
    rm -rf "link-$link/run/$link"
    ln -s "$scratch/outside/$link" "link-$link/run/$link"
done
before=$(tree outside)
for link in log.jsonl samples ckpt; do
    in_folder "link-$link" run train --resume --out run --steps 12
    ok "$link is a link: refused" one_error 1 'through links'
done
ok 'and nothing was written through it' test "$before" = "$(tree outside)"

# ---- distilling, and what does not fit ----------------------------------------

fails 2 'teacher' sample --model straight/run --sampler onestep --out s.png

# Data that is not what the teacher was made for
for other in '--image-size 16:images of 32 x 32 with 1 channel, which:found 16 x 16 with 1 (--image-size)' \
    ':10 classes, which:found 0'; do
    size=${other%%:*} rest=${other#*:}
    # shellcheck disable=SC2086 # a list of words
    fails 4 "docs/edit: expected ${rest%%:*} $root/models/fashion-mnist-edm.safetensors was made for, ${rest#*:}" \
        train --method cd --teacher "$root/models/fashion-mnist-edm.safetensors" --data "$root/docs/edit" \
        $size --steps 1 --out unlike
done
ok 'and no run was begun' missing unlike
fails 2 'consistency model' sample --model straight/run --sampler multistep --out s.png
train student --method cd --steps 2 --teacher ../straight/run
ok 'distil a run' ended_with 0
works 'the student is described' info student/run
in_folder student run train --resume --out run --steps 3 --teacher ../other/run
ok 'another teacher is refused' one_error 4 '"teacher"'
cp tiny-labels-idx1-ubyte other-labels-idx1-ubyte
cp tiny-images-idx3-ubyte other-images-idx3-ubyte
printf '\001' | dd of=other-images-idx3-ubyte bs=1 seek=16 conv=notrunc 2>dd.log
in_folder student run train --resume --out run --steps 3 \
    --data "$scratch/other-images-idx3-ubyte"
ok 'other data are refused' one_error 4 '"data"'
cp -R straight moved
in_folder student run train --resume --out run --steps 3 --teacher ../moved/run
ok 'the same one in another place is not' ended_with 0
train misfit --method cd --steps 1 --teacher ../student/run
ok 'a consistency model is no teacher' test "$code" -ne 0
train misfit --method edm --steps 1 --ema-rates 0.9,0.90
ok 'an average twice' one_error 2 'ema-rates'
ok 'the run that is there is not touched' fails_to_replace
: >file
# shellcheck disable=SC2086
fails 1 'file' train $tiny --method edm --steps 1 --out file/run
head -c 1000 tiny-images-idx3-ubyte >cut-images-idx3-ubyte
fails 4 'cut-images' train --data cut-images-idx3-ubyte --out cut
ok 'no run was made' missing cut/config.json

# ---- not a number ------------------------------------------------------------

weights=$(find "$(newest straight)/" -name '*.safetensors' | sort | head -n 1)
cp "$weights" nan.safetensors
printf '\000\000\300\177' |
    dd of=nan.safetensors bs=1 seek=$(($(wc -c <nan.safetensors) - 4)) conv=notrunc 2>dd.log
train broken --method edm --steps 5 --init ../nan.safetensors --quiet
ok 'not a number: exit code 3, one line with the step' one_error 3 'step'
ok 'and nothing of it is saved' missing broken/run/ckpt/latest

# ---- what a run survives -------------------------------------------------------

# A level of 5 is above this schedule: the grids of two steps take another.
train low --method ct --steps 2 --sigma-max 4
ok 'a low sigma-max: to the end' ended_with 0
ok 'and a grid of two steps' test -s low/run/samples/00000002_multistep.png
ok 'whose title says the step' env LC_ALL=C \
    grep -aq 'iTXtTitle.*step 2 .* multistep' low/run/samples/00000002_multistep.png

# A folder in the place of the picture.
train blocked --method edm --steps 1
mkdir -p blocked/run/samples/00000002_heun.png/x
train blocked --resume --steps 2
ok 'a grid that cannot be written: the run goes on' ended_with 0
ok 'with a warning' grep -q '^warning: no heun samples: .*00000002_heun.png' err
ok 'and it is saved' test -s blocked/run/ckpt/latest/model.safetensors
ok 'and exported' test -s blocked/run/model.safetensors

train close --method edm --steps 1 --ema-rates 0.99999999991,0.99999999992
ok 'averages of close rates' ended_with 0
ok 'have files of their own' \
    test "$(find close/run/ckpt/latest/ -name 'ema_0.9999999999?.safetensors' | wc -l)" -eq 2
works 'and the first is opened' info close/run

cp straight/run/model.safetensors first.safetensors
train begun --method edm --steps 2 --init ../first.safetensors
ok 'first weights from a file' ended_with 0
rm first.safetensors
train begun --resume --steps 3
ok 'which the run can go on without' ended_with 0
train heads --method edm --steps 1 --num-heads 8
train misfit --method cd --steps 1 --teacher ../straight/run --init ../heads/run
ok 'first weights of a network with other heads' one_error 4 'not the network of the teacher'

for channels in 16 48; do
    # shellcheck disable=SC2086
    works "--channels $channels" train $tiny --method edm --steps 1 --out "width$channels" \
        --channels $channels
done
# shellcheck disable=SC2086
fails 2 'num-heads: 48 channels of ' train $tiny --channels 48 --num-heads 5 --out narrow
# shape OPTION... TEXT: refused on the images of 16x16, naming the option and what is allowed
shape()
{
    text=$1
    shift
    # shellcheck disable=SC2086
    fails 2 "$text" train $tiny_given --channels 32 --channel-mult 1,1,1 --out narrow "$@"
}
shape 'num-heads: 7 channels of input_blocks.3.1 cannot be parted into 4 heads (allowed: a divisor of 7)' --channels 7
shape 'num-heads: 32 channels of input_blocks.3.1 cannot be parted into 3 heads (allowed: a divisor of 32)' --num-heads 3
shape 'head-channels: 32 channels of input_blocks.3.1: not a multiple of heads of 5 (allowed: a divisor of 32)' \
    --head-channels 5
shape 'channel-mult: item 1: expected a width of at least one channel and at most 1024' --channel-mult 0
shape 'channel-mult: expected 1 to ' --channel-mult ''
shape "attention-resolutions: expected heights of the levels, 16, 8, 4 (or '': the middle only), found 5" \
    --attention-resolutions 5
shape "(or '': the middle only), found 2" --attention-resolutions 4,2?,2 # divides the height
shape "attention-resolutions: item 2: expected a whole number, found '2?2'" --attention-resolutions 4,2?2
# shellcheck disable=SC2086
works 'a height where a level has it' train $tiny --channel-mult 1,1,1 --method edm --steps 1 \
    --attention-resolutions 16?,5?,4 --out marks
attends()
{
    "$cm" info --json "$1" | tr -d ' \n' | grep -qF "\"attention_resolutions\":[$2]"
}
ok 'is attended at, the others are not' attends marks 1,4
# shellcheck disable=SC2086
works 'the default, without such a level' train $tiny_given --channels 32 --channel-mult 1 --method edm \
    --steps 1 --out marks2
ok 'attends in the middle only' attends marks2 ''
cp "$root/tests/fuzz/corpus/image/progressive.jpg" "$scratch"
mkdir thirty && mv progressive.jpg thirty
fails 2 'channel-mult: 3 levels need image sides divisible by 4, thirty has 30x30 (--image-size 32x32, or fewer' \
    train --data thirty --image-size 30 --out narrow
fails 2 "fewer levels); the preset set --channels 64, --channel-mult 1,2,3, --res-blocks 2, --attention-resolutions 16?,8?" \
    train --data thirty --image-size 30 --preset base --out narrow
fails 2 'the preset set --channels 64, --res-blocks 2, --attention-resolutions 16?,8?' \
    train --data thirty --image-size 30 --preset base --channel-mult 1,1,1 --out narrow
ok 'what was typed is not said to be set' test "$(grep -c 'set.*channel-mult' err)" -eq 0
fails 2 'num-heads: 64 channels of input_blocks.3.1 cannot be parted into 3 heads (allowed: a divisor of 64); the preset set --channels 32' \
    train --data thirty --image-size 32 --preset small --num-heads 3 --attention-resolutions 16 --out narrow
fails 2 'accumulate: ' train --data thirty --image-size 30 --preset base --accumulate 3 --out narrow
ok 'which is no matter of the network' test "$(grep -c 'the preset set' err)" -eq 0
ok 'no run was made' missing narrow
train misfit --method edm --steps 1 --beta1 1
ok 'a first moment that never moves' one_error 2 'beta1'
train misfit --method cd --steps 1 --teacher ../straight/run --scale-mode progdist
ok 'progdist is gone' one_error 2 'scale-mode'

# A run without its config.json: what is there, and the next step, which works.
cp -R straight removed
rm removed/run/config.json
train removed --resume
ok 'a run without its settings' one_error 1 \
    "run/config.json: is missing beside a checkpoint, which has its settings: put there what 'cm info --json run/ckpt/latest/model.safetensors'"
"$cm" info --json removed/run/ckpt/latest/model.safetensors | sed -n '/"training": {/,/^  }/p' | sed '1s/.*/{/; $s/,$//' >removed/run/config.json
train removed --resume --steps 11
ok 'goes on with those' ended_with 0
rm -r removed/run/ckpt removed/run/config.json
train removed --resume
ok 'a model alone' one_error 1 '--init run/model.safetensors starts a new run from its weights'
rm removed/run/model.safetensors
train removed --resume
ok 'nothing to go on from' one_error 1 'run: holds neither config.json nor a whole checkpoint'
sed 's/"end-scales"/"distill-steps-per-iter": 50000, &/' straight/run/config.json >old.json
train old --config ../old.json --steps 1
ok 'a config.json that still has its option' ended_with 0

# The log of a run that went on from step 2 is that of one that was left alone: the mean of
# steps 1 to 4 too, and no line twice.
losses()
{
    sed 's/.*"step":\([0-9]*\),"loss":\([^,]*\),.*/\1 \2/' "$1/run/log.jsonl"
}
train mean --method edm --steps 8 --log-every 4 --save-every 2 --keep 9
ok 'two lines of log' test "$(losses mean | wc -l)" -eq 2
cp -R mean back
rm -r back/run/ckpt/0000000[468] back/run/model.safetensors
train back --resume
ok 'go on from step 2' ended_with 0
ok 'with the same log' test "$(losses back)" = "$(losses mean)"

# Its seconds go on too: twenty steps take longer than one.
train counted --method edm --steps 20
ok 'twenty steps' ended_with 0
train counted --resume --steps 21
ok 'and one' ended_with 0
# shellcheck disable=SC2016 # of awk
ok 'the seconds of the log go on' awk -F 'seconds":' '
    { sub(/}.*/, "", $2); if ($2 + 0 <= before) exit 1; before = $2 + 0 }
    END { if (NR != 2) exit 1 }' counted/run/log.jsonl

# What earlier versions left: ten digits of a rate in the name of its file, a mode that is
# no more.
train before --method ct --steps 1 --ema-rates 0.99990000001
mv before/run/ckpt/00000001/ema_0.99990000001.safetensors \
    before/run/ckpt/00000001/ema_0.9999.safetensors
sed -i 's/ema_0.99990000001/ema_0.9999/' before/run/ckpt/00000001/manifest.json
works 'an average with a rounded name is opened' info before/run
train before --resume --steps 2
ok 'and its run goes on' ended_with 0
sed -i 's/"scale-mode": "progressive"/"scale-mode": "progdist"/' before/run/config.json
works 'a run of a mode that is gone is opened' info before/run
train before --resume --steps 3
ok 'but does not go on' one_error 4 'scale-mode'

if "$cm" explain --model straight/run --dtype bf16 >out 2>err; then
    in_folder half run train --data "$scratch/tiny-images-idx3-ubyte" --batch 4 --channel-mult 1 \
        --steps 1 --out run
    ok 'train in what the CPU is fastest in' ended_with 0
    if grep -q '"dtype": *"bf16"' "$(newest half)/state.json"; then
        export CM_ISA=avx2
        in_folder half run train --resume --steps 2 --out run
        unset CM_ISA
        ok 'another data type is refused' one_error 4 '"dtype"'
    else
        in_folder half run train --resume --steps 2 --out run --dtype bf16
        ok 'another data type is refused' one_error 2 '"dtype"'
    fi
else
    skip 'another data type is refused' 'this CPU does not compute in bf16'
fi

# ---- pictures that are not square ----------------------------------------------

# 12 images of 24 rows and 16 columns
{ printf '\000\000\010\003\000\000\000\014\000\000\000\030\000\000\000\020'
    head -c 4608 "$root/models/fashion-mnist-cd.safetensors"; } >tall-images-idx3-ubyte
in_folder tall run train --data "$scratch/tall-images-idx3-ubyte" --method edm --steps 2 --batch 4 \
    --channel-mult 1,1 --attention-resolutions 12 --out run --dtype f32
ok 'train on images of 16x24' ended_with 0
works 'draw them' sample --model tall/run --num 3 --steps 2 --out tall.npz
works 'as teacher of a student' train --data tall-images-idx3-ubyte --method cd --steps 1 --batch 4 \
    --teacher tall/run --out tall/student --dtype f32
works 'which is described' info tall/student
ok 'with both sides' grep -q ' 16x24, 1 channel' out
works 'and drawn from' sample --model tall/student --num 2 --out tall2.npz

# ---- a classifier -----------------------------------------------------------------

# judge FOLDER OPTION...: it learns from 22 of the 24 pictures and is judged by the others
judge()
{
    folder=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    in_folder "$folder" run train --method classifier --data "$scratch/tiny-images-idx3-ubyte" \
        --batch 4 --dtype f32 --threads 1 --channels 8 --channel-mult 1,2 --ema-rates 0.5 --out run "$@"
}

judge verdict --steps 120 --lr 0.02
ok 'train a classifier' ended_with 0
ok 'on all but every tenth picture' grep -q '^22 images, 3 classes' err
ok 'which recognises what it was not shown' grep -q '^recognised 100.00% of the 2 pictures kept back' err
ok 'as the log says' grep -q '"step":120,"accuracy":1' verdict/run/log.jsonl
works 'it is described' info verdict/run/model.safetensors
ok 'as what it is' grep -q '^kind  *classifier' out
ok 'with a score that nobody takes for FID' grep -q '^score  *FD-tiny-images-idx3-ubyte' out
works 'and valid' validate verdict/run/model.safetensors
fails 2 'found a classifier' sample --model verdict/run --out x.png
fails 2 'found a classifier' sample --model verdict/run/model.safetensors --out x.png
fails 2 'found a classifier' bench --model verdict/run
# not_trained CODE TEXT OPTION...
not_trained()
{
    want=$1
    text=$2
    shift 2
    # shellcheck disable=SC2086 # a list of words
    fails "$want" "$text" train $tiny_given --steps 1 --out none "$@"
}

not_trained 4 'found a classifier' --method cd --teacher verdict/run
not_trained 2 'begins with a network that draws' --method edm --init verdict/run
not_trained 2 'begins with a classifier' --method classifier --init straight/run
not_trained 2 'score: expected FD-' --method classifier --score FID
not_trained 2 'sigma-data' --method classifier --sigma-data 1
not_trained 2 'it is for --method classifier' --method edm --score FD-x
not_trained 2 'two classes' --method classifier --data tall-images-idx3-ubyte
judge judged3 --steps 3
judge judged3 --resume --steps 6
judge judged6 --steps 6
ok 'a resumed one is that of one go' same judged3 judged6

# ---- a rise longer than the run ------------------------------------------------

train long_rise --method edm --steps 2 --lr-warmup 100
ok 'is warned of' grep -q '^warning: lr-warmup of 100 steps in a run of 2: the learning rate ends at 0.02 of lr$' err
train short_rise --method edm --steps 2 --lr-warmup 2
ok 'one that ends in time is not' test "$(grep -c warning err)" -eq 0

# ---- folders of pictures -----------------------------------------------------

"$cm" sample --model straight/run --sampler euler --steps 2 --num 3 --class 0 --out photos/a >out
"$cm" sample --model straight/run --sampler euler --steps 2 --num 3 --class 1 --out photos/b >out
in_folder pictures run train --data "$scratch/photos" --method edm --steps 1 --batch 2 \
    --channel-mult 1 --out run --sample-every 1000000000
ok 'train on a folder of PNG images' ended_with 0
works 'its classes are the folders' sample --model pictures/run --class 1 --num 1 --out b.png
fails 2 'class' sample --model pictures/run --class 2 --num 1 --out c.png

finish
