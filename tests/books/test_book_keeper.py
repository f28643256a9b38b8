"""The keeper of books as tables: a state, an event, and what comes of it. No clock, no feed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from test_book import depth20, diff, snapshot

from binance_sbe.books.keeper import UP, Audit, Keeper, Link

BIDS = [(99 - i, 5) for i in range(30)]
ASKS = [(101 + i, 5) for i in range(30)]
LOST = Link(False, "lost", 1)
BACK = Link(True, "lost", 1)


class Desk:
    """A keeper of one book, and its clock."""

    def __init__(self, **options: Any) -> None:
        self.link, self.now = UP, 100.0
        options = {"audit_seconds": None, "limit": 30, **options}
        self.keeper = Keeper(["btcusdt"], lambda _: self.link, chance=random.Random(1), **options)
        self.book = self.keeper.books["BTCUSDT"]
        self.tick(0)

    @property
    def ns(self) -> int:
        return int(self.now * 1e9)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.keeper.tick(self.now, self.ns)

    def take(self, event: Any) -> bool:
        found = self.keeper.take(event, self.now, self.ns)
        assert found in (None, self.book)
        return found is not None

    def begin(self) -> None:
        assert self.keeper.next_symbol(self.now) == "BTCUSDT"
        self.keeper.begin("BTCUSDT")
        assert self.keeper.next_symbol(self.now + 1000) is None  # one request at a time

    def give(self, update_id: int = 100, bids: Any = BIDS, asks: Any = ASKS) -> None:
        self.keeper.snapshot("BTCUSDT", snapshot(update_id, bids, asks), self.now, self.ns)

    @property
    def pause(self) -> float | None:
        """Seconds, to a tenth, until a snapshot is asked for; None: it is not."""
        for tenth in range(2000):
            if self.keeper.next_symbol(self.now + tenth / 10):
                return tenth / 10
        return None

    @property
    def said(self) -> list[str]:
        """Changes since they were last asked for."""
        changes, self.keeper.changes = self.keeper.changes, []
        return [f"{state}: {reason}" if reason else state for _, state, reason in changes]


def fresh() -> Desk:
    return Desk()


def asking() -> Desk:
    desk = Desk()
    desk.begin()
    return desk


def live() -> Desk:
    desk = asking()
    desk.give()
    assert desk.said == ["syncing: there is no snapshot yet", "live"]
    return desk


def gapped() -> Desk:
    desk = live()
    desk.take(diff(105, 106))
    return desk


def lost() -> Desk:
    desk = live()
    desk.link = LOST
    desk.tick(0)
    return desk


def back() -> Desk:
    """The connection is there again, and no diff has come."""
    desk = lost()
    desk.link = BACK
    desk.tick(0)
    return desk


def unheard() -> Desk:
    """A snapshot was asked for, since no diff came after a break."""
    desk = back()
    desk.tick(2)
    desk.begin()
    return desk


def audited() -> Desk:
    desk = Desk(audit_seconds=10)
    desk.begin()
    desk.give()
    desk.tick(10)
    desk.begin()
    desk.said  # noqa: B018
    return desk


def ahead() -> Desk:
    """The snapshot of an audit is ahead of the book."""
    desk = audited()
    desk.give(103)
    return desk


def linked(link: Link) -> Callable[[Desk], object]:
    def act(desk: Desk) -> None:
        desk.link = link
        desk.tick(0)

    return act


def takes(*events: Any) -> Callable[[Desk], object]:
    return lambda desk: [desk.take(event) for event in events]


def gives(*arguments: Any) -> Callable[[Desk], object]:
    return lambda desk: desk.give(*arguments)


def waits(seconds: float) -> Callable[[Desk], object]:
    return lambda desk: desk.tick(seconds)


def fails(wait: float) -> Callable[[Desk], object]:
    return lambda desk: desk.keeper.failed("BTCUSDT", desk.now, wait)


SHADOW = "the snapshot at id"
UNHEARD = "lost; no diff has come since"
GAP = "updates 101 to 104 are missing before the diff 105 to 106"
SOON = "some tenths"  # the first pause: half of 0.3 seconds to one and a half

TABLE = [
    # state, event, the book's state, its id, what is said, seconds until a snapshot is asked for
    (fresh, waits(0), "syncing", -1, ["syncing: there is no snapshot yet"], 0.0),
    (fresh, linked(LOST), "syncing", -1, ["syncing: there is no snapshot yet"], None),
    (asking, gives(), "live", 100, ["syncing: there is no snapshot yet", "live"], None),
    (asking, fails(0.0), "syncing", -1, ["syncing: there is no snapshot yet"], SOON),
    (asking, fails(30.0), "syncing", -1, ["syncing: there is no snapshot yet"], 30.0),
    (live, waits(1e6), "live", 100, [], None),
    (live, gives(200), "live", 100, [], None),  # nobody has asked for it
    (live, fails(5.0), "live", 100, [], None),
    (live, takes(diff(101, 102)), "live", 102, [], None),
    (live, takes(diff(90, 100)), "live", 100, [], None),
    (live, takes(diff(101, 101, symbol="ETHUSDT")), "live", 100, [], None),
    (live, takes(diff(105, 106)), "stale", 100, [f"stale: {GAP}"], 0.0),
    (live, linked(LOST), "stale", 100, [f"stale: {UNHEARD}"], None),
    (live, takes(depth20(100, BIDS[:20], ASKS[:20])), "live", 100, [], None),
    (live, takes(depth20(100, BIDS[1:21], ASKS[:20])), "stale", 100,
     ["stale: 1 of 41 levels differ from depth20 100"], 0.0),
    (live, takes(depth20(103, BIDS[1:21], ASKS[:20]), diff(101, 103)), "stale", 103,
     ["stale: 1 of 41 levels differ from depth20 103"], 0.0),
    (live, takes(depth20(101, BIDS[1:21], ASKS[:20]), diff(101, 101, [(99, 0)])), "live", 101,
     [], None),
    (live, takes(depth20(99, BIDS[1:21], ASKS[:20])), "live", 100, [], None),  # too late
    (live, takes(diff(101, 101, [(p, 0) for p, _ in BIDS])), "stale", 101,
     ["stale: of one side it is not known any more which level is the best"], 0.0),
    (live, takes(diff(101, 101, [], [(p, 0) for p, _ in ASKS])), "stale", 101,
     ["stale: of one side it is not known any more which level is the best"], 0.0),
    (live, takes(diff(101, 101, [*[(p, 0) for p, _ in BIDS], (50, 1)])), "stale", 101,
     ["stale: of one side it is not known any more which level is the best"], 0.0),
    (live, takes(diff(101, 101, [], [*[(p, 0) for p, _ in ASKS], (200, 1)])), "stale", 101,
     ["stale: of one side it is not known any more which level is the best"], 0.0),
    (live, takes(diff(101, 101, [(p, 0) for p, _ in BIDS[:-1]])), "live", 101, [], None),
    (gapped, takes(depth20(106, [(7, 1)], [(9, 1)])), "stale", 106, [f"stale: {GAP}"], 0.0),
    (gapped, linked(LOST), "stale", 100, [f"stale: {GAP}"], None),
    (gapped, waits(9), "stale", 100, [f"stale: {GAP}"], 0.0),
    (lost, waits(60), "stale", 100, [f"stale: {UNHEARD}"], None),
    (lost, linked(UP), "live", 100, [f"stale: {UNHEARD}", "live"], None),
    (lost, linked(Link(False, "silent", 1)), "stale", 100,
     [f"stale: {UNHEARD}", "stale: silent; no diff has come since"], None),
    (lost, linked(Link(False, None, 1)), "stale", 100,
     [f"stale: {UNHEARD}", "stale: nothing is subscribed; no diff has come since"], None),
    (back, waits(1.9), "stale", 100, [f"stale: {UNHEARD}"], None),
    (back, waits(2.0), "stale", 100, [f"stale: {UNHEARD}"], 0.0),
    (back, takes(diff(105, 106)), "stale", 100, [f"stale: {UNHEARD}", f"stale: {GAP}"], 0.0),
    (unheard, gives(), "live", 100, [f"stale: {UNHEARD}", "live"], None),
    (unheard, gives(103), "stale", 100, [f"stale: {UNHEARD}"], 5.0),
    (unheard, fails(0.0), "stale", 100, [f"stale: {UNHEARD}"], SOON),
    (unheard, takes(diff(105, 106)), "stale", 100, [f"stale: {UNHEARD}", f"stale: {GAP}"], None),
    (audited, gives(), "live", 100, [], None),
    (audited, gives(100, [(99, 6), *BIDS[1:]]), "live", 100,
     [f"stale: 1 of 60 levels differ from {SHADOW} 100", "live"], None),
    (audited, gives(103), "live", 100, [], 5.0),
    (audited, fails(0.0), "live", 100, [], SOON),
    (audited, fails(50.0), "live", 100, [], 50.0),
    (audited, linked(Link(True, "lost", 1)), "stale", 100, [f"stale: {UNHEARD}"], None),
    (audited, takes(diff(101, 103)), "live", 103, [], None),
    (ahead, takes(diff(101, 103)), "live", 103, [], None),
    (ahead, takes(diff(101, 102)), "live", 102, [], 5.0),
    (ahead, takes(diff(101, 104, [(98, 7)])), "live", 104, [], None),
    (ahead, takes(diff(101, 103, [(98, 7)])), "live", 103,
     [f"stale: 1 of 60 levels differ from {SHADOW} 103", "live"], None),
    (ahead, takes(diff(101, 102), diff(104, 105)), "stale", 102,
     ["stale: updates 103 to 103 are missing before the diff 104 to 105"], 0.0),
    (ahead, waits(4.9), "live", 100, [], 0.1),
]  # fmt: skip


@pytest.mark.parametrize(("make", "act", "state", "update_id", "said", "pause"), TABLE)
def test_what_an_event_makes_of_a_book(
    make: Callable[[], Desk],
    act: Callable[[Desk], object],
    state: str,
    update_id: int,
    said: list[str],
    pause: Any,
) -> None:
    desk = make()
    if make is not fresh and make is not asking:
        before = desk.said
        assert not before or make in (gapped, lost, back, unheard)
        said = said[len(before) :]
    act(desk)
    assert (desk.book.state, desk.book.update_id, desk.said) == (state, update_id, said)
    if pause is SOON:
        assert 0.1 < desk.pause <= 0.5
    else:
        assert desk.pause == pause
    if said:
        assert desk.book.since_ns == desk.ns


def test_what_is_fetched_while_a_book_falls_behind_is_for_the_book_itself() -> None:
    """A snapshot was asked for to compare; when it comes the book needs one."""
    desk = audited()
    desk.take(diff(105, 106, [(99, 8)]))
    assert desk.pause is None  # it is on its way
    desk.give(104)
    assert (desk.book.update_id, desk.book.best_bid) == (106, (99, 8))
    assert (desk.book.state, desk.book.audit) == ("live", Audit())
    assert desk.pause is None
    desk.tick(9.9)
    assert desk.pause is None
    desk.tick(0.1)
    assert desk.pause == 0.0  # the next audit
