"""Whom the page is for: browsers that have it from here, under a name that is this machine's.

A page of another site may open sockets to this machine as well, and may give its own name this
machine's address (DNS rebinding). Its Origin, or its Host, tells.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from ...venue.environments import is_loopback


def name_of(host: str) -> str | None:
    """The name in a Host header, in lower case and without its port; None for what is none."""
    try:
        parts = urlsplit(f"http://{host}")
        _ = parts.port  # ValueError for one that can't be
    except ValueError:
        return None
    is_plain = parts.netloc == host and host.isascii() and host.isprintable()
    if not is_plain or "@" in host or not parts.hostname:
        return None
    return parts.hostname


def is_host(header: str, served_on: str) -> bool:
    """Whether a Host header names this machine.

    An address does, since no name server gives it another meaning; where only this machine is
    served, one of its own. The port may be another: that of a tunnel.
    """
    name = name_of(header)
    if name is None:
        return False
    if name in ("localhost", served_on.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return is_loopback(name) or not is_loopback(served_on)


def is_origin(origin: str, header: str) -> bool:
    """Whether an Origin is that of the page itself, as it was asked for with that Host header."""
    return origin.lower() == f"http://{header.lower()}"
