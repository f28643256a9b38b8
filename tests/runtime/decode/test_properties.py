"""What the oracle encodes, the decoders decode: any values, any version, any schema."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Block, Schema, local, snake
from strategies import messages

from binance_sbe import DecodeError, MalformedMessage, TruncatedMessage, spot_stream

STREAM = Schema(Path(__file__).parent.parent.parent.parent / "schemas" / "stream_1_0.xml")
surplus = st.binary(max_size=5)


@st.composite
def stream_messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(STREAM.messages)))
    return name, draw(messages(STREAM, name))


def class_of(module: ModuleType, schema: Schema, name: str) -> Any:
    return module.MESSAGES[int(schema.messages[name].get("id", 0))]


@given(stream_messages(), surplus, surplus)
def test_stream_messages_decode_to_what_was_encoded(
    drawn: tuple[str, dict[str, Any]], more: bytes, more_per_entry: bytes
) -> None:
    name, values = drawn
    frame = STREAM.encode(name, values, None, more, more_per_entry)
    message = spot_stream.decode(frame)
    assert type(message).__name__ == name
    assert message.to_dict() == STREAM.expected(name, values)
    assert message.encoded_length == len(frame)
    for field in Block(STREAM, STREAM.messages[name]).fields:
        assert getattr(message, field.name) == values[field.name]
        assert message.block[field.name][0] == values[field.name]
    assert message.symbol == values["symbol"]
    assert type(message).decode(bytes(message)) == message
    assert type(message).unpack(frame) == message.astuple()


@given(st.lists(stream_messages(), max_size=12), st.booleans())
def test_tables_hold_what_the_messages_hold(
    drawn: list[tuple[str, dict[str, Any]]], contiguous: bool
) -> None:
    frames = [STREAM.encode(name, values) for name, values in drawn]
    offsets = np.cumsum([0, *map(len, frames)], dtype=np.int64)
    batch = spot_stream.decode_many((b"".join(frames), offsets) if contiguous else frames)
    assert len(batch) == len(frames)
    for table in batch.tables.values():
        for row, record in enumerate(table.records):
            name, values = drawn[record["frame"]]
            assert table.message.__name__ == name
            assert table.symbols[record["symbol"]] == values["symbol"]
            for column in set(table.records.dtype.names) - {"frame", "symbol"}:
                assert record[column] == values[column]
            for group, entries in table.groups.items():
                assert len(entries[row]) == len(values[group])
                for entry, expected in zip(entries[row], values[group], strict=True):
                    for column in entry.dtype.names:
                        raw = 255 if expected[column] is None else expected[column]
                        assert entry[column] == raw


@pytest.mark.fuzz
@given(stream_messages())
def test_every_shorter_frame_is_truncated(drawn: tuple[str, dict[str, Any]]) -> None:
    frame = STREAM.encode(*drawn)
    for size in range(len(frame)):
        with pytest.raises(TruncatedMessage):
            class_of(spot_stream, STREAM, drawn[0]).unpack(frame[:size])
        with pytest.raises(TruncatedMessage) as caught:
            spot_stream.decode(frame[:size])
        error = caught.value
        assert error.wanted is not None
        assert error.available is not None
        assert error.offset is not None
        assert error.offset + error.available == size < error.offset + error.wanted


@pytest.mark.fuzz
@given(stream_messages(), st.data())
def test_a_damaged_frame_is_a_value_or_a_decode_error(
    drawn: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    frame = bytearray(STREAM.encode(*drawn))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    look_at_everything(bytes(frame))


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.sampled_from([10000, 10001, 10002, 10003]))
def test_random_bytes_are_a_value_or_a_decode_error(tail: bytes, template: int) -> None:
    look_at_everything(tail)
    look_at_everything(bytes([18, 0]) + template.to_bytes(2, "little") + bytes([1, 0, 0, 0]) + tail)


def look_at_everything(frame: bytes) -> None:
    """Decodes and reads all there is; anything but a DecodeError is a failure."""
    batch = spot_stream.decode_many([frame], on_error="collect")
    try:
        message = spot_stream.decode(frame)
    except DecodeError as error:
        assert len(batch.rejected) == 1
        assert type(batch.errors[0]) is type(error)
        assert batch.rejected["offset"][0] == error.offset
        return
    assert len(batch) == 1
    assert message.encoded_length <= len(frame)
    for name in dir(type(message)):
        if name.startswith("_"):
            continue
        try:
            value = getattr(message, name)
        except MalformedMessage:  # text that is not UTF-8, a time that no datetime is
            assert name == "symbol" or name.endswith("_datetime")
            continue
        if isinstance(value, np.ndarray):
            value.tobytes()
    repr(message)


def test_a_shorter_block_at_the_same_version_is_malformed() -> None:
    for name, node in STREAM.messages.items():
        block = Block(STREAM, node)
        values: dict[str, Any] = {field.name: 1 for field in block.fields}
        values |= {snake(child.get("name", "")): [] for child in node if local(child) == "group"}
        frame = bytearray(STREAM.encode(name, values | {"symbol": "X" * 60}))
        for length in range(block.length):
            frame[0:2] = length.to_bytes(2, "little")
            with pytest.raises(MalformedMessage) as caught:
                spot_stream.decode(frame)
            assert (caught.value.wanted, caught.value.available) == (block.length, length)
