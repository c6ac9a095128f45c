#!/bin/sh
# test_data.sh - folders of pictures: what is found in them, what is left out and why, and
# that classes keep their names.
#
# usage: test_data.sh CM; run in the root of the project.
. tests/cli/check.sh

pictures=$root/tests/fuzz/corpus/image
mkdir -p photos/cat photos/dog
cp "$pictures/progressive.jpg" "$pictures/exif3.jpg" "$pictures/lossy.webp" photos/cat
cp "$pictures/progressive.jpg" photos/dog/really-a-jpeg.png
cp "$goldens/train/data/rgb/ant/0.png" photos/dog/a.png
echo 'not a picture' >photos/cat/notes.txt
head -c 200 "$pictures/progressive.jpg" >photos/dog/cut.jpg

says() # says FILE WORDS: the file has them
{
    grep -qF -- "$2" "$1" || { echo "    expected: $2"; sed 's/^/    found: /' "$1"; return 1; }
}
# ends STATUS WORDS COMMAND...: it exits so and says so
ends()
{
    wanted=$1 words=$2 got=0
    shift 2
    "$@" >out.txt 2>err.txt || got=$?
    [ "$got" -eq "$wanted" ] || { echo "    exit $got"; return 1; }
    cat out.txt err.txt >said.txt
    says said.txt "$words"
}

ok 'a folder is summed up' ends 0 \
    '5 images (3 JPEG, 1 WebP, 1 PNG), 2 classes: cat 3, dog 2; 2 files left out (1 text, 1 damaged)' \
    "$cm" data photos --image-size 16
ok 'a text is left out by name' says said.txt 'left out: photos/cat/notes.txt: text'
ok 'a cut file is left out by name' says said.txt 'left out: photos/dog/cut.jpg: JPEG is cut short'
ok '--strict refuses it' ends 4 'photos/dog/cut.jpg: JPEG is cut short' \
    "$cm" data photos --image-size 16 --strict
ok 'sizes that differ need --image-size' ends 4 '--image-size' "$cm" data photos

