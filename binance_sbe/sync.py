"""The same feeds without asyncio, in the thread that uses them: ``with sync.connect(...) as feed``.

A blocking socket and one thread are the shortest way from the exchange to a program; here they have
all that `binance_sbe.connect` has: several connections, renewal, retries, the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from .feed import blocking
from .live import ConnectOptions, Recordable, check_options, planned

if TYPE_CHECKING:
    from .books.blocking import Books
    from .feed.fix.blocking import BlockingConnection
    from .feed.fix.connecting import FixOptions

__all__ = ["Feed", "books", "connect", "fix_connect", "replay"]


class Feed(Recordable, blocking.Feed):
    __doc__ = blocking.Feed.__doc__

    def books(self, *symbols: str, **options: Any) -> Books:
        """Order books of these symbols over this feed, which is open: ``with feed.books()``.

        Their streams are added to those of the feed, and nobody else iterates over it. For
        ``options`` see `books`. The feed stays open.
        """
        from .books.blocking import Books  # which needs the decoders of REST: feeds do not

        self._opened()
        return Books(self, symbols, **options)


def fix_connect(
    role: Literal["market_data", "order_entry", "drop_copy"] = "market_data",
    *,
    timeout: float | None = None,
    **options: Unpack[FixOptions],
) -> BlockingConnection:
    """A FIX session in SBE, to be used as ``with sync.fix_connect() as session``.

    ``options`` are those of `fix.connect`. ``timeout`` is how many seconds iteration waits for the
    next message (None: for ever) before TimeoutError; the session stays open then. Raises as
    `fix.connect`.
    """
    from .feed.fix.connecting import blocking_connect  # which needs the decoders of FIX

    return blocking_connect(role, timeout=timeout, **options)


def connect(
    *streams: str,
    timeout: float | None = None,
    spin: bool = False,
    cpu: int | None = None,
    **options: Unpack[ConnectOptions],
) -> Feed:
    """A feed of SBE streams, to be used as ``with sync.connect("btcusdt@trade") as feed``.

    ``options`` are those of `binance_sbe.connect`. ``timeout`` is how many seconds a consumer waits
    for the next message (None: for ever) before TimeoutError; the feed stays open then, and its
    ``timeout`` may be set to another. With ``spin`` the thread looks at the sockets again and again
    instead of sleeping, which takes a whole core and saves the time to wake up. ``cpu`` is the
    number of the CPU on which the thread that enters the block runs until the feed is closed.

    Raises as `binance_sbe.connect`. Entering the block raises ValueError for a CPU that this
    process does not have, and warns (RuntimeWarning) where ``spin`` has no core to itself.
    """
    check_options("connect", options)
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout is a positive number of seconds, or None, not {timeout!r}")
    if cpu is not None and not (isinstance(cpu, int) and cpu >= 0):
        raise ValueError(f"cpu is the number of a CPU, not {cpu!r}")
    return Feed(planned(*streams, **options), timeout, bool(spin), cpu)


def books(
    *symbols: str,
    limit: int = 1000,
    audit_seconds: float | None = 3600.0,
    weight_limit: int = 6000,
    max_levels: int = 10_000,
    max_buffer: int = 3000,
    **options: Unpack[ConnectOptions],
) -> Books:
    """Order books of these symbols, over a feed of their own: ``with sync.books("btcusdt")``.

    Everything is as for `binance_sbe.books`, but that the books move while somebody iterates over
    their ``events()``, or is in ``wait()`` or ``keep()``. Snapshots are asked for by a thread.
    """
    from .books.blocking import Books

    check_options("books", options)
    options.setdefault("on_error", "collect")
    return Books(
        Feed(planned(**options), None, False, None),
        symbols,
        limit=limit,
        audit_seconds=audit_seconds,
        weight_limit=weight_limit,
        max_levels=max_levels,
        max_buffer=max_buffer,
        owns_feed=True,
    )


def replay(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    speed: float | None = None,
    start: int | str | datetime | None = None,
    end: int | str | datetime | None = None,
    streams: str | Iterable[str] | None = None,
    *,
    on_error: Literal["raise", "collect"] = "raise",
    max_queue: int = 65536,
    on_damage: Literal["raise", "skip"] = "raise",
) -> Feed:
    """A feed that plays a tape, without asyncio: ``with sync.replay(PATH) as feed``.

    Everything is as for `binance_sbe.replay`. With ``speed=None`` it neither sleeps nor looks at a
    clock: a program that does neither gives the same each time.
    """
    options = path, speed, start, end, streams, on_error, max_queue, on_damage
    # its feeds are feeds of this module, which it imports
    made = import_module(".replayed", __package__).replay_in_thread(*options)
    return cast("Feed", made)
