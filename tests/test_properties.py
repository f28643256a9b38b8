"""What the oracle encodes, the decoders decode: any values, any version, any schema."""

from __future__ import annotations

from fractions import Fraction
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

STREAM = Schema(Path(__file__).parent.parent / "schemas" / "stream_1_0.xml")
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
        except MalformedMessage:  # text that is not UTF-8
            assert name == "symbol"
            continue
        if isinstance(value, np.ndarray):
            value.tobytes()
    repr(message)


@given(st.data())
def test_random_schemas_round_trip_in_every_version(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    version = data.draw(st.integers(0, schema.version))
    values = data.draw(messages(schema, name))
    more = data.draw(surplus) if version == schema.version else b""
    frame = schema.encode(name, values, version, more, more)
    message = module.decode(frame)
    expected = schema.expected(name, values, version)
    assert message.to_dict() == expected
    assert message.version == version
    assert message.encoded_length == len(frame)
    assert message.astuple() == tuple(
        getattr(message, key) for key in expected if not key.startswith("group")
    )
    assert type(message).unpack(b"+" + frame, 1) == message.astuple()
    check_views(message, schema, name, expected)
    check_scaled(message, schema, name, expected)
    check_table(module.decode_many([frame, frame]), message, schema, name, expected)


def check_views(message: Any, schema: Schema, name: str, expected: dict[str, Any]) -> None:
    """Structured arrays agree with the attributes, nulls included."""
    node = schema.messages[name]
    compare(message.block, [expected], Block(schema, node))
    assert message.block.dtype == type(message).DTYPE
    assert type(message).DTYPE.itemsize == type(message).BLOCK_LENGTH
    for child in node:
        if local(child) == "group":
            group = snake(child.get("name", ""))
            compare(getattr(message, group), expected[group], Block(schema, child))
            assert getattr(message, group).dtype == getattr(message, f"{group.upper()}_DTYPE")


def check_scaled(message: Any, schema: Schema, name: str, expected: dict[str, Any]) -> None:
    """Every mantissa as float64 and as Decimal, by way of fractions."""
    node = schema.messages[name]
    for field, exponent in mantissas(node):
        exact = scaled(expected[field], expected[exponent])
        assert getattr(message, f"{field}_float") == (None if exact is None else float(exact))
        decimal = getattr(message, f"{field}_decimal")
        assert decimal is None if exact is None else Fraction(decimal) == exact
    for child in node:
        if local(child) != "group" or not mantissas(child):
            continue
        group = snake(child.get("name", ""))
        floats = getattr(message, f"{group}_float")
        assert len(floats) == len(expected[group])
        for field, exponent in mantissas(child):
            assert floats.dtype[field] == np.float64
            for value, entry in zip(floats[field].tolist(), expected[group], strict=True):
                exact = scaled(entry[field], (expected | entry)[exponent])
                assert np.isnan(value) if exact is None else value == float(exact)


def mantissas(node: Any) -> list[tuple[str, str]]:
    """(mantissa, exponent) by name, for the fields of a message or a group."""
    tied = [(child, child.get("{urn:x}exponent")) for child in node if local(child) == "field"]
    return [(snake(child.get("name")), snake(exponent)) for child, exponent in tied if exponent]


def scaled(mantissa: int | None, exponent: int | None) -> Fraction | None:
    if mantissa is None or exponent is None:
        return None
    return Fraction(mantissa) * Fraction(10) ** exponent


def check_table(
    batch: Any, message: Any, schema: Schema, name: str, expected: dict[str, Any]
) -> None:
    table = batch[type(message)]
    node = schema.messages[name]
    assert table.records["frame"].tolist() == [0, 1]
    for row in (0, 1):
        compare(table.records[row : row + 1], [expected], Block(schema, node))
    for child in node:
        key = snake(child.get("name", ""))
        if local(child) == "group":
            for row in (0, 1):
                compare(table.groups[key][row], expected[key], Block(schema, child))
        elif local(child) == "data" and key in table.records.dtype.names:
            for code in table.records[key].tolist():
                text = None if code == 2**32 - 1 else table.dictionary(key)[code]
                assert text == expected[key]


def compare(array: Any, expected: list[dict[str, Any]], block: Block) -> None:
    assert len(array) == len(expected)
    for field in block.fields:
        if field.constant is not None:
            assert array.dtype.names is None or field.name not in array.dtype.names
            continue
        for raw, wanted in zip(array[field.name].tolist(), expected, strict=True):
            value = wanted[field.name]
            if value is None:
                assert raw == field.null or raw != raw
            elif isinstance(value, str):
                assert field.labels[raw] == value
            else:
                assert raw == value


@pytest.mark.fuzz
@given(st.data())
def test_random_schemas_refuse_every_shorter_frame(
    random_module: tuple[ModuleType, Schema], data: st.DataObject
) -> None:
    module, schema = random_module
    name = data.draw(st.sampled_from(sorted(schema.messages)))
    frame = schema.encode(name, data.draw(messages(schema, name)))
    for size in range(len(frame)):
        with pytest.raises((TruncatedMessage, MalformedMessage)):
            module.decode(frame[:size])


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
