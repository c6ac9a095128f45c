#!/bin/sh
# test_header.sh - cm.h in every language it is for: it compiles without a warning, and
# defines no macro but CM_*, undefines none.
#
# run in the root of the project
set -u
passed=0
failed=0
skipped=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

report() # report NAME STATUS: $dir/out says why
{
    if [ "$2" -eq 0 ] && [ ! -s "$dir/out" ]; then
        echo "ok   $1"
        passed=$((passed + 1))
    else
        sed 's/^/    /' "$dir/out"
        echo "FAIL $1"
        failed=$((failed + 1))
    fi
}

printf '#include <cm.h>\nint main(void) { return (int)cm_request_default().as_float; }\n' >"$dir/x.c"
cp "$dir/x.c" "$dir/x.cc"
for mode in gcc:c99:c gcc:c11:c gcc:c17:c g++:c++98:cc g++:c++11:cc g++:c++20:cc \
    clang:c99:c clang:c11:c clang++:c++98:cc clang++:c++20:cc; do
    compiler=${mode%%:*} file=x.${mode##*:} std=${mode#*:}
    std=${std%:*}
    if ! command -v "$compiler" >/dev/null; then
        echo "skip $compiler -std=$std: not here"
        skipped=$((skipped + 1))
        continue
    fi
    "$compiler" -std="$std" -Wall -Wextra -pedantic -Wmissing-field-initializers -Werror -Iinclude \
        -fsyntax-only "$dir/$file" >"$dir/out" 2>&1
    report "$compiler -std=$std" $?
done

# What it defines, beside what its two headers of C do; -dD also shows what is undefined.
cc=$(command -v gcc || command -v clang || command -v cc)
printf '#include <stddef.h>\n#include <stdint.h>\n' >"$dir/base.c"
"$cc" -E -dD -Iinclude "$dir/base.c" | grep -E '^#(define|undef)' | sort -u >"$dir/base"
"$cc" -E -dD -Iinclude "$dir/x.c" | grep -E '^#(define|undef)' | sort -u >"$dir/all"
comm -13 "$dir/base" "$dir/all" | grep -vE '^#define CM_' >"$dir/out"
report 'no macro but CM_* is defined, none is undefined' 0

awk 'FNR == 601 { print FILENAME ": expected at most 600 lines" }' include/*.h >"$dir/out"
report 'a header can be read in one go' 0

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
