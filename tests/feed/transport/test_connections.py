"""The shell around a supervisor, with transports and a clock that the test plays."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from played import FakeTransport, Played, playing, turns

from binance_sbe.errors import FeedError, SubscriptionRefused, Unreachable
from binance_sbe.route import Route

Patch = pytest.MonkeyPatch
Log = pytest.LogCaptureFixture


def test_a_connection_is_opened_with_what_it_needs_and_is_in_the_ledger(
    monkeypatch: Patch,
) -> None:
    async def work(played: Played) -> None:
        assert not played.connections.has_streams
        played.connections.start("the key")
        task = asyncio.create_task(played.connections.subscribe(["btcusdt@trade"]))
        await turns()
        assert played.connections.has_streams  # something may come
        (transport,) = played.transports
        assert transport.asked == ("ws://x/ws", "the key", 7.0, Route())
        assert transport.line.name == "connection 1 (line 1)"
        assert played.ledger.connections == []
        played.clock.now += 1.0
        transport.opened.set_result(None)
        await turns()
        (record,) = played.ledger.connections
        assert (record.name, record.line) == ("connection 1 (line 1)", transport.line)
        assert (record.opened_ns, record.closed_ns) == (played.clock.time_ns(), None)
        assert transport.sent == [{"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}]
        assert not task.done()
        transport.accept()
        await task
        assert played.stats.texts == 1
        assert played.connections.engine.supervisor.streams == ["btcusdt@trade"]
        assert played.connections.has_streams
        assert not played.connections.engine.is_over

    playing(monkeypatch, work, open_timeout=7.0)


def test_a_connection_that_can_not_be_made_is_told_bare(monkeypatch: Patch, caplog: Log) -> None:
    for error, said in (
        (Unreachable("ws://x: no route"), "ws://x: no route"),
        (KeyError("odd"), "ws://x/ws: KeyError: 'odd'"),
    ):
        caplog.clear()

        async def work(played: Played, error: Exception = error, said: str = said) -> None:
            played.connections.start("the key")
            task = asyncio.create_task(played.connections.subscribe(["btcusdt@trade"]))
            await turns()
            error.__cause__ = ValueError("with all headers in it")
            played.transports[0].opened.set_exception(error)
            await turns()
            with pytest.raises(Unreachable) as caught:
                await task
            assert str(caught.value) == said
            assert caught.value.__cause__ is None
            assert str(played.connections.engine.error) == said
            assert played.connections.engine.is_over
            assert played.woken >= 1
            told = [r for r in caplog.records if r.exc_info]
            assert len(told) == (not isinstance(error, FeedError))
            with pytest.raises(Unreachable):
                await played.connections.subscribe(["btcusdt@depth"])

        playing(monkeypatch, work)


def test_a_connection_whose_opening_is_not_waited_for_is_cancelled(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        played.connections.start("the key")
        task = asyncio.create_task(played.connections.subscribe(["btcusdt@trade"]))
        await turns()
        await played.connections.close()
        assert played.transports[0].calls == ["cancelled"]
        with pytest.raises(FeedError, match="the feed was closed"):
            await task
        with pytest.raises(RuntimeError, match="the feed is closed"):
            await played.connections.subscribe(["btcusdt@depth"])
        with pytest.raises(RuntimeError, match="the feed is closed"):
            await played.connections.unsubscribe(["btcusdt@depth"])

    playing(monkeypatch, work)


def test_closing_ends_every_connection_and_wakes_the_consumer(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        before = played.woken
        await played.connections.close()
        assert [each.calls for each in played.transports] == [["close"], ["close"]]
        assert played.woken == before + 1
        assert [each.cause for each in played.ledger.connections] == ["the feed was closed"] * 2
        assert all(each.closed_ns == played.clock.time_ns() for each in played.ledger.connections)
        assert played.connections.engine.is_over
        assert played.connections.engine.error is None
        await played.passes(400.0)
        assert len(played.transports) == 2

    playing(monkeypatch, work, lines=2)


def test_a_feed_that_is_abandoned_ends_without_being_waited_for_once(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started()
        played.connections.abandon()
        played.connections.abandon()
        await turns()
        assert played.transports[0].calls == ["close"]
        assert played.connections.engine.closing

    playing(monkeypatch, work)


def test_signs_frames_and_texts_keep_a_connection_and_silence_ends_it(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        await played.passes(5.5)
        assert transport.calls == ["ping"]
        transport.on_sign()
        await played.passes(4.0)
        transport.bring(1)
        await played.passes(4.0)
        transport.on_text("nonsense")
        await played.passes(4.0)
        assert transport.calls == ["ping"]
        await played.passes(2.0)
        assert transport.calls == ["ping", "ping"]
        await played.passes(4.5)
        assert transport.calls == ["ping", "ping", "close"]
        (record,) = played.ledger.connections
        assert record.cause == "the connection was lost: silent for 10 s"
        assert played.stats.texts == 2
        transport.bring(2)  # which nobody hears any more
        await turns()
        assert played.connections.engine.supervisor.connections == {}

    playing(monkeypatch, work, silence_timeout=10.0, first_pause=20.0, renew_after=1e6)


def test_a_renewal_finishes_the_old_connection_and_leaves_it_when_all_is_taken(
    monkeypatch: Patch,
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (old,) = played.transports
        old.bring(1)
        new = await played.taken_over()
        old.bring(2)
        new.bring(2)
        await played.passes(0.5)
        assert old.calls == ["finish"]
        old.is_drained = False  # frames wait in its reader
        old.on_lost(1000, "")
        await turns()
        first, second = played.ledger.connections
        assert first.closed_ns is None
        played.clock.now += 3.0
        old.on_drained()
        assert (first.cause, first.closed_ns) == ("renewed", played.clock.time_ns())
        old.on_drained()
        assert played.ledger.ended_count == 1
        assert second.closed_ns is None
        assert old.calls == ["finish"]

    playing(monkeypatch, work)


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_a_renewed_connection_has_not_brought_is_lost_at_once_where_it_is_whole(
    is_whole: bool, monkeypatch: Patch
) -> None:
    """The end that both sides agreed on may come while its frames still wait."""

    async def work(played: Played) -> None:
        await played.started()
        (old,) = played.transports
        old.bring(1)
        new = await played.taken_over()
        await played.passes(10.5)  # nothing comes of it
        assert old.calls == ["finish"]
        old.is_drained = False
        old.is_whole = is_whole
        await played.passes(10.5)  # it does not end: we end it
        assert old.calls == ["finish", "close"]
        old.on_drained()
        assert old.line.gone
        new.bring(3)
        (hole,) = played.ledger.holes
        assert ("renewed" in hole.cause) is not is_whole

    playing(monkeypatch, work, renew_after=1e6)


def test_pings_and_ends_that_are_asked_of_what_is_gone_are_nothing(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        transport.can_send = False  # its end has not been reported yet
        task = asyncio.create_task(played.connections.subscribe(["btcusdt@depth"]))
        await turns()
        transport.on_lost(None, "gone")
        transport.on_lost(None, "gone again")
        transport.on_text('{"result": null, "id": 2}')
        transport.on_sign()
        await played.passes(0.5)
        assert played.connections.engine.error is None
        second = played.transports[1]
        second.opened.set_result(None)
        await turns()
        second.accept()
        await task
        assert played.connections.engine.supervisor.streams == ["btcusdt@trade", "btcusdt@depth"]

    playing(monkeypatch, work)


def test_a_refusal_is_raised_where_it_was_asked_and_nobody_minds_who_does_not_wait(
    monkeypatch: Patch,
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        waits = asyncio.create_task(played.connections.subscribe(["btcusdt@depth"]))
        leaves = asyncio.create_task(played.connections.subscribe(["btcusdt@depth20"]))
        await turns()
        leaves.cancel()
        await turns()
        assert leaves.cancelled()
        transport.on_text('{"code": 2, "msg": "no", "id": 2}')
        transport.on_text('{"code": 2, "msg": "no", "id": 3}')
        with pytest.raises(SubscriptionRefused, match="btcusdt@depth: "):
            await waits
        assert played.connections.engine.error is None
        await played.passes(2.0)
        away = asyncio.create_task(played.connections.unsubscribe(["btcusdt@trade"]))
        await turns()
        transport.sent = transport.sent[-1:]
        transport.accept()
        await away
        assert not played.connections.has_streams

    playing(monkeypatch, work)


def test_there_may_be_room_again_for_all_from_which_something_may_come(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        one, two = played.transports
        one.is_drained = False
        one.on_lost(None, "gone")
        await turns()
        played.connections.engine.resume()
        assert (one.calls, two.calls) == (["resume"], ["resume"])
        one.on_drained()
        played.connections.engine.resume()
        assert (one.calls, two.calls) == (["resume"], ["resume"] * 2)

    playing(monkeypatch, work, lines=2)


def test_lines_of_the_log_have_a_level_and_what_they_are_about(
    monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        new = await played.taken_over()
        new.bring(1)
        await played.passes(0.5)
        new.on_lost(None, "gone")

    with caplog.at_level(logging.INFO, "binance_sbe"):
        playing(monkeypatch, work)
    said = [(r.levelname, getattr(r, "event", "")) for r in caplog.records]
    assert said == [("INFO", "renewing"), ("INFO", "renewed"), ("WARNING", "retry")]
    record = caplog.records[-1]
    assert (getattr(record, "attempt", 0), getattr(record, "feed", "")) == (1, "ws://x/ws")
    assert record.message.startswith("ws://x/ws: connection lost, trying again in ")


@pytest.mark.parametrize("where", ["ping", "finish", "close", "lost", "drained", "look", "text"])
def test_an_error_of_ours_ends_the_feed_and_is_told(
    where: str, monkeypatch: Patch, caplog: Log
) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        transport.error = KeyError("odd")

        def wrong(*_: Any) -> None:
            raise KeyError("odd")

        connections: Any = played.connections
        match where:
            case "ping":
                await played.passes(31.0)
            case "finish":
                new = await played.taken_over()
                new.bring(1)
                await played.passes(0.5)
            case "close":
                await played.passes(61.0)
            case "lost":
                connections.engine.supervisor.closed = wrong
                transport.on_lost(None, "gone")
            case "drained":
                transport.is_drained = False
                transport.on_lost(None, "gone")
                connections.engine._leave = wrong
                transport.on_drained()
            case "look":
                connections.engine._remarks.look = wrong
                await played.passes(1.5)
            case "text":  # whose transport is told, and ends the connection
                connections.engine.supervisor.text = wrong
                with pytest.raises(KeyError):
                    transport.on_text("{}")
                return
        assert str(connections.engine.error) == "the feed failed: KeyError: 'odd'"
        assert connections.engine.is_over
        assert played.woken >= 1
        assert any(r.exc_info and r.exc_info[0] is KeyError for r in caplog.records)
        again = FeedError("another")
        connections.engine.fail(again)
        assert connections.engine.error is not again

    playing(monkeypatch, work)


def test_a_feed_that_has_failed_rests(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started()
        played.transports[0].on_lost(None, "gone")  # another attempt is planned
        played.connections.engine.fail(FeedError("over"))
        await played.passes(5.0)
        played.clock.waits.clear()
        await played.passes(10.0)
        assert len(played.clock.waits) <= 11
        assert len(played.transports) == 1

    playing(monkeypatch, work)


def test_transports_of_the_test_are_like_those_of_the_package() -> None:
    from inspect import signature

    from binance_sbe.feed.transport.websocket import Transport

    for name in ("send", "ping", "finish", "resume", "close", "__init__"):
        mine, right = (signature(getattr(each, name)) for each in (FakeTransport, Transport))
        assert list(mine.parameters) == list(right.parameters), name
    for name in ("is_drained", "is_whole"):
        assert isinstance(getattr(Transport, name), property)
    assert list(signature(Transport.open).parameters)[1:] == ["url", "key", "timeout", "route"]


def test_closing_ends_where_what_it_waits_for_was_done_in_the_same_turn(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        async def nothing() -> None:
            pass

        played.connections.start("the key")
        spawned = played.connections._spawn(nothing())
        # its first step comes behind that of ``nothing``, before anybody is told of its end
        await asyncio.create_task(played.connections.close())
        assert spawned.done()

    playing(monkeypatch, work)
