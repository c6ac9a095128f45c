#!/bin/sh
# test_sample.sh - a tiny model, trained for two steps here, and what the command
# does with it: samples into each kind of output, description, plan, raw network;
# and with damaged copies of it.
#
# usage: test_sample.sh CM MAKE_DATA MAKE_WEIGHTS
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
"$make_data" "$scratch" || exit 1

# starts_with FILE BYTES, the bytes in hexadecimal
starts_with()
{
    [ "$(head -c $((${#2} / 2)) "$1" | od -An -v -tx1 | tr -d ' \n')" = "$2" ]
}
is_png()
{
    starts_with "$1" 89504e470d0a1a0a
}

# side_of FILE OFFSET: a big-endian number below 65536 in a PNG's header
side_of()
{
    od -An -v -tu1 -j "$2" -N 4 "$1" | awk '{ print $3 * 256 + $4 }'
}

# shellcheck disable=SC2086 # $tiny is a list of words
works 'train a tiny model' train $tiny --method ct --steps 2 --out run
[ "$code" -eq 0 ] || finish || exit 1
model=run

# ---- outputs -----------------------------------------------------------------

works 'a grid' sample --model $model --num 6 --columns 3 --out grid.png --dtype f32
ok 'it is a PNG' is_png grid.png
ok 'three columns of 16 pixels and gaps' test "$(side_of grid.png 16)" -eq $((3 * 18 + 2))
ok 'two rows' test "$(side_of grid.png 20)" -eq $((2 * 18 + 2))
ok 'one line says number, time, speed and seed' \
    grep -qE '^grid.png: 6 images in [0-9.]+ s \([0-9.]+ images/s\), seed 0$' out
ok 'and nothing on stderr' test ! -s err
works 'a large grid' sample --model $model --num 6 --columns 3 --scale 4 --out large.png
ok 'four times as wide' test "$(side_of large.png 16)" -eq $((4 * (3 * 18 + 2)))
ok 'and as high' test "$(side_of large.png 20)" -eq $((4 * (2 * 18 + 2)))
works 'a grid with captions and a heading' sample --model $model --num 6 --columns 3 --scale 4 \
    --captions --heading 'six of them' --out text.png
