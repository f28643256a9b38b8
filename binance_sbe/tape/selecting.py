"""What is asked of a tape: from when to when, and which streams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..venue.streams import stream_names

Moment = int | str | datetime
_EVER = 2**63 - 1


def moment_ns(value: Moment, name: str = "start") -> int:
    """Nanoseconds since 1970 of an int (which is that), a datetime, or a text in ISO 8601.

    A time without a time zone is UTC.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | datetime):
        kind = type(value).__name__
        raise TypeError(f"{name} is ns since 1970, a datetime or a text in ISO 8601, not {kind}")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{name} is a time such as '2026-11-27T09:30:00', not {value!r}"
            ) from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    since = value - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000


@dataclass(frozen=True)
class Selection:
    """Rows with ``start <= received_ns < end``, and of the SBE messages those of ``streams``."""

    start: int
    end: int
    streams: frozenset[str] | None

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
