"""A server that writes the bytes it is told to: frames by RFC 6455, good ones and others."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def wire(
    kind: int, payload: bytes, *, fin: bool = True, bits: int = 0, mask: bytes = b"", form: int = 0
) -> bytes:
    """A frame; ``form`` 126 or 127 is for a length that would fit a shorter one."""
    size = len(payload)
    form = form or (size if size < 126 else 126 if size < 65536 else 127)
    length = {126: struct.pack(">H", size & 0xFFFF), 127: struct.pack(">Q", size)}.get(form, b"")
    head = bytes([fin << 7 | bits << 4 | kind, bool(mask) << 7 | form]) + length + mask
    return head + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else head + payload


async def upgrade(reader: asyncio.StreamReader) -> bytes:
    """Reads the request; returns the answer to it."""
    request = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:-2])
    key = {name.lower(): value for name, value in lines.items()}[b"sec-websocket-key"]
    accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
    )


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One frame of a client: its kind and its payload."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return head[0] & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


async def acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[str]:
    """Reads a request of the client, and answers it; the streams that it is about."""
    while True:
        kind, payload = await read_frame(reader)
        if kind == TEXT:
            break
    request = json.loads(payload)
    writer.write(wire(TEXT, json.dumps({"result": None, "id": request["id"]}).encode()))
    return list(request["params"])


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[str]:
    """The handshake and the first subscription; the streams."""
    writer.write(await upgrade(reader))
    return await acknowledge(reader, writer)


@contextlib.asynccontextmanager
async def scripted(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a server whose first connection gets the first script, and so on.

    Those beyond the last get the last. All end with the block.
    """
    tasks: set[asyncio.Task[None]] = set()
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        script = scripts[min(count, len(scripts) - 1)]
        count += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)


async def for_ever(*_: object) -> None:
    await asyncio.Event().wait()
