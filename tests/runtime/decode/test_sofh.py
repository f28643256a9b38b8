"""The framing header: what is too short, too long, in another order, and at which byte."""

from __future__ import annotations

import pytest

from sbe_codegen.runtime.sofh import (
    SBE_BIG_ENDIAN,
    SBE_LITTLE_ENDIAN,
    FramingError,
    Splitter,
    framed,
)


def header(length: int, encoding: int = SBE_LITTLE_ENDIAN) -> bytes:
    return length.to_bytes(4, "big") + encoding.to_bytes(2, "big")


@pytest.mark.parametrize("step", range(1, 23))
def test_messages_come_out_when_their_last_byte_is_there(step: int) -> None:
    """``position`` and ``pending`` add up to what was fed."""
    messages = [b"a", b"bcdef", b"", b"gh"]
    stream = b"".join(framed(each) for each in messages)
    ends = [7, 18, 24, 32]
    splitter = Splitter(min_length=0)
    found: list[bytes] = []
    for begin in range(0, len(stream), step):
        found += splitter.feed(stream[begin : begin + step])
        fed = min(begin + step, len(stream))
        assert len(found) == sum(end <= fed for end in ends)
        assert splitter.position == max([0, *(end for end in ends if end <= fed)])
        assert splitter.pending == fed - splitter.position
    assert found == messages


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (5, "a message of 5 bytes, too few for its headers at byte 0 of the stream"),
        (8, "a message of 8 bytes, too few for its headers at byte 0 of the stream"),
        (9, ""),
        (20, ""),
        (21, "a message of 21 bytes, more than the 20 allowed at byte 0 of the stream"),
    ],
)
def test_lengths_at_their_limits(length: int, said: str) -> None:
    splitter = Splitter(max_length=20, min_length=3)
    stream = header(length) + bytes(max(length - 6, 0))
    if not said:
        assert splitter.feed(stream) == [bytes(length - 6)]
        return
    with pytest.raises(FramingError) as caught:
        splitter.feed(stream)
    assert str(caught.value) == said


def test_the_least_room_is_that_for_both_headers() -> None:
    assert Splitter(max_length=9, min_length=3).feed(header(9) + b"abc") == [b"abc"]
    with pytest.raises(ValueError, match="max_length 8 has no room for a header"):
        Splitter(max_length=8, min_length=3)


def test_a_fault_after_good_messages_comes_with_the_next_call() -> None:
    splitter = Splitter()
    assert splitter.feed(framed(b"ab") + header(7, 1) + b"x") == [b"ab"]
    assert (splitter.position, splitter.pending) == (8, 7)
    for _ in range(2):
        with pytest.raises(FramingError) as caught:
            splitter.feed(framed(b"cd"))
        assert caught.value.offset == 8
        assert (
            str(caught.value)
            == "encoding 0x0001 instead of 0x5BE0 or 0xEB50 at byte 8 of the stream"
        )
    assert splitter.pending == 7


def test_a_fault_is_seen_as_soon_as_the_header_is_there() -> None:
    splitter = Splitter()
    assert splitter.feed(header(7, 0x50EB)[:5]) == []
    with pytest.raises(
        FramingError, match="0x50EB instead of 0x5BE0 or 0xEB50, which is in the other"
    ):
        splitter.feed(header(7, 0x50EB)[5:])


def test_both_byte_orders_and_only_the_encodings_asked_for() -> None:
    for order in ("big", "little"):
        splitter = Splitter(byte_order=order, encodings=(SBE_BIG_ENDIAN,))  # type: ignore[arg-type]
        whole = framed(memoryview(b"abc"), byte_order=order, encoding=SBE_BIG_ENDIAN)  # type: ignore[arg-type]
        assert whole == (9).to_bytes(4, order) + (0x5BE0).to_bytes(2, order) + b"abc"  # type: ignore[arg-type]
        assert splitter.feed(bytearray(whole)) == [b"abc"]
        with pytest.raises(FramingError, match="encoding 0xEB50 instead of 0x5BE0 at byte 9"):
            splitter.feed(framed(b"abc", byte_order=order))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="feed takes bytes, not str"):
        Splitter().feed("abc")
