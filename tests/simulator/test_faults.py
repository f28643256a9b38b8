"""What a local exchange does wrong: each fault does what its description says, and no more."""

from __future__ import annotations

import random
import re
import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binance_sbe import DecodeError, SchemaMismatch, UnknownTemplate, decode
from binance_sbe.simulator import faults
from binance_sbe.simulator.encoder import encode
from binance_sbe.simulator.events import BestBidAsk, Depth, Diff
from binance_sbe.simulator.faults import Schedule
from binance_sbe.simulator.wire import CULLED, Wire

BEST = encode(BestBidAsk("BTCUSDT", -2, -8, 1, 7, (99, 1), (101, 2)))
DEPTH = encode(Depth("BTCUSDT", -2, -8, 1, 7, ((99, 1),), ((101, 2),)))

# frames


@given(st.integers(0, 10**6))
def test_a_damaged_frame_is_no_message(seed: int) -> None:
    frame = faults.damaged(BEST, random.Random(seed))
    assert frame != BEST
    with pytest.raises(DecodeError):
        decode(frame)


def test_frames_are_damaged_in_three_ways() -> None:
    seen = {faults.damaged(BEST, random.Random(seed)) for seed in range(400)}
    assert {each for each in seen if len(each) == len(BEST)} == {
        b"\0\0" + BEST[2:], BEST[:4] + b"\x99\x99" + BEST[6:],
    }  # fmt: skip
    with pytest.raises(SchemaMismatch):
        decode(BEST[:4] + b"\x99\x99" + BEST[6:])
    cut = {len(each) for each in seen if len(each) < len(BEST)}
    assert all(BEST.startswith(each) for each in seen if len(each) < len(BEST))
    assert min(cut) < 8
    assert max(cut) > 50


@pytest.mark.parametrize("frame", [BEST, DEPTH])
def test_an_unknown_message_differs_in_its_template_alone(frame: bytes) -> None:
    made = faults.unknown(frame)
    with pytest.raises(UnknownTemplate, match="template 29999 "):
        decode(made)
    assert made[:2] + made[4:] == frame[:2] + frame[4:]


@pytest.mark.parametrize("frame", [BEST, DEPTH])
def test_a_newer_message_says_the_same_in_a_longer_block(frame: bytes) -> None:
    made, before = decode(faults.newer(frame)), decode(frame)
    assert (made.version, before.version) == (1, 0)
    assert len(faults.newer(frame)) == len(frame) + 3
    size = struct.unpack_from("<H", frame)[0]
    assert struct.unpack_from("<H", faults.newer(frame))[0] == size + 3
    assert faults.newer(frame)[8 + size : 11 + size] == b"\xaa\xbb\xcc"
    assert made.to_dict() == before.to_dict()


@pytest.mark.parametrize("kind", [Depth, Diff])
def test_finer_levels_are_the_same_with_another_digit(kind: Any) -> None:
    ids = (7,) if kind is Depth else (7, 7)
    event = kind("BTCUSDT", -2, -8, 1, *ids, ((99, 5), (98, 0)), ((101, 2),))
    assert faults.finer(event) == kind(
        "BTCUSDT", -3, -9, 1, *ids, ((990, 50), (980, 0)), ((1010, 20),)
    )
    most = 2**63 // 10
    assert faults.finer(event._replace(bids=((most, 1),))).bids == ((10 * most, 10),)
    for large in (((most + 1, 1),), ((1, most + 1),)):
        for side in ("bids", "asks"):
            other = event._replace(**{side: large})
            assert faults.finer(other) is other


