#!/bin/sh
# Builds the extensions with AddressSanitizer and UBSan beside the normal ones, in build/sanitized, and
# runs over them the tests that reach the compiled code, then damages the corpus for FUZZ_SECONDS.
set -eu
python=$(cd "$(dirname "${PYTHON:-.venv/bin/python}")" && pwd)/$(basename "${PYTHON:-.venv/bin/python}")
cd "$(dirname "$0")/.."
tree=build/sanitized
mkdir -p "$tree"
for part in binance_sbe sbe_codegen schemas tests; do
    mkdir -p "$tree/$part"
    (cd "$tree/$part" && find . -type f ! -name '*.so' ! -name '*.c' | while read -r file; do
        [ -e "../../../$part/$file" ] || rm "$file"
    done)
    (cd "$part" && find . -type f ! -name '*.so' ! -name '*.c' ! -name '*.pyc' |
        while read -r file; do
            mkdir -p "../$tree/$part/$(dirname "$file")"
            cmp -s "$file" "../$tree/$part/$file" || cp "$file" "../$tree/$part/$file"
        done)
done
cp setup.py pyproject.toml README.md LICENSE "$tree"
tests/translated.sh "$tree"
cd "$tree"
export SBE_BUILD=sanitize
"$python" setup.py -q build_ext --inplace
runtime=$(${CC:-gcc} -print-file-name=libasan.so)
undefined=$(${CC:-gcc} -print-file-name=libubsan.so)
export LD_PRELOAD="$runtime $undefined" PYTHONPATH="$PWD" PYTHONMALLOC=malloc
# Python itself leaks at exit; leaks of ours are tested by counting (test_memory).
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
"$python" -c "import binance_sbe.spot_stream as m; assert 'sanitized' in m.__file__, m.__file__"
export FUZZ_SECONDS="${FUZZ_SECONDS:-90}"
# A sanitizer ends the process after its report on stderr, which pytest by default keeps and so loses.
export PYTEST_ADDOPTS="--capture=sys -p no:cacheprovider -q -n $(nproc) --dist loadfile"
"$python" -m pytest tests/runtime/decode/test_properties.py tests/runtime/decode/test_memory.py tests/runtime/decode/test_message.py \
    tests/runtime/decode/test_bad_input.py tests/runtime/tables/test_tables.py tests/runtime/decode/test_scaling.py tests/codegen/test_language.py \
    tests/runtime/decode/test_hostile.py tests/slow/test_random_schemas.py tests/venue/test_binance_schemas.py \
    tests/api/test_fix.py tests/runtime/decode/test_reuse.py tests/runtime/decode/test_found.py tests/codegen/test_charsets.py \
    tests/runtime/tables/test_columns.py tests/runtime/decode/test_buffers.py tests/runtime/tables/test_groups.py tests/feed/intake/test_stats.py tests/feed/intake/test_arbiter.py \
    tests/books/test_book.py tests/feed/intake/test_frame_queue.py tests/feed/intake/test_backlog.py \
    tests/runtime/decode/test_full.py tests/runtime/decode/test_decode_errors.py tests/runtime/decode/test_unknown_elements.py \
    tests/runtime/encode \
    tests/runtime/tables/test_nested_columns.py tests/runtime/decode/test_runtime_memory.py tests/runtime/decode/test_fuzz.py \
    tests/feed/transport/test_reader.py tests/feed/transport/test_reader_ends.py tests/feed/transport/test_rfc6455_fuzz.py \
    tests/tape/test_flat.py tests/tape/test_body.py tests/tape/test_recorder.py tests/tape/test_tape.py \
    tests/tape/test_mapped.py tests/tape/test_unpacking.py tests/tape/test_walking.py tests/tape/test_losses.py::test_the_row_of_a_loss_fills_no_batch_beyond_its_end \
    tests/feed/test_awaited.py tests/feed/transport/test_poller.py tests/feed/transport/test_bell.py \
    tests/feed/transport/test_loop_watch.py tests/feed/transport/test_alarm.py tests/feed/transport/test_wire.py \
    --deselect tests/tape/test_mapped.py::test_a_file_that_is_made_shorter_is_damaged_and_ends_no_process \
    "$@"
# the reader and the inbox, on real sockets
exec "$python" -m pytest tests/feed/transport/test_websocket.py tests/feed/test_feed.py tests/slow/test_recovery.py \
    tests/feed/transport/test_attacks.py tests/feed/test_run.py tests/feed/transport/test_rfc6455.py \
    tests/feed/transport/test_tls.py \
    -k "not whatever and not renewal and not half and not shard and not bounded and not 300_000"
