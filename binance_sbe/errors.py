"""All that this package and the compiler raise of their own, and all of it is an SbeError.

::

    SbeError
      DecodeError             (also a ValueError) bytes that are no message of the schema
        TruncatedMessage      the frame ends before an element it declares
        MalformedMessage      lengths or counts that contradict the schema, or text that is none
        UnknownTemplate       this schema's id, a template that is not in it
        UnexpectedTemplate    another template than the class asked for
        SchemaMismatch        another schema's id
      EncodeError             (also a ValueError) values that can't be written as a message
      SchemaError             a schema that can't be compiled
        SchemaTooLarge        it reaches a limit: nothing more of it is read
      MissingPackage          (also an ImportError) a package of one of the extras is not installed
      UnknownName             (also a KeyError) a group, column, text or class that a table has not
      BinanceError            the exchange answered with an error of its own
      NotSbe                  (also a ValueError) an answer that is not SBE: of a gateway, or JSON
      FramingError            (also a ValueError) a byte stream that is out of step
        PacketError           a packet, or a capture, that can't be read to its end
      BookError               an order book that failed a check
      TapeError               a tape that can't be read, or has not what it should
        RecordingError        a tape that can't be written
      LakeError               an archive that can't be made or read as it was asked for
      FeedError
        MissingKey            no API key was given, and BINANCE_API_KEY is not set
        Unreachable           no connection: name, route, port, TLS or time-out
        ConnectionRefused     the exchange answered, and refused: the HTTP status says why
        SubscriptionRefused   the exchange refused a request
        ConnectionLost        the connection ended, not because we closed it, and was not mended
        RateLimited           the REST API refuses until a while has passed
        SlowConsumer          the consumer was too slow, and had asked for an error then
        FixError              a FIX session that can't go on
          LogonRefused        the exchange refused the logon, or did not answer it

All of them are at the top of `binance_sbe`, copy and pickle. What they quote from outside is
escaped and cut in their texts, and is as it came in their attributes; API keys are in neither.
"""

from __future__ import annotations

import re
from typing import TypeVar

from sbe_codegen.runtime.errors import FramingError as FramingError
from sbe_codegen.runtime.errors import PacketError as PacketError
from sbe_codegen.runtime.errors import SbeError

from .keys import stripped, stripped_bytes
from .output import shown

# What `make demo` leaves out, and what is said where it is needed.
LARGE_DECODERS = ("binance_sbe.spot_sbe", "binance_sbe.fix_sbe")
COMPILE_ALL = "'make build' in the checkout compiles all decoders, in some minutes"
KEY_HELP = (
    "SBE market data needs an API key of type Ed25519, without permissions: create one at "
    "https://www.binance.com/en/my/settings/api-management and set BINANCE_API_KEY to it. A local "
    "exchange takes any text, unless it was started with keys (commands: --simulate)"
)
FIX_KEY_HELP = (
    "FIX needs an API key of type Ed25519 that has the permission FIX_API (or, for market data and "
    "drop copies, FIX_API_READ_ONLY): register the public half of your private key at "
    "https://www.binance.com/en/my/settings/api-management and set BINANCE_API_KEY to what it gives"
)
OLD_CLOCK, BAD_SIGNATURE = -1021, -1022  # codes of the exchange's
_ADVICE = {
    OLD_CLOCK: "set the clock of this machine, or give a longer recv_window",
    BAD_SIGNATURE: "the public half of this private key has to be the one that is registered for "
    "this API key",
}
E = TypeVar("E", bound=BaseException)
_LONGEST_TEXT = 4000  # of an error as a whole
_LONGEST_BODY = 1 << 16  # bytes of an answer that an error keeps


def advised(text: str, code: int | None) -> str:
    """A refusal, and what to do about it where that is known."""
    return text if code not in _ADVICE else f"{text.rstrip('.')}: {_ADVICE[code]}"


def _kept(text: str) -> str:
    """What an attribute keeps of a text from outside: as it came, without keys, up to a size."""
    return stripped(text[:_LONGEST_BODY])


