#!/bin/sh
# test_edit.sh - cm edit: each task by the command, where its results go, what the bytes of a
# result must be, and what is refused
#
# usage: test_edit.sh CM MAKE_DATA MAKE_WEIGHTS
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/check.sh"
student=$root/models/fashion-mnist-cd.safetensors
teacher=$root/models/fashion-mnist-edm.safetensors
pictures=$root/docs/edit
boot=$pictures/boot.png
quick='--class 9 --sigmas 80,5 --dtype f32' # of the student

# edit TASK OPTION...: with the student, in two steps
edit()
{
    task=$1
    shift
    # shellcheck disable=SC2086 # a list of words
    run edit "$task" --model "$student" $quick "$@"
}

# side_of FILE OFFSET: a big-endian number below 65536 in a PNG's header
side_of()
{
    od -An -v -tu1 -j "$2" -N 4 "$1" | awk '{ print $3 * 256 + $4 }'
}
# size_of FILE WIDTH HEIGHT
is_size()
{
    [ "$(side_of "$1" 16)" -eq "$2" ] && [ "$(side_of "$1" 20)" -eq "$3" ]
}
says()
{
    grep -qE -e "$1" out
}

# ---- a task each ---------------------------------------------------------------

edit inpaint --image "$boot" --box 8,8,12,12 --out one.png
ok 'inpaint' succeeded
ok 'is one picture of the model' is_size one.png 32 32
ok 'a line says what was done' says '^one.png: inpaint, 1 image in [0-9.]+ s, seed 0$'
edit upscale --image "$boot" --factor 4 --out up.png
ok 'upscale' succeeded
edit stroke --image "$boot" --out stroke.png
ok 'stroke' succeeded
run edit vary --model "$student" --image "$boot" --class 9 --num 3 --out vary.png
ok 'vary' succeeded
ok 'are three in a square' is_size vary.png 70 70
run edit denoise --model "$student" --image "$boot" --class 9 --out denoise.png
ok 'denoise' succeeded
ok 'says what it takes for noise' says 'sigma 0\.[0-9]+ \(estimated\)'
run edit denoise --model "$student" --image "$boot" --class 9 --sigma 0.2 --out denoise.png
ok 'denoise by a given level' succeeded
edit interpolate --seed 1 --to-seed 2 --frames 5 --out way.png
ok 'interpolate between seeds' succeeded
ok 'is a row' is_size way.png $((5 * 34 + 2)) 36
edit interpolate --seed 1 --to-seed 2 --frames 3 --out frames
ok 'into a folder' succeeded
edit interpolate --seed 1 --to-seed 2 --frames 2 --out frames
ok 'not among the images of another' one_error 2 'frames: holds images up to number 2'
run edit interpolate --model "$student" --teacher "$teacher" --steps 6 --image "$boot" \
    --to "$pictures/sneaker.png" --class 9,7 --frames 4 --out way.png
ok 'interpolate between pictures' succeeded
run edit invert --model "$teacher" --steps 6 --image "$boot" --class 9 --out noise.safetensors
ok 'invert' succeeded
ok 'says how well it comes back' says 'back with an error of 0\.[0-9]+ \(rms\), [0-9.]+ at most'
ok 'without a word where that is well' test ! -s err
run edit invert --model "$teacher" --steps 3 --image "$boot" --class 9 --out few.npz
ok 'and in too few steps with one' grep -qE \
    '^cm: warning: the noise of 1 of 1 picture leads back to another picture \(rms above 0.25; worst .*boot.png, 0.4[0-9]\)' err
ok 'and that an archive has no noise' grep -qF \
    'cm: warning: few.npz: holds the images that the noise leads back to; the noise itself is kept in X.safetensors alone' err
run info noise.safetensors
ok 'noise and images' test "$(grep -cE 'noise|images' out)" -ge 2

# bytes_of FILE N: the last N bytes, those of the images
bytes_of()
{
    tail -c "$2" "$1" | cksum
}
run sample --model "$teacher" --steps 6 --noise noise.safetensors --out back.safetensors
ok 'images of that noise, as many, of its class' succeeded
ok 'are those that it leads back to' test "$(bytes_of noise.safetensors 1024)" = "$(bytes_of back.safetensors 1024)"
run edit invert --model "$student" --teacher "$teacher" --steps 3 --image "$pictures" \
    --out two.safetensors
