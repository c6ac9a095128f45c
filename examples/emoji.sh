#!/bin/sh
# emoji.sh - pictures to try things on: some of the EmojiOne set, 64x64 PNG, in a folder a kind
#
# usage: examples/emoji.sh DIR    makes DIR/faces, DIR/flags and DIR/hands
#
# They come from Debian's package ruby-gemojione (apt-get install ruby-gemojione); the pictures
# are by Ranks.com Inc., licence CC BY-SA 4.0, and so is what is made from them.
set -eu
out=${1:?usage: examples/emoji.sh DIR}
set -- /usr/share/rubygems-integration/all/gems/gemojione-*
from=$1
if ! [ -f "$from/config/index.json" ]; then
    echo "emoji.sh: no pictures in $from: apt-get install ruby-gemojione" >&2
    exit 1
fi
mkdir -p "$out/faces" "$out/flags" "$out/hands"
# One line of the index is one setting: "unicode" is the name of the file, before it come
# "name" and "category".
awk -F '"' '
    function kind() {
        if (category == "flags") return "flags"
        if (category != "people") return ""
        if (name ~ /face/ && name !~ /tone/) return "faces"
        if (name ~ /man |person|woman|information|bag|hands$|finger extended/) return ""
        return name ~ /hand|thumb|index|fist|finger|clap|palm/ ? "hands" : ""
    }
    $2 == "unicode" { file = $4 }
    $2 == "name" { name = $4 }
    $2 == "category" { category = $4; if (kind() != "") print kind(), file }
' "$from/config/index.json" | while read -r kind file; do
    cp "$from/assets/png/$file.png" "$out/$kind/"
done
