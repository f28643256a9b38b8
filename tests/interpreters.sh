#!/bin/sh
# The tests of object reuse on every CPython whose ints `reuse` knows, in a build of the runtime and
# spot_stream alone. Those that are not installed are named; without any it is an error.
set -eu
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
    for part in binance_sbe sbe_codegen schemas tests; do
        (cd "$part" && find . -type f ! -name '*.so' ! -name '*.c' ! -name '*.pyc' ! -name '*.html' |
            while read -r file; do
                mkdir -p "../$tree/$part/$(dirname "$file")"
                cmp -s "$file" "../$tree/$part/$file" || cp "$file" "../$tree/$part/$file"
            done)
    done
    rm -f "$tree"/binance_sbe/spot_sbe.p* "$tree"/binance_sbe/fix_sbe.p*
    [ -e "$tree/venv/ready" ] || {
        rm -rf "$tree/venv"
        "$2" -m venv "$tree/venv"
        "$tree/venv/bin/python" -m pip install -q --disable-pip-version-check "setuptools>=77" \
            "Cython>=3.1" "numpy>=2.0" "jinja2>=3.1" "lxml>=5.0" "pytest>=8.0" "hypothesis>=6.100"
        touch "$tree/venv/ready"
    }
    cd "$tree"
    printf '[pytest]\nfilterwarnings = error\n' >pytest.ini
    venv/bin/python - <<'BUILD'
from pathlib import Path

from setuptools import setup

from sbe_codegen import builder

sources = builder.runtime_sources()
schema, package = Path("schemas/stream_1_0.xml"), Path("binance_sbe")
sources["binance_sbe.spot_stream"] = builder.generate(schema, package, "spot_stream")
setup(
    name="reuse",
    script_args=["-q", "build_ext", "--inplace"],
    ext_modules=builder.cythonized(sources, Path.cwd()),
    options={"build_ext": {"parallel": 2}},
)
BUILD
    echo "$(venv/bin/python -VV)"
    venv/bin/python -c "from sbe_codegen.runtime.decode.values import reuses; assert reuses(), 'no reuse'"
    venv/bin/python -m pytest -q -p no:cacheprovider tests/runtime/decode/test_reuse.py tests/runtime/decode/test_found.py \
        tests/runtime/decode/test_message.py tests/runtime/decode/test_scaling.py
}

missing= tried=
for version in 3.11 3.12 3.13; do
    found=$(interpreter "$version")
    if [ -z "$found" ]; then
        missing="$missing $version"
        continue
    fi
    (try "$version" "$found")
    tried="$tried $version"
done
echo "object reuse was tested on CPython:${tried:- none}; not found:${missing:- none}"
[ -n "$tried" ]
