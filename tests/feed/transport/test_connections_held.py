"""Frames that wait for another connection's, and a consumer that takes nothing."""

from __future__ import annotations

import asyncio

import pytest
from played import Played, playing, turns

from binance_sbe.errors import ConnectionLost
from binance_sbe.feed.engine import _HOLDING_SECONDS

Patch = pytest.MonkeyPatch


def ready(played: Played) -> tuple[int, int]:
    """Frames that may be taken, and those that wait for another connection's."""
    waiting = played.backlog.arbiter.held_count
    return played.backlog.pending - waiting, waiting


def held(played: Played) -> None:
    """The second line is ahead: what it brings waits for the first."""
    one, two = played.transports
    one.bring(1)
    two.bring(1)
    two.bring(3)
    assert ready(played) == (1, 1)


def test_frames_that_wait_for_another_connection_are_handed_on_when_their_time_is_over(
    monkeypatch: Patch,
) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        assert played.clock.waits[-1] > _HOLDING_SECONDS
        held(played)
        played.transports[0].on_text("nonsense")  # so that it looks
        await played.passes(0.5)
        assert 0.001 <= played.clock.waits[-1] <= _HOLDING_SECONDS
        assert ready(played) == (1, 1)
        await played.passes(2.0)
        assert ready(played) == (2, 0)
        (hole,) = played.ledger.holes
        assert (hole.last_before, hole.first_after) == (1, 3)

    playing(monkeypatch, work, lines=2)


@pytest.mark.parametrize("end", ["close", "fail"])
def test_frames_that_wait_are_not_lost_at_the_end_of_a_feed(end: str, monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        held(played)
        if end == "close":
            await played.connections.close()
        else:  # both are lost, and nothing is to be made anew
            for each in played.transports:
                each.on_lost(None, "gone")
            assert isinstance(played.connections.engine.error, ConnectionLost)
        assert ready(played) == (2, 0)

    playing(monkeypatch, work, lines=2, reconnect=False)


def test_frames_that_wait_do_not_while_the_consumer_takes_nothing(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        one, _ = played.transports
        held(played)
        one.bring(2)
        assert played.backlog.arbiter.held_count == 0
        for number in (4, 5):
            one.bring(number)
        assert played.backlog.full
        one.bring(7)
        await played.passes(5.0)  # what closes the hole may wait behind all that
        assert played.backlog.arbiter.held_count == 1
        while ready(played)[0]:
            played.backlog.next_message()
        await played.passes(0.5)
        assert ready(played) == (0, 1)
        await played.passes(2.0)
        assert ready(played) == (1, 0)

    playing(monkeypatch, work, lines=2, max_queue=5)


def test_while_the_consumer_takes_nothing_a_connection_is_not_silent(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started()
        (transport,) = played.transports
        transport.bring(1)
        transport.bring(2)
        assert played.backlog.full
        await played.passes(50.0)
        assert transport.calls == []
        played.backlog.next_message()
        played.backlog.next_message()
        await played.passes(11.0)
        assert transport.calls == ["ping", "close"]

    playing(monkeypatch, work, silence_timeout=10.0, max_queue=2, renew_after=1e6)


def test_what_is_unsubscribed_hands_on_what_waited(monkeypatch: Patch) -> None:
    async def work(played: Played) -> None:
        await played.started(2)
        held(played)
        task = asyncio.create_task(played.connections.unsubscribe(["btcusdt@trade"]))
        await turns()
        for each in played.transports:
            each.accept()
        await task
        assert ready(played) == (2, 0)

    playing(monkeypatch, work, lines=2)
