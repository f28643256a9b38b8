"""What was compressed comes back, by either library; what is damaged is refused, in no memory."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from taped import tape_of, trades

from binance_sbe.tape import Tape, unpacking
from binance_sbe.tape.unpacking import unpacked

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "Arrow": lambda data: pa.Codec("zstd", 1).compress(data).to_pybytes(),
    "Arrow, level 9": lambda data: pa.Codec("zstd", 9).compress(data).to_pybytes(),
    "with a check sum": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "no size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}
CONTENT = st.binary(min_size=1, max_size=5000) | st.builds(
    lambda part, count: part * count, st.binary(min_size=1, max_size=20), st.integers(1, 9000)
)
REFUSED = (ValueError, OSError, pa.ArrowException)


@contextmanager
def without_zstandard(leave: bool) -> Iterator[None]:
    """As where the package is not installed, unless that is left."""
    before = unpacking._contexts
    unpacking._contexts = before if leave else None
    try:
        yield
    finally:
        unpacking._contexts = before


@given(CONTENT, st.sampled_from(sorted(PACKERS)), st.booleans())
def test_what_was_compressed_comes_back(content: bytes, packer: str, has_zstandard: bool) -> None:
    packed = PACKERS[packer](content)
    with without_zstandard(has_zstandard):
        assert bytes(unpacked("zstd", memoryview(packed), len(content))) == content
    lz4 = pa.Codec("lz4").compress(content)
    assert bytes(unpacked("lz4", memoryview(lz4), len(content))) == content


@given(CONTENT, st.sampled_from(sorted(PACKERS)), st.integers(-3, 3), st.data())
def test_what_is_not_of_its_size_or_damaged_is_refused_or_other_bytes(
    content: bytes, packer: str, off: int, draw: st.DataObject
) -> None:
    packed = bytearray(PACKERS[packer](content))
    size = max(len(content) + off, 0)
    if size != len(content):
        with pytest.raises(REFUSED):
            unpacked("zstd", memoryview(packed), size)
    packed[draw.draw(st.integers(0, len(packed) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    part = packed[: draw.draw(st.integers(0, len(packed)))]
    for damaged in (packed, part):
        with suppress(REFUSED):
            assert len(bytes(unpacked("zstd", memoryview(damaged), len(content)))) == len(content)


@pytest.mark.parametrize("has_size", [True, False])
def test_no_more_memory_is_taken_than_for_what_is_claimed(has_size: bool) -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=has_size).compress(bytes(1 << 28))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="a compressed buffer"):
            unpacked("zstd", memoryview(bomb), 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_threads_have_contexts_of_their_own() -> None:
    contents = [random.Random(i).randbytes(200_000) * 3 for i in range(8)]
    packed = [PACKERS["Arrow"](content) for content in contents]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(30):
            if bytes(unpacked("zstd", memoryview(packed[i]), len(contents[i]))) != contents[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_a_tape_is_read_without_zstandard(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tape_of(tmp_path_factory.mktemp("tape"), trades(300), batch_rows=20)
    with without_zstandard(leave=False), Tape(path) as tape:
        assert [bytes(message) for message in tape.messages()] == trades(300)
        assert tape.verify().is_whole
