# check.sh - sourced by the tests of the command.  $1 is the cm program and, where they
# are given, $2 is make_data and $3 make_weights; the test runs in an empty folder of its
# own, which is removed at the end.
# shellcheck shell=sh
# shellcheck disable=SC2034 # variables for the tests that source this

absolute()
{
    case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
    esac
}

cm=$(absolute "$1")
make_data=$(absolute "${2:-}")
make_weights=$(absolute "${3:-}")
root=$PWD
goldens=$root/tests/golden/data
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch" || exit 1

passed=0
failed=0
skipped=0

# ok NAME COMMAND...: the command must succeed.
ok()
{
    name=$1
    shift
    if "$@"; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        echo "    failed: $*"
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}

# skip NAME REASON: what this machine cannot do
skip()
{
    echo "skip $1: $2"
    skipped=$((skipped + 1))
}

# run ARGUMENT...: cm; $code, files out and err hold what came of it.
run()
{
    code=0
    "$cm" "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}

# one_error CODE TEXT: the last run ended with CODE and said on one line, starting
# with "cm: ", what contains TEXT.
one_error()
{
    [ "$code" -eq "$1" ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] &&
        grep -q '^cm: ' "$scratch/err" && grep -qF -e "$2" "$scratch/err" && return
    echo "    expected code $1 and one line with '$2', found code $code and"
    sed 's/^/    | /' "$scratch/err"
    return 1
}

# fails CODE TEXT ARGUMENT...: this call of cm does so.
fails()
{
    want=$1
    text=$2
    shift 2
    run "$@"
    ok "cm $(echo "$*" | tr -d '\033' | cut -c 1-70): $want" one_error "$want" "$text"
}

# works NAME ARGUMENT...: this call of cm ends with 0.
works()
{
    name=$1
    shift
    run "$@"
    ok "$name" succeeded
}

succeeded()
{
    [ "$code" -eq 0 ] && return
    echo "    code $code"
    sed 's/^/    | /' "$scratch/err"
    return 1
}

missing()
{
    [ ! -e "$1" ]
}

# golden_weights NAME: NAME.safetensors here holds the weights of this golden network
golden_weights()
{
    (cd "$root" && "$make_weights" "$1" "$scratch/$1.safetensors") || exit 1
}

# in_folder FOLDER COMMAND...: runs that are compared have one name, each in a folder of its own,
# since models say the options of their run.
in_folder()
{
    mkdir -p "$scratch/$1"
    cd "$scratch/$1" || exit 1
    shift
    "$@"
    cd "$scratch" || exit 1
}

# same_run N A B: the newest checkpoints of A/run and B/run hold the same weights, averages and
# moments, in N files at least.
same_run()
{
    count=0
    for file in "$2"/run/ckpt/latest/*.safetensors; do
        cmp "$file" "$3/run/ckpt/latest/${file##*/}" || return 1
        count=$((count + 1))
    done
    [ "$count" -ge "$1" ]
}

# What cm tune takes, each trained for two steps: teacher, run (a consistency model), judge; and the
# files m.safetensors and t.safetensors of the first two.
models_to_tune()
{
    # shellcheck disable=SC2086 # a list of words
    works 'train a tiny teacher' train $tiny --method edm --steps 2 --out teacher
    # shellcheck disable=SC2086
    works 'and a consistency model' train $tiny --method ct --steps 2 --out run
    works 'and a classifier' train --method classifier --data tiny-images-idx3-ubyte --steps 2 \
        --batch 4 --threads 1 --score FD-bars --out judge
    [ "$code" -eq 0 ] || finish || exit 1
    cp run/model.safetensors m.safetensors
    cp teacher/model.safetensors t.safetensors
}

# A network small enough to train in a blink, on the files of make_data.
# What a teacher or first weights bring along is left out of tiny_given.
tiny_given='--data '$scratch'/tiny-images-idx3-ubyte --batch 4 --dtype f32 --threads 1 --sample-every 1000000000'
tiny="$tiny_given --channels 32 --channel-mult 1,1 --attention-resolutions 8 --num-heads 2"

finish()
{
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
