#!/bin/sh
# test_report.sh REPORT - the page that is drawn from rows, against numbers worked out by hand
set -u
report=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/rows" "$dir/out"
passed=0 failed=0

# row RUN SEED FD
row()
{
    printf '{"run":"%s","seed":%s,"machine":"M","images":1200,"processor_seconds":60,"scores":[
        {"evaluations":1,"eval":{"scores":{"frechet":%s,"precision":0.5,"agreement":0.25}}}]}' \
        "$1" "$2" "$3" >"$dir/rows/$1-$2.json"
}

# check WHAT PATTERN: a line of the page
check()
{
    if grep -qE -- "$2" "$dir/out/results.md"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1: no line like $2"
    fi
}

# a and c overlap; b is beyond both; d has one seed
row a 1 1; row a 2 2; row a 3 3
row b 1 11; row b 2 12; row b 3 13
row c 1 2.5; row c 2 3.5; row c 3 4.5
row d 1 7
row f 1 8
sed -i 's/"processor_seconds":60,//' "$dir/rows/f-1.json"
cat >"$dir/page" <<'END'
kept as it is
@machines
@table
a 1 | of a
d 1 | of d
e 1 | of e
f 1 | of f
@end
@claim a 1 < b 1 | far
@claim b 1 < a 1 | wrong
@claim a 1 < c 1 | near
@claim a 1 < d 1 | single
@claim a 1 < e 1 | missing
@plot p.png | N
one | 1 a 1, 2 b 1, 3 e 1
@end
@plot log.png | evaluations (log scale)
one | 1 a 1, 10 b 1, 100 c 1
@end
@samples s.png
a | the first
e | of a run that was not made
b | the second
@end
END
pictures=$(dirname "$0")/../../tests/golden/data/train/data
cp "$pictures/rgb/bee/0.png" "$dir/rows/a.png"
cp "$pictures/rgb/bee/1.png" "$dir/rows/b.png"
"$report" "$dir/page" "$dir/rows" "$dir/out" >"$dir/log" 2>&1 || cat "$dir/log"
check 'text' '^kept as it is$'
check 'machines' '^- M: 11 rows$'
check 'mean and deviation' '^\| of a \| 3 \| 1 \| 2\.00 ± 1\.00 \| 0\.500 ± 0\.000 \| \| 25\.0 ± 0\.0 \| \| 1200 \| 1\.0 \| 20 \|$'
check 'one seed' '^\| of d \| 1 \| 1 \| 7\.00 \| 0\.500 \| \| 25\.0 \| \|'
check 'cost not known' '^\| of f \| 1 \| 1 \| 8\.00 .* \| 1200 \| \| \|$'
check 'no row' '^\| of e \| 0 \| 1 \| not run'
check 'far apart' '^- \*\*far\*\*: FD 2\.000 ± 1\.000 \(3 seeds\) against 12\.000 ± 1\.000 .*: it holds, beyond the spread'
check 'the other way' '^- \*\*wrong\*\*: .* \*\*it does not hold\*\*'
check 'overlapping' '^- \*\*near\*\*: .* on average, within the spread'
check 'one seed has no verdict' '^- \*\*single\*\*: .*no verdict'
check 'not run' '^- \*\*missing\*\*: not run yet'
check 'plot' '^!\[FD-fashion over N\]\(p\.png\)'
if [ -s "$dir/out/p.png" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo 'FAIL no plot'; fi

check 'plot over logarithms' '^!\[FD-fashion over evaluations \(log scale\)\]\(log\.png\)'
check 'samples' '^!\[samples\]\(s\.png\)$'
# the height in a PNG's header: two pictures, each below 22 of its caption and above a gap of 8
height() { od -An -tu1 -j20 -N4 "$1" | awk '{ print $3 * 256 + $4 }'; }
one=$(height "$dir/rows/a.png") both=$(height "$dir/out/s.png")
if [ "$both" -eq $((2 * (22 + one + 8))) ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL samples of two runs: $both pixels high, each $one"
fi
# refused WHAT TEXT: on one line
refused()
{
    if "$report" "$dir/page" "$dir/rows" "$dir/out" >"$dir/log" 2>&1 || ! grep -q "$2" "$dir/log" ||
        [ "$(wc -l <"$dir/log")" -ne 1 ]; then
        failed=$((failed + 1))
        echo "FAIL taken: $1"
    else
        passed=$((passed + 1))
    fi
}
cp "$dir/out/s.png" "$dir/rows/b.png"
refused 'samples of another size' "b.png: expected .* pixels as the first of these samples"
mv "$dir/rows/a-2.json" "$dir/kept"
row a 1 2.5
sed 's/"seed":1/"seed":3/' "$dir/rows/a-1.json" >"$dir/rows/other.json"
refused 'two files of one run and seed' 'a-3.json and .*other.json: both are of run a with seed 3'
rm "$dir/rows/other.json"
sed 's/"scores":\[\(.*\)/"scores":[{"evaluations":1,"eval":{"scores":{}}},/' "$dir/rows/b-1.json" >"$dir/rows/twice-1.json"
sed -i 's/"run":"b"/"run":"twice"/' "$dir/rows/twice-1.json"
refused 'two scores of one evaluation' 'twice-1.json: "scores": two of 1 evaluations'
rm "$dir/rows/twice-1.json"
echo '{"run":"x","seed":1' >"$dir/rows/x-1.json"
refused 'a damaged row' 'x-1.json'
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
