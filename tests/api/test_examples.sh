#!/bin/sh
# test_examples.sh - the programs in examples/ give, byte for byte, what the command does; the
# one at the top of cm.h is one of them, word for word.
#
# usage: test_examples.sh CM EXAMPLES; run in the root of the project
set -u
cm=$(realpath "$1")
bin=$(realpath "$2")
root=$PWD
passed=0
failed=0
skipped=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
ln -s "$root/models" "$dir/models"
ln -s "$root/docs" "$dir/docs"

check() # check NAME COMMAND...
{
    name=$1
    shift
    if (cd "$dir" && "$@") >"$dir/out" 2>&1; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        sed 's/^/    /' "$dir/out"
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}

sample() # sample OUT OPTION...
{
    out=$1
    shift
    (cd "$dir" && "$cm" sample --model models/fashion-mnist-cd.safetensors --seed 7 --out "$out" \
        "$@") >"$dir/log" 2>&1 || cat "$dir/log"
}

sed -n '/^ \*     #include <cm.h>/,/^ \*     }$/p' "$root/include/cm.h" |
    sed 's/^ \*     //; s/^ \*$//' >"$dir/header.c"
check 'the program at the top of cm.h is one_image.c' cmp header.c "$root/examples/one_image.c"

check 'one_image runs' "$bin/one_image"
sample want.png --num 1
check 'one_image is what the command draws' cmp one_image.png want.png

check 'two_threads runs' "$bin/two_threads"
for label in 3 7; do
    sample want.png --num 1 --class $label
    check "class $label of two_threads" cmp "class$label.png" want.png
done

check 'edit runs' "$bin/edit"
(cd "$dir" && "$cm" edit inpaint --model models/fashion-mnist-cd.safetensors --out want.png \
    --image docs/edit/boot.png --box 8,8,12,12 --class 9) >"$dir/log" 2>&1 || cat "$dir/log"
check 'edit is what the command draws' cmp edit.png want.png
# shellcheck disable=SC2016 # the code is not for the shell
check 'and in less than 40 lines' test "$(wc -l <"$root/examples/edit.c")" -lt 40

printf '7 3\nnonsense\n7 99\n7 7\n' | (cd "$dir" && "$bin/server_loop") >"$dir/answers" 2>"$dir/err"
grep -q 'found 99' "$dir/err"
check 'server_loop names a bad class' grep -q 'found 99' err
rm -rf "$dir/want"
: >"$dir/expected"
for label in 3 7; do
    sample want$label --num 1 --class $label
    wc -c <"$dir/want$label/000000_class$label.png" | tr -d ' ' >>"$dir/expected"
    cat "$dir/want$label/000000_class$label.png" >>"$dir/expected"
done
check 'server_loop answers with the images of the command' cmp answers expected

if [ -x "$bin/cpp" ]; then
    check 'cpp runs' "$bin/cpp"
    sample want.png --num 20 --columns 10
    check 'cpp is what the command draws' cmp cpp.png want.png
else
    echo 'skip cpp: no C++ compiler'
    skipped=$((skipped + 1))
fi

# The raw bytes of numpy.npy are those of arr_0.npy in the archive of the command.
library=$(find "$(dirname "$bin")/src" -name 'libcm.so*' ! -name '*.p' 2>/dev/null | head -n 1)
if [ -z "$library" ] || ! python3 -c 'import numpy' 2>/dev/null; then
    echo 'skip ctypes_numpy.py: no shared library, or no Python with NumPy'
    skipped=$((skipped + 1))
else
    check 'ctypes_numpy.py runs' python3 "$root/examples/ctypes_numpy.py" "$library"
    sample want.npz --num 1 --class 3
    check 'ctypes_numpy.py has the pixels of the command' python3 -c \
        'import numpy; assert (numpy.load("numpy.npy") == numpy.load("want.npz")["arr_0"]).all()'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
