#!/bin/sh
# run.sh - break the program in the ways of list.sh, one at a time, and see which test
# notices.  Works on a copy of the sources, so that a broken line is never in the tree.
#
# usage: tests/mutants/run.sh [PATTERN...]   mutants whose names contain one of them
#
# Ends with "N caught, M survived"; exit code 0 when none survived.  A mutant that no longer
# applies (its pattern must match one line of src) or does not compile counts as survived.
# environment: CC as for Meson; MUTANTS, where the copy and its build are kept; TESTS, these alone
# are asked ("zip torch released"), which takes seconds a mutant instead of minutes
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
place=${MUTANTS:-$root/build-mutants}
tree=$place/tree
build=$place/build
caught=0
survived=0
# In this order; the second line is built and run only for what the first lets through.
first='oracle_train oracle_options cli_train cli_sample'
more='progressive cli_pd step records network golden_losses golden_samplers golden_schedules checkpoint options data
    session continuous verify second random_graphs pool ops api_sampler api_door api_contexts image sheet
    cli_data cli_length zip torch released edits golden_editing
    api_edit_pictures cli_edit distances classifier golden_lpips cli_loss cli_mpi_shard
    search cli_noise cli_train_continuous continuous_limit cli_tune_samples'
first_programs='src/cli/cm tests/oracle/test_train tests/oracle/test_two_values
    tests/cli/make_data tests/cli/make_weights'
if [ "${TESTS:-}" ]; then
    first=$TESTS
    more=
    first_programs=all
fi

say()
{
    printf '%s\n' "$*"
}

# By content: what has not changed is not compiled again, and a mutant that was left
# behind goes.
copy_tree()
{
    mkdir -p "$tree" || exit 1
    git ls-files -co --exclude-standard | while IFS= read -r f; do
        [ ! -f "$f" ] || cmp -s "$f" "$tree/$f" || cp --parents "$f" "$tree" || exit 1
    done || exit 1
    (cd "$tree" && find . -type f) | while IFS= read -r f; do
        [ -f "$f" ] || rm "$tree/$f"
    done
    [ -f "$build/build.ninja" ] || meson setup --buildtype=release "$build" "$tree" \
        >"$place/setup.log" 2>&1 || exit 1
}

# build TARGET...
build()
{
    ninja -C "$build" "$@" >"$place/build.log" 2>&1
}

# catch TEST...: the first of them that fails, in $by, and what it says, in $what
catch()
{
    for by; do
        meson test -C "$build" --no-rebuild "$by" \
            >"$place/test.log" 2>&1 && continue
        what=$(grep '^FAIL ' "$build/meson-logs/testlog.txt" | head -n 3 | cut -c 6- |
            paste -s -d ';' -)
        return 0
    done
    return 1
}

wanted()
{
    [ -z "$patterns" ] && return 0
    for p in $patterns; do
        case $1 in *"$p"*) return 0 ;; esac
    done
    return 1
}

lost()
{
    survived=$((survived + 1))
    say "$1: $name"
}

# mutant NAME PATTERN REPLACEMENT: as of sed -E; one line of one file under src matches
mutant()
{
    name=$1
    wanted "$(echo "$name" | tr ' ' '_')" || return 0
    lines=$(grep -rnE --include='*.[ch]' -e "$2" "$tree/src" | wc -l)
    file=$(grep -rlE --include='*.[ch]' -e "$2" "$tree/src" | head -n 1)
    if [ "$lines" -ne 1 ]; then
        lost "DOES NOT APPLY ($lines lines)"
        return
    fi
    cp -p "$file" "$place/whole"
    mark=$(printf '\001')
    sed -E -i "s$mark$2$mark$3$mark" "$file"
    # shellcheck disable=SC2086 # lists of words
    if cmp -s "$file" "$place/whole"; then
        lost 'CHANGES NOTHING'
    elif ! build $first_programs; then
        lost 'DOES NOT COMPILE'
    elif catch $first || { build all && catch $more; }; then
        caught=$((caught + 1))
        say "caught by $by: $name ($what)"
    else
        lost SURVIVED
    fi
    cp "$place/whole" "$file" # with a new time: it is compiled again
}

# A test that fails anyway says nothing of mutants.
leave_out_failing()
{
    passing=
    for t; do
        if catch "$t"; then
            say "left out: $t, which fails without a mutant ($what)" >&2
        else
            passing="$passing $t"
        fi
    done
}

patterns=$(echo "$*" | tr ' ' '\n')
copy_tree
build all || exit 1
# shellcheck disable=SC2086 # a list of words
leave_out_failing $first
first=$passing
# shellcheck disable=SC2086
leave_out_failing $more
more=$passing
# shellcheck source=tests/mutants/list.sh
. "$root/tests/mutants/list.sh"
say "$caught caught, $survived survived"
[ "$survived" -eq 0 ]
