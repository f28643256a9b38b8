"""`watch` and `demo`: what they print, when, and how they end. The feed is a fake one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from feeds import Hand, best, trade
from test_events import batch_of

import binance_sbe
from binance_sbe.commands import health, screen, watch
from binance_sbe.commands.watchlist import Watchlist
from binance_sbe.errors import FeedError


def test_the_streams_of_symbols() -> None:
    assert watch.streams_of(["a", "B"], ["trade", "depth"]) == [
        "a@trade", "a@depth", "b@trade", "b@depth",
    ]  # fmt: skip


class Fake:
    """A feed that gives these batches and then waits to be closed, and what was asked of it."""

    def __init__(
        self, *batches: Any, hand: Hand | None = None, frames: Sequence[bytes] = ()
    ) -> None:
        self.hand = hand or Hand("btcusdt@trade", "btcusdt@bestBidAsk")
        self.streams = list(self.hand.names)
        self.stats, self.ledger = self.hand.feed.stats, self.hand.feed.ledger
        self._connections = self.hand.feed._connections
        self.given = batches
        self.frames = frames
        self.delays: list[float] = []
        self.closed = asyncio.Event()
        self.asked: Any = None
        self.breaks: Exception | None = None

    @property
    def cut_off(self) -> set[str]:
        found: set[str] = self._connections.engine.supervisor.shards.cut_off()
        return found

    @property
    def now_ns(self) -> int:
        return time.time_ns()

    def __call__(self, *streams: str, **where: Any) -> Fake:
        self.asked = streams, where
        return self

    async def __aenter__(self) -> Fake:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed.set()

    async def close(self) -> None:
        self.closed.set()

    async def __aiter__(self) -> AsyncIterator[Any]:
        for frame in self.frames:
            yield binance_sbe.decode(frame)
            await asyncio.sleep(0)
        await self.closed.wait()

    async def batches(self, max_delay: float) -> AsyncIterator[Any]:
        self.delays.append(max_delay)
        for each in self.given:
            yield each
            await asyncio.sleep(0)
        if self.breaks is not None:
            raise self.breaks
        await self.closed.wait()


def shown(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, seconds: float | None = 0.05, **options: Any
) -> tuple[list[str], list[str]]:
    """The lines of a view on standard output and on standard error."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(watch, "connect", fake)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    try:
        code = asyncio.run(
            watch.show(fake.streams, "the title", seconds=seconds, **options, url="u")
        )
        assert code == 0
    finally:
        monkeypatch.undo()
    assert fake.asked == (tuple(fake.streams), {"url": "u"})
    assert fake.closed.is_set()
    return out.getvalue().splitlines(), err.getvalue().splitlines()


def test_json_is_an_event_a_line_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(batch_of(trade(1), best(2)), batch_of(trade(3)))
    out, err = shown(fake, monkeypatch, form="own")
    assert [json.loads(line)["stream"] for line in out] == [
        "btcusdt@trade", "btcusdt@bestBidAsk", "btcusdt@trade",
    ]  # fmt: skip
    assert err == []
    assert fake.delays == [0.02]
    lossy = Fake()
    lossy.hand.put(b"xx")
    assert shown(lossy, monkeypatch, form="own") == ([], ["binance-sbe: ledger: damaged 1"])


def test_once_is_the_latest_of_every_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = batch_of(trade(1), trade(2)), batch_of(best(3)), batch_of(trade(4))
    fake = Fake(*batches)
    out, _ = shown(fake, monkeypatch, None, once=True, form="own")
    told = [json.loads(line) for line in out]
    assert [each["stream"] for each in told] == ["btcusdt@bestBidAsk", "btcusdt@trade"]
    assert told[1]["trades"][0]["id"] == 2  # it ended before the next batch
    assert fake.delays == [0.05]
    out, _ = shown(Fake(*batches), monkeypatch, None, once=True)
    assert re.fullmatch(r"\[  0\.\d s\] 0 messages/s, .*; 0 frames, 0 rejected", out[0])
    assert out[1] == (
        "  BTCUSDT    bid 1.0000000 at 0.99, ask 2.0000000 at 1.01, last buy 0.5000000 at 1.00 "
        "(3 messages)"
    )
    assert out[2:4] == [f"  {line.strip()}" for line in health.plain_lines(fake)[:2]]  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["exchange", "combined"])
