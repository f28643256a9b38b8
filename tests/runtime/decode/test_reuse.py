"""What a consumer still holds never changes, however objects are taken again behind it."""

from __future__ import annotations

import gc
import os
import re
import struct
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st

import binance_sbe
from binance_sbe import BestBidAskStreamEvent, DepthSnapshotStreamEvent, decode
from sbe_codegen.runtime.decode.values import reuses

INT64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-300, 300),
    st.sampled_from([s * (2**b + d) for b in (29, 30, 31, 59, 60, 61, 62) for d in (-1, 0, 1)
                     for s in (1, -1)]),
)  # fmt: skip
VALUES = st.tuples(
    INT64, INT64, st.integers(-20, 2), st.integers(-128, 127), INT64, INT64, INT64, INT64,
    st.sampled_from(["BTCUSDT", "", "A", "币安人生USDT", "X" * 40]),
)  # fmt: skip


def frame_of(values: tuple[Any, ...]) -> bytes:
    symbol = values[-1].encode()
    head = struct.pack("<HHHH", 50, 10001, 1, 0)
    return head + struct.pack("<qqbbqqqq", *values[:-1]) + bytes([len(symbol)]) + symbol


def as_floats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    def scaled(mantissa: int, exponent: int) -> float:
        return float(f"{mantissa}e{exponent}")

    event_time, update, price, qty, *mantissas, symbol = values
    powers = (price, qty, price, qty)
    floats = [scaled(m, e) for m, e in zip(mantissas, powers, strict=True)]
    return (event_time, update, price, qty, *floats, symbol)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(VALUES, st.integers(0, 63)), min_size=1, max_size=30))
def test_what_is_held_never_changes(messages: list[tuple[tuple[Any, ...], int]]) -> None:
    held: list[tuple[Any, Any]] = []
    message = decode(frame_of(messages[0][0]))
    for values, choice in messages:
        frame = frame_of(values)
        if choice & 1:
            message.wrap(frame)
        else:
            message = decode(frame)
        floats = as_floats(values)
        forms: list[tuple[Any, Any]] = [
            (message.astuple(), values),
            (BestBidAskStreamEvent.unpack(frame), values),
            (message.astuple_float(), floats),
            (message.bid_price, values[4]),
            (message.event_time, values[0]),
            (message.ask_qty_float, floats[7]),
            (message.astuple()[1], values[1]),
        ]
        for found, expected in forms:
            assert found == expected
            assert repr(found) == repr(expected)
        held += [form for i, form in enumerate(forms) if choice >> i % 6 & 1]
        del forms, found, expected
        for found, expected in held[-8:]:
            assert found == expected
    for found, expected in held:
        assert found == expected
        assert repr(found) == repr(expected)
        assert hash(found) == hash(expected)


def test_ints_taken_again_are_as_good_as_new() -> None:
    for size in (257, 2**30 - 1, 2**30, 2**60 - 1, 2**60, 2**63 - 1):
        for value in (size, -size):
            values = (1, 2, 3, 4, value, 6, 7, 8, "A")
            for _ in range(4):
                price = decode(frame_of(values)).astuple()[4]
                assert price + 1 - 1 == value
                assert price * price == value * value
                assert {price: 1}[value] == 1
                assert sys.getsizeof(price) <= sys.getsizeof(2**63)


def test_a_tuple_that_is_let_go_of_is_taken_again() -> None:
    """References say so: numbers and memory that are free are often given again by Python too."""
    shelf = int(reuses())
    frames = [frame_of((i, *range(1000, 1001), 1, 2, 3, 4, 5, 6, "A")) for i in range(2000, 2100)]
    message = decode(frames[0])
    counts = [
        sys.getrefcount(message.astuple()),
        sys.getrefcount(message.astuple_float()),
        sys.getrefcount(BestBidAskStreamEvent.unpack(frames[0])),
        sys.getrefcount(message.event_time),
        sys.getrefcount(message.bid_price_float),
    ]
    assert counts == [1 + shelf] * 5
    if shelf:
        places = {id(decode(frame).astuple()) for frame in frames}
        assert len(places) < 10
    kept = [decode(frame).astuple() for frame in frames]
    assert len({id(each) for each in kept}) == len(kept)


