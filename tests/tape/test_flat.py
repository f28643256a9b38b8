"""Arrow's flatbuffers, whole and damaged: what does not fit raises ValueError."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from taped import tape_of, trades

from binance_sbe.tape import flat
from binance_sbe.tape.body import columns_in

SCHEMA = pa.schema([("x", pa.int64())], metadata={"key": "value", "": "\u8d39"})


def message(metadata: dict[str, str]) -> bytes:
    """The flatbuffer of a batch's message, as Arrow writes it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(
            pa.record_batch([pa.array([1, 2], pa.int64())], schema=SCHEMA), custom_metadata=metadata
        )
    data = sink.getvalue().to_pybytes()[SCHEMA.serialize().size :]
    return data[8 : 8 + int.from_bytes(data[4:8], "little")]


@given(st.dictionaries(st.text(max_size=50), st.text(max_size=300), min_size=1, max_size=5))
def test_metadata_are_those_that_arrow_was_given(metadata: dict[str, str]) -> None:
    found = flat.read_message(message(metadata))
    assert found.kind == flat.RECORD_BATCH
    assert found.body_length == 16  # two numbers, and no nulls
    assert found.metadata == {key.encode(): value.encode() for key, value in metadata.items()}


def test_the_metadata_of_a_schema_are_found() -> None:
    data = SCHEMA.serialize().to_pybytes()
    assert flat.schema_metadata(data[8:]) == {b"key": b"value", b"": "\u8d39".encode()}
    with pytest.raises(ValueError, match="no schema"):
        flat.schema_metadata(message({"a": "b"}))


def test_the_blocks_of_a_footer_are_where_arrow_reads_them(tmp_path: Path) -> None:
    data = tape_of(tmp_path, trades(100), batch_rows=10).read_bytes()
    length = int.from_bytes(data[-10:-6], "little")
    blocks = flat.read_footer(data[-10 - length : -10])
    assert len(blocks) == 11
    for block in blocks:
        assert data[block.offset : block.offset + 4] == b"\xff\xff\xff\xff"
        found = flat.read_message(data[block.offset + 8 : block.offset + block.metadata_length])
        assert found.body_length == block.body_length


def read_layout(data: bytes) -> None:
    """As of a batch without a body."""
    columns_in(bytes(8) + data, len(data), 2)


READERS = (flat.read_message, read_layout, flat.schema_metadata, flat.read_footer)


@given(st.binary(max_size=400))
@example(b"")
@example(b"\xff" * 64)
@example(b"\x00" * 64)
@example(b"\x04\x00\x00\x00\x00\x00\x00\x80")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in READERS:
        with contextlib.suppress(ValueError):
            read(data)


@given(st.data())
def test_damaged_messages_are_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(message({"tape.batch": "x" * 40, "tape.check": "y"}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    part = whole[: data.draw(st.integers(0, len(whole)))]
    for read in READERS:
        for bytes_of_it in (whole, part):
            with contextlib.suppress(ValueError):
                read(bytes(bytes_of_it))
