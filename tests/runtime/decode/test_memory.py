"""Frames live as long as anything looks at them, wherever they are."""

from __future__ import annotations

import gc
import mmap
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors

import binance_sbe
from binance_sbe import decode


def test_a_view_outlives_the_message_and_the_name_of_the_frame() -> None:
    for look in ("bids", "block"):
        frame = bytes(bytearray(vectors.DEPTH_SNAPSHOT))
        view = getattr(decode(frame), look)
        del frame
        gc.collect()
        filler = [bytes(len(vectors.DEPTH_SNAPSHOT)) for _ in range(1000)]
        assert view.tolist()[0][-1 if look == "bids" else 1] in (31210000, 160)
        del filler


def test_a_message_over_bytes_copies_nothing_and_holds_one_reference() -> None:
    frame = vectors.DEPTH_SNAPSHOT + bytes(1_000_000)
    before = sys.getrefcount(frame)
    message = decode(frame)
    assert sys.getrefcount(frame) == before + 1
    view = message.bids
    assert view.base is frame
    assert (
        view.__array_interface__["data"][0] - np.frombuffer(frame, "u1").ctypes.data == 8 + 18 + 4
    )
    del message, view
    assert sys.getrefcount(frame) == before


@pytest.mark.parametrize("look", ["message", "block", "bids"])
def test_a_bytearray_is_not_resized_under_a_view(look: str) -> None:
    frame = bytearray(vectors.DEPTH_SNAPSHOT)
    held = decode(frame)
    if look != "message":
        held = getattr(held, look)
    with pytest.raises(BufferError):
        frame.clear()
    with pytest.raises(BufferError):
        frame += b"x"
    del held
    frame.clear()


def test_an_mmap_is_not_closed_under_a_view(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(b"?" + vectors.DEPTH_SNAPSHOT)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = decode(mapped, 1).bids
    with pytest.raises(BufferError):
        mapped.close()
    assert view.tolist() == [(9412345, 31210000)]
    assert not view.flags.writeable
    del view
    mapped.close()


def test_views_are_writable_where_the_frame_is() -> None:
    frame = bytearray(vectors.DEPTH_SNAPSHOT)
    message = decode(frame)
    message.bids["qty"] = 5
    assert message.bids["qty"].tolist() == [5]
    assert frame != vectors.DEPTH_SNAPSHOT
    for fixed in (bytes(frame), memoryview(frame).toreadonly()):
        view = decode(fixed).bids
        with pytest.raises(ValueError, match="read-only"):
            view["qty"] = 6
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True


def test_a_count_that_changes_after_validation_is_not_believed() -> None:
    frame = bytearray(vectors.DEPTH_SNAPSHOT)
    message = decode(frame)
    frame[8 + 18 + 2 : 8 + 18 + 4] = b"\xff\xff"
    assert message.bids.shape == (1,)
    assert len(message.to_dict()["bids"]) == 1


@pytest.mark.parametrize("shift", range(9))
def test_frames_may_lie_at_any_address(shift: int) -> None:
    buffer = np.zeros(200, np.uint8)
    for name, frame in vectors.ALL.items():
        part = buffer[shift : shift + len(frame)]
        part[:] = np.frombuffer(frame, np.uint8)
        message = decode(part)
        assert type(message).__name__ == name
        assert message.to_dict() == decode(frame).to_dict()
        batch = binance_sbe.decode_many([part])
        assert batch[type(message)].records[0].tolist()[1:-1] == message.astuple()[:-1]


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, lambda f: np.frombuffer(f, np.uint8)],
    ids=["bytes", "bytearray", "memoryview", "numpy"],
)  # fmt: skip
def test_any_buffer_is_a_frame(wrap) -> None:  # type: ignore[no-untyped-def]
    for frame in vectors.ALL.values():
        assert decode(wrap(frame)) == decode(frame)


def test_an_arrow_buffer_is_a_frame() -> None:
    arrow = pytest.importorskip("pyarrow")
    message = decode(arrow.py_buffer(vectors.DEPTH_SNAPSHOT))
    assert message.bids.tolist() == [(9412345, 31210000)]


