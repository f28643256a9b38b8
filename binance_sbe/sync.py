"""The same feeds without asyncio, in the thread that uses them: ``with sync.connect(...) as feed``.

A blocking socket and one thread are the shortest way from the exchange to a program; here they have
all that `binance_sbe.connect` has: several connections, renewal, retries, the ledger.
"""

from __future__ import annotations

from typing import Unpack

from .feed.blocking import Feed as Feed
from .live import ConnectOptions, check_options, planned

__all__ = ["Feed", "connect"]


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
