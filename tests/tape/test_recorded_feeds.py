"""Feeds and books that are recorded: the tape has what came, and what happened."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from taped import files, rows_of

import binance_sbe
from binance_sbe import sync
from binance_sbe.errors import RecordingError
from binance_sbe.simulator import Exchange
from binance_sbe.tape import Kind, Recorder, Recording, Tape
from binance_sbe.tape.reading import TapeReader

STREAMS = ("btcusdt@trade", "btcusdt@bestBidAsk", "btcusdt@depth", "ethusdt@depth20")


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 50))

    return run


@asynccontextmanager
async def open_feed(api_key: str = "x", **options: Any) -> AsyncIterator[binance_sbe.Feed]:
    """Of a local exchange, with all of `STREAMS`."""
    async with (
        Exchange(rate=500) as exchange,
        binance_sbe.connect(*STREAMS, url=exchange.url, api_key=api_key, **options) as feed,
    ):
        yield feed


async def some(feed: Any, count: int) -> list[bytes]:
    found = []
    async with asyncio.timeout(45):
        async for message in feed:
            found.append(bytes(message))
            if len(found) == count:
                break
    return found


def kinds(path: Path) -> list[tuple[Kind, Any]]:
    """The rows of a tape that are no frames."""
    rows = [row for file in files(path) for row in rows_of(file)]
    told = [(Kind(kind), content) for _, _, kind, content in rows if kind]
    return [(k, json.loads(c) if k not in (Kind.TEXT, Kind.MARK) else c) for k, c in told]


@in_loop
async def test_all_that_an_open_feed_gives_is_on_the_tape(tmp_path: Path) -> None:
    path = tmp_path / "tape"
    async with open_feed(api_key="secret", record=path) as feed:
        assert isinstance(feed.recorder, Recorder)
        came = await some(feed, 300)
    assert not isinstance(feed.recorder, Recorder)
    tape = Tape(path)
    assert [bytes(m) for m in tape.messages()][:300] == came
    assert tape.frames_count == feed.stats.frames
    assert tape.verify().is_whole
    assert sorted(tape.streams) == sorted(STREAMS)
    assert b"secret" not in b"".join(file.read_bytes() for file in path.iterdir())
    told = kinds(path)
    names = [kind for kind, _ in told]
    assert names[0] is Kind.SUBSCRIPTION
    assert names.count(Kind.OPENED) == names.count(Kind.ENDED) == 1
    assert (Kind.SUBSCRIPTION, {"asked": list(STREAMS)}) in told
    entered = next(each for kind, each in told if kind is Kind.SUBSCRIPTION and "entered" in each)
    assert sorted(entered["entered"]) == sorted(STREAMS)
    (connection,) = tape.ledger.connections
    assert connection.closed_ns is not None


@pytest.mark.parametrize("consumer", ["messages", "batches", "run"])
def test_a_sync_feed_is_recorded_whatever_consumes_it(tmp_path: Path, consumer: str) -> None:
    with (
        beside(lambda: Exchange(rate=500)) as exchange,
        sync.connect(*STREAMS, url=exchange.made.url, api_key="x", record=tmp_path) as feed,
    ):
        count = 0
        if consumer == "messages":
            for _ in range(200):
                next(feed)
                count += 1
        elif consumer == "batches":
            for batch in feed.batches(50, 0.05):
                count += len(batch)
                if count >= 200:
                    break
        else:
            came: list[Any] = []

            def handler(message: Any) -> None:
                came.append(message.symbol)
                if len(came) >= 200:
                    raise StopAsyncIteration

            with pytest.raises(StopAsyncIteration):
                feed.run(handler)
            count = len(came)
    tape = Tape(tmp_path)
    assert tape.frames_count == feed.stats.frames >= count
    assert tape.verify().is_whole


@in_loop
async def test_a_recording_begins_and_ends_in_between(tmp_path: Path) -> None:
    async with open_feed() as feed:
        await some(feed, 50)
        with feed.record(tmp_path / "one") as recorder:
            recorder.mark("in between")
            with pytest.raises(RuntimeError, match="recorded already"):
                feed.record(tmp_path / "other")
            await some(feed, 100)
        assert recorder.written_frames == recorder.frames
        await some(feed, 50)
        with feed.record(Recording(tmp_path / "two"), batch_rows=5):
            await some(feed, 50)
    one, two = Tape(tmp_path / "one"), Tape(tmp_path / "two")
    assert 0 < one.frames_count == recorder.frames < feed.stats.frames
    assert two.verify().is_whole
    told = [kind for kind, _ in kinds(tmp_path / "one")]
    assert told[0] is Kind.SUBSCRIPTION
    assert told[1] is Kind.OPENED  # which was open before
    assert one.ledger.marks[0][1] == "in between"
    assert one.end_ns is not None
    assert two.start_ns is not None
    assert one.end_ns <= two.start_ns


@in_loop
async def test_books_are_recorded_with_their_snapshots(tmp_path: Path) -> None:
    async with (
        Exchange(rate=500) as exchange,
        binance_sbe.books(
            "btcusdt", "ethusdt", url=exchange.url, api_key="x", record=tmp_path
        ) as b,
    ):
        await b.wait(timeout=20)
    rows = [row for file in files(tmp_path) for row in rows_of(file) if row[2] == Kind.SNAPSHOT]
    heads = [json.loads(row[3].partition(b"\n")[0]) for row in rows]
    bodies = [row[3].partition(b"\n")[2] for row in rows]
    asked = [head["symbol"] for head in heads if head.get("asked")]
    assert sorted(asked) == ["BTCUSDT", "ETHUSDT"]
    answers = [body for body in bodies if body]
    assert len(answers) == 2
    for body in answers:
        assert len(binance_sbe.spot_sbe.decode(body).bids) > 0
    assert Tape(tmp_path).ledger.snapshots == 2
    schemas = [row for file in files(tmp_path) for row in rows_of(file) if row[2] == Kind.SCHEMA]
    assert json.loads(schemas[0][3].partition(b"\n")[0])["package"] == "spot_sbe"


@in_loop
async def test_lines_renewals_and_faults_are_on_the_tape(tmp_path: Path) -> None:
    # Each fault once: pauses grow with each connection that dies young, up to half a minute.
    faults = ["cut@0.3", "damage@0.9", "close@1.5", "unknown@2.4", "shutdown@3.0"]
    async with (
        Exchange(rate=300, faults=faults, seed=5) as exchange,
        binance_sbe.connect(
            *STREAMS, url=exchange.url, api_key="x", lines=2, on_error="collect", record=tmp_path
        ) as feed,
    ):
        await some(feed, 200)
        feed.renew()
        await some(feed, 400)
        assert len(exchange.fault_schedule.done) == len(faults)
    tape = Tape(tmp_path)
    seen = sum(each.frames + each.source.unwanted for each in feed.ledger.connections)
    assert feed.stats.frames <= tape.frames_count <= seen + feed.stats.frames
    assert tape.verify().is_whole
    live, kept = feed.ledger, tape.ledger
    assert [(h.stream, h.last_before, h.first_after, h.cause) for h in live.holes] == [
        (h.stream, h.last_before, h.first_after, h.cause) for h in kept.holes
    ]
    assert len(kept.connections) == live.connections_count
    assert [c.name for c in kept.connections] == [
        c.name for c in sorted(live.connections, key=lambda c: c.opened_ns)
    ]


@in_loop
async def test_a_feed_that_cant_be_recorded_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where: Any = {"url": "ws://127.0.0.1:9", "api_key": "x", "record": tmp_path / "file"}
    with pytest.raises(RecordingError, match="file"):
        await binance_sbe.connect("btcusdt@trade", **where).__aenter__()
    with pytest.raises(RecordingError, match="file"):
        sync.connect("btcusdt@trade", **where).__enter__()
    with pytest.raises(TypeError, match="record is a directory"):
        binance_sbe.connect("btcusdt@trade", record=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rotate_bytes"):
        Recording(tmp_path, rotate_bytes=-1)


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import errno
    import os

    from binance_sbe.tape.disk import Disk

    def write(self: Disk, fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Disk, "write", write)
        yield


@pytest.mark.parametrize("on_failure", ["continue", "raise"])
@in_loop
async def test_a_full_disk_ends_the_feed_only_where_it_is_to(
    tmp_path: Path, on_failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Exchange(rate=500) as exchange:
        record = Recording(tmp_path, on_failure=on_failure, batch_seconds=0.01)
        async with binance_sbe.connect(
            *STREAMS, url=exchange.url, api_key="x", record=record
        ) as feed:
            await some(feed, 100)
            with full_disk(monkeypatch):
                if on_failure == "raise":
                    with pytest.raises(RecordingError, match="No space left"):
                        await some(feed, 100_000)
                else:
                    await some(feed, 400)
                    assert "No space left" in str(feed.recorder)
    kept = Tape(tmp_path, on_damage="skip")
    late = sum(each.source.unwanted for each in feed.ledger.connections)  # after the feed's end
    assert kept.frames_count <= feed.stats.frames + late
    if on_failure == "continue":
        assert kept.frames_count == feed.stats.frames  # it waited, and was written in the end


@in_loop
async def test_a_feed_that_is_closed_is_not_recorded(tmp_path: Path) -> None:
    async with open_feed() as feed:
        await some(feed, 5)
        await feed.close()
        with pytest.raises(RuntimeError, match="closed"):
            feed.record(tmp_path / "late")
    assert not (tmp_path / "late").exists()


@in_loop
async def test_what_was_no_message_is_in_the_account_of_the_tape(tmp_path: Path) -> None:
    async with (
        Exchange(rate=300, faults=["damage", "unknown"], fault_seconds=0.1, seed=5) as exchange,
        binance_sbe.connect(
            *STREAMS, url=exchange.url, api_key="x", record=tmp_path, on_error="collect"
        ) as feed,
    ):
        while feed.ledger.damaged_count < 3:
            await some(feed, 50)
    assert Tape(tmp_path).ledger.damaged_count == feed.ledger.damaged_count
    assert Tape(tmp_path).ledger.dropped == feed.ledger.dropped


@in_loop
async def test_each_file_says_which_streams_were_wanted_when_it_was_begun(tmp_path: Path) -> None:
    async with open_feed(record=Recording(tmp_path, rotate_seconds=0.5)) as feed:
        while len(files(tmp_path)) < 3:
            await some(feed, 20)
        await feed.unsubscribe(STREAMS[0])
        there = len(files(tmp_path))
        while len(files(tmp_path)) < there + 2:
            await some(feed, 20)
    readers = [TapeReader(file) for file in files(tmp_path)]
    assert readers[0].told("streams", None) in ([], list(STREAMS))
    assert readers[1].told("streams", None) == list(STREAMS)
    assert readers[-1].told("streams", None) == list(STREAMS[1:])


@in_loop
async def test_verify_says_that_a_recorder_is_at_work(tmp_path: Path) -> None:
    async with open_feed(record=tmp_path) as feed:
        await some(feed, 20)
        report = Tape(tmp_path).verify()
        assert not report.is_whole
        assert any("its recorder is at work" in each for each in report.problems)
    assert Tape(tmp_path).verify().is_whole
