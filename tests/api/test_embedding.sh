#!/bin/sh
# test_embedding.sh - the program and the commands of docs/embedding.md, run as they stand.
# Where libcm is not installed, pkg-config is one that knows the library just built.
#
# usage: test_embedding.sh CM LIBRARY LIBRARIES; run in the root of the project
set -u
cm=$(realpath "$1")
root=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin"
ln -s "$root/models" "$dir/models"
ln -s "$cm" "$dir/bin/cm"
printf '#!/bin/sh\necho "-I%s %s %s"\n' "$root/include" "$2" "$3" >"$dir/bin/pkg-config"
chmod +x "$dir/bin/pkg-config"

# block LANGUAGE: the lines of all its blocks
block()
{
    awk -v start="\`\`\`$1" '$0 == start { on = 1; next } /^```/ { on = 0 } on' docs/embedding.md
}
block c >"$dir/clothes.c"
block sh >"$dir/commands"
[ "$(wc -l <"$dir/commands")" -ge 3 ] || echo 'exit 1 # no commands were found' >>"$dir/commands"

failed=0
if ! (cd "$dir" && PATH="$dir/bin:$PATH" sh -e commands) >"$dir/out" 2>&1; then
    sed 's/^/    /' "$dir/out"
    failed=1
fi
grep -q '^3 of 3$' "$dir/out" || { echo '    no progress'; failed=1; }
for f in clothes boot; do
    [ -s "$dir/$f.png" ] || { echo "    $f.png: not written"; failed=1; }
done
[ "$failed" -eq 0 ] && echo 'ok   docs/embedding.md' || echo 'FAIL docs/embedding.md'
echo "$((1 - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
