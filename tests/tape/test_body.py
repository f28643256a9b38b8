"""The columns of a batch are those that Arrow reads, however Arrow has written them."""

from __future__ import annotations

import contextlib
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from taped import tape_of, trades

from binance_sbe.errors import TapeError
from binance_sbe.tape import Tape
from binance_sbe.tape.body import columns_in
from binance_sbe.tape.pool import Pool
from binance_sbe.tape.reading import TapeReader
from binance_sbe.tape.rows import columns_of

OPTIONS = [
    {"compression": None},
    {"compression": "zstd"},
    {"compression": "lz4"},
    {"compression": pa.Codec("zstd", 9)},
    {"compression": None, "metadata_version": pa.ipc.MetadataVersion.V4},
]
rows = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1), st.integers(0, 65535), st.integers(0, 255),
        st.binary(max_size=300),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


def batch_of(values: list[tuple[Any, ...]]) -> Any:
    schema = columns_of(pa)
    columns = zip(*values, strict=True)
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def message_of(batch: Any, options: dict[str, Any]) -> tuple[bytes, int]:
    """The message of a batch as Arrow writes it, and how long its metadata are."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        begins = sink.tell()
        writer.write_batch(batch)
        ends = sink.tell()
    data = sink.getvalue().to_pybytes()
    begins = begins or 8 + int.from_bytes(data[4:8], "little")
    message = data[begins:ends]
    return message, int.from_bytes(message[4:8], "little")


@given(rows, st.sampled_from(OPTIONS))
def test_columns_are_those_that_were_written(
    values: list[tuple[Any, ...]], options: dict[str, Any]
) -> None:
    message, length = message_of(batch_of(values), options)
    received, connection, kind, offsets, data = columns_in(message, length, len(values))
    frames = [data[a:b].tobytes() for a, b in itertools.pairwise(offsets)]
    columns = received.tolist(), connection.tolist(), kind.tolist(), frames
    assert list(zip(*columns, strict=True)) == values
    assert received.dtype == np.int64
    assert received.flags.aligned


@given(rows, st.sampled_from(OPTIONS), st.data())
def test_a_damaged_batch_is_read_or_refused(
    values: list[tuple[Any, ...]], options: dict[str, Any], draw: st.DataObject
) -> None:
    whole, length = message_of(batch_of(values), options)
    damaged = bytearray(whole)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(8, 8 + length + 40)) % len(whole)] ^= 1 << draw.draw(
            st.integers(0, 7)
        )
    part = bytes(damaged[: draw.draw(st.integers(8 + length, len(whole)))])
    for message in (bytes(damaged), part):
        with contextlib.suppress(ValueError, OSError, MemoryError, pa.ArrowException):
            columns_in(message, length, len(values))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_other_rows_than_were_written_are_refused(count: int) -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x")] * 2), {})
    with pytest.raises(ValueError, match=f"not {count} rows"):
        columns_in(message, length, count)


def test_a_batch_of_no_rows_is_refused() -> None:
    """None is ever written, and a count below zero is none at all."""
    message, length = message_of(batch_of([(1, 2, 3, b"x")]).slice(0, 0), {})
    with pytest.raises(ValueError, match="not 0 rows"):
        columns_in(message, length, 0)
    one, length = message_of(batch_of([(1, 2, 3, b"x")]), {})
    fewer = one[: 8 + length].replace((1).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little"))
    with pytest.raises(ValueError, match="rows without nulls"):
        columns_in(fewer + one[8 + length :], length, -1)


def test_nulls_are_refused() -> None:
    schema = pa.schema([field.with_nullable(True) for field in columns_of(pa)])
    batch = pa.record_batch(
        [pa.array([1, None], field.type) if i == 1 else pa.array([b"1", b"2"], field.type)
         if field.type == pa.binary() else pa.array([1, 2], field.type)
         for i, field in enumerate(schema)], schema=schema,
    )  # fmt: skip
    message, length = message_of(batch, {})
    with pytest.raises(ValueError, match="without nulls"):
        columns_in(message, length, 2)


def test_a_length_that_nobody_would_write_takes_no_memory() -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x" * 1000)]), {"compression": "zstd"})
    # each buffer begins with its length without compression: that of the frames is the last
    at = message.rindex((1000).to_bytes(8, "little"))
    for size in (2**40, 2**31, -2, -(2**63)):
        claimed = message[:at] + size.to_bytes(8, "little", signed=True) + message[at + 8 :]
        with pytest.raises(ValueError, match=f"a buffer of {size} bytes"):
            columns_in(claimed, length, 1)


@pytest.mark.parametrize(
    ("moved", "longer", "said"),
    [
        (1, 0, "is not in the batch"),  # not where a number of eight bytes may be
        (-(2**40), 0, "is not in the batch"),
        (2**40, 0, "is not in the batch"),
        (0, 2**40, "is not in the batch"),
        (0, -5, "is not in the batch"),
        (0, -1, "are not within 3 bytes"),  # the next bytes are there, and are not this buffer's
    ],
)
def test_a_buffer_is_where_it_can_be(moved: int, longer: int, said: str) -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"four")]), {})
    offset, size = message.rindex(b"four") - 8 - length, 4
    metadata = message[: 8 + length].replace(
        offset.to_bytes(8, "little") + size.to_bytes(8, "little"),
        b"".join(n.to_bytes(8, "little", signed=True) for n in (offset + moved, size + longer)),
    )
    with pytest.raises(ValueError, match=said):
        columns_in(metadata + message[8 + length :], length, 1)


def test_rows_that_arrow_does_not_read_are_told(tmp_path: Path) -> None:
    reader = TapeReader(tape_of(tmp_path, trades(3)), Pool())
    entry = reader.entries[0]
    rows = reader.read(entry)
    reader.check_arrow(entry, rows)
    rows.received_ns = rows.received_ns + 1
    with pytest.raises(TapeError, match="Arrow reads other rows than were written"):
        reader.check_arrow(entry, rows)


def test_a_buffer_that_was_left_as_it_is() -> None:
    """As other writers do where compression does not make it shorter."""
    frame = random.Random(1).randbytes(500)
    message, length = message_of(batch_of([(1, 2, 3, frame)]), {"compression": "zstd"})
    at = message.rindex((500).to_bytes(8, "little"))
    left = (-1).to_bytes(8, "little", signed=True) + frame
    message = message[:at] + left + message[at + len(left) :]
    assert columns_in(message, length, 1)[4].tobytes() == frame
    whole = pa.ipc.read_record_batch(pa.ipc.read_message(message), columns_of(pa))
    assert whole.column(3).to_pylist() == [frame]


def test_what_arrow_alone_can_not_read_is_told_and_mended(tmp_path: Path) -> None:
    """A bit of the metadata that our own reader does not need."""
    given = trades(30)
    file = tape_of(tmp_path, given, batch_rows=50, compression=None)
    whole = file.read_bytes()
    (entry, *_) = TapeReader(file, Pool()).entries
    told = 0
    for at in range(entry.offset + 8, entry.offset + 8 + entry.metadata_length):
        for bit in (1, 128):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            try:
                report = Tape(file).verify()
            except TapeError:
                continue
            if not any("Arrow" in problem for problem in report.problems):
                continue
            if report.frames_good < len(given):
                continue
            told += 1
            assert not report.is_whole
            assert report.frames_lost == 0
            if told < 5:
                assert Tape.recover(tmp_path).frames_good == len(given)
                assert Tape(tmp_path).verify().is_whole
                (tmp_path / f"{file.name}.damaged").unlink()
    assert told > 4


def with_numbers(message: bytes, length: int, number: int, other: int) -> bytes:
    """Each of the numbers of 64 bits of the metadata that is one, as another."""
    metadata = message[: 8 + length].replace(
        number.to_bytes(8, "little"), other.to_bytes(8, "little")
    )
    return metadata + message[8 + length :]


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_buffers_that_are_too_short_for_their_rows_are_refused(compression: str | None) -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x")] * 3), {"compression": compression})
    with pytest.raises(ValueError, match=r"5 values of int32 are not within \d+ bytes"):
        columns_in(with_numbers(message, length, 3, 4), length, 4)
    with pytest.raises(ValueError, match="are more than a batch can have"):
        columns_in(with_numbers(message, length, 3, 2**31), length, 2**31)


def test_a_batch_of_other_columns_is_refused() -> None:
    numbers = pa.array([1, 2], pa.int64())
    message, length = message_of(pa.record_batch([numbers] * 4, names=list("abcd")), {})
    with pytest.raises(ValueError, match="not 2 rows without nulls"):
        columns_in(message, length, 2)


def test_a_compressed_buffer_without_its_length_is_refused() -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x" * 99)]), {"compression": "zstd"})
    told = 0
    for at in range(8, 8 + length, 8):  # where a number of 64 bits may be
        if 9 <= int.from_bytes(message[at : at + 8], "little") < 60:
            shorter = message[:at] + (5).to_bytes(8, "little") + message[at + 8 :]
            try:
                columns_in(shorter, length, 1)
            except ValueError as error:
                told += "a compressed buffer of 5 bytes has no length" in str(error)
    assert told >= 3


def test_what_is_not_aligned_is_refused() -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x")]), {})
    moved = memoryview(b"1234567" + message)[7:]
    with pytest.raises(ValueError, match="not at a multiple of eight bytes"):
        columns_in(moved, length, 1)


def test_compressions_that_are_not_known_are_refused() -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"x")]), {"compression": "zstd"})
    told = 0
    for at in range(8, 8 + length):
        if message[at] in (0, 1):
            other = message[:at] + b"\x02" + message[at + 1 :]
            try:
                columns_in(other, length, 1)
            except (ValueError, OSError, MemoryError, pa.ArrowException) as error:
                told += "compressed in a way that is not known" in str(error)
    assert told >= 1


@pytest.mark.parametrize(
    ("offsets", "row"),
    [((0, 3, 2, 4), 1), ((-1, 1, 2, 4), 0), ((0, 1, 5, 4), 1), ((1, 0, 2, 4), 0)],
)
def test_offsets_that_fall_are_refused(offsets: tuple[int, ...], row: int) -> None:
    message, length = message_of(batch_of([(1, 2, 3, b"a"), (1, 2, 3, b"b"), (1, 2, 3, b"cd")]), {})
    there = np.array([0, 1, 2, 4], "<i4").tobytes()
    assert message.count(there) == 1
    other = message.replace(there, np.array(offsets, "<i4").tobytes())
    with pytest.raises(ValueError, match=f"row {row} is not in its data"):
        columns_in(other, length, 3)
    assert columns_in(message, length, 3)[4].tobytes() == b"abcd"
