"""Waiting for an event, and what an error of the way to the exchange most likely means."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest

from binance_sbe.feed.transport.opening import unreachable
from binance_sbe.feed.transport.websocket import arrives


@pytest.mark.parametrize(("after", "seconds", "came"), [(0.0, 5.0, True), (5.0, 0.01, False)])
def test_waiting_says_whether_it_came_in_time(after: float, seconds: float, came: bool) -> None:
    async def work() -> None:
        event = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(after, event.set)
        assert await arrives(event, seconds) is came
        timer.cancel()

    asyncio.run(asyncio.wait_for(work(), 4))


def test_who_is_cancelled_while_it_comes_is_cancelled() -> None:
    async def work() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(arrives(event, 5.0))
        await asyncio.sleep(0)
        event.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(work(), 4))


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "is the clock of this machine right, or is there a"),
        (ssl.SSLError(1, "x"), "does not speak TLS: is it ws:// rather than wss://?"),
        (socket.gaierror(-2, "x"), "there is no such name: is the host right, and does this"),
        (ConnectionRefusedError(111, "x"), "nothing listens there: are host and port right?"),
        (ConnectionResetError(104, "x"), "the other side hung up: is it a wss:// server?"),
        (EOFError("x"), "x: the other side hung up: is it a wss:// server?"),
        (OSError(errno.ENETUNREACH, "x"), "there is no route to it: is this machine on the"),
        (OSError(errno.EHOSTUNREACH, "x"), "there is no route to it: is this machine on the"),
        (OSError(errno.EIO, "x"), f"wss://h: [Errno {errno.EIO}] x"),
        (ValueError("x"), "wss://h: x"),
        (ValueError(), "wss://h: the other side hung up: is it a wss:// server?"),
    ],
)
def test_an_error_says_what_it_most_likely_means(error: Exception, meaning: str) -> None:
    said = str(unreachable("wss://h", error))
    assert said.startswith("wss://h: ")
    assert meaning in said
    if "hung" not in meaning:
        assert "hung" not in said
