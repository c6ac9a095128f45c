#!/bin/sh
# measure.sh - what model.awk wants to know, and what it shall predict
#
# usage: measure.sh WHAT... >>bench/scale/measured.txt    WHAT: sums-2, sums-4, shipped, wide, delay
# Rows: sum N RATE DELAY BYTES ALONE ROW CPU
#       compute NETWORK BATCH PROCESSES STEP UPDATE    as many at once, each alone with its share
#       step NETWORK BATCH N PARTS RATE DELAY STEP UPDATE SUMS WAITS
#       bucket NETWORK BATCH N PARTS RATE DELAY MIB BEGIN END    of that step, where N and PARTS
#           are 2 and RATE is none
# Times in ms; RATE and DELAY as hosts.sh takes them.  Needs to be root.
set -eu
cd "$(dirname "$0")/../.."
cm=build/src/cli/cm
hosts=bench/scale/hosts.sh

# field NAME: of a line of JSON
field()
{
    sed -n 's/.*"'"$1"'": "\{0,1\}\([^,"}]*\).*/\1/p'
}

sums()
{
    $hosts "$1" "$2" "$3" $cm bench --work sums --json | grep '"sums"' |
        while read -r line; do
            echo "sum $1 $2 $3" "$(echo "$line" | field bytes)" "$(echo "$line" | field ms)" \
                "$(echo "$line" | field row_ms)" "$(echo "$line" | field cpu_ms)"
        done
}

network()
{
    case $1 in
    shipped) echo --model models/fashion-mnist-edm.safetensors ;;
    wide) echo --config bench/networks/wide.json ;;
    esac
}

# compute NETWORK BATCH PROCESSES: the slowest, for which the others would wait
compute()
{
    out=$(mktemp -d)
    for i in $(seq "$3"); do
        # shellcheck disable=SC2046 # a list of words
        taskset -c $(((i - 1) % $(nproc))) $cm bench $(network "$1") --work edm --dtype f32 \
            --batch $(($2 / $3)) --accumulate 1 --threads 1 --json >"$out/$i" &
    done
    wait
    for i in $(seq "$3"); do
        echo "$(field ms <"$out/$i")" "$(field update_ms <"$out/$i")"
    done | sort -n | tail -n 1 | sed "s/^/compute $1 $2 $3 /"
    rm -r "$out"
}

# step NETWORK BATCH N PARTS RATE DELAY; just before it, what computing takes
step()
{
    compute "$1" $(($2 * $3 / $4)) "$3"
    # shellcheck disable=SC2046
    $hosts "$3" "$5" "$6" $cm bench $(network "$1") --work edm --dtype f32 --batch "$2" \
        --accumulate "$4" --threads 1 --json | sed 's/"buckets.*//' | grep -E 'work|mib' |
        while read -r line; do
            if [ "${line#*mib}" = "$line" ]; then
                echo "step $*" "$(echo "$line" | field ms)" "$(echo "$line" | field update_ms)" \
                    "$(echo "$line" | field sums_ms)" "$(echo "$line" | field waits_ms)"
            elif [ "$3 $4 $5" = '2 2 none' ]; then # the profile
                echo "bucket $*" "$(echo "$line" | field mib)" "$(echo "$line" | field begin_ms)" \
                    "$(echo "$line" | field end_ms)"
            fi
        done
}

for what; do
    case $what in
    sums-2 | sums-4)
        for rate in none 1gbit 300mbit 100mbit; do
            sums "${what#sums-}" $rate 0
        done
        ;;
    shipped)
        for n in 2 4; do
            for rate in none 1gbit 300mbit 100mbit; do
                step shipped 32 $n $n $rate 0
            done
        done
        step shipped 128 2 8 100mbit 0
        ;;
    wide)
        for n in 2 4; do
            for rate in none 1gbit 300mbit; do
                step wide 8 $n $n $rate 0
            done
        done
        ;;
    delay)
        sums 2 300mbit 5
        step shipped 32 2 2 300mbit 5
        step wide 8 2 2 300mbit 5
        ;;
    *)
        echo "measure.sh: expected sums-2, sums-4, shipped, wide or delay, found '$what'" >&2
        exit 2
        ;;
    esac
done
