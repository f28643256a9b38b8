"""What a feed that plays a tape does beside giving all of it: ranges, streams, ends, damage."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from feeds import best, trade
from taped import SECOND, START, files, give, recorder_at
from told import ledger_lines, values

import binance_sbe
from binance_sbe import sync
from binance_sbe.errors import TapeError
from binance_sbe.feed.intake.handlers import FrameHandler
from binance_sbe.tape import Kind, Recorder
from binance_sbe.tape import recorder as recorder_module

MS = 10**6
TRADE, BEST = "btcusdt@trade", "btcusdt@bestBidAsk"


def begun(path: Path, number: int = 1, at: int = START, **options: Any) -> Recorder:
    """A recorder that has been told of a connection with both streams."""
    with patch.object(recorder_module.time, "time_ns", lambda: at - 2 * SECOND):
        recorder = recorder_at(path, **options)
    recorder.opened(number, f"connection {number}", at - SECOND)
    with patch.object(recorder_module.time, "time_ns", lambda: at - SECOND):
        recorder.entered(number, [TRADE, BEST])
    return recorder


def mixed(count: int, first: int = 1, at: int = START) -> list[bytes]:
    """Trades and quotes in turns; the exchange made each when it is to come."""
    return [(trade if i % 2 == 0 else best)(first + i // 2, at=at + i * MS) for i in range(count)]


def recorded(path: Path, count: int = 200, **options: Any) -> list[bytes]:
    recorder = begun(path, **options)
    frames = mixed(count)
    give(recorder, frames)
    recorder.close()
    return frames


def taken(path: Path | list[Path], *arguments: Any, **options: Any) -> list[bytes]:
    with sync.replay(path, *arguments, **options) as feed:
        return [bytes(message) for message in feed]


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    recorded(tmp_path / "tape", batch_rows=20)
    return tmp_path / "tape"


def test_the_feeds_are_those_of_connect(tape: Path) -> None:
    assert binance_sbe.replay is binance_sbe.tape.replay
    assert isinstance(binance_sbe.replay(tape), binance_sbe.Feed)
    assert isinstance(sync.replay(tape), sync.Feed)


def test_the_same_comes_of_it_each_time_times_included(tape: Path) -> None:
    def told() -> list[str]:
        names = ("count", "negative", "max", "mean", "p50", "p99")
        with sync.replay(tape) as feed:
            sizes = [len(batch) for batch in feed.batches(16, 0.01)]
        stats = feed.stats
        histograms = (
            stats.event_to_received, stats.received_to_decoded, stats.decoded_to_handed_over,
            stats.decoding,
        )  # fmt: skip
        return [repr(sizes), *ledger_lines(feed.ledger), *(values(h, names) for h in histograms)]

    first = told()
    assert first == told() == told()
    assert "count=200 negative=0 max=0" in first[-1]  # by the tape decoding takes no time


def test_a_batch_ends_by_the_time_of_the_tape(tape: Path) -> None:
    for speed in (None, 50.0):
        with sync.replay(tape, speed) as feed:
            sizes = [len(batch) for batch in feed.batches(1000, 0.0095)]
        assert sizes == [10] * 20  # a frame came each millisecond


def test_without_a_speed_nobody_sleeps_or_looks_at_a_clock(
    tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from binance_sbe.tape import staging

    def never(*_: object) -> float:
        raise AssertionError("a clock")

    monkeypatch.setattr(staging.time, "sleep", never)
    monkeypatch.setattr(staging.ThreadStage, "_wait", never)
    monkeypatch.setattr(staging.AsyncStage, "_sleep", never)
    monkeypatch.setattr(staging, "time", None)
    assert len(taken(tape)) == 200

    async def work() -> int:
        async with binance_sbe.replay(tape) as feed:
            return len([message async for message in feed])

    assert asyncio.run(work()) == 200


def test_with_a_speed_it_takes_its_time(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    frames = mixed(2)
    give(recorder, frames[:1])
    give(recorder, frames[1:], START + 2 * SECOND)
    recorder.close()
    began = time.monotonic()
    assert taken(tmp_path, 10) == frames
    assert time.monotonic() - began >= 0.19


# ranges


def test_a_range_is_played_with_the_connections_of_that_time(tape: Path) -> None:
    frames = mixed(200)
    begin, end = START + 70 * MS, START + 90 * MS
    with sync.replay(tape, start=begin, end=end) as feed:
        assert feed.streams == [TRADE, BEST]
        assert [bytes(message) for message in feed] == frames[70:90]
    assert [each.name for each in feed.ledger.connections] == ["connection 1"]
    assert feed.ledger.holes == []
    assert feed.ledger.streams[TRADE].is_covered


def test_of_connections_before_a_range_those_count_that_are_open_then(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    frames = mixed(200)
    give(recorder, frames[:50])
    recorder.opened(2, "connection 2", START + 50 * MS)
    recorder.entered(2, [TRADE, BEST])
    recorder.ended(1, "renewed", True, START + 50 * MS)
    give(recorder, frames[50:], START + 50 * MS, connection=2)
    recorder.close()
    with sync.replay(tmp_path, start=START + 100 * MS) as feed:
        assert feed.streams == [TRADE, BEST]
        assert [bytes(message) for message in feed] == frames[100:]
    assert [each.name for each in feed.ledger.connections] == ["connection 2"]
    assert (feed.ledger.connections_count, feed.ledger.ended_count, feed.reconnects) == (1, 0, 0)
    assert feed.ledger.holes == []


def test_a_range_in_a_later_file_is_played_as_well(tmp_path: Path) -> None:
    recorder = begun(tmp_path, rotate_seconds=0.05, batch_seconds=0.005)
    frames = mixed(300)
    for i in range(0, 300, 50):
        give(recorder, frames[i : i + 50], START + i * MS)
        recorder.flush(5)
        time.sleep(0.06)
    recorder.close()
    assert len(files(tmp_path)) > 3
    with sync.replay(tmp_path, start=START + 260 * MS) as feed:
        assert [bytes(message) for message in feed] == frames[260:]
    assert [each.name for each in feed.ledger.connections] == ["connection 1"]
    assert taken(tmp_path) == frames


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"speed": 0}, ValueError, "speed is a positive number"),
        ({"speed": float("inf")}, ValueError, "speed is a positive number"),
        ({"speed": "fast"}, TypeError, "speed is a number"),
        ({"start": START, "end": START}, ValueError, "range of time is empty"),
        ({"end": 1}, ValueError, "the tape has nothing in that time"),
        ({"start": START * 2}, ValueError, "the tape has nothing in that time"),
        ({"streams": ["ethusdt@trade"]}, ValueError, "the tape has no ethusdt@trade"),
        ({"streams": []}, ValueError, "streams is empty"),
        ({"max_queue": 0}, ValueError, "max_queue is at least 1"),
        ({"on_error": "no"}, ValueError, "on_error is"),
        ({"on_damage": "no"}, ValueError, "on_damage is"),
    ],
)
def test_what_can_not_be_is_refused(
    tape: Path, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    for replay in (binance_sbe.replay, sync.replay):
        with pytest.raises(error, match=said):
            replay(tape, **options)


def test_what_is_no_tape_is_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "no tape is in this"), (tmp_path / "x", "no such file")):
        with pytest.raises(TapeError, match=said):
            binance_sbe.replay(path)
    (tmp_path / "a.arrow").write_bytes(b"no")
    with pytest.raises(TapeError, match="no tape"):
        sync.replay(tmp_path)


def test_what_a_live_feed_can_do_and_a_tape_can_not_is_refused(tape: Path) -> None:
    async def work() -> None:
        async with binance_sbe.replay(tape) as feed:
            for call in (feed.renew, lambda: feed.record("x"), feed.fill_trades):
                with pytest.raises(RuntimeError, match="a tape is played here"):
                    call()
        with pytest.raises(RuntimeError, match="opened before"):
            await feed.__aenter__()

    asyncio.run(work())
    feed = sync.replay(tape)
    with pytest.raises(RuntimeError, match=r"with sync.replay"):
        next(feed)
    with feed:
        for call in (feed.renew, lambda: feed.record("x")):
            with pytest.raises(RuntimeError, match="a tape is played here"):
                call()
    with pytest.raises(RuntimeError, match="this is closed"):
        iter(feed)


# streams


def test_some_streams_are_played(tape: Path) -> None:
    with sync.replay(tape, streams=[TRADE]) as feed:
        assert feed.streams == [TRADE]
        assert [bytes(message) for message in feed] == mixed(200)[::2]
    assert list(feed.ledger.streams) == [TRADE]


def test_streams_come_and_go_without_holes(tape: Path) -> None:
    with sync.replay(tape, streams=TRADE, max_queue=1) as feed:
        seen = [next(feed)]
        feed.subscribe(BEST)
        assert feed.streams == [TRADE, BEST]
        seen += [next(feed) for _ in range(20)]
        feed.unsubscribe(TRADE)
        seen += [next(feed) for _ in range(20)]
        feed.subscribe(TRADE)
        seen += list(feed)
        with pytest.raises(ValueError, match="the tape has no xrpusdt@trade"):
            feed.subscribe("xrpusdt@trade")
    kinds = [type(each).__name__[0] for each in seen]
    assert kinds[0] == "T"
    assert set(kinds[-10:]) == {"T", "B"}
    assert {"B"} in [set(kinds[i : i + 10]) for i in range(len(kinds))]
    assert feed.ledger.holes == []


def test_nothing_is_played_of_no_streams(tape: Path) -> None:
    async def work() -> None:
        async with binance_sbe.replay(tape) as feed:
            await feed.unsubscribe(TRADE, BEST)
            with pytest.raises(RuntimeError, match="no streams"):
                await anext(feed)
            await feed.subscribe(BEST)
            assert isinstance(await anext(feed), binance_sbe.BestBidAskStreamEvent)

    asyncio.run(work())


# how it ends


def test_a_handler_that_raises_leaves_the_rest_for_the_next(tape: Path) -> None:
    frames = mixed(200)
    seen: list[bytes] = []

    def handler(message: Any) -> None:
        seen.append(bytes(message))
        if len(seen) % 37 == 0:
            raise KeyError("enough")

    async def work() -> None:
        async with binance_sbe.replay(tape) as feed:
            while True:
                try:
                    await feed.run(handler)
                    return
                except KeyError:
                    seen.append(bytes(await anext(feed)))

    asyncio.run(work())
    assert seen == frames
    seen.clear()
    with sync.replay(tape) as feed:
        while True:
            try:
                feed.run(handler)
                break
            except KeyError:
                seen.append(bytes(next(feed)))
    assert seen == frames
    with pytest.raises(TypeError), sync.replay(tape) as feed:
        feed.run(FrameHandler)


def test_a_handler_closes_the_feed(tape: Path) -> None:
    seen: list[Any] = []

    async def work() -> None:
        async with binance_sbe.replay(tape) as feed:
            closing: list[asyncio.Task[None]] = []

            def handler(message: Any) -> None:
                seen.append(message)
                if len(seen) == 3:
                    closing.append(asyncio.ensure_future(feed.close()))

            await feed.run(handler)

    asyncio.run(work())
    assert len(seen) >= 3  # what was played before the task had its turn
    with sync.replay(tape) as feed:
        seen.clear()

        def handler(message: Any) -> None:
            seen.append(message)
            if len(seen) == 3:
                feed.close()

        feed.run(handler)
        assert feed.player.closing


def test_streams_are_chosen_from_another_thread_amid_a_silence(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    give(recorder, mixed(2))
    give(recorder, mixed(2, 2), START + SECOND)
    recorder.close()
    with sync.replay(tmp_path, 2, streams=[TRADE]) as feed:
        timer = threading.Timer(0.1, feed.subscribe, [BEST])
        timer.start()
        kinds = [type(message).__name__[0] for message in feed]
        timer.join()
    assert kinds == ["T", "T", "B"]


def test_the_counters_of_a_tape_are_those_of_a_feed(tape: Path) -> None:
    from binance_sbe import metrics

    with sync.replay(tape) as feed:
        assert len(list(feed)) == 200
        samples = [s for m in metrics.FeedCollector(feed).collect() for s in m.samples]
    assert next(s.value for s in samples if "frames_total" in s.name) == 200


def test_a_long_silence_ends_when_the_feed_is_closed(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    give(recorder, mixed(1))
    give(recorder, mixed(1, 2), START + 10**6 * SECOND)
    recorder.close()

    async def work() -> list[bytes]:
        async with binance_sbe.replay(tmp_path, 1) as feed:
            asyncio.get_running_loop().call_later(0.1, asyncio.ensure_future, feed.close())
            async with asyncio.timeout(20):
                return [bytes(message) async for message in feed]

    assert asyncio.run(work()) == mixed(1)
    with sync.replay(tmp_path, 1) as feed:
        timer = threading.Timer(0.1, feed.close)
        timer.start()
        assert [bytes(message) for message in feed] == mixed(1)
        timer.join()
    assert "closed" in repr(feed)


def test_a_task_that_is_cancelled_amid_a_silence_loses_nothing(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    give(recorder, mixed(1))
    give(recorder, mixed(2)[1:], START + SECOND)
    recorder.close()

    async def work() -> list[bytes]:
        async with binance_sbe.replay(tmp_path, 2) as feed:
            seen = [bytes(await anext(feed))]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(feed)
            return [*seen, *[bytes(message) async for message in feed]]

    assert asyncio.run(work()) == mixed(2)


def test_what_waits_for_a_slow_consumer_is_bounded(tape: Path) -> None:
    async def work() -> None:
        async with binance_sbe.replay(tape, 1000, max_queue=10) as feed:
            count = 0
            async for _ in feed:
                count += 1
                assert feed.waiting <= 10
                if count % 20 == 0:
                    await asyncio.sleep(0.01)
            assert count == 200

    asyncio.run(work())


# what is missing


def damaged(tape: Path, frame: bytes) -> None:
    """A bit of the batch with this frame flips."""
    (file,) = files(tape)
    data = bytearray(file.read_bytes())
    data[data.index(frame) + 20] ^= 0x10
    file.write_bytes(data)


def test_damage_is_raised_where_it_is(tmp_path: Path) -> None:
    frames = recorded(tmp_path, batch_rows=20, compression=None)
    damaged(tmp_path, frames[100])
    with sync.replay(tmp_path) as feed:
        seen: list[bytes] = []
        with pytest.raises(TapeError, match="'binance-sbe tape recover' keeps"):
            seen.extend(map(bytes, feed))
    assert 0 < len(seen) < 200
    assert seen == frames[: len(seen)]


def test_damage_that_is_skipped_is_a_break(tmp_path: Path) -> None:
    frames = recorded(tmp_path, batch_rows=20, compression=None)
    damaged(tmp_path, frames[100])

    async def work() -> tuple[list[bytes], Any]:
        async with binance_sbe.replay(tmp_path, on_damage="skip") as feed:
            return [bytes(message) async for message in feed], feed

    seen, feed = asyncio.run(work())
    assert len(seen) == 180
    assert [frame for frame in frames if frame in set(seen)] == seen
    holes = {hole.stream: hole for hole in feed.ledger.holes}
    assert set(holes) == {TRADE, BEST}
    assert holes[TRADE].ids == 10
    assert all("the tape is damaged" in hole.cause for hole in holes.values())
    assert [each.cause is None for each in feed.ledger.connections] == [False, True]


def test_what_the_disk_could_not_take_is_a_break(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    frames = mixed(200)
    give(recorder, frames[:100])
    recorder.tap.note_lost(20, 2000, START + 100 * MS, START + 119 * MS)
    give(recorder, frames[120:], START + 120 * MS)
    recorder.close()
    with sync.replay(tmp_path) as feed:
        assert [bytes(message) for message in feed] == frames[:100] + frames[120:]
    holes = {hole.stream: hole for hole in feed.ledger.holes}
    assert (holes[TRADE].last_before, holes[TRADE].first_after) == (50, 61)
    assert holes[TRADE].cause.startswith("not recorded: ")
    assert feed.ledger.ended_count == 1
    assert feed.reconnects == 1


def test_a_restart_is_a_break(tmp_path: Path) -> None:
    frames = mixed(200)
    for begin, end in ((0, 100), (120, 200)):
        recorder = begun(tmp_path, at=START + begin * MS)
        give(recorder, frames[begin:end], START + begin * MS)
        recorder.close()
    assert taken(tmp_path) == frames[:100] + frames[120:]
    with sync.replay(tmp_path) as feed:
        count = sum(len(batch) for batch in feed.batches())
    assert count == 180
    (hole,) = [hole for hole in feed.ledger.holes if hole.stream == TRADE]
    assert (hole.last_before, hole.first_after, hole.cause) == (50, 61, "the recording ended")
    assert [each.cause for each in feed.ledger.connections] == ["the recording ended", None]


def test_two_recordings_of_the_same_come_as_one(tmp_path: Path) -> None:
    frames = mixed(200)
    paths = [tmp_path / name for name in ("a", "b")]
    recorders = [begun(path, number=i + 1, batch_rows=7) for i, path in enumerate(paths)]
    for i, frame in enumerate(frames):
        for which, recorder in enumerate(recorders):
            if i % 10 != which or i < 10:  # each has missed some
                recorder.tap.put(START + i * MS + which * 1000, which + 1, Kind.FRAME, frame)
    for recorder in recorders:
        recorder.close()
    with sync.replay(paths) as feed:
        seen = [bytes(message) for message in feed]
    assert len(set(seen)) == len(seen)
    assert set(seen) == set(frames)
    assert [f for f in seen if f in set(frames[::2])] == frames[::2]  # trades are in order
    assert feed.ledger.holes == []
    assert seen == taken(paths, 5.0)


def test_what_nobody_has_told_of_is_a_connection(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    give(recorder, mixed(10), connection=9)
    recorder.close()
    with sync.replay(tmp_path) as feed:
        assert [bytes(message) for message in feed] == mixed(10)
    assert [each.name for each in feed.ledger.connections] == ["connection 9"]
    assert feed.ledger.strays_count == 0


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Kind.ENDED, b"{]"),
        (Kind.ENDED, b"[]"),
        (Kind.OPENED, b"{}"),
        (Kind.CLOCK, b'{"offset_ns": 1e999}'),
        (Kind.CLOCK, b'{"offset_ns": 99999999999999999999}'),
        (Kind.SUBSCRIPTION, b'{"entered": 3, "number": 1}'),
        (Kind.RELEASED, b'{"moment_ns": "x"}'),
        (Kind.HOLE, b'{"frames": 3}'),
    ],
)
def test_rows_that_can_not_be_read_are_an_error_of_the_tape(
    tmp_path: Path, kind: Kind, content: bytes
) -> None:
    recorder = begun(tmp_path)
    give(recorder, mixed(2))
    recorder.tap.put(START + SECOND, 1, kind, content)
    give(recorder, mixed(2, 2), START + 2 * SECOND)
    recorder.close()
    with sync.replay(tmp_path) as feed:
        assert [bytes(next(feed)) for _ in range(2)] == mixed(2)
        with pytest.raises(TapeError, match=f"a row of kind {kind.name.lower()}"):
            next(feed)


def test_rows_of_kinds_to_come_are_passed_over(tmp_path: Path) -> None:
    recorder = begun(tmp_path)
    give(recorder, mixed(2))
    recorder.tap.put(START + MS, 1, 77, b"what will be")
    recorder.mark("mine")
    give(recorder, mixed(2, 2), START + 2 * MS)
    recorder.close()
    assert taken(tmp_path) == mixed(2) + mixed(2, 2)


def test_what_was_held_is_in_the_same_batch_at_any_speed(tmp_path: Path) -> None:
    """A row that lets a held frame go, and no frame for a while: the batch begins there."""
    recorder = recorder_at(tmp_path)
    for number in (1, 2):
        recorder.opened(number, f"connection {number} (line {number})", START)
        recorder.entered(number, ["btcusdt@trade"])
    recorder.tap.set_clock(START, 0)
    for milliseconds, number, identity in ((1, 1, 1), (1, 2, 1), (300, 1, 5)):  # 2 to 4 may come
        recorder.tap.put(START + milliseconds * 10**6, number, 0, trade(identity))
    recorder._now = lambda: START + 1400 * 10**6
    recorder.released(START + 1400 * 10**6, 0)
    for milliseconds, identity in ((1700, 6), (1800, 7), (2700, 8)):
        recorder.tap.put(START + milliseconds * 10**6, 1, 0, trade(identity))
    recorder.close()
    for speed in (None, 2.0):
        with sync.replay(tmp_path, speed) as feed:
            assert [len(batch) for batch in feed.batches(100, 0.2)] == [1, 1, 2, 1], speed
            assert feed.ledger.holes_count == 1
        assert asyncio.run(sizes(tmp_path, speed)) == [1, 1, 2, 1], speed


async def sizes(path: Path, speed: float | None) -> list[int]:
    async with binance_sbe.replay(path, speed) as feed:
        return [len(batch) async for batch in feed.batches(100, 0.2)]
