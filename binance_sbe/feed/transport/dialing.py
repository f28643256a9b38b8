"""A TCP connection to a host: to whichever of its addresses answers first, or through a proxy.

Happy Eyeballs (RFC 8305) is our own, since asyncio's leaves sockets behind when it is cancelled,
and uvloop has none.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import zip_longest
from typing import Any

from sbe_codegen.extras import imported

from ...errors import Unreachable
from ...output import shown
from ...route import Proxy, Route

NEXT_ADDRESS_SECONDS = 0.25  # section 8: until the next address is tried as well
_MOST_OF_A_HEAD = 16 * 1024  # bytes of a proxy's answer
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n")

Place = tuple[int, int, int, str, Any]  # as getaddrinfo gives them
Resolve = Callable[[str, int], Awaitable[Sequence[Place]]]


async def resolved(host: str, port: int) -> Sequence[Place]:
    """The addresses of a host, by a thread of the event loop's."""
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def in_turns(places: Sequence[Place]) -> list[Place]:
    """One family after the other, beginning with that of the first address (section 4)."""
    first = [each for each in places if each[0] == places[0][0]]
    others = [each for each in places if each[0] != places[0][0]]
    pairs = zip_longest(first, others)
    return [each for pair in pairs for each in pair if each is not None]


async def connected(
    host: str, port: int, is_secure: bool, route: Route, resolve: Resolve = resolved
) -> socket.socket:
    """A socket whose other end is the host, through the proxy if there is one.

    Raises OSError, Unreachable for a proxy that refuses, and ValueError for one that can't be.
    """
    proxy = route.proxy_for(host, port, is_secure)
    if proxy is None:
        return await dialed(host, port, route, resolve)
    through = _through_socks if proxy.is_socks else _through_http
    try:
        return await through(proxy, host, port, route, resolve)
    except OSError as error:
        raise Unreachable(f"the proxy {proxy} does not answer: {error}") from None


async def dialed(
    host: str, port: int, route: Route | None = None, resolve: Resolve = resolved
) -> socket.socket:
    """A connected socket. Raises OSError: that of the first address, where none answers."""
    route = route or Route()
    loop = asyncio.get_running_loop()
    places = in_turns(await resolve(host, port))
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
                attempt = loop.create_task(attempted(places.pop(0), route))
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


async def attempted(place: Place, route: Route) -> socket.socket:
    """A socket connected to this one address. Raises OSError."""
    family, kind, protocol, _, address = place
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        route.prepare(found)
        await asyncio.get_running_loop().sock_connect(found, address)
    except BaseException:
        found.close()
        raise
    return found


async def _through_http(
    proxy: Proxy, host: str, port: int, route: Route, resolve: Resolve
) -> socket.socket:
    """By CONNECT (RFC 9110, 9.3.6)."""
    found = await dialed(proxy.host, proxy.port, route, resolve)
    try:
        loop = asyncio.get_running_loop()
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        if proxy.user is not None:
            given = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {given}")
        await loop.sock_sendall(found, "\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = await loop.sock_recv(found, 4096)
            head += part
            if not part or len(head) > _MOST_OF_A_HEAD:
                raise Unreachable(f"the proxy {proxy} gave no answer to CONNECT")
        _check_answer(proxy, place, head)
    except BaseException:
        found.close()
        raise
    return found


def _check_answer(proxy: Proxy, place: str, head: bytes) -> None:
    """Raises Unreachable where the answer is not that the connection is there."""
    status = _STATUS.match(head)
    if status is None:
        start = shown(head[:80].decode("latin-1"))
        raise Unreachable(f"the proxy {proxy} does not speak HTTP: it answered '{start}'")
    if not 200 <= int(status[1]) < 300:
        reason = shown((status[2] or b"").decode("latin-1"), 100)
        asks = ": are a user and a password in its URL, and right?" if status[1] == b"407" else ""
        raise Unreachable(
            f"the proxy {proxy} refused to connect to {place}: HTTP {int(status[1])} {reason}{asks}"
        )
    if not head.endswith(b"\r\n\r\n"):  # the exchange does not speak first
        raise Unreachable(f"the proxy {proxy} sent more than its answer")


async def _through_socks(
    proxy: Proxy, host: str, port: int, route: Route, resolve: Resolve
) -> socket.socket:
    """By SOCKS (RFC 1928), which python-socks speaks, over a socket of ours."""
    socks = imported("python_socks", "a SOCKS proxy", "socks")
    kinds = {"5": socks.ProxyType.SOCKS5, "4": socks.ProxyType.SOCKS4}
    from python_socks.async_.asyncio import Proxy as SocksProxy

    address = host
    if proxy.scheme in ("socks5", "socks4"):  # our side resolves the host
        places = await resolve(host, port)
        if proxy.scheme == "socks4":
            places = [each for each in places if each[0] == socket.AF_INET]
        if not places:
            raise Unreachable(f"the proxy {proxy} takes IPv4 only, and {host} has no such address")
        address = places[0][4][0]
    dialer: Any = _Dialed(route, resolve)
    made = SocksProxy(
        kinds[proxy.scheme[5]],
        proxy.host,
        proxy.port,
        proxy.user,
        proxy.password,
        rdns=True,
        forward=dialer,
    )
    try:
        found: socket.socket = await made.connect(address, port)
    except OSError:
        raise
    except Exception as error:  # of its kinds, some are for a proxy that breaks the rules
        raise Unreachable(
            f"the proxy {proxy} refused to connect to {host}:{port}: {shown(error, 200)}"
        ) from None
    return found


class _Dialed:
    """To python-socks a proxy before the proxy: it has the socket come from us."""

    def __init__(self, route: Route, resolve: Resolve) -> None:
        self._route = route
        self._resolve = resolve

    async def connect(self, dest_host: str, dest_port: int, **_: object) -> socket.socket:
        return await dialed(dest_host, dest_port, self._route, self._resolve)
