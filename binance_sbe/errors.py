"""What a live feed raises, beside the DecodeErrors of its frames.

::

    FeedError
      MissingKey            no API key was given, and BINANCE_API_KEY is not set
      Unreachable           no connection: name, route, port, TLS or time-out
      ConnectionRefused     the exchange answered, and refused: the HTTP status says why
      SubscriptionRefused   the exchange refused a request
      ConnectionLost        the connection ended, and not because we closed it
"""

from __future__ import annotations

KEY_HELP = (
    "SBE market data needs an API key of type Ed25519, without permissions: create one at "
    "https://www.binance.com/en/my/settings/api-management and set BINANCE_API_KEY to it"
)


class FeedError(Exception):
    """A live feed that can't go on."""


class MissingKey(FeedError):
    """No API key was given, and BINANCE_API_KEY is not set."""


class Unreachable(FeedError):
    """No connection could be made at all."""


class ConnectionRefused(FeedError):
    """The exchange refused the WebSocket upgrade; ``status`` is the HTTP status."""

    def __init__(self, url: str, status: int, body: str) -> None:
        self.status = status
        self.body = body
        text = f"{url} refused the connection with HTTP {status}"
        if body:
            text += f": {body.strip()[:500]}"
        if status in (401, 403):
            text += f". {KEY_HELP}."
        super().__init__(text)


class SubscriptionRefused(FeedError):
    """The exchange refused a request; ``code`` and ``reason`` are its own."""

    def __init__(self, method: str, streams: list[str], code: int | None, reason: str) -> None:
        self.method = method
        self.streams = streams
        self.code = code
        self.reason = reason
        named = ", ".join(streams[:5]) + (", ..." if len(streams) > 5 else "")
        super().__init__(f"{method} {named}: the exchange refused with code {code}: {reason}")


class ConnectionLost(FeedError):
    """The connection ended; ``code`` is the WebSocket close code, None where there was none."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        self.reason = reason
        text = "the connection was lost" if code is None else f"the exchange closed with {code}"
        super().__init__(f"{text}: {reason}" if reason else text)
