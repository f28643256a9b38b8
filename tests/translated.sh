#!/bin/sh
# translated.sh TREE: gives a copy of this tree the C of its modules, where it is that of their sources.
# Cython makes the same C for every interpreter and every switch, and needs a minute for it.
set -eu
tree=$1
cd "$(dirname "$0")/.."
find binance_sbe sbe_codegen -name '*.pyx' | while read -r source; do
    made="${source%.pyx}.c"
    [ "$made" -nt "$source" ] && cmp -s "$source" "$tree/$source" || continue
    cmp -s "$made" "$tree/$made" && [ "$tree/$made" -nt "$tree/$source" ] || cp "$made" "$tree/$made"
done