mkdir named split split/train split/test bad
cp "$pictures/exif3.jpg" named/cat_0001.png
cp "$pictures/exif3.jpg" named/black_cat_7.png
ok 'classes by name' ends 0 '2 classes: black_cat 1, cat 1' "$cm" data named --labels names
ok 'no classes without asking' ends 0 'no classes' "$cm" data named
cp "$pictures/exif3.jpg" split/train
cp "$pictures/exif3.jpg" split/test
ok 'halves of a set are no classes' ends 0 "warning: 'train' is taken as a class" "$cm" data split
mkdir "bad/$(printf '\377')" && cp "$pictures/exif3.jpg" bad/*/
ok 'a class name that is not UTF-8' ends 4 'expected UTF-8, found \xff' "$cm" data bad
cp "$pictures/exif3.jpg" "named/$(printf 'cat\377_2.png')"
ok 'a file name that is not UTF-8 is left out' ends 0 \
    '2 classes: black_cat 1, cat 1; 1 file left out (1 with a name that is not UTF-8)' \
    "$cm" data named --labels names
ok 'by name' says said.txt 'left out: named/cat\xff_2.png: class name: expected UTF-8, found cat\xff'
ok 'and refused when asked' ends 4 'named/cat\xff_2.png: class name' "$cm" data named --labels names --strict
ok 'where names are no classes it counts' ends 0 '3 images' "$cm" data named
mkdir -p linked/ant linked/bee elsewhere
cp "$pictures/exif3.jpg" linked/ant
cp "$pictures/exif3.jpg" elsewhere
ln -s .. linked/ant/up
ln -s "$PWD" linked/bee/all
ln -s / linked/root
ln -s ../elsewhere linked/cow
ln -s ../linked/ant elsewhere/there
ln -s ../../elsewhere linked/ant/here
ok 'links back are left out, others followed' ends 0 \
    '4 images (4 JPEG), 2 classes: ant 2, cow 2; 6 files left out (6 a link to a folder above)' \
    "$cm" data linked
ok 'by name, where one leads to' says said.txt 'left out: linked/ant/up: a link to a folder above'
ok 'out of the set too' says said.txt 'left out: linked/root: a link to a folder above'
ok 'by way of another' says said.txt 'left out: linked/ant/here/there: a link to a folder above'
mkdir clear
cp "$pictures/alpha.webp" "$pictures/lossy.webp" clear
ok 'what is transparent, on the default' ends 0 '1 image is partly transparent, on white (--background)' \
    "$cm" data clear --image-size 16
ok 'on another' ends 0 'on black (' "$cm" data clear --image-size 16 --background black
ok 'and another' ends 0 'on 0a80ff (' "$cm" data clear --image-size 16 --background '#0A80FF'
rm clear/alpha.webp
"$cm" data clear >said.txt
ok 'nothing is said of none' test "$(grep -c transparent said.txt)" -eq 0
ok 'a size that is none' ends 2 "image-size: expected a side" "$cm" data photos --image-size 16y
ok 'a colour that is none' ends 2 'background: expected white' "$cm" data photos --background blau

# Two black images and two white ones of 16x16.
{
    printf '\000\000\010\003\000\000\000\004\000\000\000\020\000\000\000\020'
    head -c 512 /dev/zero
    head -c 512 /dev/zero | tr '\000' '\377'
} >half-images-idx3-ubyte
ok 'statistics of black and white' ends 0 \
    'values within [-1, 1]: mean 0.00, standard deviation 1.00' "$cm" data half-images-idx3-ubyte
ok 'copies are counted' says said.txt '2 images are copies of another'
ok 'the nearest preset of small images' grep -q '^--preset tiny: .*(nearest)$' said.txt
ok 'the network of the shipped models, counted' ends 0 \
    '--preset small: hundreds of pictures and an hour, 1.19 million weights (nearest)' \
    "$cm" data fashion-mnist
ok 'a size that no preset has' ends 0 '--preset base: not for these: channel-mult: 3 levels need image sides divisible by 4' \
    "$cm" data photos --image-size 15
ok 'few large images' ends 0 '--preset tiny: ' "$cm" data photos --image-size 64
ok 'are for a small network' grep -q '^--preset tiny: .*(nearest: 5 images are few for base)$' said.txt
ok 'which no other is too' test "$(grep -c nearest said.txt)" -eq 1
mkdir some
for i in $(seq 100); do ln -s ../photos/dog/a.png "some/$i.png"; done
ok 'hundreds of large ones' ends 0 '(nearest: 100 images are few for base)' "$cm" data some --image-size 40
ok 'are for the next' grep -q '^--preset small: .*(nearest: ' said.txt

net='--batch 2 --steps 2 --channels 32 --channel-mult 1,1 --ema-rates 0.9 --log-every 1 --sample-every 1000000000'
ok 'pack' ends 0 'wrote set.safetensors' "$cm" data photos --image-size 24x16 --pack set.safetensors
ok 'and again' ends 0 'wrote set.safetensors' "$cm" data photos --image-size 24x16 --pack set.safetensors
echo notes >notes.txt
cp "$root/models/fashion-mnist-cd.safetensors" model.safetensors
for file in notes.txt model.safetensors; do
    cp $file kept
    ok "--pack $file" ends 2 "$file: is no packed data set and would be replaced" \
        "$cm" data photos --image-size 24x16 --pack $file
    ok 'before the work, it stays' cmp $file kept
done
# shellcheck disable=SC2086 # a list of words
ok 'training tells what it found' ends 0 '2 classes: cat 3, dog 2' \
    "$cm" train --method edm --data photos --image-size 24x16 --out folder $net
ok 'a contact sheet' test -s folder/samples/data.png
# shellcheck disable=SC2086
ok 'a packed set trains' ends 0 '5 images' \
    "$cm" train --method edm --data set.safetensors --out packed $net
ok 'a model is no packed set' ends 4 'found no "images"' \
    "$cm" data "$root/models/fashion-mnist-cd.safetensors"
loss()
{
    sed 's/.*"loss": *\([^,]*\),.*/\1/' "$1/log.jsonl"
}
ok 'and gives the same losses' test "$(loss folder)" = "$(loss packed)"
ok 'classes by name are sampled' ends 0 '4 images' \
    "$cm" sample --model folder --class dog,cat --num 4 --steps 2 --out o.npz
ok 'and in the names of files' ends 0 '2 images' \
    "$cm" sample --model folder --class dog,cat --num 2 --steps 2 --out drawn
