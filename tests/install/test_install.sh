#!/bin/sh
# test_install.sh - install into a folder (DESTDIR), and use what is there as an outsider
# would: pkg-config, both kinds of library, the command.
#
# usage: test_install.sh BUILD; run in the root of the project
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cli/check.sh
. "$here/../cli/check.sh"
build=$cm
model=$root/models/fashion-mnist-cd.safetensors

DESTDIR=$scratch/dest meson install -C "$build" --no-rebuild >log 2>&1 || { cat log; exit 1; }
dest=$scratch/dest
prefix=$(meson introspect --buildoptions "$build" |
    tr '{' '\n' | sed -n 's/.*"name": "prefix", "value": "\([^"]*\)".*/\1/p')
library=$(dirname "$(find "$dest" -name libcm.a)")

for file in libcm.so libcm.so.0 libcm.a pkgconfig/cm.pc; do
    ok "$file" test -s "$library/$file"
done
ok 'cm.h' test -s "$dest$prefix/include/cm.h"
share=$dest$prefix/share
for file in man/man1/cm.1 man/man1/cm-sample.1 bash-completion/completions/cm.bash \
    zsh/site-functions/_cm fish/vendor_completions.d/cm.fish; do
    ok "$file" test -s "$share/$file"
done

# ---- an outsider's program ---------------------------------------------------

cat >outsider.c <<'END'
#include <cm.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    cm_error err = {0};
    cm_model *model = NULL;
    cm_images *images = NULL;
    cm_sample_params config = cm_sample_default_params();
    if (argc != 3 || cm_model_open(argv[1], &model, &err) ||
        cm_sample(model, &config, &images, &err) || cm_images_write(images, argv[2], NULL, &err))
        fprintf(stderr, "%s\n", err.message);
    cm_images_free(images);
    cm_model_free(model);
    return (int)err.status;
}
END

export PKG_CONFIG_SYSROOT_DIR="$dest" PKG_CONFIG_PATH="$library/pkgconfig"
# shellcheck disable=SC2046,SC2086 # lists of words
ok 'compile and link with pkg-config' ${CC:-cc} -Wall -Wextra -Werror outsider.c -o outsider \
    $(pkg-config --cflags --libs cm)
ok 'it needs the shared library' test -n "$(readelf -d outsider | grep 'NEEDED.*libcm.so.0')"
ok 'it draws' env LD_LIBRARY_PATH="$library" ./outsider "$model" shared.png
mkdir static
cp "$library/libcm.a" static/
# shellcheck disable=SC2046,SC2086
ok 'and with the static library' ${CC:-cc} outsider.c -o alone -L static \
    $(pkg-config --static --cflags --libs cm | sed "s|-L$library||g")
ok 'it needs no shared one' test -z "$(readelf -d alone | grep 'NEEDED.*libcm')"
ok 'it draws' ./alone "$model" static.png

# ---- the command ---------------------------------------------------------------

cm=$dest$prefix/bin/cm
export LD_LIBRARY_PATH="$library"
works 'the command draws' sample --model "$model" --out command.png
ok 'all draw the same' cmp shared.png command.png
ok 'of both kinds' cmp static.png command.png
ok 'it remembers no folder of the build' test -z "$(readelf -d "$cm" | grep -F "$root")"

finish