def test_the_memory_of_a_message_that_is_let_go_of_is_taken_again() -> None:
    alive = [decode(vectors.BEST_BID_ASK) for _ in range(8)]
    before = sys.getallocatedblocks()
    alive.clear()
    freed = before - sys.getallocatedblocks()
    if not before:
        pytest.skip("memory is not Python's own: PYTHONMALLOC")
    assert (freed < 4) == (os.environ.get("SBE_REUSE") != "0")


def test_threads_do_not_meet_in_one_tuple() -> None:
    wrong = []

    def work(number: int) -> None:
        values = (
            number * 10**9,
            *range(300, 301),
            1,
            2,
            *[number * 2**40 + i for i in range(4)],
            "A",
        )
        frame = frame_of(values)
        for _ in range(20_000):
            if decode(frame).astuple() != values or decode(frame).bid_qty != values[5]:
                wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_messages_are_taken_from_the_pool_as_new_ones() -> None:
    alive = [decode(frame_of((i, *[0] * 7, "A"))) for i in range(100)]
    assert [each.event_time for each in alive] == list(range(100))
    del alive
    for _ in range(20):
        with pytest.raises(binance_sbe.TruncatedMessage):
            decode(vectors.BEST_BID_ASK[:-1])
    some = [decode(vectors.BEST_BID_ASK) for _ in range(20)]
    assert all(each == some[0] for each in some)
    empty = BestBidAskStreamEvent.__new__(BestBidAskStreamEvent)
    for look in (lambda: empty.bid_price, empty.astuple, lambda: empty.wrap(b"")):
        with pytest.raises(TypeError, match="not made by decode"):
            look()


def test_a_pooled_message_does_not_keep_its_frame() -> None:
    frame = bytes(bytearray(vectors.BEST_BID_ASK))
    before = sys.getrefcount(frame)
    decode(frame).astuple()
    decode(frame).wrap(vectors.BEST_BID_ASK)
    assert sys.getrefcount(frame) == before
    array = bytearray(frame)
    decode(array)
    array.clear()


def test_what_refers_to_a_frame_is_not_kept() -> None:
    """Of REST messages: bytes and composites are not on a shelf."""
    spot = pytest.importorskip("binance_sbe.spot_sbe")  # not in every build
    forms = [name for name in vars(spot) if name.startswith("KEPT")]
    assert forms == []  # kept_tuples are C only
    body = bytes.fromhex(
        "0300320003000500009001130001000201017017000000000000020000000000000001312f000000"
        "12006400030005009ffb000000000000008000000000000000800f00496e76616c69642073796d626f6c2e000000"
        "00"
    )
    buffer = bytearray(body)
    spot.decode(buffer).astuple()
    gc.collect()
    buffer.clear()  # nothing has it exported any more


# the switch