ok 'by name' test "$(echo drawn/*)" = 'drawn/000000_dog.png drawn/000001_cat.png'
ok 'which are gone on with' ends 0 '1 image' \
    "$cm" sample --model folder --class cat --num 1 --steps 2 --out drawn --continue
ok 'by number' test -s drawn/000002_cat.png
# shellcheck disable=SC2086
ok 'a model without classes' ends 0 'no classes' \
    "$cm" train --method edm --data photos --labels none --image-size 16 --out plain $net
ok 'has no captions' ends 2 "option 'captions': has no effect here, this model has no classes" \
    "$cm" sample --model plain --captions --out q.png
ok 'an unknown class' ends 2 '0 to 1, cat, dog, all, random or auto, found fox' \
    "$cm" sample --model folder --class fox --num 4 --steps 2 --out p.npz

# Names as they are where the locale can show them, else escaped; a long one is marked as cut,
# but not where it is compared.
export LC_ALL=C.UTF-8
kase=$(printf 'K\303\244se') dunes=$(printf 'D\302\233nes') long=$(printf 'x%.0s' $(seq 200))
for class in "$kase" "$dunes" "${long}1" "${long}2"; do
    mkdir -p "world/$class" && ln -s ../../photos/dog/a.png "world/$class"
done
cut=$(echo "$long" | cut -c 1-60)...
ok 'UTF-8 as it is, controls not, a mark where a name is cut' ends 0 \
    "4 classes: D\\xc2\\x9bnes 1, $kase 1, $cut 1, $cut 1" "$cm" data world
# shellcheck disable=SC2086
ok 'train on them' ends 0 "$kase 1" \
    "$cm" train --method edm --data world --image-size 16 --out worldrun $net --steps 1
ok 'refused with them' ends 2 "0 to 3, D\\xc2\\x9bnes, $kase, $cut, $cut, all, random or auto, found K" \
    "$cm" sample --model worldrun --class K --out no.png
ok 'described' ends 0 " D\\xc2\\x9bnes, $kase," "$cm" info worldrun
ok 'in whole' says out.txt " ${long}1,"
ok 'described for machines in ASCII' ends 0 '"K\u00E4se"' "$cm" info --json worldrun
mv "world/${long}2" "world/${long}3"
ok 'compared to the end' ends 4 "class 3 is '${long}2' in worldrun and '${long}3' in world" \
    "$cm" train --method cd --teacher worldrun --data world --out student --batch 2 --steps 2
for locale in 'LC_ALL=C' 'LC_ALL=' 'LC_ALL=de_DE.ISO-8859-1'; do
    ok "$locale: escaped" ends 0 'K\xc3\xa4se 1' env -u LANG -u LC_CTYPE $locale "$cm" data world
    ok "$locale: the name of a file too" ends 1 'cm: K\xc3\xa4se: ' \
        env -u LANG -u LC_CTYPE $locale "$cm" info "$kase"
done
ok 'LC_CTYPE goes before LANG' ends 0 "$kase 1" \
    env LC_ALL= LC_CTYPE=en_US.utf8 LANG=C "$cm" data world
unset LC_ALL

# Many classes: the first of them, on lines that fit, and how many more.
mkdir many
seq -f 'many/class %.0f' 2000 | xargs -d '\n' mkdir
# shellcheck disable=SC2016 # for the inner shell
find many -type d -name 'class *' -printf '%p/a.png\0' |
    xargs -0 -n 500 sh -c 'tee "$@" <photos/dog/a.png >/dev/null' sh
ok '2,000 classes' ends 0 '2000 images (2000 PNG), 2000 classes' "$cm" data many
ok 'are not one line' test "$(head -n 1 out.txt)" = '2000 images (2000 PNG), 2000 classes'
sed -n '/^classes:/,/more$/p' out.txt >some.txt
ok 'the first are named' grep -q '^classes: class 1 1, class 10 1,' some.txt
ok 'on lines that fit' test -z "$(awk 'length > 79' some.txt)"
ok 'twenty of them' test "$(tr -cd , <some.txt | wc -c)" -eq 20
ok 'and how many more' grep -q ' and 1980 more$' some.txt
# shellcheck disable=SC2086
ok 'train on them' ends 0 '2000 classes' \
    "$cm" train --method edm --data many --image-size 8 --out manyrun $net --steps 1
