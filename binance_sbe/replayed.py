"""A tape as a feed: `replay` opens one for asyncio, `sync.replay` one for a thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from . import live, sync
from .tape.replaying import AsyncFeed, Playbill, ThreadFeed
from .tape.selecting import Moment
from .tape.slices import AnyPath


class Replay(AsyncFeed, live.Feed):
    __doc__ = AsyncFeed.__doc__


class ThreadReplay(ThreadFeed, sync.Feed):
    __doc__ = ThreadFeed.__doc__


def replay(
    path: AnyPath | Iterable[AnyPath],
    speed: float | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    streams: str | Iterable[str] | None = None,
    *,
    on_error: Literal["raise", "collect"] = "raise",
    max_queue: int = 65536,
    on_damage: Literal["raise", "skip"] = "raise",
) -> Replay:
    """A feed that plays a tape, to be used as ``async with replay(PATH) as feed``.

    ``path`` is what `Tape` takes. The feed is what that one was which was recorded: the same
    messages in the same order, the same ledger and the same books. ``speed`` says how fast: 1 is
    as it came, 10 ten times faster, None as fast as the consumer takes it, without sleeping and
    without a look at any clock: then all of it is the same each time.

    ``start`` and ``end`` are times (ns since 1970, a datetime, or a text in ISO 8601; UTC where it
    has no time zone): frames from ``start`` on, and before ``end``, are played, by the connections
    that were there then. ``streams`` are those that are handed on, None for all. ``on_error`` and
    ``max_queue`` are as for `connect`; the tape stops while so many frames wait. (There is always
    room for what the recorded feed could hold back.) Where the tape is damaged iteration raises
    TapeError, or with ``on_damage="skip"`` it is as if all connections had been lost there: the
    ledger says so, and books are stale until a snapshot of the tape.

    Raises TapeError for what is no tape, ValueError for a speed, a time or a stream that can't be,
    or that the tape has not, and MissingPackage without pyarrow and xxhash, the extra ``tape``.
    """
    return Replay(Playbill(path, speed, start, end, streams, on_error, max_queue, on_damage))


def replay_in_thread(
    path: AnyPath | Iterable[AnyPath],
    speed: float | None,
    start: Moment | None,
    end: Moment | None,
    streams: str | Iterable[str] | None,
    on_error: Literal["raise", "collect"],
    max_queue: int,
    on_damage: Literal["raise", "skip"],
) -> ThreadReplay:
    """See `sync.replay`."""
    return ThreadReplay(Playbill(path, speed, start, end, streams, on_error, max_queue, on_damage))