ok 'is as wide' test "$(side_of text.png 16)" -eq $((4 * (3 * 18 + 2)))
ok 'and higher' test "$(side_of text.png 20)" -gt $((4 * (2 * 18 + 2)))
ok 'the heading is its title' grep -aq 'tEXtTitle.six of them' text.png
works 'a small grid with text' sample --model $model --num 6 --captions --out - --columns 3
ok 'on standard output' test "$(side_of out 20)" -gt $((2 * 18 + 2))
works 'an archive' sample --model $model --num 5 --out samples.npz
ok 'it is a zip file' starts_with samples.npz 504b0304
works 'a folder' sample --model $model --num 5 --class 1 --out folder
ok 'of five files' test "$(find folder -type f | wc -l)" -eq 5
is_folder_of_png()
{
    for file in folder/*; do
        is_png "$file" || return 1
    done
}
ok 'all PNG' is_folder_of_png
for sampler in onestep 'multistep --sigmas 80,0.8' 'multistep --ts 0,1,2 --steps 3'; do
    # shellcheck disable=SC2086
    works "sampler $sampler" sample --model $model --num 2 --out s.png --sampler $sampler
done
teacher=$root/models/fashion-mnist-edm.safetensors
for sampler in 'euler --steps 3' 'heun --steps 3 --s-churn 1' 'dpm2 --steps 2 --s-churn 1' \
    'ancestral --steps 3' dpm-solver++2m 'dpm-solver++3m --steps 5'; do
    # shellcheck disable=SC2086
    works "sampler $sampler" sample --model "$teacher" --num 2 --out s.png --sampler $sampler
    # shellcheck disable=SC2086
    fails 2 'diffusion teacher' sample --model $model --num 2 --out bad.png --sampler $sampler
done
fails 2 'consistency model' sample --model "$teacher" --sampler onestep --out bad.png
fails 2 'steps' sample --model $model --sampler multistep --steps 4 --out bad.png
works 'the plan of a step, timed' explain --model "$teacher" --method edm --batch 8 --profile
# The share of each step whose speed has digits enough, from that and the machine's.
shares()
{
    machine=$(sed -n 's/^  machine: \([0-9]*\) GFLOP.* \([0-9.]*\) GB.s copied.*/\1 \2/p' out | head -n 1)
    awk -v flops="${machine% *}" -v bytes="${machine#* }" '
        $NF !~ /^[0-9.]+$/ { next }
        $(NF - 1) == "GFLOP/s" && $(NF - 2) >= 10 { n++; compare($(NF - 2) / flops, $NF) }
        $(NF - 1) == "GB/s" && $(NF - 2) >= 1 { m++; compare($(NF - 2) / bytes, $NF) }
        function compare(want, found) {
            if (found < 0.92 * want - 0.006 || found > 1.08 * want + 0.006) bad = 1
        }
        END { exit bad || n < 3 || m < 3 }' out
}
ok 'with shares of the speed of the machine' shares
ok 'with an update that had a gradient' grep -qE ' radam .* [0-9]+\.[0-9]*[1-9][0-9]* +[0-9.]+%' out
works 'bench, as JSON' bench --model $model --work onestep --batch 2 --dtype f32 --json
ok 'with its keys' grep -q '"efficiency"' out
# number KEY: of the only row
number()
{
    sed -n "s/.*\"$1\": \([-+0-9.e]*\).*/\1/p" out
}
# near A B: within a thousandth
near()
{
    awk "BEGIN { a = $1; b = $2; exit !(a > 0 && b > 0 && a / b < 1.001 && b / a < 1.001) }"
}
ok 'with the share of the peak' near "$(number peak_share)" \
    "$(number gflop) / ($(number ms) / 1000) / $(number peak_gflops)"
ok 'with the share of the memory' near "$(number memory_share)" "$(number memory_floor_ms) / $(number ms)"
works 'bench, as lines' bench --model $model --work onestep --batch 2 --dtype f32 --threads 1
ok 'headed by the machine' grep -qE 'with 1 thread [0-9]+ GFLOP/s of f32 multiply-adds, [0-9.]+ GB/s copied$' out
ok 'and the shares' grep -qE ' efficiency of peak of memory ' out
works 'bench of all there is' bench --model $model --batch 2 --dtype f32 --threads 1
ok 'sampling and six methods' test "$(grep -c '^[a-z-]* .* f32  *2 ' out)" -eq 7
works 'bench of a network that has no weights' bench --config "$root/bench/networks/wide.json" \
    --work onestep --batch 1 --dtype f32
echo '{"type":"adm","image_size":32,"in_channels":1,"out_channels":1,"model_channels":33,
    "num_res_blocks":1,"channel_mult":[1,2],"attention_resolutions":[2]}' >odd.json
works 'a width that 32 groups do not divide' bench --config odd.json --work onestep --batch 1 \
    --dtype f32
sed 's/"channel_mult"/"num_head_channels":32,&/' odd.json >heads.json
fails 4 'head-channels: 66 channels of ' bench --config heads.json
sed 's/"channel_mult"/"num_heads":4,&/' odd.json >heads.json
fails 4 'num-heads: 66 channels of ' bench --config heads.json
sed 's/"out_channels":1/"out_channels":3/; s/33/32/' odd.json >channels.json
fails 4 '"out_channels"' bench --config channels.json
sed 's/"attention_resolutions":\[2\]/"attention_resolutions":[0]/; s/33/32/' odd.json >attention.json
fails 4 '"attention_resolutions"' bench --config attention.json
fails 2 'work' bench --model $model --work nothing
fails 2 'steps' sample --model $model --sampler onestep --steps 4 --out s.png
fails 2 's-churn' sample --model "$teacher" --sampler euler --s-churn 1 --out s.png