ok 'described' ends 0 'class-names              class 1, class 10,' "$cm" info manyrun
ok 'on lines that fit' test -z "$(awk 'length > 79' out.txt)"
ok 'with how many more' says out.txt 'and 1980 more (--json has all)'
"$cm" info --json manyrun >all.json
ok 'which JSON has' test "$(grep -c '^ *"class [0-9]*",*$' all.json)" -eq 2000

# Classes whose names mean something else too: 0 to 9 are in this order.
for class in 1 10 2 3 a a,b all b c,d random; do
    mkdir -p "odd/$class" && ln -s ../../photos/dog/a.png "odd/$class"
done
# shellcheck disable=SC2086
ok 'train on odd names' ends 0 '10 classes' \
    "$cm" train --method edm --data odd --image-size 16 --out oddrun $net --steps 1
# draws CLASS NAMES: these are the classes of two images
draws()
{
    rm -rf pair
    "$cm" sample --model oddrun --class "$1" --num 2 --steps 2 --out pair >out.txt 2>&1 || { cat out.txt; return 1; }
    found=$(cd pair && echo *)
    [ "$found" = "$2" ] || { echo "    found $found"; return 1; }
}
# odd CLASS TEXT: it is refused so, on one line
odd()
{
    ok "--class $1 is refused" ends 2 "$2" "$cm" sample --model oddrun --class "$1" --num 2 --out no.png
    ok 'in one line' test "$(wc -l <err.txt)" -eq 1
}
ok 'a name that is its own number' draws 2 '000000_2.png 000001_2.png'
ok 'a name that is no number here' draws 10 '000000_10.png 000001_10.png'
ok 'a number that is no name' draws 7 '000000_b.png 000001_b.png'
odd 1 "'1' is the name of class 0 and the number of another: expected :0 or :1"
odd a,1 "'1' is the name of class 0 and"
ok 'the number' draws :1 '000000_10.png 000001_10.png'
ok 'the name by its number' draws b,:0 '000000_b.png 000001_1.png'
odd all "'all' is the name of class 6 too: expected :6 for that class, else :all"
odd random "'random' is the name of class 9 too: expected :9 for that class, else :random"
ok 'all of them' draws :all '000000_1.png 000001_a,b.png'
ok 'that class' draws :6,:9 '000000_all.png 000001_random.png'
ok 'which a list can only mean' draws all,random '000000_all.png 000001_random.png'
ok 'at random' ends 0 '2 images' "$cm" sample --model oddrun --class :random --num 2 --steps 2 --out no.npz
ok 'the default is all' ends 0 '2 images' "$cm" sample --model oddrun --num 2 --steps 2 --out no.npz
odd a,b "'a,b' is the name of class 5 and a list: expected :5 for the name, or the list by numbers"
odd 3,a,b "'a,b' is the name of class 5 and a list"
odd c,d,3 "'c,d' is the name of class 8 and a list"
ok 'a name with a comma' draws c,d '000000_c,d.png 000001_c,d.png'
ok 'the list' draws :4,:7 '000000_a.png 000001_b.png'
odd :a 'expected 0 to 9, 1, 10, 2, 3, a, a,b, all, b, c,d, random, all, random or auto, found :a'
odd :10 'found :10'
mv photos/cat photos/fox
ok 'other classes than the teacher' ends 4 "class 0 is 'cat' in folder and 'dog' in photos" \
    "$cm" train --method cd --teacher folder --data photos --out student --batch 2 --steps 2

ok 'a picture is not a set' ends 4 'is one picture (PNG): expected its folder' \
    "$cm" data photos/dog/a.png
# shellcheck disable=SC2086
ok 'a run among its own pictures is refused' ends 2 'out: photos/run is in the folder of the data' \
    "$cm" train --method edm --data photos --image-size 16 --out photos/run $net
ok 'and nothing is made' missing photos/run
# shellcheck disable=SC2086
ok 'also by another way there' ends 2 'in the folder of the data' \
    "$cm" train --method edm --data photos --image-size 16 --out ./photos/../photos/cat/new/run $net
# shellcheck disable=SC2086
ok 'a folder whose name begins so is another' ends 0 '2 classes' \
    "$cm" train --method edm --data photos --image-size 16 --out photos2 $net

finish