def test_decoding_leaks_nothing() -> None:
    frames = [*vectors.ALL.values(), b"", vectors.TRADES[:-3]]

    def work() -> None:
        for frame in frames:
            for kind in (bytes, bytearray):
                try:
                    message = decode(kind(frame))
                except binance_sbe.DecodeError:
                    continue
                message.to_dict()
                message.astuple()
                repr(message)
        binance_sbe.decode_many(frames, on_error="collect")
        collector = binance_sbe.Collector()
        for _ in range(3):
            collector.append(frames[0])
        collector.take()
        collector.append(frames[1])

    def blocks() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(50):
        work()
    before = blocks()
    for _ in range(300):
        work()
    assert blocks() - before < 50


def test_tables_own_their_arrays() -> None:
    collector = binance_sbe.Collector()
    collector.append(vectors.DEPTH_SNAPSHOT)
    first = collector.take()
    records = first[binance_sbe.DepthSnapshotStreamEvent].records
    bids = first[binance_sbe.DepthSnapshotStreamEvent].groups["bids"].records
    kept = records.copy(), bids.copy()
    del first
    for _ in range(2000):
        collector.append(vectors.NEWER_SNAPSHOT)
    collector.take()
    del collector
    gc.collect()
    assert (records == kept[0]).all()
    assert (bids == kept[1]).all()
    bids["qty"] = 1


@contextmanager
def at_every_collection(work: Callable[[], object]) -> Iterator[None]:
    """Collects garbage as often as can be, and runs ``work`` then, but not inside of itself."""
    busy = False

    def hook(phase: str, info: dict[str, int]) -> None:
        nonlocal busy
        if not busy:
            busy = True
            work()
            busy = False

    before = gc.get_threshold()
    gc.collect()
    gc.callbacks.append(hook)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(hook)


@contextmanager
def at_every_call(work: Callable[[], object]) -> Iterator[None]:
    """Runs ``work`` whenever a Python function is called, but not inside of itself."""
    busy = False

    def hook(frame: object, event: str, argument: object) -> None:
        nonlocal busy
        if event == "call" and not busy:
            busy = True
            work()
            busy = False

    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("frame", vectors.ALL.values(), ids=vectors.ALL)
def test_appending_while_a_table_is_opened_loses_nothing(frame: bytes) -> None:
    appended = 0
    collector = binance_sbe.Collector()

    def append() -> None:
        nonlocal appended
        collector.append(frame)
        appended += 1

    with at_every_call(append):
        collector.append(frame)
    batch = collector.take()
    assert batch.frame_count == sum(map(len, batch.tables.values())) == appended + 1 > 1


@pytest.mark.parametrize("frame", vectors.ALL.values(), ids=vectors.ALL)
def test_taking_while_a_table_is_opened_loses_nothing(frame: bytes) -> None:
    collector = binance_sbe.Collector()
    taken: list[Any] = []
    with at_every_call(lambda: taken.append(collector.take()) if len(taken) < 5 else None):
        collector.append(frame)
    taken.append(collector.take())
    assert len(taken) > 1
    assert sum(batch.frame_count for batch in taken) == 1


def test_a_message_may_be_wrapped_while_it_is_read() -> None:
    def depth(stride: int, count: int, version: int) -> bytes:
        head = struct.pack("<HHHHqqbb", 18, 10002, 1, version, 1, 2, -2, -2)
        entry = struct.pack("<qq", 1, 2) + bytes(stride - 16)
        return (
            head + struct.pack("<HH", stride, count) + entry * count + bytes([16, 0, 0, 0, 1, 88])
        )

    one, two = depth(16, 3000, 0), depth(60000, 1, 1)
    message: Any = binance_sbe.decode(one)
    with at_every_collection(lambda: message.wrap(two)):
        found = message.to_dict()
    assert len(found["bids"]) in (1, 3000)
    assert {tuple(level.values()) for level in found["bids"]} == {(1, 2)}
