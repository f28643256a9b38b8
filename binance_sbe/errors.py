"""What Binance, and the way to it, raise beside the DecodeErrors of frames.

::

    BinanceError            the exchange answered with an error of its own
    NotSbe                  an answer that is not SBE: of a gateway, or JSON
    FramingError            a FIX byte stream that is out of step
    FeedError
      MissingKey            no API key was given, and BINANCE_API_KEY is not set
      Unreachable           no connection: name, route, port, TLS or time-out
      ConnectionRefused     the exchange answered, and refused: the HTTP status says why
      SubscriptionRefused   the exchange refused a request
      ConnectionLost        the connection ended, not because we closed it, and was not mended
      RateLimited           the REST API refuses until a while has passed
      SlowConsumer          the consumer was too slow, and had asked for an error then
"""

from __future__ import annotations

import re

from sbe_codegen.runtime.errors import SbeError
from sbe_codegen.runtime.sofh import FramingError as FramingError

KEY_HELP = (
    "SBE market data needs an API key of type Ed25519, without permissions: create one at "
    "https://www.binance.com/en/my/settings/api-management and set BINANCE_API_KEY to it. A local "
    "exchange takes any text, unless it was started with keys"
)


class BinanceError(Exception):
    """An ErrorResponse: ``code`` (such as -1121) and ``message`` are the exchange's.

    ``retry_after`` and ``server_time`` are in microseconds since 1970, None where there is none;
    ``data`` is the message that came with the error (of CancelReplace), or None.
    """

    def __init__(
        self,
        code: int,
        message: str,
        retry_after: int | None = None,
        server_time: int | None = None,
        data: object = None,
    ) -> None:
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.server_time = server_time
        self.data = data
        super().__init__(code, message, retry_after, server_time, data)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class NotSbe(SbeError, ValueError):
    """An answer that is not SBE: ``content_type`` says what, ``body`` are its bytes."""

    def __init__(self, content_type: str | None, body: bytes) -> None:
        self.content_type = content_type
        self.body = body
        start = body[:200].decode("ascii", "backslashreplace")
        if not start.isprintable():
            start = body[:24].hex(" ")
        kind = content_type or "no content type"
        super().__init__(f"the answer is not SBE ({kind}, {len(body)} bytes): {start}")


class FeedError(Exception):
    """A live feed that can't go on."""


class MissingKey(FeedError):
    """No API key was given, and BINANCE_API_KEY is not set."""


class Unreachable(FeedError):
    """No connection could be made at all."""


class ConnectionRefused(FeedError):
    """The exchange refused the WebSocket upgrade; ``status`` is the HTTP status.

    ``retry_after`` is the number of seconds that it asks to wait, or None.
    """

    def __init__(self, url: str, status: int, body: str, retry_after: float | None = None) -> None:
        self.status = status
        self.body = body
        self.retry_after = retry_after
        text = f"{url} refused the connection with HTTP {status}"
        if body:
            text += f": {body.strip()[:500]}"
        meaning = meaning_of(status, body, retry_after)
        super().__init__(f"{text}. {meaning}." if meaning else text)


def meaning_of(status: int, body: str, retry_after: float | None) -> str:
    """What a refusal most likely means, in a sentence, or nothing."""
    if "-2014" in body:
        return f"This is not the form of an API key: is it complete? {KEY_HELP}"
    if status == 401 or "-2015" in body:
        return (
            "The exchange does not know this key here, or it is not of type Ed25519, or this "
            f"address is not on the list that the key is restricted to. {KEY_HELP}"
        )
    if status in (418, 429):
        pause = "a few minutes" if retry_after is None else f"{retry_after:.0f} s"
        return f"Too many requests or connections came from this address: try again in {pause}"
    if status == 403:
        return f"A firewall of the exchange's refuses this address or this key. {KEY_HELP}"
    if status == 451:
        return "The exchange does not serve the place that this address is in"
    if status == 404:
        return "There are no SBE streams at this host: is the url right?"
    return ""


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


class SlowConsumer(FeedError):
    """No room for another frame, under ``on_overflow="raise"``; ``stream`` is whose it was."""

    def __init__(self, stream: str, waiting: int) -> None:
        self.stream = stream
        self.waiting = waiting
        super().__init__(
            f"{stream}: no room for another frame, {waiting} wait for the consumer: make it "
            f"faster, make max_queue larger, or choose another on_overflow"
        )


class RateLimited(FeedError):
    """The REST API refuses to answer: HTTP 429, too many requests, or 418, a ban for going on.

    ``retry_after`` is the number of seconds until it may be asked again.
    """

    def __init__(self, url: str, status: int, retry_after: float) -> None:
        self.status = status
        self.retry_after = retry_after
        what = "has banned this address" if status == 418 else "has had enough requests"
        super().__init__(f"{url} {what} (HTTP {status}): again in {retry_after:.0f} s")


class BookError(Exception):
    """An order book that failed a check, or was given what can't be right for it.

    ``symbol`` is the book's, ``reason`` what is wrong.
    """

    def __init__(self, symbol: str, reason: str) -> None:
        self.symbol = symbol
        self.reason = reason
        super().__init__(f"{symbol}: {reason}")

    def __reduce__(self) -> tuple[type[BookError], tuple[str, str]]:
        return BookError, (self.symbol, self.reason)


# exit codes of the commands
GENERAL, ARGUMENTS, NO_ROUTE, REFUSED, CLOCK, OUTDATED = 1, 2, 3, 4, 5, 6


def reason_of(error: Exception) -> str:
    """What it says, without the URL that begins it: for where that is said already."""
    return re.sub(r"^wss?://\S+: ", "", str(error))


def exit_code(error: Exception) -> int:
    """The exit code of a command that ends with this error."""
    match error:
        case MissingKey():
            return ARGUMENTS
        case Unreachable():
            return NO_ROUTE
        case ConnectionRefused():
            return REFUSED
        case _:
            return GENERAL
