"""A TCP connection to whichever address of a host answers first (Happy Eyeballs, RFC 8305).

asyncio's own way leaves sockets behind when it is cancelled, and uvloop has none.
"""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

NEXT_ADDRESS_SECONDS = 0.25  # section 8: until the next address is tried as well
Place = tuple[int, int, int, str, Any]  # as getaddrinfo gives them


def has_proxy(host: str, port: int, is_secure: bool) -> bool:
    """Whether the environment or the system names a proxy for such a connection."""
    known = urllib.request.getproxies()
    schemes = ("wss", "socks", "https") if is_secure else ("ws", "socks", "https", "http")
    return any(each in known for each in schemes) and not urllib.request.proxy_bypass(
        f"{host}:{port}"
    )


def in_turns(places: Sequence[Place]) -> list[Place]:
    """One family after the other, beginning with that of the first address (section 4)."""
    first = [each for each in places if each[0] == places[0][0]]
    others = [each for each in places if each[0] != places[0][0]]
    pairs = zip_longest(first, others)
    return [each for pair in pairs for each in pair if each is not None]


async def dialed(host: str, port: int) -> socket.socket:
    """A connected socket. Raises OSError: that of the first address, where none answers."""
    loop = asyncio.get_running_loop()
    places = in_turns(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    attempts: list[asyncio.Task[socket.socket]] = []
    pending: set[asyncio.Task[socket.socket]] = set()
    chosen: socket.socket | None = None

    def let_go(attempt: asyncio.Task[socket.socket]) -> None:
        """What another address was faster than, or what nobody waits for any more."""
        if not attempt.cancelled() and attempt.exception() is None:
            found = attempt.result()
            if found is not chosen:
                found.close()

    try:
        while places or pending:
            if places:
                attempt = loop.create_task(_attempt(places.pop(0)))
                attempts.append(attempt)
                pending.add(attempt)
            done, pending = await asyncio.wait(
                pending,
                timeout=NEXT_ADDRESS_SECONDS if places else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for each in done:
                if each.exception() is None:
                    chosen = each.result()
                    return chosen
        error = attempts[0].exception()
        assert error is not None
        raise error
    finally:
        for each in attempts:
            each.cancel()
            each.add_done_callback(let_go)


async def _attempt(place: Place) -> socket.socket:
    family, kind, protocol, _, address = place
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        await asyncio.get_running_loop().sock_connect(found, address)
    except BaseException:
        found.close()
        raise
    return found