class _Quoting:
    """The texts that an error is made of are fit to be shown, whoever wrote parts of them."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(shown(p, _LONGEST_TEXT) if isinstance(p, str) else p for p in parts))


class BinanceError(_Quoting, SbeError):
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
        self.message = _kept(message)
        self.retry_after = retry_after
        self.server_time = server_time
        self.data = data
        super().__init__(code, message, retry_after, server_time, data)

    def __str__(self) -> str:
        return advised(f"{self.code}: {shown(self.message)}", self.code)


class NotSbe(_Quoting, SbeError, ValueError):
    """An answer that is not SBE: ``content_type`` says what, ``body`` is the start of it.

    ``size`` is how many bytes it had; 65,536 of them are kept.
    """

    def __init__(self, content_type: str | None, body: bytes) -> None:
        self.content_type = None if content_type is None else _kept(content_type)
        self.size = len(body)
        self.body = body = stripped_bytes(body[:_LONGEST_BODY])
        start = " ".join(body[:200].decode("ascii", "backslashreplace").split())  # in one line
        if not start.isprintable():
            start = body[:24].hex(" ")
        kind = shown(content_type, 100) if content_type else "no content type"
        super().__init__(f"the answer is not SBE ({kind}, {self.size} bytes): {start}")


class FeedError(_Quoting, SbeError):
    """A live feed that can't go on."""


class MissingKey(FeedError):
    """No API key was given, and BINANCE_API_KEY is not set."""


class Unreachable(FeedError):
    """No connection could be made at all."""


class ConnectionRefused(FeedError):
    """The exchange refused the WebSocket upgrade, or a request; ``status`` is the HTTP status.

    ``retry_after`` is the number of seconds that it asks to wait, or None. ``location`` is where a
    redirect points, which is a refusal: the API key goes to no host but the one it was given for.
    """

    def __init__(
        self,
        url: str,
        status: int,
        body: str,
        retry_after: float | None = None,
        location: str | None = None,
    ) -> None:
        self.status = status
        self.body = body = _kept(body)
        self.retry_after = retry_after
        self.location = None if location is None else _kept(location)
        text = f"{url} refused the connection with HTTP {status}"
        if 300 <= status < 400:
            where = "elsewhere" if location is None else f"to {shown(location)}"
            text = f"{url} redirects {where} (HTTP {status}), which is not followed: is the url "
            super().__init__(f"{text}right?")
            return
        if body.strip():
            text += f": {shown(body.strip())}"
        meaning = meaning_of(status, body, retry_after)
        if meaning:
            text += f". {meaning}" + "." * (not meaning.endswith("?"))
        super().__init__(text)


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
        self.code = _kept(code) if isinstance(code, str) else code
        self.reason = _kept(reason)
        named = ", ".join(map(shown, streams[:5])) + (", ..." if len(streams) > 5 else "")
        why = f"the exchange refused with code {shown(code, 20)}: {shown(reason)}"
        super().__init__(f"{method} {named}: {why}")


class ConnectionLost(FeedError):
    """The connection ended; ``code`` is the WebSocket close code, None where there was none."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        self.reason = _kept(reason)
        text = "the connection was lost" if code is None else f"the exchange closed with {code}"
        super().__init__(f"{text}: {shown(reason)}" if reason else text)


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


class FixError(FeedError):
    """A FIX session that can't go on, or a message that it does not take."""


class LogonRefused(FixError):
    """The exchange refused the logon: ``code`` is its error code, None where it gave none."""

    def __init__(self, why: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(why, code)

    def __str__(self) -> str:
        why = shown(str(self.args[0]), _LONGEST_TEXT)
        return why if self.code is None else advised(f"{why} (code {self.code})", self.code)


class BookError(_Quoting, SbeError):
    """An order book that failed a check, or was given what can't be right for it.

    ``symbol`` is the book's, ``reason`` what is wrong.
    """

    def __init__(self, symbol: str, reason: str) -> None:
        self.symbol = symbol
        self.reason = _kept(reason)
        super().__init__(f"{symbol}: {reason}")


class TapeError(_Quoting, SbeError):
    """A tape that can't be read, or a part of it that is not as it was written."""


class RecordingError(TapeError):
    """A tape that can't be written: no directory, no room, no right to."""


class LakeError(_Quoting, SbeError):
    """An archive that can't be made, or read, in the way that was asked for."""


def bare(error: E) -> E:
    """The error without those that it came from, and without the frames that it went through.

    For errors of a connection: what libraries raise, and frames, hold all that was sent and came.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def again(error: SbeError) -> SbeError:
    """The end of a feed, as an exception of its own for each who is told of it."""
    if isinstance(error, ConnectionLost):
        return ConnectionLost(error.code, error.reason)
    return error


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
        case LogonRefused(code=code):
            return CLOCK if code == OLD_CLOCK else REFUSED
        case ConnectionRefused():
            return REFUSED
        case _:
            return GENERAL


def not_compiled(error: ModuleNotFoundError) -> str | None:
    """What to say where a decoder is missing that `make demo` leaves out; None for any other."""
    if error.name not in LARGE_DECODERS:
        return None
    return f"{error.name} is not compiled: {COMPILE_ALL}"
