#!/bin/sh
# test_reference.sh - --help, the man pages and the completions name the same options; the
# pages are good roff; the shells complete what they should.
#
# usage: test_reference.sh CM FOLDER; FOLDER holds the pages and completions
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/../cli/check.sh"
made=$(cd "$root" && absolute "$2")

commands=$("$cm" help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
ok 'there are commands' test "$(echo "$commands" | wc -l)" -ge 6

# ---- the same options everywhere ----------------------------------------------

for command in $commands; do
    "$cm" "$command" --help | sed -n 's/^      --\([a-z0-9-]*\).*/\1/p' | sort >help
    sed -n 's/^\\fB\\-\\-\([a-z0-9\\-]*\)\\fR.*/\1/p' "$made/cm-$command.1" |
        sed 's/.-/-/g' | sort >page
    ok "$command: the man page has the options of --help" diff help page
    sed -n "/^    $command\*)/,/;;/p" "$made/cm.bash" | tr " '" '\n' |
        sed -n 's/^--//p' | grep -vE '^(no-|help)' | sort >bash
    ok "$command: so has bash" diff help bash
    sed -n "/^    $command)/,/;;/p" "$made/_cm" |
        sed -n "s/^ *'--\([a-z0-9-]*\).*/\1/p" | grep -vE '^(no-|help)' | sort >zsh
    ok "$command: and zsh" diff help zsh
    sed -n "s/.*_from $command' -l \([a-z0-9-]*\) .*/\1/p" "$made/cm.fish" |
        grep -vE '^(no-|help)' | sort >fish
    ok "$command: and fish" diff help fish
    ok "$command: is in the page of cm" grep -q "^\\\\fB$command\\\\fR" "$made/cm.1"
done

# ---- man pages -------------------------------------------------------------------

# A page of this project has no date of its own.
clean()
{
    mandoc -T lint -W warning "$1" | grep -v 'missing date' >mistakes
    man --warnings --local-file "$1" 2>>mistakes >text
    cat mistakes
    [ ! -s mistakes ]
}
if command -v mandoc >/dev/null && command -v man >/dev/null; then
    for page in "$made"/*.1; do
        ok "$(basename "$page") is good roff" clean "$page"
    done
    man --local-file "$made/cm-sample.1" >text
    ok 'it can be read' grep -q -- "--sampler=NAME" text
else
    skip 'the pages are good roff' 'mandoc or man is missing'
fi

# ---- bash ------------------------------------------------------------------------

# bash_answer WORD...: what bash offers for the last word, on one line
bash_answer()
{
    bash -c '. "$0"; COMP_WORDS=(cm "$@"); COMP_CWORD=$#; _cm; echo "${COMPREPLY[*]}"' \
        "$made/cm.bash" "$@"
}
offers()
{
    found=$(bash_answer "$@")
    [ "$found" = "$want" ] || { echo "    expected '$want', found '$found'"; return 1; }
}
if command -v bash >/dev/null; then
    want='train'
    ok 'bash: a command' offers tr
    ok 'bash: a command after help' offers help tr
    want='--sampler'
    ok 'bash: an option' offers sample --samp
    want='onestep'
    ok 'bash: a value' offers sample --sampler one
    ok 'bash: a value after =' offers sample --sampler = one
    want='auto f32 bf16'
    ok 'bash: all values after =' offers sample --dtype =
    want='all'
    ok 'bash: a class' offers sample --class a
    want='inpaint interpolate invert'
    ok 'bash: a task' offers edit in
    want=''
    ok 'bash: no guess at a number' offers sample --num ''
    : >'two words.safetensors'
    want='two words.safetensors'
    ok 'bash: a file' offers sample --model tw
    ok 'bash: the file of info' offers info tw
    want='--no-scale-shift-norm'
    ok 'bash: what can be turned off' offers train --no-s
fi

# ---- zsh and fish ----------------------------------------------------------------

if command -v fish >/dev/null; then
    fish_offers()
    {
        HOME=$scratch fish -c "source $made/cm.fish; complete -C 'cm $1'" 2>&1 | cut -f 1 >offered
        grep -qxF -e "$2" offered || { sed 's/^/    | /' offered; return 1; }
    }
    ok 'fish: a command' fish_offers 'tra' train
    ok 'fish: an option' fish_offers 'sample --samp' --sampler
    ok 'fish: a value' fish_offers 'sample --sampler one' onestep
else
    skip 'fish completes' 'no fish'
fi
if command -v zsh >/dev/null; then
    # _arguments is given the options of the command
    zsh_has()
    {
        zsh -fc '_arguments() { print -rl -- "$@"; }; words=(cm sample --sam); CURRENT=3
            . "$0"' "$made/_cm" >given && grep -qF -e "$1" given
    }
    ok 'zsh: an option and its values' zsh_has ':(auto onestep multistep heun euler dpm2 ancestral dpm-solver++2m dpm-solver++3m progdist)'
    ok 'zsh: a file' zsh_has ':MODEL:_files'
else
    skip 'zsh completes' 'no zsh'
fi

finish