@pytest.mark.skipif("SBE_BUILD" in os.environ, reason="starts a Python of its own")
def test_everything_works_without_reuse() -> None:
    here = Path(__file__).parent.parent.parent
    files = [
        here / "runtime" / "decode" / f"test_{name}.py"
        for name in ("reuse", "found", "message", "scaling")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)]
    done = subprocess.run(
        [*command, "-k", "not without_reuse"], env=os.environ | {"SBE_REUSE": "0"},
        cwd=here.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[0-9]{2,} passed", done.stdout)


@pytest.mark.skipif("SBE_BUILD" in os.environ, reason="starts a Python of its own")
@pytest.mark.parametrize(
    ("given", "found"), [("0", False), ("1", reuses()), ("", reuses()), (None, reuses())]
)
def test_the_switch_is_read_at_import(given: str | None, found: bool) -> None:
    if os.environ.get("SBE_REUSE"):
        pytest.skip("all of this runs without")
    environment = os.environ | ({} if given is None else {"SBE_REUSE": given})
    code = "from sbe_codegen.runtime.decode.values import reuses; print(reuses())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(found)


@pytest.mark.skipif("SBE_BUILD" in os.environ, reason="starts a Python of its own")
def test_a_switch_that_is_neither_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from binance_sbe import decode"],
        env=os.environ | {"SBE_REUSE": "no"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ImportError: SBE_REUSE is '0' (objects are always made anew) or '1'" in done.stderr


# wrap


def test_wrap_points_a_message_at_another_frame() -> None:
    one, two = (1, *range(7), "A"), (2, *range(10, 17), "BTCUSDT")
    message = decode(frame_of(one))
    assert message.wrap(frame_of(two)) is message
    assert message.astuple() == two
    assert bytes(message) == frame_of(two)
    assert message == decode(frame_of(two))
    message.wrap(b"???" + frame_of(one), 3)
    assert message.astuple() == one
    assert message.bid_price_decimal == Decimal(one[4]).scaleb(one[2])


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (vectors.BEST_BID_ASK[:-1], binance_sbe.TruncatedMessage),
        (vectors.BEST_BID_ASK[:20], binance_sbe.TruncatedMessage),
        (vectors.DEPTH_SNAPSHOT, binance_sbe.UnexpectedTemplate),
        (b"", binance_sbe.TruncatedMessage),
        ("text", TypeError),
        (None, TypeError),
    ],
)
def test_a_wrap_that_fails_changes_nothing(frame: Any, error: type[Exception]) -> None:
    values = (7, *range(7), "A")
    message = decode(frame_of(values))
    with pytest.raises(error):
        message.wrap(frame)
    with pytest.raises(binance_sbe.DecodeError, match="outside the frame"):
        message.wrap(frame_of(values), 1000)
    assert message.astuple() == values


def test_views_made_before_a_wrap_stay_over_their_frame() -> None:
    message = decode(vectors.DEPTH_SNAPSHOT)
    bids = message.bids
    other = bytearray(vectors.DEPTH_SNAPSHOT)
    decode(other).bids["qty"] = 9
    message.wrap(bytes(other))
    assert bids.tolist() == [(9412345, 31210000)]
    assert message.bids["qty"].tolist() == [9]


def test_wrap_is_refused_while_views_of_memory_that_can_change_are_alive() -> None:
    buffer = bytearray(vectors.DEPTH_SNAPSHOT)
    message = DepthSnapshotStreamEvent.decode(buffer)
    bids = message.bids
    with pytest.raises(BufferError, match="views of this DepthSnapshotStreamEvent are alive"):
        message.wrap(buffer)
    with pytest.raises(BufferError):
        message.wrap(vectors.DEPTH_SNAPSHOT)
    assert message.bids.tolist() == bids.tolist()
    del bids
    buffer[8 + 18 + 4 : 8 + 18 + 4 + 8] = (77).to_bytes(8, "little")
    assert message.wrap(buffer).bids["price"].tolist() == [77]
    with pytest.raises(BufferError):
        buffer.clear()
    message.wrap(vectors.DEPTH_SNAPSHOT)
    buffer.clear()


def test_views_of_memory_that_nobody_writes_do_not_stop_a_wrap() -> None:
    memory = memoryview(vectors.DEPTH_SNAPSHOT)
    message = decode(memory)
    bids = message.bids
    message.wrap(memory)
    assert message.bids.tolist() == bids.tolist()


def test_a_message_is_whole_while_its_old_frame_is_let_go_of() -> None:
    """What runs when the old frame dies finds the message over the new one."""
    seen = []

    class Frame(np.ndarray[Any, Any]):
        def __del__(self) -> None:
            seen.append(message.astuple())

    message = decode(np.frombuffer(frame_of((1, *range(7), "A")), np.uint8).view(Frame))
    new = (2, *range(10, 17), "BTCUSDT")
    message.wrap(frame_of(new))
    gc.collect()
    assert seen[-1] == new


# floats of a whole message


def test_floats_of_all_mantissas_at_once() -> None:
    values = (1, 2, -2, -8, 9412345, 31210000, 2**62 + 1, -(2**63), "BTCUSDT")
    message = decode(frame_of(values))
    assert message.astuple_float() == as_floats(values)
    assert message.astuple_float()[4] == message.bid_price_float == 94123.45
    assert message.astuple_float()[7] == message.ask_qty_float


def test_messages_without_mantissas_have_no_float_tuple() -> None:
    assert not hasattr(DepthSnapshotStreamEvent, "astuple_float")
