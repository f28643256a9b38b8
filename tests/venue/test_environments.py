"""Where the exchange is, and what is this machine."""

from __future__ import annotations

from binance_sbe.venue import environments


def test_what_is_loopback_is_known() -> None:
    assert all(map(environments.is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(
        map(environments.is_loopback, ("0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "host", ""))
    )
