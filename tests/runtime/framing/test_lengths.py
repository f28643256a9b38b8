"""Splitters of byte streams whose messages have lengths in front."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbe_codegen.runtime.framing import FramingError, LengthSplitter, SofhSplitter
from sbe_codegen.runtime.framing.sofh import framed


def wire(messages: list[bytes], size: int, order: str, inclusive: bool) -> bytes:
    lengths = [len(each) + (size if inclusive else 0) for each in messages]
    fields = [n.to_bytes(size, order) for n in lengths]  # type: ignore[arg-type]
    return b"".join(head + each for head, each in zip(fields, messages, strict=True))


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["big", "little"]),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_messages_come_out_however_the_stream_was_cut(
    messages: list[bytes], size: int, order: str, inclusive: bool, cuts: list[int]
) -> None:
    stream = wire(messages, size, order, inclusive)
    splitter = LengthSplitter(size, byte_order=order, includes_itself=inclusive)  # type: ignore[arg-type]
    assert b"".join(map(splitter.framed, messages)) == stream
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = []
    for begin, end in pairwise(bounds):
        found += splitter.feed(stream[begin:end])
    assert found == messages
    assert splitter.pending == 0
    assert splitter.position == len(stream)


@given(st.binary(max_size=200), st.sampled_from([2, 4]), st.booleans())
def test_any_bytes_give_messages_and_a_rest_or_a_fault(
    stream: bytes, size: int, inclusive: bool
) -> None:
    splitter = LengthSplitter(size, includes_itself=inclusive, max_length=64)
    taken = 0
    try:
        for i in range(len(stream)):
            taken += sum(size + len(each) for each in splitter.feed(stream[i : i + 1]))
    except FramingError as error:
        assert error.offset == taken
        with pytest.raises(FramingError):
            splitter.feed(b"")
    else:
        assert taken + splitter.pending == len(stream)


def test_messages_before_a_fault_come_first() -> None:
    splitter = LengthSplitter(2, max_length=10)
    assert splitter.feed(b"\1\0a" + b"\xff\xff") == [b"a"]
    with pytest.raises(FramingError, match="65537 bytes, more than the 10 allowed at byte 3"):
        splitter.feed(b"")


def test_a_length_that_does_not_even_count_itself_is_a_fault() -> None:
    with pytest.raises(FramingError, match="too few"):
        LengthSplitter(4, includes_itself=True).feed(b"\3\0\0\0abc")


@pytest.mark.parametrize("order", ["big", "little"])
def test_the_open_framing_header_is_read_in_both_orders(order: str) -> None:
    stream = framed(b"abcd", byte_order=order) * 2  # type: ignore[arg-type]
    assert SofhSplitter(byte_order=order).feed(stream) == [b"abcd"] * 2  # type: ignore[arg-type]
    other = "little" if order == "big" else "big"
    with pytest.raises(FramingError, match="in the other byte order"):
        SofhSplitter(byte_order=other).feed(stream)  # type: ignore[arg-type]


def test_wrong_settings_are_told() -> None:
    with pytest.raises(ValueError, match="size is 1, 2, 4 or 8 bytes, not 3"):
        LengthSplitter(3)
    with pytest.raises(ValueError, match="byte_order"):
        LengthSplitter(2, byte_order="middle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no room"):
        LengthSplitter(4, max_length=4)
    with pytest.raises(ValueError, match="no length of 1"):
        LengthSplitter(1).framed(bytes(256))
    with pytest.raises(TypeError, match="feed takes bytes, not str"):
        LengthSplitter(2).feed("text")