# ---- image i depends on the seed and i only -----------------------------------

# grid NAME OPTION...: the same seven images
grid()
{
    name=$1
    shift
    run sample --model "$model" --num 7 --seed 5 --dtype f32 --sampler multistep --sigmas 80,2,0.5 \
        --out "$name" "$@"
}
grid one.png --batch 1 --threads 1
for options in '--batch 3 --threads 1' '--batch 16 --threads 1' '--batch 1 --threads 2' \
    '--batch 16 --threads 2'; do
    # shellcheck disable=SC2086
    grid other.png $options
    ok "same images with $options" cmp one.png other.png
done
grid other.png --seed 6
ok 'other images with another seed' test "$(cmp -s one.png other.png; echo $?)" -eq 1
# Two steps teach nothing about classes; a network with random weights knows them.
golden_weights adm_imagenet64_like
model=adm_imagenet64_like.safetensors
grid one.png --class 2
grid other.png --class 3
ok 'other images with another class' test "$(cmp -s one.png other.png; echo $?)" -eq 1
model=run

# Labels at random, all along the way.
run sample --model "$root/models/fashion-mnist-cd.safetensors" --class random --num 128 --out many
labels()
{
    find many -name '*.png' | sort | sed 's/.*class//' | sed -n "$1,$2p" | tr '\n' ' '
}
ok 'the second 64 labels are not the first' test "$(labels 1 64)" != "$(labels 65 128)"
ok 'and there are ten' test "$(labels 1 128 | tr ' ' '\n' | sort -u | grep -c png)" -eq 10

# ---- where it goes -------------------------------------------------------------

grid one.png --batch 1
works 'an upper-case suffix' sample --model $model --num 2 --out UPPER.PNG
ok 'is a grid' is_png UPPER.PNG
works 'an upper-case archive' sample --model $model --num 2 --out UPPER.NPZ
ok 'is a zip file' starts_with UPPER.NPZ 504b0304
works 'a JPEG' sample --model $model --num 2 --out x.JPG
ok 'is one' starts_with x.JPG ffd8ff
# width and height of a PNG
png_size()
{
    od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'
}
# frames of a GIF, by their control extensions
gif_frames()
{
    od -An -v -tx1 "$1" | tr -d ' \n' | grep -o 21f904 | wc -l
}
works 'a trajectory' sample --model $model --num 2 --sampler multistep --sigmas 80,5 \
    --trajectory both --out way.png
