"""How connections leave this machine: through a proxy or not, from which address, trusting whom.

The same for feeds, books, and the REST client.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl as tls
import sys
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "socks5h": 1080, "socks5": 1080, "socks4a": 1080, "socks4": 1080}
_MOST_BUSY_POLL = 1_000_000  # us
# <asm-generic/socket.h>: the name is in `socket` from Python 3.14 on. Other systems have none.
_SO_BUSY_POLL: int | None = getattr(socket, "SO_BUSY_POLL", 46 if sys.platform == "linux" else None)
_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 30, 10, 3
_UNACKNOWLEDGED_SECONDS = 30

Option = tuple[int, int, int]  # level, name, value


@dataclass(frozen=True)
class Proxy:
    """Where a proxy is. Its str has no password in it."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")


def parsed_proxy(given: str) -> Proxy:
    """ValueError for what is no proxy's URL; the password is not quoted."""
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        port = parts.port
    except ValueError:
        raise ValueError("proxy is a URL such as http://host:port: its port is no number") from None
    if parts.scheme not in _PORTS:
        raise ValueError(
            f"proxy is reached by http, socks5h, socks5, socks4a or socks4, not by "
            f"{parts.scheme[:20]!r}: write http://host:port or socks5h://host:port"
        )
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("proxy is a URL of a host and a port, such as http://host:port")
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(
        parts.scheme,
        parts.hostname,
        port or _PORTS[parts.scheme],
        user,
        unquote(parts.password or ""),
    )


def _check_address(given: object) -> None:
    """TypeError and ValueError for what no socket can be bound to."""
    wrong = f"local_addr is an address and a port, such as ('192.0.2.7', 0), not {given!r}"
    match given:
        case (str(host), int(port)) if isinstance(given, tuple):
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ValueError(wrong) from None
            if not 0 <= port <= 65535:
                raise ValueError(wrong)
        case _:
            raise TypeError(wrong)


def system_proxy(host: str, port: int, is_secure: bool) -> str | None:
    """The proxy that the environment (HTTPS_PROXY, NO_PROXY ...) or the system has for a WebSocket.

    In the order of RFC 6455, 4.1 (3): SOCKS first, then the proxy for HTTPS, then that for HTTP;
    at last that for all.
    """
    known = urllib.request.getproxies()
    schemes = ("wss", "socks", "https") if is_secure else ("ws", "socks", "https", "http")
    for scheme in (*schemes, "all"):
        found = known.get(scheme)
        if found and not urllib.request.proxy_bypass(f"{host}:{port}"):
            if scheme == "socks" and found.startswith("http://"):  # as some systems write it
                found = f"socks5h://{found[7:]}"
            return found
    return None


@dataclass(frozen=True)
class Route:
    """See `connect` for what the fields mean. ValueError and TypeError for what can't be."""

    proxy: str | Literal[True] | None = field(default=True, repr=False)  # may have a password
    ssl: tls.SSLContext | None = None
    local_addr: tuple[str, int] | None = None
    busy_poll: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.proxy, str):
            parsed_proxy(self.proxy)
        elif self.proxy is not True and self.proxy is not None:
            raise TypeError(
                "proxy is a URL, None for no proxy, or True for that of the environment, not "
                f"{self.proxy if isinstance(self.proxy, bool) else type(self.proxy).__name__}"
            )
        if self.ssl is not None and not isinstance(self.ssl, tls.SSLContext):
            raise TypeError(f"ssl is an ssl.SSLContext, not {type(self.ssl).__name__}")
        if self.local_addr is not None:
            _check_address(self.local_addr)
        if self.busy_poll is not None:
            if not (isinstance(self.busy_poll, int) and 0 < self.busy_poll <= _MOST_BUSY_POLL):
                raise ValueError(
                    f"busy_poll is 1 to {_MOST_BUSY_POLL:,} microseconds, not {self.busy_poll!r}"
                )
            if _SO_BUSY_POLL is None:
                raise ValueError("busy_poll: this system has no SO_BUSY_POLL")

    def proxy_for(self, host: str, port: int, is_secure: bool) -> Proxy | None:
        """The proxy to go through. ValueError where the environment names one that can't be."""
        given = system_proxy(host, port, is_secure) if self.proxy is True else self.proxy
        return None if given is None else parsed_proxy(given)

    def for_rest(self) -> dict[str, Any]:
        """The options of `rest.Client` that mean the same."""
        return {"proxy": self.proxy, "ssl": self.ssl, "local_addr": self.local_addr}

    def context(self) -> tls.SSLContext:
        """What TLS is made with."""
        return tls.create_default_context() if self.ssl is None else self.ssl

    def prepare(self, found: socket.socket) -> None:
        """Gives a TCP socket what it is to have before it connects. Raises OSError.

        No delay of short packets; probes of a silent connection, which end it after a minute (RFC
        1122, 4.2.3.6); an end where what was sent is not acknowledged for half a minute (RFC 5482).
        What the system does not have is left out, but for what the user has asked for.
        """
        for option in self._options():
            with contextlib.suppress(OSError):
                found.setsockopt(*option)
        if self.busy_poll is not None and _SO_BUSY_POLL is not None:
            try:
                found.setsockopt(socket.SOL_SOCKET, _SO_BUSY_POLL, self.busy_poll)
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"busy_poll: the system refuses it ({error.strerror}): more than "
                    "net.core.busy_read needs CAP_NET_ADMIN",
                ) from None
        if self.local_addr is not None:
            found.bind(self.local_addr)

    def _options(self) -> list[Option]:
        tcp = socket.IPPROTO_TCP
        options = [(tcp, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        for name, value in (
            ("TCP_KEEPIDLE", _IDLE_SECONDS),
            ("TCP_KEEPALIVE", _IDLE_SECONDS),  # as macOS calls it
            ("TCP_KEEPINTVL", _PROBE_SECONDS),
            ("TCP_KEEPCNT", _PROBES),
            ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_SECONDS * 1000),
        ):
            if hasattr(socket, name):
                options.append((tcp, getattr(socket, name), value))
        return options
