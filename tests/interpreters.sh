#!/bin/sh
# The decoder of the streams and the feed on every CPython whose ints `reuse` knows: a build of the runtime, of
# spot_stream and of the feed alone, with the fast tests of the feed and of object reuse. Interpreters that are not
# installed are named; without any it is an error. MORE="tests/feed/transport" adds tests, VERSIONS="3.13"
# chooses. Tests that ask REST, some of tests/feed among them, need MODULES=all: all decoders, in some minutes more.
set -eu
MORE=${MORE:-}
MODULES=${MODULES:-live}
VERSIONS=${VERSIONS:-3.11 3.12 3.13}
cd "$(dirname "$0")/.."

# The command of a version, as such or as pyenv has it; a shim of pyenv may be there and run nothing.
interpreter() {
    for command in "python$1" "$(pyenv versions --bare 2>/dev/null | grep -x "$1\.[0-9]*" |
            tail -n 1 | while read -r name; do echo "$(pyenv prefix "$name")/bin/python"; done)"; do
        if [ -n "$command" ] && "$command" -c "import sys, sysconfig
assert sys.implementation.name == 'cpython' and '%d.%d' % sys.version_info[:2] == '$1'
assert not sysconfig.get_config_var('Py_GIL_DISABLED')" 2>/dev/null; then
            command -v "$command"
            return
        fi
    done
}

# Runs the tests with interpreter $2, which is of version $1.
try() {
    tree=build/interpreters/$1
    mkdir -p "$tree"
    cp setup.py pyproject.toml README.md LICENSE "$tree"
    for part in binance_sbe sbe_codegen schemas examples tests; do
        (cd "$part" && find . -type f ! -name '*.so' ! -name '*.c' ! -name '*.pyc' ! -name '*.html' |
            while read -r file; do
                mkdir -p "../$tree/$part/$(dirname "$file")"
                cmp -s "$file" "../$tree/$part/$file" || cp "$file" "../$tree/$part/$file"
            done)
    done
    # what has moved meanwhile is not to be found where it was
    (cd "$tree" && find binance_sbe sbe_codegen schemas tests -type f \( -name '*.py*' -o -name '*.pxd' -o -name '*.jinja' \) \
            ! -name '*.pyc') | while read -r file; do
        [ -e "$file" ] || rm -f "$tree/$file"
    done
    tests/translated.sh "$tree"
    [ "$MODULES" = all ] || rm -f "$tree"/binance_sbe/spot_sbe.p* "$tree"/binance_sbe/fix_sbe.p*
    [ "$tree/venv/ready" -nt tests/interpreters.sh ] || {   # what it needs is said below
        rm -rf "$tree/venv"
        "$2" -m venv "$tree/venv"
        "$tree/venv/bin/python" -m pip install -q --disable-pip-version-check "setuptools>=77" \
            "Cython>=3.1" "numpy>=2.0" "jinja2>=3.1" "lxml>=5.0" "pytest>=8.0" "hypothesis>=6.100" \
            "pytest-timeout>=2.3" "pytest-xdist>=3.5" "websockets>=15.0" "trustme>=1.1" "aiohttp>=3.10" \
            "prometheus-client>=0.20" "python-socks>=2.4" "rich>=13.7" "cryptography>=42.0" "uvloop>=0.19"
        touch "$tree/venv/ready"
    }
    cd "$tree"
    printf '[pytest]\nfilterwarnings = error\naddopts = --strict-markers\ntimeout = 300\nmarkers =\n    long: slow\n    fuzz: fuzz\n' >pytest.ini
    echo "CPython $1: building"
    # what a later CPython has deprecated in its C API is not to be used
    SBE_MODULES=$MODULES CFLAGS=-Werror=deprecated-declarations venv/bin/python setup.py -q build_ext --inplace >build.log 2>&1 ||
        { cat build.log; exit 1; }
    echo "$(venv/bin/python -VV)"
    venv/bin/python -c "from sbe_codegen.runtime.decode.values import reuses; assert reuses(), 'no reuse'"
    venv/bin/python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile -m "not long" \
        tests/runtime/decode/test_reuse.py tests/runtime/decode/test_found.py tests/runtime/decode/test_message.py \
        tests/runtime/decode/test_scaling.py tests/feed/protocol tests/feed/intake tests/feed/test_run.py \
        tests/feed/test_ledger.py tests/feed/test_feed.py tests/feed/transport/test_connections.py \
        tests/venue/test_lifecycle.py $MORE
}

missing= tried=
for version in $VERSIONS; do
    found=$(interpreter "$version")
    if [ -z "$found" ]; then
        missing="$missing $version"
        continue
    fi
    (try "$version" "$found")
    tried="$tried $version"
done
echo "decoder and feed were tested on CPython:${tried:- none}; not found:${missing:- none}"
[ -n "$tried" ]
