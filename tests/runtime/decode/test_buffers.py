"""One buffer of messages end to end into tables, and bytes that nothing accounts for."""

from __future__ import annotations

import mmap
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import vectors
from hypothesis import given
from hypothesis import strategies as st
from small import schema

import binance_sbe
from binance_sbe import (
    DecodeError,
    MalformedMessage,
    TradesStreamEvent,
    TruncatedMessage,
    UnknownTemplate,
    decode_many,
)

FRAMES = list(vectors.ALL.values())
WHOLE = b"".join(FRAMES)


def same(one: Any, other: Any) -> bool:
    """Whether two batches have the same rows, entries and texts."""
    return all(
        table.records.tolist() == other[message].records.tolist()
        and table.symbols == other[message].symbols
        and all(
            group.records.tolist() == other[message].groups[name].records.tolist()
            and group.offsets.tolist() == other[message].groups[name].offsets.tolist()
            for name, group in table.groups.items()
        )
        for message, table in one.tables.items()
    )


def mapped(content: bytes, path: Path) -> mmap.mmap:
    path.write_bytes(content)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "view", "numpy", "rows", "mmap"])
def test_all_messages_of_one_buffer_are_found(kind: str, tmp_path: Path) -> None:
    whole = WHOLE * 300
    given: Any = {
        "bytes": lambda: whole,
        "bytearray": lambda: bytearray(whole),
        "view": lambda: memoryview(b"x" + whole)[1:],
        "numpy": lambda: np.frombuffer(whole, np.uint8),
        "rows": lambda: np.frombuffer(whole, np.uint8).reshape(300, -1),
        "mmap": lambda: mapped(whole, tmp_path / "frames"),
    }[kind]()
    batch = decode_many(given)
    assert (batch.frame_count, len(batch), batch.left_over_bytes) == (1200, 1200, 0)
    assert same(batch, decode_many(FRAMES * 300))


def test_an_empty_buffer_has_no_messages() -> None:
    assert decode_many(b"").frame_count == 0
    assert len(decode_many(bytearray())) == 0


@pytest.mark.parametrize("given", ["text", 5, None, {1}, iter([b""])])
def test_what_is_no_input_is_said(given: Any) -> None:
    with pytest.raises(TypeError, match="or one buffer of messages end to end, not "):
        decode_many(given)


def test_wider_items_and_gaps_are_refused() -> None:
    with pytest.raises(BufferError, match="items of one byte"):
        decode_many(np.zeros(8))
    with pytest.raises(BufferError, match="has gaps"):
        decode_many(np.frombuffer(WHOLE, np.uint8)[::2])


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (b"", None),
        (WHOLE[:30], TruncatedMessage),
        (b"\0" * 40, DecodeError),
        (vectors.BEST_BID_ASK[:2] + b"\xff\xff" + vectors.BEST_BID_ASK[4:], UnknownTemplate),
        (b"\1\0" + vectors.BEST_BID_ASK[2:], MalformedMessage),
    ],
)
def test_what_comes_after_a_damaged_message_is_one_frame(
    damage: bytes, error: type[DecodeError] | None
) -> None:
    whole = WHOLE + damage + (WHOLE if damage else b"")
    batch = decode_many(whole, on_error="collect")
    assert (len(batch), len(batch.rejected)) == (4, 0 if error is None else 1)
    assert batch.frame_count == len(batch) + len(batch.rejected)
    assert batch.left_over_bytes == 0
    if error is None:
        return
    assert batch.rejected["frame"].tolist() == [4]
    assert batch.rejected["offset"][0] >= len(WHOLE)
    assert isinstance(batch.errors[0], error)
    with pytest.raises(error) as caught:
        decode_many(whole)
    assert (caught.value.frame, str(caught.value)) == (4, str(batch.errors[0]))
    size = len(whole) - len(WHOLE)
    assert caught.value.__notes__ == [
        f"The {size} bytes of the buffer from {len(WHOLE)} on are one frame, since nothing says "
        f"where in them another message begins"
    ]