run sample --model "$student" --noise two.safetensors --out back.safetensors
ok 'the same of several pictures, by a consistency model' \
    test "$(bytes_of two.safetensors 4096)" = "$(bytes_of back.safetensors 4096)"
fails 2 "option 'seed': has no effect here" sample --model "$student" --noise two.safetensors \
    --seed 1 --out x.png
for seed in 0 1; do
    works "noise of seed $seed is added" sample --model "$student" --noise two.safetensors --num 1 \
        --sampler multistep --sigmas 80,5 --seed $seed --out seed$seed.png
done
ok 'and is another' test "$(cmp -s seed0.png seed1.png; echo $?)" -eq 1
# Image i is of noise i, wherever a run begins.
LC_ALL=C sed 's/"labels":/"others":/' two.safetensors >plain.safetensors
for noise in 'plain.safetensors --class 9' two.safetensors; do
    rm -rf whole parts
    # shellcheck disable=SC2086 # a list of words
    {
    works 'all at once' sample --model "$student" --noise $noise --out whole
    works 'one' sample --model "$student" --noise $noise --num 1 --out parts
    works 'and the rest' sample --model "$student" --noise $noise --continue \
        --out parts
    }
    ok 'are the same' diff -r whole parts
done
n=$(find whole -name '*.png' | wc -l)
last=$((n - 1))
works 'the last alone' sample --model "$student" --noise two.safetensors --first $last --out last
ok 'is the last of all' cmp last/*.png "$(find whole -name '*.png' | sort | tail -n 1)"
fails 2 "two.safetensors: expected noise for image $n, the first to draw, found $n noises" sample \
    --model "$student" --noise two.safetensors --first "$n" --out x.png
fails 2 "option 'num': expected at most 1, the noises of two.safetensors from $last on, found 2" sample \
    --model "$student" --noise two.safetensors --first $last --num 2 --out x.png
fails 2 "option 'num': expected at most 1, the noises of noise.safetensors from 0 on, found 2" \
    sample --model "$student" --noise noise.safetensors --num 2 --out x.png
works 'a folder beside the noise' sample --model "$student" --noise noise.safetensors --num 1 --out .
ok 'has its image' test -s 000000_class9.png
rm 000000_class9.png
fails 2 'is the noise itself' sample --model "$student" --noise two.safetensors --out two.safetensors
LC_ALL=C sed 's/"images":/"others":/' two.safetensors >alone.safetensors
cp "$student" weights.safetensors
for file in alone weights; do
    cp $file.safetensors kept
    fails 2 "$file.safetensors: holds tensors (.safetensors), which would be replaced" \
        sample --model "$student" --num 1 --out $file.safetensors
    ok 'and are not' cmp kept $file.safetensors
done
fails 4 "boot.png: header" sample --model "$student" --noise "$boot" --out x.png
fails 4 'expected a tensor "noise", F32 [N,32,32,1], as cm edit invert writes it; found 167 tensors' \
    sample --model "$student" --noise "$student" --out x.png
fails 4 'tensor "noise": expected F32 [N,32,32,3] of this model' sample \
    --model "$root/models/emoji-cd.safetensors" --noise noise.safetensors --out x.png
noise_with() # noise_with OFFSET BYTES: bad.safetensors is noise.safetensors with these of its data
{
    cp noise.safetensors bad.safetensors
    # shellcheck disable=SC2059 # the bytes are the format
    printf "$2" | dd of=bad.safetensors bs=1 conv=notrunc 2>dd.err \
        seek=$((8 + $(od -An -v -tu8 -N 8 noise.safetensors) + $1))
    run sample --model "$student" --noise bad.safetensors --out "${3:-x.png}"
}
noise_with 12 '\300\177' drawn.png
ok 'another number' succeeded
noise_with 10 '\300\177'
ok 'a number that is none' one_error 4 'bad.safetensors: tensor "noise": element 0: expected a finite number'
noise_with 0 '\012'
ok 'a class that is none' one_error 4 'tensor "labels": element 0: expected a class of this model, 0 to 9 (-1: none), found 10'
two=$(od -An -v -tu8 -N 8 two.safetensors | tr -d ' ')
cp two.safetensors bad.safetensors
printf '\377\377\377\377\377\377\377\377' | dd of=bad.safetensors bs=1 conv=notrunc 2>dd.err seek=$((8 + two + 8))
fails 4 'tensor "labels": element 1: expected a class of each noise, or -1 of all, found -1 after' \
    sample --model "$student" --noise bad.safetensors --out x.png
fails 2 "option 'heading': has no effect here, the frames of a strip have their own" edit vary \
    --model "$student" --image "$boot" --strip --heading Hello --out x.gif
fails 2 "option 'heading': has no effect here, the frames of a trajectory have their own" sample \
    --model "$student" --trajectory state --heading Hello --out x.gif
mkdir place
fails 1 'place: expected a regular file, found a folder' sample --model "$student" --noise place --out place/x.png
for change in 's/"noise":/"Noise":/' 's/"F32"/"U32"/' 's/\[1,32,32,1\]/[1,16,64,1]/'; do
    LC_ALL=C sed "$change" noise.safetensors >bad.safetensors
    fails 4 'F32 [N,32,32,1]' sample --model "$student" --noise bad.safetensors --out x.png
done
ok 'nothing was drawn' missing x.png

run edit invert --model "$student" --teacher "$teacher" --steps 6 --image "$boot" --class 9 \
    --strip --out strip.png
ok 'invert for a consistency model' succeeded
ok 'input, noise and back' test "$(side_of strip.png 16)" -eq $((3 * 34 + 2))
cat >colour.json <<'END'
{"type":"adm","image_size":32,"in_channels":3,"out_channels":3,"model_channels":32,
 "num_res_blocks":1,"channel_mult":[1,1],"attention_resolutions":[],"num_heads":1,
 "use_scale_shift_norm":true,"resblock_updown":false}
END
golden_weights adm_lsun_like
run edit colorize --model adm_lsun_like.safetensors --image "$boot" --sigmas 80,5 --out colour.png
ok 'colorize' succeeded
edit upscale --image colour.png --out up.png
ok 'a picture of half the size, in colour, goes to its double by itself' succeeded
ok 'in gray' is_size up.png 32 32
run edit inpaint --model "$teacher" --steps 3 --image "$boot" --box 8,8,12,12 --class 9 --out t.png
ok 'inpaint by a teacher' succeeded

# ---- the bytes -----------------------------------------------------------------

# Around the box the picture itself: of a mask that fills nothing that is seen to differ.
run edit vary --model "$student" --image "$boot" --class 9 --out changed.png --scale 3
ok 'a large picture' is_size changed.png 96 96
edit inpaint --image "$boot" --box 8,8,12,12 --out again.png
ok 'the same bytes again' cmp one.png again.png
edit inpaint --image "$boot" --box 8,8,12,12 --out again.png --seed 1
ok 'others with another seed' test "$(cmp -s one.png again.png; echo $?)" -eq 1
edit inpaint --image one.png --box 10,10,12,12 --out again.png
ok 'a result is a picture; the same box of it has the same frame' succeeded
"$cm" edit inpaint --model "$student" --class 9 --sigmas 80,5 --dtype f32 --image "$boot" \
    --mask again.png --out masked.png >out 2>err
ok 'any picture is a mask' test -s masked.png

# ---- where it goes -------------------------------------------------------------

edit inpaint --image "$boot" --box 8,8,12,12 --num 3 --strip --scale 2 --out strip.png
ok 'a strip' succeeded
ok 'of input, what is told and three' test "$(side_of strip.png 16)" -eq $((2 * (5 * 34 + 2)))
mkdir folder
cp "$boot" folder/b.png
cp "$pictures/coat.png" folder/a.png
echo text >folder/notes.txt
edit inpaint --image folder --box 8,8,12,12 --num 2 --out results
ok 'a folder' succeeded
ok 'what is no picture is left out' grep -q '^cm: left out: folder/notes.txt' err
for name in a_1 a_2 b_1 b_2; do
    ok "results/$name.png" is_size results/$name.png 32 32
done
ok 'and no more' test "$(find results -type f | wc -l)" -eq 4
ok 'as if alone' cmp results/b_1.png one.png

# Subfolders are entered as cm data enters them, what is no picture is left out with a word.
mkdir -p deep/9/more deep/other deep/.git
cp folder/b.png deep
cp folder/b.png deep/9
cp folder/b.png deep/9/more/c.png
cp folder/a.png deep/other/b.png
cp folder/b.png deep/.hidden.png
cp folder/b.png deep/.git
mkfifo deep/9/pipe.png
ln -s /dev/null deep/device
ln -s ../.. deep/9/up
: >deep/empty.png
for out in deep1 new/deep2; do
    run edit vary --model "$student" --sigmas 2 --dtype f32 --image deep/ --out $out
    ok "a folder with folders: $out" succeeded
    (cd $out && find . -type f | sort) >found
    printf './%s.png\n' 9/b 9/more/c b other/b | cmp - found
    ok 'in the same subfolders' test $? -eq 0
done
for line in 'deep/9/pipe.png: expected a regular file' 'deep/device: expected a regular file' \
    'deep/9/up: a link to a folder above' 'deep/empty.png: expected a PNG, JPEG or WebP image, found: empty'; do
    ok "without $line" grep -qF "cm: left out: $line" err
done
ok 'and what is hidden' \
    grep -qx 'cm: left out of deep/: 2 hidden files, the first of them .git' err
ok 'nothing else is said' test "$(wc -l <err)" -eq 5
ok 'classes by the folders' says ', classes of 2 of 4 pictures by their folders, seed 0$'
run edit vary --model "$student" --sigmas 2 --dtype f32 --class 9 --image "$boot" --out nine.png
ok 'a folder called 9 is class 9' cmp new/deep2/9/more/c.png nine.png
run edit vary --model "$student" --sigmas 2 --dtype f32 --class 3 --image deep --out three
ok 'but where --class says another' test "$(cmp -s three/9/b.png nine.png; echo $?)" -eq 1
ok 'which all have' cmp three/9/b.png three/b.png
run edit vary --model "$student" --sigmas 2 --dtype f32 --image "$boot" --out told.png
ok 'without a folder of a class it is told from the picture' cmp new/deep2/b.png told.png
for task in denoise 'invert --steps 3'; do
    model=$student
    test "$task" = denoise || model=$teacher
    # shellcheck disable=SC2086 # a list of words
    run edit $task --model "$model" --dtype f32 --image deep --out classes.safetensors
    ok "${task%% *}: classes by the folders" says 'classes of 2 of 4 pictures by their folders'
done
for out in deep deep/9/made deep/9/not/yet .; do
    edit inpaint --image deep --box 8,8,12,12 --out $out
    ok "not into or over the inputs: $out" one_error 2 'is the input itself or among the inputs'
done
ok 'nor is a folder made there' missing deep/9/not

# One at a time writes to a folder: the second is refused, and the first goes on.
"$cm" edit vary --model "$student" --sigmas 2 --class 9 --image "$boot" --num 2000 --out shared >first 2>&1 &
first=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    test -d shared && break
    sleep 0.2
done
edit vary --image "$boot" --class 3 --out shared
ok 'a second one into a folder' one_error 1 'shared: another cm edit writes to this folder'
kill -INT $first
wait $first
ok 'a first one that is stopped' test $? -eq 130
ok 'says so' grep -q '^cm: shared: stopped' first
ok 'and leaves nothing' test "$(find shared -name '.tmp*' 2>/dev/null | wc -l)" -eq 0
edit inpaint --image folder --box 8,8,12,12 --num 2 --out rows.png
ok 'a row a picture' is_size rows.png 70 70
edit inpaint --image folder --box 8,8,12,12 --out all.npz
ok 'arrays' test -s all.npz
edit inpaint --image folder --box 8,8,12,12 --out set.safetensors
run data set.safetensors
ok 'a packed set' grep -q '2 images' out
edit inpaint --image folder --box 8,8,12,12 --num 2 --out -
ok 'to standard output' succeeded
ok 'nothing but the picture, as in a file' cmp out rows.png
ok 'what was done is said beside it' grep -qE '^-: inpaint, 4 images in [0-9.]+ s, seed 0$' err
edit inpaint --image "$boot" --box 8,8,12,12 --out -
ok 'one picture too' cmp out one.png
edit inpaint --image "$boot" --box 8,8,12,12 --num 3 --strip --scale 2 --out -
ok 'and a strip' cmp out strip.png
ok 'no folder of that name' missing ./-
mkdir tmp
for command in "edit vary --class 9 --sigmas 2 --image $boot" sample; do
    # shellcheck disable=SC2086 # a list of words
    { TMPDIR=tmp "$cm" $command --model "$student" --num 200 --scale 8 --out - 2>err; echo $? >code; } | head -c 10 >out
    ok "${command%% *}: a reader that has enough" grep -qxE '1|141' code
    ok 'is told of, not that all was written' test "$(grep -c ' images in ' err)" -eq 0
    ok 'and leaves no file' test "$(find tmp -type f | wc -l)" -eq 0
done
edit inpaint --image "$boot" --box 8,8,12,12 --columns 3 --out wide.png
ok 'columns of one picture are those of a grid' test "$(side_of wide.png 16)" -gt 32
edit inpaint --image folder --box 8,8,12,12 --out folder
ok 'not over the input' one_error 2 'is the input itself'
edit inpaint --image folder --box 8,8,12,12 --out folder/grid.png
ok 'nor among the inputs' one_error 2 'is the input itself'
mkdir same twins
works 'a picture for a folder' sample --model "$student" --num 1 --out same/a.png
run edit vary --model "$student" --class 4 --sigmas 2 --image same/a.png --out same
ok 'nor into the folder of the input' one_error 2 'is the input itself'
works 'its twin' sample --model "$student" --num 1 --out same/a.jpg
works 'edit both' edit vary --model "$student" --class 4 --sigmas 2 --image same --out twins
ok 'two results' test "$(find twins -type f | wc -l)" -eq 2
cp again.png mask.png
edit inpaint --image "$boot" --mask mask.png --out mask.png
ok 'nor over the mask' one_error 2 'is the input itself'

# ---- sizes -----------------------------------------------------------------------

edit upscale --image "$boot" --factor 2 --out up.png
run edit vary --model "$student" --image strip.png --fit pad --class 9 --out pad.png
ok 'a wide picture, padded' succeeded
for fit in crop stretch; do
    run edit vary --model "$student" --image strip.png --fit $fit --class 9 --out $fit.png
    ok "and $fit" test "$(cmp -s pad.png $fit.png; echo $?)" -eq 1
done

# ---- refused ---------------------------------------------------------------------

fails 2 'argument TASK: expected one' edit --model "$student" --out x.png
fails 2 'expected inpaint|colorize' edit paint --model "$student" --out x.png
fails 2 "'model'" edit vary --image "$boot" --out x.png
fails 2 "'out'" edit vary --model "$student" --image "$boot"
fails 2 "'image'" edit vary --model "$student" --out x.png
fails 2 "option 'mask': expected" edit inpaint --model "$student" --image "$boot" --out x.png
fails 2 'give one of them' edit inpaint --model "$student" --image "$boot" --mask "$boot" \
    --box 1,1,1,1 --out x.png
for given in 'mask x' 'box 1,1,1,1' 'sigma 1' 'factor 2' 'to x' 'to-seed 3' 'frames 3' 'teacher x'; do
    # shellcheck disable=SC2086
    fails 2 "option '${given% *}': has no effect here, it is for" \
        edit vary --model "$student" --image "$boot" --out x.png --$given
done
fails 2 "'num': has no effect" edit denoise --model "$student" --image "$boot" --num 2 --out x.png
fails 2 "'strength': has no effect" edit inpaint --model "$student" --image "$boot" \
    --box 1,1,1,1 --strength 0.5 --out x.png
for strength in 0.5 0; do
    fails 2 "option 'strength': has no effect here, --ts or --sigmas" edit vary --model "$student" \
        --image "$boot" --strength $strength --sigmas 2 --out x.png
done
for given in 's-churn 0' 's-tmin 0' 's-tmax 1e6' 's-noise 1'; do
    # shellcheck disable=SC2086
    fails 2 "option '${given% *}': has no effect here" \
        edit vary --model "$student" --image "$boot" --out x.png --$given
done
fails 2 "'columns': has no effect" edit inpaint --model "$student" --image "$boot" --box 1,1,1,1 \
    --strip --columns 0 --out x.png
fails 2 'ts and sigmas: have no effect' edit denoise --model "$student" --image "$boot" \
    --sigmas 2 --out x.png
fails 2 'within the 28 x 28' edit inpaint --model "$student" --image "$boot" --box 20,0,9,1 --out x.png
fails 2 'expected x,y,w,h' edit inpaint --model "$student" --image "$boot" --box 1,2,3 --out x.png
head -c 200 "$boot" >cut.png
fails 4 'cut.png' edit vary --model "$student" --image cut.png --out x.png
fails 4 'notes.txt' edit vary --model "$student" --image folder/notes.txt --out x.png
fails 1 'missing.png' edit vary --model "$student" --image missing.png --out x.png
fails 1 'missing.png' edit inpaint --model "$student" --image "$boot" --mask missing.png --out x.png
mkdir empty
fails 4 'empty: expected PNG' edit vary --model "$student" --image empty --out x.png
printf 'P' >black.pgm
fails 4 'black.pgm' edit inpaint --model "$student" --image "$boot" --mask black.pgm --out x.png
fails 2 "option 'factor': the model draws 32 x 32: expected one of 2, 4, 8, 16, 32, found 3" \
    edit upscale --model "$student" --image "$boot" --factor 3 --out x.png
fails 2 "boot.png: is 28 x 28: expected a picture that the model's 32 x 32 are 2 or more times as large" \
    edit upscale --model "$student" --image "$boot" --out x.png
fails 2 'one.png: is 32 x 32: expected a picture' edit upscale --model "$student" --image one.png --out x.png
# What will not fit is said before the work, which would take minutes.
long=$(printf '%0250d' 0)
mkdir named
cp "$boot" "named/$long.png"
for given in '--num 100000 --strip --out x.png' '--num 100000 --columns 2 --out x.png' \
    '--num 100000 --scale 32 --out x.jpg'; do
    # shellcheck disable=SC2086 # a list of words
    fails 2 'expected at most' edit vary --model "$teacher" --image "$boot" --class 1 $given
done
fails 2 "with '_100000.png' behind it, has 261 bytes: expected at most 255" edit vary \
    --model "$teacher" --image named --class 1 --num 100000 --out x
edit vary --image named --out x
ok 'but alone it has its name' test -s "x/$long.png"
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 555 full
    fails 1 'full: Permission denied' edit vary --model "$teacher" --image "$boot" --num 100000 --out full
else
    skip 'a folder that cannot be written to' 'root can'
fi
# 0 stands for what is not given, but may not be given for it.
for given in 'denoise sigma' 'vary strength' 'stroke strength' 'upscale factor'; do
    fails 2 "option '${given#* }': expected" edit "${given% *}" --model "$student" --image "$boot" \
        "--${given#* }" 0 --out x.png
done
fails 2 'which would change nothing, and at most 1, found 0' edit vary --model "$student" \
    --image "$boot" --strength 0 --out x.png
fails 2 'so much that the noise level is above 0.002, found 1e-18' edit vary --model "$student" \
    --image "$boot" --class 1 --strength 1e-18 --out x.png
for sigma in 1e9 81 0.002; do
    fails 2 'sigma: expected a noise level above 0.002, at most 80' edit denoise --model "$student" \
        --image "$boot" --class 1 --sigma $sigma --out x.png
done
for class in '' ',' '3,'; do
    fails 2 'class: expected 0 to 9, all, random or auto, found nothing' edit vary \
        --model "$student" --image "$boot" --class "$class" --out x.png
done
# A mask or a box that the model cannot see
"$cm" sample --model "$student" --num 100 --columns 20 --out wide.png >out
for box in 3,3,2,2 0,0,100,172; do
    fails 2 "option 'box': $box: covers no pixel of the model's 32 x 32 where wide.png, 682 x 172, is" \
        edit inpaint --model "$student" --image wide.png --box $box --out x.png
done
ok 'and what to do' grep -qF '(--fit crop): expected a larger box, or another' err
fails 2 "option 'box': expected x,y,w,h such as 8,8,12,12, found '1,2,3'" edit inpaint \
    --model "$student" --image folder --box 1,2,3 --out x
# Of a folder, pictures that the box does not fit, or that show nothing of it, are left out.
mkdir sizes
cp "$boot" sizes/small.png
cp wide.png sizes/wide.png
sizes() # sizes BOX: what is made of them
{
    rm -rf sized
    edit inpaint --image sizes --box "$1" --out sized
    (cd sized 2>/dev/null && echo *) >made
}
sizes 260,0,100,172
ok 'a box that one of two fits' succeeded
ok 'that one is made' grep -qx wide.png made
ok 'and the other left out with a line' test "$(cat err)" = \
    "cm: left out: option 'box': expected a box within the 28 x 28 of sizes/small.png, found 260,0,100,172"
sizes 3,3,2,2
ok 'a box of which one shows nothing' grep -qx small.png made
ok 'likewise' grep -q "^cm: left out: option 'box': 3,3,2,2: covers no pixel .* where sizes/wide.png, 682 x 172" err
edit inpaint --image "$boot" --box 3,3,2,2 --out alone.png
ok 'with the bytes of the picture alone' cmp sized/small.png alone.png
sizes 27,0,1,172
ok 'a box for none of them' test "$code" -eq 4
ok 'is an error' grep -qx 'cm: sizes: expected PNG, JPEG or WebP pictures that the box or mask covers part of, found none' err
fails 1 "option 'mask': folder: expected a picture, found a folder" edit inpaint --model "$student" \
    --image "$boot" --mask folder --out folder/x.png
fails 1 "option 'to': folder: expected a picture, found a folder" edit interpolate \
    --model "$teacher" --image "$boot" --to folder --out x.png
"$cm" edit inpaint --model "$student" --class 1 --image wide.png --box 0,0,100,172 --fit pad \
    --out padded.png >out 2>err
ok 'but seen otherwise it does' test -s padded.png
fails 2 'colour pictures' edit colorize --model "$student" --image "$boot" --out x.png
fails 2 '--teacher' edit invert --model "$student" --image "$boot" --out x.safetensors
fails 2 'is a teacher itself' edit invert --model "$teacher" --teacher "$teacher" \
    --image "$boot" --out x.safetensors
fails 2 'expected a diffusion teacher' edit invert --model "$student" --teacher "$student" \
    --image "$boot" --out x.safetensors
fails 2 'a picture at each end' edit interpolate --model "$student" --image "$boot" --out x.png
fails 2 'told from a picture' edit interpolate --model "$student" --out x.png
fails 2 "'teacher': has no effect" edit interpolate --model "$student" --teacher "$teacher" \
    --class 1 --out x.png
fails 2 "'to-seed': has no effect" edit interpolate --model "$teacher" --image "$boot" \
    --to "$boot" --to-seed 3 --out x.png
fails 2 'multistep sampler' edit inpaint --model "$teacher" --image "$boot" --box 1,1,2,2 \
    --sigmas 80,5 --out x.png
fails 2 "'columns': has no effect" edit vary --model "$student" --image "$boot" --columns 2 --out dir
fails 2 "'strip': has no effect" edit vary --model "$student" --image "$boot" --strip --out x.npz
fails 2 'class: expected' edit vary --model "$student" --image "$boot" --class boots --out x.png

# What is wrong with a model is said with its name; levels of edits matter to edits alone.
header=$(($(od -An -v -tu8 -N 8 "$student")))
cp "$student" nan.safetensors
printf '\377\377\377\377' | dd of=nan.safetensors bs=1 seek=$((header + 8)) conv=notrunc 2>dd.err
for command in 'edit vary --class 1 --image '"$boot" sample; do
    # shellcheck disable=SC2086 # a list of words
    fails 3 'nan.safetensors: sampling: the network' $command --model nan.safetensors --out x.png
done
fails 4 'nan.safetensors: tensor "' validate nan.safetensors

# with_edits ENTRY: damaged.safetensors is the student, whose "edits" are this, with blanks behind
with_edits()
{
    head -c 8 "$student"
    tail -c +9 "$student" | head -c "$header" | edits=$(echo "$1" | sed 's/"/\\"/g') awk '
        match($0, /"edits":"([^"\\]|\\.)*"/) {
            printf "%s\"edits\":\"%-*s\"%s", substr($0, 1, RSTART - 1), RLENGTH - 10, ENVIRON["edits"],
                substr($0, RSTART + RLENGTH)
        }'
    tail -c +$((9 + header)) "$student"
} >damaged.safetensors
for entry in '{"vary":3}' '{"dance":"a"}' '{"vary":{"sigmas":5}}' '{"vary":{"sigmas":"5,5"}}' \
    '{"vary":{"sigmas":""}}' '{"inpaint":{"steps":18}}' '{"vary":{"sigmas":"5","steps":2}}' '{"vary":{"score":"a"}}' '[]' 3; do
    with_edits "$entry"
    fails 4 'damaged.safetensors: "edits"' edit vary --model damaged.safetensors --image "$boot" \
        --class 1 --out x.png
    fails 4 'damaged.safetensors: "edits"' validate damaged.safetensors
done
with_edits '{"inpaint":{"steps":18}}'
fails 4 '"inpaint": "steps": has no effect here, it is for diffusion teachers: expected "sigmas"' \
    edit vary --model damaged.safetensors --image "$boot" --class 1 --out x.png
with_edits '{"vary":{"sigmas":"5"},"dance":{"steps":[]}}'
works 'entries of others' validate damaged.safetensors
ok 'nothing was made' missing x.png

finish
