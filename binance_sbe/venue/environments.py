"""Where the exchange is: hosts by environment, and URLs that are given instead."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..output import shown

STREAMS = {
    "prod": "wss://stream-sbe.binance.com:9443",
    "testnet": "wss://stream-sbe.testnet.binance.vision:9443",
    "demo": "wss://demo-stream-sbe.binance.com:9443",
}
REST = {
    "prod": "https://api.binance.com",
    "testnet": "https://testnet.binance.vision",
    "demo": "https://demo-api.binance.com",
}
WS_API = {
    "prod": "wss://ws-api.binance.com:443",
    "testnet": "wss://ws-api.testnet.binance.vision:443",
    "demo": "wss://demo-ws-api.binance.com:443",
}
FIX = {
    "prod": "fix-{}.binance.com",
    "testnet": "fix-{}.testnet.binance.vision",
    "demo": "demo-fix-{}.binance.com",
}
FIX_ROLES = {"market_data": "md", "order_entry": "oe", "drop_copy": "dc"}
FIX_PORT = 9002  # SBE both ways
_HTTP = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def checked(environment: str) -> str:
    """The name of an environment that there is. ValueError for others."""
    if environment not in STREAMS:
        raise ValueError(f"environment '{shown(environment)}' is not one of {', '.join(STREAMS)}")
    return environment


def _parts(url: str, schemes: tuple[str, ...]) -> tuple[str, str]:
    """Scheme, and host with port. ValueError for a URL with anything more, or less."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
        extra = parts.username or parts.path.strip("/") or parts.query or parts.fragment
    except (ValueError, AttributeError):
        usable, extra = False, ""
    if not usable or extra:
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        said = f"is not {known} with a host and a port, and no more"
        raise ValueError(f"url '{_without_secrets(str(url))}' {said}")
    return parts.scheme, parts.netloc


def _without_secrets(url: str) -> str:
    """For errors: what stands before the host and after the path may be a key."""
    return shown(re.sub(r"[?#].*", "?...", re.sub(r"//[^/?#]*@", "//...@", url), flags=re.DOTALL))


def is_loopback(host: str) -> bool:
    """Whether other machines can't reach what is served at this address or name."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def stream_url(environment: str, url: str | None = None) -> str:
    """Where the streams are: ``url`` is ws:// or wss:// with a host and a port. Else ValueError."""
    host = STREAMS[checked(environment)]
    return host if url is None else "{}://{}".format(*_parts(url, ("ws", "wss")))


def ws_api_url(environment: str, url: str | None = None) -> str:
    """Where the WebSocket API is: ``url`` is ws:// or wss:// with a host and a port."""
    host = WS_API[checked(environment)]
    return host if url is None else "{}://{}".format(*_parts(url, ("ws", "wss")))


def rest_url(environment: str, url: str | None = None) -> str:
    """Where REST is; ``url`` may also be that of the streams, which is the same host by HTTP."""
    host = REST[checked(environment)]
    if url is None:
        return host
    scheme, place = _parts(url, tuple(_HTTP))
    return f"{_HTTP[scheme]}://{place}"


def fix_address(environment: str, role: str, url: str | None = None) -> tuple[str, int, bool]:
    """Host, port, and whether there is TLS. ``url`` is tcp+tls:// or tcp://; else ValueError.

    tcp:// is for what makes TLS itself on this machine, such as stunnel.
    """
    if role not in FIX_ROLES:
        raise ValueError(f"role '{shown(role)}' is not one of {', '.join(FIX_ROLES)}")
    host = FIX[checked(environment)].format(FIX_ROLES[role])
    if url is None:
        return host, FIX_PORT, True
    scheme, place = _parts(url, ("tcp+tls", "tcp"))
    parts = urlsplit(f"//{place}")
    return str(parts.hostname), parts.port or FIX_PORT, scheme == "tcp+tls"
