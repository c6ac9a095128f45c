#!/bin/sh
# test_own_pictures.sh - the commands of docs/own-pictures.md, run as they stand, but for
# seconds instead of minutes.
#
# usage: test_own_pictures.sh CM; run in the root of the project.  Where the package that the
# pictures come from is not installed, pictures of the shipped model stand in for them.
set -u
cm=$(realpath "$1")
root=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/examples"
ln -s "$cm" "$dir/bin/cm"
if ls /usr/share/rubygems-integration/all/gems/gemojione-*/config/index.json >/dev/null 2>&1; then
    cp "$root/examples/emoji.sh" "$dir/examples/"
else
    cat >"$dir/examples/emoji.sh" <<EOF
for kind in 0.faces 1.flags 2.hands; do
    cm sample --model '$root/models/fashion-mnist-cd.safetensors' --class \${kind%.*} --num 70 \\
        --out "\$1/\${kind#*.}" || exit 1
done
EOF
    chmod +x "$dir/examples/emoji.sh"
fi

# The blocks of commands; the package is here or stood in for.
awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' docs/own-pictures.md |
    sed '/^sudo /d; s/--minutes [0-9]*/--minutes 0.02/' >"$dir/commands"
[ "$(wc -l <"$dir/commands")" -ge 6 ] || echo 'exit 1 # no commands were found' >>"$dir/commands"

passed=0
failed=0
ok()
{
    name=$1
    shift
    if "$@"; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}
commands()
{
    (cd "$dir" && PATH="$dir/bin:$PATH" sh -e commands) >"$dir/out" 2>&1 && return
    sed 's/^/    /' "$dir/out"
    return 1
}

ok 'docs/own-pictures.md' commands
ok 'it says what there is' grep -q ', 3 classes: faces [0-9]*, flags [0-9]*, hands [0-9]*$' "$dir/out"
ok 'and which preset is nearest' grep -q '^--preset small: .*1\.19 million weights (nearest)$' "$dir/out"
for f in teacher.png student.png some.png emoji.safetensors runs/teacher/samples/data.png runs/student/model.safetensors; do
    ok "$f" test -s "$dir/$f"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
