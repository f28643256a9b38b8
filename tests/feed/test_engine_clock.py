"""What is noticed of connections from time to time, to the second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as time_of_day
from typing import Any

import pytest
import vectors
from played import Played, playing, turns

from binance_sbe.feed import engine
from binance_sbe.feed.protocol.silence import Daily
from binance_sbe.venue.streams import STREAM_TIMEOUT

Patch = pytest.MonkeyPatch
Log = pytest.LogCaptureFixture


def said(caplog: Log, event: str) -> list[Any]:
    found = [r for r in caplog.records if getattr(r, "event", "") == event]
    caplog.clear()
    return found


async def subscribed(played: Played, *names: str) -> None:
    task = asyncio.create_task(played.connections.subscribe(list(names)))
    await turns()
    for each in played.transports:
        each.accept()
    await task


def test_a_connection_may_have_stopped_before_it_was_known_as_open(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        engine, backlog = played.connections.engine, played.connections._backlog
        assert not backlog.stopped
        await played.started()
        assert backlog.stopped
        engine.resume()
        assert not backlog.stopped

    playing(monkeypatch, work)


@pytest.mark.parametrize("step", [2.0, -2.0, 86400.0])
def test_a_clock_that_is_set_by_two_seconds_or_more_is_said_and_connections_are_asked(
    step: float, monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        played.clock.set_by = step / abs(step) * 1.9
        await played.passes(3.0)
        assert said(caplog, "clock") == []
        assert played.transports[0].calls == []
        played.clock.set_by += step + step / abs(step) * 0.01
        await played.passes(3.0)
        (record,) = said(caplog, "clock")
        assert f"has jumped by {step:+.1f} s" in record.message
        assert record.jump == pytest.approx(step, abs=0.02)
        assert played.transports[0].calls == ["ping"]
        await played.passes(6.0)  # it has ten seconds
        assert played.transports[0].calls == ["ping"]
        await played.passes(2.0)
        assert played.transports[0].calls == ["ping", "close"]

    playing(monkeypatch, work)


def test_events_that_come_ever_later_are_said_every_ten_seconds(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        one, two = played.transports
        one.bring(1, late=0.5)
        two.bring(1, late=0.5)
        await played.passes(1.5)
        two.bring(2, late=3.4)
        await played.passes(1.5)
        assert said(caplog, "delayed") == []  # 2.9 s later than the quickest
        two.bring(3, late=3.6)
        await played.passes(1.5)
        (record,) = said(caplog, "delayed")
        assert f"{two.line.name}: events come 3.1 s late" in record.message
        assert record.connection == two.line.name
        assert record.seconds == pytest.approx(3.1, abs=0.01)
        await played.passes(7.0)
        assert said(caplog, "delayed") == []
        await played.passes(3.0)
        assert len(said(caplog, "delayed")) == 1
        one.bring(4, late=-3.0)  # the clock of the exchange is ahead: that is the quickest now
        two.bring(5, late=0.5)
        await played.passes(11.0)
        (record,) = said(caplog, "delayed")
        assert record.seconds == pytest.approx(3.5, abs=0.01)
        played.clock.set_by = 3600.0  # what was the quickest says nothing any more
        one.bring(6, late=1.0)
        two.bring(7, late=1.0)
        await played.passes(11.0)
        assert said(caplog, "delayed") == []

    playing(monkeypatch, work, lines=2, silence_timeout=1e6)


def test_nothing_is_late_while_nobody_takes_what_comes(monkeypatch: Patch, caplog: Log) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        transport.bring(1)
        await played.passes(1.5)
        transport.bring(2, late=60.0)
        await played.passes(1.5)
        assert said(caplog, "delayed") == []
        played.backlog.next_message()
        await played.passes(1.5)
        assert len(said(caplog, "delayed")) == 1

    playing(monkeypatch, work, max_queue=2)


def test_a_consumer_that_is_behind_is_said_every_ten_seconds(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        for number in range(1, 5):
            transport.bring(number)
        await played.passes(3.0)
        assert said(caplog, "behind") == []
        transport.bring(5)
        await played.passes(9.0)
        (record,) = said(caplog, "behind")
        assert (record.waiting, record.dropped) == (5, 0)
        assert "the consumer is behind: 5 frames wait, 0 were dropped so far" in record.message
        await played.passes(3.0)
        assert len(said(caplog, "behind")) == 1
        played.backlog.next_message()
        await played.passes(20.0)
        assert said(caplog, "behind") == []

    playing(monkeypatch, work, max_queue=5)


def test_holes_are_said_with_the_first_few_of_them_and_once(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        for number in (1, 3):
            transport.bring(number)
        await played.passes(1.25)
        (record,) = said(caplog, "holes")
        assert "1 hole: btcusdt@trade 2 to 2 (not sent)" in record.message
        assert (record.count, record.streams) == (1, ["btcusdt@trade"])
        await played.passes(3.0)
        assert said(caplog, "holes") == []
        for number in (10, 20, 30, 40):
            transport.bring(number)
        transport.on_text("nonsense")
        await turns()
        (record,) = said(caplog, "holes")
        few = "btcusdt@trade 4 to 9, btcusdt@trade 11 to 19, btcusdt@trade 21 to 29, ..."
        assert f"4 holes: {few} (not sent)" in record.message
        assert record.count == 4
        transport.bring(50)
        transport.bring(60)
        for _ in range(3):  # not more often than once a second
            transport.on_text("nonsense")
            await played.passes(0.25)
            assert said(caplog, "holes") == []
        await played.passes(1.0)
        (record,) = said(caplog, "holes")
        assert "2 holes: btcusdt@trade 41 to 49, btcusdt@trade 51 to 59 (not" in record.message

    playing(monkeypatch, work)


def test_streams_that_nobody_wants_are_said_when_there_are_others(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports

        def stray(letters: str) -> None:
            for letter in letters:
                frame = vectors.TRADES.replace(b"BTCUSDT", letter.upper().encode() * 7)
                transport.backlog.put(frame, played.clock.time_ns(), transport.line)

        stray("ab")
        await played.passes(1.5)
        (record,) = said(caplog, "strays")
        assert record.streams == ["aaaaaaa@trade", "bbbbbbb@trade"]
        assert record.message.endswith("subscribed to: aaaaaaa@trade, bbbbbbb@trade")
        stray("ba")
        await played.passes(1.5)
        assert said(caplog, "strays") == []
        stray("acdefgh")
        await played.passes(1.5)
        (record,) = said(caplog, "strays")
        assert record.streams == [f"{letter * 7}@trade" for letter in "cdefgh"]
        assert record.message.endswith("ggggggg@trade, ...")

    playing(monkeypatch, work)


def test_of_a_flood_of_one_kind_ten_lines_in_ten_seconds_are_said(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        for number in range(15):
            transport.on_text(f"nonsense {number}")
        transport.on_text('{"code": 3, "msg": "of another kind"}')
        assert len(said(caplog, "refused")) == 1
        await played.passes(9.5)
        transport.on_text("one more")
        assert said(caplog, "unknown_text") == []
        await played.passes(0.75)
        transport.on_text("the next")
        transport.on_text("and another")
        one, two = (r.message for r in said(caplog, "unknown_text"))
        assert one.endswith("the next (6 such lines before were left out)")
        assert two.endswith("and another")

    playing(monkeypatch, work, silence_timeout=1e6)


def test_of_a_flood_the_first_ten_are_said(monkeypatch: Patch, caplog: Log) -> None:
    async def work(played: Played) -> None:
        await played.started()
        for number in range(15):
            played.transports[0].on_text(f"nonsense {number}")
        found = [r.message.rpartition(" ")[2] for r in said(caplog, "unknown_text")]
        assert found == [str(number) for number in range(10)]

    playing(monkeypatch, work)


def test_kinds_may_be_silent_for_as_long_as_their_book_may_rest() -> None:
    assert STREAM_TIMEOUT == {
        "trade": None, "bestBidAsk": 300.0, "depth20": 300.0, "depth": 300.0,
    }  # fmt: skip


def test_a_silent_stream_renews_its_connection_again_and_again_ever_later(
    monkeypatch: Patch, caplog: Log
) -> None:
    """After 100 s, and then after pauses of 100, 200, 400... up to an hour."""

    async def work(played: Played) -> None:
        await played.started()
        supervisor = played.engine.supervisor
        times: list[float] = []
        right = supervisor.silent

        def silent(names: Any, now: float) -> None:
            assert list(names) == ["btcusdt@trade"]
            times.append(now - began)
            right(names, now)

        supervisor.silent = silent
        began = played.clock.now
        await subscribed(played, "btcusdt@depth")  # which has no limit here
        for _ in range(1620):
            for each in played.transports:
                if not each.opened.done():
                    each.opened.set_result(None)
            await turns(4)
            for each in played.transports:
                each.on_sign()
                each.accept()
                if "finish" in each.calls and "lost" not in each.calls:
                    each.calls.append("lost")
                    each.on_lost(1000, "")
            played.clock.now += 10.0
            await turns(4)
        assert times == pytest.approx([100, 200, 400, 800, 1600, 3200, 6400, 10000, 13600], abs=11)
        assert len(said(caplog, "renewing")) == 0  # not warned of: info only
        assert [each.cause for each in played.ledger.connections[:-1]] == ["renewed"] * 9
        # who comes back begins anew
        times.clear()
        transport = played.transports[-1]
        for change in (played.connections.unsubscribe, played.connections.subscribe):
            task = asyncio.create_task(change(["btcusdt@trade"]))
            await turns()
            transport.accept()
            await task
        began = played.clock.now
        for _ in range(30):
            played.clock.now += 5.0
            transport.on_sign()
            await turns(4)
        assert times == pytest.approx([100], abs=6)

    playing(
        monkeypatch, work, silence_timeout=1000.0, renew_after=1e6,
        stream_timeout={"trade": 100.0, "depth": None},
    )  # fmt: skip


@pytest.mark.parametrize("why", ["it is not whole", "the consumer takes nothing", "it has come"])
def test_a_stream_is_not_called_silent_while_that_has_another_cause(
    why: str, monkeypatch: Patch
) -> None:
    async def work(played: Played) -> None:
        if why == "it has come":  # by the true clock, which this one has reached by then
            played.clock.now -= 19.0
        await played.started()
        (transport,) = played.transports
        calls: list[Any] = []
        played.engine.supervisor.silent = lambda names, now: calls.append(names)  # type: ignore
        await played.passes(19.0)
        if why == "it is not whole":
            transport.on_lost(None, "gone")
        elif why == "it has come":
            transport.bring(1)
        else:
            for number in range(1, 3):
                transport.bring(number)
        await played.passes(15.0)
        assert calls == []
        if why == "the consumer takes nothing":
            for _ in range(2):
                played.backlog.next_message()
            await played.passes(2.5)
            assert calls == [["btcusdt@trade"]]
        if why == "it has come":
            await played.passes(8.0)
            assert calls == [["btcusdt@trade"]]

    playing(
        monkeypatch, work, max_queue=2, stream_timeout={"trade": 20.0}, silence_timeout=1e6,
        first_pause=1e6, longest_pause=1e6,
    )  # fmt: skip


EAST = timezone(timedelta(hours=9))


@pytest.mark.parametrize(
    ("at", "now", "then"),
    [
        (time_of_day(4, 30), (1, 4, 29), (1, 4, 30)),
        (time_of_day(4, 30), (1, 4, 30), (2, 4, 30)),
        (time_of_day(4, 30), (1, 12, 0), (2, 4, 30)),
        (time_of_day(0, 0), (31, 23, 59), (32, 0, 0)),
        (time_of_day(4, 30, tzinfo=EAST), (1, 12, 0), (1, 19, 30)),
        (time_of_day(4, 30, tzinfo=EAST), (1, 19, 29), (1, 19, 30)),
        (time_of_day(4, 30, tzinfo=EAST), (1, 19, 30), (2, 19, 30)),
    ],
)
def test_the_time_of_day_comes_next_at(
    at: time_of_day, now: tuple[int, int, int], then: tuple[int, int, int]
) -> None:
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    moments = [begin + timedelta(days=d - 1, hours=h, minutes=m) for d, h, m in (now, then)]
    daily = Daily(at, moments[0])
    assert not daily.is_due(moments[1] - timedelta(microseconds=1))
    assert daily.is_due(moments[1])
    assert not daily.is_due(moments[1] + timedelta(hours=23, minutes=59))
    assert daily.is_due(moments[1] + timedelta(days=1))
    assert not Daily(None, moments[0]).is_due(moments[1])


def test_connections_are_renewed_at_the_time_of_day_every_day(monkeypatch: Patch) -> None:
    seconds = [0.0]  # since half a minute before it

    class Dates(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 3, 1, 4, 29, 30, tzinfo=tz) + timedelta(seconds=seconds[0])

    async def work(played: Played) -> None:
        await played.started()
        for moment, count in ((29.9, 1), (30.0, 2), (86429.9, 2), (86430.0, 3)):
            seconds[0] = moment
            await played.passes(1.25)
            await played.passes(1.25)
            assert len(played.transports) == count, moment
            transport = played.transports[-1]
            if not transport.opened.done():
                transport.opened.set_result(None)
                await turns()
                transport.accept()
                transport.bring(1)
                await played.passes(1.25)
        assert [each.cause for each in played.ledger.connections[:1]] == [None]  # it finishes

    monkeypatch.setattr(engine, "datetime", Dates)
    playing(monkeypatch, work, renew_at=time_of_day(4, 30))