def test_json_may_be_that_of_the_exchange(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(frames=[trade(1), best(2), best(3)[:-7] + b"\xff" * 7, trade(4)])
    out, err = shown(fake, monkeypatch, form=form)
    found = [json.loads(line) for line in out]
    if form == "combined":
        names = [each["stream"] for each in found]
        assert names == ["btcusdt@trade", "btcusdt@bookTicker", "btcusdt@trade"]
        found = [each["data"] for each in found]
    assert [each.get("t", each.get("u")) for each in found] == [1, 2, 4]
    assert "e" not in found[1]
    assert len(err) == 1  # what has no JSON is said, and ends nothing
    assert "symbol" in err[0]


@pytest.mark.parametrize("form", [None, "own"])
def test_once_says_what_has_not_come(form: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"s{n}usdt@trade" for n in range(6)]
    for streams, said in (
        (names[:2], "nothing came within 0.05 s of s0usdt@trade, s1usdt@trade"),
        (names, "nothing came within 0.05 s of s0usdt@trade, s1usdt@trade, s2usdt@trade, "
                "s3usdt@trade, s4usdt@trade, ..."),
        (names[:5], "of s0usdt@trade, s1usdt@trade, s2usdt@trade, s3usdt@trade, s4usdt@trade"),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(watch, "_ONCE_SECONDS", 0.05)
            fake = Fake(batch_of(trade(1)), hand=Hand(*streams, "btcusdt@trade"))
            with pytest.raises(FeedError, match=f"{re.escape(said)}$"):
                shown(fake, patched, None, once=True, form=form)


def test_a_pipe_is_told_once_a_second_and_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(batch_of(trade(1), best(2)), batch_of(trade(3)))
    out, err = shown(fake, monkeypatch, 1.3)
    assert err == []
    assert fake.delays == [0.25]
    starts = [i for i, line in enumerate(out) if line.startswith("[")]
    assert starts == [0]
    assert out[1].startswith("  BTCUSDT    bid 1.0000000 at 0.99, ask ")
    assert out[2].startswith("  lag: ")
    assert re.fullmatch(r"3 messages in 2 batches, 1\.\d s", out[-2])
    assert out[-1] == "ledger: nothing lost, nothing odd"


def test_a_demo_ends_with_what_came_and_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = shown(Fake(batch_of(trade(1))), monkeypatch, is_demo=True)
    assert out[0].startswith("1 message in 1 batch, 0.")
    assert out[0].endswith("as record arrays (feed.batches):")
    at = out.index("ledger: nothing lost, nothing odd")
    assert out[at - 1].startswith("rejected frames: 0; ")
    assert out[at + 1] == "try next:"


class Screen:
    """A terminal's live table."""

    def __init__(self) -> None:
        self.console = SimpleNamespace(size=(100, 24))
        self.drawn: list[Any] = []
        self.depth = 0

    def __enter__(self) -> Screen:
        self.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.depth -= 1

    def update(self, renderable: Any, refresh: bool) -> None:
        assert self.depth == 1
        self.drawn.append((renderable, refresh))


@pytest.mark.parametrize("is_demo", [False, True])
def test_a_terminal_is_drawn_by_the_clock(is_demo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Screen()
    made: list[bool] = []

    def live(vanishes: bool) -> Screen:
        made.append(vanishes)
        return terminal

    monkeypatch.setattr(screen, "live_display", live)
    monkeypatch.setattr(watch, "REFRESH", 0.01)
    monkeypatch.setattr(Watchlist, "panel", lambda view, *size: (view.title, size))
    out, _ = shown(Fake(batch_of(trade(1))), monkeypatch, 0.3, is_demo=is_demo)
    assert made == [is_demo]
    assert len(terminal.drawn) > 5
    assert set(terminal.drawn) == {(("Binance SBE, the title", (100, 24)), True)}
    assert terminal.depth == 0
    assert not any(line.startswith("[") for line in out)


def test_nothing_is_drawn_while_a_feed_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Fake):
        drawn_then = drawn_after = 0

        async def close(self) -> None:
            self.drawn_then = len(terminal.drawn)
            await asyncio.sleep(0.2)
            self.drawn_after = len(terminal.drawn)
            await super().close()

    terminal, fake = Screen(), Slow()
    monkeypatch.setattr(screen, "live_display", lambda vanishes: terminal)
    monkeypatch.setattr(watch, "REFRESH", 0.01)
    monkeypatch.setattr(Watchlist, "panel", lambda *_: "")
    shown(fake, monkeypatch, 0.1)
    assert fake.drawn_then > 0
    assert fake.drawn_after <= fake.drawn_then + 1


@pytest.mark.parametrize("form", [None, "own"])
def test_a_feed_that_breaks_breaks_the_view(
    form: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake(batch_of(trade(1)))
    fake.breaks = FeedError("it broke")
    with pytest.raises(FeedError, match="it broke"):
        shown(fake, monkeypatch, None, form=form)


def test_metrics_of_a_view_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []

    @contextlib.contextmanager
    def of(*given: Any) -> Any:
        taken.append(given[1:])
        yield

    monkeypatch.setattr(watch, "metrics_of", of)
    shown(Fake(), monkeypatch, 0.01, form="own", metrics_port=5, metrics_host="h")
    assert taken == [(5, "h")]
