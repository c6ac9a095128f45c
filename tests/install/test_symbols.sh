#!/bin/sh
# test_symbols.sh - the shared library shows the functions that the public header marks with
# CM_API, of version CM_0, and nothing else; and it names every library it takes from.
#
# usage: test_symbols.sh libcm.so; run in the root of the project
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/../cli/check.sh"
library=$cm

# The marked functions, one a line: the name before the first parenthesis.
printf '#define CM_API CM_MARK\n#include <cm.h>\n' |
    ${CC:-cc} -E -P -I "$root/include" -x c - | tr '\n' ' ' | sed 's/[;{}]/\n/g' |
    sed -n 's/.*CM_MARK[^(]*[ *]\(cm_[a-z0-9_]*\) *(.*/\1@@CM_0/p' | sort >wanted
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | sort >found

ok 'the header marks functions' test "$(wc -l <wanted)" -ge 15
ok 'every function that the header names is marked' test -z "$(
    ${CC:-cc} -E -P -D'CM_API=CM_MARK' -I "$root/include" -x c "$root/include/cm.h" |
        tr '\n' ' ' | sed 's/[;{}]/\n/g' | grep -E '^ *[a-z][a-z0-9_ *]*[ *]cm_[a-z0-9_]+ *\(')"
ok 'the library shows these, of version CM_0, and no others' diff -u wanted found

# A library that forgot one of its own would load only beside a program that has it.
ok 'it finds all it needs' test -z "$(ldd -r "$library" 2>&1 | grep -E 'undefined|not found')"
readelf -d "$library" >dynamic
ok 'its name has its version' grep -q 'SONAME.*\[libcm\.so\.0\]' dynamic

finish