def test_the_bytes_that_are_left_over_are_in_the_repr() -> None:
    """Who gives a file as a list of one frame sees what became of the rest."""
    batch = decode_many([WHOLE * 100])
    rest = len(WHOLE) * 100 - len(FRAMES[0])
    assert batch.left_over_bytes == rest
    assert repr(batch).endswith(f", 0 rejected, {rest} bytes left over>")
    assert "left over" not in repr(decode_many(WHOLE * 100))


TINY = """<message name="A" id="1"><field name="n" id="1" type="uint8"/>
<group name="legs" id="2"><field name="x" id="1" type="int16"/></group>
<data name="note" id="3" type="text"/></message>
<message name="Empty" id="2"/>"""


@pytest.fixture(scope="module")
def tiny(compiled: Any) -> ModuleType:
    built: ModuleType = compiled("end_to_end", schema(TINY))
    return built


def message(n: int, legs: list[int], note: bytes, version: int = 1, more: bytes = b"") -> bytes:
    head = b"".join(i.to_bytes(2, "little") for i in (1 + len(more), 1, 1, version))
    entries = b"".join(i.to_bytes(2, "little", signed=True) for i in legs)
    return (
        head + bytes([n]) + more + b"\2\0" + bytes([len(legs)]) + entries
        + bytes([len(note)]) + note
    )  # fmt: skip


EMPTY = b"".join(i.to_bytes(2, "little") for i in (0, 2, 1, 1))
MESSAGES = st.one_of(
    st.just(EMPTY),
    st.builds(
        message,
        st.integers(0, 255),
        st.lists(st.integers(-9, 9), max_size=3),
        st.binary(max_size=4).map(lambda text: bytes(b & 127 for b in text)),
        st.sampled_from([1, 2]),
        st.just(b""),
    ),
)


@given(messages=st.lists(MESSAGES, max_size=400), tail=st.binary(max_size=12), at=st.integers(0))
def test_a_buffer_gives_what_its_messages_give_one_by_one(
    tiny: ModuleType, messages: list[bytes], tail: bytes, at: int
) -> None:
    whole = b"".join(messages) + tail
    walked, position = [], 0
    try:
        while position < len(whole):
            one = tiny.decode(whole, position)
            walked.append(whole[position : position + one.encoded_length])
            position += one.encoded_length
    except DecodeError:
        pass
    batch = tiny.decode_many(whole, on_error="collect")
    alone = tiny.decode_many(walked)
    assert len(batch) == len(walked)
    assert len(batch.rejected) == (position < len(whole))
    for kind, table in batch.tables.items():
        assert table.records.tolist() == alone[kind].records.tolist()
        for name, group in table.groups.items():
            assert group.records.tolist() == alone[kind].groups[name].records.tolist()
    cut = at % (len(whole) + 1)
    part = tiny.decode_many(whole[:cut], on_error="collect")
    assert part.frame_count == len(part) + len(part.rejected)


def test_longer_blocks_of_a_newer_sender_are_stepped_over(tiny: ModuleType) -> None:
    newer = message(7, [1], b"hi", version=9, more=b"abc")
    batch = tiny.decode_many(newer * 3)
    assert batch[tiny.A].records["n"].tolist() == [7, 7, 7]


def test_another_thread_runs_meanwhile() -> None:
    whole = vectors.BEST_BID_ASK * 500_000
    counted = 0
    meanwhile: list[int] = []

    def decode() -> None:
        before = counted
        decode_many(whole)
        meanwhile.append(counted - before)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(10.0)  # nobody has to give the GIL away
    try:
        thread = threading.Thread(target=decode)
        thread.start()
        while thread.is_alive():
            counted += 1
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert meanwhile[0] > 0


def test_texts_and_groups_of_a_buffer_are_the_tables_own() -> None:
    memory = bytearray(WHOLE)
    batch = decode_many(memory)
    memory[:] = bytes(len(memory))
    memory.clear()  # it is not held any more
    assert batch[TradesStreamEvent].symbols == decode_many(WHOLE)[TradesStreamEvent].symbols
    assert binance_sbe.decode(WHOLE).symbol in batch[TradesStreamEvent].symbols
