"""What commands serve: the local exchange, here or as a child, and the metrics of a feed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import FeedError
from ..output import note, say
from ..venue.environments import is_loopback
from .signals import at_end_of_parent, at_signal

if TYPE_CHECKING:
    from ..feed.feed import Feed
    from ..serving.relay import Relay
    from ..simulator import Exchange

_NO_SERVING = {
    errno.EADDRINUSE: "something serves there already; {} 0 takes a free port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "ports below 1024 take more rights",
    socket.EAI_NONAME: "there is no such host",
}
_END_SECONDS = 5.0  # that a child has to end


async def serve(
    symbols: Sequence[str],
    *,
    with_parent: bool = False,
    signed: Callable[[Exchange], contextlib.AbstractAsyncContextManager[list[str]]] | None = None,
    **options: Any,
) -> int:
    """Serves until a signal, or until the parent ends; ``options`` are for `Exchange`.

    ``signed`` has others serve beside it (see `signed.Signed`).
    """
    from ..feed.transport.websocket import arrives
    from ..simulator import Exchange
    from ..simulator.faults import KINDS

    exchange = Exchange(symbols, **options)
    async with contextlib.AsyncExitStack() as stack:
        ended = asyncio.Event()
        stack.enter_context(at_signal(ended.set))
        if with_parent:
            stack.enter_context(at_end_of_parent(ended.set))
        await stack.enter_async_context(opened(exchange))
        beside: list[str] = []
        if signed is not None:
            beside = await stack.enter_async_context(signed(exchange))
        say(f"serving {', '.join(exchange.markets)} on {exchange.url}", *beside)
        said = 0
        while not ended.is_set():
            await arrives(ended, 0.2)
            done = exchange.fault_schedule.done
            say(*(f"{at:.1f} s: {name}: {KINDS[name]}" for at, name in done[said:]))
            said = len(done)
    say(f"{exchange.events_sent:,} frames sent")
    for name, times in Counter(name for _, name in exchange.fault_schedule.done).most_common():
        say(f"{times:,} times: {KINDS[name]}")
    return 0


@contextlib.asynccontextmanager
async def opened(server: Exchange | Relay) -> AsyncIterator[None]:
    """A server that is open. FeedError where it can't be; it is noted where others reach it."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            raise no_serving(server.host, server.port, error) from None
        if not is_loopback(server.host):
            note_reach(server.host)
        yield


def note_reach(host: str) -> None:
    note(f"open to other machines: --host {host}")


def no_serving(host: str, port: int, error: OSError, option: str = "--port") -> FeedError:
    """What is said where a port can't be opened; ``option`` is how it was given."""
    why = _NO_SERVING.get(error.errno or 0, error.strerror or str(error)).format(option)
    return FeedError(f"can't serve on {host}:{port}: {why}")


@contextlib.asynccontextmanager
async def exchange_process(
    symbols: Sequence[str], rate: float = 1000.0, seed: int = 0
) -> AsyncIterator[str]:
    """`binance-sbe simulate` on a free port, in a process of its own; gives its URL.

    It ends with this one, however that ends, since its standard input is a pipe of ours. It does
    not get the API key that the environment may have.
    """
    command = [
        sys.executable, "-m", "binance_sbe", "simulate", *symbols, "--port", "0",
        "--rate", str(rate), "--seed", str(seed), "--with-parent",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us; we end it
        env={name: text for name, text in os.environ.items() if name != "BINANCE_API_KEY"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = (await process.stdout.readline()).decode()
        if "ws://" not in first:
            failure = (await process.stderr.read()).decode(errors="replace").split("\n")
            said = next(filter(None, reversed(failure)), "no output")
            raise FeedError(f"the local exchange did not start: {said}")
        yield first.split()[-1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.contextmanager
def metrics_of(feed: Feed, port: int | None, host: str) -> Iterator[None]:
    """Serves them while the block runs, where there is a port, and says where."""
    if port is None:
        yield
        return
    from ..feed.metrics import serve

    with serve(feed, port, host) as taken:
        place = f"[{host}]" if ":" in host else host
        reach = "" if is_loopback(host) else ", open to other machines"
        note(f"metrics at http://{place}:{taken}/metrics{reach}")
        yield
