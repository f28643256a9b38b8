"""What is known to be missing, as bits of the column ``flags``.

The feed has noted on the tape which ids no connection brought. That is the account, and it is
carried to the first row behind each hole. Ids that are missing beside it (in a tape that was cut,
say) are found where rows follow on each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..venue.streams import DEPTH
from .events import Events

IDS_ARE_MISSING = 1  # before this row
BOOK_IS_UNKNOWN = 2  # here: what the diffs give is not known to be the exchange's book


LATE_NS = 60_000_000_000  # a snapshot may come so much later than the diffs that go on from it
Told = tuple[int, str, str, int]  # when it came (ns), of which stream, HOLE or BOOK, and its id
HOLE, BOOK = "hole", "book"


@dataclass(frozen=True)
class Account:
    """What tapes say of themselves, for all units; small, and pickled to every worker.

    ``holes`` is by stream the ascending ids behind holes, ``snapshots`` the ascending ids of the
    snapshots of books, by stream of diffs. ``told`` is all that they are made of.
    """

    holes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    snapshots: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    told: tuple[Told, ...] = ()

    @classmethod
    def of(cls, told: Iterable[Told]) -> Account:
        """``told`` are the ids behind holes, and the last update ids of snapshots."""
        every = tuple(told)
        found: dict[str, dict[str, set[int]]] = {HOLE: defaultdict(set), BOOK: defaultdict(set)}
        for _, stream, what, number in every:
            found[what][stream].add(number)
        return cls(_sorted(found[HOLE]), _sorted(found[BOOK]), every)

    def until(self, last_ns: int) -> Account:
        """What is known of the time up to the last row of a unit, and shortly after."""
        end = last_ns + LATE_NS
        return Account.of(each for each in self.told if each[0] <= end)


def _sorted(found: Mapping[str, set[int]]) -> dict[str, NDArray[np.int64]]:
    return {name: np.array(sorted(ids), np.int64) for name, ids in found.items()}


def flags_of(events: Events, account: Account) -> NDArray[np.uint8]:
    """The flags of each event."""
    flags = events.is_after_gap.astype(np.uint8)  # IDS_ARE_MISSING is 1
    for symbol, rows in _segments(events):
        stream = f"{symbol.lower()}@{events.kind}"
        flags[rows] |= _behind_holes(events, rows, account.holes.get(stream))
        if events.kind == DEPTH:
            known = account.snapshots.get(stream)
            flags[rows] |= _unknown_book(events, rows, account.holes.get(stream), known)
    return flags


def _segments(events: Events) -> Iterable[tuple[str, slice]]:
    """The rows of each symbol that has some."""
    for begin, end in events.segments():
        yield events.symbols[int(events.symbol[begin])], slice(begin, end)


def _behind_holes(events: Events, rows: slice, holes: Any) -> Any:
    """The first row behind each hole; none for a hole behind which a row came before this unit."""
    count = rows.stop - rows.start
    marks = np.zeros(count, np.uint8)
    if holes is None or not len(holes):
        return marks
    last, before = events.last[rows], events.before[rows]
    at = np.searchsorted(last, holes)
    is_inside = at < count
    at, holes = at[is_inside], holes[is_inside]
    # Of the row before the first of a unit nothing may be known: then it is not said that it came
    # behind the hole, unless it begins just there.
    known = np.where(before[at] >= 0, before[at], events.first[rows][at] - 1)
    marks[at[known < holes]] = IDS_ARE_MISSING
    return marks


def _unknown_book(events: Events, rows: slice, holes: Any, snapshots: Any) -> Any:
    """Rows between which and the last hole before them no snapshot of the book is known."""
    first, last = events.first[rows], events.last[rows]
    if snapshots is None or not len(snapshots):
        return np.full(len(last), BOOK_IS_UNKNOWN, np.uint8)
    gaps = first[events.is_after_gap[rows]]
    begins = np.unique(np.concatenate([gaps, np.empty(0, np.int64) if holes is None else holes]))
    # The stretch without a hole that the row is in begins at ``start``; a snapshot that is in it,
    # or just before it, and before the row's last id, makes the book known from there on.
    number = np.searchsorted(begins, last, side="right") - 1
    start = np.where(number >= 0, begins[np.maximum(number, 0)] if len(begins) else 0, 0)
    at = np.searchsorted(snapshots, last, side="right") - 1
    newest = np.where(at >= 0, snapshots[np.maximum(at, 0)], -1)
    is_known = (newest >= start - 1) & (at >= 0)
    return np.where(is_known, 0, BOOK_IS_UNKNOWN).astype(np.uint8)
