#!/bin/sh
# test_includes.sh - the folders of src/ are layers, and every #include points
# down: a file may include its own folder and lower layers; cm.h is for the folders that share
# its structs.  oneDNN is known
# to src/cpu/ only, and cli/ speaks only through cm.h.  Every header compiles
# alone.
#
# usage: [LIBRARY=libcm.a] test_includes.sh [ROOT]; run in the root of the project
# otherwise.
set -u
cd "${1:-.}" || exit 1

# The layers from the lowest to the highest; folders of one layer do not know each other.
layers='base
draw io group
options data
graph
ops cpu
nn
consistency
model
run
sample
eval
train
api'

passed=0
failed=0
found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT

# check NAME: a test passes when nothing was written to $found.
check()
{
    if [ -s "$found" ]; then
        sed 's/^/    /' "$found"
        echo "FAIL $1"
        failed=$((failed + 1))
    else
        echo "ok   $1"
        passed=$((passed + 1))
    fi
}

# Lines "file: included name" of every #include "..." below src/.
quoted_includes()
{
    find src -name '*.[ch]' -exec grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {} + |
        sed -E 's/:[^"]*"([^"]*)".*/: \1/'
}

# ---- arrows ----------------------------------------------------------------

quoted_includes | LAYERS="$layers" awk '
    BEGIN {
        n = split(ENVIRON["LAYERS"], layer, "\n")
        for (i = 1; i <= n; i++) {
            k = split(layer[i], folder, " ")
            for (j = 1; j <= k; j++) rank[folder[j]] = i
        }
        n = split("group options run sample eval train api cli", folder, " ")
        for (i = 1; i <= n; i++) speaks[folder[i]] = 1
    }
    {
        file = substr($1, 1, length($1) - 1)
        split(file, part, "/"); from = part[2]
        split($2, part, "/"); to = part[1]
        if ($2 == "cm_status.h" || from == to) next
        if ($2 == "cm.h") {
            if (!(from in speaks)) print file ": cm.h is for the folders that share its structs"
            next
        }
        if (from == "cli") print file ": cli may include cm.h only, found " $2
        else if (index($2, "/") == 0) print file ": expected a path below src/, found " $2
        else if (!(from in rank)) print file ": folder " from " is in no layer"
        else if (!(to in rank)) print file ": " $2 ": folder " to " is in no layer"
        else if (rank[to] >= rank[from]) print file ": arrow points up to " $2
    }
    END { if (NR < 20) print "expected at least 20 includes below src/, found " NR }' >"$found"
check 'every include points down'

grep -rnE 'include.*dnnl' src --include='*.[ch]' | grep -v '^src/cpu/' >"$found"
check 'oneDNN is known to src/cpu/ only'

grep -rnE 'include.*(dnnl|omp\.h|jansson|png|zip|xxhash|zlib|gif_lib|cairo)' src/cli --include='*.[ch]' >"$found"
check 'cli/ knows no library but libcm'

# ---- headers ----------------------------------------------------------------

find include src -name '*.h' | sort | while read -r header; do
    # The kernels' headers are compiled once for each instruction set.
    printf '#include "%s"\n' "${header#*/}" |
        ${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -DCM_ISA_SUFFIX=plain \
            -Iinclude -Isrc -fopenmp -fsyntax-only -x c - 2>&1 | sed "s|^|$header: |"
done >"$found"
check 'every header compiles alone'

# ---- names and circles -----------------------------------------------------

# One name, one place, but for an op (in ops/) and its kernel (in cpu/).
find src include tests -name '*.[ch]' | grep -v '^src/ops/' | sed 's|.*/||' | sort | uniq -d >"$found"
find src include tests -name '*.[ch]' | grep -v '^src/cpu/' | sed 's|.*/||' | sort | uniq -d >>"$found"
check 'no two files have one name'

# Calls between files go one way: no file calls one that calls it, however far round.
# Tables of records are data, and so no calls.
if [ -n "${LIBRARY:-}" ]; then
    nm -A "$LIBRARY" 2>/dev/null | awk '
        {
            file = $1; sub(/^[^:]*:/, "", file); sub(/:[^:]*$/, "", file)
            kind = $(NF - 1); name = $NF
            if (kind == "T") home[name] = file
            if (kind == "U") { n++; from[n] = file; to[n] = name }
        }
        END {
            for (i = 1; i <= n; i++)
                if ((to[i] in home) && home[to[i]] != from[i]) { print from[i], home[to[i]]; calls++ }
            if (calls < 100) print "loop", "pool\npool", "loop" # found none: the check is broken
        }' | sort -u | tsort 2>"$found" >/dev/null
    check 'no circle of calls between files'
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
