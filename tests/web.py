"""The page of `binance-sbe watch --web`, served here or by a process, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from binance_sbe import books
from binance_sbe.commands.web.server import serving
from binance_sbe.commands.web.state import State
from binance_sbe.commands.web.view import _read
from binance_sbe.simulator import Exchange

COMMAND = (sys.executable, "-m", "binance_sbe", "watch", "--web", "--port", "0")


@contextlib.asynccontextmanager
async def served(exchange: Exchange, *symbols: str) -> AsyncIterator[tuple[State, int]]:
    """The state of a feed of that exchange, and the port of its page, in this process."""
    names = symbols or ("btcusdt",)
    async with books(*names, url=exchange.url, api_key="k", proxy=None) as kept:
        await kept.feed.subscribe(*(f"{name}@trade" for name in names))
        await kept.feed.subscribe(*(f"{name}@bestBidAsk" for name in names))
        state = State(kept, "an exchange", 10)
        reading = asyncio.create_task(_read(kept, state))
        try:
            async with serving(state, "127.0.0.1", 0) as port:
                yield state, port
        finally:
            reading.cancel()
            await asyncio.wait([reading])


def page(port: int, **options: Any) -> connect:
    """A socket as the page opens it."""
    given = {"origin": f"http://127.0.0.1:{port}", "proxy": None} | options
    return connect(f"ws://127.0.0.1:{port}/socket", **given)


async def state_of(socket: ClientConnection, symbol: str = "") -> Any:
    await socket.send(json.dumps({"symbol": symbol}))
    return json.loads(await socket.recv())


async def request(port: int, head: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of what is answered to these lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    try:
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
    finally:
        writer.close()
    top, _, body = answer.partition("\r\n\r\n")
    first, *lines = top.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@contextlib.asynccontextmanager
async def watched(
    url: str | None, *options: str, ends: signal.Signals = signal.SIGINT
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The URL of the page of a process, of an exchange or of its own, which ends by a signal."""
    where = ["--url", url] if url else ["--simulate"]
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *where, *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"BINANCE_API_KEY": "a-key-of-mine-0123456789"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("watch it at http://"), line
        yield line.split()[3], process
    finally:
        if process.returncode is None:
            process.send_signal(ends)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
