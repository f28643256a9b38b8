"""The FIX API's byte stream, and its messages as record arrays."""

from __future__ import annotations

import pickle
import traceback
import weakref
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_binance_schemas import FIX, values_of

from binance_sbe import fix, fix_sbe
from binance_sbe.errors import FramingError
from sbe_codegen.runtime import sofh


def encode(name: str, **values: Any) -> bytes:
    return FIX.encode(name, values_of(FIX, FIX.messages[name], False, 2) | values)


MESSAGES = [encode(name) for name in FIX.messages]
STREAM = b"".join(map(fix.framed, MESSAGES))


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_however_it_is_cut_the_messages_come_out(cuts: list[int]) -> None:
    splitter = fix.Splitter()
    found = []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        found += splitter.feed(memoryview(STREAM)[start:end])
        assert splitter.position + splitter.pending == end
    assert found == MESSAGES
    assert splitter.pending == 0


def test_byte_by_byte() -> None:
    splitter = fix.Splitter()
    found = [message for byte in STREAM for message in splitter.feed(bytes([byte]))]
    assert found == MESSAGES


def test_market_data_become_record_arrays() -> None:
    names = ["MarketDataIncrementalDepth", "MarketDataIncrementalBookTicker",
             "MarketDataIncrementalTrade", "MarketDataSnapshot"]  # fmt: skip
    stream = b"".join(fix.framed(encode(name)) for name in names * 3)
    batch = fix.decode_many(fix.Splitter().feed(stream))
    assert len(batch) == 12
    table = batch[fix_sbe.MarketDataIncrementalDepth]
    assert len(table) == 3
    assert [len(group.records) for group in table.groups.values()] == [6] * len(table.groups)
    header = fix.decode_header(encode(names[0]))
    assert header._fields[-2:] == ("seq_num", "sending_time")


def test_deleted_levels_have_a_null_size() -> None:
    name = "MarketDataIncrementalDepth"
    values = values_of(FIX, FIX.messages[name], True, 1)
    message = fix.decode(FIX.encode(name, values))
    assert message.to_dict()["md_entries_bids"][0]["md_entry_size"] is None
    assert message.md_entries_bids["md_entry_size"].tolist() == [-(2**63)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x05\x00\x00\x00\x50\xeb", "a message of 5 bytes, too few"),
        (b"\x19\x00\x00\x00\x50\xeb", "a message of 25 bytes, too few"),
        (b"\xff\xff\xff\x7f\x50\xeb", "more than the 1048576 allowed"),
        (
            b"\x00\x00\x00\x44\xeb\x50",
            "encoding 0x50EB instead of 0xEB50, which is in the other byte order",
        ),
        (b"8=FIX.4.4|9=", "encoding 0x2E58 instead of 0xEB50"),
    ],
)
def test_a_stream_out_of_step_is_explained(data: bytes, said: str) -> None:
    splitter = fix.Splitter()
    good = fix.framed(MESSAGES[0])
    said = said.replace("0x2E58", f"0x{int.from_bytes(data[4:6], 'little'):04X}")
    assert splitter.feed(good + data) == MESSAGES[:1]  # what was whole is not lost
    for more in (b"", good):
        with pytest.raises(FramingError, match=said) as caught:
            splitter.feed(more)
        assert caught.value.offset == len(good)
    with pytest.raises(FramingError, match="at byte 0 of the stream"):
        fix.Splitter().feed(data)


def test_what_is_fed_after_a_fault_is_not_kept() -> None:
    """Nor by the errors themselves: each has the traceback of its own raising alone."""
    splitter = fix.Splitter()
    kept: list[weakref.ref[Any]] = []
    errors: list[FramingError] = []
    for _ in range(100):
        data = np.zeros(1000, np.uint8)
        kept.append(weakref.ref(data))
        try:
            splitter.feed(data)
        except FramingError as error:
            errors.append(error.with_traceback(None))
        del data
    assert len(errors) == 100
    assert [each for each in kept if each() is not None] == []
    assert {str(error) for error in errors} == {str(errors[0])}
    held = []
    for _ in range(3):
        with pytest.raises(FramingError) as caught:
            splitter.feed(b"")
        held.append(caught.value)
    depths = [len(list(traceback.walk_tb(error.__traceback__))) for error in held]
    assert len({id(error) for error in held}) == 3
    assert depths == [depths[0]] * 3
    assert [error.__context__ for error in held] == [None] * 3


def test_an_end_in_the_middle_is_seen() -> None:
    splitter = fix.Splitter()
    assert splitter.feed(STREAM[:-1])[-1] == MESSAGES[-2]
    assert splitter.pending == len(fix.framed(MESSAGES[-1])) - 1


def test_the_standard_byte_order_is_big() -> None:
    messages = [bytes(62), bytes(range(78)), b"x"]
    encodings = (sofh.SBE_BIG_ENDIAN, sofh.SBE_LITTLE_ENDIAN, sofh.SBE_LITTLE_ENDIAN)
    stream = b"".join(sofh.framed(m, encoding=e) for m, e in zip(messages, encodings, strict=True))
    assert stream[:6] == bytes.fromhex("000000445be0")  # as the examples of the standard begin
    assert sofh.framed(bytes(62))[:6] == bytes.fromhex("00000044eb50")
    splitter = sofh.Splitter()
    assert splitter.feed(stream[:100]) + splitter.feed(stream[100:]) == messages
    with pytest.raises(FramingError, match="encoding 0x50EB instead of 0x5BE0 or 0xEB50, which"):
        splitter.feed(fix.framed(bytes(30)))
    with pytest.raises(ValueError, match="byte_order is 'big' or 'little'"):
        sofh.Splitter(byte_order="middle")  # type: ignore[arg-type]
    error = pickle.loads(pickle.dumps(FramingError("text", 5)))
    assert (str(error), error.offset) == ("text at byte 5 of the stream", 5)


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="max_length 10 has no room"):
        fix.Splitter(10)
    with pytest.raises(FramingError, match="more than the 30 allowed"):
        fix.Splitter(30).feed(fix.framed(bytes(40)))
