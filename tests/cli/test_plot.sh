#!/bin/sh
# test_plot.sh - cm plot: files from logs, and what it says of logs that are none.  Where the
# points are is for tests/unit/test_plot.c.
#
# usage: test_plot.sh CM; run in the root of the project.
. tests/cli/check.sh

starts_with()
{
    [ "$(od -An -tx1 -N4 "$1" | tr -d ' \n')" = "$2" ]
}

# log LAST: lines of steps up to LAST
log()
{
    awk -v last="$1" 'BEGIN {
        for (k = 50; k <= last; k += 50)
            printf "{\"step\":%d,\"loss\":%g,\"grad_norm\":%g,\"lr\":0.001,\"images_per_s\":99," \
                "\"seconds\":%g,\"scales\":18,\"mu\":0.95}\n", k, 50 / k, 9 / k, k / 4
    }'
}

mkdir run other
log 1000 >run/log.jsonl
log 400 >other/log.jsonl

works 'a run, to plot.png' plot run
ok 'says so' grep -qx 'wrote plot.png' out
ok 'it is a PNG' starts_with plot.png 89504e47
works 'two runs as SVG' plot run other/ --out x.svg
if command -v xmllint >/dev/null; then
    ok 'it is well-formed' xmllint --noout x.svg
else
    skip 'it is well-formed' 'no xmllint'
fi
ok 'it has lines of two colours' grep -q 'stroke-width:1.5.*stroke:rgb(0%,44.7%,69.8%)' x.svg
ok 'the second too' grep -q 'stroke-width:1.5.*stroke:rgb(83.5%,36.9%,0%)' x.svg
works 'again' plot run other --out y.svg
ok 'the same bytes' cmp x.svg y.svg
FONTCONFIG_FILE=/dev/null works 'without fonts' plot run other --out z.svg
ok 'the same again' cmp x.svg z.svg
works 'over time, some of it' plot run --x time --what loss,images/s --out t.SVG
works 'a log alone' plot run/log.jsonl --out t.png

{
    cat run/log.jsonl
    echo '{"step":1050,"loss":0.0'
} >cut.jsonl
works 'a log that is being written' plot cut.jsonl --out cut.svg
ok 'warns of the half line' grep -q 'cut.jsonl: 1 of 21 lines' err
ok 'draws the rest' test -s cut.svg

echo '<svg precious/>' >precious.svg
fails 2 "argument RUN: expected a run folder" plot
fails 1 'missing: ' plot missing --out precious.svg
fails 2 "out: expected a name that ends in .png or .svg, found 'x.pdf'" plot run --out x.pdf
fails 2 "found 'FD', which none of the runs has logged" plot run --what FD --out precious.svg
fails 2 "what: expected loss, grad-norm, lr, N, stage, mu, images/s, scores or a key of log.jsonl; found ','" plot run --what , --out precious.svg
fails 2 "smooth" plot run --smooth 2
fails 1 'nowhere' plot run --out nowhere/x.png
echo nothing >none.jsonl
fails 4 'none.jsonl: expected numbers at steps in the log of a run, found none' plot none.jsonl --out precious.svg
head -4 run/log.jsonl | sed 's/"loss":[0-9.]*/"loss":-1e308/' >far.jsonl
works 'numbers at the end of doubles' plot far.jsonl --out far.svg
ok 'are told' grep -q 'far.jsonl: 4 numbers left out: beyond 1e+100' err
ok 'nothing was replaced' test "$(cat precious.svg)" = '<svg precious/>'
# shellcheck disable=SC2046 # words
fails 2 'expected at most 28' plot $(seq 29)

finish