# three columns; two rows an image of 16 + 2 pixels and a caption of 11; a heading of 11 a line
high=$(png_size way.png)
high=${high#56 }
ok 'is a row an image and view, a column a level' test "$high" -ge $((129 + 3 * 11))
ok 'whose heading is whole' test $(((high - 129) % 11)) -eq 0
works 'a trajectory as GIF' sample --model $model --num 2 --sampler multistep --sigmas 80,5 \
    --trajectory state --out way.gif
ok 'is one' starts_with way.gif 47494638
ok 'has a frame a level, and the images' test "$(gif_frames way.gif)" = 3
works 'images as GIF' sample --model $model --num 5 --out frames.gif
ok 'are frames' test "$(gif_frames frames.gif)" = 5
# gif_size FILE: width and height, of which the low bytes are 7th and 9th
gif_size()
{
    od -An -v -tu1 -j 6 -N 4 "$1" | awk '{ print $1 + 256 * $2, $3 + 256 * $4 }'
}
ok 'of an image without a border each' test "$(gif_size frames.gif)" = '16 16'
works 'two rows of a GIF' sample --model $model --num 6 --columns 3 --out rows.gif
ok 'have gaps' test "$(gif_size rows.gif)" = '38 20'
works 'text' sample --model $model --num 2 --captions --out text.gif
ok 'and captions' test "$(gif_size text.gif)" = '20 31'
works 'a trajectory to standard output' sample --model $model --num 1 --trajectory estimate --out -
ok 'is a PNG' starts_with out 89504e47
works 'a WebP' sample --model $model --num 2 --out x.webp
ok 'is one too' starts_with x.webp 52494646
grid - --batch 1
ok 'standard output has the bytes of the file' cmp out one.png
ok 'and the line goes elsewhere' grep -q '^-: 7 images' err
shipped=$root/models/fashion-mnist-cd.safetensors
works 'ten at once' sample --model "$shipped" --num 10 --class random --out whole
works 'six' sample --model "$shipped" --num 6 --class random --out parts
cp -R parts before
fails 2 'holds samples up to number 5' sample --model "$shipped" --num 4 --out parts
ok 'nothing of it has changed' diff -r parts before
works 'and four more' sample --model "$shipped" --num 4 --class random --out parts --continue
ok 'are the ten' diff -r whole parts
# What was drawn is there, and what follows is as if nothing had happened.
"$cm" sample --model "$shipped" --sampler multistep --sigmas 80,5 --num 20000 --class 4 --batch 2 \
    --out half >out 2>err &
drawing=$!
for _ in $(seq 600); do
    [ ! -f half/000004_class4.png ] || break
    sleep 0.1
done
kill -INT $drawing
code=0
wait $drawing || code=$?
ok 'a run that is stopped ends with 130' test $code = 130
made=$(find half -name '*_class4.png' | wc -l)
ok 'and says how much there is' grep -q "half: stopped after $made of 20000 images; --continue" err
# Of long work there is a word every ten seconds, unless none is wanted.
for how in no-quiet quiet; do
    "$cm" sample --model "$shipped" --num 100000 --batch 2 --threads 1 --out $how.npz --$how \
        >out 2>$how.err &
    drawing=$!
    sleep 12
    kill -INT $drawing
    wait $drawing || true
done
ok 'long work shows itself' grep -q '^drawing .*%  ETA ' no-quiet.err
ok 'and does not with --quiet' test "$(wc -l <quiet.err)" = 1
ok 'nothing is half written' test ! -e quiet.npz
works 'two more' sample --model "$shipped" --sampler multistep --sigmas 80,5 --num 2 --class 4 \
    --out half --continue
works 'the same at once' sample --model "$shipped" --sampler multistep --sigmas 80,5 --class 4 \
    --num $((made + 2)) --out full
ok 'are the same' diff -r half full
fails 2 "'first' and 'continue'" sample --model "$shipped" --out parts --continue --first 3
works 'the last three by number' sample --model "$shipped" --num 3 --class random --first 7 --out last
is_part()
{
    for file in "$1"/*; do
        cmp "$file" "$2/$(basename "$file")" || return 1
    done
}
ok 'are the same too' is_part last whole
# Whatever the value, the default too.
for given in 's-churn 0' 's-churn 1' 's-tmin 0' 's-tmax 1e6' 's-noise 0.5' 's-noise 1'; do
    for sampler in onestep multistep; do
        # shellcheck disable=SC2086
        fails 2 "option '${given% *}': has no effect here, it is for the heun and dpm2 samplers" \
            sample --model "$shipped" --sampler $sampler --out s.png --$given
    done
    for sampler in euler ancestral dpm-solver++2m dpm-solver++3m; do
        # shellcheck disable=SC2086
        fails 2 "option '${given% *}': has no effect here, it is for the heun and dpm2 samplers" \
            sample --model "$teacher" --sampler $sampler --out s.png --$given
    done
done
for given in 's-tmax 5' 's-tmin 0' 's-noise 1'; do
    # shellcheck disable=SC2086
    fails 2 "option '${given% *}': has no effect here, it is for the heun and dpm2 samplers with --s-churn" \
        sample --model "$teacher" --sampler heun --out s.png --$given
done
works 'but no churn is an answer' sample --model "$teacher" --sampler heun --steps 2 --num 1 \
    --s-churn 0 --out s.png
for steps in 0 9; do
    fails 2 "option 'steps': has no effect here, --sigmas" \
        sample --model "$shipped" --sigmas 80,5 --steps $steps --out s.png
done
fails 2 'steps: expected 1 or 2, found 9' sample --model "$shipped" --sampler multistep --steps 9 --out s.png
fails 2 "options 'first' and 'continue'" sample --model "$shipped" --first 0 --continue --out last
works 'more threads than cores' sample --model $model --num 1 --threads 500 --out s.png
ok 'are warned of' grep -qE '^cm: warning: 500 threads on [0-9]+ cores' err
works 'as many as there are' sample --model $model --num 1 --threads 1 --out s.png
ok 'are not' test ! -s err

# ---- wrong requests ----------------------------------------------------------

fails 2 'class' sample --model $model --class 3 --out bad.png
fails 2 'class' sample --model $model --class -1 --out bad.png
fails 2 'class' sample --model $model --class one --out bad.png
fails 2 'sigmas' sample --model $model --sampler multistep --sigmas 0.8,80 --out bad.png
# shellcheck disable=SC2086 # a list of words
works 'train without classes' train $tiny --method ct --steps 1 --classes none --out plain
for class in all random 1; do
    fails 2 'class' sample --model plain --class $class --out bad.png
    ok "--class $class: no classes" grep -q 'this model has no classes' err
done
works 'the default is no mistake' sample --model plain --num 1 --out s.png
fails 2 'ts' sample --model $model --sampler multistep --ts 0,x --out bad.png
fails 2 'multistep' sample --model "$teacher" --sampler euler --sigmas 80,0.8 --out bad.png
ok 'nothing was made' missing bad.png
: >file
: >s.png
works 'an empty file is replaced' sample --model $model --num 1 --out s.png
works 'a picture too' sample --model $model --num 1 --out s.png
works 'an archive' sample --model $model --num 1 --out s.npz
works 'by another' sample --model $model --num 1 --out s.npz
echo 'my notes' >notes.png
cp notes.png notes.npz
for file in notes.png notes.npz; do
    fails 2 "$file: holds text, which would be replaced" sample --model missing --num 1 --out $file
    ok 'it stays' test "$(cat $file)" = 'my notes'
done
cp s.png picture.npz
fails 2 'picture.npz: holds PNG' sample --model missing --out picture.npz
fails 1 'file/x.png' sample --model $model --out file/x.png
fails 1 'file/x.npz' sample --model $model --out file/x.npz
fails 1 'file' sample --model $model --out file/x
fails 1 'file is not a folder' sample --model missing --out file/x # before the model is opened
fails 1 'nowhere: No such' sample --model missing --out nowhere/x.png
fails 2 "or .safetensors, or a folder; found '.bmp'" sample --model missing --out x.bmp
fails 2 "option 'trajectory': has no effect" sample --model missing --out x.npz --trajectory state
fails 2 "option 'columns': has no effect" sample --model missing --out x.png --columns 2 \
    --trajectory state
fails 2 'expected state|estimate|both' sample --model missing --out x.png --trajectory all
fails 2 "found '.TiFF'" sample --model missing --out x.TiFF
fails 1 'file: is not a folder' sample --model missing --out file
fails 2 'columns' sample --model missing --out folder2 --columns 2
fails 2 'columns' sample --model missing --out x.NPZ --columns 2
for option in scale=2 captions no-captions heading=x; do
    fails 2 "option '$(echo "$option" | sed 's/no-//; s/=.*//')': has no effect" \
        sample --model missing --out folder2 --$option
    fails 2 "has no effect here, it is for a grid" sample --model missing --out x.npz --$option
done
fails 2 'scale' sample --model missing --out x.png --scale 33
fails 2 "'heading': expected UTF-8" sample --model $model --out x.png --heading "$(printf 'a\377')"
fails 2 'continue' sample --model missing --out x.png --continue
ok 'the folder was not made' missing nowhere
mkdir taken.png
fails 1 'taken.png' sample --model $model --out taken.png
ok 'nothing is left in it or beside it' test -z "$(find . -name '*tmp*' -o -path './taken.png/*')"

# ---- looking inside ----------------------------------------------------------

works 'describe the run' info $model
ok 'it says the size' grep -q '16' out
ok 'and what packed weights take' grep -qE '^    packed-bytes +[1-9][0-9]*$' out
checkpoint=$(find run -name '*.safetensors' -size +0 | sort | head -n 1)
works 'describe a file of it' info "$checkpoint"
works 'the plan of sampling' explain --model $model --batch 2
ok 'it names a convolution' grep -q conv2d out
works 'the plan of a training step, timed' explain --model $model --method ct --batch 2 --profile
ok 'it names the gradient of a convolution' grep -q conv2d_grad out
golden_weights adm_conv_resample
weights="$goldens/adm_lsun_like.weights.safetensors"
cp "$weights" adm_lsun_like.safetensors
for network in adm_lsun_like adm_imagenet64_like adm_conv_resample; do
    works "raw network $network" forward --model $network.safetensors \
        --input "$goldens/$network.io.safetensors" --output $network.out.safetensors
    works 'its output can be read' info $network.out.safetensors
done
fails 4 'x' forward --model "$weights" --input "$goldens/adm_conv_resample.io.safetensors" \
    --output bad
fails 4 'io.safetensors' forward --model "$weights" \
    --input "$goldens/adm_lsun_like.io.safetensors" --output bad --config \
    "$goldens/adm_lsun_like.io.safetensors"
config='{"image_size": 16, "in_channels": 3, "model_channels": 64, "out_channels": 3,
    "num_res_blocks": 1, "attention_resolutions": [2], "channel_mult": [1, 1],
    "num_classes": null, "num_head_channels": 16, "use_scale_shift_norm": false,
    "resblock_updown": true}'
echo "$config" >wide.json
fails 4 'time_embed.0.weight' forward --model "$weights" --config wide.json \
    --input "$goldens/adm_lsun_like.io.safetensors" --output bad
ok 'nothing was made' missing bad

# ---- outputs whose names are links ----------------------------------------------

student=$root/models/fashion-mnist-cd.safetensors
mkdir -p behind
for output in a.png a.gif a.npz n.safetensors; do
    case $output in
    n.*) to="--save-noise $output --out x.png" ;;
    *) to="--out $output" ;;
    esac
    # shellcheck disable=SC2086 # options
    works "$output" sample --model "$student" --num 2 $to
    mv "$output" "behind/$output"
    cp "behind/$output" kept
    ln -s "behind/$output" "$output"
    # shellcheck disable=SC2086
    works "$output, a link" sample --model "$student" --num 2 --seed 1 $to
    ok 'is a file now' test -f "$output" -a ! -L "$output"
    ok 'and what it led to is as it was' cmp "behind/$output" kept
    ok 'which is another' test "$(cmp -s "$output" kept || echo other)"
done
ln -s behind linked
works 'a folder may be a link' sample --model "$student" --num 1 --out linked
ok 'images go where it leads' test -n "$(find behind -name '000000*.png')"

# ---- damaged models ----------------------------------------------------------

size=$(wc -c <"$weights")
for keep in 0 7 8 100 $((size / 2)) $((size - 1)); do
    head -c "$keep" "$weights" >cut.safetensors
    fails 4 'cut.safetensors' sample --model cut.safetensors --out bad.png
done
fails 4 'cut.safetensors' info cut.safetensors
# The last four bytes become the f32 that is not a number.
cp "$weights" nan.safetensors
printf '\000\000\300\177' | dd of=nan.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2>dd.log
fails 3 '' sample --model nan.safetensors --out bad.png
ok 'no image was made' missing bad.png

finish