# names and times


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], []), (["", ""], []), (["cut", "", "cut"], ["cut", "cut"]),
        (["close@0", "ban@2.5"], ["close@0", "ban@2.5"]),
        (["all"], list(faults.KINDS)), (["cut", "all"], ["cut", *faults.KINDS]),
    ],
)  # fmt: skip
def test_the_names_of_faults(names: list[str], found: list[str]) -> None:
    assert faults.kinds(names) == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rain", f"there is no fault 'rain'; there are {', '.join(faults.KINDS)}"),
        ("all@1", "there is no fault 'all'; there are cut, "),
        ("cut@", "fault 'cut@': '' is not a number of seconds from 0 up"),
        ("cut@-0.1", "fault 'cut@-0.1': '-0.1' is not a number of seconds from 0 up"),
        ("cut@inf", "fault 'cut@inf': 'inf' is not"), ("cut@nan", "'nan' is not a number"),
    ],
)  # fmt: skip
def test_what_is_no_fault(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        faults.kinds([name])


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_faults_come_in_a_time_that_passes(seconds: float) -> None:
    with pytest.raises(ValueError, match="faults come every so many seconds, more than"):
        Schedule(["cut"], seconds, 0)


def inflicted(schedule: Schedule, seconds: float, tick: float = 0.01, does: bool = True) -> int:
    calls = 0

    def inflict(name: str) -> bool:
        nonlocal calls
        calls += 1
        return does

    for i in range(round(seconds / tick) + 1):
        schedule.due(i * tick, inflict)
    return calls


def test_faults_at_random_come_as_often_as_is_asked_for() -> None:
    schedule = Schedule(["cut", "close"], 2.0, 1)
    calls = inflicted(schedule, 4000)
    assert calls == len(schedule.done)
    assert 1800 < calls < 2200
    names = [name for _, name in schedule.done]
    assert 0.45 < names.count("cut") / len(names) < 0.55
    times = [at for at, _ in schedule.done]
    assert times == sorted(times)
    pauses = [after - before for before, after in pairwise(times)]
    assert min(pauses) < 0.05
    assert max(pauses) > 6


def test_the_same_seed_gives_the_same_faults() -> None:
    made = []
    for seed in (1, 1, 2):
        schedule = Schedule(list(faults.KINDS), 2.0, seed)
        inflicted(schedule, 100)
        made.append(schedule.done)
    assert made[0] == made[1] != made[2]


def test_what_can_not_be_inflicted_at_random_is_left_out() -> None:
    schedule = Schedule(["cut"], 2.0, 1)
    calls = inflicted(schedule, 400, does=False)
    assert schedule.done == []
    assert 150 < calls < 250  # and not tried again and again


def test_what_has_its_time_is_done_in_order_as_soon_as_it_can_be() -> None:
    schedule = Schedule(["cut@2", "close@1", "ban@1"], 1.0, 1)
    assert schedule.names == []
    tried: list[str] = []
    answers = iter([False, True, True, False, True])

    def inflict(name: str) -> bool:
        tried.append(name)
        return next(answers)

    for at in (0.0, 0.99, 1.0, 1.01, 1.5, 2.0, 2.5, 9.0):
        schedule.due(at, inflict)
    assert tried == ["ban", "ban", "close", "cut", "cut"]
    assert schedule.done == [(1.01, "ban"), (1.01, "close"), (2.5, "cut")]


# the way of the frames

T, B = "btcusdt@trade", "btcusdt@bestBidAsk"


def sent(wire: Wire, *frames: tuple[str, bytes], now: float = 0.0) -> list[list[bytes]]:
    return [wire.pass_on(stream, frame, now) for stream, frame in frames]


def test_without_a_fault_frames_pass() -> None:
    wire = Wire()
    assert wire.plain
    assert sent(wire, (T, b"1"), (B, b"2")) == [[b"1"], [b"2"]]
    assert wire.due(0.0) == []
    assert wire.plain


def test_a_mute_wire_says_nothing_for_ever() -> None:
    wire = Wire()
    wire.is_mute, wire.plain = True, False
    assert sent(wire, (T, b"1"), (T, b"2")) == [[], []]
    assert wire.due(99.0) == []
    assert not wire.plain


def test_one_frame_is_changed() -> None:
    wire = Wire()
    wire.change, wire.plain = (lambda frame: frame + b"!"), False
    assert wire.due(0.0) == []
    assert not wire.plain
    assert sent(wire, (T, b"1"), (T, b"2")) == [[b"1!"], [b"2"]]
    wire.due(0.0)
    assert wire.plain


def test_one_frame_comes_twice() -> None:
    wire = Wire()
    wire.repeats, wire.plain = True, False
    wire.due(0.0)
    assert not wire.plain
    assert sent(wire, (T, b"1"), (T, b"2")) == [[b"1", b"1"], [b"2"]]
    wire.due(0.0)
    assert wire.plain


def test_two_frames_of_one_stream_change_places() -> None:
    wire = Wire()
    wire.swaps, wire.plain = True, False
    wire.due(0.0)
    assert not wire.plain
    assert sent(wire, (T, b"1"), (B, b"2")) == [[], [b"2"]]
    wire.due(0.0)
    assert not wire.plain  # the first of the two still waits
    assert sent(wire, (T, b"3"), (T, b"4")) == [[b"3", b"1"], [b"4"]]
    wire.due(0.0)
    assert wire.plain


def test_what_is_delayed_comes_at_once_and_in_order_in_the_end() -> None:
    wire = Wire()
    wire.late_until, wire.plain = 5.0, False
    assert sent(wire, (T, b"1"), now=0.0) == [[]]
    assert wire.due(4.9) == []
    assert sent(wire, (T, b"2"), now=4.9) == [[]]
    # the time is over, but what came before waits still: it goes first
    assert sent(wire, (B, b"3"), now=5.1) == [[]]
    assert wire.due(5.1) == [b"1", b"2", b"3"]
    assert wire.plain
    assert wire.due(5.2) == []
    assert sent(wire, (T, b"4"), now=5.0) == [[b"4"]]


def test_of_the_best_prices_one_in_five_comes_while_they_are_culled() -> None:
    wire = Wire()
    wire.culls_until, wire.plain = 1.0, False
    passed = sent(wire, *((B, bytes([n])) for n in range(1, 4 * CULLED + 1)), now=0.9)
    assert [n for n, each in enumerate(passed, 1) if each] == [5, 10, 15, 20]
    assert CULLED == 5
    assert sent(wire, *((T, bytes([n])) for n in range(9)), now=0.9) == [
        [bytes([n])] for n in range(9)
    ]
    assert wire.due(0.99) == []
    assert not wire.plain
    assert sent(wire, *((B, bytes([n])) for n in range(9)), now=1.0) == [
        [bytes([n])] for n in range(9)
    ]
    wire.due(1.0)
    assert wire.plain


def test_each_fault_that_is_left_keeps_the_wire_from_being_plain() -> None:
    for name, value in (
        ("is_mute", True), ("repeats", True), ("swaps", True), ("change", bytes),
        ("late_until", 2.0), ("culls_until", 2.0),
    ):  # fmt: skip
        wire = Wire()
        setattr(wire, name, value)
        wire.plain = False
        wire.due(1.0)
        assert not wire.plain, name
