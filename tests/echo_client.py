"""The transport as an echo, which is what the server of Autobahn's test suite wants of a client.

    wstest -m fuzzingserver             # of Autobahn, or whatever else serves its cases
    python tests/echo_client.py ws://127.0.0.1:9001

goes through all its cases; the reports are the server's.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))

from intake import intake
from websockets.protocol import State

from binance_sbe.errors import ConnectionLost
from binance_sbe.feed.intake.streams import Source
from binance_sbe.feed.transport.websocket import Transport

AGENT = "binance-sbe"


class Echo(Transport):
    """Sends back what comes; a feed has no use for sending bytes, so that is done here."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.over = asyncio.Event()
        _, self.backlog = intake(wake=self.send_back)
        super().__init__(
            self.backlog, Source(), self.hear, lambda: None, lambda *_: self.over.set()
        )

    def hear(self, text: str) -> None:
        self.texts.append(text)
        try:
            self.send(text)
        except ConnectionLost:
            return

    def send_back(self) -> None:
        frames, protocol = self.backlog.frames, self._protocol
        while len(frames):
            frame = frames.popleft()[0]
            if protocol is not None and protocol.state is State.OPEN:
                protocol.send_binary(frame)
                self._write()


async def visit(url: str, seconds: float = 60.0) -> list[str]:
    """One connection, until it has ended; the texts that came."""
    echo = Echo()
    await echo.open(url, "k", 10.0)
    try:
        async with asyncio.timeout(seconds):
            await echo.over.wait()
    finally:
        await echo.close()
    return echo.texts


async def run(url: str) -> int:
    """All cases of a server; how many there are."""
    (count,) = await visit(f"{url}/getCaseCount")
    for number in range(1, int(count) + 1):
        await visit(f"{url}/runCase?case={number}&agent={AGENT}")
    await visit(f"{url}/updateReports?agent={AGENT}")
    return int(count)


if __name__ == "__main__":
    print(f"{asyncio.run(run(sys.argv[1]))} cases")
