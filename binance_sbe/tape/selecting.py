"""What is asked of a tape: from when to when, and which streams."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ..venue.streams import stream_names
from .census import Census
from .entries import Rows
from .entry import Entry
from .rows import MOST_STREAMS

Moment = int | str | datetime
_EVER = 2**63 - 1
_BEYOND_MICROSECONDS = re.compile(r"(.*[.,]\d{6})(\d{1,3})(?!\d)(.*)")
_LAST_NS = 253_402_300_799 * 10**9  # of the year 9999


def moment_ns(value: Moment, name: str = "start") -> int:
    """Nanoseconds since 1970 of an int (which is that), a datetime, or a text in ISO 8601.

    A time without a time zone is UTC.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | datetime):
        kind = type(value).__name__
        raise TypeError(f"{name} is ns since 1970, a datetime or a text in ISO 8601, not {kind}")
    if isinstance(value, int):
        return value
    rest = 0  # ns that a datetime can't have
    if isinstance(value, str):
        found = _BEYOND_MICROSECONDS.match(value)
        if found is not None:
            value, rest = found[1] + found[3], int(found[2].ljust(3, "0"))
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{name} is a time such as '2026-11-27T09:30:00', not {value!r}"
            ) from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000 + rest


def moment_of(ns: int) -> datetime:
    """The inverse; the nearest that a datetime can be."""
    return datetime.fromtimestamp(min(max(ns, 0), _LAST_NS) / 1e9, UTC)


def said(ns: int | None) -> str:
    return "nothing" if ns is None else moment_of(ns).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Selection:
    """Rows with ``start <= received_ns < end``, and of the SBE messages those of ``streams``."""

    start: int
    end: int
    streams: frozenset[str] | None

    def misses(self, entry: Entry) -> bool:
        """Whether no row of a batch came in that time."""
        return entry.first_ns >= self.end or entry.last_ns < self.start

    def inside(self, rows: Rows) -> NDArray[np.bool_]:
        """Which rows came in that time."""
        marks: NDArray[np.bool_] = (rows.received_ns >= self.start) & (rows.received_ns < self.end)
        return marks

    @classmethod
    def of(
        cls, start: Moment | None, end: Moment | None, streams: str | Iterable[str] | None
    ) -> Selection:
        """ValueError and TypeError for what can't be."""
        first = -_EVER if start is None else moment_ns(start, "start")
        last = _EVER if end is None else moment_ns(end, "end")
        if first >= last:
            raise ValueError(f"the range of time is empty: start {start} is not before end {end}")
        if streams is None:
            return cls(first, last, None)
        names = stream_names([streams] if isinstance(streams, str) else streams)
        if not names:
            raise ValueError("streams is empty: name some, or leave it out for all")
        return cls(first, last, frozenset(names))


class StreamMarks:
    """Which rows are events of ``wanted``; ``of_none`` is what rows of no stream are marked with.

    Rows are those of one file after the other, or of one, in any order; of more than ``most``
    streams the later ones are none.
    """

    def __init__(self, wanted: frozenset[str], of_none: bool, most: int = MOST_STREAMS) -> None:
        self.wanted = wanted
        self._of_none = of_none
        self._census = Census(most)
        self._known = np.zeros(0, np.bool_)  # by the number of the stream

    def of(self, rows: Rows) -> NDArray[np.bool_]:
        which = np.empty(len(rows), np.int32)
        self._census.count(rows.kind, rows.offsets, rows.data, which)
        fresh = self._census.names[len(self._known) :]
        self._known = np.append(self._known, [name in self.wanted for name in fresh]).astype(bool)
        # the last mark is that of what is of no stream, number -1
        marks: NDArray[np.bool_] = np.append(self._known, self._of_none)[which]
        return marks
