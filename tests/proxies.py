"""Proxies for the tests: HTTP CONNECT and SOCKS5, good ones and others."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

Answer = Callable[["HttpProxy", asyncio.StreamWriter], Any]


async def pumped(
    ours: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    theirs: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    await asyncio.gather(pump(ours[0], theirs[1]), pump(theirs[0], ours[1]))


class Proxy:
    """``asked`` is what clients wanted to reach, ``peers`` where they came from."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.peers: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def pass_on(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Names of the tests are this machine's."""
        where = "127.0.0.1" if host.endswith(".test") else host
        await pumped((reader, writer), await asyncio.open_connection(where, port))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        tasks: set[asyncio.Task[Any]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.peers.append(writer.get_extra_info("peername")[0])
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await self.serve(reader, writer)
            writer.transport.abort()
            tasks.discard(task)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=5)


class HttpProxy(Proxy):
    """``answer(writer)`` is what it says, in the place of its agreement."""

    def __init__(self, answer: Any = None, user: str | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.user = user

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, place, _ = head.split("\r\n")[0].split(" ")
        assert method == "CONNECT"
        assert f"\r\nHost: {place}\r\n" in head
        self.asked.append(place)
        if self.user is not None:
            wanted = base64.b64encode(self.user.encode()).decode()
            if f"\r\nProxy-Authorization: Basic {wanted}\r\n" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                await writer.drain()
                return
        if self.answer is None:
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        elif not await self.answer(writer):
            return
        host, _, port = place.rpartition(":")
        await self.pass_on(host.strip("[]"), int(port), reader, writer)


class SocksProxy(Proxy):
    """SOCKS5 (RFC 1928, 1929). ``lie`` is what it does wrong, ``code`` the reply."""

    def __init__(self, user: str | None = None, code: int = 0, lie: str = "") -> None:
        super().__init__()
        self.user = user
        self.code = code
        self.lie = lie

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        assert version == 5
        if self.lie == "hangs up":
            return
        if self.lie == "speaks HTTP":
            writer.write(b"HTTP/1.1 400 what?\r\n\r\n")
            await asyncio.sleep(0.2)
            return
        if self.lie == "says nothing":
            await asyncio.sleep(60)
        method = 2 if self.user is not None or self.lie == "wants a password" else 0
        if method not in methods and not self.lie:
            method = 255
        writer.write(bytes([5, method]))
        if method == 255:
            return
        if method == 2:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            is_right = f"{user.decode()}:{password.decode()}" == self.user
            writer.write(bytes([1, not is_right]))
            if not is_right:
                return
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, await reader.readexactly(4 if kind == 1 else 16))
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"{host}:{port}")
        writer.write(bytes([5, self.code, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self.code:
            await writer.drain()
            return
        await self.pass_on(host, port, reader, writer)
